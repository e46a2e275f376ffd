// The functions beside malloc and free: figures, usable sizes, other ways to memory that is freed.
#include <ringfence/lock.h>

#include "tests/compat/system_malloc_fixture.h"
#include "tests/core/held_mutexes.h"

#include <cstring>
#include <string>
#include <utility>

static bool g_in_interrupt;

extern "C" bool __wrap_rf_port_in_interrupt();
bool __wrap_rf_port_in_interrupt() {
  return g_in_interrupt;
}

namespace ringfence {
namespace {

#if RF_SYSTEM_MALLOC == RF_SYSTEM_FREERTOS
// However many decorators there are, the heap that they end in is the one that is asked.
TEST_F(SystemMalloc, TellsHowMuchOfTheInnermostHeapIsFree) {
  size_t const free_now = xPortGetFreeHeapSize();
  rf_lock locks[2];
  ASSERT_EQ(rf_lock_init(&locks[0], &guard_.base), RF_OK);
  ASSERT_EQ(rf_lock_init(&locks[1], &locks[0].base), RF_OK);
  rf_system_malloc_init(&locks[1].base, false);
  EXPECT_EQ(xPortGetFreeHeapSize(), free_now);
  EXPECT_EQ(xPortGetMinimumEverFreeHeapSize(), free_now);
  rf_system_malloc_init(&guard_.base, true);
}

TEST_F(SystemMalloc, TellsOfFreeBlocks) {
  HeapStats_t s;
  std::memset(&s, 0xFF, sizeof s);
  rf_system_malloc_init(nullptr, false);
  vPortGetHeapStats(&s);
  EXPECT_EQ(s.xAvailableHeapSpaceInBytes + s.xSizeOfLargestFreeBlockInBytes + s.xSizeOfSmallestFreeBlockInBytes +
                s.xNumberOfFreeBlocks + s.xMinimumEverFreeBytesRemaining + s.xNumberOfSuccessfulAllocations +
                s.xNumberOfSuccessfulFrees,
            0U);
  rf_lock lock;
  ASSERT_EQ(rf_lock_init(&lock, &heap_.base), RF_OK);
  rf_system_malloc_init(&lock.base, false);
  HeapStats_t before;
  vPortGetHeapStats(&before);
  EXPECT_EQ(before.xNumberOfFreeBlocks, 1U);
  EXPECT_EQ(before.xSizeOfSmallestFreeBlockInBytes, before.xSizeOfLargestFreeBlockInBytes);
  auto *const small = TAKE(100);
  auto *const last = TAKE(200);
  GIVE(small);
  vPortGetHeapStats(&s);
  EXPECT_EQ(s.xNumberOfFreeBlocks, 2U);
  EXPECT_GE(s.xSizeOfSmallestFreeBlockInBytes, 100U);
  EXPECT_LT(s.xSizeOfSmallestFreeBlockInBytes, 200U);
  EXPECT_GT(s.xSizeOfLargestFreeBlockInBytes, 4000U);
  EXPECT_LT(s.xSizeOfLargestFreeBlockInBytes, before.xSizeOfLargestFreeBlockInBytes - 200);
  EXPECT_EQ(s.xAvailableHeapSpaceInBytes, xPortGetFreeHeapSize());
  EXPECT_EQ(s.xMinimumEverFreeBytesRemaining, xPortGetMinimumEverFreeHeapSize());
  EXPECT_LT(s.xMinimumEverFreeBytesRemaining, s.xAvailableHeapSpaceInBytes);
  EXPECT_EQ(s.xNumberOfSuccessfulAllocations, before.xNumberOfSuccessfulAllocations + 2);
  EXPECT_EQ(s.xNumberOfSuccessfulFrees, before.xNumberOfSuccessfulFrees + 1);
  GIVE(last);
  rf_system_malloc_init(&guard_.base, true);
}

// Tasks allocate meanwhile: the heap is not looked at while one of them is inside of it.
TEST_F(SystemMalloc, LooksAtTheHeapAlone) {
  static std::vector<size_t> mutexes_held;
  rf_allocator_ops ops = {};
  ops.stats = [](rf_allocator *, rf_stats *out) {
    *out = {};
    out->capacity = 100;
    mutexes_held.push_back(held.size());
  };
  rf_allocator probe = {&ops};
  rf_lock lock;
  ASSERT_EQ(rf_lock_init(&lock, &probe), RF_OK);
  rf_system_malloc_init(&lock.base, false);
  EXPECT_EQ(xPortGetFreeHeapSize(), 100U);
  EXPECT_EQ(xPortGetMinimumEverFreeHeapSize(), 100U);
  ops.walk = [](rf_allocator *, rf_walk_fn, void *) {
    mutexes_held.push_back(held.size());
    return RF_OK;
  };
  HeapStats_t s;
  vPortGetHeapStats(&s);
  EXPECT_EQ(mutexes_held, (std::vector<size_t>{1, 1, 1, 1}));
  EXPECT_TRUE(held.empty());
  rf_system_malloc_init(&guard_.base, true);
}

// Counted anew, from what is in use then; what came before is in no figure.
TEST_F(SystemMalloc, TheLeastThatWasFreeCanBeSetAnew) {
  rf_system_malloc_init(&heap_.base, false);
  auto *const kept = TAKE(500);
  GIVE(TAKE(3000));
  size_t const least = xPortGetMinimumEverFreeHeapSize();
  xPortResetHeapMinimumEverFreeHeapSize();
  size_t const before = xPortGetFreeHeapSize();
  EXPECT_EQ(xPortGetMinimumEverFreeHeapSize(), before);
  EXPECT_GE(before, least + 2900);
  GIVE(ZEROED(100, 10));
  EXPECT_LE(xPortGetMinimumEverFreeHeapSize(), before - 1000);
  EXPECT_GE(xPortGetMinimumEverFreeHeapSize(), before - 1100);
  GIVE(TAKE(400));
  EXPECT_LE(xPortGetMinimumEverFreeHeapSize(), before - 1000) << "that was a smaller one";
  HeapStats_t s;
  vPortGetHeapStats(&s);
  EXPECT_EQ(s.xMinimumEverFreeBytesRemaining, xPortGetMinimumEverFreeHeapSize());
  xPortResetHeapMinimumEverFreeHeapSize();
  EXPECT_EQ(xPortGetMinimumEverFreeHeapSize(), before) << "once more";
  EXPECT_EQ(TAKE(100000), nullptr);
  GIVE(kept);
  rf_system_malloc_init(&heap_.base, false);
  EXPECT_LT(xPortGetMinimumEverFreeHeapSize(), before - 2900) << "an allocator that is set tells what it knows";
  rf_system_malloc_init(nullptr, false);
  xPortResetHeapMinimumEverFreeHeapSize();
  EXPECT_EQ(TAKE(8), nullptr);
  EXPECT_EQ(xPortGetMinimumEverFreeHeapSize(), 0U);
  rf_system_malloc_init(&guard_.base, true);
}

// A task that frees between a request and the look at what is in use would hide the request.
TEST_F(SystemMalloc, ARequestAndItsCountAreOneSectionOnceTheLeastIsSetAnew) {
  static std::vector<size_t> mutexes_held;
  rf_allocator_ops ops = {};
  ops.alloc = [](rf_allocator *, size_t, size_t, const rf_site *) {
    mutexes_held.push_back(held.size());
    return static_cast<void *>(nullptr);
  };
  ops.stats = [](rf_allocator *, rf_stats *out) {
    *out = {};
    mutexes_held.push_back(held.size());
  };
  rf_allocator probe = {&ops};
  rf_system_malloc_init(&probe, false);
  EXPECT_EQ(TAKE(8), nullptr);
  EXPECT_EQ(mutexes_held, (std::vector<size_t>{0}));
  mutexes_held.clear();
  xPortResetHeapMinimumEverFreeHeapSize();
  EXPECT_EQ(TAKE(8), nullptr);
  EXPECT_EQ(mutexes_held, (std::vector<size_t>{1, 1, 1}));
  EXPECT_TRUE(held.empty());
  rf_system_malloc_init(&guard_.base, true);
}

std::vector<std::pair<void *, size_t>> g_regions;

// heap_5.c's; the last one has no size.
TEST_F(SystemMalloc, TellsTheProgramOfEachRegion) {
  uint8_t first[10];
  uint8_t second[20];
  HeapRegion_t const regions[] = {{first, 10}, {second, 20}, {nullptr, 0}, {first, 5}};
  vPortDefineHeapRegions(regions);
  EXPECT_EQ(g_regions, (std::vector<std::pair<void *, size_t>>{{first, 10}, {second, 20}}));
  g_regions.clear();
}

// Blocks live on.
TEST_F(SystemMalloc, HasTheCallsWithWhichOtherHeapsBegin) {
  auto *const p = TAKE(20);
  vPortInitialiseBlocks();
  vPortHeapResetState();
  EXPECT_EQ(rf_usable_size(&guard_.base, p), 20U);
  GIVE(p);
}

// The most that was in use had little beside it, as one block; many small ones have much.
TEST_F(SystemMalloc, TheLeastThatWasFreeIsNoMoreThanThereIs) {
  std::vector<void *> blocks = {TAKE(6000)};
  ASSERT_NE(blocks[0], nullptr);
  GIVE(blocks[0]);
  blocks.clear();
  for (void *p = TAKE(1); p != nullptr; p = TAKE(1)) {
    blocks.push_back(p);
  }
  EXPECT_LE(xPortGetFreeHeapSize(), sizeof arena_);
  EXPECT_LE(xPortGetMinimumEverFreeHeapSize(), sizeof arena_);
  for (void *const p : blocks) {
    GIVE(p);
  }
}
#endif

#if RF_SYSTEM_MALLOC != RF_SYSTEM_WRAP
// Ports for systems let it take none, and what was interrupted may have locked the one for the figures.
TEST_F(SystemMalloc, TakesAndGivesBackNoMutexInAnInterrupt) {
  rf_system_malloc_init(&heap_.base, false);
  auto const look = [] {
#if RF_SYSTEM_MALLOC == RF_SYSTEM_FREERTOS
    return xPortGetFreeHeapSize();
#else
    return _mallinfo_r(nullptr).arena;
#endif
  };
  locked.clear();
  g_in_interrupt = true;
  EXPECT_NE(look(), 0U);
  g_in_interrupt = false;
  EXPECT_TRUE(locked.empty());
  EXPECT_NE(look(), 0U);
  EXPECT_EQ(locked.size(), 1U);
  rf_system_malloc_init(&guard_.base, true);
}
#endif

#if RF_SYSTEM_MALLOC != RF_SYSTEM_FREERTOS
TEST_F(SystemMalloc, ANewBlockOfNoBytesThatCannotBeHadIsTold) {
  rf_system_malloc_init(nullptr, false);
  EXPECT_EQ(RESIZED(nullptr, 0), nullptr);
  EXPECT_TRUE(told_of_failure());
  rf_system_malloc_init(&guard_.base, true);
}

TEST_F(SystemMalloc, TellsHowMuchOfABlockMayBeUsed) {
  auto *const p = static_cast<unsigned char *>(TAKE(20));
  size_t const usable = USABLE(p);
  ASSERT_GE(usable, 20U);
  std::memset(p, 1, usable);
  GIVE(p);
  EXPECT_TRUE(g_seen.empty());
  EXPECT_EQ(USABLE(nullptr), 0U);
}
#endif

#if RF_SYSTEM_MALLOC == RF_SYSTEM_NEWLIB
// newlib's own comes with newlib's heap: malloc would be there twice.
TEST_F(SystemMalloc, TellsOfTheHeapAsMallinfoDoes) {
  rf_system_malloc_init(nullptr, false);
  newlib_mallinfo info = _mallinfo_r(nullptr);
  EXPECT_EQ(info.arena + info.ordblks + info.uordblks + info.fordblks, 0U);
  rf_system_malloc_init(&heap_.base, false);
  newlib_mallinfo const before = _mallinfo_r(nullptr);
  EXPECT_GT(before.arena, 7000U);
  EXPECT_LE(before.arena, sizeof arena_);
  EXPECT_EQ(before.ordblks, 1U);
  auto *const small = TAKE(100);
  auto *const last = TAKE(200);
  GIVE(small);
  info = _mallinfo_r(nullptr);
  EXPECT_EQ(info.arena, before.arena);
  EXPECT_EQ(info.ordblks, 2U);
  EXPECT_EQ(info.uordblks + info.fordblks, info.arena);
  EXPECT_GE(info.uordblks, before.uordblks + 200);
  EXPECT_EQ(info.smblks + info.hblks + info.hblkhd + info.usmblks + info.fsmblks + info.keepcost, 0U);
  testing::internal::CaptureStderr();
  _malloc_stats_r(nullptr);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "system bytes = " + std::to_string(info.arena) +
                                                        "\nin use bytes = " + std::to_string(info.uordblks) + "\n");
  GIVE(last);
  rf_system_malloc_init(&guard_.base, true);
}

TEST_F(SystemMalloc, HasNothingToSetOrToGiveBack) {
  EXPECT_EQ(_mallopt_r(nullptr, 1, 64), 0);
  EXPECT_EQ(_malloc_trim_r(nullptr, 0), 0);
}
#endif

#if RF_SYSTEM_MALLOC == RF_SYSTEM_WRAP
// Their memory ends in free, which is wrapped.
TEST_F(SystemMalloc, ServesWhoeverElseGivesMemoryThatIsFreed) {
  auto *const aligned = __wrap_aligned_alloc(64, 20);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(aligned) % 64, 0U);
  expect_caller(aligned);
  void *block = nullptr;
  EXPECT_EQ(__wrap_posix_memalign(&block, 64, 20), 0);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % 64, 0U);
  expect_caller(block);
  char *const text = __wrap_strdup("nineteen characters");
  EXPECT_STREQ(text, "nineteen characters");
  expect_caller(text);
  char *const part = __wrap_strndup("nineteen characters and more", 19);
  EXPECT_STREQ(part, "nineteen characters");
  expect_caller(part);
  char *const whole = __wrap_strndup("all", 10);
  EXPECT_STREQ(whole, "all");
  EXPECT_EQ(__wrap_malloc_usable_size(whole), 4U);
  GIVE(whole);
  EXPECT_TRUE(g_seen.empty());
}

