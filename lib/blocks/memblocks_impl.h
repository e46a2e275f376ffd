/* Steps of an operation that memblocks, blockgroup and the adapters share: call them between lock and unlock. Not a
 * public header. */
#ifndef RINGFENCE_MEMBLOCKS_IMPL_H
#define RINGFENCE_MEMBLOCKS_IMPL_H

#include "lib/core/checksum.h"
#include <ringfence/memblocks.h>
#include <ringfence/track.h>
#include <ringfence/watch.h>

/* One refused free: which pointer, why, in words. */
typedef struct rf_memblocks_refusal {
  rf_status status;
  const char *what;
  const void *ptr;
} rf_memblocks_refusal;

/* Fills *why; returns false. */
static inline bool refusal(rf_memblocks_refusal *why, rf_status status, const char *what, const void *ptr) {
  why->status = status;
  why->what = what;
  why->ptr = ptr;
  return false;
}

/* Whether the pool's record is undamaged; makes the checksum of one that no call initialised. Before the lock, whose
 * address is under it. */
bool rf_memblocks_intact(const rf_memblocks *blocks);

/* Reports that it is damaged. */
rf_status rf_memblocks_report_damage(const rf_memblocks *blocks);

static inline void rf_memblocks_lock(const rf_memblocks *blocks) {
  if (blocks->mutex != NULL) {
    rf_mutex_lock(blocks->mutex);
  }
}

static inline void rf_memblocks_unlock(const rf_memblocks *blocks) {
  if (blocks->mutex != NULL) {
    rf_mutex_unlock(blocks->mutex);
  }
}

/* rf_memblocks_owns of a pool that is known to be intact. */
static inline bool rf_memblocks_holds(const rf_memblocks *blocks, const void *ptr) {
  return (uintptr_t)ptr - (uintptr_t)blocks->buffer < blocks->num_blocks * blocks->block_size;
}

/* The answer to a call about no blocks, or with a NULL, or of a pool that is ended: the common path needs no look at a
 * count of 0. */
static inline rf_status rf_memblocks_of_none(const rf_memblocks *blocks, size_t count) {
  return blocks != NULL && blocks->num_blocks != 0 && count == 0 ? RF_OK : RF_ERR_INVALID;
}

/* The pool as a watcher sees it. */
static inline rf_watched_pool rf_memblocks_view(const rf_memblocks *blocks) {
  return (rf_watched_pool){.pool = blocks,
                           .name = "memblocks",
                           .start = blocks->buffer,
                           .stride = blocks->block_size,
                           .block_size = blocks->block_size,
                           .num_blocks = blocks->num_blocks,
                           .may_claim = true};
}

/* True where `ptr` is the address of a block; *index is then which. */
bool rf_memblocks_index(const rf_memblocks *blocks, const void *ptr, size_t *index);

static inline void *rf_memblocks_at(const rf_memblocks *blocks, size_t index) {
  return blocks->buffer + index * blocks->block_size;
}

static inline bool rf_memblocks_taken(const rf_memblocks *blocks, size_t index) {
  return (blocks->bitmap[index / RF_SIZE_BITS] >> (index % RF_SIZE_BITS) & 1U) != 0;
}

/* ---- Words of the bitmap ---- */

#define ALL_BITS (~(size_t)0)

static inline size_t words_of(const rf_memblocks *blocks) {
  return RF_MEMBLOCKS_WORDS(blocks->num_blocks);
}

/* The bits of word `w` that stand for blocks: all but in the last word. */
static inline size_t valid_bits(const rf_memblocks *blocks, size_t w) {
  size_t const rest = blocks->num_blocks - w * RF_SIZE_BITS;
  return rest >= RF_SIZE_BITS ? ALL_BITS : ((size_t)1 << rest) - 1;
}

/* Odd, so that no difference of two words is lost in the product; another one for each word, so that words cannot trade
 * places. */
