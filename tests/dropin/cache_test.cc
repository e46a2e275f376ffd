// The caches of the drop-in's heap: blocks that are freed, kept, given back, moved and resized.
#include "tests/checkers/single_step.h"
#include "tests/dropin/address_space.h"
#include "tests/dropin/recorded_heap.h"

#include <sys/mman.h>

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

#ifdef __x86_64__

// It became another one, at another alignment, while this thread looked: then it is nobody's again.
TEST(DropinCaches, LeaveABlockThatBecameAnotherWhileItWasClaimed) {
  heap_alone([] {
    rf_cache *const cache = rf_cache_take(0);
    rf_origin const origin = {};
    void *p = rf_cache_malloc(cache, 30, RF_FAMILY_MALLOC, &origin); // in a slot of 48 bytes
    while (reinterpret_cast<uintptr_t>(p) % 64 == 0) {
      p = rf_cache_malloc(cache, 30, RF_FAMILY_MALLOC, &origin);
    }
    rf_slot *const slot = view_at(p).slot;
    uint16_t const before = slot->traits;
    uint16_t const after = rf_traits(RF_SLOT_LIVE, RF_FAMILY_MALLOC, 6, rf_slot_generation(slot));
    bool both = true;
    for (unsigned step = 1; both; step++) {
      slot->traits = before;
      rf_view v = view_at(p);
      bool claimed = false;
      both = run_with_other_after(
          step, [&] { claimed = rf_view_claim(&v, after); }, [&] { slot->traits = after; });
      EXPECT_FALSE(claimed) << step;
      EXPECT_EQ(slot->traits, both ? after : before) << step;
    }
    slot->traits = before;
  });
}

// Another thread that frees it looks at it, which ends after so many instructions of this one.
struct Meeting {
  rf_slot *slot;
  uint16_t live; // traits
  unsigned instructions;
  unsigned now;
  bool looked; // this thread did, later
};

Meeting meeting;

constexpr unsigned kEnough = 300; // instructions to a look

void meet(int, siginfo_t *, void *context) {
  meeting.now++;
  if (meeting.now == meeting.instructions) {
    rf_slot_unclaim(meeting.slot, meeting.live);
  }
  meeting.looked = meeting.looked || (meeting.now > meeting.instructions && meeting.slot->traits != meeting.live);
  if (meeting.now == meeting.instructions + kEnough) {
    end_stepping(context);
  }
}

// The other would be refused while this thread looks, and nobody would free it.
TEST(DropinCaches, LookAtNoBlockWhoseFreeTheyRefuse) {
  with_heap([](Heap &heap) {
    struct sigaction action = {};
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = meet;
    ASSERT_EQ(sigaction(SIGTRAP, &action, nullptr), 0);
    unsigned freed = 0;
    unsigned refused = 0;
    for (meeting.instructions = 1; meeting.instructions < kEnough; meeting.instructions++) {
      rf_view const v = heap.view(heap.make(40));
      uint16_t const live = v.slot->traits;
      ASSERT_TRUE(rf_slot_claim(v.slot, live));
      meeting = {v.slot, live, meeting.instructions, 0, false};
      set_stepping(true);
      bool const mine = rf_cache_free_unusual(heap.cache, &v, RF_FAMILY_MALLOC, SIZE_MAX, &no_origin);
      set_stepping(false);
      (mine ? freed : refused)++;
      EXPECT_TRUE(mine || !meeting.looked) << meeting.instructions;
      (void)heap.recorder.take();
    }
    EXPECT_GT(freed, 0U);
    EXPECT_GT(refused, 0U);
  });
}

#endif

// By all ways: small ones, ones that fast.h serves by wider registers, larger ones.
TEST(DropinCaches, CountBlocksThatAreResizedAndFreed) {
  heap_alone([] {
    rf_cache *const cache = rf_cache_take(0);
    rf_origin const origin = {};
    rf_heap_options_now.move_below = 0;
    size_t const before = live_bytes(cache);
    size_t const blocks = rf_cache_blocks(cache);
    for (size_t const size : {40, 100, 1000, 20000, 100000}) {
      void *const p = rf_cache_malloc(cache, size, RF_FAMILY_MALLOC, &origin);
      EXPECT_EQ(live_bytes(cache), before + size);
      for (size_t const to : {size - 7, size}) {
        uint64_t const requested = cache->requested;
        EXPECT_EQ(rf_cache_realloc(cache, p, to, &origin), p);
        EXPECT_EQ(live_bytes(cache), before + to);
        EXPECT_EQ(cache->requested, requested + to);
      }
      EXPECT_TRUE(rf_cache_free(cache, p, RF_FAMILY_MALLOC, SIZE_MAX, &origin));
      EXPECT_EQ(live_bytes(cache), before) << size;
      EXPECT_EQ(rf_cache_blocks(cache), blocks) << size;
    }
  });
}

