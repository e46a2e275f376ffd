/* Zephyr: functions that are told what heaps and pools hand out and get back. Always on, whatever CONFIG_HEAP_LISTENER
 * and CONFIG_SYS_MEM_BLOCKS_LISTENER say.
 *
 * Threads: every call from any thread. Callbacks run in the thread of the event, and may use the heap, but for those of
 * a k_heap and of the shared multi heap, inside whose lock they run. An event that is under way in another thread may
 * still reach a listener while it is unregistered.
 */
#ifndef RINGFENCE_ZEPHYR_SYS_HEAP_LISTENER_H
#define RINGFENCE_ZEPHYR_SYS_HEAP_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum heap_event_types {
  HEAP_EVT_UNKNOWN = 0, /* of a zeroed listener: never happens */
  HEAP_RESIZE,
  HEAP_ALLOC,
  HEAP_FREE,
  HEAP_REALLOC,
  HEAP_MAX_EVENTS
};

typedef void (*heap_listener_resize_cb_t)(uintptr_t heap_id, void *old_heap_end, void *new_heap_end);
typedef void (*heap_listener_alloc_cb_t)(uintptr_t heap_id, void *mem, size_t bytes);
typedef void (*heap_listener_free_cb_t)(uintptr_t heap_id, void *mem, size_t bytes);

struct heap_listener {
  struct heap_listener *node; /* the list's */
  uintptr_t heap_id;
  enum heap_event_types event;
  __extension__ union {
    heap_listener_alloc_cb_t alloc_cb;
    heap_listener_free_cb_t free_cb;
    heap_listener_resize_cb_t resize_cb;
  };
};

/* Adds a listener, the caller's storage until it is taken off again; once is enough, twice is harmless. */
void heap_listener_register(struct heap_listener *listener);
void heap_listener_unregister(struct heap_listener *listener);

/* True while any listener is registered; one load. Heaps need not work out what they would tell where it is false. Any
 * thread or interrupt. */
extern struct heap_listener *rf_zephyr_listeners; /* private */
static inline bool rf_zephyr_has_listeners(void) {
  return __atomic_load_n(&rf_zephyr_listeners, __ATOMIC_ACQUIRE) != NULL;
}

/* Tell the listeners of one heap; for heaps of yours. */
void heap_listener_notify_alloc(uintptr_t heap_id, void *mem, size_t bytes);
void heap_listener_notify_free(uintptr_t heap_id, void *mem, size_t bytes);
void heap_listener_notify_resize(uintptr_t heap_id, void *old_heap_end, void *new_heap_end);

#define HEAP_ID_FROM_POINTER(heap_pointer) ((uintptr_t)(heap_pointer))
#define HEAP_ID_LIBC ((uintptr_t)0)

#define HEAP_LISTENER_ALLOC_DEFINE(name, _heap_id, _alloc_cb)                                                          \
  struct heap_listener name = {NULL, (_heap_id), HEAP_ALLOC, {.alloc_cb = (_alloc_cb)}}
#define HEAP_LISTENER_FREE_DEFINE(name, _heap_id, _free_cb)                                                            \
  struct heap_listener name = {NULL, (_heap_id), HEAP_FREE, {.free_cb = (_free_cb)}}
#define HEAP_LISTENER_RESIZE_DEFINE(name, _heap_id, _resize_cb)                                                        \
  struct heap_listener name = {NULL, (_heap_id), HEAP_RESIZE, {.resize_cb = (_resize_cb)}}

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_ZEPHYR_SYS_HEAP_LISTENER_H */
