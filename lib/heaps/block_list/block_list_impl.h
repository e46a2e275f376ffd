/* block_list: all blocks of an arena, used and free, in address order. Their layout, splits and merges, and the refusal
 * of bad pointers and damaged headers are the same for smallmem and memheap, which are two policies over it: a policy
 * keeps track of the free blocks and chooses the one that serves a request. Not a public header.
 *
 *     start                        next
 *       |<---- header ---->|         |
 *       +-----+------+------+-------+---------+-------+-----+------+------+-------+-- - -
 *       | tag | next | prev | owner | payload | slack | tag | next | prev | owner |
 *       +-----+------+------+-------+---------+-------+-----+------+------+-------+-- - -
 *       |<------------- a multiple of G ------------->|
 *
 *     tag, least significant bits first:   | used 1 | slack 7 | checksum: all others |
 *     next, prev                           offsets of the neighbours' headers from start, in bytes
 *     owner                                only in lists with an owner function
 *
 * G is RF_ALIGN_DEFAULT; headers lie so that payloads are multiples of it. The last block ends where the arena ends;
 * its `next` is that offset, at which no block begins. The first block's `prev` is its own, 0.
 *
 * Checksum: a function of the header's address, of all its other bits, and of the list. It finds any single
 * overwritten byte with certainty; other damage passes one time in 2^24 (32 bit) or 2^56. A header that is no longer
 * one is erased: its checksum and its two neighbours tell a pointer to a former block from a live one in O(1).
 * Refusals: nothing is written before everything that the call relies on was read and verified. */
#ifndef RINGFENCE_BLOCK_LIST_IMPL_H
#define RINGFENCE_BLOCK_LIST_IMPL_H

#include "lib/core/checksum.h"
#include "lib/core/verdict.h"
#include <ringfence/allocator.h>
#include <ringfence/block_list.h>

typedef struct rf_block_header {
  size_t tag;
  size_t next;
  size_t prev;
  uintptr_t owner; /* only where list->owner_of is set */
} rf_block_header;

enum { RF_BLOCK_USED = 1, RF_BLOCK_LOW_BITS = 8 };

/* No block: an offset that none has. */
#define RF_BLOCK_NONE SIZE_MAX

/* A header, read and found intact. */
typedef struct rf_block_entry {
  size_t at;
  size_t next;
  size_t prev;
  size_t slack; /* bytes at the end that were not requested; 0 in free blocks */
  uintptr_t owner;
  bool used;
} rf_block_entry;

/* A block and its neighbours. A neighbour that does not exist has RF_BLOCK_NONE as `at` and counts as used. */
typedef struct rf_block_neighbours {
  rf_block_entry block;
  rf_block_entry before;
  rf_block_entry after;
} rf_block_neighbours;

/* Adjacent blocks that one operation replaces: a free block, or a block that is freed or resized with its free
 * neighbours. */
typedef struct rf_block_span {
  size_t at;
  size_t next;
  size_t prev;
} rf_block_span;

/* Totals over all blocks. */
typedef struct rf_block_sums {
  size_t used;
  size_t blocks;
  size_t free_blocks;
  size_t free_bytes;
  size_t largest_free;
  size_t lowest_free; /* offset; limit: none */
} rf_block_sums;

/* How a heap keeps track of the free blocks. */
typedef struct rf_block_policy {
  /* The free block at `at`, part of a span that ends at `end`, is about to be erased. */
  void (*remove)(rf_block_list *list, size_t at, size_t end);
  /* There is a new free block at `at`. */
  void (*insert)(rf_block_list *list, size_t at);
} rf_block_policy;

/* Makes one free block, at offset 0, of the `size` bytes at `arena`; list->free names it. Free payloads will hold at
 * least `payload` bytes, not 0. RF_OK, or RF_ERR_INVALID, `list` untouched: NULL, a size above RF_SIZE_LIMIT or
 * beyond the address space, an arena too small. */
rf_status rf_block_list_init(rf_block_list *list, void *arena, size_t size, size_t payload, rf_owner_fn owner_of);

/* Erases every header: along the list, and behind a break in it, each one that is found. The list then has no blocks
 * and owns nothing. */
void rf_block_list_deinit(rf_block_list *list);

/* False where the list's record was overwritten: no other function may be called then. */
bool rf_block_list_intact(const rf_block_list *list);

/* ---- Why a call is refused: fills status, what and ptr of *fault, and is always false, for `return` ---- */

bool rf_block_list_refuse(rf_verdict verdict, const void *ptr, rf_fault *fault);
bool rf_block_list_corrupt(const char *what, const void *where, rf_fault *fault);

/* The header at `at`, any number, is damaged. */
bool rf_block_list_damaged(const rf_block_list *list, size_t at, rf_fault *fault);

