/* Checksums of allocators' own data: records, block headers, words in freed blocks. Private to lib and checkers.
 *
 * | data                                       | functions                                   | cost of a step         |
 * |--------------------------------------------|---------------------------------------------|------------------------|
 * | a record with a word for its checksum      | rf_checksum_begin, rf_checksum_add          | rotate, xor            |
 * | a record of 32-bit words                   | rf_checksum32_begin, rf_checksum32_add      | rotate, xor            |
 * | a header with fewer bits for its checksum  | rf_checksum_mix; rf_checksum_spread at last | multiply, shift, xor   |
 * | a packed record with a byte for it         | rf_checksum_bytes                           | xor, add, rotate       |
 * | the same, one byte changed at a time       | rf_checksum_xor                             | shift, xor for all     |
 * | a word in memory that a program may write  | XOR with rf_checksum_mask                   | multiply               |
 *
 * Detection: each step is one to one, so a change of one word (one byte for the last two) changes the checksum for
 * certain. Larger damage passes with a probability of 2^-n for n bits of checksum. Begin with the address of the
 * record, so that a copied record does not pass.
 */
#ifndef RINGFENCE_CORE_CHECKSUM_H
#define RINGFENCE_CORE_CHECKSUM_H

#include <ringfence/bits.h>
#include <stddef.h>
#include <stdint.h>

/* The golden ratio as a fraction of a word. It is odd, so products are one to one, and e * 256^k * RF_CHECKSUM_FACTOR
 * is never within 255 of a multiple of 2^32 or 2^64 for |e| from 1 to 255: a changed byte changes the upper bits. */
#define RF_CHECKSUM_FACTOR ((size_t)0x9E3779B97F4A7C15U)

/* ---- Records ---- */

static inline size_t rf_checksum_begin(const void *place) {
  return (size_t)(uintptr_t)place ^ RF_CHECKSUM_FACTOR;
}

static inline size_t rf_checksum_add(size_t sum, size_t word) {
  return (sum << 5 | sum >> (RF_SIZE_BITS - 5)) ^ word;
}

static inline size_t rf_checksum_add_address(size_t sum, const void *address) {
  return rf_checksum_add(sum, (size_t)(uintptr_t)address);
}

static inline uint32_t rf_checksum32_begin(const void *place) {
  return (uint32_t)(uintptr_t)place ^ UINT32_C(0x9E3779B9);
}

static inline uint32_t rf_checksum32_add(uint32_t sum, uint32_t word) {
  return (sum << 5 | sum >> 27) ^ word;
}

/* ---- Part of a word ---- */

/* Moves what tells words apart into the upper bits. */
static inline size_t rf_checksum_spread(size_t word) {
  return word * RF_CHECKSUM_FACTOR;
}

/* One to one in `sum` and in `word`; every bit of either reaches the whole result after two calls. */
static inline size_t rf_checksum_mix(size_t sum, size_t word) {
  size_t const spread = rf_checksum_spread(sum ^ word);
  return spread ^ spread >> (RF_SIZE_BITS / 2 - 1);
}

/* The upper 32 bits of a checksum. */
static inline uint32_t rf_checksum_top(size_t sum) {
  return (uint32_t)(sum >> (RF_SIZE_BITS - 32));
}

/* XORed onto a word that is stored at `place`, and again after it is loaded. */
static inline size_t rf_checksum_mask(const void *place) {
  return rf_checksum_spread((size_t)(uintptr_t)place);
}

/* ---- Bytes ---- */

/* Each step waits for the one before: times five is a shift and an addition, half of what a product would take. */
static inline unsigned char rf_checksum_bytes(size_t seed, const unsigned char *bytes, size_t size) {
  unsigned sum = (unsigned)(seed * 0x9DU ^ seed >> 8 ^ 0x5AU) & 0xFFU;
  for (size_t i = 0; i < size; i++) {
    unsigned char const spread = (unsigned char)((sum ^ bytes[i]) * 5U);
    sum = (unsigned char)(spread << 5 | spread >> 3);
  }
  return (unsigned char)sum;
}

/* The XOR of the bytes of `word`. */
static inline unsigned rf_checksum_xor(uint64_t word) {
  word ^= word >> 32;
  word ^= word >> 16;
  word ^= word >> 8;
  return (unsigned)word & 0xFFU;
}

#endif /* RINGFENCE_CORE_CHECKSUM_H */
