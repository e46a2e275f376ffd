// slab: classes, zones and pages; what is used again first and what is given back; what is refused.
#include "tests/heaps/support.h"

#include <gtest/gtest.h>
#include <ringfence/slab.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace {

constexpr size_t kG = RF_ALIGN_DEFAULT;
constexpr size_t kMiB = size_t{1} << 20;

// A heap whose end is a test of it.
class Heap {
public:
  explicit Heap(size_t size, size_t page = 0)
      : arena_(static_cast<unsigned char *>(::operator new (size, std::align_val_t{4096}))), a(&heap.base) {
    EXPECT_EQ(RF_OK, page == 0 ? rf_slab_init(&heap, arena_.get(), size)
                               : rf_slab_init_paged(&heap, arena_.get(), size, page));
    before_ = stats(a);
  }
  ~Heap() {
    EXPECT_EQ(RF_OK, rf_check(a, nullptr));
    rf_deinit(a);
  }
  Heap(const Heap &) = delete;
  Heap &operator=(const Heap &) = delete;

  unsigned char *alloc(size_t size, size_t align = kG) {
    auto *const p = static_cast<unsigned char *>(rf_aligned_alloc(a, align, size));
    EXPECT_NE(nullptr, p);
    return p;
  }
  void expect_as_after_init() {
    rf_stats const now = stats(a);
    EXPECT_EQ(before_.largest_free, now.largest_free);
    EXPECT_EQ(before_.free_bytes, now.free_bytes);
    EXPECT_EQ(before_.overhead, now.overhead);
    EXPECT_EQ(0U, now.blocks);
    EXPECT_EQ(1U, walk(a).size());
  }
  size_t kept() const {
    return static_cast<size_t>(
        std::count_if(heap.reserve, heap.reserve + RF_SLAB_RESERVE, [](uint32_t page) { return page != UINT32_MAX; }));
  }

private:
  struct Delete {
    void operator()(unsigned char *p) const { ::operator delete (p, std::align_val_t{4096}); }
  };
  std::unique_ptr<unsigned char, Delete> arena_;
  rf_stats before_ = {};

public:
  rf_slab heap;
  rf_allocator *a;
};

// The sizes of RT-Thread's zones.
std::vector<size_t> class_sizes() {
  std::vector<size_t> sizes;
  for (size_t size = 8; size <= 128; size += 8) {
    sizes.push_back(size);
  }
  for (size_t base = 128; base < 16384; base *= 2) {
    for (size_t size = base + base / 8; size <= 2 * base; size += base / 8) {
      sizes.push_back(size);
    }
  }
  return sizes;
}

// ---- Classes ----

TEST(SlabClasses, AreTheSeventyTwoOfRtThread) {
  Heap h(16 * kMiB);
  std::vector<size_t> const sizes = class_sizes();
  ASSERT_EQ(size_t{RF_SLAB_CLASSES}, sizes.size());
  EXPECT_EQ(h.heap.classes, sizes.size());
  auto expected = sizes.begin();
  for (size_t size = 1; size <= RF_SLAB_LARGEST_CHUNK; size++) {
    expected += size > *expected ? 1 : 0;
    void *const p = h.alloc(size, 8);
    ASSERT_EQ(*expected, rf_usable_size(h.a, p)) << size;
    EXPECT_EQ(RF_OK, rf_free(h.a, p));
  }
}

TEST(SlabClasses, GiveTheUsualAlignmentUnlessLessIsAskedFor) {
  Heap h(kMiB);
  for (size_t size = 1; size <= 2000; size++) {
    void *const p = h.alloc(size);
    EXPECT_TRUE(rf_is_aligned(p, kG)) << size;
    EXPECT_LT(rf_usable_size(h.a, p) - size, std::max<size_t>(kG, size / 8 + 1)) << size;
    EXPECT_EQ(RF_OK, rf_free(h.a, p));
  }
}

TEST(SlabClasses, OfChunksLieSideBySideWithNothingBetween) {
  Heap h(kMiB);
  for (size_t const size : {16, 48, 112, 144, 1024}) {
    unsigned char *const first = h.alloc(size);
    for (size_t i = 1; i < 4; i++) {
      EXPECT_EQ(first + i * size, h.alloc(size)) << size;
    }
  }
}

