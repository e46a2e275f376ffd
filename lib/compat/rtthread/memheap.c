/* rt_memheap: heaps of one region each; heap.c makes one heap of all of them. */
#include "../shared.h"
#include "impl.h"

static rt_size_t the_peak; /* of all memheaps together */

void rf_rt_memheap_totals(struct rt_memory *out) {
  memset(out, 0, sizeof *out);
  for (struct rt_object *o = rf_rt_heap_next(&rf_rt_memheap_kind, NULL); o != NULL;
       o = rf_rt_heap_next(&rf_rt_memheap_kind, o)) {
    const struct rt_memheap *const h = (const struct rt_memheap *)(const void *)o;
    out->total += h->pool_size;
    out->used += h->pool_size - h->available_size;
  }
  the_peak = the_peak < out->used ? out->used : the_peak;
  out->max = the_peak;
}

void rf_rt_memheap_reset_peak(void) {
  the_peak = 0;
}

static void publish(struct rt_object *object) {
  struct rt_memheap *const heap = (struct rt_memheap *)(void *)object;
  rf_counters const c = rf_compat_counters(heap->calls, &heap->heap.counters);
  heap->available_size = heap->pool_size - c.used;
  heap->max_used_size = c.peak;
#ifdef RT_USING_MEMHEAP_AS_HEAP
  struct rt_memory all;
  rf_rt_memheap_totals(&all);
#endif
}

const rf_rt_kind rf_rt_memheap_kind = {RT_Object_Class_MemHeap, NULL, offsetof(struct rt_memheap, calls), publish,
                                       "there is no memheap"};

rt_err_t rt_memheap_init(struct rt_memheap *memheap, const char *name, void *start_addr, rt_size_t size) {
  if (memheap == NULL || start_addr == NULL) {
    return -RT_EINVAL;
  }
  (void)rt_memheap_detach(memheap); /* initialised a second time */
  memset(memheap, 0, sizeof *memheap);
  (void)rf_memheap_init(&memheap->heap);
  if (rf_memheap_add(&memheap->heap, &memheap->region, memheap->parent.name, start_addr, size) != RF_OK) {
    return -RT_EINVAL;
  }
  memheap->start_addr = start_addr;
  memheap->pool_size = size;
  memheap->calls = rf_rt_wrapped(&memheap->heap.base, name);
  memheap->available_size = size;
  rf_rt_object_add(&memheap->parent, RT_Object_Class_MemHeap, name);
  return RT_EOK;
}

rt_err_t rt_memheap_detach(struct rt_memheap *heap) {
  return rf_rt_heap_end(&rf_rt_memheap_kind, heap);
}

void *rf_rt_memheap_alloc_at(struct rt_memheap *heap, rt_size_t size, const rf_site *site) {
  return rf_rt_heap_realloc(&rf_rt_memheap_kind, heap, NULL, size, site);
}

void *rf_rt_memheap_realloc_at(struct rt_memheap *heap, void *ptr, rt_size_t newsize, const rf_site *site) {
  return rf_rt_heap_realloc(&rf_rt_memheap_kind, heap, ptr, newsize, site);
}

void rf_rt_memheap_free_at(void *ptr, const rf_site *site) {
  rf_rt_heap_free_owned(&rf_rt_memheap_kind, ptr, site);
}

void *rt_memheap_alloc(struct rt_memheap *heap, rt_size_t size) {
  return rf_rt_memheap_alloc_at(heap, size, NULL);
}

void *rt_memheap_realloc(struct rt_memheap *heap, void *ptr, rt_size_t newsize) {
  return rf_rt_memheap_realloc_at(heap, ptr, newsize, NULL);
}

void rt_memheap_free(void *ptr) {
  rf_rt_memheap_free_at(ptr, NULL);
}

void rt_memheap_info(struct rt_memheap *heap, rt_size_t *total, rt_size_t *used, rt_size_t *max_used) {
  rf_rt_lock();
  if (total != NULL) {
    *total = heap->pool_size;
  }
  if (used != NULL) {
    *used = heap->pool_size - heap->available_size;
  }
  if (max_used != NULL) {
    *max_used = heap->max_used_size;
  }
  rf_rt_unlock();
}

void rf_rt_memheap_info32(struct rt_memheap *heap, rt_uint32_t *total, rt_uint32_t *used, rt_uint32_t *max_used) {
  rt_size_t all;
  rt_size_t now;
  rt_size_t most;
  rt_memheap_info(heap, &all, &now, &most);
  rf_rt_narrow(total, all);
  rf_rt_narrow(used, now);
  rf_rt_narrow(max_used, most);
}
