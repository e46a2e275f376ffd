/* The bytes of a block that rf_guard fills and compares: payload and guards. What blocks are mostly like, small with little
 * slack, is done here without loops, and almost without jumps: sizes vary, and processors guess a jump that depends on
 * one wrong half of the time. Internal to guard*.c. */
#ifndef RINGFENCE_GUARD_BYTES_H
#define RINGFENCE_GUARD_BYTES_H

#include "guard_impl.h"

/* Without SSE lanes are not returned in registers, of which gcc warns: but these functions are always inlined. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi"
#endif

typedef rf_lanes guard_lanes __attribute__((aligned(1), may_alias));

RF_INLINE rf_lanes lanes_at(const unsigned char *p) {
  return *(const guard_lanes *)(const void *)p;
}

RF_INLINE void put_lanes(unsigned char *p, rf_lanes lanes) {
  *(guard_lanes *)(void *)p = lanes;
}

RF_INLINE rf_lanes lanes_of(unsigned char byte) {
  return (rf_lanes){rf_word_of(byte), rf_word_of(byte)};
}

RF_INLINE bool is_zero(rf_lanes lanes) {
  return (lanes[0] | lanes[1]) == 0;
}

/* Where both guards have at least so many bytes, a payload of fewer can be taken together with what is behind it. */
#define GUARD_WIDE (RF_GUARD_FRONT == 16 && RF_GUARD_BACK_MIN >= 16)

/* The end of a payload and the guard behind it: from byte LANES - n on, n bytes of payload and then guard. */
#define TIMES_4(x) x, x, x, x
#define TIMES_16(x) TIMES_4(x), TIMES_4(x), TIMES_4(x), TIMES_4(x)
static const unsigned char new_edge[] = {TIMES_16(RF_FILL_ALLOC), TIMES_16(RF_FILL_GUARD)};
static const unsigned char freed_edge[] = {TIMES_16(RF_FILL_FREE), TIMES_16(RF_FILL_GUARD)};

/* A payload of which everything is filled is small up to RF_STRIDE bytes, a back guard up to this: two lanes cover it. */
#define SMALL_BACK (2 * RF_LANES)

RF_INLINE bool is_small(size_t size, size_t limit) {
  return GUARD_WIDE && RF_LIKELY(size <= RF_STRIDE) && RF_LIKELY(limit >= RF_STRIDE);
}

RF_INLINE bool is_small_back(size_t back) {
  return GUARD_WIDE && RF_LIKELY(back <= SMALL_BACK);
}

/* ---- Filling ---- */

RF_RARE static void fill_large(unsigned char *p, size_t size, unsigned char byte) {
  rf_fill(p, size, byte);
}

/* Fills the first `limit` bytes of a payload of `size`. `edge` has `byte`. What is behind the payload is guard before and
 * after. */
RF_INLINE void fill_payload(unsigned char *p, size_t size, size_t limit, unsigned char byte,
                            const unsigned char *edge) {
  if (!is_small(size, limit)) {
    if (limit != 0) {
      fill_large(p, size < limit ? size : limit, byte);
    }
    return;
  }
  if (size < RF_LANES) {
    put_lanes(p, lanes_at(edge + RF_LANES - size));
    return;
  }
  rf_lanes const lanes = lanes_of(byte);
  size_t const second = rf_second_lane(size);
  unsigned char *const tail = p + size - RF_LANES;
  put_lanes(p, lanes);
  put_lanes(p + second, lanes);
  put_lanes(tail - second, lanes);
  put_lanes(tail, lanes);
}

RF_INLINE void fill_front(const rf_guard_header *h) {
  rf_fill(front_of(h), RF_GUARD_FRONT, RF_FILL_GUARD);
}

RF_INLINE void fill_back(unsigned char *p, size_t back) {
  rf_lanes const lanes = lanes_of(RF_FILL_GUARD);
  if (!is_small_back(back)) {
    fill_large(p, back, RF_FILL_GUARD);
    return;
  }
  put_lanes(p, lanes);
  put_lanes(p + back - RF_LANES, lanes);
}

/* ---- Comparing ---- */

RF_RARE static bool filled_large(const unsigned char *p, size_t size, unsigned char byte) {
  return rf_filled(p, size, byte);
}

RF_RARE static bool guards_filled(const rf_guard_header *h) {
  return rf_filled(front_of(h), RF_GUARD_FRONT, RF_FILL_GUARD) &&
         rf_filled(payload_of(h) + h->size, h->back, RF_FILL_GUARD);
}

/* The bits that are wrong in a front guard and in a small back guard. */
RF_INLINE rf_lanes wrong_in_guards(const unsigned char *p, size_t size, size_t back) {
  rf_lanes const guard = lanes_of(RF_FILL_GUARD);
  const unsigned char *const behind = p + size;
  return (lanes_at(p - RF_LANES) ^ guard) | (lanes_at(behind) ^ guard) | (lanes_at(behind + back - RF_LANES) ^ guard);
}

/* The bits that are wrong in a small payload, freed. */
RF_INLINE rf_lanes wrong_in_payload(const unsigned char *p, size_t size) {
  if (size < RF_LANES) {
    return lanes_at(p) ^ lanes_at(freed_edge + RF_LANES - size);
  }
  rf_lanes const fill = lanes_of(RF_FILL_FREE);
  size_t const second = rf_second_lane(size);
  const unsigned char *const tail = p + size - RF_LANES;
  return (lanes_at(p) ^ fill) | (lanes_at(p + second) ^ fill) | (lanes_at(tail - second) ^ fill) |
         (lanes_at(tail) ^ fill);
}

/* True where nothing was written beside the block. */
RF_INLINE bool guards_intact(const rf_guard_header *h) {
  size_t const back = h->back;
  return is_small_back(back) ? is_zero(wrong_in_guards(payload_of(h), h->size, back)) : guards_filled(h);
}

/* True where nothing was written beside a freed block or, as far as it is filled, in it. */
RF_INLINE bool freed_intact(const rf_guard *guard, const rf_guard_header *h) {
  size_t const size = h->size;
  size_t const limit = guard->options.fill_free;
  if (!is_small(size, limit)) {
    return guards_intact(h) && (limit == 0 || filled_large(payload_of(h), size < limit ? size : limit, RF_FILL_FREE));
  }
  if (!is_small_back(h->back)) {
    return guards_filled(h) && is_zero(wrong_in_payload(payload_of(h), size));
  }
  return is_zero(wrong_in_guards(payload_of(h), size, h->back) | wrong_in_payload(payload_of(h), size));
}

#endif /* RINGFENCE_GUARD_BYTES_H */
