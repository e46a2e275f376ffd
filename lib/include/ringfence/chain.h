/* chain: an arena as a row of blocks that know their neighbours. What smallmem and memheap have in common: where blocks
 * are, how they split and merge, and whether a pointer or a header is what it claims to be. Which free block to take is
 * theirs to decide. Internal to lib/heaps.
 *
 *     start                        next
 *       |<---- header ---->|         |
 *       +-----+------+------+-------+---------+-------+-----+------+------+-------+-- - -
 *       | tag | next | prev | owner | payload | slack | tag | next | prev | owner |
 *       +-----+------+------+-------+---------+-------+-----+------+------+-------+-- - -
 *       |<------------- a multiple of G ------------->|
 *
 *     tag, least significant bits first:   | used 1 | slack 7 | seal: all others |
 *     next, prev                           offsets of the neighbours' headers from start, in bytes
 *     owner                                only in chains that were made with an owner function
 *
 * G is RF_ALIGN_DEFAULT; headers lie so that payloads are multiples of it. The last block ends where the arena ends, so
 * that no byte is lost there; its `next` is that offset, which no block has. The first block's `prev` is its own, 0.
 *
 * The seal is a function of the header's address, of all its other bits, and of the chain. Any single byte that is
 * overwritten breaks it with certainty, other damage passes one time in 2^24 (32 bit) or 2^56. A header that is no more
 * is erased, so that a pointer to what was a block once is told from a live one in O(1): by its seal, and by what its
 * two neighbours say of it.
 *
 * Nothing here changes memory before all of what it relies on was read and found in order, so a refusal leaves
 * everything as it was. */
#ifndef RINGFENCE_CHAIN_H
#define RINGFENCE_CHAIN_H

#include <ringfence/allocator.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The word that a block carries for whoever asked for it. */
typedef uintptr_t (*rf_owner_fn)(const rf_site *site);

typedef struct rf_chain_header {
  size_t tag;
  size_t next;
  size_t prev;
  uintptr_t owner; /* only where chain->owner_of is set */
} rf_chain_header;

enum { RF_CHAIN_USED = 1, RF_CHAIN_LOW_BITS = 8 };

typedef struct rf_chain {
  unsigned char *start;
  size_t limit;  /* offset of the end; 0: ended */
  size_t header; /* bytes of a header */
  size_t least;  /* bytes of the smallest block: header, and what its user keeps in free payloads */
  rf_owner_fn owner_of;
  size_t seal; /* of all of the above */
} rf_chain;

/* No block: an offset that none has. */
#define RF_CHAIN_NONE SIZE_MAX

/* A header, read and found intact. */
typedef struct rf_chain_block {
  size_t at;
  size_t next;
  size_t prev;
  size_t slack; /* bytes at the end that were not requested; 0 in free blocks */
  uintptr_t owner;
  bool used;
} rf_chain_block;

/* A block and what lies beside it. Where there is no neighbour its `at` is RF_CHAIN_NONE and it counts as used. */
typedef struct rf_chain_place {
  rf_chain_block block;
  rf_chain_block before;
  rf_chain_block after;
} rf_chain_place;

/* A stretch that belongs to nobody: a free block, or a block that is being given back or resized and its free neighbours. */
typedef struct rf_chain_run {
  size_t at;
  size_t next;
  size_t prev;
} rf_chain_run;

/* What is wrong, not reported yet. */
typedef struct rf_chain_trouble {
  rf_status status;
  const char *what;
  const void *where;
} rf_chain_trouble;

/* What all blocks add up to. */
typedef struct rf_chain_sums {
  size_t used;
  size_t blocks;
  size_t free_blocks;
  size_t free_bytes;
  size_t largest_free;
  size_t lowest_free; /* offset; limit: there is none */
} rf_chain_sums;

/* Makes one free block of the `size` bytes at `arena`. Free payloads will hold at least `payload` bytes, not 0. RF_OK, or
 * RF_ERR_INVALID, `chain` untouched: NULL, a size above RF_SIZE_LIMIT or beyond the address space, an arena too small. */
rf_status rf_chain_init(rf_chain *chain, void *arena, size_t size, size_t payload, rf_owner_fn owner_of);

/* Erases every header: along the chain, and where it is broken, wherever one is found behind. The chain then has no blocks
 * and owns nothing. */
void rf_chain_deinit(rf_chain *chain);

/* False where the chain's own record was overwritten: nothing else may be called then. */
bool rf_chain_intact(const rf_chain *chain);

