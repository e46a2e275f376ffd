// The memory functions of a system over guard_small over tlsf, as firmware sees them.
#ifndef RINGFENCE_TESTS_COMPAT_SYSTEM_MALLOC_FIXTURE_H
#define RINGFENCE_TESTS_COMPAT_SYSTEM_MALLOC_FIXTURE_H

#include <ringfence/guard_small.h>
#include <ringfence/system_malloc.h>
#include <ringfence/tlsf.h>

#include <gtest/gtest.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <vector>

// Failures as the program is told of them.
inline int g_failures;

extern "C" {
struct _reent;
void *pvPortMalloc(size_t size);
void *pvPortCalloc(size_t count, size_t size);
void vPortFree(void *block);
size_t xPortGetFreeHeapSize(void);
size_t xPortGetMinimumEverFreeHeapSize(void);
void xPortResetHeapMinimumEverFreeHeapSize(void);
void vPortInitialiseBlocks(void);
void vPortHeapResetState(void);

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
typedef struct HeapRegion {
  uint8_t *pucStartAddress;
  size_t xSizeInBytes;
} HeapRegion_t;
void vPortDefineHeapRegions(const HeapRegion_t *regions);

void *_malloc_r(struct _reent *reent, size_t size);
void _free_r(struct _reent *reent, void *block);
void *_calloc_r(struct _reent *reent, size_t count, size_t size);
void *_realloc_r(struct _reent *reent, void *block, size_t size);
void *_memalign_r(struct _reent *reent, size_t align, size_t size);
size_t _malloc_usable_size_r(struct _reent *reent, void *block);

// As newlib's malloc.h has it.
struct newlib_mallinfo {
  size_t arena;
  size_t ordblks;
  size_t smblks;
  size_t hblks;
  size_t hblkhd;
  size_t usmblks;
  size_t fsmblks;
  size_t uordblks;
  size_t fordblks;
  size_t keepcost;
};
newlib_mallinfo _mallinfo_r(struct _reent *reent);
void _malloc_stats_r(struct _reent *reent);
int _mallopt_r(struct _reent *reent, int option, int value);
int _malloc_trim_r(struct _reent *reent, size_t pad);

void *__wrap_malloc(size_t size);
void __wrap_free(void *block);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_memalign(size_t align, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);
int __wrap_posix_memalign(void **block, size_t align, size_t size);
size_t __wrap_malloc_usable_size(void *block);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t length);
}

namespace ringfence {

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
#define USABLE(block) _malloc_usable_size_r(nullptr, block)
#else
#define TAKE(size) __wrap_malloc(size)
#define ZEROED(count, size) __wrap_calloc(count, size)
#define GIVE(block) __wrap_free(block)
#define RESIZED(block, size) __wrap_realloc(block, size)
#define ALIGNED(align, size) __wrap_memalign(align, size)
#define USABLE(block) __wrap_malloc_usable_size(block)
#endif

inline std::vector<rf_small_finding> g_seen;

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
    EXPECT_EQ(USABLE(&g_seen), 0U);
#endif
  }

  alignas(16) unsigned char arena_[8192];
  rf_tlsf heap_;
  rf_guard_small guard_;
};

// A return address into this program, marked as one.
inline bool is_caller(const rf_site *site) {
  auto const here = reinterpret_cast<uintptr_t>(&rf_tlsf_init);
  auto const at = reinterpret_cast<uintptr_t>(site);
  return (at & 1U) != 0 && (at > here ? at - here : here - at) < (uintptr_t{1} << 28);
}

// One byte behind 20: at the free it is found, with who allocated the block last.
inline void expect_caller(void *block) {
  ASSERT_NE(block, nullptr);
  static_cast<unsigned char *>(block)[20] ^= 1;
  GIVE(block);
  ASSERT_EQ(g_seen.size(), 1U);
  EXPECT_TRUE(is_caller(g_seen[0].allocated));
  g_seen.clear();
}

// Whether the program has been told that the last request failed.
inline bool told_of_failure() {
#if RF_SYSTEM_MALLOC == RF_SYSTEM_FREERTOS
  bool const told = g_failures == 1;
#else
  bool const told = errno == ENOMEM && g_failures == 0;
#endif
  errno = 0;
  g_failures = 0;
  return told;
}

} // namespace ringfence

#endif // RINGFENCE_TESTS_COMPAT_SYSTEM_MALLOC_FIXTURE_H
