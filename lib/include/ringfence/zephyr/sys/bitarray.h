/* Zephyr: arrays of bits. A pool of sys_mem_blocks has one to look at: a view of its bitmap, where a bit is 1 while the
 * block is allocated, and which only the pool changes.
 *
 *     SYS_BITARRAY_DEFINE(ids, 100);
 *     size_t first;
 *     if (sys_bitarray_alloc(&ids, 3, &first) == 0) …
 *     sys_bitarray_free(&ids, 3, first);
 *
 * Complexity: single bits O(1), regions O(bits / 32), alloc and find_nth_set O(bits).
 * Threads: every call from any thread, but a pool's view is not synchronised with the pool. Interrupts: over the bare
 * port.
 */
#ifndef RINGFENCE_ZEPHYR_SYS_BITARRAY_H
#define RINGFENCE_ZEPHYR_SYS_BITARRAY_H

#include <errno.h>
#include <ringfence/zephyr/spinlock.h>
#include <ringfence/zephyr/sys/util.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A pool's words are of size_t. On big-endian machines of 64 bits such a view has the halves of each word swapped. */
typedef uint32_t __attribute__((may_alias)) rf_zephyr_bundle;

typedef struct sys_bitarray {
  uint32_t num_bits;
  uint32_t num_bundles;
  rf_zephyr_bundle *bundles; /* lowest bit first */
  struct k_spinlock lock;
} sys_bitarray_t;

/* An array of `total_bits` zeros. STATIC: with internal linkage. */
#define SYS_BITARRAY_DEFINE(name, total_bits) RF_ZEPHYR_BITARRAY_(name, total_bits, )
#define SYS_BITARRAY_DEFINE_STATIC(name, total_bits) RF_ZEPHYR_BITARRAY_(name, total_bits, static)

/* All calls: 0, or -EINVAL for a NULL argument, a bit that does not exist, and a region that is empty or not wholly in
 * the array. */

int sys_bitarray_set_bit(sys_bitarray_t *bitarray, size_t bit);
int sys_bitarray_clear_bit(sys_bitarray_t *bitarray, size_t bit);
int sys_bitarray_test_bit(sys_bitarray_t *bitarray, size_t bit, int *val);
int sys_bitarray_test_and_set_bit(sys_bitarray_t *bitarray, size_t bit, int *prev_val);
int sys_bitarray_test_and_clear_bit(sys_bitarray_t *bitarray, size_t bit, int *prev_val);

/* Sets the lowest `num_bits` adjacent zeros; *offset is the first. -ENOSPC where there are none. */
int sys_bitarray_alloc(sys_bitarray_t *bitarray, size_t num_bits, size_t *offset);

/* Clears a region, all of which must be set: else -EFAULT, with nothing changed. */
int sys_bitarray_free(sys_bitarray_t *bitarray, size_t num_bits, size_t offset);

/* False for a region that is none. */
bool sys_bitarray_is_region_set(sys_bitarray_t *bitarray, size_t num_bits, size_t offset);
bool sys_bitarray_is_region_cleared(sys_bitarray_t *bitarray, size_t num_bits, size_t offset);

int sys_bitarray_set_region(sys_bitarray_t *bitarray, size_t num_bits, size_t offset);
int sys_bitarray_clear_region(sys_bitarray_t *bitarray, size_t num_bits, size_t offset);

/* Sets or clears a region, all of which must be the other way: else -EEXIST, with nothing changed. */
int sys_bitarray_test_and_set_region(sys_bitarray_t *bitarray, size_t num_bits, size_t offset, bool to_set);

/* *count: the ones in a region. */
int sys_bitarray_popcount_region(sys_bitarray_t *bitarray, size_t num_bits, size_t offset, size_t *count);

/* dst ^= other, in a region. -EINVAL for arrays of different sizes, too. */
int sys_bitarray_xor(sys_bitarray_t *dst, sys_bitarray_t *other, size_t num_bits, size_t offset);

/* *found_at: the `n`-th one in a region, counted from 1. 1 where it has fewer; -EINVAL for `n` 0, too. */
int sys_bitarray_find_nth_set(sys_bitarray_t *bitarray, size_t n, size_t num_bits, size_t offset, size_t *found_at);

/* ---- Parts of the macros above ---- */

#define RF_ZEPHYR_BITARRAY_(name, total_bits, linkage)                                                                 \
  static rf_zephyr_bundle _sys_bitarray_bundles_##name[DIV_ROUND_UP(total_bits, 32)];                                  \
  linkage sys_bitarray_t name = {(total_bits), DIV_ROUND_UP(total_bits, 32), _sys_bitarray_bundles_##name, {{{0}}, 0}}

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_ZEPHYR_SYS_BITARRAY_H */
