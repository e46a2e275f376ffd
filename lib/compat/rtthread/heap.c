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

static struct rt_memheap the_memheap;
static bool is_up;
static rt_size_t the_peak; /* of what all heaps together had in use */

typedef struct rt_memheap any_heap;

/* The heap that serves after `heap`, or first for NULL: the system heap, then the others in order. */
static any_heap *next_heap(const any_heap *heap) {
  if (heap == NULL && is_up) {
    return &the_memheap;
  }
  const struct rt_object *const after = heap == NULL || heap == &the_memheap ? NULL : &heap->parent;
  struct rt_object *next = rf_rt_object_next(RT_Object_Class_MemHeap, after);
  if (next == &the_memheap.parent) {
    next = rf_rt_object_next(RT_Object_Class_MemHeap, next);
  }
  return (any_heap *)(void *)next;
}

static any_heap *heap_of(const void *ptr) {
  return rf_rt_memheap_of(ptr);
}

static void totals(rt_size_t *total, rt_size_t *used) {
  *total = 0;
  *used = 0;
  for (const any_heap *h = next_heap(NULL); h != NULL; h = next_heap(h)) {
    *total += h->pool_size;
    *used += h->pool_size - h->available_size;
  }
}

static void note(any_heap *heap) {
  rf_rt_memheap_note(heap);
}

void rf_rt_heap_changed(void) {
  rt_size_t total;
  rt_size_t used;
  totals(&total, &used);
  the_peak = the_peak < used ? used : the_peak;
}

static rt_size_t peak(void) {
  return the_peak;
}

static void end_heap(void) {
  (void)rt_memheap_detach(&the_memheap);
}

static bool begin_heap(void *start, rt_size_t size) {
  is_up = rt_memheap_init(&the_memheap, "heap", start, size) == RT_EOK;
  the_peak = 0;
  return is_up;
}

void rf_rt_heap_gone(const struct rt_object *object) {
  is_up = is_up && object != &the_memheap.parent;
}

#else

void rf_rt_heap_changed(void) {}

#ifdef RT_USING_SLAB_AS_HEAP

typedef rf_rt_slab any_heap;

static rt_mem_t make_heap(void *start, rt_size_t size) {
  return rt_slab_init("heap", start, size);
}

static rt_err_t detach_heap(any_heap *heap) {
  return rt_slab_detach(&heap->parent);
}

static void note(any_heap *heap) {
  rf_rt_slab_note(heap);
}

#else

typedef rf_rt_smem any_heap;

static rt_mem_t make_heap(void *start, rt_size_t size) {
  return rt_smem_init("heap", start, size);
}

static rt_err_t detach_heap(any_heap *heap) {
  return rt_smem_detach(&heap->parent);
}

static void note(any_heap *heap) {
  rf_rt_smem_note(heap);
}

#endif

static any_heap *the_heap;

static any_heap *next_heap(const any_heap *heap) {
  return heap == NULL ? the_heap : NULL;
}

static any_heap *heap_of(const void *ptr) {
  return the_heap != NULL && rf_owns(&the_heap->heap.base, ptr) ? the_heap : NULL;
}

static void totals(rt_size_t *total, rt_size_t *used) {
  *total = the_heap != NULL ? the_heap->parent.total : 0;
  *used = the_heap != NULL ? the_heap->parent.used : 0;
}

static rt_size_t peak(void) {
  return the_heap != NULL ? the_heap->parent.max : 0;
}

static void end_heap(void) {
  if (the_heap != NULL) {
    (void)detach_heap(the_heap);
  }
}

static bool begin_heap(void *start, rt_size_t size) {
  the_heap = (any_heap *)(void *)make_heap(start, size);
  return the_heap != NULL;
}

void rf_rt_heap_gone(const struct rt_object *object) {
  the_heap = the_heap != NULL && object == &the_heap->parent.parent ? NULL : the_heap;
}

#endif

/* ---- A heap where nobody makes one ---- */

static bool is_settled; /* somebody has, or we have */

#if __STDC_HOSTED__

static rf_mutex the_first_lock;

/* Before a call that needs one; outside the lock. */
static void settle(void) {
  static unsigned char memory[RF_RT_HEAP_SIZE] __attribute__((aligned(16)));
  if (__atomic_load_n(&is_settled, __ATOMIC_ACQUIRE)) {
    return;
  }
  rf_mutex_lock(&the_first_lock);
  rf_rt_lock();
  bool const none = !is_settled && next_heap(NULL) == NULL;
  rf_rt_unlock();
  if (none) {
    (void)begin_heap(memory, sizeof memory);
  }
  __atomic_store_n(&is_settled, true, __ATOMIC_RELEASE);
  rf_mutex_unlock(&the_first_lock);
}

#else

static void settle(void) {}

#endif

/* ---- Making it ---- */

