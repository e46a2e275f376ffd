/* The requests of fast.h that are not small once more, for processors with registers of 32 bytes (AVX2): of x86-64 most
 * since 2013. rf_heap_configure asks whether it is one of these. All bytes of a block are compared and written at each
 * request; that takes half as many instructions so. */
/* These are for all processors: what they define is not compiled anew. */
#include "bins.h"
#include "checkers/os/stack_guess.h"

#if RF_HAS_WIDE

#include <immintrin.h>

#define RF_WIDE 1

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,bmi2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,bmi2")
#endif

#include "fast.h"

bool rf_wide_holds(const unsigned char *p, size_t size, unsigned char byte) {
  return is_zero(wrong_in_strides(p, size, lanes_of(byte)));
}

void *rf_wide_alloc(rf_cache *cache, size_t size, unsigned char byte, rf_family family, uint32_t stack) {
  return rf_fast_alloc(cache, size, byte, family, stack, false);
}

rf_fast_result rf_wide_free(rf_cache *cache, const rf_span *span, void *ptr, rf_family family, size_t size,
                            uint32_t stack) {
  return rf_fast_free(cache, span, ptr, family, size, stack, false);
}

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif
