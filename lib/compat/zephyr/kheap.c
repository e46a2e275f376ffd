#define RINGFENCE_ZEPHYR_IMPL
#include <ringfence/zephyr/kheap.h>
#include <string.h>

extern struct k_heap _system_heap;

/* A thread that waits. On its stack, in the heap's list as long as it does. */
typedef struct rf_zephyr_waiter {
  rf_event event;
  struct rf_zephyr_waiter *next;
} waiter;

/* ---- Waiting ---- */

static void enter(struct k_heap *h) {
  (void)k_spin_lock(&h->lock);
}

static void leave(struct k_heap *h) {
  k_spinlock_key_t const key = {0};
  k_spin_unlock(&h->lock, key);
}

static void wake_all(const struct k_heap *h) {
  for (waiter *w = h->waiters; w != NULL; w = w->next) {
    rf_event_set(&w->event);
  }
}

static void unlink_waiter(struct k_heap *h, const waiter *w) {
  waiter **link = &h->waiters;
  while (*link != w) {
    link = &(*link)->next;
  }
  *link = w->next;
}

/* Milliseconds from now to `end`, which is 0 for never. */
static uint32_t left_until(uint64_t end) {
  uint64_t const now = rf_port_now_ns();
  if (end == 0) {
    return RF_WAIT_FOREVER;
  }
  uint64_t const ms = end > now ? (end - now + 999999) / 1000000 : 0;
  return ms < RF_WAIT_FOREVER ? (uint32_t)ms : RF_WAIT_FOREVER - 1;
}

/* With the heap entered, which it is again on return: false where nothing was waited for. `*late`: the time is over;
 * memory that came back until now may be tried for once more. */
static bool wait(struct k_heap *h, uint64_t end, bool *late) {
  waiter w;
  if (left_until(end) == 0 || rf_port_in_interrupt() || rf_event_init(&w.event) != RF_OK) {
    return false;
  }
  w.next = h->waiters;
  h->waiters = &w;
  leave(h);
  *late = rf_event_wait(&w.event, left_until(end)) != RF_OK;
  enter(h);
  unlink_waiter(h, &w);
  rf_event_deinit(&w.event);
  return true;
}

/* 0 too for a time that nanoseconds cannot count. */
static uint64_t end_of(k_timeout_t timeout) {
  if (timeout.ticks < 0 || timeout.ticks > INT64_MAX / 1000000) {
    return 0;
  }
  uint64_t const end = rf_port_now_ns() + (uint64_t)timeout.ticks * 1000000;
  return end != 0 ? end : 1;
}

/* Whether a request that failed may be served once there is more memory: it was not refused, and an empty heap has room
 * for it and its header. */
static bool may_be_served(struct k_heap *h, void *ptr, size_t align, size_t bytes) {
  return bytes != 0 && (bytes - 1) / 8 + 1 < h->heap.chunks.end && (align == 0 || rf_is_pow2(align)) &&
         (ptr == NULL || sys_heap_usable_size(&h->heap, ptr) != 0);
}

/* `ptr` NULL: an allocation. */
static void *resize(struct k_heap *h, void *ptr, size_t align, size_t bytes, k_timeout_t timeout, const rf_site *site) {
  uint64_t const end = end_of(timeout);
  bool late = timeout.ticks == 0;
  enter(h);
  void *p = rf_zephyr_realloc_at(&h->heap, ptr, align, bytes, site);
  while (p == NULL && !late && may_be_served(h, ptr, align, bytes) && wait(h, end, &late)) {
    p = rf_zephyr_realloc_at(&h->heap, ptr, align, bytes, site);
  }
  if (ptr != NULL && (p != NULL || bytes == 0)) {
    wake_all(h);
  }
  leave(h);
  return p;
}

/* ---- All heaps ---- */

#ifdef __ELF__
/* The linker's, where a program has any. */
extern struct k_heap __start_rf_zephyr_heaps[] __attribute__((weak));
extern struct k_heap __stop_rf_zephyr_heaps[] __attribute__((weak));

int k_heap_array_get(struct k_heap **heaps) {
  *heaps = __start_rf_zephyr_heaps;
  return (int)(((uintptr_t)__stop_rf_zephyr_heaps - (uintptr_t)__start_rf_zephyr_heaps) / sizeof(struct k_heap));
}
#else
int k_heap_array_get(struct k_heap **heaps) {
  *heaps = NULL;
  return 0;
}
#endif

