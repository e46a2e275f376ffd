/* memblocks: taking blocks and giving them back, wherever they lie, with the record that this checks. */
#include "memblocks_impl.h"

#include <ringfence/layout.h>
#include <string.h>

/* ---- The record ---- */

static size_t checksum_of(const rf_memblocks *blocks) {
  size_t sum = rf_checksum_begin(blocks);
  sum = rf_checksum_add_address(sum, blocks->buffer);
  sum = rf_checksum_add_address(sum, blocks->bitmap);
  sum = rf_checksum_add(sum, blocks->block_size);
  sum = rf_checksum_add(sum, blocks->num_blocks);
  sum = rf_checksum_add(sum, blocks->shift);
  sum = rf_checksum_add_address(sum, blocks->mutex);
  return rf_checksum_add_address(sum, blocks->listeners);
}

/* Atomically, for pools whose first calls come from several threads: they all write the same. */
void rf_memblocks_seal(rf_memblocks *blocks) {
  __atomic_store_n(&blocks->checksum, checksum_of(blocks), __ATOMIC_RELAXED);
}

/* Whether an initialiser can have made the constant part: of a record that was cleared, none can. The figures are not
 * looked at, which another thread may change. */
static bool may_be_new(const rf_memblocks *blocks) {
  size_t bytes;
  bool const sized = blocks->block_size != 0 && blocks->num_blocks != 0 &&
                     rf_mul(blocks->block_size, blocks->num_blocks, &bytes) && bytes <= RF_SIZE_LIMIT;
  bool const shifted = blocks->shift == RF_MEMBLOCKS_NO_SHIFT ||
                       (blocks->shift < RF_SIZE_BITS && blocks->block_size == (size_t)1 << blocks->shift);
  return sized && shifted && blocks->buffer != NULL && blocks->bitmap != NULL;
}

bool rf_memblocks_intact(const rf_memblocks *blocks) {
  size_t const checksum = __atomic_load_n(&blocks->checksum, __ATOMIC_RELAXED);
  if (checksum == checksum_of(blocks)) {
    return true;
  }
  if (checksum != 0 || !may_be_new(blocks)) {
    return false;
  }
  rf_memblocks_seal((rf_memblocks *)(uintptr_t)blocks); /* no pool is const: its counts change */
  return true;
}

rf_status rf_memblocks_report_damage(const rf_memblocks *blocks) {
  return rf_fault_refuse(NULL, RF_ERR_CORRUPT, "memblocks: record of the pool was overwritten", blocks, NULL);
}

/* ---- Addresses ---- */

bool rf_memblocks_owns(const rf_memblocks *blocks, const void *ptr) {
  return blocks != NULL && rf_memblocks_intact(blocks) && rf_memblocks_holds(blocks, ptr);
}

bool rf_memblocks_index(const rf_memblocks *blocks, const void *ptr, size_t *index) {
  size_t const offset = (uintptr_t)ptr - (uintptr_t)blocks->buffer;
  if (!rf_memblocks_holds(blocks, ptr)) {
    return false;
  }
  *index = blocks->shift != RF_MEMBLOCKS_NO_SHIFT ? offset >> blocks->shift : offset / blocks->block_size;
  return *index * blocks->block_size == offset;
}

/* Pointers are stored and loaded as bytes, because code written for Zephyr hands in arrays of uintptr_t. */
static void store(void **out, size_t i, void *ptr) {
  memcpy(out + i, &ptr, sizeof ptr);
}

static void *load(void *const *in, size_t i) {
  void *ptr;
  memcpy(&ptr, in + i, sizeof ptr);
  return ptr;
}

/* Whether anybody is to be told of single blocks. */
static bool is_observed(void) {
#if RF_WATCH
  return __builtin_expect(__atomic_load_n(&rf_watcher_of_process, __ATOMIC_RELAXED) != NULL, 0);
#else
  return RF_TRACK;
#endif
}

/* ---- Counting ---- */

void rf_memblocks_count_taken(rf_memblocks *blocks, size_t count) {
  if (RF_TRACK && blocks->allocations == 0) {
    rf_track_arena(blocks->buffer, blocks->num_blocks * blocks->block_size); /* no init has run for static pools */
  }
  if (RF_WATCH && blocks->allocations == 0) {
    RF_WATCH_TELL(begin_static, rf_memblocks_view(blocks), NULL, 0, NULL, NULL);
  }
  blocks->used += count;
  blocks->peak = blocks->peak < blocks->used ? blocks->used : blocks->peak;
  blocks->allocations += count;
}

rf_status rf_memblocks_admit(rf_memblocks *blocks, size_t count) {
  if (blocks->used > blocks->num_blocks) {
    return RF_ERR_CORRUPT;
  }
  if (count - 1 >= blocks->num_blocks - blocks->used) { /* of 0 as well, which is the largest number then */
    blocks->failures += count != 0;
    return count != 0 ? RF_ERR_NO_MEMORY : RF_ERR_INVALID;
  }
  return RF_OK;
}

