// The page store where something runs out: blocks, open bytes, mappings, memory, address space; and what is left of
// blocks for those that come after them.
#include "tests/checkers/page_store_fixture.h"

#include <ringfence/checked.h>
#include <ringfence/sample.h>
#include <ringfence/std.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace ringfence {
namespace {

using PageStoreLimits = PageStore;

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

TEST_F(PageStoreLimits, ABlockOfMorePagesThanMayBeOpenIsDeclined) {
  options_.memory = 2 * page_size();
  options_.slots = 0;
  options_.largest = 0;
  open();
  EXPECT_EQ(alloc(3 * page_size()), nullptr);
  EXPECT_EQ(figures().declined, 1U);
  EXPECT_NE(alloc(2 * page_size()), nullptr);
}

TEST_F(PageStoreLimits, ABlockKnowsHowManyWereServedBeforeIt) {
  open();
  for (uint64_t i = 0; i < 3; i++) {
    rf_page_block found;
    unsigned char *const p = alloc(10);
    ASSERT_TRUE(rf_page_store_find(store_, p, &found));
    EXPECT_EQ(found.serial, i);
    EXPECT_EQ(free(p), RF_OK);
  }
}

// Where access rights close its page, the memory of a freed block may stay for the next one.
TEST_F(PageStoreLimits, AZeroedBlockIsZeroWhereAKeptOneWas) {
  options_.slots = 1;
  options_.quarantine = SIZE_MAX;
  options_.keeps_pages = true;
  open();
  unsigned char *const p = alloc(100);
  memset(p, 0xab, 100);
  EXPECT_EQ(free(p), RF_OK);
  rf_page_request const request = {100, 1, 0, nullptr, RF_FAMILY_MALLOC, true, nullptr};
  unsigned char *const again = bytes(rf_page_store_alloc(store_, &request, &origin_));
  ASSERT_EQ(again, p);
  EXPECT_EQ(std::count(again, again + 100, 0), 100);
}

// However many pages faults have opened, the next call closes them all.
TEST_F(PageStoreLimits, PagesThatWereOpenedForTheProgramAreClosedAgain) {
  for (size_t const opened : {1, 15, 16, 17, 18, 33}) {
    open();
    unsigned char *const p = alloc(36 * page_size());
    const rf_slot *const s = rf_runs_slot(store_, reinterpret_cast<uintptr_t>(p));
    EXPECT_EQ(free(p), RF_OK);
    for (size_t i = 0; i < opened; i++) {
      EXPECT_TRUE(rf_page_reopen(store_, s, reinterpret_cast<uintptr_t>(p + i * page_size())));
    }
    EXPECT_TRUE(rf_host_readable(p + (opened - 1) * page_size(), 1));
    (void)figures();
    for (size_t i = 0; i < opened; i++) {
      EXPECT_FALSE(rf_host_readable(p + i * page_size(), 1)) << i << " of " << opened;
    }
  }
}

// Zeros behind a block end a string; the bytes of a freed one are nobody's.
TEST_F(PageStoreLimits, APageThatIsOpenedShowsWhatItIs) {
  open();
  unsigned char *const p = alloc(page_size());
  auto const address = reinterpret_cast<uintptr_t>(p);
  const rf_slot *const s = rf_runs_slot(store_, address);
  EXPECT_TRUE(rf_page_reopen(store_, s, address + page_size() + 7));
  EXPECT_EQ(std::count(p + page_size(), p + 2 * page_size(), 0), static_cast<ptrdiff_t>(page_size()));
  EXPECT_EQ(free(p), RF_OK);
  EXPECT_TRUE(rf_page_reopen(store_, s, address));
  EXPECT_EQ(std::count(p, p + page_size(), RF_PATTERN_FREED), static_cast<ptrdiff_t>(page_size()));
}

// The place of a fault is the instruction itself, and what names frames looks before a return address.
TEST_F(PageStoreLimits, AFaultIsAtItsInstruction) {
  open();
  auto const address = reinterpret_cast<uintptr_t>(alloc(page_size())) + page_size();
  EXPECT_TRUE(rf_page_fault(address, RF_ACCESS_READ, 0x123456, nullptr));
  std::vector<rf_finding> const found = recorder_.take();
  ASSERT_EQ(found.size(), 1U);
  ASSERT_NE(found[0].found.depth, 0U);
  EXPECT_EQ(found[0].found.frames[0], 0x123457U);
  EXPECT_EQ(found[0].address, address);
}

// A program that reads a mapping from its start to its end meets closed pages at their first bytes, away from blocks.
TEST_F(PageStoreLimits, AReadFarFromAnyBlockIsSaidToBeOfAProgramThatReadsAll) {
  options_.note = "as others";
  options_.read_all = "reads all";
  open();
  unsigned char *const p = alloc(page_size() - 16);
  auto const at = reinterpret_cast<uintptr_t>(p);
  struct {
    uintptr_t address;
    rf_access access;
    const char *detail;
  } const cases[] = {
      {at + 2 * page_size(), RF_ACCESS_READ, "reads all"},     {at - page_size(), RF_ACCESS_READ, "reads all"},
      {at + 2 * page_size(), RF_ACCESS_WRITE, "as others"},    {at - page_size(), RF_ACCESS_WRITE, "as others"},
      {at + 2 * page_size() + 8, RF_ACCESS_READ, "as others"}, {at - page_size() + 8, RF_ACCESS_READ, "as others"},
      {at + page_size(), RF_ACCESS_READ, "as others"},
  };
  for (auto const &c : cases) {
    (void)rf_page_fault(c.address, c.access, 0x123456, nullptr);
    std::vector<rf_finding> const found = recorder_.take();
    ASSERT_EQ(found.size(), 1U);
    EXPECT_STREQ(found[0].detail, c.detail) << found[0].offset << " " << c.access;
  }
  EXPECT_EQ(free(p), RF_OK);
  (void)rf_page_fault(at, RF_ACCESS_READ, 0x123456, nullptr);
  std::vector<rf_finding> const found = recorder_.take();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].bug, RF_BUG_USE_AFTER_FREE);
  EXPECT_STREQ(found[0].detail, "as others");
}

