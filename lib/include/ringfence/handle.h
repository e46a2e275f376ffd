/* handle: a heap whose blocks are known by handle, so that it can slide them together when memory is in pieces.
 *
 *     static unsigned char arena[12500];
 *     rf_handle_heap heap;
 *     rf_handle_heap_init(&heap, arena, sizeof arena, NULL);
 *     rf_handle const window = rf_handle_alloc(&heap.base, 100);
 *     struct window *const w = rf_handle_lock(&heap.base, window);
 *
 * Algorithm: first fit from low to high addresses over a list of blocks in address order, which is kept in a table
 * outside the blocks; the lowest free place of the table names the block. If no hole is large enough, blocks that
 * are not locked slide down until one is. After uC/GUI's dynamic memory, as it is described in words; locks that pin,
 * generations, checksums, bounded compaction, and largest sizes that hold are ours.
 *
 *     arena  | table (or elsewhere) | gap | block | hole | block | block | hole ...         |
 *                                         |<- multiples of `align` ---------------------->|
 *
 *     one place of the table: 2 * O + 2 * H + 4 bytes, which are 10, 12, 14, 16, 22 or 24
 *     +--------+------+------+------+-----------------+-------+------+
 *     | offset | size | next | prev | live:1 gener:15 | locks | sum  |
 *     +--------+------+------+------+-----------------+-------+------+
 *         O       O      H      H           2             1      1
 *     O = 2, 4 or 8 (as the arena is < 64 KiB, < 4 GiB or not), H = 1 or 2 (as there are < 256 blocks or not)
 *
 *     Place 0 begins and ends the list. A place that is free is zero but for its generation.
 *
 * Overhead: a place of the table for each block there may be, up to align - 1 bytes of slack in each block. No byte of
 * the arena's blocks and holes is relied upon. Blocks at most: 2 + size / 32, or as the options say, and 65535.
 * Complexity: n blocks; address, lock, unlock, size O(1); alloc O(n) from the lowest hole on, plus the bytes moved
 * where it must compact; free O(1) plus the filling; realloc O(1) in place, else as alloc; find O(1) for the block
 * found last, else O(n); compact O(n) plus at most as many bytes as are allowed; walk, check, usage O(n).
 * Alignment: a power of two chosen at init, 4 unless told otherwise, for all blocks alike.
 * Threads and interrupts: none; put a lock around each call, and around the use of addresses that are not locked.
 * Fills: new blocks with 0 (unless RF_HANDLE_NO_ZERO), freed ones and the places that blocks move away from with 0xCC.
 *
 * alloc returns RF_HANDLE_NULL iff the size is 0 or above RF_SIZE_LIMIT, or all places are taken, or between no two
 * locked blocks (nor one and an end of the arena) the holes add up to the size, and the callback for shortness has
 * nothing (more) to give; or the heap is damaged, reported.
 */
#ifndef RINGFENCE_HANDLE_H
#define RINGFENCE_HANDLE_H

#include <ringfence/handles.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RF_HANDLE_FILL_FREE 0xCC

#define RF_HANDLE_ALIGN_DEFAULT 4U
#define RF_HANDLE_AVERAGE_DEFAULT 32U
#define RF_HANDLE_MOST_BLOCKS 65535U

/* Asked to free or unlock blocks because `needed` bytes cannot be had. `attempt` counts 1, 2, … within one request.
 * True: try again; false: there is nothing to give. May call the heap; what it requests itself is not asked about. */
typedef bool (*rf_handle_short_fn)(void *context, unsigned attempt, size_t needed);

/* How often it is asked for one request. */
#define RF_HANDLE_SHORT_ATTEMPTS 3U

/* 0 and NULL stand for the defaults. */
typedef struct rf_handle_options {
  size_t align;         /* of every block: a power of two up to 32768; default 4 */
  size_t average_block; /* bytes: there are places for 2 + size / average_block blocks; default 32 */
  size_t max_blocks;    /* or for exactly so many, up to RF_HANDLE_MOST_BLOCKS */
  void *table;          /* where the table is to be, the caller's; default: at the start of the arena */
  size_t table_size;    /* of that; fewer blocks where it is smaller than need be */
} rf_handle_options;

/* Bytes of a table for `blocks` blocks in an arena of `size` bytes. */
#define RF_HANDLE_TABLE_BYTES(size, blocks)                                                                            \
  (((size_t)(blocks) + 1) * (2 * ((size_t)(size) >> 16 == 0         ? 2U                                               \
                                  : (size_t)(size) >> 16 >> 16 == 0 ? 4U                                               \
                                                                    : 8U) +                                            \
                             ((blocks) < 256 ? 6U : 8U)))

/* The caller's storage, its fields the heap's own. */
typedef struct rf_handle_heap {
  rf_handles base;
  /* Fixed, under `checksum`. */
  unsigned char *data; /* first block or hole */
  size_t size;         /* bytes from there on, a multiple of align */
  unsigned char *table;
  size_t blocks; /* places, but for the first */
  size_t capacity;
  size_t align;
  size_t offset_width;
  size_t index_width;
  rf_handle_short_fn on_short;
  void *short_context;
  size_t checksum;
  /* Changing, under `state_checksum`. */
  size_t occupied; /* bytes in blocks, slack included */
  size_t peak_occupied;
  size_t lowest; /* no place below this one is free */
  size_t packed; /* there is no hole below the end of this block */
  size_t recent; /* the block found last */
  size_t locked;
  size_t compactions;
  size_t moved;
  size_t asking; /* the callback is running */
  rf_counters counters;
  size_t state_checksum;
} rf_handle_heap;

/* Makes a heap of the `size` bytes at `arena`, of any alignment, both the caller's until rf_handle_deinit. `options` is
 * not kept; NULL takes the defaults. RF_OK: &heap->base is ready. RF_ERR_INVALID, `heap` untouched: NULL, a size above
 * RF_SIZE_LIMIT, an alignment that is no power of two, more than RF_HANDLE_MOST_BLOCKS asked for, no room for one block
 * and its place. */
rf_status rf_handle_heap_init(rf_handle_heap *heap, void *arena, size_t size, const rf_handle_options *options);

/* From now on `fn` (NULL: nobody) is asked when memory is short. */
void rf_handle_heap_on_short(rf_handle_heap *heap, rf_handle_short_fn fn, void *context);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_HANDLE_H */
