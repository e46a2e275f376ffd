// Pointers that tlsf refuses, as they are no blocks of its own: from outside, from within blocks, freed already, after
// its end.
#include "tests/core/recorder.h"
#include "tests/heaps/tlsf_fixture.h"

#include <cstring>

namespace ringfence::testing {
namespace {

class TlsfRefusals : public ::testing::Test {
protected:
  Unwatched unwatched;

  Heap h{4096};
  FaultRecorder recorder;
};

TEST_F(TlsfRefusals, Foreign) {
  int local = 0;
  EXPECT_EQ(rf_free(h.a, &local), RF_ERR_BAD_POINTER);
  EXPECT_EQ(recorder.take(), RF_ERR_BAD_POINTER);
  EXPECT_EQ(rf_free(h.a, &h.heap), RF_ERR_BAD_POINTER);
}

TEST_F(TlsfRefusals, EveryInteriorByteWhateverItHolds) {
  unsigned char *const p = h.alloc(200);
  // As if blocks began all over it.
  for (size_t i = 0; i + 4 <= 200; i += 4) {
    std::memcpy(p + i, p - 4, 4);
  }
  for (size_t i = 1; i < 200; i++) {
    ASSERT_EQ(rf_free(h.a, p + i), RF_ERR_BAD_POINTER) << i;
    ASSERT_EQ(rf_resize(h.a, p + i, 10), RF_ERR_BAD_POINTER) << i;
    ASSERT_EQ(rf_usable_size(h.a, p + i), 0U) << i;
  }
  EXPECT_EQ(recorder.faults().size(), 2 * 199U);
  EXPECT_EQ(rf_free(h.a, p), RF_OK);
}

TEST_F(TlsfRefusals, SaysWhyOfAPointerBetweenTwoGranules) {
  unsigned char *const p = h.alloc(200);
  EXPECT_EQ(rf_free(h.a, p + 1), RF_ERR_BAD_POINTER);
  EXPECT_EQ(rf_free(h.a, p + kGranule), RF_ERR_BAD_POINTER);
  ASSERT_EQ(recorder.faults().size(), 2U);
  EXPECT_STREQ(recorder.faults()[0].what, "misaligned pointer");
  EXPECT_STREQ(recorder.faults()[1].what, "pointer into a block");
}

TEST_F(TlsfRefusals, ControlDataAndTheEnd) {
  for (unsigned char *p = h.arena.start; p < h.heap.main.first; p++) {
    ASSERT_EQ(rf_free(h.a, p), RF_ERR_BAD_POINTER);
  }
  EXPECT_EQ(rf_free(h.a, h.heap.main.end), RF_ERR_BAD_POINTER);
}

TEST_F(TlsfRefusals, FreedTwiceWithLiveNeighbours) {
  h.alloc(10);
  unsigned char *const p = h.alloc(10);
  h.alloc(10);
  EXPECT_EQ(rf_free(h.a, p), RF_OK);
  EXPECT_EQ(rf_free(h.a, p), RF_ERR_NOT_ALLOCATED);
  ASSERT_EQ(recorder.faults().size(), 1U);
  EXPECT_EQ(recorder.faults()[0].ptr, p);
  EXPECT_EQ(recorder.faults()[0].allocator, h.a);
  EXPECT_STREQ(recorder.faults()[0].what, "pointer to free memory");
}

TEST_F(TlsfRefusals, FreedTwiceAfterItsMemoryWasMerged) {
  unsigned char *const p = h.alloc(100);
  unsigned char *const q = h.alloc(100);
  h.alloc(10);
  rf_free(h.a, p);
  rf_free(h.a, q);
  EXPECT_EQ(rf_free(h.a, q), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(rf_realloc(h.a, q, 10), nullptr);
  EXPECT_EQ(recorder.faults().size(), 2U);
}

TEST_F(TlsfRefusals, CallSitesAreHandedOn) {
  rf_site const site = {"here.c", "main", 7};
  EXPECT_EQ(rf_free_at(h.a, h.alloc(100) + 16, &site), RF_ERR_BAD_POINTER);
  ASSERT_EQ(recorder.faults().size(), 1U);
  EXPECT_EQ(recorder.faults()[0].site, &site);
}

TEST_F(TlsfRefusals, AnythingAfterDeinit) {
  unsigned char *const p = h.alloc(10);
  rf_tlsf heap = h.heap;
  rf_allocator *const ended = &heap.base;
  rf_deinit(ended);
  rf_deinit(ended);
  EXPECT_EQ(rf_alloc(ended, 1), nullptr);
  EXPECT_EQ(rf_free(ended, p), RF_ERR_BAD_POINTER);
  EXPECT_EQ(recorder.take(), RF_ERR_BAD_POINTER);
  EXPECT_FALSE(rf_owns(ended, p));
  EXPECT_EQ(stats(ended).capacity, 0U);
}

} // namespace
} // namespace ringfence::testing
