#include "short_way.h"

#include "malloc_impl.h"

RF_RARE void *rf_short_alloc_otherwise(size_t size, rf_family family, uintptr_t caller, const void *frame) {
  rf_origin const origin = {NULL, caller, frame};
  return rf_malloc_impl_alloc(size, RF_ALIGN_DEFAULT, family, &origin);
}

RF_RARE void *rf_short_alloc_slowly(rf_cache *cache, size_t size, rf_family family, uintptr_t caller, const void *frame,
                                    uint32_t stack) {
  rf_origin const origin = {NULL, caller, frame};
  return rf_short_exit(cache, rf_cache_malloc_slowly(cache, size, family, &origin, stack));
}

RF_RARE void *rf_short_alloc_with_new_stack(rf_cache *cache, size_t size, rf_family family, uintptr_t caller,
                                            const void *frame) {
  rf_origin const origin = {NULL, caller, frame};
  return rf_short_alloc_any(cache, size, family, &origin, rf_fast_keep_new(caller, frame, 0));
}

RF_RARE void *rf_short_count_more(rf_cache *cache, void *p) {
  return rf_short_exit(cache, p);
}

RF_RARE void rf_short_age(rf_cache *cache) {
  rf_bins_age(cache);
  rf_cache_exit(cache);
}

void *rf_short_alloc_small(size_t size, rf_family family, uintptr_t caller, const void *frame) {
  return rf_memory_tags_on() ? rf_short_alloc_otherwise(size, family, caller, frame)
                             : rf_short_alloc_at_once(size, family, caller, frame, false, true);
}

void *rf_short_alloc(size_t size, rf_family family, uintptr_t caller, const void *frame) {
  return rf_memory_tags_on() || size > rf_heap_options_now.fast_most
             ? rf_short_alloc_otherwise(size, family, caller, frame)
             : rf_short_alloc_at_once(size, family, caller, frame, false, false);
}

RF_RARE void rf_short_free_otherwise(void *ptr, rf_family family, size_t size, uintptr_t caller, const void *frame) {
  rf_origin const origin = {NULL, caller, frame};
  rf_malloc_impl_free(ptr, family, size, &origin);
}

RF_RARE void rf_short_free_any(void *ptr, rf_family family, size_t size, uintptr_t caller, const void *frame,
                               uint32_t stack) {
  rf_cache *const cache = rf_current_thread.cache;
  const rf_span *const span = rf_span_of((uintptr_t)ptr);
  rf_fast_result const result = rf_fast_free_any(cache, span, ptr, family, size, stack);
  if (RF_UNLIKELY(result == RF_FAST_AGE)) {
    rf_bins_age(cache);
  }
  rf_cache_exit(cache);
  if (RF_UNLIKELY(result == RF_FAST_NOT)) {
    rf_short_free_otherwise(ptr, family, size, caller, frame);
  }
}

RF_RARE void rf_short_free_with_new_stack(void *ptr, rf_family family, size_t size, uintptr_t caller,
                                          const void *frame) {
  rf_short_free_any(ptr, family, size, caller, frame, rf_fast_keep_new(caller, frame, RF_FREES));
}

void rf_short_free(void *ptr, rf_family family, size_t size, uintptr_t caller, const void *frame) {
  rf_short_free_at_once(ptr, family, size, caller, frame, false);
}