TEST_F(PageStoreLimits, ATransferOfMoreThanThereIsEndsWithTheSpace) {
  open();
  unsigned char *const p = alloc(page_size());
  for (size_t const size : {page_size() + 1, SIZE_MAX / 2, SIZE_MAX - 100, SIZE_MAX}) {
    EXPECT_TRUE(rf_page_store_report_transfer(store_, p, size, size, RF_ACCESS_WRITE, &origin_)) << size;
    std::vector<rf_finding> const found = recorder_.take();
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].address, reinterpret_cast<uintptr_t>(p) + page_size());
  }
  EXPECT_FALSE(rf_page_store_report_transfer(store_, p, page_size(), page_size(), RF_ACCESS_WRITE, &origin_));
}

// A use of a freed block opens its page for the program to go on. Whoever has all locks, as a handler of fork, closes
// none.
TEST_F(PageStoreLimits, AZeroedBlockIsZeroWhereAFreedOneWasUsed) {
  options_.slots = 1;
  options_.quarantine = SIZE_MAX;
  open();
  unsigned char *const p = alloc(3 * page_size());
  EXPECT_EQ(free(p), RF_OK);
  auto const address = reinterpret_cast<uintptr_t>(p) + page_size();
  EXPECT_TRUE(rf_page_reopen(store_, rf_runs_slot(store_, address), address));
  EXPECT_EQ(p[page_size()], RF_PATTERN_FREED);
  rf_page_request const request = {3 * page_size(), 1, 0, nullptr, RF_FAMILY_MALLOC, true, nullptr};
  rf_page_lock_all();
  unsigned char *const again = bytes(rf_page_store_alloc(store_, &request, &origin_));
  rf_page_unlock_all();
  ASSERT_EQ(again, p);
  EXPECT_EQ(std::count(again, again + 3 * page_size(), 0), static_cast<ptrdiff_t>(3 * page_size()));
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

TEST_F(PageStoreLimits, AStoreOfFewBlocksMayHaveAThousandMappings) {
  begin_anew();
  auto const run = [] {
    rf_page_mappings_plan(1);
    unsigned taken = 0;
    while (taken < 5000 && rf_page_mapping_begin()) {
      taken++;
    }
    rf_page_mapping_end();
    bool const again = rf_page_mapping_begin() && !rf_page_mapping_begin();
    rf_page_mappings_plan(1024);
    bool const more = rf_page_mapping_begin();
    exit_with(taken == 1024 && again && more);
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

TEST_F(PageStoreLimits, AQuarterOfTheMemoryIsItsShare) {
  uint64_t const pages = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES));
  auto const machine = static_cast<size_t>(std::min<uint64_t>(pages * page_size(), SIZE_MAX));
  EXPECT_EQ(rf_page_memory_share(), std::min(machine, rf_page_group_limit("/proc/self/cgroup", "/sys/fs/cgroup")) / 4);
}

// The program has to live on the rest.
TEST_F(PageStoreLimits, AQuarterOfALimitIsTheShareWhereThatIsLess) {
  for (auto const resource : {RLIMIT_DATA, RLIMIT_AS}) {
    auto const limited = [resource] {
      struct rlimit limit;
      (void)getrlimit(resource, &limit);
      limit.rlim_cur = 40 << 20;
      bool const set = setrlimit(resource, &limit) == 0;
      size_t const share = rf_page_memory_share();
      _exit(set && share == 10 << 20 ? 0 : 1); // no more memory may be needed here
    };
    EXPECT_EXIT(limited(), testing::ExitedWithCode(0), "") << resource;
  }
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

// Files as the system has them, below a folder of the test's.
class ControlGroups : public testing::Test {
protected:
  void SetUp() override {
    root_ = testing::TempDir() + "/groups";
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void write(const std::string &path, const std::string &text) {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }

  size_t limit(const std::string &list) {
    write("/list", list);
    return rf_page_group_limit((root_ + "/list").c_str(), root_.c_str());
  }

  std::string root_;
};

TEST_F(ControlGroups, WithoutALimitThereIsNone) {
  EXPECT_EQ(limit(""), SIZE_MAX);
  EXPECT_EQ(limit("0::/a/b\n"), SIZE_MAX);
  EXPECT_EQ(limit("nothing\n:\n::\n0:\n"), SIZE_MAX);
  write("/a/b/memory.max", "max\n");
  write("/memory.max", "0\n");
  EXPECT_EQ(limit("0::/a/b\n"), SIZE_MAX);
  EXPECT_EQ(rf_page_group_limit((root_ + "/absent").c_str(), std::string(5000, 'a').c_str()), SIZE_MAX);
}

TEST_F(ControlGroups, TheLeastOfAGroupAndThoseAroundItHolds) {
  write("/a/b/memory.max", "3000000\n");
  EXPECT_EQ(limit("0::/a/b\n"), 3000000U);
  write("/a/memory.max", "2000000\n");
  EXPECT_EQ(limit("1:cpu:/c\n0::/a/b\n"), 2000000U);
  write("/memory.max", "1000000\n");
  EXPECT_EQ(limit("0::/a/b\n"), 1000000U);
  EXPECT_EQ(limit("0::/\n"), 1000000U);
  EXPECT_EQ(limit("0::/" + std::string(3000, 'a') + "\n"), 1000000U);
  EXPECT_EQ(limit(""), 1000000U) << "the root's own, as in a container";
}

// Older systems have a hierarchy for each controller, or for some together, beside the unified one.
TEST_F(ControlGroups, OfMemoryAloneAreLookedAtAsWell) {
  write("/memory/a/b/memory.limit_in_bytes", "3000000\n");
  write("/memory/a/memory.limit_in_bytes", "4000000\n");
  write("/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(limit("9:name=systemd:/\n4:memory:/a/b\n3:cpuset:/x\n0::/\n"), 3000000U);
  EXPECT_EQ(limit("4:hugetlb,memory:/a/b\n"), 3000000U);
  EXPECT_EQ(limit("4:memory,pids:/a/other\n"), 4000000U);
  EXPECT_EQ(limit("4:memoryless,inmemory:/a/b\n"), std::min<uint64_t>(SIZE_MAX, 9223372036854771712U));
  write("/memory.max", "1000000\n");
  EXPECT_EQ(limit("4:memory:/a/b\n0::/\n"), 1000000U);
}

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

// Pages of blocks that left the quarantine are somebody's run together with others.
TEST_F(PageStoreLimits, AZeroedBlockIsZeroWhereSeveralFreedOnesWere) {
  options_.keeps_pages = true;
  open();
  unsigned char *const blocks[] = {alloc(2 * page_size()), alloc(100), alloc(100)};
  for (unsigned char *const p : blocks) {
    memset(p, 0xab, 100);
    EXPECT_EQ(free(p), RF_OK);
  }
  while (store_->oldest != nullptr) {
    rf_page_evict_oldest(store_);
  }
  size_t const size = 12 * page_size();
  rf_page_request const request = {size, 1, 0, nullptr, RF_FAMILY_MALLOC, true, nullptr};
  unsigned char *const all = bytes(rf_page_store_alloc(store_, &request, &origin_));
  ASSERT_EQ(all, blocks[0]);
  EXPECT_EQ(std::count(all, all + size, 0), static_cast<ptrdiff_t>(size));
}

TEST_F(PageStoreLimits, KeepsTheMemoryOfBlocksThatFitAPage) {
  options_.keeps_pages = true;
  options_.slots = 0;
  open();
  for (size_t const pages : {0, 1, 2, 3}) {
    unsigned char *const p = alloc(pages * page_size());
    const rf_slot *const s = rf_runs_slot(store_, reinterpret_cast<uintptr_t>(p));
    ASSERT_NE(s, nullptr);
    bool const keeps = pages == 1 && rf_page_takes_mappings(s);
    EXPECT_EQ(free(p), RF_OK);
    EXPECT_EQ(s->kept, keeps) << pages;
  }
}

// In locked memory a page that was closed by its rights has its bytes yet.
TEST_F(PageStoreLimits, APageIsCleanUnlessItsMemoryWasKept) {
  open();
  rf_slot *const s = rf_runs_slot(store_, reinterpret_cast<uintptr_t>(alloc(1)));
  ASSERT_NE(s, nullptr);
  EXPECT_TRUE(rf_page_is_clean(s));
  s->kept = true;
  EXPECT_FALSE(rf_page_is_clean(s));
  s->kept = false;
  s->space->locked = true;
  EXPECT_FALSE(rf_page_is_clean(s));
  s->space->locked = false;
}

TEST(PageOptions, AreAsDocumentedUnlessSet) {
  rf_page_options page;
  std::memset(&page, 0xA5, sizeof page);
  rf_page_options_default(&page);
  EXPECT_EQ(page.side, RF_PAGE_BOTH);
  EXPECT_EQ(page.quarantine, sizeof(size_t) == 8 ? size_t{1} << 30 : size_t{64} << 20);
  EXPECT_EQ(page.fill_alloc, 4096U);
  EXPECT_TRUE(page.sweep_at_deinit);
  EXPECT_FALSE(page.leaks_at_deinit);
  EXPECT_EQ(page.reporter, nullptr);
  rf_guard_options guard;
  std::memset(&guard, 0xA5, sizeof guard);
  rf_guard_options_default(&guard);
  EXPECT_EQ(guard.quarantine, size_t{512} * 1024);
  EXPECT_EQ(guard.fill_alloc, 4096U);
  EXPECT_EQ(guard.fill_free, size_t{64} * 1024);
  EXPECT_EQ(guard.move_below, 4096U);
  EXPECT_EQ(guard.stack_depth, 0U);
  EXPECT_FALSE(guard.leaks_at_deinit);
  EXPECT_TRUE(guard.sweep_at_deinit);
  rf_sample_options sample;
  std::memset(&sample, 0xA5, sizeof sample);
  rf_sample_options_default(&sample);
  EXPECT_EQ(sample.rate, 5000U);
  EXPECT_EQ(sample.slots, 64U);
  EXPECT_EQ(sample.largest, size_t{64} * 1024);
  EXPECT_EQ(sample.side, RF_PAGE_BOTH);
}

} // namespace
} // namespace ringfence
