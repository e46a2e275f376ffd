/* The patterns of slots, written and compared without a call and with hardly a jump as long as they are short. Internal
 * to the heap. */
#ifndef RINGFENCE_DROPIN_FILL_H
#define RINGFENCE_DROPIN_FILL_H

#include "checkers/shared/pattern.h"
#include "lib/core/compiler.h"

/* gcc warns that lanes are not returned in registers without SSE; these functions are always inlined. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi"
#endif

typedef rf_lanes lanes_at_any __attribute__((aligned(1), may_alias));

RF_INLINE rf_lanes lanes_of(unsigned char byte) {
  return (rf_lanes){rf_word_of(byte), rf_word_of(byte)};
}

RF_INLINE rf_lanes load(const unsigned char *p) {
  return *(const lanes_at_any *)(const void *)p;
}

RF_INLINE void store(unsigned char *p, rf_lanes lanes) {
  *(lanes_at_any *)(void *)p = lanes;
}

RF_INLINE bool is_zero(rf_lanes lanes) {
  return (lanes[0] | lanes[1]) == 0;
}

RF_RARE static void write_many(unsigned char *p, size_t size, unsigned char byte) {
  rf_pattern_write(p, size, byte);
}

RF_RARE static bool holds_many(const unsigned char *p, size_t size, unsigned char byte) {
  return rf_pattern_holds(p, size, byte);
}

#define LOOP_MOST 512U /* bytes; the C library's functions are faster above */

/* More than RF_STRIDE bytes. The compiler is kept from making this a call. */
RF_INLINE void write_strides(unsigned char *p, size_t size, unsigned char byte) {
  rf_lanes const lanes = lanes_of(byte);
  unsigned char *const last = p + size - RF_STRIDE;
  if (size > LOOP_MOST) {
    write_many(p, size, byte);
    return;
  }
  for (; p < last; p += RF_STRIDE) {
    RF_FORGET(p);
    store(p, lanes);
    store(p + RF_LANES, lanes);
    store(p + 2 * RF_LANES, lanes);
    store(p + 3 * RF_LANES, lanes);
  }
  store(last, lanes);
  store(last + RF_LANES, lanes);
  store(last + 2 * RF_LANES, lanes);
  store(last + 3 * RF_LANES, lanes);
}

RF_INLINE rf_lanes wrong_in_stride(const unsigned char *p, rf_lanes lanes) {
  return (load(p) ^ lanes) | (load(p + RF_LANES) ^ lanes) | (load(p + 2 * RF_LANES) ^ lanes) |
         (load(p + 3 * RF_LANES) ^ lanes);
}

/* From RF_LANES to RF_STRIDE bytes: not zero where one is another. */
RF_INLINE rf_lanes wrong_in_stride_at_most(const unsigned char *p, size_t size, rf_lanes lanes) {
  size_t const second = rf_second_lane(size);
  const unsigned char *const last = p + size - RF_LANES;
  return (load(p) ^ lanes) | (load(p + second) ^ lanes) | (load(last - second) ^ lanes) | (load(last) ^ lanes);
}

/* The same of more than RF_STRIDE bytes, not many. */
RF_INLINE rf_lanes wrong_in_strides(const unsigned char *p, size_t size, rf_lanes lanes) {
  const unsigned char *const last = p + size - RF_STRIDE;
  rf_lanes wrong = wrong_in_stride(last, lanes);
  for (; p < last; p += RF_STRIDE) {
    wrong |= wrong_in_stride(p, lanes);
  }
  return wrong;
}

/* More than RF_STRIDE bytes. */
RF_INLINE bool strides_hold(const unsigned char *p, size_t size, unsigned char byte) {
  return size > LOOP_MOST ? holds_many(p, size, byte) : is_zero(wrong_in_strides(p, size, lanes_of(byte)));
}

