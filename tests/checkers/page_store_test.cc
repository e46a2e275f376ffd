// The page store from inside: its address space adds up after whatever was done, and what no caller of the interface
// can see without millions of blocks, other kernels or signals at the right moment.
#include "tests/checkers/page_fixture.h"
#include "tests/checkers/single_step.h"

#include <ringfence/sample.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <thread>

extern "C" {
#include "checkers/os/host.h"
#include "checkers/page/page_impl.h"
}

namespace ringfence {
namespace {

class PageStore : public testing::Test {
protected:
  PageStore() {
    options_.allocator = "store";
    options_.mode = "page";
    options_.reporter = recorder_.reporter();
    options_.side = RF_PAGE_LEFT;
    options_.quarantine = 64 * page_size();
    options_.slots = 200;
    options_.largest = 40 * page_size();
    options_.fallback = "blocks are under guard";
  }

  ~PageStore() override { close(); }

  rf_page_store *open() {
    close();
    store_ = rf_page_store_open(&options_);
    EXPECT_NE(store_, nullptr);
    return store_;
  }

  void close() {
    if (store_ != nullptr) {
      rf_page_store_close(store_);
      store_ = nullptr;
    }
  }

  unsigned char *alloc(size_t size, void *backing = nullptr, size_t align = 1) {
    rf_page_request const request = {size, align, 0, nullptr, RF_FAMILY_MALLOC, false, backing};
    return bytes(rf_page_store_alloc(store_, &request, &origin_));
  }

  rf_status free(void *p) {
    rf_page_block freed;
    return rf_page_store_free(store_, p, RF_FAMILY_MALLOC, SIZE_MAX, &origin_, &freed);
  }

  rf_page_figures figures() {
    rf_page_figures found;
    rf_page_store_figures(store_, &found);
    return found;
  }

