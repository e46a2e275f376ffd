#include "short_way.h"

#include "checkers/os/memory_tags.h"
#include "malloc_impl.h"

#define PART static RF_RARE /* a jump away, so that the shortest way saves no registers for it */

PART void *alloc_otherwise(size_t size, rf_family family, uintptr_t caller, const void *frame) {
  rf_origin const origin = {NULL, caller, frame};
  return rf_malloc_impl_alloc(size, RF_ALIGN_DEFAULT, family, &origin);
}

/* Inside the cache, which it leaves: no slot is there that is as usual. */
PART void *alloc_slowly(rf_cache *cache, size_t size, rf_family family, uintptr_t caller, const void *frame,
                        uint32_t stack) {
  rf_origin const origin = {NULL, caller, frame};
  return rf_short_exit(cache, rf_cache_malloc_slowly(cache, size, family, &origin, stack));
}

/* Leaves the cache after work that is due now and then. Returns `p`. */
PART void *finish_and_exit(rf_cache *cache, void (*finish)(rf_cache *), void *p) {
  finish(cache);
  rf_cache_exit(cache);
  return p;
}

/* `small`, a constant: up to RF_SMALL_MOST bytes; else up to RF_FAST_MOST. */
RF_INLINE void *alloc_at_once(size_t size, rf_family family, uintptr_t caller, const void *frame, bool small) {
  if (RF_UNLIKELY(!rf_guarded_blocks_passes())) {
    return alloc_otherwise(size, family, caller, frame);
  }
  rf_cache *const cache = rf_short_enter();
  if (RF_UNLIKELY(cache == NULL)) {
    rf_short_was_not();
    return alloc_otherwise(size, family, caller, frame);
  }
  uint32_t const stack = rf_fast_keep(caller, frame, 0);
  void *const p = rf_fast_alloc(cache, size, RF_PATTERN_NEW, family, stack, small);
  if (RF_UNLIKELY(p == NULL)) {
    return alloc_slowly(cache, size, family, caller, frame, stack);
  }
  if (rf_cache_has_more(cache)) {
    return finish_and_exit(cache, rf_cache_count_more, p);
  }
  rf_cache_exit(cache);
  return p;
}

void *rf_short_alloc_small(size_t size, rf_family family, uintptr_t caller, const void *frame) {
  return rf_memory_tags_on() ? alloc_otherwise(size, family, caller, frame)
                             : alloc_at_once(size, family, caller, frame, true);
}

void *rf_short_alloc(size_t size, rf_family family, uintptr_t caller, const void *frame) {
  return rf_memory_tags_on() || size > RF_FAST_MOST ? alloc_otherwise(size, family, caller, frame)
                                                    : alloc_at_once(size, family, caller, frame, false);
}

PART void free_otherwise(void *ptr, rf_family family, size_t size, uintptr_t caller, const void *frame) {
  rf_origin const origin = {NULL, caller, frame};
  rf_malloc_impl_free(ptr, family, size, &origin);
}

/* Inside the cache, which it leaves: up to RF_FAST_MOST bytes. False, with nothing done, where it is no such
 * block. */
PART bool free_larger(rf_cache *cache, const rf_span *span, void *ptr, rf_family family, size_t size, uint32_t stack) {
  rf_fast_result const result = span != NULL ? rf_fast_free(cache, span, ptr, family, size, stack, false) : RF_FAST_NOT;
  if (RF_UNLIKELY(result == RF_FAST_AGE)) {
    rf_bins_age(cache);
  }
  rf_cache_exit(cache);
  return result != RF_FAST_NOT;
}

void rf_short_free(void *ptr, rf_family family, size_t size, uintptr_t caller, const void *frame) {
  rf_cache *const cache = !rf_memory_tags_on() && ptr != NULL ? rf_short_enter() : NULL;
  if (RF_UNLIKELY(cache == NULL)) {
    free_otherwise(ptr, family, size, caller, frame);
    return;
  }
  uint32_t const stack = rf_fast_keep(caller, frame, RF_FREES);
  const rf_span *const span = rf_span_of((uintptr_t)ptr);
  if (RF_LIKELY(is_small_span(span))) {
    rf_fast_result const result = rf_fast_free(cache, span, ptr, family, size, stack, true);
    if (RF_LIKELY(result == RF_FAST_DONE)) {
      rf_cache_exit(cache);
      return;
    }
    if (result == RF_FAST_AGE) {
      (void)finish_and_exit(cache, rf_bins_age, NULL);
      return;
    }
  }
  if (!free_larger(cache, span, ptr, family, size, stack)) {
    free_otherwise(ptr, family, size, caller, frame);
  }
}
