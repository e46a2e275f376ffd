// The memory functions of systems over guard_small over tlsf: what firmware sees, and that its bugs are found with
// their callers. One binary for each system, by RF_SYSTEM_MALLOC.
#include <ringfence/fault.h>
#include <ringfence/guard_small.h>
#include <ringfence/lock.h>
#include <ringfence/system_malloc.h>
#include <ringfence/tlsf.h>

#include <gtest/gtest.h>

#include "tests/core/held_mutexes.h"

#include <cerrno>
#include <cstring>
#include <vector>

// Failures as the program is told of them.
int g_failures;

extern "C" {
void vApplicationMallocFailedHook(void);
void vApplicationMallocFailedHook(void) {
  g_failures++;
}
struct _reent;
void *pvPortMalloc(size_t size);
void *pvPortCalloc(size_t count, size_t size);
void vPortFree(void *block);
size_t xPortGetFreeHeapSize(void);
size_t xPortGetMinimumEverFreeHeapSize(void);

// As FreeRTOS's portable.h has it.
typedef struct xHeapStats {
  size_t xAvailableHeapSpaceInBytes;
  size_t xSizeOfLargestFreeBlockInBytes;
  size_t xSizeOfSmallestFreeBlockInBytes;
  size_t xNumberOfFreeBlocks;
  size_t xMinimumEverFreeBytesRemaining;
  size_t xNumberOfSuccessfulAllocations;
  size_t xNumberOfSuccessfulFrees;
} HeapStats_t;
void vPortGetHeapStats(HeapStats_t *stats);

void *_malloc_r(struct _reent *reent, size_t size);
void _free_r(struct _reent *reent, void *block);
void *_calloc_r(struct _reent *reent, size_t count, size_t size);
void *_realloc_r(struct _reent *reent, void *block, size_t size);
void *_memalign_r(struct _reent *reent, size_t align, size_t size);
size_t _malloc_usable_size_r(struct _reent *reent, void *block);
void *__wrap_malloc(size_t size);
void __wrap_free(void *block);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_memalign(size_t align, size_t size);
}

namespace ringfence {
namespace {

#if RF_SYSTEM_MALLOC == RF_SYSTEM_FREERTOS
#define TAKE(size) pvPortMalloc(size)
#define ZEROED(count, size) pvPortCalloc(count, size)
#define GIVE(block) vPortFree(block)
#elif RF_SYSTEM_MALLOC == RF_SYSTEM_NEWLIB
#define TAKE(size) _malloc_r(nullptr, size)
#define ZEROED(count, size) _calloc_r(nullptr, count, size)
#define GIVE(block) _free_r(nullptr, block)
#define RESIZED(block, size) _realloc_r(nullptr, block, size)
#define ALIGNED(align, size) _memalign_r(nullptr, align, size)
#else
#define TAKE(size) __wrap_malloc(size)
#define ZEROED(count, size) __wrap_calloc(count, size)
#define GIVE(block) __wrap_free(block)
#define RESIZED(block, size) __wrap_realloc(block, size)
#define ALIGNED(align, size) __wrap_memalign(align, size)
#endif

std::vector<rf_small_finding> g_seen;

class SystemMalloc : public testing::Test {
protected:
  SystemMalloc() {
    expect_nothing(); // yet
    EXPECT_EQ(rf_tlsf_init(&heap_, arena_, sizeof arena_), RF_OK);
    EXPECT_EQ(rf_guard_small_init(&guard_, &heap_.base, 256), RF_OK);
    guard_.report = [](rf_guard_small *, const rf_small_finding *f) { g_seen.push_back(*f); };
    rf_system_malloc_init(&guard_.base, true);
    g_seen.clear();
  }
  ~SystemMalloc() override {
    rf_system_malloc_init(nullptr, false);
    expect_nothing();
    rf_deinit(&guard_.base);
    EXPECT_TRUE(g_seen.empty());
  }

