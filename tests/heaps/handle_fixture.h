// A handle heap over an arena of its own, and what tests ask it.
#ifndef RINGFENCE_TESTS_HEAPS_HANDLE_FIXTURE_H
#define RINGFENCE_TESTS_HEAPS_HANDLE_FIXTURE_H

#include <ringfence/handle.h>

#include "tests/core/recorder.h"
#include "tests/core/unwatched.h"

#include <gtest/gtest.h>

#include <cstring>
#include <initializer_list>
#include <string>

namespace ringfence::testing {

class Handle : public ::testing::Test {
protected:
  static constexpr size_t kArena = 12500;

  Handle() { make({}); }
  ~Handle() override { EXPECT_EQ(rf_handle_check(h, nullptr), RF_OK) << "the test leaves a damaged heap"; }

  void make(rf_handle_options const &options, size_t size = kArena) {
    Unwatched const unwatched(arena, sizeof arena); // the heap before was not ended
    std::memset(arena, 0x55, sizeof arena);
    ASSERT_EQ(rf_handle_heap_init(&heap, arena, size, &options), RF_OK);
  }
  // Over exactly `size` bytes, the table elsewhere.
  void make_apart(size_t size, size_t blocks = 100) {
    rf_handle_options options = {};
    options.max_blocks = blocks;
    options.table = table;
    options.table_size = sizeof table;
    make(options, size);
  }

  rf_handle_usage usage() {
    rf_handle_usage u;
    rf_handle_usage_get(h, &u);
    return u;
  }
  unsigned char *at(rf_handle handle) { return static_cast<unsigned char *>(rf_handle_address(h, handle)); }
  size_t offset(rf_handle handle) { return static_cast<size_t>(at(handle) - arena); }

  // The arena in words: "1:8 -4 3:12*" is block 1, a hole, and block 3, locked.
  std::string map() {
    std::string text;
    EXPECT_EQ(rf_handle_walk(
                  h,
                  [](const rf_handle_block *b, void *out) {
                    *static_cast<std::string *>(out) +=
                        (b->handle != 0 ? std::to_string(b->handle & 0xFFFF) + ":" : std::string("-")) +
                        std::to_string(b->size) + (b->locks != 0 ? "*" : "") + " ";
                    return true;
                  },
                  &text),
              RF_OK);
    return text;
  }
  // Blocks 1, 2, … of these sizes.
  void fill(std::initializer_list<size_t> sizes) {
    for (size_t const size : sizes) {
      ASSERT_NE(rf_handle_alloc(h, size), RF_HANDLE_NULL);
    }
  }

  alignas(64) unsigned char arena[kArena + 64];
  alignas(8) unsigned char table[24 * 101];
  rf_handle_heap heap;
  rf_handles *const h = &heap.base;
  FaultRecorder faults;
};

} // namespace ringfence::testing

#endif // RINGFENCE_TESTS_HEAPS_HANDLE_FIXTURE_H
