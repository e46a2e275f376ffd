// The scheduler of virtual threads and its locks, events and sleeps: each schedule runs as it says, every time, and
// what threads may not do with them is told.
#include "fuzz/threads.h"
#include "fuzz/threads_port.h"
#include "tests/fuzz/threads_run.h"

#include <ringfence/port.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

namespace ringfence::fuzz {
namespace {

rf_mutex mutexes[2];
rf_event events[2];

void begin_events() {
  ASSERT_EQ(rf_event_init(&events[0]), RF_OK);
  ASSERT_EQ(rf_event_init(&events[1]), RF_OK);
}

// ---- Schedules ----

// Which thread made each of its `steps` accesses, in order.
std::string order_of(unsigned count, unsigned steps, const std::vector<uint8_t> &schedule) {
  std::string order;
  run_as_threads(RunOf{std::vector<Body>(count,
                                         [&] {
                                           for (unsigned i = 0; i < steps; i++) {
                                             rf_fuzz_point();
                                             order += static_cast<char>('0' + Threads::current());
                                           }
                                         }),
                       schedule, nullptr});
  return order;
}

std::vector<uint8_t> schedule_of(unsigned seed) {
  std::vector<uint8_t> bytes(64);
  for (uint8_t &byte : bytes) {
    seed = seed * 1664525 + 1013904223;
    byte = static_cast<uint8_t>(seed >> 24);
  }
  return bytes;
}

TEST(Schedule, AtItsEndThreadsRunOneAfterTheOther) {
  EXPECT_EQ(order_of(3, 2, {}), "001122");
}

// A choice among the threads that can run, then a slice: 1 + n * n / 64 accesses up to 0xBF, of its low six bits, and
// above that 32 times as many as the number. The last one of a slice is made after the next choice.
TEST(Schedule, NamesThreadsAndAccesses) {
  auto const times = [](char thread, size_t count) { return std::string(count, thread); };
  EXPECT_EQ(order_of(2, 12, {0, 16, 1, 16}), times('0', 4) + times('1', 4) + times('0', 8) + times('1', 8));
  EXPECT_EQ(order_of(2, 12, {1, 0, 1, 0, 0, 8, 2, 0x48}),
            times('1', 1) + times('0', 3) + times('1', 11) + times('0', 9));
  EXPECT_EQ(order_of(2, 80, {1, 0xC1, 0, 0xC0}), times('1', 63) + times('0', 31) + times('1', 17) + times('0', 49));
}

TEST(Schedule, IsRepeatedExactly) {
  std::set<std::string> orders;
  for (unsigned seed = 0; seed < 100; seed++) {
    std::string const order = order_of(3, 60, schedule_of(seed));
    EXPECT_EQ(order, order_of(3, 60, schedule_of(seed)));
    EXPECT_EQ(order.size(), 180U);
    orders.insert(order);
  }
  EXPECT_GT(orders.size(), 80U) << "schedules differ";
}

TEST(Schedule, HasSlicesOfAllLengths) {
  std::set<size_t> lengths;
  for (unsigned byte = 0; byte <= UINT8_MAX; byte++) {
    std::string const order = order_of(2, 3000, {0, static_cast<uint8_t>(byte), 1});
    lengths.insert(order.find('1'));
  }
  EXPECT_EQ(*lengths.begin(), 0U);
  EXPECT_GE(*lengths.rbegin(), 2000U);
  EXPECT_GE(lengths.size(), 100U);
}

TEST(Schedule, IsAnotherOneWithEachNudge) {
  std::vector<uint8_t> schedule;
  for (uint8_t i = 0; i < 20; i++) {
    schedule.insert(schedule.end(), {i, 20});
  }
  std::string const plain = order_of(3, 60, schedule);
  std::set<std::string> others[2];
  for (uint32_t nudge = 1; nudge <= 40; nudge++) {
    rf_fuzz_nudge(nudge);
    std::string const other = order_of(3, 60, schedule);
    EXPECT_EQ(other, order_of(3, 60, schedule)) << "a nudge is repeated as well";
    rf_fuzz_nudge(0);
    EXPECT_EQ(plain, order_of(3, 60, schedule));
    EXPECT_NE(plain, other) << nudge;
    others[nudge % 2].insert(other);
  }
  EXPECT_GT(others[0].size(), 15U);
  EXPECT_GT(others[1].size(), 15U);
}

// One that is even tries what lies around the schedule: the same threads in the same order.
TEST(Schedule, IsMuchTheSameWithAnEvenNudge) {
  auto const turns = [](std::string order) {
    order.erase(std::unique(order.begin(), order.end()), order.end());
    return order;
  };
  std::vector<uint8_t> const long_slices = {0, 40, 1, 40, 0, 40, 1, 40, 0, 40, 1, 40, 0, 40, 1, 40};
  std::string const plain = order_of(2, 300, long_slices);
  for (uint32_t nudge = 2; nudge <= 20; nudge += 2) {
    rf_fuzz_nudge(nudge);
    EXPECT_EQ(turns(order_of(2, 300, long_slices)), turns(plain));
    rf_fuzz_nudge(0);
  }
}

TEST(Schedule, KeepsEachThreadsOwnVariables) {
  int own[2] = {7, 8};
  int foreign = 0;
  Body const body = [&] {
    for (int i = 1; i <= 5; i++) {
      EXPECT_EQ(own[0], i - 1);
      EXPECT_EQ(own[1], 10 * (i - 1));
      own[0] = i;
      own[1] = 10 * i;
      foreign++;
      Threads::yield();
    }
  };
  for (unsigned again = 0; again < 2; again++) {
    run_as_threads(RunOf{{body, body, body, body}, schedule_of(3), nullptr}, [&](Threads &threads) {
      threads.own(&own[0], sizeof own[0]);
      threads.own(&own[1], sizeof own[1]);
      EXPECT_TRUE(Threads::is_own(&own[1]));
      EXPECT_FALSE(Threads::is_own(&foreign));
    });
  }
  EXPECT_EQ(own[0], 7);
  EXPECT_EQ(own[1], 8);
  EXPECT_EQ(foreign, 40);
  EXPECT_EQ(Threads::current(), Threads::kMost);
}

TEST(Schedule, NamesEachThread) {
  std::set<uint32_t> names;
  Body const body = [&names] { names.insert(rf_port_thread_id()); };
  run_as_threads({body, body, body, body});
  EXPECT_EQ(names.size(), 4U);
  EXPECT_EQ(names.count(0), 0U);
}

// ---- Locks ----

TEST(Locks, AreOneThreadsAtATime) {
  for (unsigned seed = 0; seed < 100; seed++) {
    int inside = 0;
    int done = 0;
    Body const body = [&] {
      for (unsigned i = 0; i < 4; i++) {
        rf_mutex_lock(&mutexes[0]);
        EXPECT_EQ(++inside, 1);
        rf_fuzz_point();
        rf_fuzz_point();
        inside--;
        done++;
        rf_mutex_unlock(&mutexes[0]);
      }
    };
    run_as_threads({body, body, body}, schedule_of(seed));
    EXPECT_EQ(done, 12);
  }
}

TEST(Locks, OfTwoThreadsInTheOtherOrderMayBeADeadlock) {
  auto const both = [](unsigned first) {
    rf_mutex_lock(&mutexes[first]);
    rf_mutex_lock(&mutexes[1 - first]);
    rf_mutex_unlock(&mutexes[1 - first]);
    rf_mutex_unlock(&mutexes[first]);
  };
  auto const run_all = [&](unsigned other) {
    for (unsigned seed = 0; seed < 50; seed++) {
      run_as_threads({[&] { both(0); }, [&, other] { both(other); }}, schedule_of(seed));
    }
  };
  run_all(0);
  EXPECT_DEATH(run_all(1), "deadlock(.|\n)*thread 0 waits for the lock(.|\n)*thread 1 waits for the lock");
}

TEST(Locks, AreNotUsedAsNoProgramMay) {
  auto const alone = [](const Body &body) { run_as_threads({body}); };
  EXPECT_DEATH(alone([] { rf_mutex_lock(&mutexes[0]), rf_mutex_lock(&mutexes[0]); }), "it locks the lock .*it holds");
  EXPECT_DEATH(alone([] { rf_mutex_unlock(&mutexes[0]); }), "unlocks the lock .*it does not hold");
  EXPECT_DEATH(alone([] { rf_mutex_lock(&mutexes[0]); }), "ends with 1 locks held");
  EXPECT_DEATH(alone([] { rf_mutex_lock(&mutexes[0]), rf_mutex_deinit(&mutexes[0]); }), "ends while it is held");
  EXPECT_DEATH(run_as_threads({[] { rf_mutex_lock(&mutexes[0]), Threads::yield(), rf_mutex_unlock(&mutexes[0]); },
                               [] { rf_mutex_unlock(&mutexes[0]); }}),
               "thread 1(.|\n)*it does not hold");
  alone([] {
    rf_mutex_lock(&mutexes[0]), rf_mutex_lock(&mutexes[1]);
    rf_mutex_unlock(&mutexes[0]), rf_mutex_unlock(&mutexes[1]);
  });
}

TEST(Locks, OutsideOfARunAreTakenAtOnceOrNever) {
  rf_mutex_lock(&mutexes[0]);
  EXPECT_DEATH(rf_mutex_lock(&mutexes[0]), "lock .*, which it holds");
  rf_mutex_unlock(&mutexes[0]);
}

// ---- Events ----

TEST(Events, AreSeenOnceByOneOfThoseWhoWait) {
  for (unsigned seed = 0; seed < 100; seed++) {
    begin_events();
    int seen = 0;
    Body const waiter = [&] {
      EXPECT_EQ(rf_event_wait(&events[0], RF_WAIT_FOREVER), RF_OK);
      seen++;
      rf_event_set(&events[1]);
    };
    Body const setter = [&] {
      rf_event_set(&events[0]);
      EXPECT_EQ(rf_event_wait(&events[1], RF_WAIT_FOREVER), RF_OK);
      EXPECT_EQ(seen, 1);
      rf_event_set(&events[0]);
    };
    run_as_threads({waiter, waiter, setter}, schedule_of(seed));
    EXPECT_EQ(seen, 2);
  }
}

TEST(Events, ThatNobodySetsAreALostWakeUp) {
  begin_events();
  EXPECT_DEATH(run_as_threads({[] { (void)rf_event_wait(&events[0], RF_WAIT_FOREVER); }, [] {}}),
               "lost wake-up(.|\n)*thread 0 waits for the event(.|\n)*thread 1 has ended");
}

TEST(Events, EndTheWaitWithItsTime) {
  begin_events();
  rf_status late = RF_OK;
  rf_status asked = RF_OK;
  run_as_threads({[&] { late = rf_event_wait(&events[0], 5), asked = rf_event_wait(&events[0], 0); }});
  EXPECT_EQ(late, RF_ERR_TIMEOUT);
  EXPECT_EQ(asked, RF_ERR_TIMEOUT);
  run_as_threads({[&] { late = rf_event_wait(&events[0], 5); }, [] { rf_event_set(&events[0]); }});
  EXPECT_EQ(late, RF_OK) << "the clock stands while others run";
  run_as_threads({[&] { late = rf_event_wait(&events[0], 5); }, [] { rf_event_set(&events[0]); }},
                 {0, UINT8_MAX, 0, UINT8_MAX});
  EXPECT_EQ(late, RF_OK) << "and there is a choice";
  run_as_threads({[&] { asked = rf_event_wait(&events[0], 0); }, [] { rf_event_set(&events[0]); }});
  EXPECT_EQ(asked, RF_ERR_TIMEOUT) << "who only asks does not wait";
  std::set<rf_status> ends;
  for (unsigned seed = 0; seed < 100; seed++) {
    begin_events();
    run_as_threads({[&] { ends.insert(rf_event_wait(&events[0], 5)); }, [] { rf_event_set(&events[0]); }},
                   schedule_of(seed));
  }
  EXPECT_EQ(ends.size(), 2U) << "unless the schedule has it go on";
}

TEST(Events, ThatHaveEndedAreNotUsed) {
  begin_events();
  rf_event_deinit(&events[0]);
  EXPECT_DEATH(rf_event_set(&events[0]), "event .* has ended");
  EXPECT_DEATH((void)rf_event_wait(&events[0], 0), "event .* has ended");
  EXPECT_DEATH(rf_event_deinit(&events[0]), "event .* has ended");
}

TEST(Events, AreKnownToBeWaitedFor) {
  begin_events();
  bool known[4] = {};
  run_as_threads({[] { (void)rf_event_wait(&events[0], RF_WAIT_FOREVER); }, [] {},
                  [&] {
                    known[0] = Threads::waits(0);
                    known[1] = Threads::waits(2);
                    known[3] = Threads::waits(1);
                    rf_event_set(&events[0]);
                    known[2] = Threads::waits(0);
                  }});
  EXPECT_TRUE(known[0]);
  EXPECT_FALSE(known[1]) << "it runs";
  EXPECT_FALSE(known[2]) << "it was woken";
  EXPECT_FALSE(known[3]) << "it has ended";
}

// ---- Sleeps ----

TEST(Sleeps, EndWithAWakeOfTheSameAddressOrWithTheirTime) {
  int here = 0;
  int there = 0;
  bool woken[2] = {};
  run_as_threads({[&] { woken[0] = virtual_sleep(&here, false); }, [&] { woken[1] = virtual_sleep(&there, true); },
                  [&] { virtual_wake(&here); }});
  EXPECT_TRUE(woken[0]);
  EXPECT_FALSE(woken[1]);
  EXPECT_DEATH(run_as_threads({[&] { (void)virtual_sleep(&here, false); }, [&] { virtual_wake(&there); }}), "deadlock");
  EXPECT_DEATH((void)virtual_sleep(&here, true), "nobody is left to wake");
}

// ---- Where nobody can run ----

TEST(Stuck, GoesOnWhereTheHarnessHelps) {
  begin_events();
  unsigned asked = 0;
  run_as_threads(RunOf{{[] { EXPECT_EQ(rf_event_wait(&events[0], RF_WAIT_FOREVER), RF_OK); }}, {}, [&] {
                         asked++;
                         EXPECT_EQ(Threads::current(), Threads::kMost);
                         rf_event_set(&events[0]);
                         return true;
                       }});
  EXPECT_EQ(asked, 1U);
}

TEST(Stuck, IsAThreadThatNeverEnds) {
  auto const spin = [] {
    for (;;) {
      rf_fuzz_point();
    }
  };
  EXPECT_DEATH(run_as_threads({spin, spin}), "never end");
}

} // namespace
} // namespace ringfence::fuzz