// Where no page is left, a chunk that is there serves an alignment above its own, behind a gap in it.
TEST(SlabClasses, ServeStricterAlignmentsWithinChunksWhereNoPageIsLeft) {
  struct Block {
    unsigned char *at;
    size_t size;
  };
  for (size_t const align : {32, 64, 128}) {
    for (size_t size = 1; size <= 300; size++) {
      Heap h(size_t{64} << 10);
      std::vector<Block> blocks;
      for (size_t const chunk : {144, 160, 208, 288, 352, 448}) { // whose own alignments are 16 to 64
        blocks.push_back({h.alloc(chunk, 8), chunk});
      }
      for (size_t run = 16384; run >= 512; run /= 2) {
        while (auto *const p = static_cast<unsigned char *>(rf_aligned_alloc(h.a, 4096, run))) {
          blocks.push_back({p, run});
        }
      }
      size_t const before = blocks.size();
      while (auto *const p = static_cast<unsigned char *>(rf_aligned_alloc(h.a, align, size))) {
        blocks.push_back({p, size});
        ASSERT_TRUE(rf_is_aligned(p, align));
        ASSERT_GE(rf_usable_size(h.a, p), size);
      }
      EXPECT_TRUE(blocks.size() > before || size > 200) << align << " " << size;
      for (size_t i = 0; i < blocks.size(); i++) {
        std::memset(blocks[i].at, static_cast<int>(i & 0xFF), blocks[i].size);
      }
      EXPECT_EQ(RF_OK, rf_check(h.a, nullptr));
      for (size_t i = 0; i < blocks.size(); i++) {
        std::vector<unsigned char> const expected(blocks[i].size, static_cast<unsigned char>(i & 0xFF));
        ASSERT_EQ(0, std::memcmp(blocks[i].at, expected.data(), expected.size())) << align << " " << size;
        ASSERT_EQ(RF_OK, rf_free(h.a, blocks[i].at));
      }
      h.expect_as_after_init();
    }
  }
}

TEST(SlabClasses, AreFewerInASmallArenaSoThatAZoneLeavesRoomForOthers) {
  uint32_t last = 0;
  for (size_t size = 512; size <= 8 * kMiB; size *= 2) {
    Heap h(size);
    EXPECT_GE(h.heap.classes, last) << size;
    last = h.heap.classes;
    void *const p = h.alloc(1);
    rf_stats const s = stats(h.a);
    EXPECT_LE(size - s.free_bytes, size / 2);
    EXPECT_EQ(RF_OK, rf_free(h.a, p));
  }
  EXPECT_EQ(uint32_t{RF_SLAB_CLASSES}, last);
}

TEST(SlabClasses, TheLargestHasZonesToo) {
  Heap h(16 * kMiB);
  h.alloc(RF_SLAB_LARGEST_CHUNK);
  EXPECT_NE(UINT32_MAX, h.heap.open[RF_SLAB_CLASSES - 1]);
}

TEST(SlabClasses, HaveZonesOf32To128KiBInLargeArenas) {
  EXPECT_EQ(32U << 10, Heap(33 * kMiB).heap.zone_least);
  EXPECT_EQ(128U << 10, Heap(160 * kMiB).heap.zone_least);
  EXPECT_EQ(128U << 10, Heap(300 * kMiB).heap.zone_least);
}

// ---- Chunks ----

TEST(SlabChunks, FreedLastAreUsedFirst) {
  Heap h(kMiB);
  std::vector<void *> blocks;
  for (size_t i = 0; i < 1000; i++) { // of several zones
    blocks.push_back(h.alloc(40));
  }
  for (size_t const i : {0, 500, 3, 999, 501}) {
    EXPECT_EQ(RF_OK, rf_free(h.a, blocks[i]));
    EXPECT_EQ(blocks[i], rf_alloc(h.a, 33));
  }
  for (size_t const i : {10, 900, 20}) {
    EXPECT_EQ(RF_OK, rf_free(h.a, blocks[i]));
  }
  EXPECT_EQ(blocks[20], rf_alloc(h.a, 40));
}

TEST(SlabChunks, OfEmptyZonesAreGivenBackBeyondTheReserve) {
  Heap h(kMiB);
  std::vector<void *> blocks;
  for (size_t i = 0; i < 2000; i++) {
    blocks.push_back(h.alloc(100));
  }
  EXPECT_EQ(0U, h.kept());
  for (void *const p : blocks) {
    EXPECT_EQ(RF_OK, rf_free(h.a, p));
    EXPECT_LE(h.kept(), size_t{RF_SLAB_RESERVE});
  }
  EXPECT_EQ(size_t{RF_SLAB_RESERVE}, h.kept());
  h.expect_as_after_init();
  EXPECT_EQ(blocks.back(), rf_alloc(h.a, 100)) << "the zone kept last serves again";
  EXPECT_EQ(1U, h.kept());
}

