/* A component as it is written for Zephyr: events in lists, from a slab and a heap, and a log. */
#include "zephyr_manual.h"

#include <zephyr/kernel.h>
#include <zephyr/logging/log.h>
#include <zephyr/sys/dlist.h>
#include <zephyr/sys/slist.h>

LOG_MODULE_REGISTER(events, LOG_LEVEL_INF);

struct event {
  sys_snode_t node;
  sys_dnode_t recent;
  int number;
  char *text;
};

K_MEM_SLAB_DEFINE_TYPE(event_slab, struct event, 4);
K_HEAP_DEFINE(event_heap, 512);

static sys_slist_t pending = SYS_SLIST_STATIC_INIT(&pending);
static sys_dlist_t recent = SYS_DLIST_STATIC_INIT(&recent);

static struct event *new_event(int number) {
  struct event *event;

  if (k_mem_slab_alloc(&event_slab, (void **)&event, K_NO_WAIT) != 0) {
    LOG_DBG("no event %d", number);
    return NULL;
  }
  event->number = number;
  event->text = k_heap_alloc(&event_heap, 16, K_NO_WAIT);
  snprintk(event->text, 16, "event %d", number);
  sys_slist_append(&pending, &event->node);
  sys_dlist_prepend(&recent, &event->recent);
  return event;
}

static void end_event(struct event *event) {
  sys_dlist_remove(&event->recent);
  k_heap_free(&event_heap, event->text);
  k_mem_slab_free(&event_slab, event);
}

int component(void) {
  struct event *event;
  struct event *after;
  int sum = 0;
  int back = 0;

  for (int i = 1; i <= 5; i++) {
    if ((new_event(i) != NULL) != (i <= 4)) {
      return -1;
    }
  }
  SYS_SLIST_FOR_EACH_CONTAINER(&pending, event, node) {
    sum = sum * 10 + event->number;
  }
  SYS_DLIST_FOR_EACH_CONTAINER(&recent, event, recent) {
    back = back * 10 + event->number;
  }
  if (sum != 1234 || back != 4321 || sys_slist_len(&pending) != 4 || sys_dlist_len(&recent) != 4) {
    return -2;
  }
  LOG_INF("%zu pending", sys_slist_len(&pending));
  event = SYS_SLIST_PEEK_TAIL_CONTAINER(&pending, event, node);
  if (!sys_slist_find_and_remove(&pending, &event->node) || sys_slist_find_and_remove(&pending, &event->node)) {
    return -3;
  }
  end_event(event);
  SYS_SLIST_FOR_EACH_CONTAINER_SAFE(&pending, event, after, node) {
    sys_slist_remove(&pending, NULL, &event->node);
    end_event(event);
  }
  return sys_slist_is_empty(&pending) && sys_slist_peek_tail(&pending) == NULL && sys_dlist_is_empty(&recent) &&
                 sys_dlist_get(&recent) == NULL && k_mem_slab_num_used_get(&event_slab) == 0
             ? 0
             : -4;
}
