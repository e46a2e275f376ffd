// The output of rf_dump, byte for byte.
#include "tests/core/text_sink.h"

#include <ringfence/dump.h>
#include <ringfence/lock.h>
#include <ringfence/simple.h>
#include <ringfence/std.h>

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace {

std::string dump(rf_allocator *a, const rf_dump_options *options, rf_status expected = RF_OK) {
  std::string text;
  rf_sink const sink = ringfence::sink_to(&text);
  EXPECT_EQ(rf_dump(a, &sink, options), expected);
  return text;
}

// An allocator that has the blocks it is told, at addresses of which nothing is touched.
class Picture {
public:
  Picture() {
    ops_.name = "picture";
    ops_.stats = [](rf_allocator *a, rf_stats *out) { *out = self(a).stats; };
    ops_.walk = [](rf_allocator *a, rf_walk_fn visit, void *context) {
      for (const rf_block &block : self(a).blocks) {
        if (!visit(&block, context)) {
          break;
        }
      }
      return self(a).answer;
    };
    base.ops = &ops_;
  }

  void add(uintptr_t address, size_t size, size_t overhead, bool used, const rf_site *site = nullptr) {
    blocks.push_back({reinterpret_cast<void *>(address), size, overhead, used, site});
  }

  rf_allocator base{};
  rf_stats stats{};
  std::vector<rf_block> blocks;
  rf_status answer = RF_OK;

private:
  static Picture &self(rf_allocator *a) { return *reinterpret_cast<Picture *>(a); }

  rf_allocator_ops ops_{};
};

class DumpTest : public testing::Test {
protected:
  Picture picture;
  rf_allocator *const a = &picture.base;
};

const rf_dump_options kStatsOnly = {false, false, 0, 80};
const rf_dump_options kHistogram = {true, false, 0, 44};
const rf_dump_options kMap = {false, true, 0, 40};

// For tests whose numbers are those of a heap with blocks aligned to 16.
#define ONLY_WITH_ALIGNMENT_16()                                                                                       \
  if (RF_ALIGN_DEFAULT != 16)                                                                                          \
  GTEST_SKIP() << "default alignment is " << RF_ALIGN_DEFAULT

// The part below the three lines of statistics.
std::string without_stats(const std::string &text) {
  size_t at = 0;
  for (int line = 0; line < 3; line++) {
    at = text.find('\n', at) + 1;
  }
  return text.substr(at);
}

TEST_F(DumpTest, PrintsTheStatistics) {
  picture.stats = {1024, 461, 517, 5, 6, 436, 380, 6, 0, 127};
  EXPECT_EQ(dump(a, &kStatsOnly), "picture: 5 blocks, 461 of 1024 bytes used, 436 free\n"
                                  "  largest free 380, overhead 127, peak 517 bytes in 6 blocks\n"
                                  "  6 allocations, 0 failures\n");
}

TEST_F(DumpTest, OneIsSingular) {
  picture.stats = {64, 10, 10, 1, 1, 48, 48, 1, 1, 6};
  EXPECT_EQ(dump(a, &kStatsOnly), "picture: 1 block, 10 of 64 bytes used, 48 free\n"
                                  "  largest free 48, overhead 6, peak 10 bytes in 1 block\n"
                                  "  1 allocation, 1 failure\n");
}

TEST_F(DumpTest, ANewHeapHasOneFreeBlock) {
  ONLY_WITH_ALIGNMENT_16();
  alignas(16) unsigned char arena[1024];
  rf_simple heap;
  ASSERT_EQ(rf_simple_init(&heap, arena, sizeof arena), RF_OK);
  EXPECT_EQ(without_stats(dump(&heap.base, nullptr)), "  size    used    free\n"
                                                      "   512       0       1\n"
                                                      "  map of 1011 bytes, 13 each: # used  . free  - overhead\n"
                                                      "  [" +
                                                          std::string(76, '.') + "]\n");
}

TEST_F(DumpTest, TheExampleInTheHeaderIsTrue) {
  ONLY_WITH_ALIGNMENT_16();
  alignas(16) unsigned char arena[1024];
  rf_simple heap;
  ASSERT_EQ(rf_simple_init(&heap, arena, sizeof arena), RF_OK);
  void *third = nullptr;
  for (size_t const size : {13, 9, 100, 127, 412}) {
    void *const p = rf_alloc(&heap.base, size);
    third = size == 100 ? p : third;
  }
  rf_free(&heap.base, third);
  rf_dump_options const options = {true, true, 1, 44};
  std::string text = dump(&heap.base, &options);
  text.erase(text.find("    0x"), std::strlen("    0x     13\n") + 2 * sizeof(void *));
  EXPECT_EQ(text, "simple: 4 blocks, 561 of 1011 bytes used, 413 free\n"
                  "  largest free 304, overhead 37, peak 661 bytes in 5 blocks\n"
                  "  5 allocations, 0 failures\n"
                  "  size    used    free\n"
                  "     8       2       0  ####################\n"
                  "    64       1       1  ##########\n"
                  "   256       1       1  ##########\n"
                  "  map of 1011 bytes, 25 each: # used  . free  - overhead\n"
                  "  [#.....######################............]\n"
                  "  live blocks\n"
                  "    and 3 more\n");
}

TEST_F(DumpTest, CountsBlocksByPowersOfTwo) {
  for (size_t const size : {0, 1, 2, 3, 4, 7, 8, 15, 16, 1023, 1024, 2047, 1 << 20}) {
    picture.add(0x1000, size, 0, true);
  }
  picture.add(0x1000, 9, 0, false);
  picture.add(0x1000, 64, 0, false);
  EXPECT_EQ(without_stats(dump(a, &kHistogram)), "  size    used    free\n"
                                                 "     0       1       0  ##########\n"
                                                 "     1       1       0  ##########\n"
                                                 "     2       2       0  ####################\n"
                                                 "     4       2       0  ####################\n"
                                                 "     8       2       1  ####################\n"
                                                 "    16       1       0  ##########\n"
                                                 "    64       0       1\n"
                                                 "   512       1       0  ##########\n"
                                                 "    1K       2       0  ####################\n"
                                                 "    1M       1       0  ##########\n");
}

TEST_F(DumpTest, TheLargestSizesHaveTheirRow) {
  picture.add(0x1000, SIZE_MAX, 0, false);
  EXPECT_EQ(without_stats(dump(a, &kHistogram)), std::string("  size    used    free\n") +
                                                     (sizeof(size_t) == 8 ? "    8E" : "    2G") +
                                                     "       0       1\n");
}

TEST_F(DumpTest, ARareSizeStillShows) {
  picture.add(0x1000, 1, 0, true);
  for (int i = 0; i < 1000; i++) {
    picture.add(0x1000, 16, 0, true);
  }
  EXPECT_EQ(without_stats(dump(a, &kHistogram)), "  size    used    free\n"
                                                 "     1       1       0  #\n"
                                                 "    16    1000       0  ####################\n");
}

TEST_F(DumpTest, TheMapShowsWhereMemoryIs) {
  picture.add(0x1000, 72, 0, true);
  picture.add(0x1048, 72, 36, false);
  picture.add(0x10B4, 180, 0, true);
  EXPECT_EQ(without_stats(dump(a, &kMap)), "  map of 360 bytes, 10 each: # used  . free  - overhead\n"
                                           "  [#######----.......##################]\n");
}

TEST_F(DumpTest, ACharacterOfTheMapIsWhatMostOfItsBytesAre) {
  for (int i = 0; i < 12; i++) {
    picture.add(0x1000, 6, 4, true);
    picture.add(0x1000, 5, 5, false); // as much free as overhead: free
    picture.add(0x1000, 3, 7, true);
  }
  EXPECT_EQ(without_stats(dump(a, &kMap)), "  map of 360 bytes, 10 each: # used  . free  - overhead\n"
                                           "  [#.-#.-#.-#.-#.-#.-#.-#.-#.-#.-#.-#.-]\n");
}

TEST_F(DumpTest, TheMapSharesOutBytesThatDoNotDivide) {
  picture.add(0x1000, 36, 0, true);
  picture.add(0x1024, 3, 0, false);
  EXPECT_EQ(without_stats(dump(a, &kMap)), "  map of 39 bytes, 1 each: # used  . free  - overhead\n"
                                           "  [#################################...]\n");
}

TEST_F(DumpTest, TheMapOfFewBytesIsShort) {
  picture.add(0x1000, 3, 1, true);
  EXPECT_EQ(without_stats(dump(a, &kMap)), "  map of 4 bytes, 1 each: # used  . free  - overhead\n"
                                           "  [-###]\n");
}

TEST_F(DumpTest, TheMapOfAllMemoryDoesNotWrap) {
  picture.add(0x1000, SIZE_MAX / 4 * 3, 0, true);
  picture.add(0x1000, SIZE_MAX / 4, 0, false);
  EXPECT_EQ(without_stats(dump(a, &kMap)).substr(without_stats(dump(a, &kMap)).find('[')),
            "[###########################.........]\n");
}

// Another thread merged blocks after they were counted: the second walk shows fewer bytes.
TEST_F(DumpTest, AMapOfFewerBytesThanWereCountedIsAsLong) {
  static unsigned walks;
  walks = 0;
  rf_allocator_ops ops = *a->ops;
  ops.walk = [](rf_allocator *, rf_walk_fn visit, void *context) {
    rf_block const block = {nullptr, walks++ == 0 ? size_t{36} : size_t{30}, 0, true, nullptr};
    (void)visit(&block, context);
    return RF_OK;
  };
  a->ops = &ops;
  rf_dump_options const options = {false, true, 0, 40};
  std::string const text = dump(a, &options);
  EXPECT_NE(text.find("\n  [" + std::string(30, '#') + std::string(6, ' ') + "]\n"), std::string::npos) << text;
}

TEST_F(DumpTest, NothingHasNoMap) {
  EXPECT_EQ(without_stats(dump(a, &kMap)), "");
}

TEST_F(DumpTest, WidthIsClipped) {
  picture.add(0x1000, 4096, 0, true);
  rf_dump_options options = kMap;
  options.width = 0;
  EXPECT_NE(dump(a, &options).find("  [" + std::string(36, '#') + "]\n"), std::string::npos);
  options.width = 10000;
  EXPECT_NE(dump(a, &options).find("  [" + std::string(196, '#') + "]\n"), std::string::npos);
}

TEST_F(DumpTest, ListsLiveBlocksWithTheirCallSites) {
  static const rf_site site = {"demo.c", "main", 6};
  rf_dump_options const options = {false, false, 10, 80};
  picture.add(0x10A0, 13, 3, true, &site);
  picture.add(0x10B0, 100, 3, false);
  picture.add(0x1120, 12345678, 3, true);
  std::string const zeros(2 * sizeof(void *) - 4, '0');
  EXPECT_EQ(without_stats(dump(a, &options)), "  live blocks\n"
                                              "    0x" +
                                                  zeros +
                                                  "10a0     13  demo.c:6 in main\n"
                                                  "    0x" +
                                                  zeros + "1120 12345678\n");
}

TEST_F(DumpTest, SaysHowManyBlocksItLeavesOut) {
  rf_dump_options const options = {false, false, 2, 80};
  for (uintptr_t i = 0; i < 5; i++) {
    picture.add(0x1000 + i * 16, 1, 0, true);
  }
  std::string const zeros(2 * sizeof(void *) - 4, '0');
  EXPECT_EQ(without_stats(dump(a, &options)), "  live blocks\n"
                                              "    0x" +
                                                  zeros +
                                                  "1000      1\n"
                                                  "    0x" +
                                                  zeros +
                                                  "1010      1\n"
                                                  "    and 3 more\n");
}

TEST_F(DumpTest, WithoutLiveBlocksThereIsNoListOfThem) {
  rf_dump_options const options = {false, false, 2, 80};
  picture.add(0x1000, 1, 0, false);
  EXPECT_EQ(without_stats(dump(a, &options)), "");
}

TEST_F(DumpTest, AListThatHasThemAllLeavesNoneOut) {
  rf_dump_options const options = {false, false, 2, 80};
  picture.add(0x1000, 1, 0, true);
  picture.add(0x1010, 1, 0, true);
  EXPECT_EQ(dump(a, &options).find("more"), std::string::npos);
}

TEST_F(DumpTest, WithoutAWalkThereAreStatisticsOnly) {
  rf_std heap;
  ASSERT_EQ(rf_std_init(&heap), RF_OK);
  void *const p = rf_alloc(&heap.base, 20);
  EXPECT_EQ(dump(&heap.base, nullptr, RF_ERR_UNSUPPORTED), "std: 1 block, 20 bytes used\n"
                                                           "  peak 20 bytes in 1 block\n"
                                                           "  1 allocation, 0 failures\n");
  rf_free(&heap.base, p);
}

TEST_F(DumpTest, DamageIsSaidAndWhatCouldBeReadIsShown) {
  picture.add(0x1000, 4096, 0, true);
  picture.answer = RF_ERR_CORRUPT;
  EXPECT_NE(dump(a, nullptr, RF_ERR_CORRUPT).find("    4K       1       0"), std::string::npos);
}

TEST_F(DumpTest, NamesWhatIsWrapped) {
  rf_lock lock;
  ASSERT_EQ(rf_lock_init(&lock, a), RF_OK);
  EXPECT_EQ(dump(&lock.base, &kStatsOnly).substr(0, 16), "lock > picture: ");
  rf_deinit(&lock.base);
}

TEST_F(DumpTest, NoLineIsWiderThanAskedFor) {
  picture.stats = {100000, 99999, 99999, 9999, 9999, 99999, 99999, 99999, 99999, 99999};
  for (int i = 0; i < 200; i++) {
    picture.add(0x1000, static_cast<size_t>(i) * 7, 5, i % 3 != 0);
  }
  for (unsigned width = 70; width <= 200; width += 13) {
    rf_dump_options const options = {true, true, 0, width};
    std::string const text = dump(a, &options);
    for (size_t at = 0; at < text.size();) {
      size_t const end = text.find('\n', at);
      ASSERT_NE(end, std::string::npos) << "the last line ends";
      EXPECT_LE(end - at, width) << text.substr(at, end - at);
      at = end + 1;
    }
  }
}

} // namespace