rf_status rf_memblocks_turned_down(const rf_memblocks *blocks, size_t count, rf_status status) {
  return status == RF_ERR_CORRUPT   ? rf_memblocks_report_counts(blocks)
         : status == RF_ERR_INVALID ? rf_memblocks_of_none(blocks, count)
                                    : status;
}

/* ---- Faults ---- */

rf_status rf_memblocks_report_counts(const rf_memblocks *blocks) {
  return rf_fault_refuse(NULL, RF_ERR_CORRUPT, "memblocks: bitmap and count disagree", blocks->bitmap, NULL);
}

rf_status rf_memblocks_refuse(const rf_memblocks *blocks, const rf_memblocks_refusal *why, const rf_site *site) {
  if (blocks->quiet && why->status != RF_ERR_CORRUPT) {
    return why->status;
  }
  return rf_fault_refuse(NULL, why->status, why->what, why->ptr, site);
}

bool rf_memblocks_refuse_address(const rf_memblocks *blocks, const void *ptr, rf_memblocks_refusal *why) {
  return refusal(why, RF_ERR_BAD_POINTER,
                 rf_memblocks_holds(blocks, ptr) ? "memblocks: free of a pointer into a block"
                                                 : "memblocks: free of a foreign pointer",
                 ptr);
}

/* ---- Listeners are told ---- */

void rf_memblocks_notify_alloc(rf_memblocks *blocks, void *ptr, size_t bytes) {
  for (rf_memblocks_listener *l = blocks->listeners; l != NULL; l = l->next) {
    if (l->on_alloc != NULL) {
      l->on_alloc(blocks, ptr, bytes, l->context);
    }
  }
}

void rf_memblocks_notify_free(rf_memblocks *blocks, void *ptr, size_t bytes) {
  for (rf_memblocks_listener *l = blocks->listeners; l != NULL; l = l->next) {
    if (l->on_free != NULL) {
      l->on_free(blocks, ptr, bytes, l->context);
    }
  }
}

/* ---- Taking blocks ---- */

/* Marks one block. */
static void mark_one(rf_memblocks *blocks, size_t index, bool taken) {
  size_t const w = index / RF_SIZE_BITS;
  size_t const bit = (size_t)1 << (index % RF_SIZE_BITS);
  set_word(blocks, w, taken ? blocks->bitmap[w] | bit : blocks->bitmap[w] & ~bit);
}

/* Large cores guess branches, and in a nearly full pool the number of free blocks changes from word to word: so many
 * are taken without a branch on how many there are. */
static const size_t few = RF_SIZE_BITS == 64 ? 2 : 0;

/* Takes up to `room` blocks into `out`, where `free_bits` are those of a word that are free and `start` is the address
 * of its first block. Returns the bits of those that it leaves; *got grows by how many it took. */
static inline size_t take_from_word(unsigned char *start, size_t block_size, size_t free_bits, size_t room, void **out,
                                    size_t *got) {
  size_t left = free_bits;
  size_t n = 0;
  for (size_t i = 0; i < few && room >= few; i++) {
    store(out, n, start + rf_ctz(left | ~(ALL_BITS >> 1)) * block_size); /* written over where none is left */
    n += left != 0;
    left &= left - 1;
  }
  for (; left != 0 && n < room; left &= left - 1) {
    store(out, n++, start + rf_ctz(left) * block_size);
  }
  *got += n;
  return left;
}

/* Takes up to `count` blocks from word *w on, which is then the word after the last that was looked at. Returns how
 * many. All is in local variables, since what is stored in `out` might otherwise be what is read next. */
static size_t take_from_words(rf_memblocks *blocks, size_t count, void **out, size_t *w) {
  size_t *const bitmap = blocks->bitmap;
  size_t const block_size = blocks->block_size;
  size_t const last = words_of(blocks) - 1;
  size_t const last_valid = valid_bits(blocks, last);
  size_t checksum = blocks->bitmap_checksum;
  size_t got = 0;
  size_t i = *w;
  for (; i <= last && got != count; i++) {
    size_t const before = bitmap[i];
    size_t const free_bits = ~before & (i == last ? last_valid : ALL_BITS);
    size_t const left = take_from_word(blocks->buffer + i * RF_SIZE_BITS * block_size, block_size, free_bits,
                                       count - got, out + got, &got);
    bitmap[i] = before | (free_bits ^ left);
    checksum += (free_bits ^ left) * weight(i);
  }
  blocks->bitmap_checksum = checksum;
  *w = i;
  return got;
}

/* The counts promised more blocks than the bitmap has: gives back what was found. */
static rf_status undo_take(rf_memblocks *blocks, size_t got, void *const *out) {
  while (got != 0) {
    size_t index;
    if (rf_memblocks_index(blocks, load(out, --got), &index)) {
      mark_one(blocks, index, false);
    }
  }
  return RF_ERR_CORRUPT;
}