static inline size_t weight(size_t w) {
  return rf_checksum_spread(2 * w + 1);
}

/* Changes a word of the bitmap, and the checksum with it. */
static inline void set_word(rf_memblocks *blocks, size_t w, size_t bits) {
  blocks->bitmap_checksum += (bits - blocks->bitmap[w]) * weight(w);
  blocks->bitmap[w] = bits;
}

/* The first block of [first, end) at a multiple of `align`; `end` where there is none. */
static inline size_t first_aligned(const rf_memblocks *blocks, size_t first, size_t end, size_t align) {
  while (first != end && !rf_is_aligned(rf_memblocks_at(blocks, first), align)) {
    first++;
  }
  return first;
}

/* ---- memblocks_block.c: the record, single blocks ---- */

/* Makes the record's checksum anew, after a change of what is under it. */
void rf_memblocks_seal(rf_memblocks *blocks);

/* Whether `count` blocks can be had at all, in a row or not: RF_OK; RF_ERR_NO_MEMORY, which it counts; RF_ERR_INVALID
 * for 0; or RF_ERR_CORRUPT where the pool's count cannot be. */
rf_status rf_memblocks_admit(rf_memblocks *blocks, size_t count);

/* The answer to a request that was not admitted or not met; outside the lock. Reports RF_ERR_CORRUPT. */
rf_status rf_memblocks_turned_down(const rf_memblocks *blocks, size_t count, rf_status status);

/* Counts blocks that were marked as taken. */
void rf_memblocks_count_taken(rf_memblocks *blocks, size_t count);

/* Marks the block at `ptr` free; false with *why filled where it cannot be, and nothing changed. */
bool rf_memblocks_release(rf_memblocks *blocks, const void *ptr, rf_memblocks_refusal *why);

/* Takes that back. */
void rf_memblocks_unrelease(rf_memblocks *blocks, const void *ptr);

/* Fills *why for a pointer that is no block of the pool; returns false. */
bool rf_memblocks_refuse_address(const rf_memblocks *blocks, const void *ptr, rf_memblocks_refusal *why);

/* Reports a refused free as the pool is told to; outside the lock. Returns its status. */
rf_status rf_memblocks_refuse(const rf_memblocks *blocks, const rf_memblocks_refusal *why, const rf_site *site);

/* Reports that bitmap and count disagree; outside the lock. Returns RF_ERR_CORRUPT. */
rf_status rf_memblocks_report_counts(const rf_memblocks *blocks);

/* Calls listeners; outside the lock. */
void rf_memblocks_notify_alloc(rf_memblocks *blocks, void *ptr, size_t bytes);
void rf_memblocks_notify_free(rf_memblocks *blocks, void *ptr, size_t bytes);

/* ---- memblocks_run.c: blocks in a row ---- */

/* The index from `from` on of the first block that is taken (or is free), num_blocks where there is none. */
size_t rf_memblocks_next(const rf_memblocks *blocks, size_t from, bool taken);

/* Takes the first run of `count` blocks whose start is a multiple of `align` (a power of two). */
rf_status rf_memblocks_take_run(rf_memblocks *blocks, size_t count, size_t align, size_t *first);

/* Takes [first, first + count); false, and nothing changed, where one of them is taken or is past the last block. */
bool rf_memblocks_take_these(rf_memblocks *blocks, size_t first, size_t count);

/* Marks a run free that the caller knows to be taken. */
void rf_memblocks_drop_run(rf_memblocks *blocks, size_t first, size_t count);

/* ---- memblocks_view.c ---- */

/* The most free blocks in a row of which the first is a multiple of `align`. */
size_t rf_memblocks_longest_run(const rf_memblocks *blocks, size_t align);

/* rf_memblocks_check without the lock: what contradicts what, or NULL; *at is the place. */
const char *rf_memblocks_damage(const rf_memblocks *blocks, const void **at);

#endif /* RINGFENCE_MEMBLOCKS_IMPL_H */
