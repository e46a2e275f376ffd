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

/* The listener behind `last`, whose copy was made before it was called, or the first one. Where that was taken off
 * meanwhile: the one that was behind it. NULL where there is none, or that was taken off, too. */
static const struct heap_listener *behind(const struct heap_listener *last, const struct heap_listener *copy) {
  if (last == NULL) {
    return rf_zephyr_listeners;
  }
  const struct heap_listener *const next = *link_to(last) != NULL ? last->node : copy->node;
  return next != NULL ? *link_to(next) : NULL;
}

/* Goes from `*at`, whose copy `out` is, to the next listener for this event of this heap that has a function (of any
 * event: they share their place); false where there are no more. Listeners are called outside of the lock: they may
 * register and take off themselves and others. */
static bool next(const struct heap_listener **at, uintptr_t heap_id, enum heap_event_types event,
                 struct heap_listener *out) {
  rf_mutex_lock(&lock);
  const struct heap_listener *l = behind(*at, out);
  while (l != NULL && (l->heap_id != heap_id || l->event != event || l->alloc_cb == NULL)) {
    l = l->node;
  }
  if (l != NULL) {
    *at = l;
    *out = *l;
  }
  rf_mutex_unlock(&lock);
  return l != NULL;
}

void heap_listener_notify_alloc(uintptr_t heap_id, void *mem, size_t bytes) {
  const struct heap_listener *at = NULL;
  struct heap_listener l;
  while (rf_zephyr_has_listeners() && next(&at, heap_id, HEAP_ALLOC, &l)) {
    l.alloc_cb(heap_id, mem, bytes);
  }
}

void heap_listener_notify_free(uintptr_t heap_id, void *mem, size_t bytes) {
  const struct heap_listener *at = NULL;
  struct heap_listener l;
  while (rf_zephyr_has_listeners() && next(&at, heap_id, HEAP_FREE, &l)) {
    l.free_cb(heap_id, mem, bytes);
  }
}

void heap_listener_notify_resize(uintptr_t heap_id, void *old_heap_end, void *new_heap_end) {
  const struct heap_listener *at = NULL;
  struct heap_listener l;
  while (rf_zephyr_has_listeners() && next(&at, heap_id, HEAP_RESIZE, &l)) {
    l.resize_cb(heap_id, old_heap_end, new_heap_end);
  }
}
