/* memblocks: blocks in a row: how the bitmap is searched for them, taking, claiming and giving back. */
#include "memblocks_impl.h"

#include <ringfence/layout.h>

/* ---- Words of the bitmap ---- */

size_t rf_memblocks_next(const rf_memblocks *blocks, size_t from, bool taken) {
  size_t const flip = taken ? 0 : ALL_BITS;
  size_t w = from / RF_SIZE_BITS;
  if (from >= blocks->num_blocks) {
    return blocks->num_blocks;
  }
  size_t bits = (blocks->bitmap[w] ^ flip) & (ALL_BITS << (from % RF_SIZE_BITS));
  while (bits == 0) {
    if (++w == words_of(blocks)) {
      return blocks->num_blocks;
    }
    bits = blocks->bitmap[w] ^ flip;
  }
  size_t const index = w * RF_SIZE_BITS + rf_ctz(bits);
  return index < blocks->num_blocks ? index : blocks->num_blocks;
}

/* Marks [first, first + count) a word at a time. */
static void mark_run(rf_memblocks *blocks, size_t first, size_t count, bool taken) {
  size_t const end = first + count;
  while (first != end) {
    size_t const w = first / RF_SIZE_BITS;
    size_t const low = first % RF_SIZE_BITS;
    size_t const n = end - first < RF_SIZE_BITS - low ? end - first : RF_SIZE_BITS - low;
    size_t const mask = (ALL_BITS >> (RF_SIZE_BITS - n)) << low;
    set_word(blocks, w, taken ? blocks->bitmap[w] | mask : blocks->bitmap[w] & ~mask);
    first += n;
  }
}

/* ---- Taking runs ---- */

rf_status rf_memblocks_take_run(rf_memblocks *blocks, size_t count, size_t align, size_t *first) {
  rf_status const status = rf_memblocks_admit(blocks, count);
  if (status != RF_OK) {
    return status;
  }
  size_t start = rf_memblocks_next(blocks, blocks->hint * RF_SIZE_BITS, false);
  blocks->hint = start / RF_SIZE_BITS;
  while (start < blocks->num_blocks) {
    size_t const end = rf_memblocks_next(blocks, start, true);
    start = first_aligned(blocks, start, end, align);
    if (end - start >= count) {
      mark_run(blocks, start, count, true);
      rf_memblocks_count_taken(blocks, count);
      *first = start;
      return RF_OK;
    }
    start = rf_memblocks_next(blocks, end, false);
  }
  blocks->failures++;
  return RF_ERR_NO_MEMORY;
}

rf_status rf_memblocks_alloc_contiguous(rf_memblocks *blocks, size_t count, void **out) {
  size_t first = 0;
  if (blocks == NULL || out == NULL) {
    return RF_ERR_INVALID;
  }
  if (!rf_memblocks_intact(blocks)) {
    return rf_memblocks_report_damage(blocks);
  }
  rf_memblocks_lock(blocks);
  rf_status const status = rf_memblocks_take_run(blocks, count, 1, &first);
  if (status == RF_OK) {
    *out = rf_memblocks_at(blocks, first);
    rf_track_alloc(*out, count * blocks->block_size);
    RF_WATCH_TELL(alloc, rf_memblocks_view(blocks), *out, count, NULL, RF_WATCH_CALLER);
  }
  rf_memblocks_unlock(blocks);
  if (status != RF_OK) {
    *out = count != 0 ? *out : NULL;
    return rf_memblocks_turned_down(blocks, count, status);
  }
  rf_memblocks_notify_alloc(blocks, *out, count * blocks->block_size);
  return RF_OK;
}

bool rf_memblocks_take_these(rf_memblocks *blocks, size_t first, size_t count) {
  if (rf_memblocks_next(blocks, first, true) - first < count) {
    return false;
  }
  mark_run(blocks, first, count, true);
  rf_memblocks_count_taken(blocks, count);
  return true;
}

rf_status rf_memblocks_claim(rf_memblocks *blocks, void *first, size_t count) {
  size_t index;
  if (blocks == NULL || count == 0) {
    return rf_memblocks_of_none(blocks, count);
  }
  if (!rf_memblocks_intact(blocks)) {
    return rf_memblocks_report_damage(blocks);
  }
  if (!rf_memblocks_index(blocks, first, &index)) {
    return RF_ERR_BAD_POINTER;
  }
  if (count > blocks->num_blocks - index) {
    return RF_ERR_INVALID;
  }
  rf_memblocks_lock(blocks);
  bool const taken = rf_memblocks_take_these(blocks, index, count);
  if (taken) {
    rf_track_alloc(first, count * blocks->block_size);
    RF_WATCH_TELL(claim, rf_memblocks_view(blocks), first, count, NULL, RF_WATCH_CALLER);
  } else {
    blocks->failures++;
  }
  rf_memblocks_unlock(blocks);
  if (!taken) {
    return RF_ERR_NO_MEMORY;
  }
  rf_memblocks_notify_alloc(blocks, first, count * blocks->block_size);
  return RF_OK;
}

/* ---- Giving runs back ---- */

void rf_memblocks_drop_run(rf_memblocks *blocks, size_t first, size_t count) {
  size_t const w = first / RF_SIZE_BITS;
  mark_run(blocks, first, count, false);
  blocks->hint = w < blocks->hint ? w : blocks->hint;
  blocks->used -= count;
  rf_track_free(rf_memblocks_at(blocks, first), count * blocks->block_size);
}

static bool release_run(rf_memblocks *blocks, size_t first, size_t count, rf_memblocks_refusal *why) {
  size_t const end = rf_memblocks_next(blocks, first, false);
  if (end - first < count) {
    return refusal(why, RF_ERR_NOT_ALLOCATED, "memblocks: double free", rf_memblocks_at(blocks, end));
  }
  if (blocks->used < count) {
    return refusal(why, RF_ERR_CORRUPT, "memblocks: bitmap and count disagree", rf_memblocks_at(blocks, first));
  }
  rf_memblocks_drop_run(blocks, first, count);
  return true;
}

rf_status rf_memblocks_free_contiguous_at(rf_memblocks *blocks, void *first, size_t count, const rf_site *site) {
  rf_memblocks_refusal why;
  size_t index;
  if (blocks == NULL) {
    return RF_ERR_INVALID;
  }
  if (!rf_memblocks_intact(blocks)) {
    return rf_memblocks_report_damage(blocks);
  }
  if (count - 1 >= blocks->num_blocks) {
    return rf_memblocks_of_none(blocks, count);
  }
  if (!rf_memblocks_index(blocks, first, &index)) {
    (void)rf_memblocks_refuse_address(blocks, first, &why);
    return rf_memblocks_refuse(blocks, &why, site);
  }
  if (count > blocks->num_blocks - index) {
    return RF_ERR_INVALID;
  }
  rf_memblocks_lock(blocks);
  bool const released = release_run(blocks, index, count, &why);
  if (RF_WATCH && released) {
    RF_WATCH_TELL(free, rf_memblocks_view(blocks), first, count, site, RF_WATCH_CALLER);
  }
  rf_memblocks_unlock(blocks);
  if (!released) {
    return rf_memblocks_refuse(blocks, &why, site);
  }
  rf_memblocks_notify_free(blocks, first, count * blocks->block_size);
  return RF_OK;
}
