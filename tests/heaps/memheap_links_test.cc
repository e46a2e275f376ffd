// memheap: the links of free blocks, one of them changed: refused by the call that would follow it, told by a check.
// Regions without damage: which one serves, and leaves.
#include "tests/heaps/support.h"

#include <gtest/gtest.h>
#include <ringfence/memheap.h>

#include <cstring>

namespace {

constexpr size_t kHeader = 3 * sizeof(size_t);

class MemheapLinks : public ::testing::Test {
protected:
  Unwatched unwatched;

  // Free blocks of 112, 160 and 208 bytes, last freed first in the list, each between two live ones.
  void SetUp() override {
    ASSERT_EQ(RF_OK, rf_memheap_init(&heap));
    ASSERT_EQ(RF_OK, rf_memheap_add(&heap, &first, "first", memory[0], sizeof memory[0]));
    for (size_t i = 0; i < 3; i++) {
      free[i] = alloc_filled(a, 100 + 48 * i);
      live[i] = alloc_filled(a, 10);
    }
    alloc_filled(a, stats(a).largest_free);
    ASSERT_EQ(RF_OK, rf_memheap_add(&heap, &second, "second", memory[1], sizeof memory[1]));
    for (unsigned char *const p : free) {
      EXPECT_EQ(RF_OK, rf_free(a, p));
    }
  }

  // Changes a word, and sees that the call and a check tell.
  template <typename Call> void changed(unsigned char *word, size_t to, Call call) {
    size_t was;
    memcpy(&was, word, sizeof was);
    rf_counters const before = heap.counters;
    rf_counters const of_first = first.counters;
    memcpy(word, &to, sizeof to);
    EXPECT_EQ(RF_ERR_CORRUPT, rf_check(a, nullptr));
    call();
    EXPECT_EQ(1U, faults.count());
    EXPECT_EQ(RF_ERR_CORRUPT, faults.take());
    EXPECT_EQ(of_first.failures, first.counters.failures) << "not for lack of room";
    EXPECT_EQ(before.blocks, heap.counters.blocks);
    memcpy(word, &was, sizeof was);
    EXPECT_EQ(RF_OK, rf_check(a, nullptr));
  }

  size_t offset(const unsigned char *p) const { return static_cast<size_t>(p - first.blocks.start) - kHeader; }
  static unsigned char *next(unsigned char *p) { return p; }
  static unsigned char *prev(unsigned char *p) { return p + sizeof(size_t); }

  Faults faults;
  rf_memheap heap;
  rf_allocator *a = &heap.base;
  rf_memheap_region first;
  rf_memheap_region second;
  alignas(16) unsigned char memory[2][1024];
  unsigned char *free[3];
  unsigned char *live[3];
};

TEST_F(MemheapLinks, OfTheBlockBeforeInTheListAreLookedAtByAFree) {
  changed(next(free[2]), offset(free[0]), [this] { EXPECT_EQ(RF_ERR_CORRUPT, rf_free(a, live[0])); });
}

TEST_F(MemheapLinks, OfTheBlockBehindInTheListAreLookedAtByAFree) {
  changed(prev(free[0]), offset(free[2]), [this] { EXPECT_EQ(RF_ERR_CORRUPT, rf_free(a, live[1])); });
}

TEST_F(MemheapLinks, OfTheFirstInTheListAreLookedAtByAFree) {
  changed(prev(free[2]), offset(free[0]), [this] { EXPECT_EQ(RF_ERR_CORRUPT, rf_free(a, live[0])); });
}

// The second region has room: what lies behind damage is not known.
TEST_F(MemheapLinks, OfTheBlockBehindTheOneThatFitsAreLookedAtByAnAlloc) {
  changed(prev(free[1]), offset(free[0]), [this] { EXPECT_EQ(nullptr, rf_alloc(a, 196)); });
}

TEST_F(MemheapLinks, OfTheLastThatLeadBackAreTold) {
  changed(next(free[0]), offset(free[2]), [this] { EXPECT_EQ(nullptr, rf_alloc(a, 500)); });
}

// Two regions without damage.
class MemheapRegions : public ::testing::Test {
protected:
  Unwatched unwatched;

  MemheapRegions() {
    EXPECT_EQ(RF_OK, rf_memheap_init(&heap));
    EXPECT_EQ(RF_OK, rf_memheap_add(&heap, &first, "first", memory[0], sizeof memory[0]));
    EXPECT_EQ(RF_OK, rf_memheap_add(&heap, &second, "second", memory[1], sizeof memory[1]));
  }
  ~MemheapRegions() override { EXPECT_EQ(RF_OK, rf_check(a, nullptr)); }

  alignas(16) unsigned char memory[2][1024];
  rf_memheap_region first;
  rf_memheap_region second;
  rf_memheap heap;
  rf_allocator *const a = &heap.base;
};

TEST_F(MemheapRegions, OneWithoutBlocksLeavesWhileOthersAreInUse) {
  unsigned char *const p = alloc_filled(a, 100);
  EXPECT_EQ(RF_OK, rf_memheap_remove(&heap, &second));
  EXPECT_EQ(RF_OK, rf_free(a, p));
}

TEST_F(MemheapRegions, ASmallerBlockThatCannotBeAlignedIsPassedOver) {
  unsigned char *p = alloc_filled(a, 112);
  p = rf_is_aligned(p, 32) ? alloc_filled(a, 112) : p;
  alloc_filled(a, 1);
  EXPECT_EQ(RF_OK, rf_free(a, p));
  EXPECT_EQ(&first, rf_memheap_region_of(&heap, rf_aligned_alloc(a, 32, 100)));
}

} // namespace