/* Reports such a fault; its status. */
rf_status rf_block_list_raise(rf_fault *fault, rf_allocator *allocator, const rf_site *site);

/* ---- One block ---- */

/* False where there is no intact header at `at`, any number. */
bool rf_block_list_read(const rf_block_list *list, size_t at, rf_block_entry *out);

/* The block at `at` and its neighbours. False, and *fault, where one of the three is damaged or they contradict each
 * other. */
bool rf_block_list_read_neighbours(const rf_block_list *list, size_t at, rf_block_neighbours *out, rf_fault *fault);

/* Finds the live block that starts at `ptr`, any pointer, and its neighbours, in O(1). False, and *fault after a walk
 * over the blocks, where there is none. */
bool rf_block_list_find(const rf_block_list *list, const void *ptr, rf_block_neighbours *out, rf_fault *fault);

/* Replaces the owner of an intact block; for lists with owners. */
void rf_block_list_set_owner(rf_block_list *list, rf_block_entry *block, uintptr_t owner);

/* ---- Changes: the blocks beside a span are intact ---- */

/* Whether `size` bytes at a multiple of `align` fit the span; *gap is then the number of bytes that stay free before
 * them. */
bool rf_block_list_fits(const rf_block_list *list, const rf_block_span *span, size_t size, size_t align, size_t *gap);

/* Allocates the chosen block. */
void *rf_block_list_alloc(const rf_block_policy *policy, rf_block_list *list, const rf_block_neighbours *chosen,
                          size_t gap, size_t size, const rf_site *site);

/* Frees the block, merged with its free neighbours. */
void rf_block_list_free(const rf_block_policy *policy, rf_block_list *list, const rf_block_neighbours *near);

/* Resizes the block where it is. False where the memory behind it does not suffice. */
bool rf_block_list_resize(const rf_block_policy *policy, rf_block_list *list, const rf_block_neighbours *near,
                          size_t size, const rf_site *site);

/* Resizes the block within it and its free neighbours, preferably in place. NULL where they do not suffice. */
void *rf_block_list_realloc(const rf_block_policy *policy, rf_block_list *list, const rf_block_neighbours *near,
                            size_t size, size_t align, const rf_site *site);

/* Copies the block to `to`, `size` bytes allocated since, and frees it. Its neighbours cannot have changed: the block
 * would have grown into a free one large enough. */
void rf_block_list_move(const rf_block_policy *policy, rf_block_list *list, const rf_block_neighbours *near, void *to,
                        size_t size);

/* ---- All blocks ---- */

/* Visits all blocks in address order; *more is false afterwards where the visitor ended the walk. RF_OK,
 * RF_ERR_CORRUPT. */
rf_status rf_block_list_walk(const rf_block_list *list, rf_walk_fn visit, void *context, bool *more);

/* Reads every block and compares it with its neighbours. False, and *fault, at the first damage; *sums covers the
 * blocks before it. */
bool rf_block_list_check(const rf_block_list *list, rf_block_sums *sums, rf_fault *fault);

/* Whether the totals of a check are those that were counted. */
bool rf_block_list_adds_up(const rf_counters *counted, size_t used, size_t blocks);

/* Statistics of a list whose calls `counted` has counted, all of *out filled. */
void rf_block_list_stats(const rf_block_list *list, const rf_counters *counted, rf_stats *out);

/* ---- Layout ---- */

static inline rf_block_header *rf_block_list_header_at(const rf_block_list *list, size_t at) {
  return (rf_block_header *)(void *)(list->start + at);
}

static inline unsigned char *rf_block_list_payload(const rf_block_list *list, size_t at) {
  return list->start + at + list->header;
}

/* Bytes of payload, slack included. */
static inline size_t rf_block_list_room(const rf_block_list *list, const rf_block_entry *b) {
  return b->next - b->at - list->header;
}

static inline size_t rf_block_list_size(const rf_block_list *list, const rf_block_entry *b) {
  return rf_block_list_room(list, b) - b->slack;
}

static inline rf_block_span rf_block_list_span_of(const rf_block_entry *block) {
  rf_block_span const span = {block->at, block->next, block->prev};
  return span;
}

/* True where a header can be read at `at`, any number, whether or not there is one. */
static inline bool rf_block_list_readable(const rf_block_list *list, size_t at) {
  return at < list->limit && list->limit - at >= list->least && (at & (RF_ALIGN_DEFAULT - 1)) == 0;
}

/* True for a pointer into the list. */
static inline bool rf_block_list_owns(const rf_block_list *list, const void *ptr) {
  return (uintptr_t)ptr - (uintptr_t)list->start < list->limit;
}

#endif /* RINGFENCE_BLOCK_LIST_IMPL_H */
