// AWTK's test of how fast memory is, by a clock of this file's: the linker puts it in front of the port's.
#include "tkc/mem.h"

#include <gtest/gtest.h>

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

} // namespace
