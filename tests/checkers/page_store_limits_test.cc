// The page store where something runs out: blocks, open bytes, mappings, memory, address space.
#include "tests/checkers/page_store_fixture.h"

#include <ringfence/checked.h>
#include <ringfence/std.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

namespace ringfence {
namespace {

using PageStoreLimits = PageStore;

// ---- Blocks and open bytes ----

TEST_F(PageStoreLimits, TheLargestBlockAndTheOpenBytesAreBounded) {
  options_.memory = 10 * page_size();
  options_.slots = 0;
  options_.largest = 6 * page_size();
  open();
  EXPECT_EQ(alloc(options_.largest + 1), nullptr);
  EXPECT_EQ(figures().declined, 0U) << "larger ones are not asked for here";
  unsigned char *const p = alloc(options_.largest);
  ASSERT_NE(p, nullptr);
  EXPECT_EQ(alloc(4 * page_size() + 1), nullptr);
  EXPECT_EQ(figures().declined, 1U);
  unsigned char *const q = alloc(4 * page_size());
  ASSERT_NE(q, nullptr);
  EXPECT_EQ(figures().open_bytes, options_.memory);
  EXPECT_EQ(figures().bytes, options_.memory);
  EXPECT_EQ(alloc(1), nullptr);
  EXPECT_EQ(free(q), RF_OK);
  EXPECT_NE(alloc(1), nullptr);
  EXPECT_EQ(figures().counters.allocations, 3U);
}

// Two runs of one page each are as long as one of so many pages.
TEST_F(PageStoreLimits, ABlockGrowsIntoAHoleToItsLastPage) {
  options_.slots = 0;
  options_.quarantine = 0;
  open();
  size_t const run = 1 + rf_page_gap(1);
  ASSERT_EQ(run + rf_page_gap(static_cast<uint32_t>(run)), 2 * run);
  unsigned char *const p = alloc(page_size());
  unsigned char *const q = alloc(page_size());
  unsigned char *const r = alloc(page_size());
  ASSERT_EQ(q, p + run * page_size());
  ASSERT_EQ(r, q + run * page_size());
  EXPECT_EQ(free(q), RF_OK);
  EXPECT_EQ(rf_page_store_resize(store_, p, run * page_size(), &origin_), RF_OK);
  check(store_);
  EXPECT_EQ(free(p), RF_OK);
  EXPECT_EQ(free(r), RF_OK);
}

// Pages are made ready some hundreds at a time, which empties them.
TEST_F(PageStoreLimits, ABlockThatGrewFarKeepsItsContentsWhenOthersFollow) {
  open();
  size_t const size = 600 * page_size();
  unsigned char *const p = alloc(100);
  ASSERT_EQ(rf_page_store_resize(store_, p, size, &origin_), RF_OK);
  std::fill_n(p, size, 7);
  unsigned char *const next = alloc(100);
  EXPECT_EQ(std::count(p, p + size, 7), static_cast<ptrdiff_t>(size));
  EXPECT_EQ(free(next), RF_OK);
  EXPECT_EQ(free(p), RF_OK);
  EXPECT_FALSE(rf_host_readable(p + size - 1, 1));
  check(store_);
}

TEST_F(PageStoreLimits, ABlockOfMorePagesThanMayBeOpenIsDeclined) {
  options_.memory = 2 * page_size();
  options_.slots = 0;
  options_.largest = 0;
  open();
  EXPECT_EQ(alloc(3 * page_size()), nullptr);
  EXPECT_EQ(figures().declined, 1U);
  EXPECT_NE(alloc(2 * page_size()), nullptr);
}

TEST_F(PageStoreLimits, AStoreOfFewBlocksGivesUpFreedOnesForNewOnes) {
  options_.slots = 3;
  options_.quarantine = SIZE_MAX;
  open();
  unsigned char *blocks[] = {alloc(10), alloc(20), alloc(30)};
  EXPECT_EQ(alloc(40), nullptr) << "all are live";
  EXPECT_EQ(free(blocks[1]), RF_OK);
  EXPECT_EQ(free(blocks[0]), RF_OK);
  EXPECT_EQ(alloc(50), blocks[1]) << "where the oldest was, which has as many pages";
  check(store_);
  unsigned char *const longer = alloc(3 * page_size());
  ASSERT_NE(longer, nullptr);
  check(store_);
  EXPECT_EQ(figures().closed_blocks, 0U);
  EXPECT_EQ(free(blocks[0]), RF_ERR_BAD_POINTER) << "no longer known";
  EXPECT_EQ(recorder_.take().size(), 1U);
}

// Markers are set some pages ahead of the blocks, and no further than the space goes: what comes behind is not ours.
TEST_F(PageStoreLimits, NoPageBehindASpaceIsMarked) {
  open();
  unsigned blocks = 0;
  while (alloc(options_.largest) != nullptr) {
    blocks++;
  }
  EXPECT_EQ(blocks, options_.slots);
  ASSERT_NE(store_->spaces, nullptr);
  EXPECT_NE(store_->spaces->pages % 512, 0U);
  EXPECT_EQ(store_->spaces->armed, store_->spaces->marks ? store_->spaces->pages : 0U);
}

// ---- Mappings ----

// All that are left, up to 5000.
unsigned take_mappings() {
  unsigned taken = 0;
  while (taken < 5000 && rf_page_mapping_begin()) {
    taken++;
  }
  return taken;
}

TEST_F(PageStoreLimits, AStoreOfFewBlocksMayHaveAThousandMappings) {
  begin_anew();
  auto const run = [] {
    rf_page_mappings_plan(1);
    unsigned const taken = take_mappings();
    rf_page_mapping_end();
    bool const again = rf_page_mapping_begin() && !rf_page_mapping_begin();
    rf_page_mappings_plan(1024);
    bool const more = rf_page_mapping_begin();
    exit_with(taken == 1024 && again && more);
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(0), "");
}

TEST_F(PageStoreLimits, WhatEndsGivesTheMappingsOfItsBlocksBack) {
  begin_anew();
  auto const run = [this] {
    open();
    bool all = true;
    for (int i = 0; i < 10; i++) {
      all = all && alloc(100) != nullptr;
    }
    close();
    exit_with(all && take_mappings() == 1024);
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(0), "");
}

TEST_F(PageStoreLimits, AFreedBlockGivesItsMappingBack) {
  begin_anew();
  auto const run = [this] {
    options_.quarantine = 0;
    open();
    bool all = true;
    for (int i = 0; i < 3000; i++) {
      unsigned char *const p = alloc(100);
      all = all && p != nullptr && free(p) == RF_OK;
    }
    exit_with(all && take_mappings() == 1024);
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(0), "");
}

// Half of what the kernel allows, but for an eighth and what there is: a block takes two.
TEST_F(PageStoreLimits, OtherStoresMayHaveWhatTheKernelLeaves) {
  begin_anew();
  auto const run = [] {
    size_t limit = 0;
    std::ifstream("/proc/sys/vm/max_map_count") >> limit;
    rf_page_mappings_plan(1025);
    size_t const here = rf_page_map_count();
    size_t taken = 0;
    while (taken <= limit && rf_page_mapping_begin()) {
      taken++;
    }
    size_t const expected = (limit - limit / 8 - here) / 2;
    exit_with(limit == rf_page_map_limit() && here > 10 && taken + 5 > expected && taken < expected + 5);
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(0), "");
}

TEST_F(PageStoreLimits, TheLimitOfMappingsIsToldOnce) {
  begin_anew();
  auto const run = [this] {
    open();
    rf_page_mappings_plan(1);
    (void)rf_page_mapping_begin();
    (void)rf_page_mapping_begin();
    rf_page_mappings_report_full(store_);
    rf_page_mappings_report_full(store_);
    exit_with(true);
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(0),
              "^ringfence: the kernel's limit of mappings \\(vm.max_map_count\\) is near with 2 blocks on pages of "
              "their own; for now, blocks are under guard\n$");
}

TEST_F(PageStoreLimits, WithALimitOfDataThatIsNamedToo) {
  begin_anew();
  auto const run = [this] {
    open();
    rf_page_mappings_plan(1);
    struct rlimit limit;
    (void)getrlimit(RLIMIT_DATA, &limit);
    limit.rlim_cur = RLIM_INFINITY - 1;
    (void)setrlimit(RLIMIT_DATA, &limit);
    rf_page_mappings_report_full(store_);
    exit_with(true);
  };
  EXPECT_EXIT(
      run(), testing::ExitedWithCode(0),
      "^ringfence: a limit of mappings or of memory \\(vm.max_map_count, RLIMIT_DATA, no overcommit\\) is near");
}

// ---- Memory and address space ----

TEST_F(PageStoreLimits, ThereIsNoneWithoutMemoryForItsTable) {
  begin_anew();
  auto const run = [this] {
    size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    rlimit const limit = {(pages + 100) * page_size(), RLIM_INFINITY};
    setrlimit(RLIMIT_AS, &limit);
    options_.backing = true;
    options_.slots = 40000; // a table of 2 MiB
    bool const none = rf_page_store_open(&options_) == nullptr;
    options_.slots = 10;
    store_ = none ? rf_page_store_open(&options_) : nullptr;
    exit_with(store_ != nullptr && store_->tags_mask + 1 == 4096);
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(0), "");
}

TEST_F(PageStoreLimits, ModePageWithoutMemoryIsModeGuardAndSaysSo) {
  begin_anew();
  auto const run = [] {
    rlimit const none = {0, RLIM_INFINITY};
    setrlimit(RLIMIT_AS, &none);
    rf_checked_options options = {};
    rf_options_default(&options.settings);
    options.settings.mode = RF_MODE_PAGE;
    options.reporter = rf_reporter_plain();
    rf_std heap;
    rf_checked checked;
    rf_std_init(&heap);
    (void)rf_checked_init(&checked, &heap.base, &options);
    exit_with(checked.mode == RF_MODE_GUARD && checked.status != RF_OK);
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(0),
              "mode page is not available .the system has no memory for it.; using mode guard");
}

size_t mapped_pages() {
  char text[64] = "";
  int const fd = ::open("/proc/self/statm", O_RDONLY);
  ssize_t const size = read(fd, text, sizeof text - 1);
  ::close(fd);
  return size > 0 ? strtoul(text, nullptr, 10) : 0;
}

TEST_F(PageStoreLimits, ReservesNothingWithoutMemoryForItsRecords) {
  begin_anew();
  auto const run = [this] {
    rlimit const limit = {page_size(), RLIM_INFINITY}; // to the kernel, 0 is none
    options_.slots = 0;
    open();
    setrlimit(RLIMIT_DATA, &limit); // of memory, not of address space
    size_t const before = mapped_pages();
    bool const none = !rf_page_store_reserve(store_);
    exit_with(none && before != 0 && mapped_pages() == before);
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(0), "");
}

// The part that markers close is closed again where the rest cannot be opened.
TEST_F(PageStoreLimits, ARangeIsOpenedAsAWholeOrNotAtAll) {
  begin_anew();
  auto const run = [this] {
    rlimit const limit = {page_size(), RLIM_INFINITY}; // to the kernel, 0 is none
    options_.slots = 0;
    open();
    (void)alloc(1);
    rf_space *const space = store_->spaces;
    auto *const start = reinterpret_cast<unsigned char *>(space->start + (space->armed - 1) * page_size());
    bool const armed = space->armed != 0 && space->armed < space->pages;
    setrlimit(RLIMIT_DATA, &limit);
    bool const opened = armed && rf_page_open_range(space, reinterpret_cast<uintptr_t>(start), 2 * page_size());
    exit_with(!opened && (!armed || !rf_host_readable(start, 1)));
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(0), "");
}

// The program has to live on the rest of a limit, which may come later, and become less.
TEST_F(PageStoreLimits, SpacesAreAQuarterOfALimitOfAddressSpaceAtMost) {
  begin_anew();
  auto const run = [this] {
    options_.slots = 0;
    open();
    size_t const bytes = (mapped_pages() * page_size() + (size_t{64} << 20)) & ~(4 * page_size() - 1);
    rlimit limit = {bytes, RLIM_INFINITY};
    setrlimit(RLIMIT_AS, &limit);
    unsigned blocks = 0;
    while (blocks < 100000 && alloc(1) != nullptr) {
      blocks++;
    }
    bool const quarter = blocks > 100 && blocks < 100000 && figures().reserved_bytes == bytes / 4;
    limit.rlim_cur = bytes - (bytes >> 3); // a quarter of it is less than what is reserved
    setrlimit(RLIMIT_AS, &limit);
    exit_with(quarter && alloc(1) == nullptr && figures().reserved_bytes == bytes / 4);
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(0), "");
}

// Blocks of some pages do not take all of it before the first one of less than a page or of many, as each C++ program's
// first block does, which its library has in reserve for exceptions.
TEST_F(PageStoreLimits, EachKindOfBlockFindsSomeOfALimitOfAddressSpace) {
  begin_anew();
  auto const run = [this] {
    options_.slots = 0;
    open();
    rlimit const limit = {mapped_pages() * page_size() + (size_t{40} << 20), RLIM_INFINITY};
    setrlimit(RLIMIT_AS, &limit);
    bool const some = alloc(18 * page_size()) != nullptr;
    exit_with(some && alloc(100) != nullptr && alloc(40 * page_size()) != nullptr);
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(0), "");
}

// With so much more address space than the process has: as much of a first space as fits, and nothing left of the
// tries.
TEST_F(PageStoreLimits, TakesHalfASpaceWhereThereIsNoneWhole) {
  if (sizeof(void *) == 4) {
    GTEST_SKIP() << "a first space is so small there that what else a process takes counts";
  }
  size_t const first = size_t{64} << 20;
  struct {
    size_t more;
    size_t reserved;
  } const cases[] = {{first / 4 + first / 16, first / 4}, {10 * page_size(), 0}};
  begin_anew();
  for (auto const &c : cases) {
    auto const run = [&c, this] {
      options_.slots = 0;
      open();
      void *const rest = mmap(nullptr, 8 * first, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      EXPECT_NE(rest, MAP_FAILED); // so that a quarter of the limit is more than a first space
      size_t const before = mapped_pages();
      rlimit const limit = {before * page_size() + c.more, RLIM_INFINITY};
      setrlimit(RLIMIT_AS, &limit);
      bool const made = rf_page_store_reserve(store_);
      size_t const taken = (mapped_pages() - before) * page_size();
      bool const alone = taken >= c.reserved && taken - c.reserved < c.reserved / 16 + 1;
      exit_with(made == (c.reserved != 0) && figures().reserved_bytes == c.reserved && alone);
    };
    EXPECT_EXIT(run(), testing::ExitedWithCode(0), "") << c.more;
  }
}

// A store of few blocks has one space, which keeps to its bound but for what the first block needs.
TEST_F(PageStoreLimits, TakesNoMoreAddressSpaceForFewBlocksThanItMay) {
  size_t const page = page_size();
  options_.slots = 64;
  options_.largest = 4 * page;
  open();
  ASSERT_TRUE(rf_page_store_reserve(store_));
  size_t const whole = figures().reserved_bytes;
  EXPECT_GE(whole, 64 * 4 * page);
  struct {
    size_t space;
    size_t least;
    size_t most;
  } const cases[] = {
      {40 * page, 40 * page, 40 * page},
      {40 * page - 1, 40 * page, 40 * page},
      {1, page, 32 * page},
      {whole, whole, whole},
      {SIZE_MAX, whole, whole},
  };
  for (auto const &c : cases) {
    options_.space = c.space;
    open();
    ASSERT_TRUE(rf_page_store_reserve(store_)) << c.space;
    EXPECT_GE(figures().reserved_bytes, c.least) << c.space;
    EXPECT_LE(figures().reserved_bytes, c.most) << c.space;
    EXPECT_NE(alloc(1), nullptr) << c.space;
  }
}

// The pages of such a space are closed by their rights, which the system may refuse to give back.
TEST_F(PageStoreLimits, ABlockWhosePagesCannotBeOpenedCountsForNothing) {
  begin_anew();
  auto const run = [this] {
    rlimit const none = {page_size(), RLIM_INFINITY}; // to the kernel, 0 is none
    rlimit const any = {RLIM_INFINITY, RLIM_INFINITY};
    size_t const size = 33 * page_size();
    rf_page_block block = {};
    options_.slots = 0;
    options_.largest = 0;
    open();
    bool const served = free(alloc(size)) == RF_OK;
    rf_page_figures const before = figures();
    setrlimit(RLIMIT_DATA, &none);
    bool const declined = alloc(size) == nullptr;
    rf_page_figures const after = figures();
    setrlimit(RLIMIT_DATA, &any);
    bool const found = rf_page_store_find(store_, alloc(size), &block) && block.serial == before.counters.allocations;
    exit_with(served && declined && found && after.bytes == before.bytes && after.open_bytes == before.open_bytes &&
              after.counters.allocations == before.counters.allocations && after.counters.blocks == 0 &&
              after.counters.used == 0 && after.declined == before.declined + 1);
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(0), "");
}

} // namespace
} // namespace ringfence
