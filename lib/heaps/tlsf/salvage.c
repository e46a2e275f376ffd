#include "salvage.h"

#include "tlsf_region.h"

static bool open_memory(const rf_tlsf_salvage *memory, rf_tlsf_region *out) {
  *out = (rf_tlsf_region){0};
  return rf_tlsf_plan(out, memory->memory, memory->size, memory->first ? 0 : sizeof *out) == RF_OK;
}

/* The first start of a block at or above `p`, or the region's end. */
static unsigned char *start_from(const rf_tlsf_region *region, unsigned char *p) {
  while (p < region->end && !is_start(region, p)) {
    p += GRANULE;
  }
  return p;
}

/* `b` is a start. No block reaches beyond the next one. */
static void describe(rf_tlsf_region *region, unsigned char *b, rf_block *out) {
  size_t const room = (size_t)(start_from(region, b + GRANULE) - b) - HEADER;
  rf_tlsf_live live;
  bool const read = rf_tlsf_read_live(region, b, &live) && live.size <= room;
  size_t const usable = read ? (size_t)(live.e - live.user) - HEADER : room;
  size_t const size = read ? live.size : room;
  *out = (rf_block){b, size, (usable < room ? usable : room) - size, true, NULL};
}

bool rf_tlsf_salvage_find(const rf_tlsf_salvage *memory, const void *ptr, rf_block *out) {
  rf_tlsf_region region;
  unsigned char *const b = (unsigned char *)(uintptr_t)ptr;
  if (!open_memory(memory, &region) || b < region.first || b >= region.end || !rf_is_aligned(ptr, GRANULE) ||
      !is_start(&region, b)) {
    return false;
  }
  describe(&region, b, out);
  return true;
}

bool rf_tlsf_salvage_next(const rf_tlsf_salvage *memory, const void *ptr, rf_block *out) {
  rf_tlsf_region region;
  unsigned char *b = (unsigned char *)(uintptr_t)ptr;
  if (!open_memory(memory, &region)) {
    return false;
  }
  b = start_from(&region, b < region.first ? region.first : b + GRANULE);
  if (b >= region.end) {
    return false;
  }
  describe(&region, b, out);
  return true;
}

void rf_tlsf_salvage_free(const rf_tlsf_salvage *memory, const void *ptr) {
  rf_tlsf_region region;
  if (open_memory(memory, &region)) {
    toggle_start(&region, granule_in(&region, ptr));
  }
}
