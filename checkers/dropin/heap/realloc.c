#include "cache_impl.h"
#include "large.h"

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
  cache->used += size - v->size;
  return true;
}

static bool resize_here(rf_cache *cache, const rf_view *v, size_t size) {
  if (!v->span->large) {
    return resize_small(cache, v, size);
  }
  if (size <= RF_SLOT_MOST - RF_TAIL_LEAST || !rf_large_resize(v->span, size)) {
    return false;
  }
  cache->requested += size;
  cache->used += size - v->size;
  return true;
}

static void note_resized(rf_cache *cache) {
  if ((ptrdiff_t)(cache->used - cache->peak) > 0) {
    cache->peak = cache->used;
  }
  rf_cache_counted(cache);
}

static void *move(rf_cache *cache, const rf_view *v, size_t size, const rf_origin *origin) {
  rf_block_request const request = {size, RF_ALIGN_DEFAULT, rf_slot_family(v->slot), false, size > v->size};
  size_t const kept = v->size < size ? v->size : size;
  size_t const peak = cache->peak;
  size_t const peak_blocks = cache->peak_blocks;
  unsigned char *const p = rf_cache_alloc(cache, &request, origin);
  if (p == NULL) {
    return NULL;
  }
  cache->allocations--; /* it is the same block, and never was there twice */
  cache->peak = peak;
  cache->peak_blocks = peak_blocks;
  rf_large_move(p, v->payload, kept);
  if (!rf_cache_free_unusual(cache, v, request.family, SIZE_MAX, origin)) {
    cache->allocations++;
  }
  note_resized(cache);
  return p;
}

void *rf_cache_realloc(rf_cache *cache, void *ptr, size_t size, const rf_origin *origin) {
  rf_view v;
  if (!rf_view_at((uintptr_t)ptr, &v) || v.payload != ptr || rf_slot_state_of(v.slot) != RF_SLOT_LIVE) {
    rf_check_bad_free(ptr, origin);
    return NULL;
  }
  if (rf_heap_options_now.checked) {
    if (!rf_check_intact(&v) || !rf_check_front_holds(&v)) {
      (void)rf_check_report(&v, origin);
    }
    if (rf_slot_family(v.slot) != RF_FAMILY_MALLOC) {
      rf_check_mismatch(&v, RF_BUG_DEALLOC_MISMATCH, RF_FAMILY_MALLOC, SIZE_MAX, origin);
    }
  }
  bool const stay_first = !rf_heap_options_now.checked || v.size > rf_heap_options_now.move_below;
  if (stay_first && resize_here(cache, &v, size)) {
    note_resized(cache);
    return ptr;
  }
  void *const moved = move(cache, &v, size, origin);
  if (moved != NULL || stay_first || !resize_here(cache, &v, size)) {
    return moved;
  }
  cache->failures--;
  note_resized(cache);
  return ptr;
}
