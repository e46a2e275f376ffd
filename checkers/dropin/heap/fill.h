/* The patterns of slots, written and compared without a call and with hardly a jump as long as they are short. Internal
 * to the heap. */
#ifndef RINGFENCE_DROPIN_FILL_H
#define RINGFENCE_DROPIN_FILL_H

#include "check.h"
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

#if defined(__SSE2__)
typedef char lane_bytes __attribute__((vector_size(16)));

RF_INLINE bool is_zero(rf_lanes lanes) {
  return __builtin_ia32_pmovmskb128((lane_bytes)((lane_bytes)lanes == 0)) == 0xFFFF;
}
#else
RF_INLINE bool is_zero(rf_lanes lanes) {
  return (lanes[0] | lanes[1]) == 0;
}
#endif

/* Not all who include this use these two. */
RF_RARE __attribute__((unused)) static void write_many(unsigned char *p, size_t size, unsigned char byte) {
  rf_pattern_write(p, size, byte);
}

/* More than RF_STRIDE bytes, as wide.c compares them: each once, where memcmp looks at it twice. */
bool rf_wide_holds(const unsigned char *p, size_t size, unsigned char byte);

RF_INLINE bool has_wide(void) {
  return RF_HAS_WIDE && RF_LIKELY(rf_heap_options_now.wide);
}

RF_RARE __attribute__((unused)) static bool holds_many(const unsigned char *p, size_t size, unsigned char byte) {
  return size > RF_STRIDE && has_wide() ? rf_wide_holds(p, size, byte) : rf_pattern_holds(p, size, byte);
}

#define LOOP_MOST 512U /* bytes; the C library's functions are faster above */

RF_INLINE rf_lanes wrong_in_stride(const unsigned char *p, rf_lanes lanes) {
  return (load(p) ^ lanes) | (load(p + RF_LANES) ^ lanes) | (load(p + 2 * RF_LANES) ^ lanes) |
         (load(p + 3 * RF_LANES) ^ lanes);
}

/* Four lanes that cover RF_LANES to RF_STRIDE bytes. They may overlap, and so serve all sizes: a branch on the size
 * would be mispredicted half of the time. */
typedef struct four_lanes {
  unsigned char *first;
  unsigned char *second;
  unsigned char *third;
  unsigned char *last;
} four_lanes;

RF_INLINE four_lanes four_lanes_of(unsigned char *p, size_t size) {
  size_t const second = rf_second_lane(size);
  unsigned char *const last = p + size - RF_LANES;
  unsigned char *third = last - second;
  RF_FORGET(third); /* kept, and not computed again */
  return (four_lanes){p, p + second, third, last};
}

RF_INLINE rf_lanes wrong_in_four(const four_lanes *at, rf_lanes lanes) {
  return (load(at->first) ^ lanes) | (load(at->second) ^ lanes) | (load(at->third) ^ lanes) | (load(at->last) ^ lanes);
}

RF_INLINE void write_four(const four_lanes *at, rf_lanes lanes) {
  store(at->first, lanes);
  store(at->second, lanes);
  store(at->third, lanes);
  store(at->last, lanes);
}

/* From RF_LANES to RF_STRIDE bytes: not zero where one is another. */
RF_INLINE rf_lanes wrong_in_stride_at_most(const unsigned char *p, size_t size, rf_lanes lanes) {
  four_lanes const at = four_lanes_of((unsigned char *)(uintptr_t)p, size);
  return wrong_in_four(&at, lanes);
}

/* ---- More than RF_STRIDE bytes, not many: 64 at a time, or 128 (wide.c) ---- */

#ifdef RF_WIDE
#include "wide_lanes.h"
#else

/* The compiler is kept from making this a call. */
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

/* Not zero where a byte is another. */
RF_INLINE rf_lanes wrong_in_strides(const unsigned char *p, size_t size, rf_lanes lanes) {
  const unsigned char *const last = p + size - RF_STRIDE;
  rf_lanes wrong = wrong_in_stride(last, lanes);
  for (; p < last; p += RF_STRIDE) {
    wrong |= wrong_in_stride(p, lanes);
  }
  return wrong;
}

#endif

/* ---- Any size ---- */

/* From RF_LANES to RF_STRIDE bytes. */
RF_INLINE void write_stride_at_most(unsigned char *p, size_t size, unsigned char byte) {
  four_lanes const at = four_lanes_of(p, size);
  write_four(&at, lanes_of(byte));
}

