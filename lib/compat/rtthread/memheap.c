/* rt_memheap: heaps of one region each; heap.c glues them. */
#include "impl.h"

struct rt_memheap *rf_rt_memheap_of(const void *ptr) {
  struct rt_memheap *found = NULL;
  for (struct rt_object *o = rf_rt_object_next(RT_Object_Class_MemHeap, NULL); o != NULL;
       o = rf_rt_object_next(RT_Object_Class_MemHeap, o)) {
    struct rt_memheap *const h = (struct rt_memheap *)(void *)o;
    if (rf_owns(&h->heap.base, ptr) && (found == NULL || h->pool_size < found->pool_size)) {
      found = h;
    }
  }
  return found;
}

void rf_rt_memheap_note(struct rt_memheap *heap) {
  heap->available_size = heap->pool_size - heap->heap.counters.used;
  heap->max_used_size = heap->heap.counters.peak;
  rf_rt_heap_changed();
}

rt_err_t rt_memheap_init(struct rt_memheap *memheap, const char *name, void *start_addr, rt_size_t size) {
  if (memheap == NULL || start_addr == NULL) {
    return -RT_EINVAL;
  }
  (void)rt_memheap_detach(memheap); /* made a second time */
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
  if (heap == NULL || !rf_rt_object_remove(&heap->parent, RT_Object_Class_MemHeap)) {
    return -RT_EINVAL;
  }
  rf_deinit(heap->calls);
  return RT_EOK;
}

void *rf_rt_memheap_alloc_at(struct rt_memheap *heap, rt_size_t size, const rf_site *site) {
  void *p = NULL;
  rf_rt_lock();
  if (rf_rt_object_exists(heap, RT_Object_Class_MemHeap)) {
    p = rf_alloc_at(heap->calls, size, RF_ALIGN_DEFAULT, site);
    rf_rt_memheap_note(heap);
  }
  rf_rt_unlock();
  return p;
}

void *rf_rt_memheap_realloc_at(struct rt_memheap *heap, void *ptr, rt_size_t newsize, const rf_site *site) {
  void *p = NULL;
  rf_rt_lock();
  if (rf_rt_object_exists(heap, RT_Object_Class_MemHeap)) {
    p = rf_realloc_at(heap->calls, ptr, newsize, RF_ALIGN_DEFAULT, site);
    rf_rt_memheap_note(heap);
  }
  rf_rt_unlock();
  return p;
}

void rf_rt_memheap_free_at(void *ptr, const rf_site *site) {
  if (ptr == NULL) {
    return;
  }
  rf_rt_lock();
  struct rt_memheap *heap = rf_rt_memheap_of(ptr);
  if (heap == NULL) {
    heap = (struct rt_memheap *)(void *)rf_rt_object_next(RT_Object_Class_MemHeap, NULL); /* refuses it */
  }
  if (heap != NULL) {
    (void)rf_free_at(heap->calls, ptr, site);
    rf_rt_memheap_note(heap);
  } else {
    (void)rf_fault_refuse(NULL, RF_ERR_BAD_POINTER, "there is no memheap", ptr, site);
  }
  rf_rt_unlock();
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

/* What does not fit counts as the largest that does. */
static void narrow(rt_uint32_t *out, rt_size_t value) {
  if (out != NULL) {
    *out = value < RT_UINT32_MAX ? (rt_uint32_t)value : RT_UINT32_MAX;
  }
}

void rf_rt_memheap_info32(struct rt_memheap *heap, rt_uint32_t *total, rt_uint32_t *used, rt_uint32_t *max_used) {
  rt_size_t all;
  rt_size_t now;
  rt_size_t most;
  rt_memheap_info(heap, &all, &now, &most);
  narrow(total, all);
  narrow(used, now);
  narrow(max_used, most);
}
