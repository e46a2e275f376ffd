/* The program's heap: built from the inside out, as mem.h says. */
#include "impl.h"

#include <ringfence/lock.h>

/* Pools stand in front of a buffer above this size. */
#define POOL_ABOVE (32 * 1024)

static rf_mutex making;                /* zeroed, which is initialised; held while the heap is made */
static mem_allocator_t *the_heap;      /* what all calls go to; NULL: none yet */
static mem_allocator_t *the_composite; /* NULL: none, malloc serves */
static bool staged;                    /* lock and oom are there */

static rf_awtk_wrap_fn the_wrap;
static void *the_wrap_context;

static mem_allocator_pool_t the_pool;
static rf_awtk_mem_allocator wrapped;
static mem_allocator_lock_t the_lock;
static mem_allocator_oom_t the_oom;
static mem_allocator_composite_t composite;
#ifdef ENABLE_MEM_LEAK_CHECK
static mem_allocator_debug_t debug;
#endif

/* ---- Making it ---- */

/* Around all that is there: debug, and what the program wants. NULL stays NULL. */
static mem_allocator_t *watched(mem_allocator_t *heap) {
#ifdef ENABLE_MEM_LEAK_CHECK
  heap = mem_allocator_debug_init(&debug, heap);
#endif
  if (heap != NULL && the_wrap != NULL) {
    rf_awtk_sites_keep();
    rf_allocator *const all = the_wrap(rf_awtk_allocator(heap), the_wrap_context);
    heap = all != NULL ? rf_awtk_view_init(&wrapped.allocator, &wrapped.view, all, heap, NULL) : NULL;
  }
  return heap;
}

/* For threads, and against lack of memory. NULL stays NULL. */
static mem_allocator_t *with_stage2(mem_allocator_t *heap) {
  mem_allocator_t *const locked = mem_allocator_lock_init(&the_lock, heap);
  mem_allocator_t *const all = mem_allocator_oom_init(&the_oom, locked);
  if (locked != NULL && all == NULL) {
    the_lock.lock.base.ops->deinit(&the_lock.lock.base);
  }
  return all;
}

static mem_allocator_t *pooled(mem_allocator_t *heap, uint32_t size) {
  if (size <= POOL_ABOVE) {
    return heap;
  }
  if (size < 100 * 1024) {
    return mem_allocator_pool_init(&the_pool, heap, 100, 100, 80, 80, 32);
  }
  if (size < 1000 * 1024) {
    return mem_allocator_pool_init(&the_pool, heap, 500, 500, 500, 200, 200);
  }
  return mem_allocator_pool_init(&the_pool, heap, 1000, 1000, 1000, 500, 500);
}

static void end(void) {
  (void)mem_allocator_destroy(the_heap);
  __atomic_store_n(&the_heap, NULL, __ATOMIC_RELEASE);
  the_composite = NULL;
  staged = false;
}

static ret_t init_va(void *buffer, uint32_t size, va_list va) {
  rf_mutex_lock(&making);
  end();
  mem_allocator_t *const heap = mem_allocator_composite_init_va(&composite, buffer, size, va);
  mem_allocator_t *const all = heap != NULL ? watched(pooled(heap, size)) : NULL;
  if (all == NULL) {
    (void)mem_allocator_destroy(heap);
  } else {
    the_composite = heap;
    __atomic_store_n(&the_heap, all, __ATOMIC_RELEASE);
  }
  rf_mutex_unlock(&making);
  return all != NULL ? RET_OK : RET_BAD_PARAMS;
}

ret_t tk_mem_init_ex(void *buffer, uint32_t size, ...) {
  va_list va;
  va_start(va, size);
  ret_t const ret = init_va(buffer, size, va);
  va_end(va);
  return ret;
}

ret_t tk_mem_init(void *buffer, uint32_t size) {
  return tk_mem_init_ex(buffer, size, NULL);
}

/* Over malloc, where there is one and the program gave no memory. */
static mem_allocator_t *heap_of_malloc(void) {
#if RF_HAS_STD_MALLOC
  static mem_allocator_std_t std;
  mem_allocator_t *const heap = watched(mem_allocator_std_init(&std));
  mem_allocator_t *const all = with_stage2(heap);
  if (all == NULL) {
    (void)mem_allocator_destroy(heap);
  }
  return all;
#else
  return NULL;
#endif
}