TEST(SlabChunks, OfTheReserveThatServeAndAreEmptyAgainCostNoOtherItsPlace) {
  for (size_t const again : {16, 200}) {
    Heap h(kMiB);
    for (size_t const size : {16, 200}) {
      EXPECT_EQ(RF_OK, rf_free(h.a, h.alloc(size)));
    }
    EXPECT_EQ(RF_OK, rf_free(h.a, h.alloc(again)));
    EXPECT_EQ(2U, h.kept()) << again;
  }
}

TEST(SlabChunks, OfTheReserveAreGivenBackBeforeARequestFails) {
  Heap h(64 * 1024);
  for (size_t const size : {16, 200}) {
    EXPECT_EQ(RF_OK, rf_free(h.a, h.alloc(size)));
  }
  EXPECT_EQ(2U, h.kept());
  size_t const largest = stats(h.a).largest_free;
  void *const p = rf_alloc(h.a, largest);
  ASSERT_NE(nullptr, p) << "all there is";
  EXPECT_EQ(0U, h.kept());
  EXPECT_EQ(RF_OK, rf_free(h.a, p));
  h.expect_as_after_init();
}

TEST(SlabChunks, OfALargerClassServeWhenThereAreNoPages) {
  Heap h(64 * 1024);
  std::vector<void *> blocks;
  while (void *const p = rf_alloc(h.a, 400)) {
    blocks.push_back(p);
  }
  while (rf_alloc(h.a, 16) != nullptr) {
  }
  EXPECT_EQ(RF_OK, rf_free(h.a, blocks[3]));
  EXPECT_EQ(blocks[3], rf_alloc(h.a, 16));
  EXPECT_GE(rf_usable_size(h.a, blocks[3]), 400U);
  EXPECT_EQ(nullptr, rf_alloc(h.a, 16));
}

// A chunk that takes as much as a page leaves the page.
TEST(SlabChunks, OfAPageServeBeforeThePageThatIsLeft) {
  Heap h(kMiB, 2048);
  h.alloc(2048); // opens a zone
  void *last = nullptr;
  while (void *const p = rf_slab_alloc_pages(&h.heap, 1, RF_HERE)) {
    last = p;
  }
  EXPECT_EQ(RF_OK, rf_free(h.a, last));
  EXPECT_EQ(2048U, rf_usable_size(h.a, h.alloc(1024)));
  EXPECT_EQ(last, rf_slab_alloc_pages(&h.heap, 1, RF_HERE));
}

TEST(SlabChunks, OfALargerClassServeAStricterAlignmentFromWithin) {
  Heap h(64 * 1024);
  std::vector<void *> blocks;
  while (void *const p = rf_alloc(h.a, 416)) { // no multiple of 64
    blocks.push_back(p);
  }
  while (rf_alloc(h.a, 16) != nullptr) {
  }
  for (size_t i = 0; i < 8; i++) {
    EXPECT_EQ(RF_OK, rf_free(h.a, blocks[i]));
  }
  for (size_t i = 0; i < 8; i++) {
    auto *const p = static_cast<unsigned char *>(rf_aligned_alloc(h.a, 64, 100));
    ASSERT_NE(nullptr, p);
    EXPECT_TRUE(rf_is_aligned(p, 64));
    memset(p, 0x5A, rf_usable_size(h.a, p));
    EXPECT_EQ(RF_OK, rf_resize(h.a, p, rf_usable_size(h.a, p)));
    EXPECT_EQ(RF_OK, rf_resize(h.a, p, 1));
  }
  EXPECT_EQ(RF_OK, rf_check(h.a, nullptr));
}

TEST(SlabChunks, ArePagesWhereNoZoneFits) {
  Heap h(2 * 1024);
  size_t count = 0;
  while (rf_alloc(h.a, 10) != nullptr) {
    count++;
  }
  EXPECT_GE(count, 40U) << "the last page is used, too";
}

TEST(SlabChunks, GrowAndShrinkInPlaceWithinTheirClass) {
  Heap h(kMiB);
  unsigned char *const p = h.alloc(900);
  h.alloc(900);
  EXPECT_EQ(p, rf_realloc(h.a, p, 960));
  EXPECT_EQ(p, rf_realloc(h.a, p, 3));
  EXPECT_EQ(RF_OK, rf_resize(h.a, p, 960));
  EXPECT_EQ(RF_ERR_NO_MEMORY, rf_resize(h.a, p, 961));
  EXPECT_EQ(960U + 900U, stats(h.a).used);
  memset(p, 0x77, 960);
  auto *const q = static_cast<unsigned char *>(rf_realloc(h.a, p, 5000));
  ASSERT_NE(nullptr, q);
  EXPECT_TRUE(std::all_of(q, q + 960, [](unsigned char c) { return c == 0x77; }));
}