TEST_F(SystemMalloc, PosixMemalignTakesAnyPowerOfTwoThatAPointerMayHave) {
  for (size_t align = sizeof(void *); align <= 128; align *= 2) {
    void *block = nullptr;
    EXPECT_EQ(__wrap_posix_memalign(&block, align, 20), 0) << align;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % align, 0U);
    GIVE(block);
  }
  EXPECT_TRUE(g_seen.empty());
}

TEST_F(SystemMalloc, PosixMemalignTellsItsErrorsByItsResult) {
  void *block = &block;
  errno = 0;
  for (size_t const align : {size_t{0}, size_t{1}, sizeof(void *) / 2, sizeof(void *) * 3}) {
    EXPECT_EQ(__wrap_posix_memalign(&block, align, 8), EINVAL) << align;
  }
  EXPECT_EQ(__wrap_posix_memalign(&block, 64, 100000), ENOMEM);
  EXPECT_EQ(block, &block) << "untouched";
  EXPECT_EQ(errno, 0);
  EXPECT_EQ(__wrap_strdup(std::string(10000, 'x').c_str()), nullptr);
  EXPECT_TRUE(told_of_failure());
  EXPECT_EQ(__wrap_aligned_alloc(3, 8), nullptr);
  EXPECT_TRUE(told_of_failure());
}
#endif

} // namespace
} // namespace ringfence

#if RF_SYSTEM_MALLOC == RF_SYSTEM_FREERTOS
void rf_system_malloc_region(void *start, size_t size) {
  ringfence::g_regions.emplace_back(start, size);
}
#endif