static mem_allocator_t *heap(void) {
  mem_allocator_t *now = __atomic_load_n(&the_heap, __ATOMIC_ACQUIRE);
  if (now == NULL) {
    rf_mutex_lock(&making);
    if (the_heap == NULL) {
      mem_allocator_t *const made = heap_of_malloc();
      staged = made != NULL;
      __atomic_store_n(&the_heap, made, __ATOMIC_RELEASE);
    }
    now = the_heap;
    rf_mutex_unlock(&making);
  }
  return now;
}

ret_t tk_mem_init_stage2(void) {
  mem_allocator_t *const now = heap();
  rf_mutex_lock(&making);
  if (now != NULL && !staged) {
    mem_allocator_t *const all = with_stage2(now);
    staged = all != NULL;
    __atomic_store_n(&the_heap, staged ? all : now, __ATOMIC_RELEASE);
  }
  ret_t const ret = staged ? RET_OK : RET_FAIL;
  rf_mutex_unlock(&making);
  return ret;
}

ret_t rf_awtk_mem_init_std(void) {
  rf_awtk_mem_deinit();
  return heap() != NULL ? RET_OK : RET_FAIL;
}

void rf_awtk_mem_deinit(void) {
  rf_mutex_lock(&making);
  end();
  rf_mutex_unlock(&making);
}

void rf_awtk_wrap_set(rf_awtk_wrap_fn wrap, void *context) {
  the_wrap = wrap;
  the_wrap_context = context;
}

/* ---- Blocks ---- */

/* False, and the product reported, where it is no size that anybody is served. */
static bool product(mem_allocator_t *now, uint32_t n, uint32_t size, uint32_t *total, const rf_site *site) {
  uint64_t const wanted = (uint64_t)n * size;
  *total = (uint32_t)wanted;
  if (now != NULL && wanted > UINT32_MAX) {
    (void)rf_reject_at(rf_awtk_allocator(now), RF_REJECT_OVERFLOW, size, n, site);
  }
  return now != NULL && wanted <= UINT32_MAX;
}

void *rf_awtk_alloc_at(uint32_t size, const rf_site *site) {
  mem_allocator_t *const now = heap();
  return now != NULL ? rf_awtk_alloc(now, size, site) : NULL;
}

void *rf_awtk_calloc_at(uint32_t nmemb, uint32_t size, const rf_site *site) {
  mem_allocator_t *const now = heap();
  uint32_t total;
  void *const p = product(now, nmemb, size, &total, site) ? rf_awtk_alloc(now, total, site) : NULL;
  if (p != NULL) {
    memset(p, 0, total);
  }
  return p;
}

void *rf_awtk_realloc_at(void *ptr, uint32_t n, uint32_t size, const rf_site *site) {
  mem_allocator_t *const now = heap();
  uint32_t total;
  return product(now, n, size, &total, site) ? rf_awtk_realloc(now, ptr, total, site) : NULL;
}

void rf_awtk_free_at(void *ptr, const rf_site *site) {
  if (ptr != NULL) {
    rf_allocator *const calls = rf_awtk_allocator(heap());
    if (calls != NULL) {
      (void)rf_free_at(calls, ptr, site);
    }
  }
}

void *tk_calloc(uint32_t nmemb, uint32_t size, const char *func, uint32_t line) {
  return rf_awtk_calloc_at(nmemb, size, rf_awtk_site(func, line));
}

void *tk_realloc(void *ptr, uint32_t size, const char *func, uint32_t line) {
  return rf_awtk_realloc_at(ptr, 1, size, rf_awtk_site(func, line));
}

void *rf_awtk_reallocn(void *ptr, uint32_t n, uint32_t size, const char *func, uint32_t line) {
  return rf_awtk_realloc_at(ptr, n, size, rf_awtk_site(func, line));
}

void *tk_alloc(uint32_t size, const char *func, uint32_t line) {
  return rf_awtk_alloc_at(size, rf_awtk_site(func, line));
}

void tk_free(void *ptr) {
  rf_awtk_free_at(ptr, NULL);
}

/* ---- Looking at it ---- */

void tk_mem_dump(void) {
  (void)mem_allocator_dump(heap());
}

bool_t tk_mem_is_valid_addr(void *addr) {
  rf_allocator *const calls = rf_awtk_allocator(heap());
  if (the_composite != NULL) { /* a checker may keep blocks outside the heap's memory */
    return mem_allocator_composite_is_valid_addr(the_composite, addr) || rf_owns(calls, addr);
  }
  return calls != NULL && (uintptr_t)addr > 0x10000;
}
