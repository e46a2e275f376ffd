// Regions of tlsf beside its arena, and any program over several of them.
#include "tests/heaps/tlsf_fixture.h"

#include "tests/core/unwatched.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace ringfence::testing {
namespace {

TEST(TlsfTest, ServesFromAllRegionsAndKnowsThemApart) {
  Memory second(8192, 5);
  Memory third(2048, 3);
  Heap h(4096);
  ASSERT_EQ(rf_tlsf_add_region(&h.heap, second.start, second.size), RF_OK);
  ASSERT_EQ(rf_tlsf_add_region(&h.heap, third.start, third.size), RF_OK);
  EXPECT_EQ(stats(h.a).capacity, 4096U + 8192U + 2048U);
  EXPECT_GT(h.largest(), 4096U);
  std::vector<unsigned char *> blocks;
  while (unsigned char *const p = h.alloc(50)) {
    std::memset(p, 0x11, 50);
    blocks.push_back(p);
  }
  EXPECT_EQ(stats(h.a).failures, 1U);
  EXPECT_GT(blocks.size() * 64, 4096U + 8192U);
  EXPECT_EQ(rf_check(h.a, nullptr), RF_OK);
  EXPECT_EQ(rf_tlsf_remove_region(&h.heap, second.start), RF_ERR_BUSY);
  for (unsigned char *const p : blocks) {
    EXPECT_TRUE(rf_owns(h.a, p));
    EXPECT_EQ(rf_free(h.a, p), RF_OK);
  }
  EXPECT_EQ(rf_tlsf_remove_region(&h.heap, second.start), RF_OK);
  EXPECT_FALSE(rf_owns(h.a, blocks[60]) && blocks[60] >= second.start && blocks[60] < second.start + second.size);
  EXPECT_EQ(stats(h.a).capacity, 4096U + 2048U);
  EXPECT_LT(h.largest(), 4096U);
}

TEST(TlsfTest, TheRegionThatServedLastIsAskedFirst) {
  Memory more(4096);
  Heap h(1024);
  ASSERT_EQ(rf_tlsf_add_region(&h.heap, more.start, more.size), RF_OK);
  for (size_t const size : {2000, 10}) {
    unsigned char *const p = h.alloc(size);
    EXPECT_TRUE(p > more.start && p < more.start + more.size) << size;
  }
}

// The root of the tree of two regions depends on their addresses.
TEST(TlsfTest, AFullRegionLeavesTheRequestToTheOtherWhereverItLies) {
  Memory both(64 * 1024);
  for (size_t at = 0; at < 16; at++) {
    for (bool const above : {false, true}) {
      unsigned char *const low = both.start + at * 1024;
      unsigned char *const high = low + 32 * 1024;
      rf_tlsf heap;
      ASSERT_EQ(rf_tlsf_init(&heap, above ? low : high, 1024), RF_OK);
      ASSERT_EQ(rf_tlsf_add_region(&heap, above ? high : low, 1024), RF_OK);
      size_t const largest = stats(&heap.base).largest_free;
      ASSERT_NE(rf_alloc(&heap.base, largest), nullptr);
      EXPECT_NE(rf_alloc(&heap.base, stats(&heap.base).largest_free), nullptr) << at << above;
      EXPECT_EQ(stats(&heap.base).largest_free, 0U) << at << above;
    }
  }
}

TEST(TlsfTest, UsableBytesAreTheSameWhicheverRegionServedLast) {
  Memory more(4096);
  Heap h(1024);
  ASSERT_EQ(rf_tlsf_add_region(&h.heap, more.start, more.size), RF_OK);
  unsigned char *const p = h.alloc(1);
  size_t const usable = rf_usable_size(h.a, p);
  EXPECT_GT(usable, 1U);
  unsigned char *const q = h.alloc(p > more.start && p < more.start + more.size ? 700 : 2000);
  ASSERT_NE(q, nullptr);
  EXPECT_EQ(rf_usable_size(h.a, p), usable);
}

TEST(TlsfTest, RefusesRegionsThatAreNone) {
  Memory other(4096);
  Heap h(4096);
  EXPECT_EQ(rf_tlsf_add_region(&h.heap, nullptr, 4096), RF_ERR_INVALID);
  EXPECT_EQ(rf_tlsf_add_region(&h.heap, other.start, SIZE_MAX - 10), RF_ERR_INVALID);
  EXPECT_EQ(rf_tlsf_add_region(&h.heap, h.arena.start + 4095, 4096), RF_ERR_INVALID) << "overlaps the arena";
  EXPECT_EQ(rf_tlsf_add_region(&h.heap, other.start, 40), RF_ERR_NO_MEMORY);
  ASSERT_EQ(rf_tlsf_add_region(&h.heap, other.start + 1000, 2000), RF_OK);
  EXPECT_EQ(rf_tlsf_add_region(&h.heap, other.start, 1001), RF_ERR_INVALID);
  EXPECT_EQ(rf_tlsf_add_region(&h.heap, other.start + 2999, 1000), RF_ERR_INVALID);
  EXPECT_EQ(rf_tlsf_add_region(&h.heap, other.start + 1500, 100), RF_ERR_INVALID);
  EXPECT_EQ(rf_tlsf_add_region(&h.heap, other.start + 3000, 1000), RF_OK) << "adjacent is apart";
  EXPECT_EQ(rf_tlsf_remove_region(&h.heap, other.start), RF_ERR_INVALID);
  EXPECT_EQ(rf_tlsf_remove_region(&h.heap, nullptr), RF_ERR_INVALID);
  EXPECT_EQ(rf_tlsf_remove_region(&h.heap, h.arena.start), RF_ERR_INVALID);
  EXPECT_EQ(rf_tlsf_remove_region(&h.heap, other.start + 3000), RF_OK);
  EXPECT_EQ(rf_tlsf_remove_region(&h.heap, other.start + 3000), RF_ERR_INVALID);
}

TEST(TlsfTest, BlocksDoNotSpanAdjacentRegions) {
  Memory memory(3 * 4096);
  rf_tlsf heap;
  ASSERT_EQ(rf_tlsf_init(&heap, memory.start + 4096, 4096), RF_OK);
  ASSERT_EQ(rf_tlsf_add_region(&heap, memory.start + 8192, 4096), RF_OK);
  ASSERT_EQ(rf_tlsf_add_region(&heap, memory.start, 4096), RF_OK);
  EXPECT_LT(stats(&heap.base).largest_free, 4096U);
  EXPECT_EQ(rf_alloc(&heap.base, 4096), nullptr);
}

TEST(TlsfTest, ManyRegionsComeAndGoInAnyOrder) {
  constexpr size_t kRegions = 150;
  constexpr size_t kSize = 1500;
  Memory memory(kRegions * kSize);
  Heap h(1024);
  std::mt19937 random(1);
  std::vector<unsigned char *> blocks[kRegions];
  std::vector<bool> added(kRegions);
  auto const region_of = [&](const unsigned char *p) { return static_cast<size_t>(p - memory.start) / kSize; };
  for (int round = 0; round < 3000; round++) {
    size_t const i = random() % kRegions;
    unsigned char *const start = memory.start + i * kSize;
    if (!added[i]) {
      ASSERT_EQ(rf_tlsf_add_region(&h.heap, start, kSize), RF_OK);
      added[i] = true;
      continue;
    }
    unsigned char *const p = h.alloc(random() % 900);
    if (p != nullptr && p >= memory.start && p < memory.start + memory.size) {
      ASSERT_TRUE(added[region_of(p)]);
      blocks[region_of(p)].push_back(p);
    }
    ASSERT_EQ(rf_tlsf_remove_region(&h.heap, start), blocks[i].empty() ? RF_OK : RF_ERR_BUSY);
    added[i] = !blocks[i].empty();
    size_t const drained = random() % kRegions;
    for (unsigned char *const block : blocks[drained]) {
      ASSERT_EQ(rf_free(h.a, block), RF_OK);
    }
    blocks[drained].clear();
    if (round % 100 == 0) {
      ASSERT_EQ(rf_check(h.a, nullptr), RF_OK) << round;
    }
  }
}

// ---- Any program ----

struct Model {
  unsigned char *p;
  size_t size;
  unsigned char fill;
};

class TlsfProgram : public ::testing::TestWithParam<unsigned> {};

TEST_P(TlsfProgram, KeepsContentsApartOverSeveralRegions) {
  SCOPED_TRACE("seed " + std::to_string(GetParam()));
  std::mt19937 random(GetParam());
  Memory second(400 + random() % 20000, random() % 16);
  Memory third(400 + random() % 100000, random() % 16);
  Heap h(1000 + random() % 30000, random() % 16);
  size_t const largest_alone = h.largest();
  ASSERT_EQ(rf_tlsf_add_region(&h.heap, second.start, second.size), RF_OK);
  ASSERT_EQ(rf_tlsf_add_region(&h.heap, third.start, third.size), RF_OK);
  size_t const largest = h.largest();
  std::vector<Model> live;
  for (int i = 0; i < 4000; i++) {
    size_t const size = random() % (size_t{16} << random() % 9);
    size_t const align = size_t{1} << random() % 10;
    unsigned const what = random() % 8;
    if (what < 4 || live.empty()) {
      auto *const p = static_cast<unsigned char *>(rf_aligned_alloc(h.a, align, size));
      if (p != nullptr) {
        ASSERT_TRUE(rf_is_aligned(p, align));
        live.push_back({p, size, static_cast<unsigned char>(i)});
        std::memset(p, i, size);
      }
      continue;
    }
    Model &m = live[random() % live.size()];
    ASSERT_EQ(std::count(m.p, m.p + m.size, m.fill), static_cast<ptrdiff_t>(m.size)) << "step " << i;
    if (what < 6) {
      ASSERT_EQ(rf_free(h.a, m.p), RF_OK);
      m = live.back();
      live.pop_back();
    } else if (auto *const p = static_cast<unsigned char *>(rf_realloc(h.a, m.p, size + 1))) {
      ASSERT_EQ(std::count(p, p + std::min(m.size, size), m.fill), static_cast<ptrdiff_t>(std::min(m.size, size)));
      m = {p, size + 1, m.fill};
      std::memset(p, m.fill, m.size);
    }
    if (i % 64 == 0) {
      ASSERT_EQ(rf_check(h.a, nullptr), RF_OK) << "step " << i;
    }
  }
  for (const Model &m : live) {
    ASSERT_EQ(rf_free(h.a, m.p), RF_OK);
  }
  EXPECT_EQ(h.largest(), largest);
  EXPECT_EQ(rf_tlsf_remove_region(&h.heap, second.start), RF_OK);
  EXPECT_EQ(rf_tlsf_remove_region(&h.heap, third.start), RF_OK);
  EXPECT_EQ(h.largest(), largest_alone);
}

INSTANTIATE_TEST_SUITE_P(Seeds, TlsfProgram, ::testing::Range(1U, 21U));

// Damage is not passed over for another region, where room is.
TEST(TlsfTest, ADamagedBlockThatIsMetEndsTheSearchOfRegions) {
  Unwatched const unwatched;
  Faults faults;
  Memory more(4096);
  Heap h(1024);
  ASSERT_EQ(rf_tlsf_add_region(&h.heap, more.start, more.size), RF_OK);
  unsigned char *const tag = h.heap.main.first - sizeof(uint32_t);
  *tag ^= 2;
  EXPECT_EQ(rf_aligned_alloc(h.a, 64, 100), nullptr);
  EXPECT_EQ(faults.count(), 1U);
  EXPECT_EQ(faults.take(), RF_ERR_CORRUPT);
  *tag ^= 2;
  EXPECT_EQ(stats(h.a).failures, 1U);
}

TEST(TlsfTest, AReallocForAnAlignmentBesideADamagedBlockChangesNothing) {
  Unwatched const unwatched;
  Faults faults;
  Heap h(4096);
  size_t const gap = rf_align_gap(h.heap.main.first, 128);
  if (gap != 0) {
    ASSERT_NE(h.alloc(gap - 4), nullptr);
  }
  unsigned char *blocks[4]; // of 64 bytes each, one behind the other
  for (unsigned char *&block : blocks) {
    block = h.alloc(60);
  }
  unsigned char *const p = blocks[1];
  ASSERT_TRUE(rf_is_aligned(blocks[0], 128));
  ASSERT_EQ(p, blocks[0] + 64);
  ASSERT_EQ(blocks[2], p + 64);
  std::memset(p, 0x77, 60);
  ASSERT_EQ(rf_free(h.a, blocks[2]), RF_OK);
  ASSERT_EQ(rf_free(h.a, blocks[0]), RF_OK);
  unsigned char *const tag = blocks[2] - sizeof(uint32_t);
  *tag ^= 2;
  EXPECT_EQ(rf_realloc_at(h.a, p, 60, 128, nullptr), nullptr);
  EXPECT_EQ(faults.count(), 1U);
  EXPECT_EQ(faults.take(), RF_ERR_CORRUPT);
  *tag ^= 2;
  EXPECT_EQ(std::count(p, p + 60, 0x77), 60);
  EXPECT_EQ(rf_check(h.a, nullptr), RF_OK);
  EXPECT_EQ(rf_free(h.a, p), RF_OK);
}

} // namespace
} // namespace ringfence::testing
