#include "tests/heaps/std_race.h"

#include "tests/core/recorder.h"

#include <gtest/gtest.h>

#include <set>

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

TEST_F(StdRaceTest, APeakThatAnotherThreadRaisesMeanwhileIsStillRaised) {
  race.interrupt = nullptr;
  race.at_peak = [] { heap.counters.peak = 50; };
  void *const p = rf_alloc(&heap.base, 100);
  EXPECT_EQ(heap.counters.peak, 140U);
  EXPECT_EQ(rf_free(&heap.base, p), RF_OK);
  EXPECT_EQ(rf_free(&heap.base, block), RF_OK);
}

// Bytes are counted first, then blocks.
TEST_F(StdRaceTest, APeakIsWhatWasInUseWhateverIsFreedAtOnce) {
  race.interrupt = nullptr;
  for (unsigned const before : {0U, 1U}) {
    heap.counters.peak = 0;
    heap.counters.peak_blocks = 0;
    race.changes_before = before;
    race.at_change = [] { of_the_other = rf_free(&heap.base, block); };
    void *const p = rf_alloc(&heap.base, 100);
    EXPECT_EQ(of_the_other, RF_OK);
    EXPECT_EQ(heap.counters.used, 100U);
    EXPECT_EQ(heap.counters.peak, 140U);
    EXPECT_EQ(heap.counters.peak_blocks, before == 0 ? 1U : 2U);
    EXPECT_EQ(rf_free(&heap.base, p), RF_OK);
    block = rf_alloc(&heap.base, 40);
  }
  EXPECT_EQ(rf_free(&heap.base, block), RF_OK);
}

// As other threads may change it, too.
TEST_F(StdRaceTest, EachFigureIsChangedInOneStep) {
  race.interrupt = nullptr;
  using Figures = std::set<const size_t *>;
  rf_counters const &c = heap.counters;
  auto const changed_by = [this](auto const &call) {
    race.changes = 0;
    call();
    return Figures(race.changed, race.changed + race.changes);
  };
  EXPECT_EQ(changed_by([] { block = rf_realloc(&heap.base, block, 50); }), Figures{&c.used});
  void *p = nullptr;
  EXPECT_EQ(changed_by([&] { p = rf_alloc(&heap.base, 10); }), (Figures{&c.used, &c.blocks, &c.allocations}));
  EXPECT_EQ(changed_by([&] { EXPECT_EQ(rf_free(&heap.base, p), RF_OK); }), (Figures{&c.used, &c.blocks}));
  EXPECT_EQ(changed_by([] { EXPECT_EQ(rf_alloc(&heap.base, RF_SIZE_LIMIT), nullptr); }), Figures{&c.failures});
  EXPECT_EQ(rf_free(&heap.base, block), RF_OK);
}

TEST_F(StdRaceTest, ABlockWhoseChecksumComesOutAsTheMarkOfAFreedOneIsLive) {
  race.interrupt = nullptr;
  EXPECT_EQ(rf_free(&heap.base, block), RF_OK);
  race.sums_are_freed = true;
  void *const p = rf_alloc(&heap.base, 10);
  EXPECT_EQ(rf_usable_size(&heap.base, p), 10U);
  EXPECT_EQ(rf_free(&heap.base, p), RF_OK);
  EXPECT_EQ(rf_free(&heap.base, p), RF_ERR_NOT_ALLOCATED);
  race.sums_are_freed = false;
}

} // namespace
