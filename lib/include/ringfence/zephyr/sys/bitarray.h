/* Zephyr: a pool's bit array, to look at. It is a view of the pool's bitmap: a bit is 1 where the block is taken. */
#ifndef RINGFENCE_ZEPHYR_SYS_BITARRAY_H
#define RINGFENCE_ZEPHYR_SYS_BITARRAY_H

#include <errno.h>
#include <ringfence/bits.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sys_bitarray {
  uint32_t num_bits;
  uint32_t num_bundles;
  const size_t *bundles; /* lowest bit first; Zephyr's words have 32 bits, these as many as size_t */
} sys_bitarray_t;

/* *val is bit `bit`. 0, or -EINVAL for a bit that is not there or a NULL. A snapshot: not synchronised with other
 * threads. */
static inline int sys_bitarray_test_bit(sys_bitarray_t *bitarray, size_t bit, int *val) {
  if (bitarray == NULL || val == NULL || bit >= bitarray->num_bits) {
    return -EINVAL;
  }
  *val = (int)(bitarray->bundles[bit / RF_SIZE_BITS] >> (bit % RF_SIZE_BITS) & 1U);
  return 0;
}

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_ZEPHYR_SYS_BITARRAY_H */
