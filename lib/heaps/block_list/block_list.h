/* block_list: the blocks of a region in address order. How they lie, split and merge, whether a pointer or a header is
 * valid: the same for smallmem and memheap, which are two policies over it: a policy keeps track of the free
 * blocks and chooses the one that serves a request. Not a public header.
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
 *     owner                                only in regions with an owner function
 *
 * G is RF_ALIGN_DEFAULT; headers lie so that payloads are multiples of it. The last block ends where the region ends,
 * so no byte is lost there; its `next` is that offset, at which no block begins. The first block's `prev` is its own,
 * 0.
 *
 * Checksum: a function of the header's address, of all its other bits, and of the region. It finds any single
 * overwritten byte with certainty; other damage passes one time in 2^24 (32 bit) or 2^56. A header that is no longer
 * one is erased: its checksum and its two neighbours tell a pointer to a former block from a live one in O(1).
 * Refusals: nothing is written before everything that the call relies on was read and verified. */
#ifndef RINGFENCE_BLOCK_LIST_H
#define RINGFENCE_BLOCK_LIST_H

#include <ringfence/allocator.h>
#include <ringfence/block_region.h>

typedef struct rf_region_header {
  size_t tag;
  size_t next;
  size_t prev;
  uintptr_t owner; /* only where region->owner_of is set */
} rf_region_header;

enum { RF_REGION_USED = 1, RF_REGION_LOW_BITS = 8 };

/* No block: an offset that none has. */
#define RF_REGION_NONE SIZE_MAX

/* A header, read and found intact. */
typedef struct rf_region_block {
  size_t at;
  size_t next;
  size_t prev;
  size_t slack; /* bytes at the end that were not requested; 0 in free blocks */
  uintptr_t owner;
  bool used;
} rf_region_block;

/* A block and its neighbours. A neighbour that does not exist has RF_REGION_NONE as `at` and counts as used. */
typedef struct rf_region_neighbours {
  rf_region_block block;
  rf_region_block before;
  rf_region_block after;
} rf_region_neighbours;

/* Adjacent blocks that one operation replaces: a free block, or a block that is freed or resized with its free
 * neighbours. */
typedef struct rf_region_span {
  size_t at;
  size_t next;
  size_t prev;
} rf_region_span;

/* A refusal that was not reported yet. */
typedef struct rf_region_verdict {
  rf_status status;
  const char *what;
  const void *where;
} rf_region_verdict;

/* Totals over all blocks. */
typedef struct rf_region_sums {
  size_t used;
  size_t blocks;
  size_t free_blocks;
  size_t free_bytes;
  size_t largest_free;
  size_t lowest_free; /* offset; limit: none */
} rf_region_sums;

/* How a heap keeps track of the free blocks. */
typedef struct rf_region_policy {
  /* The free block at `at`, part of a span that ends at `end`, is about to be erased. */
  void (*remove)(rf_region *region, size_t at, size_t end);
  /* There is a new free block at `at`. */
  void (*insert)(rf_region *region, size_t at);
} rf_region_policy;

/* Makes one free block, at offset 0, of the `size` bytes at `arena`; region->free names it. Free payloads will hold at
 * least `payload` bytes, not 0. RF_OK, or RF_ERR_INVALID, `region` untouched: NULL, a size above RF_SIZE_LIMIT or
 * beyond the address space, an arena too small. */
rf_status rf_region_init(rf_region *region, void *arena, size_t size, size_t payload, rf_owner_fn owner_of);

/* Erases every header: along the list, and behind a break in it, each one that is found. The region then has no blocks
 * and owns nothing. */
void rf_region_deinit(rf_region *region);

/* False where the region's record was overwritten: no other function may be called then. */
bool rf_region_intact(const rf_region *region);

/* ---- Verdicts: always false, for `return` ---- */

bool rf_region_refuse(rf_status status, const char *what, const void *where, rf_region_verdict *verdict);

/* The header at `at`, any number, is damaged. */
bool rf_region_damaged(const rf_region *region, size_t at, rf_region_verdict *verdict);

/* ---- One block ---- */

/* False where there is no intact header at `at`, any number. */
bool rf_region_read(const rf_region *region, size_t at, rf_region_block *out);

/* The block at `at` and its neighbours. False, and *verdict, where one of the three is damaged or they contradict each
 * other. */
bool rf_region_read_neighbours(const rf_region *region, size_t at, rf_region_neighbours *out,
                               rf_region_verdict *verdict);

