/* memblocks: figures, the longest run and checks. */
#include "memblocks_impl.h"

#include <string.h>

bool rf_memblocks_is_region_free(rf_memblocks *blocks, const void *first, size_t count) {
  size_t index;
  if (blocks == NULL || !rf_memblocks_intact(blocks) || !rf_memblocks_index(blocks, first, &index) ||
      count > blocks->num_blocks - index) {
    return false;
  }
  rf_memblocks_lock(blocks);
  bool const all_free = rf_memblocks_next(blocks, index, true) - index >= count;
  rf_memblocks_unlock(blocks);
  return all_free;
}

size_t rf_memblocks_longest_run(const rf_memblocks *blocks, size_t align) {
  size_t longest = 0;
  for (size_t i = rf_memblocks_next(blocks, 0, false); i < blocks->num_blocks;) {
    size_t const end = rf_memblocks_next(blocks, i, true);
    i = first_aligned(blocks, i, end, align);
    longest = longest < end - i ? end - i : longest;
    i = rf_memblocks_next(blocks, end, false);
  }
  return longest;
}

void rf_memblocks_stats(rf_memblocks *blocks, rf_stats *out) {
  memset(out, 0, sizeof *out);
  if (!rf_memblocks_intact(blocks)) {
    return;
  }
  rf_memblocks_lock(blocks);
  size_t const size = blocks->block_size;
  out->capacity = blocks->num_blocks * size;
  out->used = blocks->used * size;
  out->peak = blocks->peak * size;
  out->blocks = blocks->used;
  out->peak_blocks = blocks->peak;
  out->free_bytes = out->capacity - out->used;
  out->largest_free = rf_memblocks_longest_run(blocks, 1) * size;
  out->allocations = blocks->allocations;
  out->failures = blocks->failures;
  rf_memblocks_unlock(blocks);
}

void rf_memblocks_reset_peak(rf_memblocks *blocks) {
  if (!rf_memblocks_intact(blocks)) {
    (void)rf_memblocks_report_damage(blocks);
    return;
  }
  rf_memblocks_lock(blocks);
  blocks->peak = blocks->used;
  rf_memblocks_unlock(blocks);
}

/* ---- Checks ---- */

const char *rf_memblocks_damage(const rf_memblocks *blocks, const void **at) {
  size_t checksum = 0;
  size_t used = 0;
  *at = blocks;
  for (size_t w = 0; w < words_of(blocks); w++) {
    size_t const bits = blocks->bitmap[w];
    *at = &blocks->bitmap[w];
    if ((bits & ~valid_bits(blocks, w)) != 0) {
      return "memblocks: bits are set past the last block";
    }
    if (w < blocks->hint && bits != valid_bits(blocks, w)) {
      return "memblocks: a block below the hint is free";
    }
    checksum += bits * weight(w);
    used += (size_t)__builtin_popcountll(bits);
  }
  *at = blocks;
  if (blocks->hint > words_of(blocks)) {
    return "memblocks: the hint is past the end";
  }
  if (used != blocks->used || blocks->peak < blocks->used || blocks->peak > blocks->num_blocks) {
    return "memblocks: bitmap and counts disagree";
  }
  return checksum != blocks->bitmap_checksum ? "memblocks: bitmap and checksum disagree" : NULL;
}

rf_status rf_memblocks_check(rf_memblocks *blocks, rf_fault *where) {
  const void *at = blocks;
  const char *what = "memblocks: record of the pool was overwritten";
  if (blocks == NULL) {
    return RF_ERR_INVALID;
  }
  if (rf_memblocks_intact(blocks)) {
    rf_memblocks_lock(blocks);
    what = rf_memblocks_damage(blocks, &at);
    rf_memblocks_unlock(blocks);
  }
  if (what == NULL) {
    return RF_OK;
  }
  if (where != NULL) {
    rf_fault const fault = {RF_ERR_CORRUPT, what, NULL, at, NULL};
    *where = fault;
  }
  return RF_ERR_CORRUPT;
}
