/* tlsf: the default heap. Two-level segregated fit: every request takes about the same, short time.
 *
 *     static unsigned char arena[64 * 1024];
 *     rf_tlsf heap;
 *     if (rf_tlsf_init(&heap, arena, sizeof arena) == RF_OK) {
 *       char *p = rf_alloc(&heap.base, 13);
 *
 * Algorithm: TLSF (M. Masmano, I. Ripoll, A. Crespo, J. Real: TLSF: a new dynamic memory allocator for real-time
 *   systems, ECRTS 2004). Free blocks are in lists by size, one list for each size up to 12 granules, two for each
 *   power of two above; one bit says whether a list has a block. A request takes the first block of the first list in
 *   which every block is large enough; failing that, the first block of the list before, if that is large enough. The
 *   rest of the block is split off; a freed block merges with both neighbours at once. Unlike the paper's heap: a block
 *   has a header of four bytes; both levels of the index are one word of bits; links count from the region's beginning
 *   and are compared with its end before they are followed; a bitmap outside the blocks says exactly where live blocks
 *   begin.
 * Layout: tlsf_layout.h draws it. A granule is 16 bytes, or 8 where RF_ALIGN_DEFAULT is 8 (Cortex-M). A region is
 *
 *     | record (the first one's is in rf_tlsf) | bitmap | lists | block | block | ... | block | end mark |
 *
 * Complexity: alloc, free, resize, usable_size and realloc (plus the bytes that it moves) O(1), with a bound that
 *   depends neither on the sizes of arena and blocks nor on their number. With n regions, the lookup of a pointer is
 *   O(log n); an alloc tries the region of the last one, and all others only where that has no room. Adding a region
 *   O(n log n). walk, check, stats O(blocks).
 * Overhead: four bytes a block, and its rounding up to a multiple of the granule (at least 16 bytes); one bit a
 *   granule; 8 bytes for each list, as many as the region's size needs (14 for 1 KiB on 64 bit, 63 at most).
 * Alignment: any power of two; the memory before the block stays free.
 * Damage: no write into blocks, lists or bitmap makes a call crash or loop, and rf_check tells where they contradict
 *   each other. A damaged link that stays within the region may be followed before, which changes a word there. Records
 *   of regions, rf_tlsf among them, are relied upon as they are by all calls but three: rf_check tells damage to them,
 *   rf_walk gives RF_ERR_CORRUPT, and rf_stats_get zeros.
 * Threads: none by itself, rf_lock makes it shared.
 * Interrupts: each call is short and waits for nothing, so that it may be called from them with a port that masks
 *   interrupts (bare.c).
 * Returns NULL iff, in each region, no list in which every block is large enough has a block, and the first block of
 *   the list before is too small (for an alignment above the granule: for the size and the padding); or a damaged free
 *   block is met, and reported. No block exceeds 12 GiB on 64 bit, 128 MiB on 32 bit. realloc: iff the block can grow
 *   neither in place nor into the free memory before it, and alloc returns NULL; or the pointer was refused, or damage
 *   was met. The block is then as it was.
 * Small: built with RF_TLSF_SMALL=1 (Bazel: --//lib/heaps/tlsf:small, CMake: RINGFENCE_TLSF_SMALL), init, alloc and
 *   free take half the code and more instructions a call; every refusal stays. There is one region; an alignment above
 *   the granule gives NULL; a request above 8192 granules (64 KiB on Cortex-M) is served by the first block of the last
 *   list, or not. This header is the same.
 */
#ifndef RINGFENCE_TLSF_H
#define RINGFENCE_TLSF_H

#include <ringfence/allocator.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_tlsf_region rf_tlsf_region;

/* check follows it only where `inverse` is ~region. */
typedef struct rf_tlsf_link {
  rf_tlsf_region *region;
  uintptr_t inverse;
} rf_tlsf_link;

/* A contiguous range of memory with its own lists. */
struct rf_tlsf_region {
  unsigned char *origin; /* where the lists begin, a multiple of the granule */
  size_t granules;       /* from there to `end` */
  size_t *starts;        /* bit g: a live payload begins at granule g */
  uint64_t map;          /* bit i: list i has a block */
  unsigned char *first;  /* the first block */
  unsigned char *end;    /* behind the last block */
  uint32_t places;       /* links are smaller */
  rf_tlsf_link child[2]; /* tree by address: below, above */
  struct rf_tlsf *heap;
  void *memory; /* the region's bytes */
  size_t size;
  void *whole;     /* and what the caller gave: `memory`, or that of the first of several pieces */
  size_t checksum; /* of these three; all above but `map` and `child` follows from them */
};

/* The caller's storage, its fields the heap's own. */
typedef struct rf_tlsf {
  rf_allocator base;
  rf_tlsf_link regions;    /* root of the tree */
  rf_tlsf_region *current; /* served the last request, and is asked first */
  rf_counters counters;
  rf_tlsf_region main;
} rf_tlsf;

/* Makes a heap of the `size` bytes at `arena`, of any alignment, both the caller's until rf_deinit. RF_OK: &heap->base
 * is an allocator. With `heap` as it was: RF_ERR_INVALID for a NULL argument or a size above RF_SIZE_LIMIT,
 * RF_ERR_NO_MEMORY for an arena too small for one block (64 bytes at a multiple of the granule are enough). Call from
 * one thread, not from an interrupt that uses this heap. */
rf_status rf_tlsf_init(rf_tlsf *heap, void *arena, size_t size);

/* Adds the `size` bytes at `memory`, of any alignment, which stay the caller's until they are removed or the heap ends.
 * Blocks do not span regions, not even adjacent ones; what exceeds 12 GiB is cut into several. RF_OK. With nothing
 * changed: RF_ERR_INVALID for NULL, a size above RF_SIZE_LIMIT, or memory of which a part is in the heap already;
 * RF_ERR_NO_MEMORY where it is too small for one block; RF_ERR_UNSUPPORTED of a small build. Synchronise it as a call
 * of the allocator. */
rf_status rf_tlsf_add_region(rf_tlsf *heap, void *memory, size_t size);

/* Takes back the memory that was added as `memory`. RF_OK; RF_ERR_BUSY while a block in it is live, or is kept by a
 * checker above (rf_checked_flush of checked.h); RF_ERR_INVALID where none was added there (the first arena leaves with
 * rf_deinit only). Synchronise it as a call of the allocator. */
rf_status rf_tlsf_remove_region(rf_tlsf *heap, void *memory);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TLSF_H */
