/* memheap: several separate stretches of memory, glued into one heap.
 *
 *     static unsigned char fast[16 * 1024], large[1024 * 1024];
 *     static rf_memheap_region sram, sdram;
 *     rf_memheap heap;
 *     rf_memheap_init(&heap);
 *     rf_memheap_add(&heap, &sram, "sram", fast, sizeof fast);        asked first
 *     rf_memheap_add(&heap, &sdram, "sdram", large, sizeof large);    asked when sram has no room
 *     char *p = rf_alloc(&heap.base, 13);
 *
 * Algorithm: a request is served by the first region that can, in the order in which they were added. Each region is a
 * list of all its blocks in address order and a list of its free ones; the smallest free block that is large enough is
 * taken (best fit, the one freed last among equals) and split, a free merges with both neighbours. A realloc that finds
 * no room beside the block moves it as an allocation would, so to another region if need be. The role is that of
 * RT-Thread's memheap with RT_USING_MEMHEAP_AS_HEAP; the checksums, the refusals, removal and the statistics are ours.
 *
 * Layout of a region: a header is three words; the first two words of a free payload link the free blocks:
 *
 *       +----------------------+------+------+-----------+-----------+--- - -
 *       | checksum, slack, used| next | prev | next free | prev free | (free)
 *       +----------------------+------+------+-----------+-----------+--- - -
 *       |<------- 24 bytes, 12 on 32 bit --->|
 *
 * Complexity: r regions, f free blocks; alloc O(r + f); free, resize, usable_size, owns O(r); realloc O(r) in place,
 * else as alloc; add, remove O(r); walk, check, stats O(all blocks). Refusing a bad pointer is decided in O(r),
 * explained in O(blocks).
 * Overhead: the header, and up to RF_ALIGN_DEFAULT - 1 bytes of slack a block (more where the rest of a free block is
 * too small for a block of its own); nothing else in the regions.
 * Alignment: RF_ALIGN_DEFAULT; more as asked for, what lies before staying free.
 * Threads and interrupts: none; wrap it in rf_lock, and take that lock around add and remove too.
 *
 * alloc returns NULL iff no free block of any region can hold the size at the alignment, or a damaged header, link or
 * record is met (and reported). realloc returns NULL iff the block cannot grow where it is, not even into its free
 * neighbours, and no free block can hold the size, or the pointer was refused, or damage is met; the block is then as
 * it was.
 */
#ifndef RINGFENCE_MEMHEAP_H
#define RINGFENCE_MEMHEAP_H

#include <ringfence/allocator.h>
#include <ringfence/block_list.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_memheap rf_memheap;
typedef struct rf_memheap_region rf_memheap_region;

/* One stretch of memory. The caller's storage, its fields the heap's own. */
struct rf_memheap_region {
  rf_memheap_region *next; /* added after this one */
  rf_memheap *heap;
  const char *name;
  size_t checksum;      /* of all of the above and of the list's record */
  rf_block_list blocks; /* blocks.free: offset of the first free block; SIZE_MAX: there is none */
  rf_counters counters;
};

/* The caller's storage, its fields the heap's own. */
struct rf_memheap {
  rf_allocator base;
  rf_memheap_region *first;
  size_t regions;
  size_t checksum; /* of both */
  rf_counters counters;
};

/* Makes a heap without memory: until a region is added, every request is answered with NULL. RF_OK: &heap->base is an
 * allocator. RF_ERR_INVALID for NULL. */
rf_status rf_memheap_init(rf_memheap *heap);

/* Adds the `size` bytes at `memory`, of any alignment, as the last region. `region`, `memory` and `name` (NULL: none)
 * stay the caller's, until the region is removed or the heap ended. At any time, also with blocks live. RF_OK.
 * RF_ERR_INVALID, nothing changed: NULL, a region that is part of this heap already, memory that overlaps another
 * region's or holds `region` itself, is larger than RF_SIZE_LIMIT or cannot hold a header and two words (header + 2 *
 * RF_ALIGN_DEFAULT bytes always can). RF_ERR_CORRUPT, reported, where the heap's record is damaged. Memory that was a
 * region or a smallmem before must have been removed or ended: else a pointer from its former life may pass for a
 * block. */
rf_status rf_memheap_add(rf_memheap *heap, rf_memheap_region *region, const char *name, void *memory, size_t size);

/* Takes an empty region out, the first as well as any other. Then its memory and `region` are the caller's again.
 * RF_OK; RF_ERR_BUSY while a block in it is live, or is kept by a checker above (rf_checked_flush of checked.h);
 * RF_ERR_INVALID for what is not a region of this heap; RF_ERR_CORRUPT, reported, where the record of one is
 * damaged. */
rf_status rf_memheap_remove(rf_memheap *heap, rf_memheap_region *region);

/* The region added after `region`, the first for NULL; NULL at the end. */
rf_memheap_region *rf_memheap_next(const rf_memheap *heap, const rf_memheap_region *region);

/* The region that holds `ptr`; NULL where none does. */
rf_memheap_region *rf_memheap_region_of(const rf_memheap *heap, const void *ptr);

/* The name that the region was added with; "" where there was none. */
const char *rf_memheap_region_name(const rf_memheap_region *region);

/* Statistics of one region, all of *out filled. `failures` counts the requests that went past it for lack of room.
 * rf_stats_get has those of the whole heap, whose peak is that of the sum, not the sum of the peaks. */
void rf_memheap_region_stats(const rf_memheap_region *region, rf_stats *out);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_MEMHEAP_H */
