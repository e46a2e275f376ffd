// Code for uC/GUI with a guard around its heap: the bugs that such code has are found, at their lines.
#include "GUI.h"

#include <ringfence/handle_guard.h>
#include <ringfence/track.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace {

std::vector<rf_finding> the_findings;
rf_handle_guard the_guard;

rf_action record(rf_reporter *, const rf_finding *f) {
  the_findings.push_back(*f);
  return RF_ACTION_CONTINUE;
}

rf_reporter the_reporter = {record, nullptr, 1, 0};

rf_handles *wrap(rf_handles *heap, void *) {
  rf_handle_guard_options options;
  rf_handle_guard_options_default(&options);
  options.quarantine = 2000;
  options.reporter = &the_reporter;
  EXPECT_EQ(rf_handle_guard_init(&the_guard, heap, &options), RF_OK);
  return &the_guard.base;
}

class UcGuiChecked : public testing::Test {
protected:
  UcGuiChecked() {
    the_findings.clear();
    GUI_ALLOC_Exit();
    rf_ucgui_wrap_set(wrap, nullptr);
    GUI_ALLOC_Init();
  }
  ~UcGuiChecked() override {
    GUI_ALLOC_Exit();
    EXPECT_TRUE(the_findings.empty());
    rf_ucgui_wrap_set(nullptr, nullptr);
  }
  static rf_finding take_one() {
    EXPECT_EQ(the_findings.size(), 1U);
    rf_finding const f = the_findings.empty() ? rf_finding{} : the_findings.back();
    the_findings.clear();
    return f;
  }
  static unsigned line_of(const rf_trace &trace) { return trace.site != nullptr ? trace.site->line : 0; }
};

TEST_F(UcGuiChecked, CorrectCodeIsSilent) {
  GUI_HMEM hText = GUI_ALLOC_AllocInit("text", 5);
  char *p = static_cast<char *>(GUI_LOCK_H(hText));
  GUI_HMEM hOther = GUI_ALLOC_AllocZero(100);
  EXPECT_STREQ(p, "text");
  GUI_UNLOCK_H(p);
  hText = GUI_ALLOC_Realloc(hText, 50);
  EXPECT_STREQ(static_cast<char *>(GUI_ALLOC_h2p(hText)), "text");
  GUI_ALLOC_Lock();
  p = static_cast<char *>(GUI_ALLOC_h2p(hText));
  GUI_HMEM hThird = GUI_ALLOC_AllocNoInit(10);
  EXPECT_EQ(p, GUI_ALLOC_h2p(hText)) << "nothing moves in between";
  GUI_ALLOC_Unlock();
  GUI_ALLOC_FreePtr(&hText);
  GUI_ALLOC_FreePtr(&hOther);
  GUI_ALLOC_Free(hThird);
  EXPECT_EQ(rf_handle_guard_sweep(&the_guard), 0U);
}

TEST_F(UcGuiChecked, AStaleHandleIsFoundAtItsLine) {
  GUI_HMEM const hMem = GUI_ALLOC_Alloc(10);
  GUI_ALLOC_Free(hMem);
  unsigned const here = __LINE__ + 1;
  EXPECT_EQ(GUI_ALLOC_h2p(hMem), nullptr);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_STALE_HANDLE);
  EXPECT_EQ(line_of(f.found), here);
  EXPECT_EQ(line_of(f.allocated), here - 3);
  EXPECT_EQ(line_of(f.released), here - 2);
}

TEST_F(UcGuiChecked, APointerKeptOverAnAllocationIsFound) {
  GUI_HMEM const hMem = GUI_ALLOC_Alloc(10);
  unsigned const here = __LINE__ + 1;
  auto *const p = static_cast<volatile U8 *>(GUI_ALLOC_LOCK(hMem));
  GUI_HMEM const hOther = GUI_ALLOC_Alloc(10);
#if !RF_TRACK_ASAN
  p[2] = 1;
  EXPECT_EQ(rf_handle_guard_sweep(&the_guard), 1U);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_USE_AFTER_MOVE);
  EXPECT_EQ(f.offset, 2);
  EXPECT_EQ(line_of(f.released), here);
#else
  EXPECT_DEATH(p[2] = 1, "use-after-poison");
  (void)here;
#endif
  GUI_ALLOC_Free(hMem);
  GUI_ALLOC_Free(hOther);
}