void expect_described(rf_cache *cache, const rf_block_request &request) {
  rf_origin const origin = {};
  size_t const before = live_bytes(cache);
  size_t const blocks = rf_cache_blocks(cache);
  auto *p = static_cast<unsigned char *>(rf_cache_alloc(cache, &request, &origin));
  ASSERT_NE(p, nullptr);
  rf_view const v = view_at(p);
  EXPECT_EQ(v.payload, p);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % request.align, 0U);
  EXPECT_EQ(v.size, request.size);
  EXPECT_EQ(live_bytes(cache), before + request.size);
  EXPECT_EQ(rf_cache_blocks(cache), blocks + 1);
  EXPECT_EQ(v.slot->allocated_by, 5);
  EXPECT_EQ(v.slot->released_by, 0);
  EXPECT_EQ(v.slot->released, 0U);
  EXPECT_EQ(rf_slot_generation(v.slot), 3U);
  EXPECT_EQ(rf_slot_family(v.slot), request.family);
  for (size_t i = 0; i < request.size; i++) {
    ASSERT_TRUE(!request.zeroed || p[i] == 0) << i;
    p[i] = 'x';
  }
  EXPECT_TRUE(rf_cache_free(cache, p, request.family, SIZE_MAX, &origin));
  EXPECT_EQ(v.slot->released_by, 5);
  v.slot->released = 7; // the number of a stack
  EXPECT_EQ(live_bytes(cache), before);
  EXPECT_EQ(rf_cache_blocks(cache), blocks);
}

TEST(DropinCaches, DescribeAndCountBlocksOfAllKinds) {
  for (bool const checked : {true, false}) {
    heap_alone([checked] {
      rf_heap_options_now.checked = checked;
      __atomic_store_n(&rf_cache_wait, 0, __ATOMIC_RELAXED); // slots serve again at once
      rf_heap_options_now.fast_most = 0;
      rf_heap_generation = 3;
      rf_cache *const cache = rf_cache_take(0);
      rf_cache_set_number(cache, 5);
      for (size_t const size : {size_t{0}, size_t{100}, size_t{5000}, size_t{100000}, 2 * kMiB}) {
        for (size_t const align : {size_t{16}, size_t{64}, size_t{4096}}) {
          for (bool const zeroed : {true, false, true}) {
            SCOPED_TRACE(testing::Message() << size << " at " << align << (checked ? "" : ", not checked"));
            expect_described(cache, {size, align, RF_FAMILY_NEW, zeroed, false, 0});
          }
        }
      }
    });
  }
}

TEST(DropinCaches, CountALargeBlockForWhichThereIsNoMemoryAsAFailure) {
  heap_alone([] {
    rf_cache *const cache = rf_cache_take(0);
    rf_origin const origin = {};
    void *const p = rf_cache_malloc(cache, 100000, RF_FAMILY_MALLOC, &origin);
    ASSERT_NE(p, nullptr);
    size_t const before = live_bytes(cache);
    leave_no_space();
    EXPECT_EQ(rf_cache_malloc(cache, 64 * kMiB, RF_FAMILY_MALLOC, &origin), nullptr);
    EXPECT_EQ(cache->failures, 1U);
    EXPECT_EQ(live_bytes(cache), before);
  });
}

