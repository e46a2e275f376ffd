// The memory functions of systems over guard_small over tlsf: what firmware sees, and that its bugs are found with
// their callers. One binary for each system, by RF_SYSTEM_MALLOC.
#include <ringfence/fault.h>
#include <ringfence/lock.h>

#include "tests/compat/system_malloc_fixture.h"

#include <cstring>

extern "C" {
void vApplicationMallocFailedHook(void);
void vApplicationMallocFailedHook(void) {
  g_failures++;
}
}

namespace ringfence {
namespace {

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
  for (size_t const count : {size_t{0}, size_t{1}}) {
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

TEST_F(SystemMalloc, NamesTheCallerOfEachFunctionThatAllocates) {
  expect_caller(TAKE(20));
  expect_caller(ZEROED(5, 4));
#if RF_SYSTEM_MALLOC != RF_SYSTEM_FREERTOS
  expect_caller(RESIZED(nullptr, 20));
  expect_caller(ALIGNED(64, 20));
#endif
}

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
