/* A part of cache.c for realloc.c. */
#ifndef RINGFENCE_DROPIN_CACHE_IMPL_H
#define RINGFENCE_DROPIN_CACHE_IMPL_H

#include "cache.h"
#include "check.h"

/* Frees the live block, whatever it is, and reports what is wrong with it or with the call. False where another thread
 * freed it meanwhile, which was reported. */
bool rf_cache_free_unusual(rf_cache *cache, const rf_view *view, rf_family family, size_t size,
                           const rf_origin *origin);

/* The same of a block that was claimed (rf_slot_claim), without a look at it. Its first `filled` bytes have the
 * fill. `stack`: the caller's, as rf_cache_keep. */
void rf_cache_free_claimed(rf_cache *cache, const rf_view *view, size_t filled, uint32_t stack);

#endif /* RINGFENCE_DROPIN_CACHE_IMPL_H */