void rt_system_heap_init(void *begin_addr, void *end_addr) {
  uintptr_t const start = (uintptr_t)begin_addr;
  uintptr_t const end = (uintptr_t)end_addr;
  __atomic_store_n(&is_settled, true, __ATOMIC_RELEASE);
  end_heap();
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
  for (any_heap *h = next_heap(NULL); h != NULL && p == NULL; h = next_heap(h)) {
    p = rf_alloc_at(h->calls, size, align, site);
    note(h);
  }
  return p;
}

/* The heap of a block. What lies in none goes to the first, which knows how to refuse it: its checker, if it has one, makes
 * a finding of it. */
static any_heap *heap_for(const void *ptr) {
  any_heap *const h = heap_of(ptr);
  return h != NULL ? h : next_heap(NULL);
}

static void refuse(const void *ptr, const rf_site *site) {
  (void)rf_fault_refuse(NULL, RF_ERR_BAD_POINTER, "there is no system heap", ptr, site);
}

/* In the block's own heap, else from another. */
static void *serve_again(void *ptr, rt_size_t size, const rf_site *site) {
  any_heap *const h = heap_for(ptr);
  if (h == NULL) {
    refuse(ptr, site);
    return NULL;
  }
  size_t const keep = rf_usable_size(h->calls, ptr);
  void *p = rf_realloc_at(h->calls, ptr, size, RF_ALIGN_DEFAULT, site);
  note(h);
  if (p == NULL && keep != 0 && size != 0 && size <= RF_SIZE_LIMIT && next_heap(next_heap(NULL)) != NULL) {
    p = serve(size, RF_ALIGN_DEFAULT, site);
    if (p != NULL) {
      memcpy(p, ptr, keep < size ? keep : size);
      (void)rf_free_at(h->calls, ptr, site);
      note(h);
    }
  }
  return p;
}

/* ---- The calls ---- */

/* What the hook makes of a new block. */
static void *hooked(void *p, rt_size_t size) {
  if (p != NULL && the_malloc_hook != NULL) {
    the_malloc_hook(&p, size);
  }
  if (p != NULL && the_malloc_hook4 != NULL) {
    the_malloc_hook4(p, size);
  }
  return p;
}

void *rf_rt_malloc_at(rt_size_t size, const rf_site *site) {
  if (size == 0) {
    return RT_NULL;
  }
  settle();
  rf_rt_lock();
  void *const p = serve(size, RF_ALIGN_DEFAULT, site);
  rf_rt_unlock();
  return hooked(p, size);
}

void *rf_rt_calloc_at(rt_size_t count, rt_size_t size, const rf_site *site) {
  size_t total;
  rf_rt_lock();
  const any_heap *const h = next_heap(NULL);
  bool const fits = rf_mul(count, size, &total);
  if (!fits && h != NULL) {
    (void)rf_reject_at(h->calls, RF_REJECT_OVERFLOW, size, count, site);
  }
  rf_rt_unlock();
  void *const p = fits ? rf_rt_malloc_at(total, site) : NULL;
  if (p != NULL) {
    memset(p, 0, total);
  }
  return p;
}

void *rf_rt_malloc_align_at(rt_size_t size, rt_size_t align, const rf_site *site) {
  if (size == 0) {
    return RT_NULL;
  }
  settle();
  rf_rt_lock();
  void *const p = serve(size, align, site);
  rf_rt_unlock();
  return hooked(p, size);
}

void rf_rt_free_at(void *ptr, const rf_site *site) {
  if (ptr == NULL) {
    return;
  }
  rf_rt_lock();
  any_heap *h = heap_for(ptr);
  bool const live = h != NULL && rf_usable_size(h->calls, ptr) != 0;
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
    (void)rf_free_at(h->calls, ptr, site);
    note(h);
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
  settle();
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
  settle();
  rf_rt_lock();
  any_heap *const h = next_heap(NULL);
  rf_rt_unlock();
  return h != NULL ? &h->parent : NULL;
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
  rt_size_t all;
  rt_size_t now;
  settle();
  rf_rt_lock();
  totals(&all, &now);
  rt_size_t const most = peak();
  rf_rt_unlock();
  if (total != NULL) {
    *total = all;
  }
  if (used != NULL) {
    *used = now;
  }
  if (max_used != NULL) {
    *max_used = most;
  }
}

/* What does not fit counts as the largest that does. */
static void narrow(rt_uint32_t *out, rt_size_t value) {
  if (out != NULL) {
    *out = value < RT_UINT32_MAX ? (rt_uint32_t)value : RT_UINT32_MAX;
  }
}

void rf_rt_memory_info32(rt_uint32_t *total, rt_uint32_t *used, rt_uint32_t *max_used) {
  rt_size_t all;
  rt_size_t now;
  rt_size_t most;
  rt_memory_info(&all, &now, &most);
  narrow(total, all);
  narrow(used, now);
  narrow(max_used, most);
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
