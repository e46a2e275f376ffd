/* rt_malloc and the like: the system heap, and with RT_USING_MEMHEAP_AS_HEAP every memheap behind it. With
 * RT_USING_SLAB_AS_HEAP, its pages, too. */
#include "impl.h"

static void (*the_malloc_hook)(void **ptr, rt_size_t size);
static void (*the_malloc_hook4)(void *ptr, rt_size_t size);
static void (*the_realloc_entry_hook)(void **ptr, rt_size_t size);
static void (*the_realloc_exit_hook)(void **ptr, rt_size_t size);
static void (*the_free_hook)(void **ptr);
static void (*the_free_hook4)(void *ptr);

/* ---- Which heap; inside the lock ---- */

#ifdef RT_USING_MEMHEAP_AS_HEAP

static const rf_rt_kind *const KIND = &rf_rt_memheap_kind;

static struct rt_object *make_heap(void *start, rt_size_t size) {
  static struct rt_memheap the_memheap;
  rf_rt_memheap_reset_peak();
  return rt_memheap_init(&the_memheap, "heap", start, size) == RT_EOK ? &the_memheap.parent : NULL;
}

/* The heap that serves after `heap`, or first for NULL: the system heap, then the others in order. */
static struct rt_object *next_heap(const struct rt_object *heap) {
  if (heap == NULL && rf_rt_system_heap != NULL) {
    return rf_rt_system_heap;
  }
  struct rt_object *const next = rf_rt_heap_next(KIND, heap == rf_rt_system_heap ? NULL : heap);
  return next != NULL && next == rf_rt_system_heap ? rf_rt_heap_next(KIND, next) : next;
}

/* The heap of a block. A pointer without an owner goes to the first heap, which refuses it: its checker, if it has one,
 * makes a finding of it. */
static struct rt_object *heap_for(const void *ptr) {
  struct rt_object *const owner = rf_rt_heap_of(KIND, ptr);
  return owner != NULL ? owner : next_heap(NULL);
}

static void figures(struct rt_memory *out) {
  rf_rt_memheap_totals(out);
}

#else

#ifdef RT_USING_SLAB_AS_HEAP
static const rf_rt_kind *const KIND = &rf_rt_slab_kind;
#define MAKE_HEAP rt_slab_init
#else
static const rf_rt_kind *const KIND = &rf_rt_smem_kind;
#define MAKE_HEAP rt_smem_init
#endif

static struct rt_object *make_heap(void *start, rt_size_t size) {
  struct rt_memory *const heap = MAKE_HEAP("heap", start, size);
  return heap != RT_NULL ? &heap->parent : NULL;
}

static struct rt_object *next_heap(const struct rt_object *heap) {
  return heap == NULL ? rf_rt_system_heap : NULL;
}

static struct rt_object *heap_for(const void *ptr) {
  (void)ptr;
  return rf_rt_system_heap;
}

static void figures(struct rt_memory *out) {
  if (rf_rt_system_heap != NULL) {
    memcpy(out, rf_rt_system_heap, sizeof *out);
  } else {
    memset(out, 0, sizeof *out);
  }
}

#endif

static bool begin_heap(void *start, rt_size_t size) {
  struct rt_object *const heap = make_heap(start, size);
  rf_rt_lock();
  rf_rt_system_heap = heap;
  rf_rt_unlock();
  return heap != NULL;
}

/* ---- A default heap, for programs that make none ---- */

static bool is_decided; /* the program has made a heap, or the default one was made */

#if __STDC_HOSTED__

static rf_mutex the_first_lock;

/* Called before any call that needs a heap; outside the lock. */
static void ensure_heap(void) {
  static unsigned char memory[RF_RT_HEAP_SIZE] __attribute__((aligned(16)));
  if (__atomic_load_n(&is_decided, __ATOMIC_ACQUIRE)) {
    return;
  }
  rf_mutex_lock(&the_first_lock);
  rf_rt_lock();
  bool const none = !is_decided && next_heap(NULL) == NULL;
  rf_rt_unlock();
  if (none) {
    (void)begin_heap(memory, sizeof memory);
  }
  __atomic_store_n(&is_decided, true, __ATOMIC_RELEASE);
  rf_mutex_unlock(&the_first_lock);
}

#else

static void ensure_heap(void) {}

#endif

/* ---- Making it ---- */

