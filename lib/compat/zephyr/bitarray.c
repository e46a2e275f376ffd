#include <ringfence/zephyr/sys/bitarray.h>

#define BITS 32U /* of a bundle */

static bool is_region(const sys_bitarray_t *b, size_t num_bits, size_t offset) {
  return b != NULL && num_bits != 0 && num_bits <= b->num_bits && offset <= b->num_bits - num_bits;
}

/* The bits from `at` up to `end` that lie in one bundle. */
static uint32_t mask_of(size_t at, size_t end) {
  size_t const low = at % BITS;
  size_t const count = MIN(BITS - low, end - at);
  return (UINT32_MAX >> (BITS - count)) << low;
}

static size_t next_bundle(size_t at) {
  return at + BITS - at % BITS;
}

static bool is_set(const sys_bitarray_t *b, size_t bit) {
  return (b->bundles[bit / BITS] >> (bit % BITS) & 1) != 0;
}

static size_t ones(const sys_bitarray_t *b, size_t num_bits, size_t offset) {
  size_t const end = offset + num_bits;
  size_t count = 0;
  for (size_t at = offset; at < end; at = next_bundle(at)) {
    uint32_t word = b->bundles[at / BITS] & mask_of(at, end);
    for (; word != 0; word &= word - 1) {
      count++;
    }
  }
  return count;
}

static void change(sys_bitarray_t *b, size_t num_bits, size_t offset, bool to_set) {
  size_t const end = offset + num_bits;
  for (size_t at = offset; at < end; at = next_bundle(at)) {
    uint32_t const mask = mask_of(at, end);
    uint32_t const word = b->bundles[at / BITS];
    b->bundles[at / BITS] = to_set ? word | mask : word & ~mask;
  }
}

/* Changes a region that has `required` ones, or any number for SIZE_MAX; else `refusal`. */
static int change_if(sys_bitarray_t *b, size_t num_bits, size_t offset, bool to_set, size_t required, int refusal) {
  if (!is_region(b, num_bits, offset)) {
    return -EINVAL;
  }
  k_spinlock_key_t const key = k_spin_lock(&b->lock);
  bool const may = required == SIZE_MAX || ones(b, num_bits, offset) == required;
  if (may) {
    change(b, num_bits, offset, to_set);
  }
  k_spin_unlock(&b->lock, key);
  return may ? 0 : refusal;
}

/* ---- Single bits ---- */

static int test_and_change(sys_bitarray_t *b, size_t bit, int *prev_val, bool to_set) {
  if (!is_region(b, 1, bit) || prev_val == NULL) {
    return -EINVAL;
  }
  k_spinlock_key_t const key = k_spin_lock(&b->lock);
  *prev_val = is_set(b, bit);
  change(b, 1, bit, to_set);
  k_spin_unlock(&b->lock, key);
  return 0;
}

int sys_bitarray_set_bit(sys_bitarray_t *bitarray, size_t bit) {
  return sys_bitarray_set_region(bitarray, 1, bit);
}

int sys_bitarray_clear_bit(sys_bitarray_t *bitarray, size_t bit) {
  return sys_bitarray_clear_region(bitarray, 1, bit);
}

int sys_bitarray_test_bit(sys_bitarray_t *bitarray, size_t bit, int *val) {
  if (!is_region(bitarray, 1, bit) || val == NULL) {
    return -EINVAL;
  }
  *val = is_set(bitarray, bit);
  return 0;
}

int sys_bitarray_test_and_set_bit(sys_bitarray_t *bitarray, size_t bit, int *prev_val) {
  return test_and_change(bitarray, bit, prev_val, true);
}

int sys_bitarray_test_and_clear_bit(sys_bitarray_t *bitarray, size_t bit, int *prev_val) {
  return test_and_change(bitarray, bit, prev_val, false);
}

/* ---- Regions ---- */

/* The first of `num_bits` adjacent zeros; num_bits of the array where there are none. */
static size_t find_zeros(const sys_bitarray_t *b, size_t num_bits) {
  size_t run = 0;
  for (size_t bit = 0; bit < b->num_bits; bit++) {
    run = is_set(b, bit) ? 0 : run + 1;
    if (run == num_bits) {
      return bit + 1 - num_bits;
    }
  }
  return b->num_bits;
}

