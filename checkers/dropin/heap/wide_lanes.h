/* A part of fill.h for wide.c, where the compiler may use registers of 32 bytes (AVX2): runs of more than RF_STRIDE
 * bytes. Up to 128 bytes are four lanes, of which the last two may overlap the first two, without a jump. */
#ifndef RINGFENCE_DROPIN_WIDE_LANES_H
#define RINGFENCE_DROPIN_WIDE_LANES_H

#include <immintrin.h>

#define WIDE sizeof(__m256i)
#define WIDE_STRIDE (4 * WIDE)

RF_INLINE __m256i wide_lanes_of(unsigned char byte) {
  return _mm256_set1_epi8((char)byte);
}

RF_INLINE void store_wide(unsigned char *p, __m256i lanes) {
  _mm256_storeu_si256((__m256i_u *)(void *)p, lanes);
}

RF_INLINE __m256i wrong_in_wide(const unsigned char *p, __m256i lanes) {
  return _mm256_loadu_si256((const __m256i_u *)(const void *)p) ^ lanes;
}

/* Two lanes from each of two places on. */
RF_INLINE void store_four_wide(unsigned char *p, unsigned char *other, __m256i lanes) {
  store_wide(p, lanes);
  store_wide(p + WIDE, lanes);
  store_wide(other, lanes);
  store_wide(other + WIDE, lanes);
}

RF_INLINE __m256i wrong_in_four_wide(const unsigned char *p, const unsigned char *other, __m256i lanes) {
  return wrong_in_wide(p, lanes) | wrong_in_wide(p + WIDE, lanes) | wrong_in_wide(other, lanes) |
         wrong_in_wide(other + WIDE, lanes);
}

RF_INLINE void write_strides(unsigned char *p, size_t size, unsigned char byte) {
  __m256i const lanes = wide_lanes_of(byte);
  if (size <= WIDE_STRIDE) {
    store_four_wide(p, p + size - 2 * WIDE, lanes);
    return;
  }
  unsigned char *const last = p + size - WIDE_STRIDE;
  for (; p < last; p += WIDE_STRIDE) {
    RF_FORGET(p); /* so that the compiler does not make this a call */
    store_four_wide(p, p + 2 * WIDE, lanes);
  }
  store_four_wide(last, last + 2 * WIDE, lanes);
}

RF_INLINE rf_lanes wrong_in_strides(const unsigned char *p, size_t size, rf_lanes one) {
  __m256i const lanes = _mm256_broadcastsi128_si256((__m128i)one);
  __m256i wrong;
  if (size <= WIDE_STRIDE) {
    wrong = wrong_in_four_wide(p, p + size - 2 * WIDE, lanes);
  } else {
    const unsigned char *const last = p + size - WIDE_STRIDE;
    wrong = wrong_in_four_wide(last, last + 2 * WIDE, lanes);
    for (; p < last; p += WIDE_STRIDE) {
      wrong |= wrong_in_four_wide(p, p + 2 * WIDE, lanes);
    }
  }
  return (rf_lanes)(_mm256_castsi256_si128(wrong) | _mm256_extracti128_si256(wrong, 1));
}

#endif /* RINGFENCE_DROPIN_WIDE_LANES_H */