/* Finds the live block that starts at `ptr`, any pointer, and its neighbours, in O(1). False, and *verdict after a walk
 * over the blocks, where there is none. */
bool rf_region_find(const rf_region *region, const void *ptr, rf_region_neighbours *out, rf_region_verdict *verdict);

/* Replaces the owner of an intact block; for regions with owners. */
void rf_region_set_owner(rf_region *region, rf_region_block *block, uintptr_t owner);

/* ---- Changes: the blocks beside a span are intact ---- */

/* Whether `size` bytes at a multiple of `align` fit the span; *gap is then the number of bytes that stay free before
 * them. */
bool rf_region_fits(const rf_region *region, const rf_region_span *span, size_t size, size_t align, size_t *gap);

/* Allocates the chosen block. */
void *rf_region_alloc(const rf_region_policy *policy, rf_region *region, const rf_region_neighbours *chosen, size_t gap,
                      size_t size, const rf_site *site);

/* Frees the block, merged with its free neighbours. */
void rf_region_free(const rf_region_policy *policy, rf_region *region, const rf_region_neighbours *near);

/* Resizes the block where it is. False where the memory behind it does not suffice. */
bool rf_region_resize(const rf_region_policy *policy, rf_region *region, const rf_region_neighbours *near, size_t size,
                      const rf_site *site);

/* Resizes the block within it and its free neighbours, preferably in place. NULL where they do not suffice. */
void *rf_region_realloc(const rf_region_policy *policy, rf_region *region, const rf_region_neighbours *near,
                        size_t size, size_t align, const rf_site *site);

/* Copies the block to `to`, `size` bytes allocated since, and frees it. Its neighbours cannot have changed: the block
 * would have grown into a free one large enough. */
void rf_region_move(const rf_region_policy *policy, rf_region *region, const rf_region_neighbours *near, void *to,
                    size_t size);

/* ---- All blocks ---- */

/* Visits all blocks in address order; *more is false afterwards where the visitor ended the walk. RF_OK,
 * RF_ERR_CORRUPT. */
rf_status rf_region_walk(const rf_region *region, rf_walk_fn visit, void *context, bool *more);

/* Reads every block and compares it with its neighbours. False, and *verdict, at the first damage; *sums covers the
 * blocks before it. */
bool rf_region_check(const rf_region *region, rf_region_sums *sums, rf_region_verdict *verdict);

/* Whether the totals of a check are those that were counted. */
bool rf_region_adds_up(const rf_counters *counted, size_t used, size_t blocks);

/* Statistics of a region whose calls `counted` has counted, all of *out filled. */
void rf_region_stats(const rf_region *region, const rf_counters *counted, rf_stats *out);

/* ---- Checksums ---- */

/* Odd, and so spread that e * 256^k * RF_REGION_FACTOR, for |e| from 1 to 255, is never within 255 of a multiple of
 * 2^32 or 2^64: the factor of every checksum here. */
#define RF_REGION_FACTOR ((size_t)0x9E3779B97F4A7C15U)

/* `seed` and `word` in one, for records. Another seed or another word always gives another checksum. */
static inline size_t rf_region_mix(size_t seed, size_t word) {
  return ((seed << 8 | seed >> (sizeof seed * 8 - 8)) ^ word) * RF_REGION_FACTOR;
}

/* ---- Layout ---- */

static inline rf_region_header *rf_region_header_at(const rf_region *region, size_t at) {
  return (rf_region_header *)(void *)(region->start + at);
}

static inline unsigned char *rf_region_payload(const rf_region *region, size_t at) {
  return region->start + at + region->header;
}

/* Bytes of payload, slack included. */
static inline size_t rf_region_room(const rf_region *region, const rf_region_block *b) {
  return b->next - b->at - region->header;
}

static inline size_t rf_region_size(const rf_region *region, const rf_region_block *b) {
  return rf_region_room(region, b) - b->slack;
}

static inline rf_region_span rf_region_span_of(const rf_region_block *block) {
  rf_region_span const span = {block->at, block->next, block->prev};
  return span;
}

/* True where a header can be read at `at`, any number, whether or not there is one. */
static inline bool rf_region_readable(const rf_region *region, size_t at) {
  return at < region->limit && region->limit - at >= region->least && (at & (RF_ALIGN_DEFAULT - 1)) == 0;
}

/* True for a pointer into the region. */
static inline bool rf_region_owns(const rf_region *region, const void *ptr) {
  return (uintptr_t)ptr - (uintptr_t)region->start < region->limit;
}

#endif /* RINGFENCE_BLOCK_LIST_H */