int sys_bitarray_alloc(sys_bitarray_t *bitarray, size_t num_bits, size_t *offset) {
  if (!is_region(bitarray, num_bits, 0) || offset == NULL) {
    return -EINVAL;
  }
  k_spinlock_key_t const key = k_spin_lock(&bitarray->lock);
  size_t const first = find_zeros(bitarray, num_bits);
  bool const found = first != bitarray->num_bits;
  if (found) {
    change(bitarray, num_bits, first, true);
    *offset = first;
  }
  k_spin_unlock(&bitarray->lock, key);
  return found ? 0 : -ENOSPC;
}

int sys_bitarray_free(sys_bitarray_t *bitarray, size_t num_bits, size_t offset) {
  return change_if(bitarray, num_bits, offset, false, num_bits, -EFAULT);
}

bool sys_bitarray_is_region_set(sys_bitarray_t *bitarray, size_t num_bits, size_t offset) {
  size_t count;
  return sys_bitarray_popcount_region(bitarray, num_bits, offset, &count) == 0 && count == num_bits;
}

bool sys_bitarray_is_region_cleared(sys_bitarray_t *bitarray, size_t num_bits, size_t offset) {
  size_t count;
  return sys_bitarray_popcount_region(bitarray, num_bits, offset, &count) == 0 && count == 0;
}

int sys_bitarray_set_region(sys_bitarray_t *bitarray, size_t num_bits, size_t offset) {
  return change_if(bitarray, num_bits, offset, true, SIZE_MAX, 0);
}

int sys_bitarray_clear_region(sys_bitarray_t *bitarray, size_t num_bits, size_t offset) {
  return change_if(bitarray, num_bits, offset, false, SIZE_MAX, 0);
}

int sys_bitarray_test_and_set_region(sys_bitarray_t *bitarray, size_t num_bits, size_t offset, bool to_set) {
  return change_if(bitarray, num_bits, offset, to_set, to_set ? 0 : num_bits, -EEXIST);
}

int sys_bitarray_popcount_region(sys_bitarray_t *bitarray, size_t num_bits, size_t offset, size_t *count) {
  if (!is_region(bitarray, num_bits, offset) || count == NULL) {
    return -EINVAL;
  }
  k_spinlock_key_t const key = k_spin_lock(&bitarray->lock);
  *count = ones(bitarray, num_bits, offset);
  k_spin_unlock(&bitarray->lock, key);
  return 0;
}

int sys_bitarray_xor(sys_bitarray_t *dst, sys_bitarray_t *other, size_t num_bits, size_t offset) {
  if (!is_region(dst, num_bits, offset) || other == NULL || other->num_bits != dst->num_bits) {
    return -EINVAL;
  }
  if (dst == other) {
    return sys_bitarray_clear_region(dst, num_bits, offset);
  }
  /* In order of address, so that two calls with the arrays swapped do not wait for each other. */
  sys_bitarray_t *const first = (uintptr_t)dst < (uintptr_t)other ? dst : other;
  sys_bitarray_t *const second = first == dst ? other : dst;
  k_spinlock_key_t const first_key = k_spin_lock(&first->lock);
  k_spinlock_key_t const second_key = k_spin_lock(&second->lock);
  for (size_t at = offset; at < offset + num_bits; at = next_bundle(at)) {
    dst->bundles[at / BITS] ^= other->bundles[at / BITS] & mask_of(at, offset + num_bits);
  }
  k_spin_unlock(&second->lock, second_key);
  k_spin_unlock(&first->lock, first_key);
  return 0;
}

int sys_bitarray_find_nth_set(sys_bitarray_t *bitarray, size_t n, size_t num_bits, size_t offset, size_t *found_at) {
  if (!is_region(bitarray, num_bits, offset) || n == 0 || found_at == NULL) {
    return -EINVAL;
  }
  k_spinlock_key_t const key = k_spin_lock(&bitarray->lock);
  size_t bit = offset;
  for (; bit < offset + num_bits; bit++) {
    n -= is_set(bitarray, bit) ? 1 : 0;
    if (n == 0) {
      *found_at = bit;
      break;
    }
  }
  k_spin_unlock(&bitarray->lock, key);
  return n == 0 ? 0 : 1;
}
