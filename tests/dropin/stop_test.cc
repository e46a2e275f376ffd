// Stopping all who are inside a cache of the drop-in's heap (checkers/dropin/heap/stop.c). Each test has a process of
// its own, since caches stay for ever.
#include "tests/checkers/not_cancelled.h"
#include "tests/dropin/heap_alone.h"

#define _Static_assert static_assert
extern "C" {
#include "checkers/os/forbidden_calls.h"
}
#undef _Static_assert

#include <atomic>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

namespace ringfence_test {
namespace {

const unsigned kLong = 60000;
const unsigned kShort = 2;

// A thread that is inside a cache until told to leave.
class Inside {
public:
  explicit Inside(rf_cache *cache)
      : thread_([this, cache] {
          cache->thread = rf_stop_self();
          EXPECT_TRUE(rf_cache_enter(cache));
          is_in_ = true;
          while (!leave_) {
            std::this_thread::yield();
          }
          rf_cache_exit(cache);
        }) {
    while (!is_in_) {
      std::this_thread::yield();
    }
  }
  ~Inside() { thread_.join(); }
  void leave() { leave_ = true; }

private:
  std::atomic<bool> is_in_{false};
  std::atomic<bool> leave_{false};
  std::thread thread_;
};

TEST(DropinStop, NobodyEntersMeanwhile) {
  heap_alone([] {
    rf_cache *const cache = rf_cache_take(0);
    ASSERT_TRUE(rf_stop_all(kLong));
    EXPECT_TRUE(rf_stopped_by_me());
    in_a_thread([&] {
      EXPECT_FALSE(rf_stopped_by_me());
      EXPECT_FALSE(rf_cache_enter(cache));
      rf_cache_exit(cache);
    });
    rf_stop_finish();
    EXPECT_FALSE(rf_stopped_by_me());
    in_a_thread([&] {
      EXPECT_TRUE(rf_cache_enter(cache));
      rf_cache_exit(cache);
    });
  });
}

TEST(DropinStop, Nests) {
  heap_alone([] {
    rf_cache *const cache = rf_cache_take(0);
    for (int round = 0; round < 2; round++) {
      ASSERT_TRUE(rf_stop_all(kLong));
      ASSERT_TRUE(rf_stop_all(kLong));
      rf_stop_finish();
      EXPECT_TRUE(rf_stopped_by_me());
      in_a_thread([&] {
        EXPECT_FALSE(rf_cache_enter(cache));
        rf_cache_exit(cache);
        EXPECT_FALSE(rf_stop_all(kShort));
      });
      rf_stop_finish();
      EXPECT_FALSE(rf_stopped_by_me());
    }
  });
}

TEST(DropinStop, WaitsForWhoeverIsInside) {
  heap_alone([] {
    rf_cache *const cache = rf_cache_take(0);
    std::atomic<bool> has_left{false};
    Inside inside(cache);
    std::thread leaves([&] {
      while ((__atomic_load_n(&rf_stop_now.wanted, __ATOMIC_ACQUIRE) & RF_STOP_ALL) == 0) {
        std::this_thread::yield();
      }
      has_left = true;
      inside.leave();
    });
    EXPECT_TRUE(rf_stop_all(kLong));
    EXPECT_TRUE(has_left);
    rf_stop_finish();
    leaves.join();
  });
}

TEST(DropinStop, GivesUpInTimeAndStopsNobody) {
  heap_alone([] {
    rf_cache *const cache = rf_cache_take(0);
    Inside inside(cache);
    EXPECT_FALSE(rf_stop_all(kShort));
    EXPECT_FALSE(rf_stopped_by_me());
    EXPECT_EQ(rf_stop_now.wanted & RF_STOP_ALL, 0U);
    inside.leave();
    EXPECT_TRUE(rf_stop_all(kLong)); // the lock is free again
    rf_stop_finish();
  });
}

TEST(DropinStop, TheCallerMayBeInsideItsOwnCaches) {
  heap_alone([] {
    rf_cache *const own = rf_cache_take(0);
    std::thread([] {}).join(); // from here on there may be several threads
    EXPECT_TRUE(rf_cache_enter(own));
    EXPECT_TRUE(rf_stop_all(kShort));
    EXPECT_EQ(own->inside, static_cast<uint32_t>(RF_CACHE_INSIDE));
    rf_stop_finish();
    EXPECT_EQ(own->inside, static_cast<uint32_t>(RF_CACHE_INSIDE));
    rf_cache_exit(own);
  });
}

// Two that are inside and both want to stop others: the second waits, parked, and has its turn.
TEST(DropinStop, TwoThatAreInsideStopOneAfterTheOther) {
  heap_alone([] {
    rf_cache *const own = rf_cache_take(0);
    EXPECT_TRUE(rf_cache_enter(own));
    ASSERT_TRUE(rf_stop_all(kLong));
    std::atomic<bool> second{false};
    std::atomic<rf_cache *> other{nullptr};
    std::thread thread([&] {
      rf_cache *const cache = rf_cache_take(0);
      (void)rf_cache_enter(cache);
      other = cache;
      EXPECT_TRUE(rf_stop_all(kLong));
      second = true;
      EXPECT_EQ(cache->inside, static_cast<uint32_t>(RF_CACHE_INSIDE));
      rf_stop_finish();
      rf_cache_exit(cache);
    });
    while (other == nullptr ||
           __atomic_load_n(&other.load()->inside, __ATOMIC_ACQUIRE) != static_cast<uint32_t>(RF_CACHE_PARKED)) {
      std::this_thread::yield();
    }
    EXPECT_FALSE(second);
    rf_stop_finish();
    rf_cache_exit(own);
    thread.join();
    EXPECT_TRUE(second);
  });
}

// It changes nothing, and stays where it is.
TEST(DropinStop, WhoIsParkedIsNotWaitedFor) {
  heap_alone([] {
    rf_cache *const cache = rf_cache_take(0);
    std::thread([] {}).join(); // from here on there may be several threads
    cache->thread = &cache;    // another thread's
    cache->inside = RF_CACHE_PARKED;
    EXPECT_TRUE(rf_stop_all(kShort));
    EXPECT_EQ(cache->inside, static_cast<uint32_t>(RF_CACHE_PARKED));
    rf_stop_finish();
    EXPECT_EQ(cache->inside, static_cast<uint32_t>(RF_CACHE_PARKED));
  });
}

bool kernel_has_barrier() {
  constexpr long kExpedited = 8; // MEMBARRIER_CMD_PRIVATE_EXPEDITED
  long const commands = syscall(SYS_membarrier, 0, 0);
  return commands > 0 && (commands & kExpedited) != 0;
}

// As in a sandbox, or with an old kernel. The process may have one cache, and threads that have none yet.
TEST(DropinStop, WithoutTheKernelsBarrierEachThreadRunsItsOwn) {
  for (bool const forbidden : {false, true}) {
    heap_alone([forbidden] {
      if (forbidden) {
        rf_forbid(RF_CALL_MEMBARRIER);
      }
      __atomic_store_n(&rf_stop_now.wanted, 0, __ATOMIC_RELAXED);
      std::thread([] {}).join();
      errno = 4711;
      ASSERT_TRUE(rf_stop_all(kLong));
      rf_stop_finish();
      EXPECT_EQ(errno, 4711);
      bool const none = forbidden || !kernel_has_barrier();
      EXPECT_EQ(rf_stop_now.fences != 0, none);
      EXPECT_EQ(rf_stop_now.wanted, none ? RF_STOP_LONG : 0U) << "nobody takes the long way for nothing";
    });
  }
}

// Neither malloc nor fork is a point of cancellation, and a thread that ended in here would keep the lock.
TEST(DropinStop, WhoWaitsForOthersIsNotCancelled) {
  heap_alone([] {
    Inside other(rf_cache_take(0));
    expect_not_cancelled([] { EXPECT_FALSE(rf_stop_all(kShort)); });
    other.leave();
    EXPECT_TRUE(rf_stop_all(kLong));
  });
}

// It is inside again, though nobody could be stopped.
TEST(DropinStop, WhoGivesUpInsideIsInsideAsBefore) {
  heap_alone([] {
    ASSERT_TRUE(rf_stop_all(kLong));
    in_a_thread([] {
      rf_cache *const cache = rf_cache_take(0);
      (void)rf_cache_enter(cache);
      EXPECT_FALSE(rf_stop_all(kShort));
      EXPECT_EQ(cache->inside, static_cast<uint32_t>(RF_CACHE_INSIDE));
      rf_cache_exit(cache);
    });
    rf_stop_finish();
  });
}

TEST(DropinStop, WhoWaitsGoesOnWhenItEnds) {
  heap_alone([] {
    ASSERT_TRUE(rf_stop_all(kLong));
    std::atomic<bool> went_on{false};
    std::atomic<bool> begins{false};
    std::thread waits_for_it([&] {
      begins = true;
      rf_stop_wait();
      went_on = true;
    });
    while (!begins) {
      std::this_thread::yield();
    }
    EXPECT_FALSE(went_on);
    rf_stop_finish();
    waits_for_it.join();
    EXPECT_TRUE(went_on);
    rf_stop_wait(); // nobody stops others: at once
  });
}

TEST(DropinStop, IsForgottenInAChildButForTheLongWay) {
  heap_alone([] {
    ASSERT_TRUE(rf_stop_all(kLong));
    ASSERT_TRUE(rf_stop_all(kLong));
    __atomic_fetch_or(&rf_stop_now.wanted, RF_STOP_LONG | RF_STOP_JOB, __ATOMIC_RELAXED);
    rf_stop_forget();
    EXPECT_EQ(rf_stop_now.wanted, RF_STOP_LONG);
    EXPECT_FALSE(rf_stopped_by_me());
    in_a_thread([] {
      EXPECT_TRUE(rf_stop_all(kLong));
      rf_stop_finish();
      EXPECT_FALSE(rf_stopped_by_me());
    });
  });
}

} // namespace
} // namespace ringfence_test
