// rf_page: accesses beside blocks and to freed ones, which are stopped; transfers that the system refuses; what a touch
// opened is closed again.
#include "tests/checkers/page_fixture.h"

#include <cstring>

namespace ringfence {
namespace {

class PageAccess : public PageTest {};

// ---- Beside a block ----

TEST_F(PageAccess, BlocksAlignedToMoreThanAPageAreWatchedOnBothSides) {
  for (size_t align = 2 * page_size(); align <= 16 * page_size(); align *= 2) {
    for (size_t const size : {size_t{1}, page_size(), 3 * page_size()}) {
      auto *const p = static_cast<volatile unsigned char *>(rf_aligned_alloc(a(), align, size));
      ASSERT_NE(p, nullptr) << align;
      EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % align, 0U);
      void *const block = const_cast<unsigned char *>(p);
      (void)p[-1];
      expect_block(take_one(), RF_BUG_BUFFER_UNDERFLOW, block, size, -1);
      size_t const behind = (size + page_size() - 1) / page_size() * page_size();
      (void)p[behind];
      expect_block(take_one(), RF_BUG_BUFFER_OVERFLOW, block, size, static_cast<ptrdiff_t>(behind));
      EXPECT_EQ(rf_free(a(), block), RF_OK);
      EXPECT_EQ(recorder_.count(), 0U);
    }
  }
}

TEST_F(PageAccess, ABlockOfNoBytesMayNotBeTouchedAtAll) {
  unsigned char *const p = bytes(rf_alloc(a(), 0));
  ASSERT_NE(p, nullptr);
  poke(p, 1);
  expect_block(take_one(), RF_BUG_BUFFER_OVERFLOW, p, 0, 0);
  EXPECT_EQ(rf_free(a(), p), RF_OK);
}

TEST_F(PageAccess, OnTheRightTheFirstByteBehindIsStopped) {
  start(RF_PAGE_RIGHT);
  for (size_t const size : {size_t{16}, size_t{4096}, size_t{10000} / 16 * 16}) {
    unsigned char *const p = bytes(rf_alloc(a(), size));
    (void)peek(p + size - 1);
    EXPECT_EQ(recorder_.count(), 0U);
    (void)peek(p + size);
    rf_finding const f = take_one();
    expect_block(f, RF_BUG_BUFFER_OVERFLOW, p, size, static_cast<ptrdiff_t>(size));
    EXPECT_TRUE(f.at_access);
    rf_free(a(), p);
  }
}

// Reads a byte at `at` where its unwind tables are wrong: they lead the unwinder to code at address 1.
#if defined(__x86_64__)
asm(R"(
  .text
  .type read_astray, @function
read_astray:
  .cfi_startproc
  push $1
  movzbl (%rdi), %eax
  pop %rdx
  ret
  .cfi_endproc
  .size read_astray, . - read_astray
)");
#elif defined(__i386__)
asm(R"(
  .text
  .type read_astray, @function
read_astray:
  .cfi_startproc
  mov 4(%esp), %eax
  push $1
  movzbl (%eax), %eax
  pop %edx
  ret
  .cfi_endproc
  .size read_astray, . - read_astray
)");
#endif

#if defined(__x86_64__) || defined(__i386__)
extern "C" int read_astray(const void *at);

TEST_F(PageAccess, AnUnwinderThatGoesAstrayCostsTheStackOnly) {
  start(RF_PAGE_RIGHT);
  unsigned char *const p = bytes(rf_alloc(a(), 16));
  for (int i = 0; i < 2; i++) {
    (void)read_astray(p + 16);
    rf_finding const f = take_one();
    expect_block(f, RF_BUG_BUFFER_OVERFLOW, p, 16, 16);
    EXPECT_GE(f.found.depth, 1U);
    rf_free(a(), rf_alloc(a(), 1)); // closes what that opened
  }
  rf_free(a(), p);
}
#endif

TEST_F(PageAccess, OnTheLeftTheLastByteBeforeIsStopped) {
  start(RF_PAGE_LEFT);
  unsigned char *const p = bytes(rf_alloc(a(), 40));
  poke(p - 1, 1);
  expect_block(take_one(), RF_BUG_BUFFER_UNDERFLOW, p, 40, -1);
  rf_free(a(), p);
}

TEST_F(PageAccess, ATouchFarBehindABlockIsStillThatBlocks) {
  start(RF_PAGE_RIGHT);
  unsigned char *const p = bytes(rf_alloc(a(), 160));
  size_t const far = sizeof(void *) == 8 ? 7 * page_size() : page_size() / 2;
  (void)peek(p + 160 + far);
  expect_block(take_one(), RF_BUG_BUFFER_OVERFLOW, p, 160, static_cast<ptrdiff_t>(160 + far));
  rf_free(a(), p);
}

TEST_F(PageAccess, TheNearerOfTwoNeighboursIsBlamed) {
  start(RF_PAGE_RIGHT);
  unsigned char *const p = bytes(rf_alloc(a(), 64));
  unsigned char *const q = bytes(rf_alloc(a(), 64));
  ASSERT_GT(q, p);
  poke(p + 64, 1);
  expect_block(take_one(), RF_BUG_BUFFER_OVERFLOW, p, 64, 64);
  rf_free(a(), rf_alloc(a(), 1)); // closes what that opened
  ptrdiff_t const before = static_cast<ptrdiff_t>(past_page(q)) + 1;
  poke(q - before, 1);
  expect_block(take_one(), RF_BUG_BUFFER_UNDERFLOW, q, 64, -before);
  rf_free(a(), p);
  rf_free(a(), q);
}

TEST_F(PageAccess, EverySlackByteIsChecked) {
  for (rf_page_side const side : {RF_PAGE_LEFT, RF_PAGE_RIGHT}) {
    start(side);
    for (size_t step = 0; step < 200; step++) {
      unsigned char *const p = bytes(rf_alloc(a(), 37));
      size_t const before = past_page(p);
      size_t const after = page_size() - before - 37;
      size_t const which = step * 41 % (before + after);
      ptrdiff_t const offset =
          which < before ? -1 - static_cast<ptrdiff_t>(which) : 37 + static_cast<ptrdiff_t>(which - before);
      poke(p + offset, 0x42);
      rf_fault where;
      EXPECT_EQ(rf_check(a(), &where), RF_ERR_CORRUPT);
      EXPECT_EQ(where.ptr, p + offset);
      EXPECT_EQ(rf_free(a(), p), RF_OK);
      rf_finding const f = take_one();
      expect_block(f, offset < 0 ? RF_BUG_BUFFER_UNDERFLOW : RF_BUG_BUFFER_OVERFLOW, p, 37, offset);
      EXPECT_EQ(f.access_size, 1U);
      EXPECT_FALSE(f.at_access);
      EXPECT_GT(f.window_size, 0U);
    }
  }
}

TEST_F(PageAccess, AnAccessOverManyPagesIsReportedPageByPage) {
  start(RF_PAGE_RIGHT);
  unsigned char *const p = bytes(rf_alloc(a(), 64));
  volatile unsigned char *const end = p + 64;
  size_t const pages = sizeof(void *) == 8 ? 6 : 1;
  for (size_t i = 0; i < pages * page_size(); i++) {
    end[i] = 1;
  }
  EXPECT_EQ(recorder_.take().size(), pages);
  rf_free(a(), p);
}

// The system stops at the first page that is closed, however far behind the start; so does the finding.
TEST_F(PageAccess, ATransferThatTheSystemRefusesIsBlamedOnTheFirstClosedByte) {
  start(RF_PAGE_RIGHT);
  size_t const size = 3 * page_size() + 100;
  unsigned char *const p = bytes(rf_alloc(a(), size));
  rf_origin const origin = {};
  for (size_t const from : {size_t{0}, size_t{5}, page_size(), size - 1}) {
    size_t const inside = size - from;
    EXPECT_FALSE(rf_page_store_report_transfer(page_.store, p + from, inside, inside, RF_ACCESS_WRITE, &origin));
    ASSERT_TRUE(
        rf_page_store_report_transfer(page_.store, p + from, inside + 50, inside + 50, RF_ACCESS_WRITE, &origin));
    rf_finding const f = take_one();
    expect_block(f, RF_BUG_BUFFER_OVERFLOW, p, size, f.offset);
    EXPECT_GE(f.offset, static_cast<ptrdiff_t>(size));
    EXPECT_LT(f.offset, static_cast<ptrdiff_t>(size) + RF_ALIGN_DEFAULT);
    EXPECT_EQ(f.address % page_size(), 0U);
    EXPECT_EQ(f.access, RF_ACCESS_WRITE);
    EXPECT_EQ(f.access_size, inside + 50 - (f.address - reinterpret_cast<uintptr_t>(p + from))) << "from there on";
  }
  EXPECT_EQ(rf_free(a(), p), RF_OK);
  for (size_t const asked : {1, 30, 0}) {
    EXPECT_TRUE(rf_page_store_report_transfer(page_.store, p + 7, 1, asked, RF_ACCESS_READ, &origin));
    rf_finding const f = take_one();
    expect_block(f, RF_BUG_USE_AFTER_FREE, p, size, 7);
    EXPECT_EQ(f.access_size, asked);
  }
}

TEST_F(PageAccess, WhatAFaultOpenedBehindALiveBlockIsClosedAgain) {
  start(RF_PAGE_RIGHT);
  for (size_t const size : {64, 0}) {
    unsigned char *const p = bytes(rf_alloc(a(), size));
    for (unsigned i = 0; i < 5; i++) {
      (void)peek(p + size);
      EXPECT_EQ(take_one().bug, RF_BUG_BUFFER_OVERFLOW) << size << ", " << i;
      rf_free(a(), rf_alloc(a(), 1));
    }
    rf_free(a(), p);
  }
}

// ---- Freed blocks ----

TEST_F(PageAccess, AReadOfAFreedBlockIsStoppedAndShowsItsFill) {
  unsigned char *const p = bytes(rf_alloc(a(), 100));
  std::memset(p, 0x41, 100);
  rf_free(a(), p);
  EXPECT_EQ(peek(p + 60), RF_PATTERN_FREED);
  rf_finding const f = take_one();
  expect_block(f, RF_BUG_USE_AFTER_FREE, p, 100, 60);
  EXPECT_TRUE(f.freed);
}

// strlen and its like read whole vectors, which begin before the block and end behind it.
TEST_F(PageAccess, ThePagesOfAFreedBlockAreFreedAsAWhole) {
  start(RF_PAGE_RIGHT);
  unsigned char *const p = bytes(rf_alloc(a(), 6));
  rf_free(a(), p);
  (void)peek(p - 16);
  expect_block(take_one(), RF_BUG_USE_AFTER_FREE, p, 6, -16);
  rf_free(a(), rf_alloc(a(), 1)); // closes what that opened
  (void)peek(p + 15);
  expect_block(take_one(), RF_BUG_USE_AFTER_FREE, p, 6, 15);
}

TEST_F(PageAccess, WhatAFaultOpenedIsClosedAgain) {
  unsigned char *const p = bytes(rf_alloc(a(), 100));
  rf_free(a(), p);
  for (unsigned i = 0; i < 40; i++) {
    (void)peek(p);
    EXPECT_EQ(take_one().bug, RF_BUG_USE_AFTER_FREE);
    rf_free(a(), rf_alloc(a(), 1));
  }
}

} // namespace
} // namespace ringfence
