/* rt_smem: small-memory heaps. */
#include "impl.h"

rf_rt_smem *rf_rt_smem_of(const void *ptr) {
  rf_rt_smem *found = NULL;
  for (struct rt_memory *next = rf_rt_memory_next(rf_rt_small, NULL); next != NULL;
       next = rf_rt_memory_next(rf_rt_small, next)) {
    rf_rt_smem *const m = (rf_rt_smem *)(void *)next;
    if (rf_owns(&m->heap.base, ptr) && (found == NULL || m->parent.total < found->parent.total)) {
      found = m;
    }
  }
  return found;
}

void rf_rt_smem_note(rf_rt_smem *m) {
  m->parent.used = m->heap.counters.used;
  m->parent.max = m->heap.counters.peak;
  m->lfree = m->heap_ptr + m->heap.blocks.free;
}

/* The heap behind `m`, any pointer; inside the lock. */
static rf_rt_smem *smem_of_handle(rt_smem_t m) {
  return rf_rt_memory_exists(m, rf_rt_small) ? (rf_rt_smem *)(void *)m : NULL;
}

rt_smem_t rt_smem_init(const char *name, void *begin_addr, rt_size_t size) {
  size_t const skip = rf_align_gap(begin_addr, RF_ALIGN_DEFAULT);
  rf_rt_smem *const m = (rf_rt_smem *)((uintptr_t)begin_addr + skip);
  rf_smallmem heap;
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
  rf_rt_memory_add(&m->parent, rf_rt_small, name, m->heap_ptr, heap.blocks.limit);
  return &m->parent;
}

rt_err_t rt_smem_detach(rt_smem_t m) {
  rf_rt_lock();
  bool const known = rf_rt_memory_exists(m, rf_rt_small);
  rf_rt_unlock();
  if (!known || !rf_rt_object_remove(&m->parent, RT_Object_Class_Memory)) {
    return -RT_EINVAL;
  }
  rf_deinit(((rf_rt_smem *)(void *)m)->calls);
  return RT_EOK;
}

void *rf_rt_smem_alloc_at(rt_smem_t m, rt_size_t size, const rf_site *site) {
  void *p = NULL;
  rf_rt_lock();
  rf_rt_smem *const heap = smem_of_handle(m);
  if (heap != NULL && size != 0) {
    p = rf_alloc_at(heap->calls, size, RF_ALIGN_DEFAULT, site);
    rf_rt_smem_note(heap);
  }
  rf_rt_unlock();
  return p;
}

void *rf_rt_smem_realloc_at(rt_smem_t m, void *rmem, rt_size_t newsize, const rf_site *site) {
  void *p = NULL;
  rf_rt_lock();
  rf_rt_smem *const heap = smem_of_handle(m);
  if (heap != NULL && (rmem != NULL || newsize != 0)) {
    p = rf_realloc_at(heap->calls, rmem, newsize, RF_ALIGN_DEFAULT, site);
    rf_rt_smem_note(heap);
  }
  rf_rt_unlock();
  return p;
}

void rf_rt_smem_free_at(void *rmem, const rf_site *site) {
  if (rmem == NULL) {
    return;
  }
  rf_rt_lock();
  rf_rt_smem *heap = rf_rt_smem_of(rmem);
  if (heap == NULL) {
    heap = (rf_rt_smem *)(void *)rf_rt_memory_next(rf_rt_small, NULL); /* refuses it */
  }
  if (heap != NULL) {
    (void)rf_free_at(heap->calls, rmem, site);
    rf_rt_smem_note(heap);
  } else {
    (void)rf_fault_refuse(NULL, RF_ERR_BAD_POINTER, "there is no small-memory heap", rmem, site);
  }
  rf_rt_unlock();
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
