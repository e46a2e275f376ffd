/* The patterns of a block of rf_guard: those of redzones, new and freed payloads. For small blocks with little slack,
 * most of all, this takes no loop and hardly a jump: sizes vary, so processors mispredict jumps that depend on them.
 * Internal to guard*.c. */
#ifndef RINGFENCE_GUARD_REDZONE_H
#define RINGFENCE_GUARD_REDZONE_H

#include "guard_impl.h"

/* gcc warns that lanes are not returned in registers without SSE; these functions are always inlined. */
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

/* If both redzones have 16 bytes, a smaller payload can be written and compared together with the redzone behind it. */
#define GUARD_WIDE (RF_GUARD_FRONT == 16 && RF_GUARD_BACK_MIN >= 16)

/* The end of a payload and the redzone behind it: from byte RF_LANES - n on, n bytes of payload, then redzone. */
#define TIMES_4(x) x, x, x, x
#define TIMES_16(x) TIMES_4(x), TIMES_4(x), TIMES_4(x), TIMES_4(x)
static const unsigned char new_edge[] = {TIMES_16(RF_PATTERN_NEW), TIMES_16(RF_PATTERN_REDZONE)};
static const unsigned char freed_edge[] = {TIMES_16(RF_PATTERN_FREED), TIMES_16(RF_PATTERN_REDZONE)};

/* A payload that carries its pattern in all of it is small up to RF_STRIDE bytes; a back redzone up to this, two
 * lanes. */
#define SMALL_BACK (2 * RF_LANES)

RF_INLINE bool is_small(size_t size, size_t limit) {
  return GUARD_WIDE && RF_LIKELY(size <= RF_STRIDE) && RF_LIKELY(limit >= RF_STRIDE);
}

RF_INLINE bool is_small_back(size_t back) {
  return GUARD_WIDE && RF_LIKELY(back <= SMALL_BACK);
}

/* ---- Filling ---- */

RF_RARE static void write_large(unsigned char *p, size_t size, unsigned char byte) {
  rf_pattern_write(p, size, byte);
}

/* Writes `byte` to the first `limit` bytes of a payload of `size`; `edge` has the same byte. Writes redzone over the
 * redzone behind a tiny payload. */
RF_INLINE void write_pattern(unsigned char *p, size_t size, size_t limit, unsigned char byte,
                             const unsigned char *edge) {
  if (!is_small(size, limit)) {
    if (limit != 0) {
      write_large(p, size < limit ? size : limit, byte);
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

RF_INLINE void write_front_redzone(const rf_guard_header *h) {
  rf_pattern_write(front_redzone_of(h), RF_GUARD_FRONT, RF_PATTERN_REDZONE);
}

RF_INLINE void write_back_redzone(unsigned char *p, size_t back) {
  rf_lanes const lanes = lanes_of(RF_PATTERN_REDZONE);
  if (!is_small_back(back)) {
    write_large(p, back, RF_PATTERN_REDZONE);
    return;
  }
  put_lanes(p, lanes);
  put_lanes(p + back - RF_LANES, lanes);
}

/* Writes what is new of a payload, from `at` on. Its end has a redzone behind it. */
RF_INLINE void write_new(const rf_guard *guard, unsigned char *at, size_t size) {
  write_pattern(at, size, guard->options.fill_alloc, RF_PATTERN_NEW, new_edge);
}

/* ---- Comparing ---- */

RF_RARE static bool holds_large(const unsigned char *p, size_t size, unsigned char byte) {
  return rf_pattern_holds(p, size, byte);
}

RF_RARE static bool redzones_hold(const rf_guard_header *h) {
  return rf_pattern_holds(front_redzone_of(h), RF_GUARD_FRONT, RF_PATTERN_REDZONE) &&
         rf_pattern_holds(payload_of(h) + h->size, h->back, RF_PATTERN_REDZONE);
}

/* The bits that are wrong in the front redzone and in a small back redzone. */
RF_INLINE rf_lanes wrong_in_redzones(const unsigned char *p, size_t size, size_t back) {
  rf_lanes const guard = lanes_of(RF_PATTERN_REDZONE);
  const unsigned char *const behind = p + size;
  return (lanes_at(p - RF_LANES) ^ guard) | (lanes_at(behind) ^ guard) | (lanes_at(behind + back - RF_LANES) ^ guard);
}

/* The bits that are wrong in a small freed payload. */
RF_INLINE rf_lanes wrong_in_payload(const unsigned char *p, size_t size) {
  if (size < RF_LANES) {
    return lanes_at(p) ^ lanes_at(freed_edge + RF_LANES - size);
  }
  rf_lanes const fill = lanes_of(RF_PATTERN_FREED);
  size_t const second = rf_second_lane(size);
  const unsigned char *const tail = p + size - RF_LANES;
  return (lanes_at(p) ^ fill) | (lanes_at(p + second) ^ fill) | (lanes_at(tail - second) ^ fill) |
         (lanes_at(tail) ^ fill);
}

/* True where nothing was written beside the block. */
RF_INLINE bool redzones_intact(const rf_guard_header *h) {
  size_t const back = h->back;
  return is_small_back(back) ? is_zero(wrong_in_redzones(payload_of(h), h->size, back)) : redzones_hold(h);
}

/* True where nothing was written beside a freed block, or in it as far as it carries the pattern. */
RF_INLINE bool freed_intact(const rf_guard *guard, const rf_guard_header *h) {
  size_t const size = h->size;
  size_t const limit = guard->options.fill_free;
  if (!is_small(size, limit)) {
    return redzones_intact(h) &&
           (limit == 0 || holds_large(payload_of(h), size < limit ? size : limit, RF_PATTERN_FREED));
  }
  if (!is_small_back(h->back)) {
    return redzones_hold(h) && is_zero(wrong_in_payload(payload_of(h), size));
  }
  return is_zero(wrong_in_redzones(payload_of(h), size, h->back) | wrong_in_payload(payload_of(h), size));
}

RF_INLINE void check_redzones(rf_guard *guard, rf_guard_header *h, const rf_origin *origin) {
  if (RF_UNLIKELY(!redzones_intact(h))) {
    (void)rf_guard_report_damage(guard, h, origin);
  }
}

#endif /* RINGFENCE_GUARD_REDZONE_H */
