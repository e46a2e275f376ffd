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

static void set_site(struct sys_multi_heap *mheap, const rf_site *site) {
  for (unsigned i = 0; i < mheap->nheaps; i++) {
    mheap->heaps[i].heap->site = site;
  }
}

/* The choice function may be any, and knows of no sites. */
void *rf_zephyr_multi_alloc_at(struct sys_multi_heap *mheap, void *cfg, size_t align, size_t bytes,
                               const rf_site *site) {
  if (bytes == 0) {
    return NULL;
  }
  set_site(mheap, site);
  void *const p = mheap->choice(mheap, cfg, align, bytes);
  set_site(mheap, NULL);
  return p;
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
static struct sys_heap *heap_of(const struct sys_multi_heap *mheap, void *block, const rf_site *site) {
  const struct sys_multi_heap_rec *const rec = sys_multi_heap_get_heap(mheap, block);
  if (rec == NULL) {
    (void)rf_fault_refuse(NULL, RF_ERR_BAD_POINTER, "pointer from elsewhere", block, site);
    return NULL;
  }
  return rec->heap;
}

void rf_zephyr_multi_free_at(struct sys_multi_heap *mheap, void *block, const rf_site *site) {
  struct sys_heap *const heap = block != NULL ? heap_of(mheap, block, site) : NULL;
  if (heap != NULL) {
    rf_zephyr_free_at(heap, block, site);
  }
}

/* To where the choice function says. */
static void *move(struct sys_multi_heap *mheap, void *cfg, struct sys_heap *from, void *ptr, size_t align, size_t bytes,
                  const rf_site *site) {
  size_t const usable = sys_heap_usable_size(from, ptr);
  void *const p = usable != 0 ? rf_zephyr_multi_alloc_at(mheap, cfg, align, bytes, site) : NULL;
  if (p != NULL) {
    memcpy(p, ptr, MIN(usable, bytes));
    rf_zephyr_free_at(from, ptr, site);
  }
  return p;
}

void *rf_zephyr_multi_realloc_at(struct sys_multi_heap *mheap, void *cfg, void *ptr, size_t align, size_t bytes,
                                 const rf_site *site) {
  if (ptr == NULL) {
    return rf_zephyr_multi_alloc_at(mheap, cfg, align, bytes, site);
  }
  struct sys_heap *const heap = heap_of(mheap, ptr, site);
  if (heap == NULL) {
    return NULL;
  }
  void *const p = rf_zephyr_realloc_at(heap, ptr, align, bytes, site);
  return p == NULL && bytes != 0 ? move(mheap, cfg, heap, ptr, align, bytes, site) : p;
}

/* ---- Without sites ---- */

void *sys_multi_heap_aligned_alloc(struct sys_multi_heap *mheap, void *cfg, size_t align, size_t bytes) {
  return rf_zephyr_multi_alloc_at(mheap, cfg, align, bytes, NULL);
}

void *sys_multi_heap_alloc(struct sys_multi_heap *mheap, void *cfg, size_t bytes) {
  return rf_zephyr_multi_alloc_at(mheap, cfg, 0, bytes, NULL);
}

void *sys_multi_heap_aligned_realloc(struct sys_multi_heap *mheap, void *cfg, void *ptr, size_t align, size_t bytes) {
  return rf_zephyr_multi_realloc_at(mheap, cfg, ptr, align, bytes, NULL);
}

void sys_multi_heap_free(struct sys_multi_heap *mheap, void *block) {
  rf_zephyr_multi_free_at(mheap, block, NULL);
}
