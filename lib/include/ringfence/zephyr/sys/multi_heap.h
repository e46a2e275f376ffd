/* Zephyr: several heaps behind one, of which a function of yours chooses.
 *
 * Threads and interrupts: none; put a lock of yours around it.
 */
#ifndef RINGFENCE_ZEPHYR_SYS_MULTI_HEAP_H
#define RINGFENCE_ZEPHYR_SYS_MULTI_HEAP_H

#include <ringfence/zephyr/sys/sys_heap.h>
#include <ringfence/zephyr/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MAX_MULTI_HEAPS 8

struct sys_multi_heap;

/* Allocates from one of the heaps, by what `cfg` means to you. `align` 0: none asked for. */
typedef void *(*sys_multi_heap_fn_t)(struct sys_multi_heap *mheap, void *cfg, size_t align, size_t size);

struct sys_multi_heap_rec {
  struct sys_heap *heap;
  void *user_data;
};

/* The caller's storage. `heaps` is in order of address. */
struct sys_multi_heap {
  unsigned int nheaps;
  sys_multi_heap_fn_t choice;
  struct sys_multi_heap_rec heaps[MAX_MULTI_HEAPS];
};

/* One without heaps. */
void sys_multi_heap_init(struct sys_multi_heap *heap, sys_multi_heap_fn_t choice_fn);

/* Adds a heap that was made. One more than MAX_MULTI_HEAPS is refused and reported (fault.h). */
void sys_multi_heap_add_heap(struct sys_multi_heap *mheap, struct sys_heap *heap, void *user_data);

/* The result of the choice function; NULL for 0 bytes. */
void *sys_multi_heap_alloc(struct sys_multi_heap *mheap, void *cfg, size_t bytes);
void *sys_multi_heap_aligned_alloc(struct sys_multi_heap *mheap, void *cfg, size_t align, size_t bytes);

/* The heap that `addr` lies in; NULL where it is in none. */
const struct sys_multi_heap_rec *sys_multi_heap_get_heap(const struct sys_multi_heap *mheap, void *addr);

/* Gives a block back to its heap. NULL does nothing; what is no live block is refused and reported. */
void sys_multi_heap_free(struct sys_multi_heap *mheap, void *block);

/* Resizes, in the block's own heap where there is room, else where the choice function says. NULL allocates; 0 bytes
 * free and give NULL; failure gives NULL and keeps the block. */
void *sys_multi_heap_aligned_realloc(struct sys_multi_heap *mheap, void *cfg, void *ptr, size_t align, size_t bytes);
#define sys_multi_heap_realloc(mheap, cfg, ptr, bytes) sys_multi_heap_aligned_realloc((mheap), (cfg), (ptr), 0, (bytes))

/* ---- Additions ---- */

/* The calls with their site as an argument. It is that of a block which the choice function allocates, too. */
void *rf_zephyr_multi_alloc_at(struct sys_multi_heap *mheap, void *cfg, size_t align, size_t bytes,
                               const rf_site *site);
void *rf_zephyr_multi_realloc_at(struct sys_multi_heap *mheap, void *cfg, void *ptr, size_t align, size_t bytes,
                                 const rf_site *site);
void rf_zephyr_multi_free_at(struct sys_multi_heap *mheap, void *block, const rf_site *site);

#ifdef __cplusplus
}
#endif

#if RF_SITES && !defined(RINGFENCE_ZEPHYR_IMPL)
#define sys_multi_heap_alloc(mheap, cfg, bytes) rf_zephyr_multi_alloc_at((mheap), (cfg), 0, (bytes), RF_HERE)
#define sys_multi_heap_aligned_alloc(mheap, cfg, align, bytes)                                                         \
  rf_zephyr_multi_alloc_at((mheap), (cfg), (align), (bytes), RF_HERE)
#define sys_multi_heap_aligned_realloc(mheap, cfg, ptr, align, bytes)                                                  \
  rf_zephyr_multi_realloc_at((mheap), (cfg), (ptr), (align), (bytes), RF_HERE)
#define sys_multi_heap_free(mheap, block) rf_zephyr_multi_free_at((mheap), (block), RF_HERE)
#endif

#endif /* RINGFENCE_ZEPHYR_SYS_MULTI_HEAP_H */
