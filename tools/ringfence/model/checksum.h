/* FNV-1a, 64 bits: files with fingerprints must mean the same to every version and on every machine. */
#ifndef RINGFENCE_TOOLS_MODEL_CHECKSUM_H
#define RINGFENCE_TOOLS_MODEL_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define RF_CHECKSUM_START UINT64_C(0xCBF29CE484222325)

static inline uint64_t rf_checksum_bytes(uint64_t sum, const char *bytes, size_t length) {
  for (size_t i = 0; i < length; i++) {
    sum = (sum ^ (unsigned char)bytes[i]) * UINT64_C(0x100000001B3);
  }
  return sum;
}

/* With the final NUL, which tells "ab", "c" and "a", "bc" apart. */
static inline uint64_t rf_checksum_text(uint64_t sum, const char *text) {
  return rf_checksum_bytes(sum, text, strlen(text) + 1);
}

#endif