TEST(SlabChunks, KeepTheRequestedSize) {
  Heap h(kMiB);
  for (size_t const size : {0, 1, 15, 16, 17, 100, 1000, 10000, 20000}) {
    void *const p = h.alloc(size);
    std::vector<Seen> const blocks = walk(h.a);
    auto const seen = std::find_if(blocks.begin(), blocks.end(), [p](const Seen &b) { return b.ptr == p; });
    ASSERT_NE(blocks.end(), seen);
    EXPECT_EQ(size, seen->size);
  }
}

// ---- Pages ----

TEST(SlabPages, ServeWhatNoClassDoes) {
  Heap h(4 * kMiB);
  unsigned char *const p = h.alloc(RF_SLAB_LARGEST_CHUNK + 1);
  EXPECT_TRUE(rf_is_aligned(p, 4096));
  EXPECT_EQ(5 * 4096U, rf_usable_size(h.a, p));
}

TEST(SlabPages, AreTakenFromTheShortestRunThatIsLongEnough) {
  Heap h(4 * kMiB, 4096);
  std::vector<void *> runs;
  std::vector<size_t> const lengths = {40, 10, 20, 11, 30, 15, 12, 10};
  for (size_t const length : lengths) {
    runs.push_back(rf_slab_alloc_pages(&h.heap, length, RF_HERE));
    ASSERT_NE(nullptr, rf_slab_alloc_pages(&h.heap, 1, RF_HERE)); // apart
  }
  for (size_t i = 0; i < lengths.size(); i++) {
    EXPECT_EQ(RF_OK, rf_free(h.a, runs[i]));
  }
  EXPECT_EQ(RF_OK, rf_check(h.a, nullptr));
  EXPECT_EQ(runs[6], rf_slab_alloc_pages(&h.heap, 12, RF_HERE));
  EXPECT_EQ(runs[5], rf_slab_alloc_pages(&h.heap, 13, RF_HERE));
  EXPECT_EQ(runs[3], rf_slab_alloc_pages(&h.heap, 11, RF_HERE));
  EXPECT_EQ(runs[2], rf_slab_alloc_pages(&h.heap, 16, RF_HERE));
  EXPECT_EQ(runs[4], rf_slab_alloc_pages(&h.heap, 26, RF_HERE));
  EXPECT_EQ(RF_OK, rf_check(h.a, nullptr));
}

// The run of 12 is in a branch that the search has passed when it meets that of 10.
TEST(SlabPages, AreFoundInABranchPassedBeforeAShorterRun) {
  Heap h(60 * 4096, 4096);
  std::vector<void *> runs;
  for (size_t const length : {2, 3, 4, 8, 9, 12, 10}) {
    runs.push_back(rf_slab_alloc_pages(&h.heap, length, RF_HERE));
    ASSERT_NE(nullptr, runs.back());
    ASSERT_NE(nullptr, rf_slab_alloc_pages(&h.heap, 1, RF_HERE)); // apart
  }
  while (rf_slab_alloc_pages(&h.heap, 1, RF_HERE) != nullptr) {
  }
  for (void *const run : runs) {
    EXPECT_EQ(RF_OK, rf_free(h.a, run));
  }
  EXPECT_EQ(runs[5], rf_slab_alloc_pages(&h.heap, 11, RF_HERE));
}

// The four pages in front were free once, together; now the first two are free, and the others a block.
TEST(SlabPages, DoNotMergeWithWhatWasFreeBeforeABlock) {
  Heap h(kMiB, 4096);
  auto *const four = static_cast<unsigned char *>(rf_slab_alloc_pages(&h.heap, 4, RF_HERE));
  void *const behind = rf_slab_alloc_pages(&h.heap, 1, RF_HERE);
  ASSERT_EQ(four + 4 * 4096, behind);
  EXPECT_EQ(RF_OK, rf_free(h.a, four));
  EXPECT_EQ(four, rf_slab_alloc_pages(&h.heap, 4, RF_HERE));
  EXPECT_EQ(RF_OK, rf_slab_free_pages(&h.heap, four, 2, RF_HERE));
  EXPECT_EQ(RF_OK, rf_free(h.a, behind));
  EXPECT_EQ(RF_OK, rf_check(h.a, nullptr));
  EXPECT_EQ(2 * 4096U, rf_usable_size(h.a, four + 2 * 4096));
}