void rt_system_heap_init(void *begin_addr, void *end_addr) {
  uintptr_t const start = (uintptr_t)begin_addr;
  uintptr_t const end = (uintptr_t)end_addr;
  __atomic_store_n(&is_decided, true, __ATOMIC_RELEASE);
  (void)rf_rt_heap_end(KIND, rf_rt_system_heap);
  if (begin_addr == NULL && end_addr == NULL) {
    return;
  }
  if (begin_addr == NULL || end < start || !begin_heap(begin_addr, end - start)) {
    rt_kprintf("rt_system_heap_init: no heap from %p to %p\n", begin_addr, end_addr);
  }
}

void rt_system_heap_init_generic(void *begin_addr, void *end_addr) {
  rt_system_heap_init(begin_addr, end_addr);
}

/* ---- Serving; inside the lock ---- */

static void *serve(rt_size_t size, size_t align, const rf_site *site) {
  void *p = NULL;
  for (struct rt_object *h = next_heap(NULL); h != NULL && p == NULL; h = next_heap(h)) {
    p = rf_alloc_at(rf_rt_calls(KIND, h), size, align, site);
    KIND->publish(h);
  }
  return p;
}

static void refuse(const void *ptr, const rf_site *site) {
  (void)rf_fault_refuse(NULL, RF_ERR_BAD_POINTER, "there is no system heap", ptr, site);
}

/* In the block's own heap, else from another. */
static void *serve_again(void *ptr, rt_size_t size, const rf_site *site) {
  struct rt_object *const h = heap_for(ptr);
  if (h == NULL) {
    refuse(ptr, site);
    return NULL;
  }
  size_t const keep = rf_usable_size(rf_rt_calls(KIND, h), ptr);
  void *p = rf_realloc_at(rf_rt_calls(KIND, h), ptr, size, RF_ALIGN_DEFAULT, site);
  KIND->publish(h);
  if (p == NULL && keep != 0 && size != 0 && size <= RF_SIZE_LIMIT && next_heap(next_heap(NULL)) != NULL) {
    p = serve(size, RF_ALIGN_DEFAULT, site);
    if (p != NULL) {
      memcpy(p, ptr, keep < size ? keep : size);
      (void)rf_free_at(rf_rt_calls(KIND, h), ptr, site);
      KIND->publish(h);
    }
  }
  return p;
}

/* ---- The calls ---- */

/* Calls the hook, which may replace the pointer of a new block. */
static void *hooked(void *p, rt_size_t size) {
  if (p != NULL && the_malloc_hook != NULL) {
    the_malloc_hook(&p, size);
  }
  if (p != NULL && the_malloc_hook4 != NULL) {
    the_malloc_hook4(p, size);
  }
  return p;
}

void *rf_rt_malloc_align_at(rt_size_t size, rt_size_t align, const rf_site *site) {
  if (size == 0) {
    return RT_NULL;
  }
  ensure_heap();
  rf_rt_lock();
  void *const p = serve(size, align, site);
  rf_rt_unlock();
  return hooked(p, size);
}

void *rf_rt_malloc_at(rt_size_t size, const rf_site *site) {
  return rf_rt_malloc_align_at(size, RF_ALIGN_DEFAULT, site);
}

void *rf_rt_calloc_at(rt_size_t count, rt_size_t size, const rf_site *site) {
  size_t total;
  if (!rf_mul(count, size, &total)) {
    ensure_heap();
    rf_rt_lock();
    const struct rt_object *const h = next_heap(NULL);
    if (h != NULL) {
      (void)rf_reject_at(rf_rt_calls(KIND, h), RF_REJECT_OVERFLOW, size, count, site);
    }
    rf_rt_unlock();
    return NULL;
  }
  void *const p = rf_rt_malloc_at(total, site);
  if (p != NULL) {
    memset(p, 0, total);
  }
  return p;
}

void rf_rt_free_at(void *ptr, const rf_site *site) {
  if (ptr == NULL) {
    return;
  }
  rf_rt_lock();
  struct rt_object *h = heap_for(ptr);
  bool const live = h != NULL && rf_usable_size(rf_rt_calls(KIND, h), ptr) != 0;
  rf_rt_unlock();
  if (live && the_free_hook != NULL) {
    the_free_hook(&ptr);
  }
  if (live && the_free_hook4 != NULL) {
    the_free_hook4(ptr);
  }
  rf_rt_lock();
  h = heap_for(ptr);
  if (h != NULL) {
    (void)rf_free_at(rf_rt_calls(KIND, h), ptr, site);
    KIND->publish(h);
  } else if (ptr != NULL) {
    refuse(ptr, site);
  }
  rf_rt_unlock();
}

