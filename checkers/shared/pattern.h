/* Byte patterns of redzones, new and freed memory (RF_PATTERN_*): written and compared a word at a time. Internal to
 * checkers/. */
#ifndef RINGFENCE_PATTERN_H
#define RINGFENCE_PATTERN_H

#include <ringfence/block.h>
#include <ringfence/track.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* 16 bytes: one register where processors have wide ones; compilers use words elsewhere. */
typedef uint64_t rf_lanes __attribute__((vector_size(16)));
#define RF_LANES sizeof(rf_lanes)
#define RF_STRIDE (4 * RF_LANES)

static inline uint64_t rf_word_of(unsigned char byte) {
  return UINT64_MAX / 0xFFU * byte;
}

/* Up to RF_STRIDE bytes, at least RF_LANES, are covered by four lanes that may overlap: at 0, at this, and the same
 * from the end. Sizes vary, and a jump that depends on one is guessed wrong by processors half of the time. */
static inline size_t rf_second_lane(size_t size) {
  return (size - 1) / 2 & RF_LANES;
}

/* rf_pattern_holds where there are from RF_LANES to RF_STRIDE bytes. */
static inline bool rf_pattern_holds_few(const unsigned char *p, size_t size, uint64_t word) {
  size_t const second = rf_second_lane(size);
  const unsigned char *const tail = p + size - RF_LANES;
  rf_lanes const expected = {word, word};
  rf_lanes at[4];
  memcpy(&at[0], p, RF_LANES);
  memcpy(&at[1], p + second, RF_LANES);
  memcpy(&at[2], tail - second, RF_LANES);
  memcpy(&at[3], tail, RF_LANES);
  rf_lanes const differs = (at[0] ^ expected) | (at[1] ^ expected) | (at[2] ^ expected) | (at[3] ^ expected);
  return (differs[0] | differs[1]) == 0;
}

/* The C library's memcmp takes as much at once as the processor can, where it is a good one. A sanitizer's looks at
 * what may be compared. */
#if defined(__GLIBC__) && !RF_TRACK
#define RF_FAST_MEMCMP 1
#else
#define RF_FAST_MEMCMP 0
#endif

#if RF_FAST_MEMCMP
/* rf_pattern_holds where there are more: the first stride has the byte, and every one is like the one before. Both are
 * at the same place in their cache lines, so that no load of memcmp touches two lines that it need not. */
static inline bool rf_pattern_holds_many(const unsigned char *p, size_t size, uint64_t word) {
  return rf_pattern_holds_few(p, RF_STRIDE, word) && memcmp(p, p + RF_STRIDE, size - RF_STRIDE) == 0;
}
#else
/* rf_pattern_holds where there are more: the last ones first, then from the start on up to these. */
static inline bool rf_pattern_holds_many(const unsigned char *p, size_t size, uint64_t word) {
  const unsigned char *const tail = p + size - RF_STRIDE;
  rf_lanes const expected = {word, word};
  rf_lanes at[4];
  memcpy(at, tail, RF_STRIDE);
  rf_lanes differs = (at[0] ^ expected) | (at[1] ^ expected) | (at[2] ^ expected) | (at[3] ^ expected);
  for (; p < tail; p += RF_STRIDE) {
    memcpy(at, p, RF_STRIDE);
    differs |= (at[0] ^ expected) | (at[1] ^ expected) | (at[2] ^ expected) | (at[3] ^ expected);
  }
  return (differs[0] | differs[1]) == 0;
}
#endif

/* True where all `size` bytes at `p` are `byte`. */
__attribute__((always_inline)) static inline bool rf_pattern_holds(const unsigned char *p, size_t size,
                                                                   unsigned char byte) {
  uint64_t const word = rf_word_of(byte);
  if (size > RF_STRIDE) {
    return rf_pattern_holds_many(p, size, word);
  }
  if (size >= RF_LANES) {
    return rf_pattern_holds_few(p, size, word);
  }
  uint64_t differs = 0;
  if (size >= sizeof differs) {
    uint64_t ends[2];
    memcpy(&ends[0], p, sizeof ends[0]);
    memcpy(&ends[1], p + size - sizeof ends[1], sizeof ends[1]);
    return ((ends[0] ^ word) | (ends[1] ^ word)) == 0;
  }
  for (size_t i = 0; i < size; i++) {
    differs |= (uint64_t)(p[i] ^ byte);
  }
  return differs == 0;
}

/* memset, without a call where there are neither very few bytes nor many. */
static inline void rf_pattern_write(unsigned char *p, size_t size, unsigned char byte) {
  uint64_t const word = rf_word_of(byte);
  rf_lanes const lanes = {word, word};
  rf_lanes const stride[4] = {lanes, lanes, lanes, lanes};
  unsigned char *const end = p + size;
  if (size < RF_LANES || size > (RF_FAST_MEMCMP ? RF_STRIDE : 4 * RF_STRIDE)) {
    memset(p, byte, size);
  } else if (size <= RF_STRIDE) {
    size_t const second = rf_second_lane(size);
    memcpy(p, &lanes, RF_LANES);
    memcpy(p + second, &lanes, RF_LANES);
    memcpy(end - RF_LANES - second, &lanes, RF_LANES);
    memcpy(end - RF_LANES, &lanes, RF_LANES);
  } else {
    memcpy(end - RF_STRIDE, stride, RF_STRIDE);
    for (; p < end - RF_STRIDE; p += RF_STRIDE) {
      memcpy(p, stride, RF_STRIDE);
    }
  }
}

/* Memory that must hold one byte. */
typedef struct rf_pattern_area {
  unsigned char *at;
  size_t size;
  unsigned char byte;
} rf_pattern_area;

/* True where `area` is damaged; *damage is then the part from the first wrong byte to the last. */
static inline bool rf_pattern_damage(const rf_pattern_area *area, rf_pattern_area *damage) {
  size_t low = 0;
  size_t high = area->size;
  if (rf_pattern_holds(area->at, area->size, area->byte)) {
    return false;
  }
  while (area->at[low] == area->byte) {
    low++;
  }
  while (area->at[high - 1] == area->byte) {
    high--;
  }
  *damage = (rf_pattern_area){area->at + low, high - low, area->byte};
  return true;
}

#endif /* RINGFENCE_PATTERN_H */
