// uC/GUI's dynamic memory: code written for it and for emWin runs as it is; what is refused; other memory.
#include "ucgui_app.h"

#include "GUI.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <climits>
#include <cstring>
#include <sys/mman.h>
#include <vector>

#include "tests/core/recorder.h"
#include "tests/core/unwatched.h"

namespace {

// These tests read behind and damage what belongs to the heaps, as those of the other system do.
Unwatched const unwatched_here;

class UcGui : public testing::Test {
protected:
  ringfence::testing::FaultRecorder faults_;

  UcGui() { GUI_ALLOC_Init(); }
  ~UcGui() override {
    EXPECT_EQ(rf_handle_check(rf_ucgui_handles(), nullptr), RF_OK);
    EXPECT_TRUE(faults_.faults().empty());
    GUI_ALLOC_Exit();
  }
  rf_status fault() { return faults_.take(); }
};

TEST_F(UcGui, CodeWrittenForItRunsAsItIs) {
  EXPECT_EQ(0, ucgui_functions());
  EXPECT_EQ(0, ucgui_macros());
  EXPECT_EQ(0, ucgui_sizes());
  EXPECT_EQ(0, ucgui_compaction());
  EXPECT_EQ(0, ucgui_free_and_zero());
  EXPECT_EQ(0, ucgui_figures());
}

TEST_F(UcGui, CodeWrittenForEmWinRunsAsItIs) {
  EXPECT_EQ(0, emwin_kinds_of_allocation());
  EXPECT_EQ(0, emwin_locks());
  EXPECT_EQ(0, emwin_own_memory());
  EXPECT_EQ(0, emwin_windows());
}

TEST_F(UcGui, TheFirstCallBeginsTheHeap) {
  GUI_ALLOC_Exit();
  EXPECT_EQ(GUI_ALLOC_Alloc(10), 1);
  GUI_ALLOC_Exit();
  GUI_ALLOC_Exit();
  EXPECT_EQ(GUI_ALLOC_Alloc(10), 1);
}

TEST_F(UcGui, AStaleHandleIsRefused) {
  GUI_HMEM const a = GUI_ALLOC_Alloc(10);
  GUI_ALLOC_Free(a);
  GUI_ALLOC_Free(a);
  EXPECT_EQ(fault(), RF_ERR_NOT_ALLOCATED);
  GUI_HMEM const b = GUI_ALLOC_Alloc(10);
  EXPECT_NE(a, b);
  EXPECT_GT(b, 0);
  EXPECT_EQ(GUI_ALLOC_h2p(a), nullptr);
  EXPECT_EQ(fault(), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(GUI_ALLOC_Realloc(a, 4), 0);
  EXPECT_EQ(fault(), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(GUI_ALLOC_h2p(-5), nullptr);
  EXPECT_EQ(fault(), RF_ERR_INVALID);
}

TEST_F(UcGui, AnUnlockOfWhatIsNotLockedIsRefused) {
  GUI_HMEM const a = GUI_ALLOC_Alloc(10);
  void *p = GUI_ALLOC_h2p(a);
  GUI_ALLOC_UnlockH(&p);
  EXPECT_EQ(p, nullptr);
  EXPECT_EQ(fault(), RF_ERR_INVALID);
  int other = 0;
  p = &other;
  GUI_ALLOC_UnlockH(&p);
  EXPECT_EQ(fault(), RF_ERR_BAD_POINTER);
  GUI_ALLOC_Unlock();
  EXPECT_EQ(fault(), RF_ERR_INVALID);
}

TEST_F(UcGui, AFixedBlockStaysWhereItIs) {
  GUI_HMEM const below = GUI_ALLOC_Alloc(1000);
  auto *const fixed = static_cast<U8 *>(GUI_ALLOC_GetFixedBlock(500));
  ASSERT_NE(fixed, nullptr);
  EXPECT_EQ(fixed[0] + fixed[499], 0);
  memset(fixed, 7, 500);
  GUI_ALLOC_Free(below);
  EXPECT_NE(GUI_ALLOC_Alloc(GUI_ALLOC_GetMaxSize()), 0); // slides what may slide
  EXPECT_EQ(GUI_ALLOC_h2p(GUI_ALLOC_p2h(fixed)), fixed);
  EXPECT_EQ(fixed[0] + fixed[499], 14);
  int const blocks = GUI_ALLOC_GetNumUsedBlocks();
  GUI_ALLOC_FreeFixedBlock(fixed);
  EXPECT_EQ(GUI_ALLOC_GetNumUsedBlocks(), blocks - 1);
  GUI_ALLOC_FreeFixedBlock(nullptr);
  GUI_ALLOC_FreeFixedBlock(fixed);
  EXPECT_EQ(fault(), RF_ERR_BAD_POINTER);
  GUI_HMEM const loose = GUI_ALLOC_Alloc(10);
  GUI_ALLOC_FreeFixedBlock(GUI_ALLOC_h2p(loose));
  EXPECT_EQ(fault(), RF_ERR_INVALID);
  EXPECT_EQ(GUI_ALLOC_GetSize(loose), 10);
  EXPECT_EQ(GUI_ALLOC_GetFixedBlock(0), nullptr);
  EXPECT_EQ(GUI_ALLOC_GetFixedBlock(GUI_ALLOC_SIZE), nullptr);
}

TEST_F(UcGui, ARequestIsToTakeSoManyPercent) {
  EXPECT_EQ(GUI_ALLOC_RequestSize(), GUI_ALLOC_GetMaxSize());
  EXPECT_EQ(GUI_ALLOC_SetMaxPercentage(80), 100);
  EXPECT_EQ(GUI_ALLOC_RequestSize(), GUI_ALLOC_GetMaxSize() * 8 / 10);
  EXPECT_NE(GUI_ALLOC_Alloc(GUI_ALLOC_RequestSize()), 0);
  EXPECT_EQ(GUI_ALLOC_SetMaxPercentage(1), 80);
  EXPECT_EQ(GUI_ALLOC_RequestSize(), GUI_ALLOC_GetMaxSize() / 100);
  EXPECT_EQ(GUI_ALLOC_SetMaxPercentage(80), 1);
  EXPECT_EQ(GUI_ALLOC_SetMaxPercentage(0), 80);
  EXPECT_EQ(GUI_ALLOC_SetMaxPercentage(101), 80);
  EXPECT_EQ(GUI_ALLOC_SetMaxPercentage(100), 80);
  EXPECT_EQ(GUI_ALLOC_RequestSize(), GUI_ALLOC_GetMaxSize());
}

TEST_F(UcGui, MemoryInUseIsNotReplaced) {
  static U32 other[1000];
  GUI_HMEM const a = GUI_ALLOC_Alloc(10);
  GUI_ALLOC_AssignMemory(other, sizeof other);
  EXPECT_EQ(fault(), RF_ERR_BUSY);
  EXPECT_EQ(GUI_ALLOC_GetSize(a), 10);
  GUI_ALLOC_SetAvBlockSize(100);
  EXPECT_EQ(fault(), RF_ERR_BUSY);
  EXPECT_EQ(GUI_ALLOC_GetSize(a), 10);
}

TEST_F(UcGui, MemoryThatIsTooSmallServesNothing) {
  U32 tiny[2];
  GUI_ALLOC_Exit();
  GUI_ALLOC_AssignMemory(tiny, sizeof tiny);
  GUI_ALLOC_Init();
  EXPECT_EQ(GUI_ALLOC_Alloc(1), 0);
  EXPECT_EQ(GUI_ALLOC_Realloc(1, 1), 0);
  EXPECT_EQ(GUI_ALLOC_h2p(1), nullptr);
  EXPECT_EQ(GUI_ALLOC_LockH(1), nullptr);
  EXPECT_EQ(GUI_ALLOC_GetNumFreeBytes(), 0);
  EXPECT_EQ(GUI_ALLOC_GetSize(1), 0);
  GUI_ALLOC_Free(1);
  GUI_ALLOC_Exit();
}

TEST_F(UcGui, AHandleWhoseFreeWasRefusedIsKept) {
  GUI_HMEM handles[] = {GUI_ALLOC_Alloc(10), GUI_ALLOC_Alloc(10), 0};
  GUI_HMEM const locked = handles[0];
  void *p = GUI_ALLOC_LockH(locked);
  GUI_ALLOC_FreePtr(&handles[0]);
  EXPECT_EQ(fault(), RF_ERR_BUSY);
  EXPECT_EQ(handles[0], locked);
  GUI_ALLOC_FreePtrArray(handles, 3);
  EXPECT_EQ(fault(), RF_ERR_BUSY);
  EXPECT_EQ(handles[0], locked);
  EXPECT_EQ(handles[1], 0);
  GUI_ALLOC_UnlockH(&p);
  GUI_ALLOC_FreePtr(&handles[0]);
  EXPECT_EQ(handles[0], 0);
}

bool free_one(void *handle, unsigned, size_t needed) {
  EXPECT_EQ(needed, 12000U);
  GUI_ALLOC_FreePtr(static_cast<GUI_HMEM *>(handle));
  return true;
}

TEST_F(UcGui, ShortnessOfMemoryIsTold) {
  GUI_HMEM cache = GUI_ALLOC_Alloc(6000);
  rf_ucgui_on_short(free_one, &cache);
  EXPECT_NE(GUI_ALLOC_Alloc(12000), 0);
  EXPECT_EQ(cache, 0);
  GUI_ALLOC_Init();
  cache = GUI_ALLOC_Alloc(6000);
  EXPECT_NE(GUI_ALLOC_Alloc(12000), 0) << "of the heap that began anew, too";
  EXPECT_EQ(cache, 0);
  rf_ucgui_on_short(nullptr, nullptr);
}

TEST_F(UcGui, TheFiguresAreReadInTheirStruct) {
  GUI_ALLOC_Init();
  int const all_blocks = GUI_ALLOC.NumFreeBlocks;
  int const all_bytes = GUI_ALLOC.NumFreeBytes;
  GUI_HMEM h = GUI_ALLOC_AllocZero(100);
  EXPECT_EQ(1, GUI_ALLOC.NumUsedBlocks);
  EXPECT_EQ(all_blocks - 1, GUI_ALLOC.NumFreeBlocks);
  EXPECT_EQ(GUI_ALLOC_GetNumUsedBytes(), GUI_ALLOC.NumUsedBytes);
  EXPECT_EQ(GUI_ALLOC_GetNumFreeBytes(), GUI_ALLOC.NumFreeBytes);
  int const least = GUI_ALLOC.NumFreeBytes;
  GUI_ALLOC_FreePtr(&h);
  EXPECT_EQ(all_bytes, GUI_ALLOC.NumFreeBytes);
  EXPECT_EQ(least, GUI_ALLOC.NumFreeBytesMin);
  EXPECT_EQ(all_blocks - 1, GUI_ALLOC.NumFreeBlocksMin);
}

TEST_F(UcGui, AnExitEndsAllThatWasSet) {
  EXPECT_EQ(100, GUI_ALLOC_SetMaxPercentage(50));
  EXPECT_EQ(50, GUI_ALLOC_SetMaxPercentage(0)); // is none
  GUI_ALLOC_Lock();
  GUI_ALLOC_SetAvBlockSize(1000);
  int const few = GUI_ALLOC_GetNumFreeBlocks();
  GUI_ALLOC_Exit();
  EXPECT_EQ(100, GUI_ALLOC_SetMaxPercentage(101));
  EXPECT_EQ(100, GUI_ALLOC_SetMaxPercentage(100));
  EXPECT_LT(few, GUI_ALLOC_GetNumFreeBlocks());
  GUI_ALLOC_Unlock();
  EXPECT_EQ(RF_ERR_INVALID, fault());
}

// A block that may not move while the heap is held is as any other afterwards.
TEST_F(UcGui, AReallocWhileTheHeapIsHeldLeavesNoLock) {
  GUI_HMEM const a = GUI_ALLOC_Alloc(10);
  GUI_ALLOC_Lock();
  EXPECT_EQ(a, GUI_ALLOC_Realloc(a, 100));
  GUI_HMEM const behind = GUI_ALLOC_Alloc(10);
  EXPECT_EQ(GUI_HMEM_NULL, GUI_ALLOC_Realloc(a, 200));
  GUI_ALLOC_Unlock();
  GUI_ALLOC_Free(a);
  EXPECT_EQ(RF_OK, fault());
  GUI_ALLOC_Free(behind);
  EXPECT_EQ(0, GUI_ALLOC_GetNumUsedBlocks());
}

// Held twice, it is held until it was let go of twice.
TEST_F(UcGui, HoldsNest) {
  GUI_HMEM const first = GUI_ALLOC_Alloc(1000);
  GUI_HMEM const a = GUI_ALLOC_Alloc(10);
  GUI_HMEM const behind = GUI_ALLOC_Alloc(10);
  GUI_ALLOC_Free(first);
  int const most = GUI_ALLOC_GetNumFreeBytes();
  GUI_ALLOC_Lock();
  GUI_ALLOC_Lock();
  const void *const at = GUI_ALLOC_h2p(a);
  EXPECT_EQ(GUI_HMEM_NULL, GUI_ALLOC_Realloc(a, 200));
  EXPECT_EQ(GUI_HMEM_NULL, GUI_ALLOC_Alloc(most));
  GUI_ALLOC_Unlock();
  EXPECT_EQ(GUI_HMEM_NULL, GUI_ALLOC_Realloc(a, 200));
  EXPECT_EQ(GUI_HMEM_NULL, GUI_ALLOC_Alloc(most));
  EXPECT_EQ(at, GUI_ALLOC_h2p(a));
  GUI_ALLOC_Unlock();
  EXPECT_EQ(a, GUI_ALLOC_Realloc(a, 200));
  GUI_ALLOC_Free(a);
  GUI_ALLOC_Free(behind);
}

TEST_F(UcGui, AReallocOfNothingIsZeroedAllOver) {
  GUI_HMEM const used = GUI_ALLOC_Alloc(12000);
  memset(GUI_ALLOC_h2p(used), 0xcc, 12000);
  GUI_ALLOC_Free(used);
  GUI_HMEM const a = GUI_ALLOC_Realloc(GUI_HMEM_NULL, 12000);
  const auto *const p = static_cast<const U8 *>(GUI_ALLOC_h2p(a));
  ASSERT_NE(p, nullptr);
  EXPECT_EQ(std::count(p, p + 12000, 0), 12000);
}

bool give_up(void *calls, unsigned, size_t) {
  ++*static_cast<int *>(calls);
  return false;
}

// The function that is asked for memory is the program's, not the heap's.
TEST_F(UcGui, AnExitForgetsNobodyWhoIsAsked) {
  int calls = 0;
  rf_ucgui_on_short(give_up, &calls);
  GUI_ALLOC_Exit();
  EXPECT_NE(GUI_HMEM_NULL, GUI_ALLOC_Alloc(6000));
  EXPECT_EQ(0, calls);
  EXPECT_EQ(GUI_HMEM_NULL, GUI_ALLOC_Alloc(12000));
  EXPECT_EQ(1, calls);
  rf_ucgui_on_short(nullptr, nullptr);
}

// Figures that are unsigned have no sign to lose.
TEST_F(UcGui, MemoryMayBeLargerThanTwoGibibytes) {
  if (sizeof(void *) == 4) {
    GTEST_SKIP() << "no room for so many";
  }
  size_t const size = size_t{3} << 30;
  void *const all = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(MAP_FAILED, all);
  GUI_ALLOC_Exit();
  GUI_ALLOC_SetAvBlockSize(1 << 20);
  GUI_ALLOC_AssignMemory(all, static_cast<uint32_t>(size));
  GUI_ALLOC_INFO info;
  GUI_ALLOC_GetMemInfo(&info);
  EXPECT_EQ(size, info.AllocSize);
  EXPECT_GT(info.FreeBytes, static_cast<uint32_t>(size - (size >> 10)));
  EXPECT_EQ(INT_MAX, GUI_ALLOC_GetNumFreeBytes());
  GUI_ALLOC_Exit();
  munmap(all, size);
}

TEST_F(UcGui, AHeapThatBeginsAnewIsNotHeld) {
  GUI_ALLOC_Lock();
  GUI_ALLOC_Init();
  GUI_ALLOC_Unlock();
  EXPECT_EQ(RF_ERR_INVALID, fault());
}

// A handle has a place in the table, so that fewer are there for larger blocks.
TEST_F(UcGui, TheAverageSizeOfBlocksSaysHowManyThereAre) {
  int const usual = GUI_ALLOC_GetNumFreeBlocks();
  GUI_ALLOC_SetAvBlockSize(2000);
  int const few = GUI_ALLOC_GetNumFreeBlocks();
  EXPECT_GT(few, 0);
  EXPECT_LE(few, 8);
  EXPECT_LT(few, usual);
  GUI_ALLOC_SetAvBlockSize(0);
  EXPECT_EQ(usual, GUI_ALLOC_GetNumFreeBlocks());
}

TEST_F(UcGui, FixedAndManagedBytesStayTheSameUntilTheLastHandleIsTaken) {
  GUI_ALLOC_INFO first;
  GUI_ALLOC_GetMemInfo(&first);
  EXPECT_EQ(first.AllocSize, first.TotalBytes + first.NumFixedBytes);
  GUI_HMEM odd = GUI_ALLOC_Alloc(29);
  GUI_ALLOC_INFO used;
  GUI_ALLOC_GetMemInfo(&used);
  EXPECT_EQ(32U, used.UsedBytes);
  EXPECT_EQ(first.NumFixedBytes, used.NumFixedBytes) << "what a block is rounded up by is used";
  EXPECT_EQ(used.TotalBytes - 32, used.FreeBytes);
  GUI_ALLOC_FreePtr(&odd);
  while (GUI_ALLOC_Alloc(8) != 0) {
  }
  GUI_ALLOC_INFO last;
  GUI_ALLOC_GetMemInfo(&last);
  EXPECT_EQ(0, GUI_ALLOC_GetNumFreeBlocks());
  EXPECT_EQ(0U, last.FreeBytes);
  EXPECT_EQ(first.TotalBytes, last.TotalBytes);
  EXPECT_EQ(first.NumFixedBytes, last.NumFixedBytes);
  EXPECT_LT(last.UsedBytes, last.TotalBytes) << "handles end before bytes do";
}

TEST_F(UcGui, ThePercentageOfALargeHeapDoesNotWrap) {
  size_t const size = size_t{64} << 20;
  void *const memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(MAP_FAILED, memory);
  GUI_ALLOC_AssignMemory(memory, static_cast<uint32_t>(size));
  EXPECT_EQ(GUI_ALLOC_GetMaxSize(), GUI_ALLOC_RequestSize());
  EXPECT_EQ(100, GUI_ALLOC_SetMaxPercentage(75));
  EXPECT_EQ(static_cast<int>(int64_t{GUI_ALLOC_GetMaxSize()} * 3 / 4), GUI_ALLOC_RequestSize());
  EXPECT_GT(GUI_ALLOC_RequestSize(), 32 << 20);
  GUI_ALLOC_Exit();
  munmap(memory, size);
}

TEST_F(UcGui, TheTypesOfTheTableHaveTheSizesOfTheManual) {
  EXPECT_EQ(2U, sizeof(tALLOCINT)); // 12500 bytes
  EXPECT_EQ(2U, sizeof(HANDLE));    // 392 blocks
  EXPECT_EQ(8U, sizeof(tBlock));
}

TEST_F(UcGui, TheNumbersAreThoseOfTheManual) {
  EXPECT_EQ(GUI_HMEM_NULL, 0);
  EXPECT_EQ(GUI_ALLOC_SIZE, 12500);
  EXPECT_EQ(GUI_BLOCK_ALIGN, 2);
  EXPECT_EQ(GUI_MAXBLOCKS, 392);
  EXPECT_EQ(GUI_ALLOC_AUTDEFRAG, 1);
}

} // namespace
