/* simple: a first-fit heap that wastes next to nothing, for small arenas and few blocks.
 *
 *     static unsigned char arena[2048];
 *     rf_simple heap;
 *     if (rf_simple_init(&heap, arena, sizeof arena) == RF_OK) {
 *       char *p = rf_alloc(&heap.base, 13);
 *
 * Algorithm: first fit (Knuth, TAOCP vol. 1, 2.5, algorithm A). Blocks lie one after the other in address order; an
 *   allocation takes the first free one that is large enough and leaves the rest free; a free merges with both
 *   neighbours, so no two free blocks ever touch. The role of AWTK's mem_allocator_simple.
 * Layout: the arena is a row of cells of G bytes; each block is a whole number of cells, with its header in the H bytes
 * before a multiple of G, so that every payload is aligned and what alignment costs holds the header. The last cell
 * may be cut short by the end of the arena, and is used to its last byte.
 *
 *     start                G multiple                                G multiple
 *       |<------- H ------->|                                  |<- H ->|
 *       +--------+----------+---------------------------+------+-------+------------- - - -+
 *       | header            | payload                   | slack| header| payload          |
 *       +--------+----------+---------------------------+------+-------+------------- - - -+ end
 *       |<------------------ span cells of G bytes ----------->|
 *
 *     header, least significant bits first:  | used 1 | slack 5 | span 10, 18 or 50 | check 8 |
 *
 * | H | G on 64 bit | G on Cortex-M | arenas below                                         |
 * |---|-------------|---------------|------------------------------------------------------|
 * | 3 | 16          | 8             | 1023 cells: 16 KiB less 16 bytes; Cortex-M half that |
 * | 4 | 16          | 8             | 262143 cells: 4 MiB less 16 bytes; half that         |
 * | 8 | 16          | 16            | any                                                  |
 *
 * `slack` counts the bytes of the block that were not requested, so the requested size is known. `check` makes all
 * bytes of the header XOR to a value that depends on its cell: one damaged byte is detected when the header is next
 * read. Other damage, such as a header copied from another cell, passes one time in 256; rf_check then finds it in the
 * sums. rf_simple itself is relied upon as it is by all calls but rf_check, which tells a change of it, rf_walk, which
 * gives RF_ERR_CORRUPT, and rf_stats_get, which gives zeros; rf_dump is made of these.
 *
 * Complexity: n blocks; alloc, free, realloc, resize, usable_size, walk, check, stats O(n); owns O(1). free and realloc
 *   walk from the start of the arena to the pointer, so that bad pointers are refused exactly. realloc grows into a
 *   free neighbour on either side before it moves elsewhere.
 * Overhead: H bytes a block and up to G - 1 of slack (H more at the end of the arena). Free blocks hold no links: only
 *   headers are relied upon.
 * Alignment: multiples of G; larger ones on request, the memory before the block stays free.
 * Threads and interrupts: none; wrap it in rf_lock.
 * Returns NULL iff no free block can hold the size at the alignment, or a damaged header is met (and reported).
 *   realloc: iff neither the block with its free neighbours nor any free block can hold the size, or the pointer was
 *   refused, or a damaged header is met. The block is then as it was.
 */
#ifndef RINGFENCE_SIMPLE_H
#define RINGFENCE_SIMPLE_H

#include <ringfence/allocator.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The caller's storage, its fields the heap's own. */
typedef struct rf_simple {
  rf_allocator base;
  unsigned char *start; /* first header */
  unsigned char *end;
  size_t cells;
  size_t first_free;  /* a block starts at this cell, and no free one before it */
  size_t free_blocks; /* how many there are */
  unsigned header;    /* H */
  unsigned shift;     /* log2 of G */
  rf_counters counters;
  size_t checksum; /* of what stays the same: start, end, cells, header, shift */
} rf_simple;

/* Makes a heap of the `size` bytes at `arena`, of any alignment, both the caller's until rf_deinit and longer than any
 * block is used. RF_OK: &heap->base is an allocator. RF_ERR_INVALID, with `heap` as it was: a NULL argument, a size
 * above RF_SIZE_LIMIT, or an arena that cannot hold one block of one byte (fewer than 4 bytes never can; 4 + G - 1
 * always can). Call from one thread, not from an interrupt that uses this heap. */
rf_status rf_simple_init(rf_simple *heap, void *arena, size_t size);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_SIMPLE_H */
