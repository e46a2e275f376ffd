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

static inline uintptr_t rf_word_differs(const unsigned char *p, uintptr_t expected) {
  return rf_word_at(p) ^ expected;
}

/* rf_filled where there are at least two words, by blocks of four and two from either end that may overlap. */
static inline bool rf_filled_words(const unsigned char *p, size_t size, uintptr_t expected) {
  size_t const block = 4 * RF_WORD;
  const unsigned char *const tail = p + size - 2 * RF_WORD;
  uintptr_t differs = rf_word_differs(tail, expected) | rf_word_differs(tail + RF_WORD, expected);
  for (; size >= block && differs == 0; size -= block, p += block) {
    differs = rf_word_differs(p, expected) | rf_word_differs(p + RF_WORD, expected) |
              rf_word_differs(p + 2 * RF_WORD, expected) | rf_word_differs(p + 3 * RF_WORD, expected);
  }
  if (size >= 2 * RF_WORD) {
    differs |= rf_word_differs(p, expected) | rf_word_differs(p + RF_WORD, expected);
  }
  return differs == 0;
}

/* True where all `size` bytes at `p` are `byte`. */
static inline bool rf_filled(const unsigned char *p, size_t size, unsigned char byte) {
  if (size >= 2 * RF_WORD) {
    return rf_filled_words(p, size, rf_word_of(byte));
  }
  unsigned differs = 0;
  for (size_t i = 0; i < size; i++) {
    differs |= (unsigned)(p[i] ^ byte);
  }
  return differs == 0;
}

/* memset for the few words of a guard: from two to four words are two from either end, and no call. */
static inline void rf_fill_guard(unsigned char *p, size_t size, unsigned char byte) {
  uintptr_t const words[2] = {rf_word_of(byte), rf_word_of(byte)};
  if (size < sizeof words || size > 2 * sizeof words) {
    memset(p, byte, size);
    return;
  }
  memcpy(p, words, sizeof words);
  memcpy(p + size - sizeof words, words, sizeof words);
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