/* Up to RF_STRIDE bytes, and up to 15 behind them, of which the caller writes those that matter. Sizes vary, and a jump
 * that depends on one is guessed wrong half of the time: four stores that may overlap serve all sizes. */
RF_INLINE void write_stride_at_most(unsigned char *p, size_t size, unsigned char byte) {
  rf_lanes const lanes = lanes_of(byte);
  size_t const whole = size < RF_LANES ? RF_LANES : size;
  size_t const second = rf_second_lane(whole);
  store(p, lanes);
  store(p + second, lanes);
  store(p + whole - RF_LANES - second, lanes);
  store(p + whole - RF_LANES, lanes);
}

/* The same of any size. */
RF_INLINE void write_before_tail(unsigned char *p, size_t size, unsigned char byte) {
  if (size > RF_STRIDE) {
    write_strides(p, size, byte);
  } else {
    write_stride_at_most(p, size, byte);
  }
}

/* True where the guard from `p` to `end` is longer than two lanes that may overlap. */
RF_INLINE bool is_long_tail(const unsigned char *p, const unsigned char *end) {
  return (size_t)(end - p) > 2 * RF_LANES;
}

/* From `p` to `end`, at least 16 bytes, and no more than two lanes. */
RF_INLINE void write_ends(unsigned char *p, unsigned char *end) {
  rf_lanes const lanes = lanes_of(RF_PATTERN_REDZONE);
  store(p, lanes);
  store(end - RF_LANES, lanes);
}

/* The same of any length. */
RF_INLINE void write_tail(unsigned char *p, unsigned char *end) {
  if (is_long_tail(p, end)) {
    write_before_tail(p, (size_t)(end - p), RF_PATTERN_REDZONE);
  } else {
    write_ends(p, end);
  }
}

/* A guard that write_ends wrote: not zero where a byte is another. */
RF_INLINE rf_lanes wrong_in_ends(const unsigned char *p, const unsigned char *end) {
  rf_lanes const lanes = lanes_of(RF_PATTERN_REDZONE);
  return (load(p) ^ lanes) | (load(end - RF_LANES) ^ lanes);
}

RF_INLINE bool tail_holds(const unsigned char *p, const unsigned char *end) {
  size_t const size = (size_t)(end - p);
  if (!is_long_tail(p, end)) {
    return is_zero(wrong_in_ends(p, end));
  }
  return size <= RF_STRIDE ? rf_pattern_holds_few(p, size, rf_word_of(RF_PATTERN_REDZONE))
                           : strides_hold(p, size, RF_PATTERN_REDZONE);
}

#define TIMES_4(x) x, x, x, x
#define TIMES_16(x) TIMES_4(x), TIMES_4(x), TIMES_4(x), TIMES_4(x)
static const unsigned char freed_edge[] = {TIMES_16(RF_PATTERN_FREED), TIMES_16(RF_PATTERN_REDZONE)};

/* The fill of up to RF_STRIDE bytes, behind which there are at least 16 of guard: not zero where one is another. */
RF_INLINE rf_lanes wrong_in_fill_at_most(const unsigned char *p, size_t size) {
  size_t const whole = size < RF_LANES ? RF_LANES : size;
  size_t const edge = size < RF_LANES ? size : RF_LANES;
  return wrong_in_stride_at_most(p, whole, load(freed_edge + RF_LANES - edge));
}

/* The same of more bytes, not many. */
RF_INLINE rf_lanes wrong_in_fill(const unsigned char *p, size_t size) {
  return size > RF_STRIDE ? wrong_in_strides(p, size, lanes_of(RF_PATTERN_FREED)) : wrong_in_fill_at_most(p, size);
}

/* The same of any size. */
RF_INLINE bool fill_holds(const unsigned char *p, size_t size) {
  return size > LOOP_MOST ? holds_many(p, size, RF_PATTERN_FREED) : is_zero(wrong_in_fill(p, size));
}

#endif /* RINGFENCE_DROPIN_FILL_H */
