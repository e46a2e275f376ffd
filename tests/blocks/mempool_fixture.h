// A mempool over memory of its own, and what tests ask it.
#ifndef RINGFENCE_TESTS_BLOCKS_MEMPOOL_FIXTURE_H
#define RINGFENCE_TESTS_BLOCKS_MEMPOOL_FIXTURE_H

#include <ringfence/mempool.h>

#include "fault_log.h"

#include <gtest/gtest.h>

#include <vector>

// A pool over a vector, faults collected.
class Pool {
public:
  explicit Pool(size_t num_blocks, size_t block_size = 80, size_t align = sizeof(void *))
      : memory_(num_blocks * (block_size + sizeof(void *) + align) + 64) {
    EXPECT_EQ(rf_mempool_init(&pool, memory_.data(), bytes_for(num_blocks, block_size, align), block_size, align),
              RF_OK);
    EXPECT_EQ(pool.num_blocks, num_blocks);
  }
  ~Pool() {
    EXPECT_EQ(rf_check(&pool.base, nullptr), RF_OK);
    EXPECT_EQ(rf_mempool_deinit(&pool), RF_OK);
  }
  Pool(const Pool &) = delete;
  Pool &operator=(const Pool &) = delete;

  void *take() {
    void *block = nullptr;
    EXPECT_EQ(rf_mempool_alloc(&pool, 0, &block), RF_OK);
    return block;
  }
  rf_mempool_info info() {
    rf_mempool_info out;
    rf_mempool_info_get(&pool, &out);
    return out;
  }
  rf_stats stats() {
    rf_stats out;
    rf_stats_get(&pool.base, &out);
    return out;
  }

  rf_mempool pool;
  FaultLog faults;

private:
  size_t bytes_for(size_t n, size_t block_size, size_t align) {
    size_t const stride = (block_size + sizeof(void *) + align - 1) / align * align;
    size_t const gap = (align - (reinterpret_cast<uintptr_t>(memory_.data()) + sizeof(void *)) % align) % align;
    return gap + (n - 1) * stride + sizeof(void *) + block_size;
  }
  std::vector<unsigned char> memory_;
};

#endif // RINGFENCE_TESTS_BLOCKS_MEMPOOL_FIXTURE_H
