/* Fills and their checks: bytes that all have one value, a word at a time. Internal to checkers/. */
#ifndef RINGFENCE_FILL_H
#define RINGFENCE_FILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define RF_WORD sizeof(uintptr_t)

static inline uintptr_t rf_word_of(unsigned char byte) {
  return UINTPTR_MAX / 0xFFU * byte;
}

static inline uintptr_t rf_word_at(const unsigned char *p) {
  uintptr_t word;
  memcpy(&word, p, sizeof word);
  return word;
}

/* True where all `size` bytes at `p` are `byte`. */
static inline bool rf_filled(const unsigned char *p, size_t size, unsigned char byte) {
  uintptr_t const expected = rf_word_of(byte);
  uintptr_t differs = 0;
  if (size < RF_WORD) {
    for (size_t i = 0; i < size; i++) {
      differs |= (uintptr_t)(p[i] ^ byte);
    }
    return differs == 0;
  }
  size_t const last = size - RF_WORD; /* the last word overlaps the one before it where size is no multiple */
  size_t at = 0;
  for (; at + 4 * RF_WORD <= last; at += 4 * RF_WORD) {
    differs |= (rf_word_at(p + at) ^ expected) | (rf_word_at(p + at + RF_WORD) ^ expected) |
               (rf_word_at(p + at + 2 * RF_WORD) ^ expected) | (rf_word_at(p + at + 3 * RF_WORD) ^ expected);
    if (differs != 0) {
      return false;
    }
  }
  for (; at < last; at += RF_WORD) {
    differs |= rf_word_at(p + at) ^ expected;
  }
  return (differs | (rf_word_at(p + last) ^ expected)) == 0;
}

/* memset for the few words of a guard: no call for up to four words. */
static inline void rf_fill_guard(unsigned char *p, size_t size, unsigned char byte) {
  uintptr_t const word = rf_word_of(byte);
  if (size < RF_WORD || size > 4 * RF_WORD) {
    memset(p, byte, size);
    return;
  }
  size_t const last = size - RF_WORD;
  for (size_t at = 0; at < last; at += RF_WORD) {
    memcpy(p + at, &word, sizeof word);
  }
  memcpy(p + last, &word, sizeof word);
}

/* The stretch from the first to the last of `size` bytes at `p` that is not `byte`: its length, 0 where there is none,
 * and its start in *first. */
static inline size_t rf_disturbed(const unsigned char *p, size_t size, unsigned char byte, size_t *first) {
  size_t low = 0;
  size_t high = size;
  while (low < high && p[low] == byte) {
    low++;
  }
  while (high > low && p[high - 1] == byte) {
    high--;
  }
  *first = low;
  return high - low;
}

#endif /* RINGFENCE_FILL_H */