void *rf_rt_realloc_at(void *ptr, rt_size_t newsize, const rf_site *site) {
  if (the_realloc_entry_hook != NULL) {
    the_realloc_entry_hook(&ptr, newsize);
  }
  if (newsize == 0) {
    rf_rt_free_at(ptr, site);
    return RT_NULL;
  }
  ensure_heap();
  rf_rt_lock();
  void *p = ptr != NULL ? serve_again(ptr, newsize, site) : serve(newsize, RF_ALIGN_DEFAULT, site);
  rf_rt_unlock();
  if (p != NULL && the_realloc_exit_hook != NULL) {
    the_realloc_exit_hook(&p, newsize);
  }
  return p;
}

char *rf_rt_strdup_at(const char *s, const rf_site *site) {
  size_t const size = s != NULL ? strlen(s) + 1 : 0;
  char *const copy = (char *)rf_rt_malloc_at(size, site);
  if (copy != NULL) {
    memcpy(copy, s, size);
  }
  return copy;
}

void *rt_malloc(rt_size_t size) {
  return rf_rt_malloc_at(size, NULL);
}

void *rt_realloc(void *ptr, rt_size_t newsize) {
  return rf_rt_realloc_at(ptr, newsize, NULL);
}

void *rt_calloc(rt_size_t count, rt_size_t size) {
  return rf_rt_calloc_at(count, size, NULL);
}

void rt_free(void *ptr) {
  rf_rt_free_at(ptr, NULL);
}

void *rt_malloc_align(rt_size_t size, rt_size_t align) {
  return rf_rt_malloc_align_at(size, align, NULL);
}

void rt_free_align(void *ptr) {
  rf_rt_free_at(ptr, NULL);
}

char *rt_strdup(const char *s) {
  return rf_rt_strdup_at(s, NULL);
}

/* ---- Pages ---- */

#ifdef RT_USING_SLAB_AS_HEAP

static rt_mem_t system_heap(void) {
  ensure_heap();
  rf_rt_lock();
  rt_mem_t const heap = (rt_mem_t)(void *)rf_rt_system_heap;
  rf_rt_unlock();
  return heap;
}

void *rt_page_alloc(rt_size_t npages) {
  return rt_slab_page_alloc(system_heap(), npages);
}

void rt_page_free(void *addr, rt_size_t npages) {
  rt_slab_page_free(system_heap(), addr, npages);
}

#endif

/* ---- Figures ---- */

void rt_memory_info(rt_size_t *total, rt_size_t *used, rt_size_t *max_used) {
  struct rt_memory all;
  ensure_heap();
  rf_rt_lock();
  figures(&all);
  rf_rt_unlock();
  if (total != NULL) {
    *total = all.total;
  }
  if (used != NULL) {
    *used = all.used;
  }
  if (max_used != NULL) {
    *max_used = all.max;
  }
}

void rf_rt_memory_info32(rt_uint32_t *total, rt_uint32_t *used, rt_uint32_t *max_used) {
  rt_size_t all;
  rt_size_t now;
  rt_size_t most;
  rt_memory_info(&all, &now, &most);
  rf_rt_narrow(total, all);
  rf_rt_narrow(used, now);
  rf_rt_narrow(max_used, most);
}

/* ---- Hooks: one of each kind, whichever version it is written for ---- */

void rt_malloc_sethook(void (*hook)(void **ptr, rt_size_t size)) {
  the_malloc_hook = hook;
  the_malloc_hook4 = NULL;
}

void rf_rt_malloc_sethook4(void (*hook)(void *ptr, rt_size_t size)) {
  the_malloc_hook = NULL;
  the_malloc_hook4 = hook;
}

void rt_realloc_set_entry_hook(void (*hook)(void **ptr, rt_size_t size)) {
  the_realloc_entry_hook = hook;
}

void rt_realloc_set_exit_hook(void (*hook)(void **ptr, rt_size_t size)) {
  the_realloc_exit_hook = hook;
}

void rt_free_sethook(void (*hook)(void **ptr)) {
  the_free_hook = hook;
  the_free_hook4 = NULL;
}

void rf_rt_free_sethook4(void (*hook)(void *ptr)) {
  the_free_hook = NULL;
  the_free_hook4 = hook;
}
