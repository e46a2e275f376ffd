// AWTK's test of how fast memory is, by a clock of this file's: the linker puts it in front of the port's.
#include "tkc/mem.h"

#include <gtest/gtest.h>

#include <vector>

namespace {

unsigned asked;

} // namespace

extern "C" uint64_t __wrap_rf_port_now_ns();

// A second for what is set, and four for what is copied.
extern "C" uint64_t __wrap_rf_port_now_ns() {
  static const uint64_t times[] = {5000000000, 6000000000, 10000000000};
  return times[asked++ % 3];
}

namespace {

TEST(AwtkSpeed, IsWhatWasSetAndCopiedInThatTime) {
  static char memory[1 << 20];
  uint32_t copied = 0;
  uint32_t set = 0;
  EXPECT_EQ(tk_mem_speed_test(memory, sizeof memory, &copied, &set), 5000U);
  EXPECT_EQ(set, 100U * 1024);
  EXPECT_EQ(copied, 25U * 1024);
  EXPECT_EQ(asked, 3U);
}

// As many bytes as were set and copied count, in whole passes, of which there is one at least.
TEST(AwtkSpeed, OfALengthThatIsNoPartOfTheWhole) {
  std::vector<char> memory(101 << 20);
  for (uint32_t const mebibytes : {7U, 60U, 101U}) {
    uint32_t const counted = (mebibytes < 100 ? 100 / mebibytes : 1) * mebibytes * 1024;
    uint32_t copied = 0;
    uint32_t set = 0;
    (void)tk_mem_speed_test(memory.data(), mebibytes << 20, &copied, &set);
    EXPECT_EQ(set, counted) << mebibytes;
    EXPECT_EQ(copied, counted / 4) << mebibytes;
  }
}

} // namespace
