#include "cache_impl.h"
#include "large.h"
#include "rights.h"

#include <string.h>

#include "checkers/shared/origin.h"

/* The block where it is, with another size; false where there is no room. */
static bool resize_small(rf_cache *cache, const rf_view *v, size_t size) {
  bool const checked = rf_heap_options_now.checked;
  size_t const room = (size_t)(v->end - v->payload) - (checked ? RF_TAIL_LEAST : 0);
  if (size > room || size < room / 2) {
    return false;
  }
  v->slot->size = (uint16_t)size;
  if (checked) {
    if (size > v->size) {
      size_t const most = rf_heap_options_now.fill_alloc;
      rf_pattern_write(v->payload + v->size, size - v->size < most ? size - v->size : most, RF_PATTERN_NEW);
    }
    rf_pattern_write(v->payload + size, (size_t)(v->end - v->payload) - size, RF_PATTERN_REDZONE);
  }
  cache->requested += size;
  cache->room -= (ptrdiff_t)(size - v->size);
  return true;
}

static bool resize_large(rf_cache *cache, const rf_view *v, size_t size) {
  bool const fits_slot = size <= RF_SLOT_MOST - RF_TAIL_LEAST;
  if ((fits_slot && (size <= RF_GROWING_MOST || size < v->size / 2)) || !rf_large_resize(v->span, size)) {
    return false;
  }
  cache->requested += size;
  cache->room -= (ptrdiff_t)(size - v->size);
  return true;
}

/* Until the block is claimed another thread may free or resize it, which is a fault of the program's: then this call is
 * refused. Nothing is reported while it is claimed: others may look at it then, and it looks like a freed one. */
typedef enum outcome { NO_ROOM, DONE, REFUSED } outcome;

static bool claim(rf_view *v, uint16_t *traits) {
  *traits = __atomic_load_n(&v->slot->traits, __ATOMIC_RELAXED);
  return rf_view_claim(v, *traits);
}

static outcome resize_here(rf_cache *cache, rf_view v, size_t size) {
  uint16_t traits;
  if (!claim(&v, &traits)) {
    return REFUSED;
  }
  bool const done = v.span->large ? resize_large(cache, &v, size) : resize_small(cache, &v, size);
  rf_slot_unclaim(v.slot, traits);
  return done ? DONE : NO_ROOM;
}

/* The block that moves was never there twice. */
static void take_peaks_back(rf_cache *cache, size_t peak, size_t peak_blocks) {
  cache->peak = peak;
  cache->block_room -= (ptrdiff_t)(cache->peak_blocks - peak_blocks);
  cache->peak_blocks = peak_blocks;
}

/* The number of the stack that allocated the block, which this call just did. */
static uint32_t stack_of(const void *p) {
  const rf_span *const span = rf_span_of((uintptr_t)p);
  return span->slots[rf_span_index(span, (uintptr_t)p)].allocated;
}

#define PIECE ((size_t)4096) /* bytes, which are in the near cache when they are filled */

/* Copies the first `size` bytes of a block, and fills them as those of a freed one. Returns how many. */
static size_t move_contents(unsigned char *to, const rf_view *v, size_t size) {
  size_t const fill = rf_heap_options_now.checked ? rf_view_fill(v) : 0;
  size_t done = 0;
  if (v->span->large) {
    rf_large_move(to, v->payload, size);
    return 0;
  }
  for (; size - done > PIECE && fill - done > PIECE; done += PIECE) {
    memcpy(to + done, v->payload + done, PIECE);
    memset(v->payload + done, RF_PATTERN_FREED, PIECE);
  }
  memcpy(to + done, v->payload + done, size - done);
  return done;
}

static outcome move(rf_cache *cache, rf_view v, size_t size, const rf_origin *origin, void **moved) {
  rf_block_request const request = {size,  RF_ALIGN_DEFAULT, rf_slot_family(v.slot),
                                    false, size > v.size,    v.size < size ? v.size : size};
  size_t const peak = cache->peak;
  size_t const peak_blocks = cache->peak_blocks;
  uint16_t traits;
  unsigned char *const p = rf_cache_alloc(cache, &request, origin);
  if (p == NULL) {
    return NO_ROOM;
  }
  cache->allocations--;
  take_peaks_back(cache, peak, peak_blocks);
  if (p == v.payload || !claim(&v, &traits)) { /* freed meanwhile, and given out again */
    cache->requested -= size;
    (void)rf_cache_free(cache, p, request.family, SIZE_MAX, origin);
    return REFUSED;
  }
  size_t const kept = v.size < size ? v.size : size;
  size_t const filled = move_contents(p, &v, kept);
  rf_cache_free_claimed(cache, &v, filled, stack_of(p));
  *moved = p;
  return DONE;
}

void *rf_cache_realloc(rf_cache *cache, void *ptr, size_t size, const rf_origin *origin) {
  rf_view v;
  if (!rf_view_at((uintptr_t)ptr, &v) || v.payload != ptr || rf_slot_state_of(v.slot) != RF_SLOT_LIVE) {
    rf_check_bad_free(ptr, origin);
    return NULL;
  }
  bool const there = rf_rights_return(&v); /* else what it reads is the program's fault */
  if (there && rf_heap_options_now.checked) {
    bool const plain = rf_check_plain_intact(v.span, v.index) && rf_check_front_holds(&v);
    if (!plain && !rf_check_live_intact(&v)) {
      (void)rf_check_report(&v, origin);
    }
    if (rf_slot_family(v.slot) != RF_FAMILY_MALLOC) {
      rf_check_mismatch(&v, RF_BUG_DEALLOC_MISMATCH, RF_FAMILY_REALLOC, SIZE_MAX, origin);
    }
  }
  void *p = ptr;
  bool const stay_first = !rf_heap_options_now.checked || v.size > rf_heap_options_now.move_below;
  outcome result = stay_first ? resize_here(cache, v, size) : move(cache, v, size, origin, &p);
  if (result == NO_ROOM) {
    result = stay_first ? move(cache, v, size, origin, &p) : resize_here(cache, v, size);
    cache->failures -= !stay_first && result == DONE ? 1 : 0;
  }
  if (result == REFUSED) {
    rf_check_bad_free(ptr, origin);
  }
  rf_cache_count_more(cache);
  return result == DONE ? p : NULL;
}
