/* FNV-1a, 64 bits: keys and fingerprints that mean the same to every version and on every machine.
 *
 * Algorithm: Fowler, Noll, Vo (draft-eastlake-fnv). Not for data that somebody else may choose to collide: such tables
 * mix the result further. Internal to checkers/ and tools/.
 */
#ifndef RINGFENCE_FNV_H
#define RINGFENCE_FNV_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define RF_FNV_START UINT64_C(0xCBF29CE484222325)

static inline uint64_t rf_fnv_bytes(uint64_t sum, const void *data, size_t size) {
  const unsigned char *const bytes = (const unsigned char *)data;
  for (size_t i = 0; i < size; i++) {
    /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): every caller has written its bytes */
    sum = (sum ^ bytes[i]) * UINT64_C(0x100000001B3);
  }
  return sum;
}

/* With the final NUL, which tells "ab", "c" and "a", "bc" apart. NULL counts as "". */
static inline uint64_t rf_fnv_text(uint64_t sum, const char *text) {
  return text != NULL ? rf_fnv_bytes(sum, text, strlen(text) + 1) : rf_fnv_bytes(sum, "", 1);
}

#endif /* RINGFENCE_FNV_H */
