#define RINGFENCE_ZEPHYR_IMPL
#include <errno.h>
#include <ringfence/port.h>
#include <ringfence/zephyr/multi_heap/shared_multi_heap.h>
#include <ringfence/zephyr/sys/multi_heap.h>

static rf_mutex lock; /* zeroed, which is initialised */
static bool ready;
static struct sys_multi_heap pool;
static struct sys_heap heaps[MAX_MULTI_HEAPS]; /* in the order in which they were added */
static uint32_t attributes[MAX_MULTI_HEAPS];

static void *choose(struct sys_multi_heap *mheap, void *cfg, size_t align, size_t size) {
  void *p = NULL;
  for (unsigned i = 0; i < mheap->nheaps && p == NULL; i++) {
    if (attributes[i] == (uintptr_t)cfg) {
      p = sys_heap_aligned_alloc(&heaps[i], align, size);
    }
  }
  return p;
}

int shared_multi_heap_pool_init(void) {
  rf_mutex_lock(&lock);
  int const status = ready ? -EALREADY : 0;
  if (!ready) {
    sys_multi_heap_init(&pool, choose);
    ready = true;
  }
  rf_mutex_unlock(&lock);
  return status;
}

static int add(const struct shared_multi_heap_region *region, void *user_data) {
  unsigned const at = pool.nheaps;
  if (!ready || region->attr >= MAX_SHARED_MULTI_HEAP_ATTR) {
    return -EINVAL;
  }
  if (at == MAX_MULTI_HEAPS) {
    return -ENOMEM;
  }
  sys_heap_init(&heaps[at], (void *)region->addr, region->size);
  if (rf_zephyr_allocator(&heaps[at]) == NULL) {
    return -EINVAL;
  }
  attributes[at] = region->attr;
  sys_multi_heap_add_heap(&pool, &heaps[at], user_data);
  return 0;
}

int shared_multi_heap_add(struct shared_multi_heap_region *region, void *user_data) {
  if (region == NULL) {
    return -EINVAL;
  }
  rf_mutex_lock(&lock);
  int const status = add(region, user_data);
  rf_mutex_unlock(&lock);
  return status;
}

void *rf_zephyr_shared_alloc_at(enum shared_multi_heap_attr attr, size_t align, size_t bytes, const rf_site *site) {
  void *p = NULL;
  rf_mutex_lock(&lock);
  if (ready) {
    p = rf_zephyr_multi_alloc_at(&pool, (void *)(uintptr_t)attr, align, bytes, site);
  }
  rf_mutex_unlock(&lock);
  return p;
}

/* A block that there is before the pool is no block of it: that is told. */
void *rf_zephyr_shared_realloc_at(enum shared_multi_heap_attr attr, void *ptr, size_t bytes, const rf_site *site) {
  void *p = NULL;
  rf_mutex_lock(&lock);
  if ((ready || ptr != NULL) && (uint32_t)attr < MAX_SHARED_MULTI_HEAP_ATTR) {
    p = rf_zephyr_multi_realloc_at(&pool, (void *)(uintptr_t)attr, ptr, 0, bytes, site);
  }
  rf_mutex_unlock(&lock);
  return p;
}

void rf_zephyr_shared_free_at(void *block, const rf_site *site) {
  rf_mutex_lock(&lock);
  rf_zephyr_multi_free_at(&pool, block, site);
  rf_mutex_unlock(&lock);
}

void *shared_multi_heap_aligned_alloc(enum shared_multi_heap_attr attr, size_t align, size_t bytes) {
  return rf_zephyr_shared_alloc_at(attr, align, bytes, NULL);
}

void *shared_multi_heap_alloc(enum shared_multi_heap_attr attr, size_t bytes) {
  return rf_zephyr_shared_alloc_at(attr, 0, bytes, NULL);
}

void *shared_multi_heap_realloc(enum shared_multi_heap_attr attr, void *ptr, size_t bytes) {
  return rf_zephyr_shared_realloc_at(attr, ptr, bytes, NULL);
}

void shared_multi_heap_free(void *block) {
  rf_zephyr_shared_free_at(block, NULL);
}