/* From RF_LANES on. */
RF_INLINE void write_lanes(unsigned char *p, size_t size, unsigned char byte) {
  if (size > RF_STRIDE) {
    write_strides(p, size, byte);
  } else {
    write_stride_at_most(p, size, byte);
  }
}

/* Any size, and up to 15 bytes behind it, of which the caller writes those that matter. */
RF_INLINE void write_before_tail(unsigned char *p, size_t size, unsigned char byte) {
  write_lanes(p, size < RF_LANES ? RF_LANES : size, byte);
}

/* The least guard: not zero where a byte is another. */
RF_INLINE rf_lanes wrong_in_guard(const unsigned char *p) {
  return load(p) ^ lanes_of(RF_PATTERN_REDZONE);
}

/* The guard from `p` to `end` is at least RF_TAIL_LEAST bytes long. One of up to TAIL_MOST, which are all of the
 * classes of fast.h, is five lanes: the last one, and four that cover the bytes before it, or more. */
#define TAIL_MOST (RF_STRIDE + RF_LANES)

RF_INLINE four_lanes tail_lanes_of(const unsigned char *p, const unsigned char *end) {
  size_t const before = (size_t)(end - p) - RF_LANES;
  return four_lanes_of((unsigned char *)(uintptr_t)p, before < RF_LANES ? RF_LANES : before);
}

/* A guard of up to TAIL_MOST bytes, and what is before it up to TAIL_MOST. */
RF_INLINE void write_tail_most(unsigned char *end) {
  rf_lanes const lanes = lanes_of(RF_PATTERN_REDZONE);
  for (size_t at = RF_LANES; at <= TAIL_MOST; at += RF_LANES) {
    store(end - at, lanes);
  }
}

RF_INLINE void write_tail(unsigned char *p, unsigned char *end) {
  size_t const size = (size_t)(end - p);
  if (RF_UNLIKELY(size > TAIL_MOST)) {
    write_strides(p, size, RF_PATTERN_REDZONE);
    return;
  }
  four_lanes const at = tail_lanes_of(p, end);
  write_four(&at, lanes_of(RF_PATTERN_REDZONE));
  store(end - RF_LANES, lanes_of(RF_PATTERN_REDZONE));
}

/* The same: not zero where a byte is another. */
RF_INLINE rf_lanes wrong_in_tail(const unsigned char *p, const unsigned char *end) {
  size_t const size = (size_t)(end - p);
  if (RF_UNLIKELY(size > TAIL_MOST)) {
    return wrong_in_strides(p, size, lanes_of(RF_PATTERN_REDZONE));
  }
  four_lanes const at = tail_lanes_of(p, end);
  return wrong_in_four(&at, lanes_of(RF_PATTERN_REDZONE)) | wrong_in_guard(end - RF_LANES);
}

RF_INLINE bool tail_holds(const unsigned char *p, const unsigned char *end) {
  size_t const size = (size_t)(end - p);
  return size > LOOP_MOST ? holds_many(p, size, RF_PATTERN_REDZONE) : is_zero(wrong_in_tail(p, end));
}

/* The same of a freed slot: `room` bytes of fill, at least RF_LANES and not many, and the least guard. */
RF_INLINE rf_lanes wrong_in_freed(const unsigned char *p, size_t room) {
  rf_lanes const lanes = lanes_of(RF_PATTERN_FREED);
  rf_lanes const wrong = room <= RF_STRIDE ? wrong_in_stride_at_most(p, room, lanes) : wrong_in_strides(p, room, lanes);
  return wrong | wrong_in_guard(p + room);
}

/* True where a freed slot of any size is as the free left it: `size` bytes of payload, from `p` on, and `room` up to
 * the last RF_TAIL_LEAST. */
RF_INLINE bool freed_holds(const unsigned char *p, size_t size, size_t room) {
  size_t const fill = rf_fill_of(size, room);
  if (RF_LIKELY(fill == room && room <= LOOP_MOST)) {
    return is_zero(wrong_in_freed(p, room));
  }
  return (fill == 0 || holds_many(p, fill, RF_PATTERN_FREED)) &&
         tail_holds(p + (fill == room ? room : size), p + room + RF_TAIL_LEAST);
}

#endif /* RINGFENCE_DROPIN_FILL_H */
