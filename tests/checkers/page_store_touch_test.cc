// Touches of pages that a page store has closed: what is opened for the program to go on, and what is reported.
#include "tests/checkers/page_store_fixture.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace ringfence {
namespace {

using PageStoreTouch = PageStore;

// However many pages faults have opened, the next call closes them all.
TEST_F(PageStoreTouch, PagesThatWereOpenedForTheProgramAreClosedAgain) {
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

// Each of the threads that fault there at once has it opened, as do those that come back to it.
TEST_F(PageStoreTouch, APageThatManyFaultsOpenedStaysOpenForTheLast) {
  open();
  unsigned char *const p = alloc(page_size());
  const rf_slot *const s = rf_runs_slot(store_, reinterpret_cast<uintptr_t>(p));
  EXPECT_EQ(free(p), RF_OK);
  for (unsigned i = 0; i <= RF_PAGE_REOPENED; i++) {
    EXPECT_TRUE(rf_page_reopen(store_, s, reinterpret_cast<uintptr_t>(p)));
    EXPECT_TRUE(rf_host_readable(p, 1)) << i;
  }
}

// Zeros behind a block end a string; the bytes of a freed one are nobody's, but for the last one, which ends it, too.
TEST_F(PageStoreTouch, APageThatIsOpenedShowsWhatItIs) {
  open();
  unsigned char *const p = alloc(page_size());
  auto const address = reinterpret_cast<uintptr_t>(p);
  const rf_slot *const s = rf_runs_slot(store_, address);
  EXPECT_TRUE(rf_page_reopen(store_, s, address + page_size() + 7));
  EXPECT_EQ(std::count(p + page_size(), p + 2 * page_size(), 0), static_cast<ptrdiff_t>(page_size()));
  EXPECT_EQ(free(p), RF_OK);
  EXPECT_TRUE(rf_page_reopen(store_, s, address));
  EXPECT_EQ(std::count(p, p + page_size() - 1, RF_PATTERN_FREED), static_cast<ptrdiff_t>(page_size() - 1));
  EXPECT_EQ(p[page_size() - 1], 0);
  for (uintptr_t const gap : {address - page_size(), address + page_size()}) {
    EXPECT_TRUE(rf_page_reopen(store_, s, gap));
    auto const *const bytes = reinterpret_cast<unsigned char *>(gap);
    EXPECT_EQ(std::count(bytes, bytes + page_size(), 0), static_cast<ptrdiff_t>(page_size()));
  }
}

// The last byte of a page within a freed block ends nothing.
TEST_F(PageStoreTouch, AFreedBlockEndsAStringOnItsLastPageAlone) {
  open();
  unsigned char *const p = alloc(2 * page_size());
  const rf_slot *const s = rf_runs_slot(store_, reinterpret_cast<uintptr_t>(p));
  EXPECT_EQ(free(p), RF_OK);
  EXPECT_TRUE(rf_page_reopen(store_, s, reinterpret_cast<uintptr_t>(p)));
  EXPECT_TRUE(rf_page_reopen(store_, s, reinterpret_cast<uintptr_t>(p) + page_size()));
  EXPECT_EQ(p[page_size() - 1], RF_PATTERN_FREED);
  EXPECT_EQ(p[2 * page_size() - 1], 0);
}

// Between the fault and its handler another thread may have got the pages: it has written there.
TEST_F(PageStoreTouch, ABlockThatCameMeanwhileKeepsItsContents) {
  options_.slots = 1;
  open();
  unsigned char *const p = alloc(page_size());
  auto const address = reinterpret_cast<uintptr_t>(p);
  rf_slot *const s = rf_runs_slot(store_, address);
  memset(p, 0xab, page_size());
  EXPECT_TRUE(rf_page_reopen(store_, s, address));
  EXPECT_EQ(std::count(p, p + page_size(), 0xab), static_cast<ptrdiff_t>(page_size()));
  EXPECT_EQ(store_->reopened_count, 0U) << "it is open by right";
  EXPECT_TRUE(rf_page_fault(address, RF_ACCESS_READ, 0x123456, nullptr)) << "the instruction is done again";
  EXPECT_EQ(free(p), RF_OK);
  rf_slot_set_state(s, SLOT_MAKING);
  EXPECT_TRUE(rf_page_fault(address, RF_ACCESS_READ, 0x123456, nullptr));
  EXPECT_TRUE(rf_host_readable(p, page_size()));
  rf_slot_set_state(s, SLOT_FREED);
  EXPECT_TRUE(recorder_.take().empty());
}

// If the page of a live block is not to blame, the program's own handler is asked in the end.
TEST_F(PageStoreTouch, AnInstructionIsNotDoneAgainForEver) {
  open();
  auto const address = reinterpret_cast<uintptr_t>(alloc(page_size()));
  unsigned count = 0;
  while (count < 1000 && rf_page_fault(address, RF_ACCESS_READ, 0x123456, nullptr)) {
    count++;
  }
  EXPECT_GE(count, 8U);
  EXPECT_LT(count, 1000U);
}

// A page that another thread has opened meanwhile, however many of them there were.
TEST_F(PageStoreTouch, AnInstructionIsDoneAgainForEachPage) {
  options_.slots = 0;
  options_.largest = 0;
  open();
  for (unsigned i = 0; i < 200; i++) {
    auto const address = reinterpret_cast<uintptr_t>(alloc(page_size()));
    EXPECT_TRUE(rf_page_fault(address, RF_ACCESS_READ, 0x123456, nullptr)) << i;
  }
}

// Blocks may be many pages away: a wild index leads into the same space.
TEST_F(PageStoreTouch, AnAccessFarFromAllBlocksIsAboutTheNearest) {
  options_.slots = 4;
  options_.largest = 4096 * page_size();
  open();
  auto const address = reinterpret_cast<uintptr_t>(alloc(page_size()));
  EXPECT_TRUE(rf_page_fault(address + 3000 * page_size() + 5, RF_ACCESS_READ, 0x123456, nullptr));
  std::vector<rf_finding> const found = recorder_.take();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].bug, RF_BUG_BUFFER_OVERFLOW);
  EXPECT_EQ(found[0].block, address);
  EXPECT_EQ(found[0].offset, static_cast<ptrdiff_t>(3000 * page_size() + 5));
}

// The place of a fault is the instruction itself, and what names frames looks before a return address.
TEST_F(PageStoreTouch, AFaultIsAtItsInstruction) {
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
TEST_F(PageStoreTouch, AReadFarFromAnyBlockIsSaidToBeOfAProgramThatReadsAll) {
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

TEST_F(PageStoreTouch, ATransferOfMoreThanThereIsEndsWithTheSpace) {
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

} // namespace
} // namespace ringfence