/* ---- Calls ---- */

void k_heap_init(struct k_heap *h, void *mem, size_t bytes) {
  memset(h, 0, sizeof *h);
  (void)rf_mutex_init(&h->lock.mutex); /* zeroed memory is one where the system refuses */
  sys_heap_init(&h->heap, mem, bytes);
  h->heap.lock = &h->lock;
}

void *rf_zephyr_heap_alloc_at(struct k_heap *h, size_t align, size_t bytes, k_timeout_t timeout, const rf_site *site) {
  return bytes != 0 ? resize(h, NULL, align, bytes, timeout, site) : NULL;
}

void *rf_zephyr_heap_calloc_at(struct k_heap *h, size_t num, size_t size, k_timeout_t timeout, const rf_site *site) {
  size_t bytes;
  void *const p = rf_mul(num, size, &bytes) ? rf_zephyr_heap_alloc_at(h, 0, bytes, timeout, site) : NULL;
  if (p != NULL) {
    memset(p, 0, bytes);
  }
  return p;
}

void *rf_zephyr_heap_realloc_at(struct k_heap *h, void *ptr, size_t bytes, k_timeout_t timeout, const rf_site *site) {
  return ptr == NULL && bytes == 0 ? NULL : resize(h, ptr, 0, bytes, timeout, site);
}

void rf_zephyr_heap_free_at(struct k_heap *h, void *mem, const rf_site *site) {
  enter(h);
  rf_zephyr_free_at(&h->heap, mem, site);
  wake_all(h);
  leave(h);
}

void *k_heap_aligned_alloc(struct k_heap *h, size_t align, size_t bytes, k_timeout_t timeout) {
  return rf_zephyr_heap_alloc_at(h, align, bytes, timeout, NULL);
}

void *k_heap_alloc(struct k_heap *h, size_t bytes, k_timeout_t timeout) {
  return rf_zephyr_heap_alloc_at(h, 0, bytes, timeout, NULL);
}

void *k_heap_calloc(struct k_heap *h, size_t num, size_t size, k_timeout_t timeout) {
  return rf_zephyr_heap_calloc_at(h, num, size, timeout, NULL);
}

void *k_heap_realloc(struct k_heap *h, void *ptr, size_t bytes, k_timeout_t timeout) {
  return rf_zephyr_heap_realloc_at(h, ptr, bytes, timeout, NULL);
}

void k_heap_free(struct k_heap *h, void *mem) {
  rf_zephyr_heap_free_at(h, mem, NULL);
}

/* ---- The program's heap ---- */

void *rf_zephyr_malloc_at(size_t align, size_t size, const rf_site *site) {
  return rf_zephyr_heap_alloc_at(&_system_heap, align, MAX(size, 1), K_NO_WAIT, site);
}

void *rf_zephyr_calloc_at(size_t nmemb, size_t size, const rf_site *site) {
  return nmemb == 0 || size == 0 ? rf_zephyr_malloc_at(0, 0, site)
                                 : rf_zephyr_heap_calloc_at(&_system_heap, nmemb, size, K_NO_WAIT, site);
}

void *rf_zephyr_krealloc_at(void *ptr, size_t size, const rf_site *site) {
  return ptr == NULL ? rf_zephyr_malloc_at(0, size, site)
                     : rf_zephyr_heap_realloc_at(&_system_heap, ptr, size, K_NO_WAIT, site);
}

void rf_zephyr_kfree_at(void *ptr, const rf_site *site) {
  if (ptr != NULL) {
    rf_zephyr_heap_free_at(&_system_heap, ptr, site);
  }
}

void *k_aligned_alloc(size_t align, size_t size) {
  return rf_zephyr_malloc_at(align, size, NULL);
}

void *k_malloc(size_t size) {
  return rf_zephyr_malloc_at(0, size, NULL);
}

void *k_calloc(size_t nmemb, size_t size) {
  return rf_zephyr_calloc_at(nmemb, size, NULL);
}

void *k_realloc(void *ptr, size_t size) {
  return rf_zephyr_krealloc_at(ptr, size, NULL);
}

void k_free(void *ptr) {
  rf_zephyr_kfree_at(ptr, NULL);
}
