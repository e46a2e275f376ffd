/* rf_tlsf: reading and making blocks one at a time, with care, for all but the common paths. */
#include "tlsf_block.h"

/* ---- Free blocks, one at a time ---- */

void rf_tlsf_file(rf_tlsf_region *region, unsigned char *b, unsigned char *e) {
  (void)file_block(region, region->origin, region->map, b, e, (size_t)(e - b) / GRANULE,
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
    return is_marked(region, b) ? 0 : SIZE_MAX;
  }
  return rf_tlsf_is_sound_free(region, b) ? size_of_tag(*header_of(b)) : SIZE_MAX;
}

unsigned char *rf_tlsf_free_before(const rf_tlsf_region *region, unsigned char *e) {
  size_t const size = (size_t)(e - region->first) < MIN_BLOCK ? SIZE_MAX : size_of_tag(*foot_before(e));
  if (size < MIN_BLOCK || size > (size_t)(e - region->first)) {
    return NULL;
  }
  return rf_tlsf_is_sound_free(region, e - size) && size_of_tag(*header_of(e - size)) == size ? e - size : NULL;
}

void rf_tlsf_unfile(rf_tlsf_region *region, unsigned char *b) {
  uint64_t map = region->map;
  (void)unfile(region, region->origin, &map, b);
  region->map = map;
}

/* ---- Live blocks ---- */

size_t rf_tlsf_block_for(size_t size) {
  return granules_for(size) * GRANULE + (is_huge(size) ? (size_t)HUGE_LEAD : 0);
}

static size_t *huge_size(unsigned char *b) {
  return (size_t *)(void *)b;
}

static uint32_t *huge_slack(unsigned char *b) {
  return (uint32_t *)(void *)(b + sizeof(size_t));
}

void rf_tlsf_settle(rf_tlsf_region *region, unsigned char *b, unsigned char *e, size_t size, bool prev_free) {
  size_t const need = rf_tlsf_block_for(size);
  if ((size_t)(e - b) - need >= MIN_BLOCK) {
    rf_tlsf_file(region, b + need, e);
    e = b + need;
  } else {
    *header_of(e) &= ~(uint32_t)PREV_FREE;
  }
  size_t const block = (size_t)(e - b);
  uint32_t const flag = prev_free ? PREV_FREE : 0;
  if (!is_huge(size)) {
    *header_of(b) = live_header(block / GRANULE, size) | flag;
    return;
  }
  *huge_size(b) = block;
  *huge_slack(b) = (uint32_t)(block - size);
  *header_of(b) = HUGE_BLOCK << SLACK_SHIFT | flag;
  *header_of(b + HUGE_LEAD) = HUGE_USER << SLACK_SHIFT;
}

void rf_tlsf_turn_marks(rf_tlsf_region *region, const unsigned char *b, size_t size) {
  turn_mark(region, granule_in(region, b));
  if (is_huge(size)) {
    turn_mark(region, granule_in(region, b + HUGE_LEAD));
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
      unused < HEADER || block < unused || is_huge(block - unused) != (b != user)) {
    return false;
  }
  *out = (rf_tlsf_live){region, user, b, b + block, block - unused, (*header_of(b) & PREV_FREE) != 0};
  return true;
}

/* Whether granule `g`, which has no mark, is in a free block. Looks back for the live block before it, a word of the
 * bitmap at a time: only the report of a fault depends on it. */
static bool is_in_free_block(rf_tlsf_region *region, size_t g) {
  size_t word = g / RF_SIZE_BITS;
  size_t bits = region->starts[word] & (((size_t)1 << g % RF_SIZE_BITS) - 1);
  while (bits == 0 && word != 0) {
    bits = region->starts[--word];
  }
  if (bits == 0) {
    return true;
  }
  rf_tlsf_live before;
  unsigned char *const user = region->origin + (word * RF_SIZE_BITS + rf_log2(bits)) * GRANULE;
  return rf_tlsf_read_live(region, user, &before) && granule_in(region, before.e) <= g;
}

rf_status rf_tlsf_find_live(const rf_tlsf *h, const void *p, rf_tlsf_live *out) {
  rf_tlsf_region *const region = rf_tlsf_region_of(h, p);
  if (region == NULL || granule_in(region, p) >= region->granules) {
    return RF_ERR_BAD_POINTER;
  }
  unsigned char *const user = region->origin + granule_in(region, p) * GRANULE;
  if (!is_marked(region, user)) {
    return is_in_free_block(region, granule_in(region, user)) ? RF_ERR_NOT_ALLOCATED : RF_ERR_BAD_POINTER;
  }
  if (is_huge_header(*header_of(user))) {
    return RF_ERR_BAD_POINTER;
  }
  return rf_tlsf_read_live(region, user, out) ? RF_OK : RF_ERR_CORRUPT;
}

rf_status rf_tlsf_open_live(rf_tlsf *h, void *p, rf_tlsf_live *out, const rf_site *site) {
  rf_status const status = rf_tlsf_find_live(h, p, out);
  switch (status) {
  case RF_OK:
    return RF_OK;
  case RF_ERR_NOT_ALLOCATED:
    return rf_fault_refuse(&h->base, status, "block is free already", p, site);
  case RF_ERR_CORRUPT:
    return rf_tlsf_damaged(h, p, site);
  default:
    return rf_fault_refuse(&h->base, status, "not the start of a block", p, site);
  }
}

rf_status rf_tlsf_damaged(rf_tlsf *h, const void *p, const rf_site *site) {
  return rf_fault_refuse(&h->base, RF_ERR_CORRUPT, "damaged block", p, site);
}
