// A memblocks over memory of its own, and what tests ask it.
#ifndef RINGFENCE_TESTS_BLOCKS_MEMBLOCKS_FIXTURE_H
#define RINGFENCE_TESTS_BLOCKS_MEMBLOCKS_FIXTURE_H

#include <ringfence/memblocks.h>

#include "fault_log.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

// A pool over vectors, faults collected.
class Pool {
public:
  explicit Pool(size_t num_blocks, size_t block_size = 32)
      : buffer_(num_blocks * block_size), bitmap_(RF_MEMBLOCKS_WORDS(num_blocks), ~size_t{0}) {
    EXPECT_EQ(rf_memblocks_init(&blocks, buffer_.data(), block_size, num_blocks, bitmap_.data()), RF_OK);
  }
  ~Pool() { EXPECT_EQ(rf_memblocks_check(&blocks, nullptr), RF_OK); }
  Pool(const Pool &) = delete;
  Pool &operator=(const Pool &) = delete;

  void *at(size_t i) const { return blocks.buffer + i * blocks.block_size; }
  bool is_free(size_t i) { return rf_memblocks_is_region_free(&blocks, at(i), 1); }
  rf_status claim(size_t i, size_t count = 1) { return rf_memblocks_claim(&blocks, at(i), count); }
  rf_stats stats() {
    rf_stats s;
    rf_memblocks_stats(&blocks, &s);
    return s;
  }
  // The blocks that are taken, as "110…".
  std::string map() {
    std::string text;
    for (size_t i = 0; i < blocks.num_blocks; i++) {
      text += is_free(i) ? '0' : '1';
    }
    return text;
  }

  rf_memblocks blocks;
  FaultLog faults;

private:
  std::vector<unsigned char> buffer_;
  std::vector<size_t> bitmap_;
};

#endif // RINGFENCE_TESTS_BLOCKS_MEMBLOCKS_FIXTURE_H