TEST(SlabPages, MergeInWhateverOrderTheyAreFreed) {
  for (unsigned order = 0; order < 24; order++) {
    Heap h(kMiB, 1024);
    std::vector<void *> runs;
    for (size_t const length : {3, 1, 5, 2, 2, 7, 1, 4}) {
      runs.push_back(rf_slab_alloc_pages(&h.heap, length, RF_HERE));
    }
    srand(order);
    while (!runs.empty()) {
      size_t const pick = static_cast<size_t>(rand()) % runs.size();
      EXPECT_EQ(RF_OK, rf_free(h.a, runs[pick])) << "order " << order;
      EXPECT_EQ(RF_OK, rf_check(h.a, nullptr));
      runs.erase(runs.begin() + static_cast<std::ptrdiff_t>(pick));
    }
    h.expect_as_after_init();
  }
}

TEST(SlabPages, OfABlockGrowAndShrinkInPlace) {
  Heap h(kMiB, 1024);
  auto *const p = static_cast<unsigned char *>(rf_slab_alloc_pages(&h.heap, 20, RF_HERE));
  void *const wall = rf_slab_alloc_pages(&h.heap, 1, RF_HERE);
  EXPECT_EQ(p, rf_realloc(h.a, p, 11 * 1024 - 5));
  EXPECT_EQ(11 * 1024U, rf_usable_size(h.a, p));
  EXPECT_EQ(p, rf_realloc(h.a, p, 20 * 1024));
  EXPECT_EQ(RF_ERR_NO_MEMORY, rf_resize(h.a, p, 20 * 1024 + 1));
  EXPECT_EQ(RF_OK, rf_free(h.a, wall));
  EXPECT_EQ(RF_OK, rf_resize(h.a, p, 20 * 1024 + 1));
  EXPECT_EQ(RF_ERR_NO_MEMORY, rf_resize(h.a, p, kMiB));
  EXPECT_EQ(RF_ERR_NO_MEMORY, rf_resize(h.a, p, RF_SIZE_LIMIT));
  EXPECT_EQ(RF_OK, rf_free(h.a, p));
  h.expect_as_after_init();
}

TEST(SlabPages, OfABlockGrowOverAnEmptyZone) {
  Heap h(kMiB, 1024);
  void *const p = rf_slab_alloc_pages(&h.heap, 4, RF_HERE);
  EXPECT_EQ(RF_OK, rf_free(h.a, h.alloc(64))); // behind it
  EXPECT_EQ(1U, h.kept());
  EXPECT_EQ(RF_OK, rf_resize(h.a, p, 8 * 1024));
  EXPECT_EQ(0U, h.kept());
}

TEST(SlabPages, ServeAnyAlignment) {
  Heap h(4 * kMiB);
  for (size_t align = 1; align <= kMiB; align *= 2) {
    for (size_t const size : {0, 1, 100, 5000, 70000}) {
      unsigned char *const p = h.alloc(size, align);
      EXPECT_TRUE(rf_is_aligned(p, align));
      EXPECT_EQ(RF_OK, rf_free(h.a, p));
    }
  }
  EXPECT_EQ(nullptr, rf_aligned_alloc(h.a, size_t{1} << (sizeof(size_t) * 8 - 1), 1));
  EXPECT_EQ(nullptr, rf_aligned_alloc(h.a, 8 * kMiB, RF_SIZE_LIMIT));
  h.expect_as_after_init();
}

// A run that is just as long as the pages and the one that the alignment may skip.
TEST(SlabPages, ServeAnAlignmentFromTheShortestRunThatIsSure) {
  Heap h(256 * 1024, 4096);
  size_t const all = stats(h.a).largest_free / 4096;
  unsigned char *const rest = static_cast<unsigned char *>(rf_slab_alloc_pages(&h.heap, all - 6, RF_HERE));
  ASSERT_EQ(6U * 4096, stats(h.a).largest_free);
  unsigned char *const p = h.alloc(5 * 4096, 8192);
  EXPECT_TRUE(rf_is_aligned(p, 8192));
  EXPECT_EQ(RF_OK, rf_free(h.a, p));
  EXPECT_EQ(RF_OK, rf_free(h.a, rest));
}

