/* A seal over the fields of a record: begun with where the record is, so that a copy does not pass, then each field in
 * turn. A change of any one field changes it for certain, as each step can be undone. For allocators' own use. */
#ifndef RINGFENCE_SEAL_H
#define RINGFENCE_SEAL_H

#include <ringfence/bits.h>
#include <stddef.h>
#include <stdint.h>

static inline size_t rf_seal_begin(const void *record) {
  return (size_t)(uintptr_t)record ^ (size_t)0x9E3779B97F4A7C15U;
}

static inline size_t rf_seal_add(size_t seal, size_t field) {
  return (seal << 5 | seal >> (RF_SIZE_BITS - 5)) ^ field;
}

static inline size_t rf_seal_add_address(size_t seal, const void *field) {
  return rf_seal_add(seal, (size_t)(uintptr_t)field);
}

#endif /* RINGFENCE_SEAL_H */
