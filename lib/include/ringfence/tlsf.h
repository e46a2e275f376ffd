/* tlsf: the default heap. Two-level segregated fit: every request takes about the same, short time.
 *
 *     static unsigned char arena[64 * 1024];
 *     rf_tlsf heap;
 *     if (rf_tlsf_init(&heap, arena, sizeof arena) == RF_OK) {
 *       char *p = rf_alloc(&heap.base, 13);
 *
 * Algorithm: TLSF (M. Masmano, I. Ripoll, A. Crespo, J. Real: TLSF: a new dynamic memory allocator for real-time
 * systems, ECRTS 2004). Free blocks are filed by size, and one bit for each list says whether it has a block: up to 12
 * granules each size has its list, above each power of two has two. A request takes the first block of the first list
 * in which all are large enough; failing that, the first of the list before, if that one is large enough. What is left
 * over is filed again; a freed block merges with both neighbours at once. Unlike the paper's: a block has a header of
 * four bytes; both levels of the index are one word of bits; links count from the region's beginning and are seen to
 * stay in it before they are followed; a bitmap outside the blocks says exactly where live blocks begin.
 *
 * Layout: tlsf_block.h draws it. A granule is 16 bytes, or 8 where RF_ALIGN_DEFAULT is 8 (Cortex-M). A region is
 *
 *     | record (the first one's is in rf_tlsf) | bitmap | lists | block | block | ... | block | end mark |
 *
 * Complexity: alloc, free, resize, realloc (but for the bytes it moves), usable_size O(1) with a bound that does not
 * depend on the sizes of arena and blocks nor on how many there are. With n regions, a pointer's is found in O(log n);
 * an alloc asks the region that served the last one, and only when that has no room, all others. Adding a region
 * O(n log n). walk, check, stats O(blocks). Overhead: four bytes a block, and what rounds it up to a multiple of the
 * granule (a block takes 16 bytes at least); one bit a granule; 8 bytes for each list, as many as the region's size has
 * use for (14 for 1 KiB on 64 bit, 63 at most). Alignment: any power of two; what lies before the block stays free.
 *
 * Threads and interrupts: none by itself, rf_lock makes it shared. Each call is short and waits for nothing, so that
 * with a port that masks interrupts (bare.c) it may be called from them, too.
 *
 * alloc returns NULL iff, in each region, no list whose blocks are all large enough has a block, and the first block of
 * the list before is too small (for an alignment above the granule: for the size and what aligning may cost); or a
 * damaged free block is met, and reported. No block exceeds 12 GiB on 64 bit, 128 MiB on 32 bit.
 * realloc returns NULL iff the block cannot grow where it is, nor into the free memory before it, and alloc returns
 * NULL; or the pointer was refused, or damage was met. The block is then as it was.
 */
#ifndef RINGFENCE_TLSF_H
#define RINGFENCE_TLSF_H

#include <ringfence/allocator.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_tlsf_region rf_tlsf_region;

/* check follows it only where the inverse agrees. */
typedef struct rf_tlsf_link {
  rf_tlsf_region *region;
  uintptr_t inverse;
} rf_tlsf_link;

/* One stretch of memory, with lists of its own. */
struct rf_tlsf_region {
  unsigned char *origin; /* where the lists begin, a multiple of the granule */
  size_t granules;       /* from there to `end` */
  size_t *starts;        /* bit g: what the program holds begins at granule g */
  uint64_t map;          /* bit i: list i has a block */
  unsigned char *first;  /* the first block */
  unsigned char *end;    /* behind the last block */
  uint32_t places;       /* links are smaller */
  rf_tlsf_link child[2]; /* tree by address: below, above */
  struct rf_tlsf *heap;
  void *memory; /* these bytes, */
  size_t size;
  void *whole;    /* and what the caller gave: `memory`, or that of the first of several pieces */
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
 * RF_ERR_NO_MEMORY where it is too small for one block. Synchronise it as a call of the allocator. */
rf_status rf_tlsf_add_region(rf_tlsf *heap, void *memory, size_t size);

/* Takes back the memory that was added as `memory`. RF_OK; RF_ERR_BUSY while a block in it is live; RF_ERR_INVALID where
 * none was added there (the first arena leaves with rf_deinit only). Synchronise it as a call of the allocator. */
rf_status rf_tlsf_remove_region(rf_tlsf *heap, void *memory);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TLSF_H */
