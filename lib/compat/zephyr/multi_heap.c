#define RINGFENCE_ZEPHYR_IMPL
#include <ringfence/zephyr/sys/multi_heap.h>
#include <string.h>

void sys_multi_heap_init(struct sys_multi_heap *heap, sys_multi_heap_fn_t choice_fn) {
  memset(heap, 0, sizeof *heap);
  heap->choice = choice_fn;
}

void sys_multi_heap_add_heap(struct sys_multi_heap *mheap, struct sys_heap *heap, void *user_data) {
  if (mheap->nheaps == MAX_MULTI_HEAPS) {
    (void)rf_fault_refuse(heap->calls, RF_ERR_INVALID, "one heap too many for a multi heap", heap, NULL);
    return;
  }
  unsigned at = mheap->nheaps;
  for (; at != 0 && (uintptr_t)mheap->heaps[at - 1].heap->init_mem > (uintptr_t)heap->init_mem; at--) {
    mheap->heaps[at] = mheap->heaps[at - 1];
  }
  mheap->heaps[at] = (struct sys_multi_heap_rec){heap, user_data};
  mheap->nheaps++;
}

void *sys_multi_heap_aligned_alloc(struct sys_multi_heap *mheap, void *cfg, size_t align, size_t bytes) {
  return bytes != 0 ? mheap->choice(mheap, cfg, align, bytes) : NULL;
}

void *sys_multi_heap_alloc(struct sys_multi_heap *mheap, void *cfg, size_t bytes) {
  return sys_multi_heap_aligned_alloc(mheap, cfg, 0, bytes);
}

/* A checker may keep blocks outside the heap's memory. */
static bool owns(struct sys_heap *heap, const void *addr) {
  rf_allocator *const calls = rf_zephyr_allocator(heap);
  return (uintptr_t)addr - (uintptr_t)heap->init_mem < heap->init_bytes || (calls != NULL && rf_owns(calls, addr));
}

const struct sys_multi_heap_rec *sys_multi_heap_get_heap(const struct sys_multi_heap *mheap, void *addr) {
  for (unsigned i = 0; i < mheap->nheaps; i++) {
    if (owns(mheap->heaps[i].heap, addr)) {
      return &mheap->heaps[i];
    }
  }
  return NULL;
}

/* The block's heap; NULL, reported, where it is in none. */
static struct sys_heap *heap_of(const struct sys_multi_heap *mheap, void *block) {
  const struct sys_multi_heap_rec *const rec = sys_multi_heap_get_heap(mheap, block);
  if (rec == NULL) {
    (void)rf_fault_refuse(NULL, RF_ERR_BAD_POINTER, "pointer from elsewhere", block, NULL);
    return NULL;
  }
  return rec->heap;
}

void sys_multi_heap_free(struct sys_multi_heap *mheap, void *block) {
  struct sys_heap *const heap = block != NULL ? heap_of(mheap, block) : NULL;
  if (heap != NULL) {
    sys_heap_free(heap, block);
  }
}

/* To where the choice function says. */
static void *move(struct sys_multi_heap *mheap, void *cfg, struct sys_heap *from, void *ptr, size_t align,
                  size_t bytes) {
  size_t const usable = sys_heap_usable_size(from, ptr);
  void *const p = usable != 0 ? sys_multi_heap_aligned_alloc(mheap, cfg, align, bytes) : NULL;
  if (p != NULL) {
    memcpy(p, ptr, MIN(usable, bytes));
    sys_heap_free(from, ptr);
  }
  return p;
}

void *sys_multi_heap_aligned_realloc(struct sys_multi_heap *mheap, void *cfg, void *ptr, size_t align, size_t bytes) {
  if (ptr == NULL) {
    return sys_multi_heap_aligned_alloc(mheap, cfg, align, bytes);
  }
  struct sys_heap *const heap = heap_of(mheap, ptr);
  if (heap == NULL) {
    return NULL;
  }
  void *const p = sys_heap_aligned_realloc(heap, ptr, align, bytes);
  return p == NULL && bytes != 0 ? move(mheap, cfg, heap, ptr, align, bytes) : p;
}
