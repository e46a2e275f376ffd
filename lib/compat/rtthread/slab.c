/* rt_slab: heaps of zones and pages. */
#include "impl.h"

void rf_rt_slab_note(rf_rt_slab *m) {
  m->parent.used = m->heap.counters.used;
  m->parent.max = m->heap.counters.peak;
}

/* The heap behind `m`, any pointer; inside the lock. */
static rf_rt_slab *slab_of_handle(rt_slab_t m) {
  return rf_rt_memory_exists(m, rf_rt_slabs) ? (rf_rt_slab *)(void *)m : NULL;
}

rt_slab_t rt_slab_init(const char *name, void *begin_addr, rt_size_t size) {
  size_t const skip = rf_align_gap(begin_addr, RF_ALIGN_DEFAULT);
  rf_rt_slab *const m = (rf_rt_slab *)((uintptr_t)begin_addr + skip);
  rf_slab heap;
  if (begin_addr == NULL || size < skip || size - skip < sizeof *m ||
      rf_slab_init_paged(&heap, m + 1, size - skip - sizeof *m, RT_MM_PAGE_SIZE) != RF_OK) {
    rt_kprintf("rt_slab_init: no heap of %lu bytes at %p\n", size, begin_addr);
    return RT_NULL;
  }
  memset(m, 0, sizeof *m);
  m->heap = heap;
  m->calls = rf_rt_wrapped(&m->heap.base, name);
  rf_rt_memory_add(&m->parent, rf_rt_slabs, name, heap.pages, (size_t)heap.count * RT_MM_PAGE_SIZE);
  return &m->parent;
}

rt_err_t rt_slab_detach(rt_slab_t m) {
  rf_rt_lock();
  bool const known = slab_of_handle(m) != NULL;
  rf_rt_unlock();
  if (!known || !rf_rt_object_remove(&m->parent, RT_Object_Class_Memory)) {
    return -RT_EINVAL;
  }
  rf_deinit(((rf_rt_slab *)(void *)m)->calls);
  return RT_EOK;
}

/* ---- Pages ---- */

void *rt_slab_page_alloc(rt_slab_t m, rt_size_t npages) {
  void *p = NULL;
  rf_rt_lock();
  rf_rt_slab *const heap = slab_of_handle(m);
  if (heap != NULL) {
    p = rf_slab_alloc_pages(&heap->heap, npages, NULL);
    rf_rt_slab_note(heap);
  }
  rf_rt_unlock();
  return p;
}

void rt_slab_page_free(rt_slab_t m, void *addr, rt_size_t npages) {
  rf_rt_lock();
  rf_rt_slab *const heap = slab_of_handle(m);
  if (heap != NULL) {
    (void)rf_slab_free_pages(&heap->heap, addr, npages, NULL);
    rf_rt_slab_note(heap);
  } else if (addr != NULL) {
    (void)rf_fault_refuse(NULL, RF_ERR_BAD_POINTER, "there is no such slab heap", addr, NULL);
  }
  rf_rt_unlock();
}

/* ---- Blocks ---- */

void *rf_rt_slab_alloc_at(rt_slab_t m, rt_size_t size, const rf_site *site) {
  void *p = NULL;
  rf_rt_lock();
  rf_rt_slab *const heap = slab_of_handle(m);
  if (heap != NULL && size != 0) {
    p = rf_alloc_at(heap->calls, size, RF_ALIGN_DEFAULT, site);
    rf_rt_slab_note(heap);
  }
  rf_rt_unlock();
  return p;
}

void *rf_rt_slab_realloc_at(rt_slab_t m, void *ptr, rt_size_t size, const rf_site *site) {
  void *p = NULL;
  rf_rt_lock();
  rf_rt_slab *const heap = slab_of_handle(m);
  if (heap != NULL && (ptr != NULL || size != 0)) {
    p = rf_realloc_at(heap->calls, ptr, size, RF_ALIGN_DEFAULT, site);
    rf_rt_slab_note(heap);
  }
  rf_rt_unlock();
  return p;
}

void rf_rt_slab_free_at(rt_slab_t m, void *ptr, const rf_site *site) {
  if (ptr == NULL) {
    return;
  }
  rf_rt_lock();
  rf_rt_slab *const heap = slab_of_handle(m);
  if (heap != NULL) {
    (void)rf_free_at(heap->calls, ptr, site);
    rf_rt_slab_note(heap);
  } else {
    (void)rf_fault_refuse(NULL, RF_ERR_BAD_POINTER, "there is no such slab heap", ptr, site);
  }
  rf_rt_unlock();
}

void *rt_slab_alloc(rt_slab_t m, rt_size_t size) {
  return rf_rt_slab_alloc_at(m, size, NULL);
}

void *rt_slab_realloc(rt_slab_t m, void *ptr, rt_size_t size) {
  return rf_rt_slab_realloc_at(m, ptr, size, NULL);
}

void rt_slab_free(rt_slab_t m, void *ptr) {
  rf_rt_slab_free_at(m, ptr, NULL);
}
