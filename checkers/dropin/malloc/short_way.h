/* The shortest way that a request can take: up to RF_FAST_MOST bytes at the default alignment, where every block waits
 * after it was freed and is filled, nothing is recorded or handed on, no allocation gets pages of its own this time,
 * and no thread stops others. All other requests are handed over from here to malloc_impl.h.
 */
#ifndef RINGFENCE_DROPIN_SHORT_WAY_H
#define RINGFENCE_DROPIN_SHORT_WAY_H

#include "checkers/dropin/heap/fast.h"
#include "checkers/dropin/runtime/own_cache.h"
#include "guarded_blocks.h"

#include <errno.h>

/* As rf_malloc_impl_alloc at the default alignment, and rf_malloc_impl_free, with an origin of `caller` and `frame`.
 * rf_short_alloc_small: up to RF_SMALL_MOST bytes. */
void *rf_short_alloc_small(size_t size, rf_family family, uintptr_t caller, const void *frame);
void *rf_short_alloc(size_t size, rf_family family, uintptr_t caller, const void *frame);
void rf_short_free(void *ptr, rf_family family, size_t size, uintptr_t caller, const void *frame);

/* The same for the caller of the exported function in which these stand. Its frame stays on the stack meanwhile: no
 * jump takes the place of the call. */
RF_INLINE void *rf_short_alloc_here(size_t size, rf_family family) {
  uintptr_t const caller = (uintptr_t)__builtin_return_address(0);
  const void *const frame = __builtin_frame_address(0);
  void *p = size <= RF_SMALL_MOST ? rf_short_alloc_small(size, family, caller, frame)
                                  : rf_short_alloc(size, family, caller, frame);
  RF_FORGET(p);
  return p;
}

RF_INLINE void rf_short_free_here(void *ptr, rf_family family, size_t size) {
  rf_short_free(ptr, family, size, (uintptr_t)__builtin_return_address(0), __builtin_frame_address(0));
  __asm__ volatile("");
}

/* An allocation that was counted (rf_guarded_blocks_passes) is served another way after all, which counts it. */
RF_INLINE void rf_short_was_not(void) {
  rf_guarded_blocks_left++;
}

/* As rf_enter_own, where the way is open. */
RF_INLINE rf_cache *rf_short_enter(void) {
  rf_cache *const cache = rf_current_thread.cache;
  if (RF_LIKELY(cache != NULL) && RF_LIKELY(cache->inside == RF_CACHE_OUTSIDE)) {
    __atomic_store_n(&cache->inside, RF_CACHE_INSIDE, __ATOMIC_RELAXED);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if (RF_LIKELY(__atomic_load_n(&rf_stop_now.wanted, __ATOMIC_ACQUIRE) == 0)) {
      return cache;
    }
    rf_cache_exit(cache);
  }
  return NULL;
}

/* Leaves the cache. Returns `p`, and sets errno where it is NULL. */
RF_INLINE void *rf_short_exit(rf_cache *cache, void *p) {
  if (rf_cache_has_more(cache)) {
    rf_cache_count_more(cache);
  }
  rf_cache_exit(cache);
  if (RF_UNLIKELY(p == NULL)) {
    errno = ENOMEM;
  }
  return p;
}

#endif /* RINGFENCE_DROPIN_SHORT_WAY_H */
