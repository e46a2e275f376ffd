/* The shortest way that a request can take: up to fast_most bytes (heap.h) at the default alignment, where blocks wait
 * after they were freed and are filled, nothing is recorded or handed on, no allocation gets pages of its own this
 * time, and no thread stops others. All other requests are handed over from here to malloc_impl.h.
 *
 * It is inlined into malloc, free and the like, and calls nothing: what it does else, it does last. So it needs no
 * registers that it would have to save.
 */
#ifndef RINGFENCE_DROPIN_SHORT_WAY_H
#define RINGFENCE_DROPIN_SHORT_WAY_H

#include "checkers/dropin/heap/fast.h"
#include "checkers/dropin/runtime/caller.h"
#include "checkers/dropin/runtime/own_cache.h"
#include "checkers/os/memory_tags.h"
#include "guarded_blocks.h"

#include <errno.h>

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

/* Up to fast_most bytes; inside the cache, which it leaves. `stack` is the number of the caller's. */
RF_INLINE void *rf_short_alloc_any(rf_cache *cache, size_t size, rf_family family, const rf_origin *origin,
                                   uint32_t stack) {
  void *p = rf_fast_alloc_any(cache, size, RF_PATTERN_NEW, family, stack);
  if (RF_UNLIKELY(p == NULL)) {
    p = rf_cache_malloc_slowly(cache, size, family, origin, stack);
  }
  return rf_short_exit(cache, p);
}

/* ---- The ways from here; `frame` is that of an exported function, and `caller` the address to which it returns.
 * With a cache: inside it, which they leave. ---- */

/* As rf_malloc_impl_alloc at the default alignment, and rf_malloc_impl_free. */
void *rf_short_alloc_otherwise(size_t size, rf_family family, uintptr_t caller, const void *frame);
void rf_short_free_otherwise(void *ptr, rf_family family, size_t size, uintptr_t caller, const void *frame);

/* No slot is there that is as usual. */
void *rf_short_alloc_slowly(rf_cache *cache, size_t size, rf_family family, uintptr_t caller, const void *frame,
                            uint32_t stack);

/* The stack is none that is at hand. */
void *rf_short_alloc_with_new_stack(rf_cache *cache, size_t size, rf_family family, uintptr_t caller,
                                    const void *frame);
void rf_short_free_with_new_stack(void *ptr, rf_family family, size_t size, uintptr_t caller, const void *frame);

/* A block of any size; inside the thread's own cache. */
void rf_short_free_any(void *ptr, rf_family family, size_t size, uintptr_t caller, const void *frame, uint32_t stack);

/* There is work that is due now and then. The first returns `p`. */
void *rf_short_count_more(rf_cache *cache, void *p);
void rf_short_age(rf_cache *cache);

/* ---- The way ---- */

/* If a way ends early, caller and frame are asked for again, so that no register need have held them until then.
 * `here`, a constant: they are those of the function that this is inlined into. */
RF_INLINE uintptr_t rf_short_caller(uintptr_t caller, bool here) {
  return here ? (uintptr_t)__builtin_return_address(0) : caller;
}

RF_INLINE const void *rf_short_frame(const void *frame, bool here) {
  return here ? __builtin_frame_address(0) : frame;
}