  // While no allocator serves, requests fail.
  static void expect_nothing() {
    EXPECT_EQ(TAKE(8), nullptr);
    EXPECT_EQ(ZEROED(8, 1), nullptr);
    GIVE(nullptr);
#if RF_SYSTEM_MALLOC == RF_SYSTEM_FREERTOS
    EXPECT_EQ(xPortGetFreeHeapSize() + xPortGetMinimumEverFreeHeapSize(), 0U);
#else
    EXPECT_EQ(RESIZED(nullptr, 8), nullptr);
    EXPECT_EQ(ALIGNED(32, 8), nullptr);
#endif
#if RF_SYSTEM_MALLOC == RF_SYSTEM_NEWLIB
    EXPECT_EQ(_malloc_usable_size_r(nullptr, &g_seen), 0U);
#endif
  }

  alignas(16) unsigned char arena_[8192];
  rf_tlsf heap_;
  rf_guard_small guard_;
};

// A return address into this program, marked as one.
bool is_caller(const rf_site *site) {
  auto const here = reinterpret_cast<uintptr_t>(&rf_tlsf_init);
  auto const at = reinterpret_cast<uintptr_t>(site);
  return (at & 1U) != 0 && (at > here ? at - here : here - at) < (uintptr_t{1} << 28);
}

TEST_F(SystemMalloc, ServesFromTheAllocator) {
  auto *const p = static_cast<unsigned char *>(TAKE(40));
  ASSERT_NE(p, nullptr);
  EXPECT_TRUE(rf_owns(&heap_.base, p));
  std::memset(p, 1, 40);
  GIVE(p);
  auto *const zeroed = static_cast<unsigned char *>(ZEROED(10, 4));
  for (size_t i = 0; i < 40; i++) {
    EXPECT_EQ(zeroed[i], 0);
  }
  GIVE(zeroed);
  EXPECT_EQ(ZEROED(SIZE_MAX / 2, 4), nullptr);
#if RF_SYSTEM_MALLOC == RF_SYSTEM_FREERTOS
  EXPECT_EQ(pvPortMalloc(0), nullptr);
  size_t const free_before = xPortGetFreeHeapSize();
  EXPECT_GT(free_before, 4000U);
  auto *const q = TAKE(1000);
  EXPECT_LE(xPortGetFreeHeapSize(), free_before - 1000);
  EXPECT_LE(xPortGetMinimumEverFreeHeapSize(), xPortGetFreeHeapSize());
  GIVE(q);
  EXPECT_LE(xPortGetMinimumEverFreeHeapSize() + 900, xPortGetFreeHeapSize());
#else
  auto *const grown = static_cast<unsigned char *>(RESIZED(RESIZED(nullptr, 4), 400));
  ASSERT_NE(grown, nullptr);
  GIVE(grown);
  void *const aligned = ALIGNED(128, 5);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(aligned) % 128, 0U);
  GIVE(aligned);
  EXPECT_EQ(ALIGNED(3, 8), nullptr) << "no power of two";
#endif
}

// Whether the program has been told that the last request failed.
bool told_of_failure() {
#if RF_SYSTEM_MALLOC == RF_SYSTEM_FREERTOS
  bool const told = g_failures == 1;
#else
  bool const told = errno == ENOMEM && g_failures == 0;
#endif
  errno = 0;
  g_failures = 0;
  return told;
}

TEST_F(SystemMalloc, TheProgramIsToldOfEachRequestThatFails) {
  (void)told_of_failure();
  auto *const p = TAKE(10);
  EXPECT_FALSE(told_of_failure());
  EXPECT_EQ(TAKE(100000), nullptr);
  EXPECT_TRUE(told_of_failure());
  EXPECT_EQ(ZEROED(1000, 100), nullptr);
  EXPECT_TRUE(told_of_failure());
  EXPECT_EQ(ZEROED(SIZE_MAX, 2), nullptr) << "a product that wraps";
  EXPECT_TRUE(told_of_failure());
#if RF_SYSTEM_MALLOC == RF_SYSTEM_FREERTOS
  for (size_t const count : {0, 1}) {
    EXPECT_EQ(ZEROED(count, 1 - count), nullptr) << "as heap_4.c answers 0";
    EXPECT_TRUE(told_of_failure());
  }
  EXPECT_EQ(TAKE(0), nullptr);
  EXPECT_TRUE(told_of_failure());
  GIVE(p);
#else
  EXPECT_EQ(RESIZED(p, 100000), nullptr);
  EXPECT_TRUE(told_of_failure());
  EXPECT_EQ(RESIZED(nullptr, 100000), nullptr);
  EXPECT_TRUE(told_of_failure());
  EXPECT_EQ(ALIGNED(64, 100000), nullptr);
  EXPECT_TRUE(told_of_failure());
  EXPECT_EQ(RESIZED(p, 0), nullptr) << "which gives the block back";
  auto *const zero = RESIZED(nullptr, 0);
  EXPECT_NE(zero, nullptr);
  GIVE(zero);
#endif
  EXPECT_FALSE(told_of_failure());
}

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

TEST_F(SystemMalloc, NamesTheCallersOfABug) {
  auto *const p = static_cast<unsigned char *>(TAKE(20));
  p[20] = 0;
  GIVE(p);
  ASSERT_EQ(g_seen.size(), 1U);
  EXPECT_EQ(g_seen[0].bug, RF_BUG_BUFFER_OVERFLOW);
  EXPECT_TRUE(is_caller(g_seen[0].allocated));
  EXPECT_TRUE(is_caller(g_seen[0].found));
  EXPECT_NE(g_seen[0].allocated, g_seen[0].found);
  g_seen.clear();
}

// One byte behind 20: at the free it is found, with who allocated the block last.
void expect_caller(void *block) {
  ASSERT_NE(block, nullptr);
  static_cast<unsigned char *>(block)[20] ^= 1;
  GIVE(block);
  ASSERT_EQ(g_seen.size(), 1U);
  EXPECT_TRUE(is_caller(g_seen[0].allocated));
  g_seen.clear();
}

TEST_F(SystemMalloc, NamesTheCallerOfEachFunctionThatAllocates) {
  expect_caller(TAKE(20));
  expect_caller(ZEROED(5, 4));
#if RF_SYSTEM_MALLOC != RF_SYSTEM_FREERTOS
  expect_caller(RESIZED(nullptr, 20));
  expect_caller(ALIGNED(64, 20));
#endif
}

#if RF_SYSTEM_MALLOC == RF_SYSTEM_NEWLIB
TEST_F(SystemMalloc, TellsHowMuchOfABlockMayBeUsed) {
  auto *const p = static_cast<unsigned char *>(TAKE(20));
  size_t const usable = _malloc_usable_size_r(nullptr, p);
  ASSERT_GE(usable, 20U);
  std::memset(p, 1, usable);
  GIVE(p);
  EXPECT_TRUE(g_seen.empty());
  EXPECT_EQ(_malloc_usable_size_r(nullptr, nullptr), 0U);
}
#endif

TEST_F(SystemMalloc, NamesCallersUnderALockAndNoFaultHandlerHasToReadThem) {
  rf_lock lock;
  ASSERT_EQ(rf_lock_init(&lock, &guard_.base), RF_OK);
  rf_system_malloc_init(&lock.base, true);
  auto *const p = static_cast<unsigned char *>(TAKE(20));
  p[20] = 0;
  GIVE(p);
  ASSERT_EQ(g_seen.size(), 1U);
  EXPECT_TRUE(is_caller(g_seen[0].allocated));
  EXPECT_TRUE(is_caller(g_seen[0].found));
  g_seen.clear();

  rf_fault seen = {};
  rf_fault_handler_set([](const rf_fault *fault, void *to) { *static_cast<rf_fault *>(to) = *fault; }, &seen);
  rf_deinit(&lock.base);
  EXPECT_EQ(TAKE(20), nullptr);
  rf_fault_handler_set(nullptr, nullptr);
  EXPECT_EQ(seen.status, RF_ERR_DELETED);
  EXPECT_EQ(seen.site, nullptr);
}

TEST_F(SystemMalloc, NamesNobodyWhereNotAskedTo) {
  rf_system_malloc_init(&guard_.base, false);
  auto *const p = static_cast<unsigned char *>(TAKE(20));
  p[20] = 0;
  GIVE(p);
  ASSERT_EQ(g_seen.size(), 1U);
  EXPECT_EQ(g_seen[0].allocated, nullptr);
  g_seen.clear();
}

} // namespace
} // namespace ringfence
