// slab: classes, chunks of zones, and arenas; what is used again first and what is given back.
#include "tests/heaps/slab_fixture.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

namespace ringfence::testing {
namespace {

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

// If no page is left, a chunk that is there serves an alignment above its own, behind a gap in it.
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

TEST(SlabChunks, KeepTheirAlignmentWhenTheyChangeTheirSize) {
  Heap h(64 * 1024);
  while (rf_alloc(h.a, 416) != nullptr) { // no multiple of 64
  }
  while (rf_alloc(h.a, 16) != nullptr) {
  }
  std::vector<void *> blocks;
  for (const Seen &b : walk(h.a)) {
    if (b.used && b.size == 416 && blocks.size() < 8) {
      EXPECT_EQ(RF_OK, rf_free(h.a, b.ptr));
      blocks.push_back(rf_aligned_alloc(h.a, 64, 100));
      EXPECT_EQ(RF_OK, rf_resize(h.a, blocks.back(), 50));
    }
  }
  ASSERT_EQ(8U, blocks.size());
  for (void *const p : blocks) {
    EXPECT_EQ(RF_OK, rf_free(h.a, p));
  }
}

// A chunk larger than a page is the last resort: after the pages that are left, before none.
TEST(SlabChunks, LargerThanAPageServeAfterThePagesThatAreLeft) {
  Heap h(256 * 1024, 1024);
  h.alloc(1500); // opens a zone
  void *last = nullptr;
  while (void *const p = rf_slab_alloc_pages(&h.heap, 1, RF_HERE)) {
    last = p;
  }
  EXPECT_EQ(RF_OK, rf_free(h.a, last));
  EXPECT_EQ(last, rf_alloc(h.a, 600)) << "a zone of such chunks has three pages";
  auto *const p = static_cast<unsigned char *>(rf_alloc(h.a, 600));
  ASSERT_NE(nullptr, p);
  EXPECT_GE(rf_usable_size(h.a, p), 1500U);
}

TEST(SlabChunks, AndWhatIsBesideThemAreAllOfTheirPages) {
  Heap h(256 * 1024);
  for (size_t size = 8; size <= 3000; size += size / 3) {
    h.alloc(size);
  }
  size_t sum = 0;
  for (const Seen &b : walk(h.a)) {
    sum += b.size + b.overhead;
  }
  EXPECT_EQ(h.heap.count * rf_slab_page_size(&h.heap), sum);
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

} // namespace
} // namespace ringfence::testing