/* `small`, a constant: up to RF_SMALL_MOST bytes; else more, and up to fast_most. */
RF_INLINE void *rf_short_alloc_at_once(size_t size, rf_family family, uintptr_t caller, const void *frame, bool here,
                                       bool small) {
  if (RF_UNLIKELY(rf_is_runtime(caller)) || RF_UNLIKELY(!rf_guarded_blocks_passes())) {
    return rf_short_alloc_otherwise(size, family, caller, frame);
  }
  rf_cache *const cache = rf_short_enter();
  if (RF_UNLIKELY(cache == NULL)) {
    rf_short_was_not();
    return rf_short_alloc_otherwise(size, family, caller, frame);
  }
  uint32_t stack;
  if (RF_UNLIKELY(!rf_fast_known(cache, caller, frame, true, &stack))) {
    return rf_short_alloc_with_new_stack(cache, size, family, rf_short_caller(caller, here),
                                         rf_short_frame(frame, here));
  }
  void *const p = small ? rf_fast_alloc(cache, size, RF_PATTERN_NEW, family, stack, true)
                        : rf_middle_alloc(cache, size, RF_PATTERN_NEW, family, stack);
  if (RF_UNLIKELY(p == NULL)) {
    return rf_short_alloc_slowly(cache, size, family, rf_short_caller(caller, here), rf_short_frame(frame, here),
                                 stack);
  }
  if (rf_cache_has_more(cache)) {
    return rf_short_count_more(cache, p);
  }
  rf_cache_exit(cache);
  return p;
}

RF_INLINE void rf_short_free_at_once(void *ptr, rf_family family, size_t size, uintptr_t caller, const void *frame,
                                     bool here) {
  rf_cache *const cache = !rf_memory_tags_on() && ptr != NULL ? rf_short_enter() : NULL;
  if (RF_UNLIKELY(cache == NULL)) {
    rf_short_free_otherwise(ptr, family, size, caller, frame);
    return;
  }
  RF_FETCH_TO_WRITE(ptr); /* which another thread may have written */
  uint32_t stack;
  if (RF_UNLIKELY(!rf_fast_known(cache, caller, frame, true, &stack))) {
    rf_short_free_with_new_stack(ptr, family, size, rf_short_caller(caller, here), rf_short_frame(frame, here));
    return;
  }
  const rf_span *const span = rf_span_of((uintptr_t)ptr);
  rf_fast_result const result =
      RF_LIKELY(is_small_span(span)) ? rf_fast_free(cache, span, ptr, family, size, stack, true) : RF_FAST_NOT;
  if (RF_LIKELY(result == RF_FAST_DONE)) {
    rf_cache_exit(cache);
  } else if (result == RF_FAST_AGE) {
    rf_short_age(cache);
  } else {
    rf_short_free_any(ptr, family, size, rf_short_caller(caller, here), rf_short_frame(frame, here), stack);
  }
}

/* The same, for the operators of C++, which are many. rf_short_alloc_small: up to RF_SMALL_MOST bytes; rf_short_alloc:
 * more. */
void *rf_short_alloc_small(size_t size, rf_family family, uintptr_t caller, const void *frame);
void *rf_short_alloc(size_t size, rf_family family, uintptr_t caller, const void *frame);
void rf_short_free(void *ptr, rf_family family, size_t size, uintptr_t caller, const void *frame);

/* For the caller of the exported function in which these stand. Its frame stays on the stack meanwhile: no jump takes
 * the place of a call. `inlined`, a constant: what most requests take is part of that function. */
RF_INLINE void *rf_short_alloc_here(size_t size, rf_family family, bool inlined) {
  uintptr_t const caller = (uintptr_t)__builtin_return_address(0);
  const void *const frame = __builtin_frame_address(0);
  void *p;
  if (size > RF_SMALL_MOST) {
    p = rf_short_alloc(size, family, caller, frame);
  } else if (inlined && !rf_memory_tags_on()) {
    p = rf_short_alloc_at_once(size, family, caller, frame, true, true);
  } else {
    p = rf_short_alloc_small(size, family, caller, frame);
  }
  RF_FORGET(p);
  return p;
}

RF_INLINE void rf_short_free_here(void *ptr, rf_family family, size_t size, bool inlined) {
  uintptr_t const caller = (uintptr_t)__builtin_return_address(0);
  const void *const frame = __builtin_frame_address(0);
  if (inlined) {
    rf_short_free_at_once(ptr, family, size, caller, frame, true);
  } else {
    rf_short_free(ptr, family, size, caller, frame);
  }
  __asm__ volatile("");
}

#endif /* RINGFENCE_DROPIN_SHORT_WAY_H */
