#include "tlsf_block.h"

/* ---- Free blocks, one at a time ---- */

void rf_tlsf_insert_free_block(rf_tlsf_region *region, unsigned char *b, unsigned char *e) {
  (void)insert_free(region, region->origin, (rf_tlsf_map)region->map, b, e, (size_t)(e - b) / GRANULE,
                    (size_t)(b - region->origin) / PLACE);
  *header_of(e) |= PREV_FREE;
}

/* Both tags of the free block at `b`, its links and the links back. */
bool rf_tlsf_is_sound_free(const rf_tlsf_region *region, unsigned char *b) {
  size_t const size = size_of_tag(*header_of(b));
  size_t const place = (size_t)(b - region->origin) / PLACE;
  return (*header_of(b) & FREE) != 0 && size >= MIN_BLOCK && size <= (size_t)(region->end - b) &&
         *foot_before(b + size) == *header_of(b) && *next_of(b) < region->places && *prev_of(b) < region->places &&
         *prev_of(at_place(region, *next_of(b))) == place && *next_of(at_place(region, *prev_of(b))) == place;
}

size_t rf_tlsf_free_size(const rf_tlsf_region *region, unsigned char *b) {
  if ((*header_of(b) & FREE) == 0) {
    return is_start(region, b) ? 0 : SIZE_MAX;
  }
  return rf_tlsf_is_sound_free(region, b) ? size_of_tag(*header_of(b)) : SIZE_MAX;
}

unsigned char *rf_tlsf_free_before(const rf_tlsf_region *region, unsigned char *e) {
  size_t const size = size_of_tag(*foot_before(e)); /* before the first block are lists */
  return size <= (size_t)(e - region->first) && rf_tlsf_is_sound_free(region, e - size) &&
                 size_of_tag(*header_of(e - size)) == size
             ? e - size
             : NULL;
}

void rf_tlsf_remove_free_block(rf_tlsf_region *region, unsigned char *b) {
  uint32_t const next = *next_of(b);
  uint32_t const prev = *prev_of(b);
  *prev_of(at_place(region, next)) = prev;
  *next_of(at_place(region, prev)) = next;
  if (next == prev) {
    region->map = toggle_bit((rf_tlsf_map)region->map, next);
  }
}

/* ---- Live blocks ---- */

size_t rf_tlsf_block_for(size_t size) {
  return granules_for(size) * GRANULE + (HAS_HUGE && is_huge(size) ? (size_t)HUGE_LEAD : 0);
}

static size_t *huge_size(unsigned char *b) {
  return (size_t *)(void *)b;
}

static uint32_t *huge_slack(unsigned char *b) {
  return (uint32_t *)(void *)(b + sizeof(size_t));
}

void rf_tlsf_commit_used(rf_tlsf_region *region, unsigned char *b, unsigned char *e, size_t size, bool prev_free) {
  size_t const need = rf_tlsf_block_for(size);
  if ((size_t)(e - b) - need >= MIN_BLOCK) {
    rf_tlsf_insert_free_block(region, b + need, e);
    e = b + need;
  } else {
    *header_of(e) &= ~(uint32_t)PREV_FREE;
  }
  size_t const block = (size_t)(e - b);
  uint32_t const flag = prev_free ? PREV_FREE : 0;
  if (!HAS_HUGE || !is_huge(size)) {
    *header_of(b) = live_header(block / GRANULE, size) | flag;
    return;
  }
  *huge_size(b) = block;
  *huge_slack(b) = (uint32_t)(block - size);
  *header_of(b) = HUGE_BLOCK << SLACK_SHIFT | flag;
  *header_of(b + HUGE_LEAD) = HUGE_USER << SLACK_SHIFT;
}

void rf_tlsf_toggle_starts(rf_tlsf_region *region, const unsigned char *b, size_t size) {
  toggle_start(region, granule_in(region, b));
  if (HAS_HUGE && is_huge(size)) {
    toggle_start(region, granule_in(region, b + HUGE_LEAD));
  }
}

bool rf_tlsf_read_live(rf_tlsf_region *region, unsigned char *user, rf_tlsf_live *out) {
  if (user < region->first) { /* a damaged mark */
    return false;
  }
  uint32_t const header = *header_of(user);
  unsigned char *b = user;
  size_t block = size_of_header(header);
  size_t unused = slack_of_header(header);
  if (HAS_HUGE && header == HUGE_USER << SLACK_SHIFT && user - region->first >= HUGE_LEAD) {
    b -= HUGE_LEAD;
    if (!is_huge_header(*header_of(b))) {
      return false;
    }
    block = *huge_size(b);
    unused = *huge_slack(b);
  }
  if ((header & FREE) != 0 || block < MIN_BLOCK || block % GRANULE != 0 || block > (size_t)(region->end - b) ||
      unused < HEADER || block < unused || (HAS_HUGE && is_huge(block - unused)) != (b != user)) {
    return false;
  }
  *out = (rf_tlsf_live){region, user, b, b + block, block - unused, (*header_of(b) & PREV_FREE) != 0};
  return true;
}
