// The bytes that a finding shows, and the places that were told before.
#include "checkers/shared/told_places.h"

extern "C" {
#include "checkers/shared/window.h"
}

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace {

// Bytes at a multiple of 16: 1 from `low` up to `high`, and 2 elsewhere.
struct Bounded {
  uintptr_t low;
  uintptr_t high;
};

rf_byte_class classify(const void *context, uintptr_t address, int *expected) {
  auto const *const b = static_cast<const Bounded *>(context);
  EXPECT_TRUE(address >= b->low && address < b->high) << "looks outside";
  *expected = address % 3 == 0 ? 2 : -1;
  return RF_BYTE_USER;
}

// Wherever the bounds lie in their rows, and the damage between them.
TEST(Window, LiesBetweenItsBoundsAndShowsTheDamage) {
  alignas(16) static unsigned char memory[256];
  std::fill(memory, memory + sizeof memory, 1);
  auto const start = reinterpret_cast<uintptr_t>(memory);
  for (uintptr_t low = 0; low < 34; low++) {
    for (uintptr_t size = 1; size < 150; size += size < 40 ? 1 : 23) {
      Bounded const b = {start + low, start + low + size};
      for (uintptr_t at = b.low; at < b.high; at++) {
        rf_finding f = {};
        rf_finding_window(&f, b.low, b.high, at, classify, &b);
        uintptr_t const end = f.window_address + f.window_size;
        ASSERT_TRUE(f.window_address >= b.low && end <= b.high && f.window_size <= RF_WINDOW) << low << " " << size;
        ASSERT_TRUE(at >= f.window_address && at < end);
        uintptr_t const row = at & ~uintptr_t{15};
        ASSERT_EQ(f.window_address, std::max(b.low, row - 16)) << "the row before, as far as there is one";
        ASSERT_EQ(f.window_size, std::min<uintptr_t>(RF_WINDOW, b.high - f.window_address));
        for (unsigned i = 0; i < f.window_size; i++) {
          bool const bad = (f.window_address + i) % 3 == 0;
          ASSERT_EQ(f.window[i], 1);
          ASSERT_EQ(f.expected[i], bad ? 2 : 1);
          ASSERT_EQ(f.window_class[i], bad ? RF_BYTE_BAD : RF_BYTE_USER);
        }
      }
    }
  }
}

TEST(ToldPlaces, AreThoseOfOneInstructionAndOneAllocation) {
  static rf_told_places told;
  for (uintptr_t const pc : {uintptr_t{0x401000}, uintptr_t{0x401004}}) {
    for (uintptr_t const allocation : {1, 2, 3}) {
      EXPECT_FALSE(rf_told_before(&told, pc, allocation));
      EXPECT_TRUE(rf_told_before(&told, pc, allocation));
      EXPECT_FALSE(rf_told_before(&told, pc, allocation + RF_TOLD_PLACES)) << "another one in the same place";
      EXPECT_FALSE(rf_told_before(&told, pc, allocation));
    }
  }
}

} // namespace
