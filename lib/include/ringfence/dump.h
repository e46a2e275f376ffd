/* rf_dump: prints what is in any allocator, through its statistics and its walk.
 *
 *     simple: 4 blocks, 561 of 1011 bytes used, 413 free
 *       largest free 304, overhead 37, peak 661 bytes in 5 blocks
 *       5 allocations, 0 failures
 *       size    used    free
 *          8       2       0  ####################
 *         64       1       1  ##########
 *        256       1       1  ##########
 *       map of 1011 bytes, 25 each: # used  . free  - overhead
 *       [#.....######################............]
 *       live blocks
 *         0x00005633aabe6130     13
 *         and 3 more
 *
 * Under a checker each live block is followed by its call site: "demo.c:6 in main"; under rf_sample, each sampled one.
 *
 * No stdio, no memory but some 1.5 KiB of stack (0.5 KiB on 32 bits); lines are as wide as asked for. Threads: as the
 * allocator; over rf_lock each part is taken at one moment, and the lock is free in between.
 */
#ifndef RINGFENCE_DUMP_H
#define RINGFENCE_DUMP_H

#include <ringfence/allocator.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_dump_options {
  bool histogram;     /* used and free blocks by size, in powers of two: the row 8 counts sizes 8 … 15 */
  bool map;           /* one line for all the memory, each character for an equal share of it */
  size_t live_blocks; /* how many live blocks to list at most, with their call sites where known; 0: none */
  unsigned width;     /* of histogram and map, in characters; clipped to 40 … 200 */
} rf_dump_options;

/* Writes the allocator to `sink`, which must not call it. `options` NULL: histogram and map, 80 wide, no list. RF_OK;
 * RF_ERR_UNSUPPORTED where there is no walk, RF_ERR_CORRUPT where it met damage: the statistics have been written, and
 * what could be read. */
rf_status rf_dump(rf_allocator *allocator, const rf_sink *sink, const rf_dump_options *options);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_DUMP_H */
