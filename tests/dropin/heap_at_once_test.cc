// Two threads at once in the drop-in's heap (tests/checkers/two_at_once.h): caches that are taken, left and made, what
// they count, the page map, numbers of threads, and the word by which all are stopped.
#include "tests/checkers/two_at_once.h"
#include "tests/dropin/heap_alone.h"

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/heap/threads.h"
}
#undef _Static_assert

#include <climits>
#include <memory>
#include <set>
#include <vector>

#ifdef RF_CAN_STEP

namespace ringfence_test {
namespace {

// Bytes that freed blocks wait for where so many caches are taken.
size_t wait_of(size_t taken) {
  return kQuarantine / taken;
}

void with_shares(const std::function<void()> &test) {
  heap_alone([&] {
    rf_heap_options_now.wait = kQuarantine; // no bound but the caches' number
    test();
  });
}

TEST(HeapAtOnce, TwoTakeTwoCachesAndLeaveThem) {
  with_shares([] {
    rf_cache *got[2] = {rf_cache_take(0), rf_cache_take(0)};
    rf_cache_leave(got[0]);
    rf_cache_leave(got[1]);
    auto const leave = [&](unsigned who) { rf_cache_leave(got[who]); };
    auto const take = [&](unsigned who) { got[who] = rf_cache_take(0); };
    two_at_once(take, [&] {
      EXPECT_NE(got[0], got[1]);
      EXPECT_EQ(rf_cache_total(), 2U);
      EXPECT_EQ(rf_cache_wait_now(), wait_of(2));
      rf_cache_leave(got[0]);
      rf_cache_leave(got[1]);
    });
    take(1);
    two_at_once(leave, [&] {
      EXPECT_EQ(rf_cache_wait_now(), wait_of(1));
      EXPECT_EQ(got[0]->taken + got[1]->taken, 0U);
      take(0);
      EXPECT_EQ(rf_cache_wait_now(), wait_of(1));
      take(1);
      EXPECT_EQ(rf_cache_wait_now(), wait_of(2));
    });
  });
}

// The one that is made is entered into the list at the end; before that it is nobody else's.
TEST(HeapAtOnce, TwoMakeTwoCaches) {
  with_shares([] {
    std::set<const rf_cache *> all;
    std::set<uint32_t> places;
    const rf_cache *made[2] = {rf_cache_take(0), rf_cache_take(0)};
    auto const make = [&] { made[0] = rf_cache_take(0); };
    (void)run_with_other_after(UINT_MAX, make, [] {});
    unsigned const instructions = UINT_MAX - interruption.left;
    ASSERT_GT(instructions, 200U);
    for (unsigned before_end = 1; before_end < 120; before_end++) {
      (void)run_with_other_after(instructions - before_end, make, [&] { made[1] = rf_cache_take(0); });
      for (const rf_cache *const cache : made) {
        EXPECT_TRUE(all.insert(cache).second) << before_end;
        EXPECT_TRUE(places.insert(cache->place).second) << before_end;
      }
      size_t listed = 0;
      for (const rf_cache *c = rf_cache_first(); c != nullptr; c = c->next) {
        listed += all.count(c);
      }
      EXPECT_EQ(listed, all.size()) << before_end;
      EXPECT_EQ(rf_cache_total(), all.size() + 3);
    }
  });
}

TEST(HeapAtOnce, WhatTwoCountIsInTheSumAndThePeak) {
  heap_alone([] {
    rf_cache *const caches[2] = {rf_cache_take(0), rf_cache_take(0)};
    size_t used = 0;
    auto const count = [&](unsigned who) {
      caches[who]->room = static_cast<ptrdiff_t>(caches[who]->mark - used);
      rf_cache_count_more(caches[who]);
    };
    two_at_once(
        [&](unsigned who) {
          used += who == 0 ? 3 * RF_PEAK_STEP : 0;
          count(who);
        },
        [&] {
          count(0);
          count(1);
          rf_cache_figures figures;
          rf_cache_figures_of_all(&figures);
          EXPECT_EQ(figures.counters.used, 2 * used);
          EXPECT_EQ(figures.counters.peak, 2 * used);
        });
  });
}

TEST(HeapAtOnce, TwoThreadsThatMeetInOnePlaceHaveTwoNumbers) {
  heap_alone([] {
    uint32_t round = 0;
    uint16_t numbers[2];
    two_at_once([&](unsigned who) { numbers[who] = rf_thread_number(1000 + round + who * (RF_THREAD_NUMBERS - 1)); },
                [&] {
                  EXPECT_NE(numbers[0], numbers[1]);
                  for (unsigned who = 0; who < 2; who++) {
                    EXPECT_EQ(rf_thread_of_number(numbers[who]), 1000 + round + who * (RF_THREAD_NUMBERS - 1));
                  }
                  round += 2;
                });
  });
}

// Each under the lock of its own heap. The search for leaks finds blocks by these numbers.
TEST(HeapAtOnce, SpansOfTwoHeapsHaveTwoNumbers) {
  heap_alone([] {
    const rf_span *made[2];
    auto const describe = [&](unsigned who) { made[who] = rf_span_describe(who, RF_CLASSES); };
    describe(0); // the first of each heap takes longer
    describe(1);
    two_at_once(describe, [&] {
      ASSERT_NE(made[0], nullptr);
      ASSERT_NE(made[1], nullptr);
      EXPECT_NE(made[0]->number, made[1]->number);
    });
  });
}

// Below all that was entered, and above it.
TEST(HeapAtOnce, TwoSpansAreFoundInThePageMap) {
  for (bool const below : {true, false}) {
    heap_alone([below] {
      uintptr_t const kLeaf = RF_UNIT * RF_SPAN_MAP_ENTRIES;
      uintptr_t leaf = kLeaf * (RF_SPAN_MAP_ENTRIES / 2);
      std::vector<std::unique_ptr<rf_span>> spans;
      rf_span *now[2];
      rf_span known = {};
      auto const prepare = [&] {
        leaf = below ? leaf - kLeaf : leaf + kLeaf;
        known.base = leaf + RF_UNIT * (below ? 30 : 10) + RF_SPAN_FRONT;
        EXPECT_TRUE(rf_span_enter(rf_span_start(&known), RF_UNIT, &known)); // makes the table
        for (unsigned who = 0; who < 2; who++) {
          spans.push_back(std::make_unique<rf_span>());
          now[who] = spans.back().get();
          now[who]->base = leaf + RF_UNIT * (below ? 20 - who : 20 + who) + RF_SPAN_FRONT;
          now[who]->bytes = RF_UNIT;
        }
      };
      prepare();
      two_at_once([&](unsigned who) { (void)rf_span_enter(rf_span_start(now[who]), RF_UNIT, now[who]); },
                  [&] {
                    for (const rf_span *const span : now) {
                      EXPECT_EQ(rf_span_of(span->base), span);
                    }
                    EXPECT_EQ(rf_span_above(below ? 0 : now[1]->base), now[1]);
                    prepare();
                  });
    });
  }
}

// A thread is told of a job while another one stops all, or lets them go.
TEST(HeapAtOnce, AJobThatComesWhileAllAreStoppedStays) {
  heap_alone([] {
    auto const stop_and_go_on = [](unsigned who) {
      if (who != 0) {
        __atomic_fetch_or(&rf_stop_now.wanted, RF_STOP_JOB, __ATOMIC_RELAXED);
        return;
      }
      (void)rf_stop_all(1000);
      rf_stop_finish();
    };
    two_at_once(stop_and_go_on, [] {
      EXPECT_EQ(rf_stop_now.wanted, RF_STOP_LONG | RF_STOP_JOB);
      rf_stop_now.wanted = RF_STOP_LONG;
    });
  });
}

} // namespace
} // namespace ringfence_test

#endif
