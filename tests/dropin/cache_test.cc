// The caches of the drop-in's heap: blocks that are freed, kept, given back, moved and resized.
#include "tests/checkers/single_step.h"
#include "tests/dropin/heap_alone.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include <csignal>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/heap/check.h"
#include "checkers/dropin/heap/rights.h"
#include "checkers/dropin/heap/walk.h"

// As cache_impl.h has it.
bool rf_cache_free_unusual(rf_cache *cache, const rf_view *view, rf_family family, size_t size,
                           const rf_origin *origin);
}
#undef _Static_assert

namespace ringfence_test {
namespace {

rf_view view_at(const void *p) {
  rf_view v = {};
  EXPECT_TRUE(rf_view_at(reinterpret_cast<uintptr_t>(p), &v));
  return v;
}

// Leaves no more address space than there is; the stack, which could not grow either, has some.
void leave_no_space() {
  volatile char stack[64 * 1024];
  for (size_t i = 0; i < sizeof stack; i += 1024) {
    stack[i] = 0;
  }
  rlimit const none = {1, RLIM_INFINITY};
  EXPECT_EQ(setrlimit(RLIMIT_AS, &none), 0);
}

// ---- Frees ----

size_t live_bytes(const rf_cache *cache) {
  return cache->mark - static_cast<size_t>(cache->room);
}

// Another thread may have resized it between the look at it and the free.
TEST(DropinCaches, CountABlockAsItIsWhenItsFreeHasIt) {
  heap_alone([] {
    rf_cache *const cache = rf_cache_take(0);
    rf_origin const origin = {};
    size_t const before = live_bytes(cache);
    void *const p = rf_cache_malloc(cache, 100, RF_FAMILY_MALLOC, &origin);
    rf_view seen;
    ASSERT_TRUE(rf_view_at(reinterpret_cast<uintptr_t>(p), &seen));
    EXPECT_EQ(live_bytes(cache), before + 100);
    seen.slot->size = 90;
    cache->room += 10;
    EXPECT_TRUE(rf_cache_free_unusual(cache, &seen, RF_FAMILY_MALLOC, SIZE_MAX, &origin));
    EXPECT_EQ(live_bytes(cache), before);
  });
}

// A handler that interrupted the heap cannot have its lock: the blocks that it frees are kept later.
TEST(DropinCaches, KeepLargeBlocksForWhichTheLockCouldNotBeHad) {
  heap_alone([] {
    rf_cache *const cache = rf_cache_take(0);
    rf_origin const origin = {};
    void *blocks[3];
    for (void *&p : blocks) {
      p = rf_cache_malloc(cache, 100000, RF_FAMILY_MALLOC, &origin);
    }
    size_t const all = rf_heap_bytes_now().large;
    ASSERT_TRUE(rf_heap_lock(0));
    for (void *const p : blocks) {
      EXPECT_TRUE(rf_cache_free(cache, p, RF_FAMILY_MALLOC, SIZE_MAX, &origin));
    }
    rf_heap_unlock(0);
    EXPECT_EQ(rf_heap_bytes_now().freed, 0U);
    rf_cache_flush(cache);
    EXPECT_EQ(rf_heap_bytes_now().freed, all);
    EXPECT_EQ(rf_heap_bytes_now().large, 0U);
  });
}

// The cache holds slots of two heaps; this thread has locked one of them.
TEST(DropinCaches, GiveBackTheSlotsWhoseHeapHasRoomForThem) {
  heap_alone([] {
    rf_cache *const cache = rf_cache_take(0);
    rf_cache *const other = rf_cache_take(1);
    rf_origin const origin = {};
    std::vector<void *> own = {rf_cache_malloc(cache, 100, RF_FAMILY_MALLOC, &origin)};
    const rf_bin &bin = cache->bins[rf_span_of(reinterpret_cast<uintptr_t>(own[0]))->class_number];
    while (bin.first != bin.end) {
      own.push_back(rf_cache_malloc(cache, 100, RF_FAMILY_MALLOC, &origin));
    }
    std::vector<void *> freed = {own[0], own[1]};
    for (int i = 0; i < 3; i++) {
      freed.push_back(rf_cache_malloc(other, 100, RF_FAMILY_MALLOC, &origin));
      EXPECT_EQ(rf_span_of(reinterpret_cast<uintptr_t>(freed.back()))->heap, 1);
    }
    for (void *const p : freed) {
      EXPECT_TRUE(rf_cache_free(cache, p, RF_FAMILY_MALLOC, SIZE_MAX, &origin));
    }
    ASSERT_EQ(bin.end - bin.first, 5U);
    ASSERT_TRUE(rf_heap_lock(0));
    rf_cache_flush(cache);
    rf_heap_unlock(0);
    EXPECT_EQ(bin.end - bin.first, 2U);
    std::set<const void *> left;
    for (uint32_t i = bin.first; i != bin.end; i++) {
      const void *const begin = bin.ring[i & bin.mask].begin;
      EXPECT_EQ(rf_span_of(reinterpret_cast<uintptr_t>(begin))->heap, 0);
      EXPECT_TRUE(left.insert(begin).second);
    }
    rf_cache_flush(cache);
    EXPECT_EQ(bin.first, bin.end);
  });
}

#ifdef __x86_64__

// Resizes the block after so many instructions of a free, as another thread may until it is claimed.
struct {
  unsigned left;
  rf_view block;
  rf_cache *cache;
  bool done;
} resizing;

void on_step(int /*signal*/) {
  if (resizing.left != 0 && --resizing.left == 0 && rf_slot_state_of(resizing.block.slot) == RF_SLOT_LIVE) {
    resizing.block.slot->size = 90;
    resizing.cache->room += 10;
    memset(resizing.block.payload + 90, RF_PATTERN_REDZONE, 10);
    resizing.done = true;
  }
}

// On a thread of its own, where blocks are claimed by atomic operations.
TEST(DropinCaches, CountABlockThatIsResizedAtAnyInstructionBeforeItsFreeHasIt) {
  heap_alone([] {
    ASSERT_NE(signal(SIGTRAP, on_step), SIG_ERR);
    std::thread([] {
      rf_cache *const cache = rf_cache_take(0);
      rf_origin const origin = {};
      size_t const before = live_bytes(cache);
      unsigned resized = 0;
      resizing.cache = cache;
      resizing.done = true;
      for (unsigned step = 1; resizing.done; step++) {
        void *const p = rf_cache_malloc(cache, 100, RF_FAMILY_MALLOC, &origin);
        resizing.block = view_at(p);
        resizing.left = step;
        resizing.done = false;
        set_stepping(true);
        bool const freed = rf_cache_free_slowly(cache, p, RF_FAMILY_MALLOC, SIZE_MAX, &origin);
        set_stepping(false);
        ASSERT_TRUE(freed) << step;
        ASSERT_EQ(live_bytes(cache), before) << step;
        resized += resizing.done ? 1 : 0;
      }
      EXPECT_GT(resized, 20U);
    }).join();
  });
}

#endif

// The page before the block, where its guard lies, is the neighbour's, too.
TEST(DropinCaches, FreeABlockWhoseGuardLiesOnAPageWithoutRights) {
  heap_alone([] {
    auto const page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    rf_cache *const cache = rf_cache_take(0);
    rf_origin const origin = {};
    unsigned char *p = nullptr;
    rf_block_request const request = {850, 64, RF_FAMILY_MALLOC, false, false, 0};
    for (int i = 0; i < 1000 && (p == nullptr || reinterpret_cast<uintptr_t>(p) % page != 0); i++) {
      p = static_cast<unsigned char *>(rf_cache_alloc(cache, &request, &origin));
    }
    ASSERT_EQ(reinterpret_cast<uintptr_t>(p) % page, 0U);
    ASSERT_EQ(view_at(p).begin, p);
    ASSERT_EQ(mprotect(p - page, 2 * page, PROT_NONE), 0);
    rf_heap_restricted(p - page, 2 * page);
    EXPECT_TRUE(rf_cache_free(cache, p, RF_FAMILY_MALLOC, SIZE_MAX, &origin));
    EXPECT_EQ(p[-1], RF_PATTERN_REDZONE);
    EXPECT_EQ(p[0], RF_PATTERN_FREED);
  });
}

// Without memory for more places a bin gives a quarter of its blocks back, however short they waited; the others wait.
TEST(DropinCaches, GiveBackWhatWaitsWhereThereIsNoMemoryForMore) {
  heap_alone([] {
    rf_cache *const cache = rf_cache_take(0);
    rf_origin const origin = {};
    std::vector<void *> blocks(20000);
    for (void *&p : blocks) {
      p = rf_cache_malloc(cache, 100, RF_FAMILY_MALLOC, &origin);
    }
    const rf_bin &bin = cache->bins[view_at(blocks[0]).span->class_number];
    auto const free_one = [&] {
      EXPECT_TRUE(rf_cache_free(cache, blocks.back(), RF_FAMILY_MALLOC, SIZE_MAX, &origin));
      blocks.pop_back();
    };
    leave_no_space();
    uint32_t held = 0;
    do {
      held = bin.end - bin.first;
      free_one();
    } while (bin.end - bin.first > held && !blocks.empty());
    EXPECT_EQ(held, bin.mask + 1);
    EXPECT_EQ(bin.end - bin.first, held - held / 4 + 1);
    EXPECT_EQ(bin.first, bin.ripe);
    const void *const next = rf_cache_malloc(cache, 100, RF_FAMILY_MALLOC, &origin);
    for (uint32_t i = bin.ripe; i != bin.end; i++) {
      ASSERT_NE(bin.ring[i & bin.mask].begin, next);
    }
  });
}

// ---- Realloc ----

TEST(DropinCaches, ABlockThatReallocMovesWasFreedByIt) {
  heap_alone([] {
    rf_cache *const cache = rf_cache_take(0);
    rf_origin origin = {};
    void *const p = rf_cache_malloc(cache, 100, RF_FAMILY_MALLOC, &origin);
    const rf_slot *const old = view_at(p).slot;
    view_at(p).slot->allocated = 7; // a stack of another call
    void *const q = rf_cache_realloc(cache, p, 1000, &origin);
    ASSERT_NE(q, p);
    EXPECT_EQ(rf_slot_state_of(old), RF_SLOT_FREED);
    EXPECT_EQ(old->released, view_at(q).slot->allocated);
  });
}

TEST(DropinCaches, ABlockThatStaysForWantOfMemoryIsNoFailure) {
  heap_alone([] {
    rf_cache *const cache = rf_cache_take(0);
    rf_origin const origin = {};
    ASSERT_GT(rf_heap_options_now.move_below, 1000U);
    void *const p = rf_cache_malloc(cache, 1000, RF_FAMILY_MALLOC, &origin);
    leave_no_space();
    while (rf_cache_malloc(cache, 900, RF_FAMILY_MALLOC, &origin) != nullptr) {
    }
    size_t const failures = cache->failures;
    EXPECT_EQ(rf_cache_realloc(cache, p, 900, &origin), p);
    EXPECT_EQ(view_at(p).size, 900U);
    EXPECT_EQ(cache->failures, failures);
    EXPECT_EQ(rf_cache_realloc(cache, p, 30000, &origin), nullptr);
    EXPECT_GT(cache->failures, failures);
  });
}

} // namespace
} // namespace ringfence_test
