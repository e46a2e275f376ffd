// The shortest way of a request (checkers/dropin/malloc/short_way.c): what goes by it, what is left to the longer one,
// which is this test's own, and that both leave the cache as it is to be.
#include "tests/dropin/heap_alone.h"

#include <cstddef>
#include <utility>
#include <vector>

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/malloc/malloc_impl.h"
#include "checkers/dropin/runtime/own_cache.h"
#include "checkers/shared/pattern.h"

// As short_way.h has them, which is no C++.
void *rf_short_alloc_small(size_t size, rf_family family, uintptr_t caller, const void *frame);
void *rf_short_alloc(size_t size, rf_family family, uintptr_t caller, const void *frame);
void rf_short_free(void *ptr, rf_family family, size_t size, uintptr_t caller, const void *frame);
}
#undef _Static_assert

namespace {

unsigned longer_allocs;
unsigned longer_frees;
char of_longer_way[16];

} // namespace

extern "C" {

RF_THREAD_LOCAL int32_t rf_guarded_blocks_left;

void *rf_malloc_impl_alloc(size_t, size_t, rf_family, const rf_origin *) {
  longer_allocs++;
  return of_longer_way;
}

void rf_malloc_impl_free(void *, rf_family, size_t, const rf_origin *) {
  longer_frees++;
}
}

namespace ringfence_test {
namespace {

constexpr size_t kSmallMost = RF_STRIDE;
constexpr size_t kSizes[] = {0, 1, kSmallMost, kSmallMost + 1, 500, 1008, 1009, 2500, RF_FAST_MOST};

void with_open_way(bool wide, const std::function<void(rf_cache *)> &test) {
  heap_alone([&] {
    rf_heap_options_now.fill_alloc = RF_FAST_MOST;
    rf_heap_options_now.fill_free = RF_FAST_MOST;
    rf_heap_options const options = rf_heap_options_now;
    rf_heap_configure(&options);
    EXPECT_EQ(rf_heap_options_now.fast_most, RF_FAST_MOST);
    rf_heap_options_now.wide = rf_heap_options_now.wide && wide;
    rf_thread_init();
    rf_leave(rf_enter());
    __atomic_store_n(&rf_stop_now.wanted, 0, __ATOMIC_RELAXED);
    rf_guarded_blocks_left = INT32_MAX;
    test(rf_current_thread.cache);
    EXPECT_EQ(rf_current_thread.cache->inside, static_cast<uint32_t>(RF_CACHE_OUTSIDE));
  });
}

// By registers of either width, where the processor has both.
void with_open_way(const std::function<void(rf_cache *)> &test) {
  for (bool const wide : {false, true}) {
    with_open_way(wide, test);
  }
}

void *alloc(size_t size, uintptr_t caller = 1) {
  return size <= kSmallMost ? rf_short_alloc_small(size, RF_FAMILY_MALLOC, caller, nullptr)
                            : rf_short_alloc(size, RF_FAMILY_MALLOC, caller, nullptr);
}

void release(void *p) {
  rf_short_free(p, RF_FAMILY_MALLOC, SIZE_MAX, 1, nullptr);
}

TEST(ShortWay, IsThatOfBlocksUpToABound) {
  with_open_way([](const rf_cache *) {
    for (size_t const size : kSizes) {
      void *const p = alloc(size);
      EXPECT_NE(p, of_longer_way) << size;
      release(p);
    }
    EXPECT_EQ(longer_allocs + longer_frees, 0U);
    EXPECT_EQ(alloc(RF_FAST_MOST + 1), of_longer_way);
    release(of_longer_way);
    release(nullptr);
    EXPECT_EQ(longer_allocs, 1U);
    EXPECT_EQ(longer_frees, 2U);
  });
}

// An age begins as soon as its bytes were freed, so that what has waited serves again.
TEST(ShortWay, TheNextAgeBeginsWhenItIsDue) {
  with_open_way([](const rf_cache *cache) {
    for (size_t const size : kSizes) {
      unsigned const before = cache->age;
      for (unsigned i = 0; cache->age == before; i++) {
        ASSERT_LT(i, 1000000U) << size;
        release(alloc(size));
        ASSERT_GE(cache->age_left, 0);
      }
    }
  });
}

TEST(ShortWay, PeaksAreUpToDate) {
  with_open_way([](const rf_cache *cache) {
    for (unsigned i = 0; i < 1000; i++) {
      EXPECT_NE(alloc(kSizes[i % 6]), nullptr);
      ASSERT_FALSE(rf_cache_has_more(cache)) << i;
    }
    EXPECT_EQ(cache->peak_blocks, 1000U);
  });
}

// The longer way counts it again.
TEST(ShortWay, ARequestThatItLeavesToTheLongerOneWasNotCounted) {
  with_open_way([](rf_cache *cache) {
    for (size_t const size : kSizes) {
      rf_guarded_blocks_left = 100;
      (void)alloc(size);
      EXPECT_EQ(rf_guarded_blocks_left, 99);
      ASSERT_TRUE(rf_cache_enter(cache)); // a handler that interrupted its thread there
      EXPECT_EQ(alloc(size), of_longer_way);
      rf_cache_exit(cache);
      EXPECT_EQ(rf_guarded_blocks_left, 99);
      rf_guarded_blocks_left = 1;
      EXPECT_EQ(alloc(size), of_longer_way);
      EXPECT_EQ(rf_guarded_blocks_left, 0);
    }
  });
}

std::vector<std::pair<uintptr_t, bool>> added;

// The depot's owner is told of each new stack, and whether it is of a free.
TEST(ShortWay, NewStacksAreToldAsThoseOfAllocationsOrFrees) {
  with_open_way([](const rf_cache *) {
    std::vector<max_align_t> memory(4096);
    rf_stack_depot depot;
    ASSERT_EQ(rf_stack_depot_init(&depot, memory.data(), memory.size() * sizeof memory[0]), RF_OK);
    depot.added_call = [](uintptr_t caller, bool frees) { added.emplace_back(caller, frees); };
    rf_heap_options_now.depot = &depot;
    for (size_t const size : {kSmallMost, RF_FAST_MOST}) {
      void *const p = alloc(size, 1000 + size);
      rf_short_free(p, RF_FAMILY_MALLOC, SIZE_MAX, 2000 + size, nullptr);
      EXPECT_EQ(added, (std::vector<std::pair<uintptr_t, bool>>{{1000 + size, false}, {2000 + size, true}}));
      added.clear();
    }
  });
}

} // namespace
} // namespace ringfence_test
