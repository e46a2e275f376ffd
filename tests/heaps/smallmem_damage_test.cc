// smallmem: every byte of its metadata, damaged in turn, in headers of three words and of four.
#include "tests/heaps/support.h"

#include <gtest/gtest.h>
#include <ringfence/smallmem.h>

#include <cstring>
#include <vector>

namespace {

uintptr_t named(const rf_site *) {
  return 0x1234;
}

class SmallmemIntegrity : public ::testing::TestWithParam<rf_owner_fn> {
protected:
  Unwatched unwatched;

  static constexpr size_t kSize = 1000; // no multiple of kG: the last block is cut

  void SetUp() override {
    ASSERT_EQ(RF_OK, rf_smallmem_init_owned(&heap, arena, kSize, GetParam()));
    for (size_t const size : {40, 100, 30, 90, 1, 60}) {
      live.push_back(rf_alloc(a, size));
    }
    for (size_t const i : {0U, 2U, 4U}) {
      EXPECT_EQ(RF_OK, rf_free(a, live[i]));
    }
    live = {live[1], live[3], live[5]};
    memcpy(saved_arena, arena, kSize);
    memcpy(&saved_heap, &heap, sizeof heap);
  }

  void restore() {
    memcpy(arena, saved_arena, kSize);
    memcpy(&heap, &saved_heap, sizeof heap);
  }

  // Every operation, on the damaged heap: whatever they answer, they end and touch nothing outside.
  void use() {
    rf_stats unused;
    unsigned char margin[sizeof after];
    memcpy(margin, after, sizeof after);
    rf_stats_get(a, &unused);
    std::vector<Seen> blocks;
    (void)rf_walk(a, see, &blocks);
    for (void *const ptr : live) {
      (void)rf_usable_size(a, ptr);
      (void)rf_resize(a, ptr, 200);
      (void)rf_realloc(a, ptr, 120);
      (void)rf_alloc(a, 24);
      (void)rf_aligned_alloc(a, 64, 100);
      (void)rf_free(a, ptr);
    }
    EXPECT_EQ(0, memcmp(margin, after, sizeof after));
  }

  bool told(unsigned char *byte) {
    return change_is_told(
        a, byte, faults, [this] { use(); }, [this] { restore(); });
  }

  bool in_header(const unsigned char *byte) {
    bool found = false;
    for (const Seen &b : walk(a)) {
      found = found || (byte < b.ptr && byte >= b.ptr - heap.blocks.header);
    }
    return found;
  }

  Faults faults;
  alignas(16) unsigned char arena[kSize];
  unsigned char after[64] = {};
  rf_smallmem heap;
  rf_allocator *a = &heap.base;
  std::vector<void *> live;
  unsigned char saved_arena[kSize];
  rf_smallmem saved_heap;
};

TEST_P(SmallmemIntegrity, EachByteOfEachHeaderIsTold) {
  for (size_t i = 0; i < kSize; i++) {
    if (in_header(arena + i)) {
      EXPECT_TRUE(told(arena + i)) << "byte " << i;
    }
  }
}

TEST_P(SmallmemIntegrity, NothingElseInTheArenaIsReliedUpon) {
  for (size_t i = 0; i < kSize; i++) {
    if (!in_header(arena + i)) {
      arena[i] ^= 0xFF;
      EXPECT_EQ(RF_OK, rf_check(a, nullptr)) << "byte " << i;
      arena[i] ^= 0xFF;
    }
  }
}

TEST_P(SmallmemIntegrity, EachByteOfTheRecordIsToldButThoseThatOnlyCount) {
  auto *const record = reinterpret_cast<unsigned char *>(&heap);
  auto const in = [&](size_t i, const void *field, size_t size) {
    size_t const start = static_cast<size_t>(static_cast<const unsigned char *>(field) - record);
    return i >= start && i < start + size;
  };
  for (size_t i = 0; i < sizeof heap; i++) {
    // The operations themselves, and figures that may have any value above the least possible.
    if (in(i, &heap.base, sizeof heap.base) || in(i, &heap.counters.failures, sizeof(size_t)) ||
        in(i, &heap.counters.peak, sizeof(size_t)) || in(i, &heap.counters.peak_blocks, sizeof(size_t)) ||
        in(i, &heap.counters.allocations, sizeof(size_t))) {
      continue;
    }
    EXPECT_TRUE(told(record + i)) << "byte " << i;
  }
}

TEST_P(SmallmemIntegrity, PeaksThatCannotBeAreTold) {
  expect_peaks_checked(a, &heap.counters);
}

TEST_P(SmallmemIntegrity, ADamagedRecordMakesEveryCallRefuse) {
  void *const block = walk(a)[0].ptr;
  heap.blocks.checksum ^= 4;
  expect_record_refused(a, block, faults);
  restore();
}

TEST_P(SmallmemIntegrity, AWholeHeaderOfAnyOneByteIsTold) {
  for (const Seen &b : walk(a)) {
    for (int value = 0; value < 256; value++) {
      memset(b.ptr - heap.blocks.header, value, heap.blocks.header);
      EXPECT_EQ(RF_ERR_CORRUPT, rf_check(a, nullptr));
      use();
      restore();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Headers, SmallmemIntegrity, ::testing::Values(nullptr, named),
                         [](const auto &header) { return header.param == nullptr ? "OfThreeWords" : "OfFourWords"; });

} // namespace