// By two threads at once, and serves again in one of them: the other one's cache has the slot as well.
TEST(DropinCaches, PassOverASlotThatIsALiveBlock) {
  heap_alone([] {
    rf_cache *const cache = rf_cache_take(0);
    rf_origin const origin = {};
    void *const first = rf_cache_malloc(cache, 100, RF_FAMILY_MALLOC, &origin);
    const rf_bin &bin = cache->bins[view_at(first).span->class_number];
    bin.ring[bin.first & bin.mask] = {first, view_at(first).slot};
    EXPECT_NE(rf_cache_malloc(cache, 100, RF_FAMILY_MALLOC, &origin), first);
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

// Another thread may resize the block until it is claimed, which takes an atomic operation on a thread of its own.
TEST(DropinCaches, CountABlockThatIsResizedAtAnyInstructionBeforeItsFreeHasIt) {
  heap_alone([] {
    std::thread([] {
      rf_cache *const cache = rf_cache_take(0);
      rf_origin const origin = {};
      size_t const before = live_bytes(cache);
      unsigned resized = 0;
      bool done = true;
      for (unsigned step = 1; done; step++) {
        void *const p = rf_cache_malloc(cache, 100, RF_FAMILY_MALLOC, &origin);
        rf_view const block = view_at(p);
        bool freed = false;
        done = false;
        (void)run_with_other_after(
            step, [&] { freed = rf_cache_free_slowly(cache, p, RF_FAMILY_MALLOC, SIZE_MAX, &origin); },
            [&] {
              if (rf_slot_state_of(block.slot) == RF_SLOT_LIVE) {
                block.slot->size = 90;
                cache->room += 10;
                memset(block.payload + 90, RF_PATTERN_REDZONE, 10);
                done = true;
              }
            });
        ASSERT_TRUE(freed) << step;
        ASSERT_EQ(live_bytes(cache), before) << step;
        resized += done ? 1 : 0;
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

TEST(DropinCaches, ASweepReadsNoGuardOnAPageWithoutRights) {
  heap_alone([] {
    auto const page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    rf_cache *const cache = rf_cache_take(0);
    rf_origin const origin = {};
    auto *const p = static_cast<unsigned char *>(rf_cache_malloc(cache, 850, RF_FAMILY_MALLOC, &origin));
    void *const closed = reinterpret_cast<void *>(reinterpret_cast<uintptr_t>(p + 850) & ~(page - 1));
    ASSERT_EQ(mprotect(closed, page, PROT_NONE), 0);
    rf_heap_restricted(closed, page);
    EXPECT_EQ(rf_heap_sweep(&origin), 0U);
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

// Large ones are zero where their memory is new, and where it served before.
TEST(DropinCaches, ZeroBlocksOfAllSizes) {
  heap_alone([] {
    rf_cache *const cache = rf_cache_take(0);
    rf_origin const origin = {};
    for (size_t const size : {size_t{100}, size_t{5000}, size_t{100000}, 3 * kMiB}) {
      for (size_t const align : {size_t{16}, size_t{4096}}) {
        rf_block_request const request = {size, align, RF_FAMILY_MALLOC, true, false, 0};
        for (int i = 0; i < 30; i++) {
          auto *const p = static_cast<unsigned char *>(rf_cache_alloc(cache, &request, &origin));
          ASSERT_NE(p, nullptr);
          ASSERT_EQ(p[0], 0) << size << " at " << align;
          ASSERT_EQ(memcmp(p, p + 1, size - 1), 0) << size << " at " << align;
          memset(p, 1, size);
          EXPECT_TRUE(rf_cache_free(cache, p, RF_FAMILY_MALLOC, SIZE_MAX, &origin));
        }
      }
    }
  });
}

// A large block alone is no longer restricted: of a span of slots others may be.
TEST(DropinCaches, ReturnTheRightsOfABlockAndOfNoNeighbour) {
  heap_alone([] {
    rf_cache *const cache = rf_cache_take(0);
    rf_origin const origin = {};
    void *blocks[2];
    for (void *&p : blocks) {
      p = rf_cache_malloc(cache, 2 * RF_UNIT - 200, RF_FAMILY_MALLOC, &origin);
    }
    rf_span *const lower = view_at(blocks[0]).span;
    const rf_span *const upper = view_at(blocks[1]).span;
    ASSERT_EQ(rf_span_start(lower) + lower->bytes, rf_span_start(upper));
    void *const start = reinterpret_cast<void *>(rf_span_start(lower));
    ASSERT_EQ(mprotect(start, lower->bytes, PROT_READ), 0);
    rf_heap_restricted(start, lower->bytes);
    EXPECT_TRUE(rf_span_is_restricted(lower));
    EXPECT_FALSE(rf_span_is_restricted(upper));
    EXPECT_TRUE(rf_cache_free(cache, blocks[0], RF_FAMILY_MALLOC, SIZE_MAX, &origin));
    EXPECT_FALSE(rf_span_is_restricted(lower));
    void *const small = rf_cache_malloc(cache, 100, RF_FAMILY_MALLOC, &origin);
    rf_heap_restricted(small, 0);
    EXPECT_TRUE(rf_cache_free(cache, small, RF_FAMILY_MALLOC, SIZE_MAX, &origin));
    EXPECT_TRUE(rf_span_is_restricted(view_at(small).span));
  });
}

} // namespace
} // namespace ringfence_test
