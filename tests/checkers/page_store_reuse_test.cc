// Pages of freed blocks in a page store serve new blocks: which pages, and their contents.
#include "tests/checkers/page_store_fixture.h"

#include <algorithm>
#include <cstring>

namespace ringfence {
namespace {

class PageStoreReuse : public PageStore {
protected:
  unsigned char *alloc_zeroed(size_t size) {
    rf_page_request const request = {size, 1, 0, nullptr, RF_FAMILY_MALLOC, true, nullptr};
    return bytes(rf_page_store_alloc(store_, &request, &origin_));
  }
};

TEST_F(PageStoreReuse, ABlockKnowsHowManyWereServedBeforeIt) {
  open();
  for (uint64_t i = 0; i < 3; i++) {
    rf_page_block found;
    unsigned char *const p = alloc(10);
    ASSERT_TRUE(rf_page_store_find(store_, p, &found));
    EXPECT_EQ(found.serial, i);
    EXPECT_EQ(free(p), RF_OK);
  }
}

// If access rights close its page, the memory of a freed block may stay for the next one.
TEST_F(PageStoreReuse, AZeroedBlockIsZeroWhereAKeptOneWas) {
  options_.slots = 1;
  options_.quarantine = SIZE_MAX;
  options_.keeps_pages = true;
  open();
  unsigned char *const p = alloc(100);
  memset(p, 0xab, 100);
  EXPECT_EQ(free(p), RF_OK);
  unsigned char *const again = alloc_zeroed(100);
  ASSERT_EQ(again, p);
  EXPECT_EQ(std::count(again, again + 100, 0), 100);
}

// A use of a freed block opens its page for the program to go on. Whoever has all locks, as a handler of fork, closes
// none.
TEST_F(PageStoreReuse, AZeroedBlockIsZeroWhereAFreedOneWasUsed) {
  options_.slots = 1;
  options_.quarantine = SIZE_MAX;
  open();
  unsigned char *const p = alloc(3 * page_size());
  EXPECT_EQ(free(p), RF_OK);
  auto const address = reinterpret_cast<uintptr_t>(p) + page_size();
  EXPECT_TRUE(rf_page_reopen(store_, rf_runs_slot(store_, address), address));
  EXPECT_EQ(p[page_size()], RF_PATTERN_FREED);
  rf_page_lock_all();
  unsigned char *const again = alloc_zeroed(3 * page_size());
  rf_page_unlock_all();
  ASSERT_EQ(again, p);
  EXPECT_EQ(std::count(again, again + 3 * page_size(), 0), static_cast<ptrdiff_t>(3 * page_size()));
}

// Pages of blocks that left the quarantine are somebody's run together with others.
TEST_F(PageStoreReuse, AZeroedBlockIsZeroWhereSeveralFreedOnesWere) {
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
  unsigned char *const all = alloc_zeroed(size);
  ASSERT_EQ(all, blocks[0]);
  EXPECT_EQ(std::count(all, all + size, 0), static_cast<ptrdiff_t>(size));
}

TEST_F(PageStoreReuse, KeepsTheMemoryOfBlocksThatFitAPage) {
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
TEST_F(PageStoreReuse, APageIsCleanUnlessItsMemoryWasKept) {
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

} // namespace
} // namespace ringfence
