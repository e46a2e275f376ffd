#include <ringfence/port.h>
#include <ringfence/zephyr/sys/heap_listener.h>

/* Zeroed, which is an initialised mutex: nothing runs before the first listener is registered. */
static rf_mutex lock;
struct heap_listener *rf_zephyr_listeners;

static struct heap_listener **link_to(const struct heap_listener *listener) {
  struct heap_listener **link = &rf_zephyr_listeners;
  while (*link != NULL && *link != listener) {
    link = &(*link)->node;
  }
  return link;
}

void heap_listener_register(struct heap_listener *listener) {
  rf_mutex_lock(&lock);
  if (*link_to(listener) == NULL) {
    listener->node = NULL;
    __atomic_store_n(link_to(NULL), listener, __ATOMIC_RELEASE);
  }
  rf_mutex_unlock(&lock);
}

void heap_listener_unregister(struct heap_listener *listener) {
  rf_mutex_lock(&lock);
  struct heap_listener **const link = link_to(listener);
  if (*link != NULL) {
    __atomic_store_n(link, listener->node, __ATOMIC_RELEASE);
  }
  rf_mutex_unlock(&lock);
}

/* A copy of the `skip`-th listener for this event of this heap; false where there are no more. */
static bool nth(size_t skip, uintptr_t heap_id, enum heap_event_types event, struct heap_listener *out) {
  bool found = false;
  rf_mutex_lock(&lock);
  for (const struct heap_listener *l = rf_zephyr_listeners; l != NULL && !found; l = l->node) {
    if (l->heap_id == heap_id && l->event == event && skip-- == 0) {
      *out = *l;
      found = true;
    }
  }
  rf_mutex_unlock(&lock);
  return found;
}

void heap_listener_notify_alloc(uintptr_t heap_id, void *mem, size_t bytes) {
  struct heap_listener l;
  for (size_t i = 0; rf_zephyr_has_listeners() && nth(i, heap_id, HEAP_ALLOC, &l); i++) {
    l.alloc_cb(heap_id, mem, bytes);
  }
}

void heap_listener_notify_free(uintptr_t heap_id, void *mem, size_t bytes) {
  struct heap_listener l;
  for (size_t i = 0; rf_zephyr_has_listeners() && nth(i, heap_id, HEAP_FREE, &l); i++) {
    l.free_cb(heap_id, mem, bytes);
  }
}

void heap_listener_notify_resize(uintptr_t heap_id, void *old_heap_end, void *new_heap_end) {
  struct heap_listener l;
  for (size_t i = 0; rf_zephyr_has_listeners() && nth(i, heap_id, HEAP_RESIZE, &l); i++) {
    l.resize_cb(heap_id, old_heap_end, new_heap_end);
  }
}
