// Blocks and arenas of tlsf that are larger than the usual header tells.
#include "tests/core/recorder.h"
#include "tests/heaps/tlsf_fixture.h"

#if defined(__linux__) && SIZE_MAX > UINT32_MAX

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <iterator>

namespace ringfence::testing {
namespace {

// Address space without memory, as far as the system gives it.
class AddressSpace {
public:
  explicit AddressSpace(size_t bytes)
      : start(static_cast<unsigned char *>(
            mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))),
        size(bytes) {}
  ~AddressSpace() {
    if (made()) {
      munmap(start, size);
    }
  }
  bool made() const { return start != MAP_FAILED; }

  unsigned char *const start;
  size_t const size;
};

constexpr size_t kMiB = size_t{1} << 20;
constexpr size_t kGiB = size_t{1} << 30;

class TlsfHuge : public ::testing::Test {
protected:
  void SetUp() override {
    if (!space.made()) {
      GTEST_SKIP() << "no address space";
    }
    ASSERT_EQ(rf_tlsf_init(&heap, space.start, space.size), RF_OK);
  }
  void TearDown() override {
    if (space.made()) {
      EXPECT_EQ(rf_check(a, nullptr), RF_OK);
    }
  }

  AddressSpace space{2 * kGiB};
  rf_tlsf heap;
  rf_allocator *const a = &heap.base;
  FaultRecorder recorder;
};

TEST_F(TlsfHuge, BlocksCarryTheirSizeInFront) {
  size_t const largest = stats(a).largest_free;
  auto *const p = static_cast<unsigned char *>(rf_alloc(a, 300 * kMiB + 5));
  auto *const q = static_cast<unsigned char *>(rf_alloc(a, 600 * kMiB));
  ASSERT_NE(p, nullptr);
  ASSERT_NE(q, nullptr);
  EXPECT_TRUE(rf_is_aligned(p, kGranule));
  EXPECT_GE(q - p, static_cast<ptrdiff_t>(300 * kMiB + 5));
  p[0] = p[300 * kMiB + 4] = 1;
  EXPECT_EQ(stats(a).used, 900 * kMiB + 5);
  EXPECT_EQ(walk(a)[0].size, 300 * kMiB + 5);
  EXPECT_EQ(rf_check(a, nullptr), RF_OK);
  EXPECT_EQ(rf_free(a, p - 16), RF_ERR_BAD_POINTER);
  EXPECT_EQ(rf_free(a, p + 16), RF_ERR_BAD_POINTER);
  EXPECT_EQ(rf_free(a, p), RF_OK);
  EXPECT_EQ(rf_free(a, p), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(rf_free(a, q), RF_OK);
  EXPECT_EQ(stats(a).largest_free, largest);
}

TEST_F(TlsfHuge, TheLargestIsServedWhole) {
  size_t const largest = stats(a).largest_free;
  EXPECT_GT(largest, 2 * kGiB - 20 * kMiB);
  void *const p = rf_alloc(a, largest);
  ASSERT_NE(p, nullptr);
  EXPECT_EQ(stats(a).largest_free, 0U);
  EXPECT_EQ(rf_alloc(a, 1), nullptr);
  EXPECT_EQ(rf_free(a, p), RF_OK);
  EXPECT_EQ(rf_alloc(a, largest + 1), nullptr);
}

TEST_F(TlsfHuge, AlignedOnes) {
  for (size_t align = 32; align <= 64 * kMiB; align *= 8) {
    void *const small = rf_alloc(a, 1);
    void *const p = rf_aligned_alloc(a, align, 400 * kMiB);
    ASSERT_NE(p, nullptr) << align;
    EXPECT_TRUE(rf_is_aligned(p, align));
    EXPECT_EQ(rf_check(a, nullptr), RF_OK);
    EXPECT_EQ(rf_free(a, p), RF_OK);
    EXPECT_EQ(rf_free(a, small), RF_OK);
  }
  void *const p = rf_aligned_alloc(a, 512 * kMiB, 100);
  EXPECT_NE(p, nullptr) << "a small block at an alignment for which only huge ones have room";
  EXPECT_TRUE(rf_is_aligned(p, 512 * kMiB));
}

// Blocks that are plain for their size, and huge with what their alignment may cost.
TEST_F(TlsfHuge, AlignedOnesOnBothSidesOfTheLargestPlainBlock) {
  size_t const edge = 256 * kMiB;
  for (size_t align = 1; align <= 4 * kMiB; align *= 4) {
    for (size_t const size :
         {edge - 2 * align - 64, edge - align - 32, edge - align, edge - 64, edge - 17, edge, edge + align}) {
      auto *const before = static_cast<unsigned char *>(rf_alloc(a, 40));
      auto *const p = static_cast<unsigned char *>(rf_aligned_alloc(a, align, size));
      auto *const behind = static_cast<unsigned char *>(rf_alloc(a, 40));
      ASSERT_NE(p, nullptr) << size << " aligned to " << align;
      EXPECT_TRUE(rf_is_aligned(p, align)) << size << " aligned to " << align;
      EXPECT_TRUE(before + 40 <= p || p + size <= before) << size << " aligned to " << align;
      EXPECT_TRUE(behind + 40 <= p || p + size <= behind) << size << " aligned to " << align;
      EXPECT_EQ(stats(a).used, size + 80);
      ASSERT_EQ(rf_check(a, nullptr), RF_OK) << size << " aligned to " << align;
      EXPECT_EQ(rf_free(a, p), RF_OK);
      EXPECT_EQ(rf_free(a, before), RF_OK);
      EXPECT_EQ(rf_free(a, behind), RF_OK);
    }
  }
}

TEST_F(TlsfHuge, ResizesInPlaceAsLongAsItStaysHuge) {
  void *const p = rf_alloc(a, 300 * kMiB);
  ASSERT_NE(p, nullptr);
  EXPECT_EQ(rf_resize(a, p, 500 * kMiB), RF_OK);
  EXPECT_EQ(rf_resize(a, p, 270 * kMiB), RF_OK);
  EXPECT_EQ(rf_resize(a, p, 100), RF_ERR_NO_MEMORY);
  EXPECT_EQ(stats(a).used, 270 * kMiB);
  auto *const small = static_cast<unsigned char *>(p);
  small[99] = 0x21;
  auto *const moved = static_cast<unsigned char *>(rf_realloc(a, p, 100));
  ASSERT_NE(moved, nullptr);
  EXPECT_EQ(moved[99], 0x21);
  EXPECT_EQ(stats(a).used, 100U);
}

// A plain block grows into its neighbours, which are huge together: their payload would begin elsewhere.
TEST_F(TlsfHuge, APlainBlockThatBecomesHugeMovesAsAWhole) {
  void *const before = rf_alloc(a, 200);
  auto *const p = static_cast<unsigned char *>(rf_alloc(a, 100));
  ASSERT_NE(p, nullptr);
  std::memset(p, 0x42, 100);
  EXPECT_EQ(rf_free(a, before), RF_OK);
  auto *const moved = static_cast<unsigned char *>(rf_realloc(a, p, 1500 * kMiB));
  ASSERT_NE(moved, nullptr);
  EXPECT_EQ(rf_check(a, nullptr), RF_OK);
  EXPECT_EQ(rf_usable_size(a, moved) / kMiB, 1500U);
  EXPECT_EQ(moved[0], 0x42);
  EXPECT_EQ(moved[99], 0x42);
  EXPECT_EQ(rf_free(a, moved), RF_OK);
}

// Arenas whose free block is a little more, or less, than the largest plain one.
TEST(TlsfHugeEdge, TheLargestIsServedOnBothSidesOfTheLargestPlainBlock) {
  AddressSpace const space(260 * kMiB);
  if (!space.made()) {
    GTEST_SKIP() << "no address space";
  }
  rf_tlsf heap;
  size_t size = 257 * kMiB;
  for (int round = 0; round < 3; round++) { // the bitmap takes its share of what is left out
    ASSERT_EQ(rf_tlsf_init(&heap, space.start, size), RF_OK);
    size -= stats(&heap.base).free_bytes - 256 * kMiB - 64;
  }
  for (size_t less = 0; less < 256; less += 16) {
    ASSERT_EQ(rf_tlsf_init(&heap, space.start, size - less), RF_OK);
    size_t const largest = stats(&heap.base).largest_free;
    EXPECT_NE(rf_alloc(&heap.base, largest), nullptr) << less;
    EXPECT_EQ(rf_check(&heap.base, nullptr), RF_OK) << less;
    ASSERT_EQ(rf_tlsf_init(&heap, space.start, size - less), RF_OK);
    EXPECT_EQ(rf_alloc(&heap.base, largest + 1), nullptr) << less;
  }
}

// A region of several pieces.
class TlsfHugeArena : public ::testing::Test {
protected:
  void SetUp() override {
    if (!space.made()) {
      GTEST_SKIP() << "no address space";
    }
    ASSERT_EQ(rf_tlsf_add_region(&h.heap, space.start, space.size), RF_OK);
  }

  AddressSpace const space{26 * kGiB};
  Heap h{4096};
};

TEST_F(TlsfHugeArena, IsCutIntoPiecesThatComeAndGoTogether) {
  EXPECT_EQ(stats(h.a).capacity, space.size + 4096);
  EXPECT_GT(h.largest(), 11 * kGiB);
  unsigned char *const p = h.alloc(9 * kGiB);
  unsigned char *const q = h.alloc(9 * kGiB);
  ASSERT_NE(p, nullptr);
  ASSERT_NE(q, nullptr);
  p[9 * kGiB - 1] = q[9 * kGiB - 1] = 1;
  EXPECT_EQ(h.alloc(13 * kGiB), nullptr) << "larger than any piece";
  EXPECT_EQ(rf_check(h.a, nullptr), RF_OK);
  EXPECT_EQ(rf_tlsf_remove_region(&h.heap, space.start), RF_ERR_BUSY);
  EXPECT_EQ(rf_free(h.a, p), RF_OK);
  EXPECT_EQ(rf_free(h.a, q), RF_OK);
  EXPECT_EQ(rf_tlsf_remove_region(&h.heap, space.start), RF_OK);
  EXPECT_EQ(stats(h.a).capacity, 4096U);
}

TEST_F(TlsfHugeArena, IsRemovedAsAWholeOnly) {
  EXPECT_EQ(rf_tlsf_remove_region(&h.heap, space.start + 12 * kGiB), RF_ERR_INVALID) << "where its second piece begins";
  EXPECT_EQ(stats(h.a).capacity, space.size + 4096);
  EXPECT_EQ(rf_tlsf_remove_region(&h.heap, space.start), RF_OK);
}

TEST_F(TlsfHugeArena, IsBusyWhileAnyOfItsPiecesHasABlock) {
  unsigned char *blocks[] = {h.alloc(9 * kGiB), h.alloc(9 * kGiB), h.alloc(1 * kGiB), h.alloc(1 * kGiB)};
  for (unsigned char *const block : blocks) {
    ASSERT_NE(block, nullptr);
  }
  std::sort(std::begin(blocks), std::end(blocks));
  EXPECT_GT(blocks[3], space.start + 12 * kGiB) << "not all of them are in the first piece";
  for (unsigned char *const block : blocks) {
    EXPECT_EQ(rf_tlsf_remove_region(&h.heap, space.start), RF_ERR_BUSY);
    EXPECT_EQ(rf_free(h.a, block), RF_OK);
  }
  EXPECT_EQ(rf_tlsf_remove_region(&h.heap, space.start), RF_OK);
}

// A heap of one free block may be too large for a plain block, and too small for a huge one.
TEST(TlsfHugeEdge, TheLargestSizeIsServedWhateverTheArenasSize) {
  AddressSpace space(260 * kMiB);
  if (!space.made()) {
    GTEST_SKIP() << "no address space";
  }
  rf_tlsf heap;
  rf_allocator *const a = &heap.base;
  auto const block_of = [&](size_t size) {
    EXPECT_EQ(rf_tlsf_init(&heap, space.start, size), RF_OK);
    return static_cast<size_t>(heap.main.end - heap.main.first);
  };
  size_t size = space.size;
  for (int i = 0; i < 3; i++) {
    size -= block_of(size) - (256 * kMiB - 6 * kGranule);
  }
  ASSERT_LT(block_of(size), 256 * kMiB);
  while (block_of(size) < 256 * kMiB + 6 * kGranule) {
    size_t const largest = stats(a).largest_free;
    EXPECT_EQ(rf_alloc(a, largest + 1), nullptr) << size;
    void *const p = rf_alloc(a, largest);
    EXPECT_NE(p, nullptr) << size;
    EXPECT_EQ(rf_free(a, p), RF_OK);
    size += kGranule;
  }
}

} // namespace
} // namespace ringfence::testing

#endif