/* False where there is no intact header at `at`, any number. */
bool rf_chain_read(const rf_chain *chain, size_t at, rf_chain_block *out);

/* Always false: *trouble says that the header at `at`, any number, is damaged. */
bool rf_chain_damaged(const rf_chain *chain, size_t at, rf_chain_trouble *trouble);

/* The block at `at` and its neighbours. False, and *trouble, where one of the three is damaged or they contradict each
 * other. */
bool rf_chain_read_place(const rf_chain *chain, size_t at, rf_chain_place *out, rf_chain_trouble *trouble);

/* Finds the live block that starts at `ptr`, any pointer, and its neighbours: in O(1) where there is one, else false, and
 * *trouble says why, after a walk over the blocks. */
bool rf_chain_find(const rf_chain *chain, const void *ptr, rf_chain_place *out, rf_chain_trouble *trouble);

/* The free block at `at`, as a run, and the block itself with its free neighbours (`before`: also the left one). */
rf_chain_run rf_chain_run_of(const rf_chain_block *block);
rf_chain_run rf_chain_run_around(const rf_chain_place *place, bool before);

/* Whether `size` bytes at a multiple of `align` fit the run; *gap is then how many of its bytes stay free before them. */
bool rf_chain_fits(const rf_chain *chain, const rf_chain_run *run, size_t size, size_t align, size_t *gap);

/* The free blocks that a carve leaves; RF_CHAIN_NONE where it leaves none. */
typedef struct rf_chain_rest {
  size_t before;
  size_t after;
} rf_chain_rest;

/* Makes a used block of the run, after `gap` bytes that rf_chain_fits found. The blocks beside the run are intact. The first
 * `keep` bytes of the payload at `from` come along; NULL: none do. */
void *rf_chain_carve(rf_chain *chain, const rf_chain_run *run, size_t gap, size_t size, const rf_site *site,
                     const void *from, size_t keep, rf_chain_rest *rest);

/* Makes one free block of the run. The blocks beside it are intact. */
void rf_chain_release(rf_chain *chain, const rf_chain_run *run);

/* Writes another owner into the header of an intact block; for chains with owners. */
void rf_chain_set_owner(rf_chain *chain, rf_chain_block *block, uintptr_t owner);

/* Visits all blocks in address order; *more is false afterwards where the visitor ended the walk. RF_OK, RF_ERR_CORRUPT. */
rf_status rf_chain_walk(const rf_chain *chain, rf_walk_fn visit, void *context, bool *more);

/* Reads every block and compares it with its neighbours. False, and *trouble, at the first that is not in order; *sums has
 * what lies before it. */
bool rf_chain_check(const rf_chain *chain, rf_chain_sums *sums, rf_chain_trouble *trouble);

/* The owner that is the call site: rf_chain_walk shows it as such. */
uintptr_t rf_chain_site_owner(const rf_site *site);

/* Odd, and so spread that e * 256^k * RF_CHAIN_FACTOR, for |e| from 1 to 255, is never within 255 of a multiple of 2^32 or
 * 2^64: what seals are made by. */
#define RF_CHAIN_FACTOR ((size_t)0x9E3779B97F4A7C15U)

/* `seed` and `word` in one: for seals of records. Another seed or another word always gives another seal. */
static inline size_t rf_chain_mix(size_t seed, size_t word) {
  return ((seed << 8 | seed >> (sizeof seed * 8 - 8)) ^ word) * RF_CHAIN_FACTOR;
}

static inline rf_chain_header *rf_chain_header_at(const rf_chain *chain, size_t at) {
  return (rf_chain_header *)(void *)(chain->start + at);
}

static inline unsigned char *rf_chain_payload(const rf_chain *chain, size_t at) {
  return chain->start + at + chain->header;
}

/* Bytes of payload, slack included. */
static inline size_t rf_chain_room(const rf_chain *chain, const rf_chain_block *b) {
  return b->next - b->at - chain->header;
}

static inline size_t rf_chain_size(const rf_chain *chain, const rf_chain_block *b) {
  return rf_chain_room(chain, b) - b->slack;
}

/* True where a header may be read at `at`, any number: it is not said that there is one. */
static inline bool rf_chain_readable(const rf_chain *chain, size_t at) {
  return at < chain->limit && chain->limit - at >= chain->least && (at & (RF_ALIGN_DEFAULT - 1)) == 0;
}

/* True for a pointer into the arena. */
static inline bool rf_chain_owns(const rf_chain *chain, const void *ptr) {
  return (uintptr_t)ptr - (uintptr_t)chain->start < chain->limit;
}

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_CHAIN_H */