#if SIZE_MAX > UINT32_MAX
TEST(SlabPages, AreNeverSoManyThatTheirNumberWraps) {
  Heap h(256 * 1024, 4096);
  unsigned char *const p = h.alloc(50000);
  for (size_t const more : {size_t{0}, size_t{1}, size_t{13}}) {
    EXPECT_EQ(RF_ERR_NO_MEMORY, rf_resize(h.a, p, ((size_t{1} << 32) + more) * 4096));
  }
  EXPECT_EQ(50000U, walk(h.a)[0].size);
  EXPECT_EQ(RF_OK, rf_free(h.a, p));
}
#endif

TEST(SlabPages, AreCountedAsWhole) {
  Heap h(kMiB, 4096);
  EXPECT_EQ(4096U, rf_slab_page_size(&h.heap));
  auto *const p = static_cast<unsigned char *>(rf_slab_alloc_pages(&h.heap, 3, RF_HERE));
  EXPECT_TRUE(rf_is_aligned(p, 4096));
  EXPECT_EQ(3 * 4096U, stats(h.a).used);
  EXPECT_EQ(RF_OK, rf_slab_free_pages(&h.heap, p, 3, RF_HERE));
  EXPECT_EQ(nullptr, rf_slab_alloc_pages(&h.heap, 0, RF_HERE));
  EXPECT_EQ(nullptr, rf_slab_alloc_pages(&h.heap, SIZE_MAX, RF_HERE));
  EXPECT_EQ(nullptr, rf_slab_alloc_pages(&h.heap, SIZE_MAX / 4096, RF_HERE));
  EXPECT_EQ(nullptr, rf_slab_alloc_pages(&h.heap, 1000, RF_HERE));
  EXPECT_EQ(1U, stats(h.a).failures) << "the last alone was well-formed";
  h.expect_as_after_init();
}

TEST(SlabPages, OfABlockAreGivenBackInParts) {
  Heap h(kMiB, 4096);
  auto *const p = static_cast<unsigned char *>(rf_slab_alloc_pages(&h.heap, 10, RF_HERE));
  EXPECT_EQ(RF_OK, rf_slab_free_pages(&h.heap, p, 2, RF_HERE)) << "the first";
  EXPECT_EQ(RF_OK, rf_slab_free_pages(&h.heap, p + 9 * 4096, 1, RF_HERE)) << "the last";
  EXPECT_EQ(RF_OK, rf_slab_free_pages(&h.heap, p + 5 * 4096, 2, RF_HERE)) << "in the middle";
  EXPECT_EQ(RF_OK, rf_check(h.a, nullptr));
  rf_stats const s = stats(h.a);
  EXPECT_EQ(5 * 4096U, s.used);
  EXPECT_EQ(2U, s.blocks);
  EXPECT_EQ(1U, s.allocations) << "two blocks of one allocation, and check allows that";
  EXPECT_EQ(3 * 4096U, rf_usable_size(h.a, p + 2 * 4096));
  EXPECT_EQ(RF_OK, rf_free(h.a, p + 2 * 4096));
  EXPECT_EQ(RF_OK, rf_slab_free_pages(&h.heap, p + 7 * 4096, 2, RF_HERE));
  EXPECT_EQ(RF_OK, rf_slab_free_pages(&h.heap, nullptr, 2, RF_HERE));
  h.expect_as_after_init();
}

TEST(SlabPages, ThatAreNotABlocksAreRefused) {
  Faults faults;
  Heap h(kMiB, 4096);
  auto *const p = static_cast<unsigned char *>(rf_slab_alloc_pages(&h.heap, 4, RF_HERE));
  auto *const q = static_cast<unsigned char *>(rf_alloc(h.a, 3 * 4096 * 10 - 1)); // not whole pages
  unsigned char *const chunk = h.alloc(20);
  auto const refused = [&](void *at, size_t count) {
    rf_status const status = rf_slab_free_pages(&h.heap, at, count, RF_HERE);
    EXPECT_EQ(1U, faults.count());
    EXPECT_EQ(status, faults.take());
    return status;
  };
  EXPECT_EQ(RF_ERR_BAD_POINTER, refused(p, 5));
  EXPECT_EQ(RF_ERR_BAD_POINTER, refused(p, SIZE_MAX));
  EXPECT_EQ(RF_ERR_BAD_POINTER, refused(p + 4096, 4));
  EXPECT_EQ(RF_ERR_BAD_POINTER, refused(p + 16, 1));
  EXPECT_EQ(RF_ERR_BAD_POINTER, refused(q, 1));
  EXPECT_EQ(RF_ERR_BAD_POINTER, refused(chunk, 1));
  EXPECT_EQ(RF_ERR_BAD_POINTER, refused(&faults, 1));
  EXPECT_EQ(RF_ERR_INVALID, rf_slab_free_pages(&h.heap, p, 0, RF_HERE));
  EXPECT_EQ(RF_OK, rf_slab_free_pages(&h.heap, q, 30, RF_HERE)) << "but as a whole";
  EXPECT_EQ(RF_OK, rf_slab_free_pages(&h.heap, p, 4, RF_HERE));
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, refused(p, 4));
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, refused(p + 4096, 1));
}