  FaultRecorder recorder_;
  rf_page_store_options options_ = {};
  rf_page_store *store_ = nullptr;
  rf_origin origin_ = {};
};

// ---- Runs of pages ----

struct Sums {
  size_t live = 0;
  size_t freed = 0;
  size_t open_pages = 0;
  size_t freed_pages = 0;
  size_t holes = 0;
};

// Every page of a space is in one run, no two holes are neighbours, and each page knows its block.
void check_space(const rf_space *space, Sums *sums) {
  uint32_t page = rf_page_gap(0);
  uint32_t slots = 0;
  const rf_slot *before = nullptr;
  std::vector<uint32_t> owner(space->pages, 0);
  for (const rf_slot *s = space->lowest; s != nullptr; before = s, s = s->after, slots++) {
    rf_slot_state const state = rf_slot_state_of(s);
    ASSERT_EQ(s->space, space);
    ASSERT_EQ(s->run, page) << "a run begins where the one before ends";
    ASSERT_EQ(s->before, before);
    ASSERT_GT(s->length, 0U);
    page += s->length;
    if (state == SLOT_HOLE) {
      EXPECT_FALSE(before != nullptr && rf_slot_state_of(before) == SLOT_HOLE) << "two holes at page " << s->run;
      sums->holes++;
      continue;
    }
    ASSERT_TRUE(state == SLOT_LIVE || state == SLOT_FREED);
    (state == SLOT_LIVE ? sums->live : sums->freed)++;
    sums->open_pages += state == SLOT_LIVE ? s->pages : 0;
    sums->freed_pages += state == SLOT_FREED ? s->length : 0;
    EXPECT_GE(s->first, s->run);
    EXPECT_LE(s->first + s->pages + rf_page_gap(s->pages), page) << "the gap is the block's own";
    std::fill_n(owner.begin() + s->first, std::max(s->pages, 1U), static_cast<uint32_t>(s - space->slots) + 1);
  }
  EXPECT_EQ(page, space->pages - rf_page_gap(0));
  for (const rf_slot *s = space->spare; s != nullptr; s = s->next, slots++) {
    EXPECT_EQ(rf_slot_state_of(s), SLOT_SPARE);
  }
  EXPECT_EQ(slots, space->used);
  EXPECT_TRUE(std::equal(owner.begin(), owner.end(), space->owner));
}

size_t count_listed_holes(const rf_page_store *store) {
  size_t count = 0;
  for (size_t kind = 0; kind < RF_PAGE_KINDS; kind++) {
    for (unsigned bin = 0; bin < RF_PAGE_BINS; bin++) {
      const rf_slot *previous = nullptr;
      for (const rf_slot *s = store->holes[kind][bin]; s != nullptr; previous = s, s = s->next, count++) {
        EXPECT_EQ(rf_slot_state_of(s), SLOT_HOLE);
        EXPECT_EQ(s->previous, previous);
        EXPECT_EQ(s->space->kind, kind);
        EXPECT_EQ(s->length >> bin, 1U) << "a hole of " << s->length << " pages in bin " << bin;
      }
    }
  }
  return count;
}

void check(rf_page_store *store) {
  Sums sums;
  size_t reserved = 0;
  for (const rf_space *space = store->spaces; space != nullptr; space = space->next) {
    check_space(space, &sums);
    reserved += space->pages * page_size();
    EXPECT_TRUE(rf_page_may_be(reinterpret_cast<void *>(space->start)));
    EXPECT_TRUE(rf_page_may_be(reinterpret_cast<void *>(space->start + space->pages * page_size() - 1)));
  }
  EXPECT_EQ(count_listed_holes(store), sums.holes);
  size_t queued = 0;
  const rf_slot *previous = nullptr;
  for (const rf_slot *s = store->oldest; s != nullptr; previous = s, s = s->next, queued++) {
    EXPECT_EQ(rf_slot_state_of(s), SLOT_FREED);
    EXPECT_EQ(s->previous, previous);
  }
  EXPECT_EQ(store->newest, previous);
  EXPECT_EQ(queued, sums.freed);
  rf_page_figures f;
  rf_page_store_figures(store, &f);
  EXPECT_EQ(store->taken, sums.live + sums.freed);
  EXPECT_EQ(f.open_bytes, sums.open_pages * page_size());
  EXPECT_EQ(f.closed_blocks, sums.freed);
  EXPECT_EQ(f.closed_bytes, sums.freed_pages * page_size());
  EXPECT_EQ(f.reserved_bytes, reserved);
  EXPECT_EQ(f.counters.blocks, sums.live);
}

// Small and large blocks, aligned ones, resizes and frees in any order.
TEST_F(PageStore, AddsUpWhateverIsDone) {
  for (unsigned const slots : {200U, 0U}) {
    options_.slots = slots;
    open();
    std::mt19937 random(12);
    std::vector<unsigned char *> live;
    for (int i = 0; i < 3000; i++) {
      unsigned const what = random() % 8;
      size_t const size = random() % (random() % 4 == 0 ? 40 * page_size() : 2 * page_size());
      if (what < 4 && live.size() < 150) {
        size_t const align = size_t{1} << (random() % 4 == 0 ? random() % 16 : random() % 5);
        unsigned char *const p = alloc(size, nullptr, align);
        ASSERT_NE(p, nullptr) << i;
        EXPECT_TRUE(rf_is_aligned(p, align));
        live.push_back(p);
      } else if (!live.empty() && what < 6) {
        (void)rf_page_store_resize(store_, live[random() % live.size()], size, &origin_);
      } else if (!live.empty()) {
        std::swap(live[random() % live.size()], live.back());
        ASSERT_EQ(free(live.back()), RF_OK);
        live.pop_back();
      }
      if (i % 10 == 0) {
        check(store_);
        ASSERT_FALSE(HasFailure()) << "after operation " << i << " with " << slots << " slots";
      }
    }
    for (unsigned char *const p : live) {
      EXPECT_EQ(free(p), RF_OK);
    }
    check(store_);
    EXPECT_LE(figures().closed_bytes, options_.quarantine);
    EXPECT_GT(figures().closed_blocks, 0U);
  }
}

TEST_F(PageStore, WithoutAQuarantineAllIsOneHoleAgain) {
  options_.quarantine = 0;
  open();
  std::vector<unsigned char *> blocks;
  for (size_t i = 0; i < 90; i++) {
    blocks.push_back(alloc(i * 700));
  }
  std::shuffle(blocks.begin(), blocks.end(), std::mt19937(3));
  for (unsigned char *const p : blocks) {
    EXPECT_EQ(free(p), RF_OK);
  }
  check(store_);
  const rf_slot *const hole = store_->spaces->lowest;
  EXPECT_EQ(hole->after, nullptr);
  EXPECT_EQ(hole->length, store_->spaces->pages - 2 * rf_page_gap(0));
  EXPECT_EQ(store_->taken, 0U);
}

TEST_F(PageStore, GapsGrowWithTheBlock) {
  uint32_t const least = sizeof(size_t) == 8 ? 8 : 1;
  uint32_t const most = sizeof(size_t) == 8 ? 256 : 16;
  for (uint32_t const pages : {0U, 1U, 8U, 9U, 15U, 16U, 17U, 100U, 255U, 256U, 257U, 100000U}) {
    EXPECT_EQ(rf_page_gap(pages), std::min(std::max(pages, least), most)) << pages;
  }
}

TEST_F(PageStore, ItsBoundsEndWithTheLastSpace) {
  open();
  ASSERT_NE(alloc(1), nullptr);
  uintptr_t const low = rf_page_all.low;
  uintptr_t const end = low + rf_page_all.size;
  EXPECT_TRUE(rf_page_may_be(reinterpret_cast<void *>(low)));
  EXPECT_TRUE(rf_page_may_be(reinterpret_cast<void *>(end - 1)));
  EXPECT_FALSE(rf_page_may_be(reinterpret_cast<void *>(end)));
  EXPECT_FALSE(rf_page_may_be(reinterpret_cast<void *>(low - 1)));
  EXPECT_FALSE(rf_page_may_be(&low)) << "the stack lies above all spaces";
  rf_space *const space = store_->spaces;
  EXPECT_EQ(rf_runs_space(store_, space->start), space);
  EXPECT_EQ(rf_runs_space(store_, space->start - 1), nullptr);
  uintptr_t const behind = space->start + space->pages * page_size();
  EXPECT_EQ(rf_runs_space(store_, behind - 1), space);
  EXPECT_EQ(rf_runs_space(store_, behind), nullptr);
  EXPECT_EQ(rf_runs_nearest(store_, behind), nullptr);
}

// Within twice the longest gap to either side.
TEST_F(PageStore, TheNearestBlockIsLookedForInReach) {
  options_.slots = 0;
  open();
  unsigned char *const p = alloc(page_size());
  auto const at = reinterpret_cast<uintptr_t>(p);
  const rf_slot *const s = rf_runs_slot(store_, at);
  size_t const reach = 2 * rf_page_gap(UINT32_MAX);
  ASSERT_NE(s, nullptr);
  EXPECT_EQ(rf_runs_slot(store_, at - 1), nullptr);
  EXPECT_EQ(rf_runs_slot(store_, at + page_size() - 1), s);
  EXPECT_EQ(rf_runs_slot(store_, at + page_size()), nullptr);
  EXPECT_EQ(rf_runs_nearest(store_, store_->spaces->start), s);
  EXPECT_EQ(rf_runs_nearest(store_, at + reach * page_size()), s);
  EXPECT_EQ(rf_runs_nearest(store_, at + (reach + 1) * page_size()), nullptr);
}

// A block that has grown has address space for as many pages again.
TEST_F(PageStore, ABlockThatGrewMayGrowAgain) {
  options_.slots = 0;
  open();
  for (size_t const pages : {1U, 12U}) { // the gap behind a block is as large as the block, within bounds
    size_t const size = pages * page_size();
    unsigned char *const p = alloc(size);
    EXPECT_EQ(rf_page_store_resize(store_, p, 2 * size, &origin_), RF_OK);
    unsigned char *const behind = alloc(size);
    EXPECT_GT(behind, p);
    EXPECT_EQ(rf_page_store_resize(store_, p, 4 * size, &origin_), RF_OK);
    EXPECT_EQ(rf_page_store_resize(store_, p, 6 * size, &origin_), RF_ERR_NO_MEMORY);
    check(store_);
  }
}

TEST_F(PageStore, ABlockWithRoomGrowsByThatMuch) {
  options_.slots = 0;
  open();
  for (size_t const pages : {1U, 12U, 40U}) {
    size_t const size = pages * page_size();
    rf_page_request const request = {size, 1, size, nullptr, RF_FAMILY_MALLOC, false, nullptr};
    unsigned char *const p = bytes(rf_page_store_alloc(store_, &request, &origin_));
    unsigned char *const behind = alloc(size);
    EXPECT_GT(behind, p);
    EXPECT_EQ(rf_page_store_resize(store_, p, 2 * size, &origin_), RF_OK) << pages;
    EXPECT_EQ(rf_page_store_resize(store_, p, 3 * size, &origin_), RF_ERR_NO_MEMORY) << pages;
    check(store_);
  }
}

// ---- Limits ----

TEST_F(PageStore, TheLargestBlockAndTheOpenBytesAreBounded) {
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

TEST_F(PageStore, ABlockOfMorePagesThanMayBeOpenIsDeclined) {
  options_.memory = 2 * page_size();
  options_.slots = 0;
  options_.largest = 0;
  open();
  EXPECT_EQ(alloc(3 * page_size()), nullptr);
  EXPECT_EQ(figures().declined, 1U);
  EXPECT_NE(alloc(2 * page_size()), nullptr);
}

TEST_F(PageStore, ABlockKnowsHowManyWereServedBeforeIt) {
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
TEST_F(PageStore, AZeroedBlockIsZeroWhereAKeptOneWas) {
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
TEST_F(PageStore, PagesThatWereOpenedForTheProgramAreClosedAgain) {
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
TEST_F(PageStore, APageThatIsOpenedShowsWhatItIs) {
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
TEST_F(PageStore, AFaultIsAtItsInstruction) {
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
TEST_F(PageStore, AReadFarFromAnyBlockIsSaidToBeOfAProgramThatReadsAll) {
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

TEST_F(PageStore, ATransferOfMoreThanThereIsEndsWithTheSpace) {
  open();
  unsigned char *const p = alloc(page_size());
  for (size_t const size : {page_size() + 1, SIZE_MAX / 2, SIZE_MAX - 100, SIZE_MAX}) {
    EXPECT_TRUE(rf_page_store_report_transfer(store_, p, size, RF_ACCESS_WRITE, &origin_)) << size;
    std::vector<rf_finding> const found = recorder_.take();
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].address, reinterpret_cast<uintptr_t>(p) + page_size());
  }
  EXPECT_FALSE(rf_page_store_report_transfer(store_, p, page_size(), RF_ACCESS_WRITE, &origin_));
}

// A use of a freed block opens its page for the program to go on. Whoever has all locks, as a handler of fork, closes
// none.
TEST_F(PageStore, AZeroedBlockIsZeroWhereAFreedOneWasUsed) {
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

TEST_F(PageStore, AStoreOfFewBlocksGivesUpFreedOnesForNewOnes) {
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

// In a process of their own, where no other test was: mappings are counted by process, and ended stores kept.
void begin_anew() {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
}

[[noreturn]] void exit_with(bool well) {
  _exit(well ? 0 : 1);
}

TEST_F(PageStore, AStoreOfFewBlocksMayHaveAThousandMappings) {
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
TEST_F(PageStore, OtherStoresMayHaveWhatTheKernelLeaves) {
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

TEST_F(PageStore, TheLimitOfMappingsIsToldOnce) {
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

TEST_F(PageStore, AQuarterOfTheMemoryIsItsShare) {
  uint64_t const pages = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES));
  auto const machine = static_cast<size_t>(std::min<uint64_t>(pages * page_size(), SIZE_MAX));
  EXPECT_EQ(rf_page_memory_share(), std::min(machine, rf_page_group_limit("/proc/self/cgroup", "/sys/fs/cgroup")) / 4);
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

TEST_F(PageStore, ThereIsNoneWithoutMemoryForItsTable) {
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

size_t mapped_pages() {
  char text[64] = "";
  int const fd = ::open("/proc/self/statm", O_RDONLY);
  ssize_t const size = read(fd, text, sizeof text - 1);
  ::close(fd);
  return size > 0 ? strtoul(text, nullptr, 10) : 0;
}

TEST_F(PageStore, ReservesNothingWithoutMemoryForItsRecords) {
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
TEST_F(PageStore, ARangeIsOpenedAsAWholeOrNotAtAll) {
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
TEST_F(PageStore, TakesHalfASpaceWhereThereIsNoneWhole) {
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
TEST_F(PageStore, ABlockWhosePagesCannotBeOpenedCountsForNothing) {
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
TEST_F(PageStore, AZeroedBlockIsZeroWhereSeveralFreedOnesWere) {
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

TEST_F(PageStore, KeepsTheMemoryOfBlocksThatFitAPage) {
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
TEST_F(PageStore, APageIsCleanUnlessItsMemoryWasKept) {
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

// ---- Inside of itself ----

TEST_F(PageStore, AFreeByTheWrongCallNamesTheBlock) {
  open();
  unsigned char *const p = alloc(10);
  rf_page_block freed;
  EXPECT_EQ(rf_page_store_free(store_, p, RF_FAMILY_NEW, SIZE_MAX, &origin_, &freed), RF_OK);
  std::vector<rf_finding> const found = recorder_.take();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].bug, RF_BUG_DEALLOC_MISMATCH);
  EXPECT_EQ(found[0].address, reinterpret_cast<uintptr_t>(p));
  EXPECT_EQ(found[0].block, reinterpret_cast<uintptr_t>(p));
  EXPECT_EQ(found[0].size, 10U);
}

// A signal handler that interrupted its own thread in there gets nothing new; its frees are counted later, in order.
TEST_F(PageStore, WhoInterruptedItFreesAndDoesWithoutTheRest) {
  open();
  unsigned char *const p = alloc(10);
  unsigned char *const q = alloc(20);
  unsigned char *const r = alloc(30);
  rf_page_mask mask;
  ASSERT_TRUE(rf_page_enter(store_, &mask));
  rf_page_mask nested;
  EXPECT_FALSE(rf_page_enter(store_, &nested));
  EXPECT_EQ(alloc(1), nullptr);
  EXPECT_EQ(rf_page_store_resize(store_, p, 11, &origin_), RF_ERR_NO_MEMORY);
  EXPECT_EQ(free(q), RF_OK);
  EXPECT_EQ(free(p), RF_OK);
  EXPECT_EQ(store_->counters.blocks, 3U);
  EXPECT_EQ(store_->declined, 1U);
  rf_page_leave(store_, &mask);
  (void)peek(q);
  EXPECT_EQ(recorder_.take().size(), 1U) << "closed at once";
  EXPECT_EQ(free(r), RF_OK);
  check(store_);
  EXPECT_EQ(figures().closed_blocks, 3U);
  EXPECT_EQ(store_->oldest->block, reinterpret_cast<uintptr_t>(q));
  EXPECT_EQ(store_->oldest->next->block, reinterpret_cast<uintptr_t>(p));
  EXPECT_EQ(store_->newest->block, reinterpret_cast<uintptr_t>(r));
}

// As in a handler that forks, in which a thread has all locks, one of them twice.
TEST_F(PageStore, WhoInterruptedItMayFork) {
  open();
  unsigned char *const p = alloc(10);
  rf_page_mask mask;
  rf_page_mask nested;
  ASSERT_TRUE(rf_page_enter(store_, &mask));
  rf_page_lock_all();
  EXPECT_FALSE(rf_page_enter(store_, &nested));
  rf_page_unlock_all();
  EXPECT_FALSE(rf_page_enter(store_, &nested)) << "it has the lock yet";
  rf_page_leave(store_, &mask);
  EXPECT_EQ(free(p), RF_OK);
  check(store_);
}

TEST_F(PageStore, WhoHasAllLocksMayCallIt) {
  open();
  rf_page_lock_all();
  unsigned char *const p = alloc(10);
  EXPECT_NE(p, nullptr);
  EXPECT_EQ(free(p), RF_OK);
  EXPECT_EQ(figures().closed_blocks, 1U);
  rf_page_unlock_all();
  check(store_);
  EXPECT_NE(alloc(10), nullptr);
}

// True once the thread waits in the kernel.
bool sleeps(pid_t thread) {
  std::ifstream stat("/proc/self/task/" + std::to_string(thread) + "/stat");
  std::string number;
  std::string name;
  char state = 0;
  stat >> number >> name >> state;
  return state == 'S';
}

TEST_F(PageStore, WhoWaitsForAllLocksLeavesTheMaskOfWhoHasThem) {
  sigset_t before;
  sigset_t after;
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, nullptr, &before), 0);
  open();
  rf_page_lock_all();
  std::atomic<pid_t> thread{0};
  std::thread other([&] {
    sigset_t all;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, nullptr);
    thread = static_cast<pid_t>(syscall(SYS_gettid));
    rf_page_lock_all();
    rf_page_unlock_all();
    sigset_t own;
    (void)pthread_sigmask(SIG_SETMASK, nullptr, &own);
    EXPECT_EQ(sigismember(&own, SIGTERM), 1);
  });
  while (thread == 0 || !sleeps(thread)) {
    std::this_thread::yield();
  }
  rf_page_unlock_all();
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, nullptr, &after), 0);
  other.join();
  EXPECT_EQ(sigismember(&before, SIGTERM), 0);
  EXPECT_EQ(sigismember(&after, SIGTERM), 0) << "it is not the mask of the other thread";
}

#ifdef __x86_64__

struct {
  rf_page_store *store;
  unsigned steps;
  unsigned served;
  unsigned wrong;
} interrupted;

// Between any two instructions: a block of two pages, and its free.
void on_step(int /*signal*/) {
  rf_page_request const request = {2 * page_size(), 1, 0, nullptr, RF_FAMILY_MALLOC, false, nullptr};
  rf_origin const origin = {};
  rf_page_block freed;
  interrupted.steps++;
  void *const p = rf_page_store_alloc(interrupted.store, &request, &origin);
  if (p != nullptr) {
    interrupted.served++;
    bool const well = rf_page_store_free(interrupted.store, p, RF_FAMILY_MALLOC, SIZE_MAX, &origin, &freed) == RF_OK &&
                      freed.ptr == p && freed.size == request.size;
    interrupted.wrong += well ? 0 : 1;
  }
}

using ringfence_test::set_stepping;

// Without a quarantine a freed block's place is the next one's at once.
TEST_F(PageStore, MayBeInterruptedAtEveryInstruction) {
  options_.slots = 0;
  options_.quarantine = 0;
  interrupted = {open(), 0, 0, 0};
  EXPECT_EQ(free(alloc(1)), RF_OK); // what comes once is done
  ASSERT_NE(signal(SIGTRAP, on_step), SIG_ERR);
  rf_page_request const request = {page_size(), 1, 0, nullptr, RF_FAMILY_NEW, false, this};
  rf_page_block freed;
  set_stepping(true);
  void *const p = rf_page_store_alloc(store_, &request, &origin_);
  rf_status const grown = rf_page_store_resize(store_, p, 3 * page_size(), &origin_);
  rf_status const shrunk = rf_page_store_resize(store_, p, page_size(), &origin_);
  rf_status const status = rf_page_store_free(store_, p, RF_FAMILY_NEW, SIZE_MAX, &origin_, &freed);
  set_stepping(false);
  ASSERT_NE(signal(SIGTRAP, SIG_DFL), SIG_ERR);
  EXPECT_TRUE(grown == RF_OK || grown == RF_ERR_NO_MEMORY);
  EXPECT_EQ(shrunk, RF_OK);
  EXPECT_EQ(status, RF_OK);
  EXPECT_EQ(freed.ptr, p);
  EXPECT_EQ(freed.size, page_size());
  EXPECT_EQ(freed.family, RF_FAMILY_NEW);
  EXPECT_EQ(freed.backing, this);
  EXPECT_GT(interrupted.served, 100U);
  EXPECT_LT(interrupted.served, interrupted.steps) << "none where a lock is held";
  EXPECT_EQ(interrupted.wrong, 0U);
  check(store_);
  EXPECT_EQ(figures().counters.blocks, 0U);
  EXPECT_EQ(recorder_.take().size(), 0U);
}

struct {
  const void *known;
  unsigned steps;
  unsigned wrong;
} bounded;

void look_whether_it_may_be(int /*signal*/) {
  bounded.steps++;
  bounded.wrong += rf_page_may_be(bounded.known) ? 0 : 1;
}

// Another space lies below those before: at no moment is the last byte of all outside of their bounds.
TEST_F(PageStore, ItsBoundsHoldEveryBlockWhileTheyGrow) {
  open();
  ASSERT_NE(alloc(1), nullptr);
  options_.slots = 0;
  open();
  bounded = {reinterpret_cast<void *>(rf_page_all.low + rf_page_all.size - 1), 0, 0};
  uintptr_t const low = rf_page_all.low;
  ASSERT_NE(signal(SIGTRAP, look_whether_it_may_be), SIG_ERR);
  set_stepping(true);
  bool const made = rf_page_store_reserve(store_);
  set_stepping(false);
  ASSERT_NE(signal(SIGTRAP, SIG_DFL), SIG_ERR);
  EXPECT_TRUE(made);
  EXPECT_LT(rf_page_all.low, low) << "else nothing was tried";
  EXPECT_GT(bounded.steps, 100U);
  EXPECT_EQ(bounded.wrong, 0U);
}

struct {
  rf_page_store *store;
  void *block;
  std::vector<size_t> sizes; // by serial
} changing;

// Between any two instructions, unless signals are held back: the block is freed, and its place another one's.
void change(int /*signal*/, siginfo_t * /*info*/, void *context) {
  if (sigismember(&static_cast<ucontext_t *>(context)->uc_sigmask, SIGUSR1) == 1) {
    return;
  }
  rf_origin const origin = {};
  rf_page_block block;
  (void)rf_page_store_free(changing.store, changing.block, RF_FAMILY_MALLOC, SIZE_MAX, &origin, &block);
  size_t const size = (changing.sizes.size() % 3 + 1) * page_size();
  rf_page_request const request = {size, 1, 0, nullptr, RF_FAMILY_MALLOC, false, nullptr};
  changing.block = rf_page_store_alloc(changing.store, &request, &origin);
  changing.sizes.push_back(size);
}

bool is_of_one_block(const rf_page_block *block, void *context) {
  ++*static_cast<unsigned *>(context);
  EXPECT_LT(block->serial, changing.sizes.size());
  EXPECT_EQ(block->size, changing.sizes[block->serial]);
  return true;
}

rf_slot *swept;
uint32_t lot = 1;

// A sweep on another thread looks at the block, or has just let go of it.
void sweep_or_not(int /*signal*/) {
  lot = lot * 1664525 + 1013904223;
  if (rf_slot_state_of(swept) != SLOT_HELD) {
    rf_slot_set_state(swept, lot >> 31 != 0 ? SLOT_SWEPT : SLOT_LIVE);
  }
}

TEST_F(PageStore, ABlockThatIsSweptMeanwhileIsWaitedFor) {
  open();
  unsigned char *const p = alloc(1);
  swept = rf_runs_slot(store_, reinterpret_cast<uintptr_t>(p));
  ASSERT_NE(swept, nullptr);
  ASSERT_NE(signal(SIGTRAP, sweep_or_not), SIG_ERR);
  for (int i = 0; i < 50; i++) {
    set_stepping(true);
    const rf_slot *const held = rf_page_hold(store_, p);
    set_stepping(false);
    EXPECT_EQ(held, swept) << i;
    rf_slot_set_state(swept, SLOT_LIVE);
  }
  ASSERT_NE(signal(SIGTRAP, SIG_DFL), SIG_ERR);
  EXPECT_EQ(free(p), RF_OK);
}

unsigned steps_left;

// Another thread's block is made, and live from some instruction on.
void finish(int /*signal*/) {
  if (steps_left-- == 0) {
    rf_slot_set_state(swept, SLOT_LIVE);
  }
}

TEST_F(PageStore, ABlockThatIsMadeMeanwhileIsNotClosedAgain) {
  open();
  unsigned char *const p = alloc(1);
  swept = rf_runs_slot(store_, reinterpret_cast<uintptr_t>(p));
  ASSERT_NE(swept, nullptr);
  ASSERT_NE(signal(SIGTRAP, finish), SIG_ERR);
  for (unsigned i = 0; i < 200; i++) {
    rf_slot_set_state(swept, SLOT_MAKING);
    store_->reopened[0] = rf_slot_open_start(swept);
    store_->reopened_count = 1; // a fault opened it for the block before
    steps_left = i;
    set_stepping(true);
    rf_page_reclose(store_);
    set_stepping(false);
    EXPECT_TRUE(rf_host_readable(p, 1)) << i;
    rf_slot_set_state(swept, SLOT_LIVE);
  }
  ASSERT_NE(signal(SIGTRAP, SIG_DFL), SIG_ERR);
  EXPECT_EQ(free(p), RF_OK);
}

TEST_F(PageStore, AWalkTellsOfOneBlockAtATime) {
  options_.slots = 0;
  options_.quarantine = 0;
  changing.store = open();
  changing.block = alloc(page_size());
  changing.sizes = {page_size()};
  changing.sizes.reserve(100000);
  struct sigaction action = {};
  action.sa_sigaction = change;
  action.sa_flags = SA_SIGINFO;
  ASSERT_EQ(sigaction(SIGTRAP, &action, nullptr), 0);
  unsigned visited = 0;
  set_stepping(true);
  rf_page_store_each(store_, is_of_one_block, &visited);
  set_stepping(false);
  ASSERT_NE(signal(SIGTRAP, SIG_DFL), SIG_ERR);
  EXPECT_GT(visited, 0U);
  EXPECT_GT(changing.sizes.size(), 50U);
  EXPECT_EQ(free(changing.block), RF_OK);
  check(store_);
}

#endif

// ---- Stores that come and go ----

size_t address_space() {
  size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * page_size();
}

// Blocks, descriptions, and tags of backing blocks.
TEST_F(PageStore, WhatEndedOnesHadIsGivenBackWhenTheyAreUsedAgain) {
  options_.backing = true;
  size_t before = 0;
  for (int cycle = 0; cycle < 30; cycle++) {
    static int backing;
    open();
    EXPECT_NE(alloc(100, &backing), nullptr);
    close();
    before = cycle == 9 ? address_space() : before;
  }
  EXPECT_LT(address_space(), before + 20 * page_size());
}

TEST_F(PageStore, AnEndedOneIsUsedAgainOnceFourOthersHaveEnded) {
  begin_anew();
  options_.owner = &options_;
  rf_page_store *stores[5];
  uintptr_t blocks[5];
  auto const run = [&] {
    for (int i = 0; i < 5; i++) {
      stores[i] = rf_page_store_open(&options_);
      store_ = stores[i];
      blocks[i] = reinterpret_cast<uintptr_t>(alloc(100));
    }
    bool well = rf_page_store_has_owner(&options_) && !rf_page_store_has_owner(this);
    for (int const i : {3, 0, 4, 1}) {
      rf_page_store_close(stores[i]);
    }
    rf_page_store *const sixth = rf_page_store_open(&options_);
    well = well && std::find(stores, stores + 5, sixth) == stores + 5;
    well = well && rf_page_fault(blocks[3], RF_ACCESS_READ, 0, nullptr) && recorder_.take().size() == 1;
    rf_page_store_close(stores[2]);
    well = well && rf_page_store_owns(stores[3], reinterpret_cast<void *>(blocks[3]));
    rf_page_store *const seventh = rf_page_store_open(&options_);
    well = well && seventh == stores[3] && !rf_page_store_owns(seventh, reinterpret_cast<void *>(blocks[3]));
    well = well && !rf_page_fault(blocks[3], RF_ACCESS_READ, 0, nullptr);
    well = well && rf_page_fault(blocks[0], RF_ACCESS_READ, 0, nullptr) && recorder_.take().size() == 1;
    rf_page_figures f;
    rf_page_store_figures(seventh, &f);
    well = well && f.counters.allocations == 0 && f.reserved_bytes == 0 && !seventh->ended;
    store_ = seventh;
    well = well && alloc(100) != nullptr;
    rf_page_store_close(sixth);
    rf_page_store_close(seventh);
    exit_with(well && !rf_page_store_has_owner(&options_));
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(0), "");
}

// ---- Backing blocks ----

class Backing : public PageStore {
protected:
  // A pointer whose place in the table is `place`, and whose tag tells `above`.
  void *pointer(uintptr_t place, uintptr_t above) const {
    uintptr_t const places = store_->tags_mask + 1;
    return reinterpret_cast<void *>((above * places + place) << RF_PAGE_BACKING_SHIFT);
  }

  uint16_t tag(uintptr_t place) const { return store_->tags[place]; }

  void *found(const void *backing) {
    rf_page_block block = {};
    return rf_page_store_backed_by(store_, backing, &block) ? block.ptr : nullptr;
  }

  void start(unsigned slots) {
    options_.slots = slots;
    options_.backing = true;
    options_.largest = page_size();
    open();
  }
};

TEST_F(Backing, HasSixtyFourPlacesForEachSlot) {
  for (auto const &[slots, places] : std::vector<std::pair<unsigned, size_t>>{
           {1, 4096}, {64, 4096}, {65, 8192}, {128, 8192}, {1000, 65536}, {40000, size_t{1} << 20}}) {
    start(slots);
    EXPECT_EQ(store_->tags_mask + 1, places) << slots;
  }
}

TEST_F(Backing, EachOfThoseThatShareAPlaceIsFound) {
  start(50);
  void *backing[] = {pointer(77, 1), pointer(77, 2), pointer(77, 3), pointer(78, 1)};
  void *blocks[4];
  for (int i = 0; i < 4; i++) {
    blocks[i] = alloc(10, backing[i]);
  }
  EXPECT_EQ(tag(77), UINT16_MAX) << "several";
  EXPECT_EQ(tag(78), 2U);
  EXPECT_EQ(tag(76), 0U);
  for (int i = 0; i < 4; i++) {
    EXPECT_EQ(found(backing[i]), blocks[i]);
    EXPECT_EQ(found(bytes(backing[i]) + 1), nullptr);
  }
  EXPECT_EQ(found(pointer(77, 4)), nullptr);
  EXPECT_EQ(found(pointer(78, 2)), nullptr);
  EXPECT_EQ(found(pointer(79, 1)), nullptr);
  EXPECT_EQ(free(blocks[1]), RF_OK);
  EXPECT_EQ(tag(77), UINT16_MAX) << "two are left";
  EXPECT_EQ(found(backing[1]), nullptr);
  EXPECT_EQ(free(blocks[0]), RF_OK);
  EXPECT_EQ(tag(77), 4U) << "the one that is left has it to itself";
  EXPECT_EQ(found(backing[2]), blocks[2]);
  EXPECT_EQ(free(blocks[2]), RF_OK);
  EXPECT_EQ(tag(77), 0U);
  EXPECT_EQ(free(blocks[3]), RF_OK);
  EXPECT_EQ(tag(78), 0U);
}

TEST_F(Backing, TagsDifferInEveryBitAndAreNeverThatOfNoneOrMany) {
  start(1);
  for (uintptr_t const above : {0, 1, 2, 4, 0x3FFF, 0x4000, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF}) {
    void *const p = alloc(1, pointer(5, above));
    EXPECT_EQ(tag(5), (above & 0x7FFF) + 1);
    EXPECT_EQ(found(pointer(5, above)), p);
    EXPECT_EQ(free(p), RF_OK);
  }
}

TEST_F(Backing, OneThatChangesLeavesItsPlaceToTheOther) {
  start(10);
  void *const p = alloc(10, pointer(9, 1));
  void *const q = alloc(10, pointer(9, 2));
  EXPECT_EQ(tag(9), UINT16_MAX);
  rf_page_store_set_backing(store_, p, pointer(10, 1));
  EXPECT_EQ(tag(9), 3U);
  rf_page_store_set_backing(store_, q, nullptr);
  EXPECT_EQ(tag(9), 0U);
  EXPECT_EQ(found(pointer(10, 1)), p);
}

TEST_F(Backing, MayChange) {
  start(10);
  void *const p = alloc(10);
  EXPECT_EQ(found(pointer(9, 9)), nullptr);
  rf_page_store_set_backing(store_, p, pointer(9, 9));
  EXPECT_EQ(found(pointer(9, 9)), p);
  rf_page_store_set_backing(store_, p, pointer(10, 9));
  EXPECT_EQ(found(pointer(9, 9)), nullptr);
  EXPECT_EQ(tag(9), 0U);
  EXPECT_EQ(found(pointer(10, 9)), p);
  rf_page_store_set_backing(store_, p, nullptr);
  EXPECT_EQ(tag(10), 0U);
  EXPECT_EQ(tag(0), 0U) << "none has no place";
  rf_page_store_set_backing(store_, bytes(p) + 1, pointer(11, 1));
  EXPECT_EQ(tag(11), 0U);
}

} // namespace
} // namespace ringfence
