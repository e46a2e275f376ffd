/* rf_tlsf: the blocks of one region, free and live. */
#ifndef RINGFENCE_TLSF_BLOCK_H
#define RINGFENCE_TLSF_BLOCK_H

#include "tlsf_layout.h"

#include "lib/core/compiler.h"

/* ---- Free lists ----
 *
 * `map` is passed in and out, so that an operation reads and writes it once. */

/* Makes [b, e) a free block, `granules` long and at `place`, and files it first in its list; whoever calls says so in
 * the header at `e`. False, and nothing changed but the tags, where the list leads out of the region. */
RF_INLINE bool insert_free(rf_tlsf_region *region, unsigned char *origin, rf_tlsf_map map, unsigned char *b,
                           unsigned char *e, size_t granules, size_t place) {
  size_t list = list_of(granules);
  RF_FORGET(list);
  uint32_t const tag = (uint32_t)(granules << TAG_SHIFT) + FREE;
  *header_of(b) = tag;
  *foot_before(e) = tag;
  size_t const next = *next_of(origin + list * PLACE);
  if (RF_UNLIKELY((uint32_t)next >= region->places)) {
    return false;
  }
  region->map = map | (rf_tlsf_map)1 << list;
  *prev_of(b) = (uint32_t)list;
  RF_FORGET(list);
  *next_of(origin + list * PLACE) = (uint32_t)place;
  *next_of(b) = (uint32_t)next;
  *prev_of(origin + next * PLACE) = (uint32_t)place;
  return true;
}

/* Takes the block at `b` out of its list. False, and nothing changed, where a link leads out of the region. */
RF_INLINE bool remove_free(rf_tlsf_region *region, unsigned char *origin, rf_tlsf_map *map, unsigned char *b) {
  size_t const next = *next_of(b);
  size_t const prev = *prev_of(b);
  if (RF_UNLIKELY((uint32_t)next >= region->places)) {
    return false;
  }
  RF_FORGET_MEMORY(region->places);
  if (RF_UNLIKELY((uint32_t)prev >= region->places)) {
    return false;
  }
  *prev_of(origin + next * PLACE) = (uint32_t)prev;
  *next_of(origin + prev * PLACE) = (uint32_t)next;
  if (RF_LIKELY(next == prev)) {
    *map = toggle_bit(*map, next);
  }
  return true;
}

/* ---- The same with care, for all but the common paths ---- */

/* A live block. */
typedef struct rf_tlsf_live {
  rf_tlsf_region *region;
  unsigned char *user; /* what the program holds */
  unsigned char *b;    /* `user`, or HUGE_LEAD before it */
  unsigned char *e;
  size_t size; /* as requested */
  bool prev_free;
} rf_tlsf_live;

/* Fills *out from the headers of the live block whose `user` is marked in `region`. False where they make no sense. */
bool rf_tlsf_read_live(rf_tlsf_region *region, unsigned char *user, rf_tlsf_live *out);

/* How many bytes the block for `size` bytes takes. */
size_t rf_tlsf_block_for(size_t size);

/* Makes [b, e), filed nowhere, a live block of `size` bytes, and a free block of the bytes that it does not need. The
 * bitmap stays. */
void rf_tlsf_commit_used(rf_tlsf_region *region, unsigned char *b, unsigned char *e, size_t size, bool prev_free);

/* Inverts the bits of a live block in the bitmap: makes it live, or free. */
void rf_tlsf_toggle_starts(rf_tlsf_region *region, const unsigned char *b, size_t size);

/* Inserts [b, e) and sets PREV_FREE in the header at `e`. */
void rf_tlsf_insert_free_block(rf_tlsf_region *region, unsigned char *b, unsigned char *e);

/* Both tags of the free block at `b`, its links and the links back. */
bool rf_tlsf_is_sound_free(const rf_tlsf_region *region, unsigned char *b);

/* Bytes of the free block at `b`; 0 where it is live; SIZE_MAX where it is damaged. */
size_t rf_tlsf_free_size(const rf_tlsf_region *region, unsigned char *b);

/* The start of the free block that ends at `e`; NULL if it is damaged. */
unsigned char *rf_tlsf_free_before(const rf_tlsf_region *region, unsigned char *e);

/* The free block that the region has for `need` bytes, its links and tags unseen, so that it may be too small; the end
 * of the region where the list leads out of it; NULL where there is none. */
static inline unsigned char *find_fit(const rf_tlsf_region *region, size_t need) {
  if (need > (size_t)(region->end - region->first)) {
    return NULL;
  }
  size_t list = list_for(need / GRANULE);
  if (RF_TLSF_SMALL && list > LISTS) {
    list = LISTS;
  }
  rf_tlsf_map const fitting = list < LISTS ? (rf_tlsf_map)region->map >> list : 0;
  if (fitting != 0) {
    list += first_in(fitting);
  } else if ((region->map >> --list & 1) == 0) {
    return NULL;
  }
  uint32_t const place = *next_of(at_place(region, list));
  return place < region->places ? at_place(region, place) : region->end;
}

/* Removes a sound free block from its list. */
void rf_tlsf_remove_free_block(rf_tlsf_region *region, unsigned char *b);

#endif /* RINGFENCE_TLSF_BLOCK_H */