// ---- Arenas ----

TEST(SlabArena, OfTheLeastSizeServesAtAnyAddress) {
  alignas(512) unsigned char arena[1024];
  rf_slab heap;
  for (size_t skew = 0; skew < 512; skew++) {
    memset(arena, 0xA5, sizeof arena);
    ASSERT_EQ(RF_OK, rf_slab_init(&heap, arena + skew, RF_SLAB_LEAST_ARENA)) << skew;
    auto *const p = static_cast<unsigned char *>(rf_alloc(&heap.base, RF_SLAB_LEAST_PAGE));
    ASSERT_NE(nullptr, p);
    EXPECT_TRUE(p > arena + skew && p + RF_SLAB_LEAST_PAGE <= arena + skew + RF_SLAB_LEAST_ARENA);
    EXPECT_EQ(0xA5, arena[skew + RF_SLAB_LEAST_ARENA]);
    EXPECT_EQ(RF_OK, rf_free(&heap.base, p));
    rf_deinit(&heap.base);
  }
}

TEST(SlabArena, ThatIsTooSmallIsRefusedAndTheHeapLeftAlone) {
  alignas(128) unsigned char arena[1024];
  rf_slab heap;
  memset(&heap, 0x3C, sizeof heap);
  rf_slab const before = heap;
  for (size_t size = 0; size < RF_SLAB_LEAST_PAGE + 24; size++) {
    EXPECT_EQ(RF_ERR_NO_MEMORY, rf_slab_init(&heap, arena, size));
  }
  EXPECT_EQ(RF_ERR_INVALID, rf_slab_init(&heap, nullptr, 1024));
  EXPECT_EQ(RF_ERR_INVALID, rf_slab_init(nullptr, arena, 1024));
  EXPECT_EQ(RF_ERR_INVALID, rf_slab_init(&heap, arena, SIZE_MAX));
  for (size_t const page : {0, 64, 129, 8192}) {
    EXPECT_EQ(RF_ERR_INVALID, rf_slab_init_paged(&heap, arena, 1024, page)) << page;
  }
  EXPECT_EQ(0, memcmp(&heap, &before, sizeof heap));
}

TEST(SlabArena, IsTheCapacityWithAllThatAlignmentTakes) {
  alignas(64) static unsigned char arena[8192];
  for (size_t skew = 0; skew < 8; skew++) {
    rf_slab heap;
    ASSERT_EQ(RF_OK, rf_slab_init(&heap, arena + skew, sizeof arena - 8));
    EXPECT_EQ(sizeof arena - 8, stats(&heap.base).capacity) << skew;
    rf_deinit(&heap.base);
  }
}

TEST(SlabArena, HasPagesOfA128th) {
  for (auto const &[size, page] : std::vector<std::pair<size_t, size_t>>{
           {4096, 128}, {16 * 1024, 128}, {64 * 1024, 512}, {kMiB, 4096}, {16 * kMiB, 4096}}) {
    Heap h(size);
    EXPECT_EQ(page, rf_slab_page_size(&h.heap)) << size;
  }
}

TEST(SlabArena, ThatEndedServesNothingAndRefusesAll) {
  Faults faults;
  unsigned char *p = nullptr;
  rf_slab heap;
  alignas(16) unsigned char arena[4096];
  ASSERT_EQ(RF_OK, rf_slab_init(&heap, arena, sizeof arena));
  p = static_cast<unsigned char *>(rf_alloc(&heap.base, 10));
  rf_deinit(&heap.base);
  rf_deinit(&heap.base);
  EXPECT_EQ(nullptr, rf_alloc(&heap.base, 1));
  EXPECT_EQ(nullptr, rf_slab_alloc_pages(&heap, 1, RF_HERE));
  EXPECT_EQ(RF_ERR_BAD_POINTER, rf_free(&heap.base, p));
  EXPECT_FALSE(rf_owns(&heap.base, p));
  EXPECT_EQ(RF_OK, rf_check(&heap.base, nullptr));
  EXPECT_EQ(0U, stats(&heap.base).capacity);
}

// ---- Refusals ----

