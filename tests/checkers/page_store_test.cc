// The page store from inside: its address space adds up after whatever was done, and what no caller of the interface
// can see without millions of blocks; stores that come and go; blocks that stand behind others.
#include "tests/checkers/page_store_fixture.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <random>
#include <utility>
#include <vector>

namespace ringfence {
namespace {

// ---- Runs of pages ----

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
  EXPECT_EQ(rf_runs_nearest(store_, behind, UINT32_MAX), nullptr);
}

TEST_F(PageStore, TheNearestBlockIsLookedForInReach) {
  options_.slots = 0;
  open();
  unsigned char *const p = alloc(page_size());
  auto const at = reinterpret_cast<uintptr_t>(p);
  const rf_slot *const s = rf_runs_slot(store_, at);
  constexpr uint32_t reach = 500;
  ASSERT_NE(s, nullptr);
  EXPECT_EQ(rf_runs_slot(store_, at - 1), nullptr);
  EXPECT_EQ(rf_runs_slot(store_, at + page_size() - 1), s);
  EXPECT_EQ(rf_runs_slot(store_, at + page_size()), nullptr);
  EXPECT_EQ(rf_runs_nearest(store_, store_->spaces->start, reach), s);
  EXPECT_EQ(rf_runs_nearest(store_, at + reach * page_size(), reach), s);
  EXPECT_EQ(rf_runs_nearest(store_, at + (reach + 1) * page_size(), reach), nullptr);
  EXPECT_EQ(rf_runs_nearest(store_, at + (reach + 1) * page_size(), UINT32_MAX), s);
}

// A block that has grown has address space for as many pages again.
// The bytes after the table of owners are no entry of it.
TEST_F(PageStore, TheNearestBlockIsNotLookedForBehindTheLastPage) {
  open();
  unsigned char *const p = alloc(100);
  rf_space *const space = store_->spaces;
  uint32_t const pages = space->pages;
  uint32_t const number = space->owner[(reinterpret_cast<uintptr_t>(p) - space->start) / page_size()];
  ASSERT_NE(number, 0U);
  space->pages = pages / 2;
  space->owner[pages / 2] = number;
  EXPECT_EQ(rf_runs_nearest(store_, space->start + (pages / 2) * page_size() - 1, 500), nullptr);
  space->owner[pages / 2] = 0;
  space->pages = pages;
}

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

TEST_F(PageStore, BytesEverAskedForAreNoFewerThanWereThereAtOnce) {
  open();
  unsigned char *const p = alloc(page_size());
  EXPECT_EQ(rf_page_store_resize(store_, p, 2 * page_size(), &origin_), RF_OK);
  EXPECT_EQ(figures().bytes, 3 * page_size());
  EXPECT_EQ(figures().counters.peak, 2 * page_size());
}

// Bytes on the block's own page that are not the block's are looked at before they are.
TEST_F(PageStore, AResizeTellsOfDamageAndGoesOn) {
  options_.side = RF_PAGE_LEFT;
  open();
  unsigned char *const p = alloc(100);
  p[100] = 0x55;
  EXPECT_EQ(rf_page_store_resize(store_, p, 200, &origin_), RF_OK);
  std::vector<rf_finding> const found = recorder_.take();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].bug, RF_BUG_BUFFER_OVERFLOW);
  EXPECT_EQ(found[0].address, reinterpret_cast<uintptr_t>(p) + 100);
  rf_page_block block;
  EXPECT_TRUE(rf_page_store_find(store_, p, &block));
  EXPECT_EQ(block.size, 200U);
  check(store_);
}

TEST_F(PageStore, OnlyABlockIsResizedAndWhatWasOneIsKnown) {
  open();
  unsigned char *const p = alloc(100);
  EXPECT_FALSE(rf_page_store_is_freed(store_, p));
  EXPECT_EQ(rf_page_store_resize(store_, p + 1, 50, &origin_), RF_ERR_BAD_POINTER);
  EXPECT_EQ(recorder_.take().size(), 1U);
  EXPECT_EQ(free(p), RF_OK);
  EXPECT_TRUE(rf_page_store_is_freed(store_, p));
  EXPECT_FALSE(rf_page_store_is_freed(store_, p + 1));
  EXPECT_FALSE(rf_page_store_is_freed(store_, &origin_));
  EXPECT_EQ(rf_page_store_resize(store_, p, 50, &origin_), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(recorder_.take().size(), 1U);
}

TEST_F(PageStore, APointerToTheEndOfABlockIsBesideIt) {
  open();
  unsigned char *const p = alloc(100);
  for (size_t const offset : {size_t{1}, size_t{99}, size_t{100}}) {
    EXPECT_EQ(free(p + offset), RF_ERR_BAD_POINTER);
    std::vector<rf_finding> const found = recorder_.take();
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].offset, static_cast<ptrdiff_t>(offset));
    EXPECT_STREQ(found[0].detail, offset < 100 ? "the pointer is inside a block" : "the pointer is beside a block");
    EXPECT_EQ(found[0].cwe == 761, offset < 100);
  }
}

TEST_F(PageStore, ABlockOfNoBytesIsToldByItsAddress) {
  open();
  void *const p = alloc(0);
  rf_finding found = {};
  rf_page_store_tell_of(store_, p, &found);
  EXPECT_EQ(found.block, reinterpret_cast<uintptr_t>(p));
}

