/* rt_slab: heaps of zones and pages. */
#include "../shared.h"
#include "impl.h"

static void publish(struct rt_object *heap) {
  rf_rt_slab *const m = (rf_rt_slab *)(void *)heap;
  rf_counters const c = rf_compat_counters(m->calls, &m->heap.counters);
  m->parent.used = c.used;
  m->parent.max = c.peak;
}

const rf_rt_kind rf_rt_slab_kind = {RT_Object_Class_Memory, "slab", offsetof(rf_rt_slab, calls), publish,
                                    "there is no such slab heap"};

rt_slab_t rt_slab_init(const char *name, void *begin_addr, rt_size_t size) {
  size_t const skip = rf_align_gap(begin_addr, RF_ALIGN_DEFAULT);
  rf_rt_slab *const m = (rf_rt_slab *)((uintptr_t)begin_addr + skip);
  rf_slab heap;
  rf_rt_memory_end(m);
  if (begin_addr == NULL || size < skip || size - skip < sizeof *m ||
      rf_slab_init_paged(&heap, m + 1, size - skip - sizeof *m, RT_MM_PAGE_SIZE) != RF_OK) {
    rt_kprintf("rt_slab_init: no heap of %lu bytes at %p\n", size, begin_addr);
    return RT_NULL;
  }
  memset(m, 0, sizeof *m);
  m->heap = heap;
  m->calls = rf_rt_wrapped(&m->heap.base, name);
  rf_rt_memory_add(&rf_rt_slab_kind, &m->parent, name, heap.pages, (size_t)heap.count * RT_MM_PAGE_SIZE);
  return &m->parent;
}

rt_err_t rt_slab_detach(rt_slab_t m) {
  return rf_rt_heap_end(&rf_rt_slab_kind, m);
}

/* ---- Pages ---- */

void *rt_slab_page_alloc(rt_slab_t m, rt_size_t npages) {
  void *p = NULL;
  rf_rt_lock();
  if (rf_rt_heap_exists(&rf_rt_slab_kind, m)) {
    p = rf_slab_alloc_pages(&((rf_rt_slab *)(void *)m)->heap, npages, NULL);
    publish(&m->parent);
  }
  rf_rt_unlock();
  return p;
}

void rt_slab_page_free(rt_slab_t m, void *addr, rt_size_t npages) {
  rf_rt_lock();
  if (rf_rt_heap_exists(&rf_rt_slab_kind, m)) {
    (void)rf_slab_free_pages(&((rf_rt_slab *)(void *)m)->heap, addr, npages, NULL);
    publish(&m->parent);
  } else if (addr != NULL) {
    (void)rf_fault_refuse(NULL, RF_ERR_BAD_POINTER, rf_rt_slab_kind.missing, addr, NULL);
  }
  rf_rt_unlock();
}

/* ---- Blocks ---- */

void *rf_rt_slab_alloc_at(rt_slab_t m, rt_size_t size, const rf_site *site) {
  return size != 0 ? rf_rt_heap_realloc(&rf_rt_slab_kind, m, NULL, size, site) : NULL;
}

void *rf_rt_slab_realloc_at(rt_slab_t m, void *ptr, rt_size_t size, const rf_site *site) {
  return ptr != NULL || size != 0 ? rf_rt_heap_realloc(&rf_rt_slab_kind, m, ptr, size, site) : NULL;
}

void rf_rt_slab_free_at(rt_slab_t m, void *ptr, const rf_site *site) {
  rf_rt_heap_free(&rf_rt_slab_kind, m, ptr, site);
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
