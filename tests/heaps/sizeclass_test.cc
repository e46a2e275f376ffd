// sizeclass: classes and where blocks lie; notifier, sites and what is printed of them.
#include "tests/heaps/sizeclass_fixture.h"

#include <string>
#include <vector>

namespace {

// ---- Classes ----

TEST(SizeclassClasses, AreThirteenPowersOfTwoFrom16To65536) {
  Faults faults;
  std::vector<unsigned char> arena(2 * span(12) + 2 * kG);
  for (unsigned q = 0; q < 13; q++) {
    size_t const size = size_t{16} << q;
    rf_sizeclass heap;
    ASSERT_EQ(RF_OK, rf_sizeclass_init(&heap, arena.data(), arena.size(), nullptr));
    void *const least = rf_alloc(&heap.base, q == 0 ? 0 : size / 2 + 1);
    void *const most = rf_alloc(&heap.base, size);
    EXPECT_EQ(size, rf_usable_size(&heap.base, least));
    EXPECT_EQ(size, rf_usable_size(&heap.base, most));
    EXPECT_EQ(2U, heap.live[q]);
    EXPECT_EQ(nullptr, rf_alloc(&heap.base, 65537));
    rf_deinit(&heap.base);
  }
}

TEST_F(Sizeclass, ABlockCostsAHeaderAndRoundingUpToItsClass) {
  unsigned char *const p = alloc(100);
  EXPECT_EQ(arena + kHeader, p);
  EXPECT_EQ(p + span(3), alloc(1));
  EXPECT_EQ(100U, walk(a)[0].size);
  EXPECT_EQ(span(3) - 100, walk(a)[0].overhead);
}

TEST_F(Sizeclass, TheBufferIsUsedToTheLastByte) {
  for (size_t skew = 0; skew < kG; skew++) {
    rf_sizeclass other;
    size_t const gap = rf_align_gap(arena + skew, kG);
    ASSERT_EQ(RF_OK, rf_sizeclass_init(&other, arena + skew, gap + 3 * span(0), nullptr));
    void *last = nullptr;
    for (int i = 0; i < 3; i++) {
      last = rf_alloc(&other.base, 16);
    }
    EXPECT_EQ(arena + skew + gap + 3 * span(0), static_cast<unsigned char *>(last) + 16);
    EXPECT_EQ(nullptr, rf_alloc(&other.base, 1));
    rf_deinit(&other.base);
    EXPECT_EQ(RF_ERR_INVALID, rf_sizeclass_init(&other, arena + skew, gap + span(0) - 1, nullptr));
  }
}

TEST_F(Sizeclass, TheLeastBufferHoldsOneBlockOfTheSmallestClass) {
  rf_sizeclass other;
  EXPECT_EQ(RF_ERR_INVALID, rf_sizeclass_init(&other, arena, span(0) - 1, nullptr));
  ASSERT_EQ(RF_OK, rf_sizeclass_init(&other, arena, span(0), nullptr));
  EXPECT_EQ(arena + kHeader, rf_alloc(&other.base, 16));
  EXPECT_EQ(nullptr, rf_alloc(&other.base, 0));
  rf_deinit(&other.base);
}

TEST_F(Sizeclass, AFreedBlockServesItsClassAgainLastFirst) {
  unsigned char *const p = alloc(30);
  unsigned char *const q = alloc(30);
  unsigned char *const keep = alloc(1);
  rf_free(a, p);
  rf_free(a, q);
  EXPECT_EQ(q, alloc(20));
  EXPECT_EQ(p, alloc(32));
  EXPECT_NE(keep, alloc(16));
}

TEST_F(Sizeclass, ALargerClassServesWhereTheOwnHasNoneAndTheBufferIsSpent) {
  unsigned char *const large = alloc(1000);
  while (rf_alloc(a, 16) != nullptr) {
  }
  rf_free(a, large);
  EXPECT_EQ(large, alloc(16));
  EXPECT_EQ(1024U, rf_usable_size(a, large));
  rf_free(a, large);
  EXPECT_EQ(large, alloc(900));
}

TEST_F(Sizeclass, TheLargestClassServesWhereNoOtherCan) {
  std::vector<unsigned char> memory(span(12) + span(0) + kG);
  rf_sizeclass large;
  ASSERT_EQ(RF_OK, rf_sizeclass_init(&large, memory.data(), memory.size(), nullptr));
  void *const p = rf_alloc(&large.base, 65536);
  ASSERT_NE(nullptr, rf_alloc(&large.base, 16));
  EXPECT_EQ(RF_OK, rf_free(&large.base, p));
  EXPECT_EQ(p, rf_alloc(&large.base, 100));
  EXPECT_EQ(nullptr, rf_alloc(&large.base, 100));
}

TEST_F(Sizeclass, BlocksAndWhatIsBesideThemAreAllOfTheBuffer) {
  for (size_t size = kHeader + 16; size < 400; size += kG) {
    rf_sizeclass some;
    ASSERT_EQ(RF_OK, rf_sizeclass_init(&some, arena, size, nullptr));
    for (size_t blocks = 0; blocks < 2 || rf_alloc(&some.base, 20) != nullptr; blocks++) {
      size_t sum = 0;
      for (const Seen &b : walk(&some.base)) {
        sum += b.size + b.overhead;
      }
      EXPECT_EQ(stats(&some.base).capacity, sum) << size << " with " << blocks << " blocks";
    }
    rf_deinit(&some.base);
  }
}

TEST_F(Sizeclass, WhenTheLastBlockIsFreedTheWholeBufferServesAnyClassAgain) {
  rf_stats const before = stats(a);
  std::vector<void *> blocks;
  while (void *const p = rf_alloc(a, 16)) {
    blocks.push_back(p);
  }
  EXPECT_EQ(0U, stats(a).free_bytes);
  for (void *const p : blocks) {
    EXPECT_EQ(RF_OK, rf_free(a, p));
  }
  EXPECT_EQ(before.largest_free, stats(a).largest_free);
  EXPECT_EQ(before.free_bytes, stats(a).free_bytes);
  EXPECT_NE(nullptr, alloc(2000));
}

TEST_F(Sizeclass, AReallocStaysWhereItFitsTheClassAndElseMovesWithItsContents) {
  unsigned char *const p = alloc(100);
  EXPECT_EQ(p, rf_realloc(a, p, 128));
  EXPECT_EQ(p, rf_realloc(a, p, 1));
  EXPECT_EQ(1U, stats(a).used);
  p[0] = 77;
  auto *const moved = static_cast<unsigned char *>(rf_realloc(a, p, 129));
  EXPECT_NE(p, moved);
  EXPECT_EQ(77, moved[0]);
  EXPECT_EQ(nullptr, rf_realloc(a, moved, 5000));
  EXPECT_EQ(129U, stats(a).used);
  EXPECT_EQ(RF_OK, rf_resize(a, moved, 256));
  EXPECT_EQ(RF_ERR_NO_MEMORY, rf_resize(a, moved, 257));
}

TEST_F(Sizeclass, AnAlignedBlockIsFoundThroughItsSecondHeader) {
  alloc(1);
  for (size_t align = 2 * kG; align <= 512; align *= 2) {
    unsigned char *const p = alloc(100, align);
    EXPECT_TRUE(rf_is_aligned(p, align));
    EXPECT_LE(100U, rf_usable_size(a, p));
    EXPECT_EQ(RF_OK, rf_resize(a, p, rf_usable_size(a, p)));
    EXPECT_EQ(RF_OK, rf_check(a, nullptr));
    EXPECT_EQ(RF_OK, rf_free(a, p));
  }
}

TEST_F(Sizeclass, WalksInTheOrderOfCarvingAndTellsTheRestAsWhatItCouldBecome) {
  unsigned char *const p = alloc(10);
  unsigned char *const q = alloc(100);
  alloc(30);
  rf_free(a, q);
  std::vector<Seen> const blocks = walk(a);
  ASSERT_LT(3U, blocks.size());
  EXPECT_EQ(p, blocks[0].ptr);
  EXPECT_TRUE(blocks[0].used);
  EXPECT_EQ(q, blocks[1].ptr);
  EXPECT_FALSE(blocks[1].used);
  EXPECT_EQ(128U, blocks[1].size);
  EXPECT_EQ(2048U, blocks[3].size);
  EXPECT_EQ(2048U, stats(a).largest_free);
}

// ---- Notifier, sites, printing ----

const rf_site kHere = {"here.c", "main", 12};
const rf_site kHereToo = {"here.c", "other", 12};
const rf_site kThere = {"there.c", "main", 12};
const rf_site kFar = {"far.c", "main", 99};

std::string printed(rf_sizeclass *heap, void (*print)(rf_sizeclass *, const rf_sink *)) {
  char text[2048];
  rf_sink_buffer buffer;
  rf_sink_buffer_init(&buffer, text, sizeof text);
  print(heap, &buffer.sink);
  return text;
}

TEST_F(Sizeclass, TellsTheNotifierTheSizeOfEachRequestThatFails) {
  std::vector<size_t> sizes;
  rf_sizeclass_set_notifier(
      &heap, [](void *context, size_t size) { static_cast<std::vector<size_t> *>(context)->push_back(size); }, &sizes);
  void *const p = alloc(10);
  EXPECT_EQ(nullptr, rf_alloc(a, 70000));
  EXPECT_EQ(nullptr, rf_realloc(a, p, 5000));
  EXPECT_EQ((std::vector<size_t>{70000, 5000}), sizes);
  rf_sizeclass_set_notifier(&heap, nullptr, nullptr);
  EXPECT_EQ(nullptr, rf_alloc(a, 70000));
  EXPECT_EQ(2U, sizes.size());
}

TEST_F(Sizeclass, CountsPerFileAndLine) {
  ASSERT_EQ(RF_OK, rf_sizeclass_track_sites(&heap, table, 8));
  void *const p = rf_alloc_at(a, 100, kG, &kHere);
  void *const q = rf_alloc_at(a, 50, kG, &kHereToo);
  void *const r = rf_alloc_at(a, 7, kG, &kThere);
  void *const s = rf_alloc_at(a, 1, kG, nullptr);
  EXPECT_EQ(&kHere, walk(a)[0].site);
  EXPECT_EQ(&kThere, walk(a)[2].site);
  EXPECT_EQ(RF_OK, rf_resize(a, q, 60));
  EXPECT_EQ(RF_OK, rf_free(a, p));
  EXPECT_EQ(RF_OK, rf_check(a, nullptr));
  std::string const text = printed(&heap, rf_sizeclass_print);
  EXPECT_NE(std::string::npos, text.find("      1      60     160            2  here.c:12\n")) << text;
  EXPECT_NE(std::string::npos, text.find("      1       7       7            1  there.c:12\n")) << text;
  EXPECT_NE(std::string::npos, text.find("  unknown site\n")) << text;
  EXPECT_NE(std::string::npos, text.find("     64       1       0\n")) << text;
  EXPECT_NE(std::string::npos, text.find("    128       0       1\n")) << "none that lives: " << text;
  EXPECT_EQ(RF_OK, rf_free(a, r));
  std::string const later = printed(&heap, rf_sizeclass_print);
  EXPECT_NE(std::string::npos, later.find("      0       0       7            1  there.c:12\n")) << later;
  (void)s;
}

// The search begins in the same row for both.
TEST_F(Sizeclass, CountsLinesOfAFileApartThatMeetInTheTable) {
  static const rf_site lines[] = {{"here.c", "f", 1}, {"here.c", "f", 3}};
  ASSERT_EQ(RF_OK, rf_sizeclass_track_sites(&heap, table, 3));
  rf_alloc_at(a, 1, kG, &lines[0]);
  rf_alloc_at(a, 2, kG, &lines[1]);
  EXPECT_EQ(2U, table[0].bytes);
  EXPECT_EQ(1U, table[1].bytes);
}

TEST_F(Sizeclass, CountsSitesWithoutARowTogether) {
  ASSERT_EQ(RF_OK, rf_sizeclass_track_sites(&heap, table, 2));
  rf_alloc_at(a, 1, kG, &kHere);
  rf_alloc_at(a, 2, kG, &kThere);
  void *const far = rf_alloc_at(a, 3, kG, &kFar);
  EXPECT_EQ(1U, table[0].bytes);
  EXPECT_EQ(5U, table[1].bytes);
  EXPECT_STREQ("other sites", table[1].site->file);
  EXPECT_EQ(RF_OK, rf_free(a, far));
  EXPECT_EQ(2U, table[1].bytes);
  EXPECT_EQ(5U, table[1].peak);
}

TEST_F(Sizeclass, PrintsNoLineOfASiteThatHasNone) {
  ASSERT_EQ(RF_OK, rf_sizeclass_track_sites(&heap, table, 1));
  rf_alloc_at(a, 1, kG, &kHere);
  char text[512];
  rf_sink_buffer buffer;
  rf_sink_buffer_init(&buffer, text, sizeof text);
  rf_sizeclass_print(&heap, &buffer.sink);
  EXPECT_NE(std::string::npos, std::string(text).find("  other sites\n")) << text;
}

TEST_F(Sizeclass, TakesATableOfSitesWhileEmptyOnly) {
  EXPECT_EQ(RF_ERR_INVALID, rf_sizeclass_track_sites(&heap, nullptr, 2));
  EXPECT_EQ(RF_ERR_INVALID, rf_sizeclass_track_sites(&heap, table, 0));
  EXPECT_EQ(RF_ERR_INVALID, rf_sizeclass_track_sites(&heap, table, RF_SIZECLASS_SITES_MAX + 1));
  alloc(1);
  EXPECT_EQ(RF_ERR_BUSY, rf_sizeclass_track_sites(&heap, table, 2));
}

TEST_F(Sizeclass, ATableOfSitesDoesNotMakeADamagedRecordPass) {
  heap.site_rows = 1000;
  EXPECT_EQ(RF_ERR_CORRUPT, rf_sizeclass_track_sites(&heap, table, 2));
  EXPECT_EQ(RF_ERR_CORRUPT, faults.take());
  EXPECT_EQ(RF_ERR_CORRUPT, rf_check(a, nullptr));
  heap.site_rows = 0;
}

TEST_F(Sizeclass, ADamagedRecordIsNotPrinted) {
  ASSERT_EQ(RF_OK, rf_sizeclass_track_sites(&heap, table, 2));
  heap.site_rows = SIZE_MAX / sizeof table[0];
  char text[256];
  rf_sink_buffer buffer;
  rf_sink_buffer_init(&buffer, text, sizeof text);
  rf_sizeclass_print(&heap, &buffer.sink);
  EXPECT_STREQ("sizeclass: heap record overwritten\n", text);
  heap.site_rows = 2;
}

TEST_F(Sizeclass, ListsLiveBlocksWithTheirSites) {
  ASSERT_EQ(RF_OK, rf_sizeclass_track_sites(&heap, table, 4));
  rf_alloc_at(a, 33, kG, &kHere);
  rf_free(a, alloc(5));
  char text[256];
  rf_sink_buffer buffer;
  rf_sink_buffer_init(&buffer, text, sizeof text);
  EXPECT_EQ(1U, rf_sizeclass_print_live(&heap, &buffer.sink));
  EXPECT_EQ(0U, std::string(text).find("live: 33 bytes at 0x"));
  EXPECT_NE(std::string::npos, std::string(text).find(", here.c:12\n"));
}

} // namespace