TEST_F(UcGuiChecked, AnUnlockTooManyIsFound) {
  GUI_HMEM const hMem = GUI_ALLOC_Alloc(10);
  void *p = GUI_LOCK_H(hMem);
  void *again = p;
  GUI_UNLOCK_H(p);
  GUI_UNLOCK_H(again);
  EXPECT_EQ(take_one().bug, RF_BUG_UNLOCK);
  GUI_ALLOC_Free(hMem);
}

TEST_F(UcGuiChecked, AnOverflowIsFound) {
  GUI_HMEM const hMem = GUI_ALLOC_Alloc(10);
  std::memset(GUI_ALLOC_h2p(hMem), 1, 11);
  GUI_ALLOC_Free(hMem);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_BUFFER_OVERFLOW);
  EXPECT_EQ(f.offset, 10);
}

// The block has a byte too much written to it and goes.
void expect_line(GUI_HMEM handle, unsigned line, int size) {
  ASSERT_NE(handle, GUI_HMEM_NULL);
  ASSERT_EQ(GUI_ALLOC_GetSize(handle), size);
  static_cast<volatile U8 *>(GUI_ALLOC_h2p(handle))[size] ^= 1;
  GUI_ALLOC_Free(handle);
  ASSERT_EQ(the_findings.size(), 1U);
  EXPECT_EQ(the_findings[0].bug, RF_BUG_BUFFER_OVERFLOW);
  ASSERT_NE(the_findings[0].allocated.site, nullptr);
  EXPECT_EQ(the_findings[0].allocated.site->line, line);
  the_findings.clear();
}

TEST_F(UcGuiChecked, EachCallThatAllocatesPassesItsPlaceOn) {
  expect_line(GUI_ALLOC_Alloc(10), __LINE__, 10);
  expect_line(GUI_ALLOC_AllocNoInit(11), __LINE__, 11);
  expect_line(GUI_ALLOC_AllocInit("text", 5), __LINE__, 5);
  expect_line(GUI_ALLOC_Realloc(0, 12), __LINE__, 12);
  expect_line(GUI_ALLOC_ALLOC(13), __LINE__, 13);
  for (int i = 0; i < 3; i++) { // in memory that was used
    GUI_HMEM const zeroed = GUI_ALLOC_AllocZero(3000);
    auto *const p = static_cast<U8 *>(GUI_ALLOC_h2p(zeroed));
    ASSERT_NE(p, nullptr);
    EXPECT_EQ(std::count(p, p + 3000, 0), 3000);
    std::memset(p, 1, 3000);
    expect_line(zeroed, __LINE__ - 5, 3000);
  }
}

TEST_F(UcGuiChecked, AHandleThatIsFreedByItsAddressIsNone) {
  GUI_HMEM handle = GUI_ALLOC_Alloc(10);
  GUI_ALLOC_FreePtr(&handle);
  EXPECT_EQ(handle, GUI_HMEM_NULL);
  EXPECT_EQ(GUI_ALLOC_GetNumUsedBlocks(), 0);
}

TEST_F(UcGuiChecked, AFixedBlockIsOneToTheCheckerToo) {
  unsigned const here = __LINE__ + 1;
  auto *const p = static_cast<volatile U8 *>(GUI_ALLOC_GetFixedBlock(20));
  ASSERT_NE(p, nullptr);
  p[20] = 1;
  GUI_ALLOC_FreeFixedBlock(const_cast<U8 *>(p));
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_BUFFER_OVERFLOW);
  EXPECT_EQ(line_of(f.allocated), here);
  EXPECT_EQ(line_of(f.found), here + 3);
  EXPECT_EQ(GUI_ALLOC_GetNumUsedBlocks(), 0);
}

TEST_F(UcGuiChecked, ANegativeSizeIsFound) {
  EXPECT_EQ(GUI_ALLOC_Alloc(-4), 0);
  EXPECT_EQ(take_one().bug, RF_BUG_SIZE_TOO_BIG);
  EXPECT_EQ(GUI_ALLOC_Alloc(0), 0);
}

TEST_F(UcGuiChecked, ALeakIsFoundAtTheEnd) {
  unsigned const here = __LINE__ + 1;
  (void)GUI_ALLOC_Alloc(10);
  GUI_ALLOC_Exit();
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_LEAK);
  EXPECT_EQ(line_of(f.allocated), here);
}

} // namespace
