/* rt_smem: small-memory heaps. */
#include "../shared.h"
#include "impl.h"

static void publish(struct rt_object *heap) {
  rf_rt_smem *const m = (rf_rt_smem *)(void *)heap;
  rf_counters const c = rf_compat_counters(m->calls, &m->heap.counters);
  m->parent.used = c.used;
  m->parent.max = c.peak;
  m->lfree = m->heap_ptr + m->heap.blocks.free;
}

const rf_rt_kind rf_rt_smem_kind = {RT_Object_Class_Memory, "small", offsetof(rf_rt_smem, calls), publish,
                                    "there is no small-memory heap"};

rt_smem_t rt_smem_init(const char *name, void *begin_addr, rt_size_t size) {
  size_t const skip = rf_align_gap(begin_addr, RF_ALIGN_DEFAULT);
  rf_rt_smem *const m = (rf_rt_smem *)((uintptr_t)begin_addr + skip);
  rf_smallmem heap;
  rf_rt_memory_end(m);
  if (begin_addr == NULL || size < skip || size - skip < sizeof *m ||
      rf_smallmem_init_owned(&heap, m + 1, size - skip - sizeof *m, rf_rt_owner) != RF_OK) {
    rt_kprintf("rt_smem_init: no heap of %lu bytes at %p\n", size, begin_addr);
    return RT_NULL;
  }
  memset(m, 0, sizeof *m);
  m->heap = heap;
  m->heap_ptr = heap.blocks.start;
  m->heap_end = heap.blocks.start + heap.blocks.limit;
  m->mem_size_aligned = heap.blocks.limit - heap.blocks.header;
  m->lfree = m->heap_ptr + heap.blocks.free;
  m->calls = rf_rt_wrapped(&m->heap.base, name);
  rf_rt_memory_add(&rf_rt_smem_kind, &m->parent, name, m->heap_ptr, heap.blocks.limit);
  return &m->parent;
}

rt_err_t rt_smem_detach(rt_smem_t m) {
  return rf_rt_heap_end(&rf_rt_smem_kind, m);
}

void *rf_rt_smem_alloc_at(rt_smem_t m, rt_size_t size, const rf_site *site) {
  return size != 0 ? rf_rt_heap_realloc(&rf_rt_smem_kind, m, NULL, size, site) : NULL;
}

void *rf_rt_smem_realloc_at(rt_smem_t m, void *rmem, rt_size_t newsize, const rf_site *site) {
  return rmem != NULL || newsize != 0 ? rf_rt_heap_realloc(&rf_rt_smem_kind, m, rmem, newsize, site) : NULL;
}

void rf_rt_smem_free_at(void *rmem, const rf_site *site) {
  rf_rt_heap_free_owned(&rf_rt_smem_kind, rmem, site);
}

void *rt_smem_alloc(rt_smem_t m, rt_size_t size) {
  return rf_rt_smem_alloc_at(m, size, NULL);
}

void *rt_smem_realloc(rt_smem_t m, void *rmem, rt_size_t newsize) {
  return rf_rt_smem_realloc_at(m, rmem, newsize, NULL);
}

void rt_smem_free(void *rmem) {
  rf_rt_smem_free_at(rmem, NULL);
}
