// Numbers that look random: a seed gives the same ones on every machine and in every version.
#include "lib/core/random.h"

#include <gtest/gtest.h>

namespace {

// SplitMix64, with the numbers that its author's program prints for this seed.
TEST(Random, NumbersAreThoseOfTheAlgorithm) {
  uint64_t state = 1234567;
  for (uint64_t const expected :
       {UINT64_C(6457827717110365317), UINT64_C(3203168211198807973), UINT64_C(9817491932198370423),
        UINT64_C(4593380528125082431), UINT64_C(16408922859458223821)}) {
    EXPECT_EQ(rf_random_next(&state), expected);
  }
}

} // namespace
