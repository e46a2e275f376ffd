// Caches of the drop-in's heap as a whole (checkers/dropin/heap/stop.c): had, left, inherited and counted. Each test
// has a process of its own, since caches stay for ever.
#include "tests/checkers/single_step.h"
#include "tests/dropin/heap_alone.h"

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/heap/bins.h"
}
#undef _Static_assert

#include <csignal>
#include <pthread.h>

namespace ringfence_test {
namespace {

const unsigned kClass = 3; // any class of slots

size_t waits() {
  return rf_cache_wait_now();
}

// ---- Having a cache ----

TEST(DropinCaches, WhatOneLeavesTheNextTakes) {
  heap_alone([] {
    rf_cache *const first = rf_cache_take(3);
    rf_cache *const second = rf_cache_take(2);
    EXPECT_NE(first, second);
    EXPECT_EQ(first->heap, 3U);
    EXPECT_EQ(first->place, 1U);
    EXPECT_EQ(second->place, 2U);
    EXPECT_EQ(rf_cache_total(), 2U);
    EXPECT_EQ(rf_cache_first(), second);
    EXPECT_EQ(second->next, first);
    EXPECT_EQ(first->thread, rf_stop_self());
    EXPECT_TRUE(rf_cache_enter(first));
    rf_cache_leave(first);
    EXPECT_EQ(first->thread, nullptr);
    EXPECT_EQ(first->inside, static_cast<uint32_t>(RF_CACHE_OUTSIDE));
    in_a_thread([&] {
      EXPECT_EQ(rf_cache_take(1), first);
      EXPECT_EQ(first->thread, rf_stop_self());
      EXPECT_NE(rf_cache_take(1), second);
    });
    EXPECT_EQ(rf_cache_total(), 3U);
  });
}

// It had the address that the calling thread has: as if that were its next one.
TEST(DropinCaches, WhatAThreadHadThatEndedUntoldIsTheNextOnesAtItsAddress) {
  heap_alone([] {
    rf_cache *const first = rf_cache_bind(3);
    EXPECT_EQ(first->heap, 3U);
    EXPECT_EQ(rf_cache_bind(2), first);
    EXPECT_EQ(first->taken, 1U);
    in_a_thread([&] { EXPECT_NE(rf_cache_bind(0), first); });
    EXPECT_TRUE(rf_cache_enter(first));
    rf_cache *const second = rf_cache_bind(0);
    EXPECT_NE(second, first) << "it is not whole";
    second->stuck = true;
    ASSERT_TRUE(rf_heap_lock(0));
    rf_cache *const third = rf_cache_bind(0);
    EXPECT_NE(third, second) << "it is full";
    rf_heap_unlock(0);
    rf_cache_leave(third);
    EXPECT_EQ(rf_cache_bind(0), third) << "as anybody could";
    EXPECT_EQ(third->taken, 1U);
    EXPECT_EQ(rf_cache_total(), 4U);
  });
}

pthread_barrier_t met;

void *bind_a_cache(void * /*unused*/) {
  EXPECT_NE(rf_cache_bind(0), nullptr);
  (void)pthread_barrier_wait(&met);
  return nullptr;
}

// Stacks, and what threads have of their own above them, may lie a power of two apart.
TEST(DropinCaches, WhatThreadsHadThatEndedUntoldIsKeptForEachAddress) {
  heap_alone([] {
    pthread_attr_t attributes;
    ASSERT_EQ(pthread_attr_init(&attributes), 0);
    ASSERT_EQ(pthread_attr_setstacksize(&attributes, kMiB - 4096), 0); // with the closed page below it
    for (int round = 0; round < 3; round++) {
      pthread_t threads[2];
      ASSERT_EQ(pthread_barrier_init(&met, nullptr, 2), 0);
      for (pthread_t &thread : threads) {
        ASSERT_EQ(pthread_create(&thread, &attributes, bind_a_cache, nullptr), 0);
      }
      for (pthread_t const thread : threads) {
        ASSERT_EQ(pthread_join(thread, nullptr), 0);
      }
      EXPECT_EQ(rf_cache_total(), 2U) << round;
    }
  });
}

// A freed block waits until so many bytes were freed after it.
TEST(DropinCaches, CountABlockAsItsSlotAnd48Bytes) {
  heap_alone([] {
    rf_cache *const cache = rf_cache_take(0);
    for (unsigned i = 0; i < RF_CLASSES; i++) {
      EXPECT_EQ(cache->bins[i].slot_size, rf_size_classes[i].size);
      EXPECT_EQ(cache->bins[i].weight, rf_size_classes[i].size + 48) << i;
    }
    EXPECT_EQ(cache->bins[RF_BIN_LARGE].slot_size, 0U);
  });
}

// Slots that come back one by one go on to the heaps many at a time.
TEST(DropinCaches, GiveSlotsBackWhereTwiceAsManyAreIdleAsTheyKeep) {
  heap_alone([] {
    rf_cache *const cache = rf_cache_take(0);
    const rf_bin *const bin = &cache->bins[kClass];
    uint32_t const most = rf_size_classes[kClass].most;
    for (uint32_t i = 1; i <= 2 * most + 1; i++) {
      rf_slot_place place;
      ASSERT_EQ(rf_slots_take(0, kClass, &place, 1), 1U);
      rf_bins_put_back(cache, kClass, place);
      EXPECT_EQ(bin->ripe - bin->first, i <= 2 * most ? i : most);
    }
  });
}

// By two threads that freed its block at once.
TEST(DropinCaches, TakeASlotThatComesBackTwiceOnce) {
  heap_alone([] {
    rf_slot_place place;
    ASSERT_EQ(rf_slots_take(0, kClass, &place, 1), 1U);
    const rf_span *const span = rf_span_of(reinterpret_cast<uintptr_t>(place.begin));
    for (int i = 0; i < 2; i++) {
      unsigned count = 1;
      EXPECT_TRUE(rf_slots_give(&place, &count));
      EXPECT_EQ(count, 0U);
      EXPECT_EQ(span->carved, 1U);
      EXPECT_EQ(span->free_count, 1U);
      EXPECT_EQ(rf_heaps[0].empty[kClass], 1U);
    }
  });
}

#ifdef __x86_64__

rf_cache *leaving;

// Another thread takes it as soon as it can be had.
void take_when_left(int /*signal*/, siginfo_t * /*info*/, void *context) {
  if (leaving->taken == 0) {
    end_stepping(context);
    EXPECT_EQ(rf_cache_take(0), leaving);
    EXPECT_TRUE(rf_cache_enter(leaving));
  }
}

TEST(DropinCaches, OneThatIsTakenAsSoonAsItIsLeftIsTheNextThreads) {
  heap_alone([] {
    struct sigaction action = {};
    action.sa_sigaction = take_when_left;
    action.sa_flags = SA_SIGINFO;
    ASSERT_EQ(sigaction(SIGTRAP, &action, nullptr), 0);
    leaving = rf_cache_take(0);
    EXPECT_TRUE(rf_cache_enter(leaving));
    set_stepping(true);
    rf_cache_leave(leaving);
    set_stepping(false);
    EXPECT_EQ(leaving->taken, 1U);
    EXPECT_EQ(leaving->thread, rf_stop_self());
    EXPECT_EQ(leaving->inside, static_cast<uint32_t>(RF_CACHE_INSIDE));
    EXPECT_EQ(waits(), rf_heap_options_now.wait);
    EXPECT_NE(rf_cache_take(0), leaving);
  });
}

#endif

// Else each handler that finds a lock held would leave one that nobody has any more.
TEST(DropinCaches, OneThatIsStuckServesAgainWhereNoLockIsHeld) {
  heap_alone([] {
    rf_cache *const cache = rf_cache_take(0);
    cache->stuck = true;
    rf_cache_leave(cache);
    ASSERT_TRUE(rf_heap_lock(1));
    EXPECT_NE(rf_cache_take(0), cache);
    rf_heap_unlock(1);
    EXPECT_EQ(rf_cache_take(0), cache);
    EXPECT_FALSE(cache->stuck);
  });
}

TEST(DropinCaches, TheNinthThatIsLeftIsOneTooMany) {
  heap_alone([] {
    rf_cache *caches[9];
    for (rf_cache *&cache : caches) {
      cache = rf_cache_take(0);
    }
    for (int i = 0; i < 8; i++) {
      EXPECT_FALSE(rf_cache_is_one_too_many()) << i;
      rf_cache_leave(caches[i]);
    }
    EXPECT_TRUE(rf_cache_is_one_too_many());
    (void)rf_cache_take(0);
    EXPECT_FALSE(rf_cache_is_one_too_many());
  });
}

TEST(DropinCaches, ShareTheQuarantine) {
  heap_alone([] {
    size_t const wait = rf_heap_options_now.wait;
    rf_cache *last = nullptr;
    size_t const most = kQuarantine / wait;
    for (size_t i = 0; i < most; i++) {
      last = rf_cache_take(0);
      EXPECT_EQ(waits(), wait) << i;
    }
    (void)rf_cache_take(0);
    EXPECT_EQ(waits(), kQuarantine / (most + 1));
    rf_cache_leave(last);
    EXPECT_EQ(waits(), wait);
    EXPECT_EQ(rf_cache_take(0), last);
    EXPECT_EQ(waits(), kQuarantine / (most + 1));
  });
}

TEST(DropinCaches, AreTheChildsAfterAFork) {
  heap_alone([] {
    rf_heap_options_now.wait = kQuarantine; // shared, with no other bound
    rf_cache *const own = rf_cache_take(0);
    rf_cache *const of_others = rf_cache_take(0);
    rf_cache *const left = rf_cache_take(0);
    rf_cache_leave(left);
    in_a_thread([&] {
      of_others->thread = rf_stop_self();
      EXPECT_TRUE(rf_cache_enter(of_others));
    });
    EXPECT_TRUE(rf_cache_enter(own));
    EXPECT_TRUE(rf_heap_lock(1));
    rf_heaps[1].lock.state = 2; // others waited for it
    rf_heaps_held |= 1U << 2;   // interrupted while it waited for it
    rf_heaps[0].lock.state = 2; // of a thread that is not there, as the next
    rf_heaps[rf_heap_count - 1].lock.state = 2;
    EXPECT_EQ(waits(), kQuarantine / 2);
    rf_cache_inherit();
    EXPECT_EQ(waits(), kQuarantine);
    EXPECT_EQ(rf_heaps[0].lock.state, 0U);
    EXPECT_EQ(rf_heaps[rf_heap_count - 1].lock.state, 0U);
    EXPECT_EQ(rf_heaps[1].lock.state, 1U);
    EXPECT_EQ(rf_heaps[2].lock.state, 0U);
    rf_heaps_held &= ~(1U << 2);
    rf_heap_unlock(1);
    EXPECT_EQ(own->inside, static_cast<uint32_t>(RF_CACHE_INSIDE));
    EXPECT_EQ(own->thread, rf_stop_self());
    EXPECT_EQ(of_others->inside, static_cast<uint32_t>(RF_CACHE_OUTSIDE));
    EXPECT_EQ(of_others->thread, nullptr);
    rf_cache *const one = rf_cache_take(0);
    EXPECT_EQ(waits(), kQuarantine / 2);
    rf_cache *const two = rf_cache_take(0);
    EXPECT_TRUE((one == left && two == of_others) || (one == of_others && two == left));
    EXPECT_EQ(rf_cache_total(), 3U);
    (void)rf_cache_take(0);
    EXPECT_EQ(rf_cache_total(), 4U); // the two were all that nobody had
  });
}

// ---- Figures ----

constexpr size_t kStep = 65536; // as docs/checkers/dropin.md has it: the peak is within 64 KiB for each thread

void count_as(rf_cache *cache, size_t used, size_t blocks) {
  cache->room = static_cast<ptrdiff_t>(cache->mark - used);
  cache->block_room = static_cast<ptrdiff_t>(cache->peak_blocks - blocks);
  rf_cache_count_more(cache);
}

TEST(DropinCaches, TheirFiguresAreSums) {
  heap_alone([] {
    rf_cache *const one = rf_cache_take(0);
    count_as(one, 5 * kStep, 7);
    count_as(one, 3 * kStep, 3);
    one->allocations = 20;
    one->failures = 2;
    one->requested = 9000;
    rf_cache_figures f;
    rf_cache_figures_of_all(&f);
    EXPECT_EQ(f.counters.used, 3 * kStep);
    EXPECT_EQ(f.counters.blocks, 3U);
    EXPECT_EQ(f.counters.peak, 5 * kStep); // exact where there is one, as is the next
    EXPECT_EQ(f.counters.peak_blocks, 7U);

    rf_cache *const two = rf_cache_take(0);
    count_as(two, 2 * kStep, 1);
    two->allocations = 5;
    two->failures = 1;
    two->requested = 300;
    two->bins[2].ripe = 3;
    two->bins[2].end = 5;
    rf_cache_figures_of_all(&f);
    EXPECT_EQ(f.counters.used, 5 * kStep);
    EXPECT_EQ(f.counters.blocks, 4U);
    EXPECT_EQ(f.counters.allocations, 25U);
    EXPECT_EQ(f.counters.failures, 3U);
    EXPECT_EQ(f.requested, 9300U);
    EXPECT_EQ(f.waiting, 2 * rf_size_classes[2].size);
    EXPECT_EQ(f.counters.peak, 5 * kStep);
    EXPECT_EQ(f.counters.peak_blocks, 4U);

    count_as(two, 6 * kStep, 1);
    count_as(two, kStep, 1);
    rf_cache_figures_of_all(&f);
    EXPECT_EQ(f.counters.used, 4 * kStep);
    EXPECT_EQ(f.counters.peak, 9 * kStep);
  });
}

// Less than a step is in nobody's sum yet, and the sum may be below 0.
TEST(DropinCaches, TheirPeakIsNoLessThanWhatLives) {
  heap_alone([] {
    rf_cache *const one = rf_cache_take(0);
    rf_cache *const two = rf_cache_take(0);
    rf_cache_figures f;
    count_as(one, 100, 1);
    count_as(two, 200, 1);
    rf_cache_figures_of_all(&f);
    EXPECT_EQ(f.counters.peak, 300U);
    count_as(one, 0 - 3 * kStep, 1);
    count_as(two, 4 * kStep, 1);
    rf_cache_figures_of_all(&f);
    EXPECT_EQ(f.counters.used, kStep);
    EXPECT_EQ(f.counters.peak, kStep);
  });
}

// There is more to count as soon as a peak is passed, or the process's sum is off by more than a step.
TEST(DropinCaches, SayWhenThereIsMoreToCount) {
  heap_alone([] {
    rf_cache *const cache = rf_cache_take(0);
    EXPECT_FALSE(rf_cache_has_more(cache));
    cache->block_room--;
    EXPECT_TRUE(rf_cache_has_more(cache));
    rf_cache_count_more(cache);
    EXPECT_FALSE(rf_cache_has_more(cache));
    EXPECT_EQ(rf_cache_blocks(cache), 1U);

    count_as(cache, 10 * kStep, 1);
    EXPECT_EQ(cache->room, 0);
    count_as(cache, 2 * kStep, 1);
    EXPECT_EQ(rf_cache_used(cache), 2 * kStep);
    EXPECT_EQ(cache->counted, 2 * kStep);
    EXPECT_EQ(cache->room, static_cast<ptrdiff_t>(kStep)) << "long before the peak";
    cache->room -= static_cast<ptrdiff_t>(kStep) + 1;
    EXPECT_TRUE(rf_cache_has_more(cache));
    rf_cache_count_more(cache);
    EXPECT_EQ(cache->counted, 3 * kStep + 1);
    EXPECT_EQ(cache->peak, 10 * kStep);
  });
}

// A cache that only frees what others allocated has fewer than none.
TEST(DropinCaches, MayHaveFreedMoreThanTheyAllocated) {
  heap_alone([] {
    rf_cache *const cache = rf_cache_take(0);
    count_as(cache, 0 - 3 * kStep, 0 - size_t{5});
    EXPECT_FALSE(rf_cache_has_more(cache));
    EXPECT_EQ(rf_cache_used(cache), 0 - 3 * kStep);
    EXPECT_EQ(rf_cache_blocks(cache), 0 - size_t{5});
    EXPECT_EQ(cache->peak, 0U);
    EXPECT_EQ(cache->peak_blocks, 0U);
  });
}

} // namespace
} // namespace ringfence_test