// As far as two of the widest gaps, to either side.
TEST_F(PageStore, APointerBesideABlockIsThatBlocksForSoManyPages) {
  options_.slots = 0;
  open();
  size_t const most = 2 * rf_page_gap(UINT32_MAX);
  std::vector<unsigned char *> blocks;
  while (blocks.size() < 4 * most) {
    blocks.push_back(alloc(100));
  }
  unsigned char *const p = blocks[2 * most];
  for (unsigned char *const other : blocks) {
    EXPECT_TRUE(other == p || free(other) == RF_OK);
  }
  rf_slot *const s = rf_page_live_at(store_, p);
  ASSERT_NE(s, nullptr);
  for (uint32_t page = 0; page < s->space->pages; page++) {
    s->space->owner[page] = page == s->first ? s->space->owner[page] : 0;
  }
  for (bool const above : {false, true}) {
    for (size_t const pages : {size_t{1}, most, most + 1}) {
      ptrdiff_t const offset = static_cast<ptrdiff_t>(pages * page_size()) * (above ? 1 : -1);
      EXPECT_EQ(free(p + offset), RF_ERR_BAD_POINTER);
      std::vector<rf_finding> const found = recorder_.take();
      ASSERT_EQ(found.size(), 1U);
      EXPECT_EQ(found[0].block == reinterpret_cast<uintptr_t>(p), pages <= most) << pages << " " << above;
    }
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

// With exact ends a block may stay where it is if it changes by whole pages: else its end would be in one.
TEST_F(PageStore, ABlockEndsAsWellAtAnotherSizeUnlessItsEndIsExact) {
  struct {
    rf_page_side side;
    bool by_bytes;
  } const cases[] = {{RF_PAGE_LEFT, true}, {RF_PAGE_RIGHT, true}, {RF_PAGE_EXACT, false}};
  for (auto const &c : cases) {
    options_.side = c.side;
    open();
    size_t const size = 3 * page_size();
    EXPECT_EQ(rf_page_store_ends_as_well(store_, size, size + 16), c.by_bytes) << c.side;
    EXPECT_EQ(rf_page_store_ends_as_well(store_, size, size - 16), c.by_bytes) << c.side;
    EXPECT_TRUE(rf_page_store_ends_as_well(store_, size, size + page_size())) << c.side;
    EXPECT_TRUE(rf_page_store_ends_as_well(store_, size, size - page_size())) << c.side;
  }
}

// Blocks of many pages have spaces of their own.
TEST_F(PageStore, ASweepComesToEverySpace) {
  options_.slots = 0;
  options_.largest = 0;
  open();
  size_t const sizes[] = {100, 40 * page_size() + 100};
  for (size_t const size : sizes) {
    alloc(size)[size] = 'x';
  }
  ASSERT_NE(store_->spaces->next, nullptr);
  EXPECT_EQ(rf_page_store_sweep(store_, 0, &origin_), 2U);
  EXPECT_EQ(recorder_.take().size(), 2U);
}

// ---- Few blocks ----

// The pages of such a store are closed by their rights, which the system may refuse to give back.
TEST_F(PageStore, ABlockWhosePagesCannotBeOpenedTakesNoSlot) {
  begin_anew();
  auto const run = [this] {
    rlimit const none = {page_size(), RLIM_INFINITY}; // to the kernel, 0 is none
    rlimit const any = {RLIM_INFINITY, RLIM_INFINITY};
    options_.slots = 2;
    options_.shows_pages = true;
    open();
    bool well = free(alloc(100)) == RF_OK;
    setrlimit(RLIMIT_DATA, &none);
    for (int i = 0; i < 4; i++) {
      well = alloc(100) == nullptr && well;
    }
    setrlimit(RLIMIT_DATA, &any);
    well = alloc(100) != nullptr && well;
    well = alloc(100) != nullptr && well;
    exit_with(well && alloc(100) == nullptr);
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(0), "");
}

// The page of the second block is kept, and leaves the quarantine when the run before it has: one hole takes in all.
TEST_F(PageStore, AZeroedBlockIsZeroWhereAKeptPageWasAmongOthers) {
  options_.slots = 3;
  options_.shows_pages = true;
  options_.keeps_pages = true;
  options_.quarantine = SIZE_MAX;
  open();
  unsigned char *const first = alloc(2 * page_size());
  unsigned char *const kept = alloc(100);
  unsigned char *const last = alloc(12 * page_size());
  ASSERT_TRUE(first < kept && kept < last);
  memset(kept, 'x', 100);
  for (unsigned char *const p : {first, kept, last}) {
    EXPECT_EQ(free(p), RF_OK);
  }
  for (int i = 0; i < 3; i++) { // each takes the place of one of them in the quarantine
    unsigned char *const other = alloc(30 * page_size());
    EXPECT_GT(other, last);
    EXPECT_EQ(free(other), RF_OK);
  }
  rf_page_request request = {};
  request.size = static_cast<size_t>(kept + page_size() - first);
  request.align = 1;
  request.zeroed = true;
  unsigned char *const p = bytes(rf_page_store_alloc(store_, &request, &origin_));
  ASSERT_EQ(p, first);
  EXPECT_EQ(std::count(p, p + request.size, 0), static_cast<ptrdiff_t>(request.size));
}

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
