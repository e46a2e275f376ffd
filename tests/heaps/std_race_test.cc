#include "tests/heaps/std_race.h"

#include "tests/core/recorder.h"

#include <gtest/gtest.h>

namespace {

using ringfence::testing::FaultRecorder;

rf_std heap;
void *block;
rf_status of_the_other;

class StdRaceTest : public testing::Test {
protected:
  StdRaceTest() {
    EXPECT_EQ(std_race_init(&heap), RF_OK);
    block = rf_alloc(&heap.base, 40);
    freed_before = race.freed;
    race.interrupt = [] { of_the_other = rf_free(&heap.base, block); };
  }

  std_race &race = *std_race_of_this_program();
  int freed_before;
  FaultRecorder recorder;
};

TEST_F(StdRaceTest, OfTwoThreadsThatFreeABlockOneSucceeds) {
  EXPECT_EQ(rf_free(&heap.base, block), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(of_the_other, RF_OK);
  EXPECT_EQ(race.freed, freed_before + 1);
  EXPECT_EQ(heap.counters.blocks, 0U);
}

TEST_F(StdRaceTest, AReallocOfABlockThatIsFreedMeanwhileFails) {
  EXPECT_EQ(rf_realloc(&heap.base, block, 80), nullptr);
  EXPECT_EQ(of_the_other, RF_OK);
  EXPECT_EQ(race.freed, freed_before + 1);
  EXPECT_EQ(heap.counters.blocks, 0U);
}

} // namespace