class SlabRefuses : public ::testing::Test {
protected:
  rf_status refused(void *p) {
    rf_stats const before = stats(h.a);
    rf_status const status = rf_free(h.a, p);
    rf_stats const after = stats(h.a);
    EXPECT_EQ(0, memcmp(&before, &after, sizeof before));
    EXPECT_EQ(0U, rf_usable_size(h.a, p));
    EXPECT_EQ(1U, faults.count());
    EXPECT_EQ(status, faults.take());
    return status;
  }
  Faults faults;
  Heap h{kMiB};
};

TEST_F(SlabRefuses, AChunkThatIsFree) {
  unsigned char *const p = h.alloc(100);
  h.alloc(100);
  EXPECT_EQ(RF_OK, rf_free(h.a, p));
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, refused(p));
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, refused(p + 2 * 112)) << "never used yet";
}

TEST_F(SlabRefuses, AChunkOfAZoneThatIsEmptyOrGone) {
  std::vector<unsigned char *> blocks;
  for (size_t i = 0; i < 1000; i++) {
    blocks.push_back(h.alloc(100));
  }
  for (unsigned char *const p : blocks) {
    EXPECT_EQ(RF_OK, rf_free(h.a, p));
  }
  for (unsigned char *const p : blocks) {
    EXPECT_EQ(RF_ERR_NOT_ALLOCATED, refused(p));
  }
}

TEST_F(SlabRefuses, AnyPlaceInsideABlock) {
  for (size_t const size : {100, 5000, 100000}) {
    unsigned char *const p = h.alloc(size);
    memset(p, 0, size);
    for (size_t i = 1; i < size; i += size < 1000 ? 1 : 16) {
      ASSERT_EQ(RF_ERR_BAD_POINTER, refused(p + i)) << size << " + " << i;
    }
  }
}

TEST_F(SlabRefuses, PagesOnceThoseOfBlocksAndZonesNowInsideAnother) {
  std::vector<void *> blocks;
  for (size_t i = 0; i < 200; i++) {
    blocks.push_back(h.alloc(i % 2 == 0 ? 5000 : 1000));
  }
  for (void *const p : blocks) {
    EXPECT_EQ(RF_OK, rf_free(h.a, p));
  }
  size_t const size = stats(h.a).largest_free;
  unsigned char *const all = h.alloc(size);
  for (size_t i = 512; i < size; i += 512) {
    ASSERT_EQ(RF_ERR_BAD_POINTER, refused(all + i)) << i;
  }
}

// The pages of the longer zone still say that they are members of what begins where it did.
TEST(SlabPages, OnceOfAZoneAreNotThoseOfAShorterOneInItsPlace) {
  Faults faults;
  Heap h(64 * 1024, 128);
  size_t const all = stats(h.a).largest_free / 128;
  ASSERT_EQ(RF_OK, rf_free(h.a, h.alloc(120))) << "a chunk of a zone of four pages";
  void *const whole = rf_slab_alloc_pages(&h.heap, all, RF_HERE);
  ASSERT_EQ(RF_OK, rf_free(h.a, whole));
  unsigned char *const chunk = h.alloc(16);
  ASSERT_EQ(whole, chunk) << "of a zone of one page";
  auto *const pages = static_cast<unsigned char *>(rf_slab_alloc_pages(&h.heap, 3, RF_HERE));
  ASSERT_EQ(chunk + 128, pages);
  EXPECT_EQ(RF_ERR_BAD_POINTER, rf_free(h.a, pages + 128));
  EXPECT_STREQ("pointer into a block", faults.last().what);
  EXPECT_EQ(RF_OK, rf_free(h.a, pages));
  EXPECT_EQ(RF_OK, rf_free(h.a, chunk));
}

TEST_F(SlabRefuses, TheTableAndTheRestOfAZone) {
  unsigned char *const p = h.alloc(1000); // in one zone with those behind it
  for (size_t i = 1024; i < 2 * 4096; i += 8) {
    EXPECT_EQ(i < 7 * 1024 ? RF_ERR_NOT_ALLOCATED : RF_ERR_BAD_POINTER, refused(p + i)) << i;
  }
}

TEST_F(SlabRefuses, TheRecordsOfPagesAndWhatIsOutsideTheArena) {
  auto *const records = reinterpret_cast<unsigned char *>(h.heap.records);
  for (size_t i = 0; i < 24 * 8; i += 8) {
    EXPECT_EQ(RF_ERR_BAD_POINTER, refused(records + i));
  }
  EXPECT_EQ(RF_ERR_BAD_POINTER, refused(records + kMiB));
  EXPECT_EQ(RF_ERR_BAD_POINTER, refused(&faults));
}

} // namespace