static rf_status take_any(rf_memblocks *blocks, size_t count, void **out) {
  rf_status const status = rf_memblocks_admit(blocks, count);
  if (status != RF_OK) {
    return status;
  }
  size_t w = blocks->hint;
  size_t const got = take_from_words(blocks, count, out, &w);
  if (got != count) {
    return undo_take(blocks, got, out);
  }
  blocks->hint = w - 1; /* all words before it were used up */
  rf_memblocks_count_taken(blocks, count);
  return RF_OK;
}

/* With the lock held. */
static void tell_alloc(const rf_memblocks *blocks, size_t count, void *const *out, const void *caller) {
  for (size_t i = 0; i < count; i++) {
    rf_track_alloc(load(out, i), blocks->block_size);
    RF_WATCH_TELL(alloc, rf_memblocks_view(blocks), load(out, i), 1, NULL, caller);
  }
}

rf_status rf_memblocks_alloc(rf_memblocks *blocks, size_t count, void **out) {
  if (blocks == NULL || out == NULL) {
    return rf_memblocks_of_none(blocks, count);
  }
  if (!rf_memblocks_intact(blocks)) {
    return rf_memblocks_report_damage(blocks);
  }
  rf_memblocks_lock(blocks);
  rf_status const status = take_any(blocks, count, out);
  if (status == RF_OK && is_observed()) {
    tell_alloc(blocks, count, out, RF_WATCH_CALLER);
  }
  rf_memblocks_unlock(blocks);
  if (status != RF_OK) {
    return rf_memblocks_turned_down(blocks, count, status);
  }
  if (blocks->listeners != NULL) {
    for (size_t i = 0; i < count; i++) {
      rf_memblocks_notify_alloc(blocks, load(out, i), blocks->block_size);
    }
  }
  return RF_OK;
}

/* ---- Giving blocks back ---- */

bool rf_memblocks_release(rf_memblocks *blocks, const void *ptr, rf_memblocks_refusal *why) {
  size_t index;
  if (!rf_memblocks_index(blocks, ptr, &index)) {
    return rf_memblocks_refuse_address(blocks, ptr, why);
  }
  if (!rf_memblocks_taken(blocks, index)) {
    return refusal(why, RF_ERR_NOT_ALLOCATED, "memblocks: double free", ptr);
  }
  if (blocks->used == 0) {
    return refusal(why, RF_ERR_CORRUPT, "memblocks: bitmap and count disagree", ptr);
  }
  mark_one(blocks, index, false);
  size_t const w = index / RF_SIZE_BITS;
  blocks->hint = w < blocks->hint ? w : blocks->hint;
  blocks->used--;
  return true;
}

void rf_memblocks_unrelease(rf_memblocks *blocks, const void *ptr) {
  size_t index;
  if (rf_memblocks_index(blocks, ptr, &index)) {
    mark_one(blocks, index, true);
    blocks->used++;
  }
}

/* With the lock held. */
static void tell_free(const rf_memblocks *blocks, size_t count, void *const *in, const rf_site *site,
                      const void *caller) {
  for (size_t i = 0; i < count; i++) {
    rf_track_free(load(in, i), blocks->block_size);
    RF_WATCH_TELL(free, rf_memblocks_view(blocks), load(in, i), 1, site, caller);
  }
}

/* Marks blocks free as it checks them, which is how one named twice is seen; takes it back where one is bad. */
static bool release_all(rf_memblocks *blocks, size_t count, void *const *in, rf_memblocks_refusal *why) {
  for (size_t i = 0; i < count; i++) {
    if (!rf_memblocks_release(blocks, load(in, i), why)) {
      while (i != 0) {
        rf_memblocks_unrelease(blocks, load(in, --i));
      }
      return false;
    }
  }
  return true;
}

rf_status rf_memblocks_free_at(rf_memblocks *blocks, size_t count, void *const *in, const rf_site *site) {
  rf_memblocks_refusal why;
  if (blocks == NULL || in == NULL) {
    return rf_memblocks_of_none(blocks, count);
  }
  if (!rf_memblocks_intact(blocks)) {
    return rf_memblocks_report_damage(blocks);
  }
  if (count - 1 >= blocks->num_blocks) {
    return rf_memblocks_of_none(blocks, count);
  }
  rf_memblocks_lock(blocks);
  bool const released = release_all(blocks, count, in, &why);
  if (released && is_observed()) {
    tell_free(blocks, count, in, site, RF_WATCH_CALLER);
  }
  rf_memblocks_unlock(blocks);
  if (!released) {
    return rf_memblocks_refuse(blocks, &why, site);
  }
  if (blocks->listeners != NULL) {
    for (size_t i = 0; i < count; i++) {
      rf_memblocks_notify_free(blocks, load(in, i), blocks->block_size);
    }
  }
  return RF_OK;
}
