// Threads of the drop-in's heap meet at each moment: at a block that two free, the end of a stop, a job that comes, a
// wait, a fork, and a cache for which there is no memory.
#include "tests/checkers/recorder.h"
#include "tests/checkers/two_at_once.h"
#include "tests/dropin/address_space.h"
#include "tests/dropin/heap_alone.h"

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/heap/bins.h"
#include "checkers/dropin/heap/check.h"
#include "checkers/dropin/os/futex.h"
#include "checkers/dropin/runtime/own_cache.h"
#include "checkers/dropin/runtime/thread.h"
#include "checkers/os/forbidden_calls.h"

// As cache_impl.h has it.
bool rf_cache_free_unusual(rf_cache *cache, const rf_view *view, rf_family family, size_t size,
                           const rf_origin *origin);
}
#undef _Static_assert

#include <atomic>
#include <fstream>
#include <functional>
#include <linux/futex.h>
#include <string>
#include <sys/syscall.h>
#include <thread>

namespace {

unsigned barriers; // that were asked of the kernel
unsigned noted;    // stacks of ended threads
bool noted_with_lock = true;
std::atomic<unsigned> naps;
std::atomic<unsigned> naps_that_do_not_show;
std::function<void()> while_it_sleeps; // for a lock: other threads do this

} // namespace

// The linker puts these in front of the C library's and of ours.
extern "C" {
long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);
int __real_nanosleep(const timespec *pause, timespec *left);
int __wrap_nanosleep(const timespec *pause, timespec *left);
uintptr_t __real_rf_dead_stacks_note(uint32_t id);
uintptr_t __wrap_rf_dead_stacks_note(uint32_t id);

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f) {
  barriers += number == SYS_membarrier ? 1 : 0;
  if (number == SYS_futex && b == FUTEX_WAIT_PRIVATE && while_it_sleeps) {
    while_it_sleeps();
  }
  return __real_syscall(number, a, b, c, d, e, f);
}

int __wrap_nanosleep(const timespec *pause, timespec *left) {
  naps++;
  naps_that_do_not_show += rf_futex_waits ? 0 : 1;
  return __real_nanosleep(pause, left);
}

uintptr_t __wrap_rf_dead_stacks_note(uint32_t id) {
  noted++;
  if (rf_thread_lock(0)) {
    noted_with_lock = false;
    rf_thread_unlock();
  }
  return __real_rf_dead_stacks_note(id);
}
}

namespace ringfence_test {
namespace {

constexpr unsigned kLong = 60000;

void turn_until(const std::function<bool()> &done) {
  while (!done()) {
    std::this_thread::yield();
  }
}

void with_threads(const std::function<void()> &test) {
  heap_alone([&] {
    rf_thread_init();
    std::thread([] {}).join(); // from here on there may be several
    rf_leave(rf_enter());
    test();
  });
}

// A thread that does what it is told, when it is told.
class Other {
public:
  Other() : thread_([this] { loop(); }) {}
  ~Other() {
    begin([this] { ends_ = true; });
    thread_.join();
  }
  void begin(std::function<void()> call) {
    wait();
    call_ = std::move(call);
    has_call_ = true;
  }
  void wait() const {
    turn_until([&] { return !has_call_; });
  }
  void run(std::function<void()> call) {
    begin(std::move(call));
    wait();
  }

private:
  void loop() {
    while (!ends_) {
      turn_until([&] { return has_call_.load(); });
      call_();
      has_call_ = false;
    }
  }
  std::function<void()> call_;
  std::atomic<bool> has_call_{false};
  bool ends_ = false;
  std::thread thread_;
};

#ifdef RF_CAN_STEP

// ---- Frees ----

TEST(ThreadsAtOnce, OneOfTwoClaimsABlock) {
  with_threads([] {
    rf_slot slot{};
    uint16_t const live = rf_traits(RF_SLOT_LIVE, RF_FAMILY_MALLOC, RF_DEFAULT_ALIGN_LOG2, 0);
    auto const make_live = [&] { rf_slot_unclaim(&slot, live); };
    make_live();
    expect_one_has([&] { return rf_slot_claim(&slot, live); }, make_live);
  });
}

int refusals;

TEST(ThreadsAtOnce, OneOfTwoFreesABlock) {
  with_threads([] {
    rf_heap_options options = rf_heap_options_of(nullptr);
    options.refused = [](rf_status, const void *, const rf_origin *) { refusals++; };
    rf_heap_configure(&options);
    rf_cache *const caches[] = {rf_cache_take(0), rf_cache_take(0)};
    rf_origin const origin = {};
    rf_view v = {};
    auto const allocate = [&] {
      void *const p = rf_cache_malloc(caches[0], 100, RF_FAMILY_MALLOC, &origin);
      EXPECT_TRUE(rf_view_at(reinterpret_cast<uintptr_t>(p), &v));
    };
    bool has[2];
    allocate();
    two_at_once(
        [&](unsigned who) { has[who] = rf_cache_free_unusual(caches[who], &v, RF_FAMILY_MALLOC, SIZE_MAX, &origin); },
        [&] {
          EXPECT_NE(has[0], has[1]);
          EXPECT_EQ(refusals, 1);
          refusals = 0;
          allocate();
        });
  });
}

// ---- Reallocs ----

// As two_at_once, but after some of the instructions alone, since there are many.
template <typename Call> void two_now_and_then(unsigned step, Call &&call, const std::function<void()> &check) {
  bool both = true;
  for (unsigned after = 1; both; after += step) {
    SCOPED_TRACE(after);
    both = run_with_other_after(
        after, [&] { call(0); }, [&] { call(1); });
    if (both) {
      check();
    }
  }
}

struct Two {
  Two() {
    rf_heap_options_now.reporter = recorder.reporter();
    rf_heap_options_now.fill_alloc = 0;
    rf_heap_options_now.fill_free = RF_FILL_LEAST;
    rf_heap_options_now.fast_most = 0;
  }
  void allocate(size_t size) {
    p = rf_cache_malloc(caches[0], size, RF_FAMILY_MALLOC, &origin);
    ASSERT_NE(p, nullptr);
  }
  size_t live_bytes() const { return rf_cache_used(caches[0]) + rf_cache_used(caches[1]); }

  ringfence::Recorder recorder;
  rf_cache *caches[2] = {rf_cache_take(0), rf_cache_take(0)};
  rf_origin origin = {};
  void *p = nullptr;
};

TEST(ThreadsAtOnce, WhatTwoReallocsCountIsTheSizeThatTheBlockHasThen) {
  with_threads([] {
    Two two;
    rf_heap_options_now.move_below = 0;
    two.allocate(100);
    auto const resize = [&](unsigned who) {
      (void)rf_cache_realloc(two.caches[who], two.p, who == 0 ? 90 : 80, &two.origin);
    };
    two_now_and_then(3, resize, [&] {
      rf_view v = {};
      ASSERT_TRUE(rf_view_at(reinterpret_cast<uintptr_t>(two.p), &v));
      EXPECT_EQ(two.live_bytes(), v.size);
      (void)rf_cache_realloc(two.caches[0], two.p, 100, &two.origin);
      two.recorder.take();
    });
  });
}

// ---- Stops ----

// A thread that has the lock is alone from then on: the one before writes nothing any more.
TEST(ThreadsAtOnce, TheNextThatStopsAllIsNotLetGoByTheOneBefore) {
  with_threads([] {
    Other other;
    bool goes_on = true;
    for (unsigned after = 1; goes_on; after++) {
      bool stops = false;
      ASSERT_TRUE(rf_stop_all(kLong));
      goes_on = run_with_other_after(after, rf_stop_finish, [&] { other.run([&] { stops = rf_stop_all(1); }); });
      other.run([&] {
        EXPECT_EQ(rf_stopped_by_me(), stops) << after;
        EXPECT_EQ((rf_stop_now.wanted & RF_STOP_ALL) != 0, stops) << after;
        if (stops) {
          rf_stop_finish();
        }
      });
    }
  });
}

// ---- Jobs ----

int jobs;

void job() {
  jobs++;
}

TEST(ThreadsAtOnce, AJobIsNotLostToWhoEntersMeanwhile) {
  with_threads([] {
    auto const post_and_enter = [](unsigned who) {
      if (who == 0) {
        rf_post_job(job);
      } else {
        rf_leave(rf_enter());
      }
    };
    two_at_once(post_and_enter, [] {
      rf_leave(rf_enter());
      EXPECT_EQ(jobs, 1);
      jobs = 0;
    });
  });
}

#else

int jobs;

void job() {
  jobs++;
}

#endif

// The second one saw the flag before the first one took it.
TEST(ThreadsAtOnce, AJobIsDoneByOneOfTwoThatSawIt) {
  with_threads([] {
    rf_post_job(job);
    rf_leave(rf_enter());
    EXPECT_EQ(jobs, 1);
    rf_stop_now.wanted |= RF_STOP_JOB;
    rf_leave(rf_enter());
    EXPECT_EQ(jobs, 1);
    EXPECT_EQ(rf_stop_now.wanted & RF_STOP_JOB, 0U);
  });
}

TEST(ThreadsAtOnce, AJobOfWhoStopsAllLetsNobodyGo) {
  with_threads([] {
    ASSERT_TRUE(rf_lock_all(kLong));
    rf_post_job(job);
    rf_leave(rf_enter());
    EXPECT_EQ(jobs, 1);
    EXPECT_EQ(rf_stop_now.wanted & RF_STOP_ALL, RF_STOP_ALL);
    rf_unlock_all();
  });
}

// ---- Waits ----

bool sleeps(uint32_t id) {
  std::string pid;
  std::string name;
  std::string state;
  std::ifstream("/proc/self/task/" + std::to_string(id) + "/stat") >> pid >> name >> state;
  return state == "S";
}

// A thread that stops all would else wait for it.
TEST(ThreadsAtOnce, WhoWaitsForAStopIsOutside) {
  with_threads([] {
    Other other;
    std::atomic<uint32_t> id{0};
    const rf_cache *cache = nullptr;
    other.run([&] {
      cache = rf_enter();
      rf_leave(rf_current_thread.cache);
    });
    ASSERT_TRUE(rf_lock_all(kLong));
    other.begin([&] {
      id = static_cast<uint32_t>(syscall(SYS_gettid));
      rf_leave(rf_enter());
    });
    turn_until([&] { return id != 0 && sleeps(id); });
    EXPECT_EQ(__atomic_load_n(&cache->inside, __ATOMIC_ACQUIRE), static_cast<uint32_t>(RF_CACHE_OUTSIDE));
    rf_unlock_all();
    other.wait();
  });
}

// The wake goes to one of those who wait, and this is the last moment of that one.
TEST(ThreadsAtOnce, WhoIsWokenAtTheEndOfItsTimeHasTheLock) {
  with_threads([] {
    for (unsigned const ms : {1U, 3U}) {
      rf_futex lock = {1};
      unsigned sleeps = 0;
      while_it_sleeps = [&] {
        if (++sleeps == ms) {
          rf_futex_unlock(&lock);
        }
      };
      EXPECT_TRUE(rf_futex_lock_within(&lock, ms));
      while_it_sleeps = nullptr;
      EXPECT_EQ(sleeps, ms);
      EXPECT_EQ(lock.state, 2U) << "others may wait";
    }
  });
}

// The others may be about to run the barriers that they were asked for.
TEST(ThreadsAtOnce, WhoStopsThemWithoutTheKernelsBarrierGivesOthersTime) {
  with_threads([] {
    rf_forbid(RF_CALL_MEMBARRIER);
    for (unsigned const expected : {1U, 0U}) { // from then on they run them always
      naps = 0;
      ASSERT_TRUE(rf_stop_all(kLong));
      EXPECT_EQ(naps, expected);
      rf_stop_finish();
    }
  });
}

// However long another thread is inside; a handler alone has no time for that. It has the list of streams meanwhile, so
// the end of the process may not keep it there.
TEST(ThreadsAtOnce, AForkWaitsForWhoIsInside) {
  with_threads([] {
    Other other;
    std::atomic<bool> inside{false};
    other.begin([&] {
      rf_cache *const cache = rf_enter();
      inside = true;
      usleep(100000);
      rf_leave(cache);
    });
    turn_until([&] { return inside.load(); });
    naps = 0;
    EXPECT_TRUE(rf_own_cache_fork_prepare(kLong));
    EXPECT_GT(naps, 0U);
    EXPECT_EQ(naps_that_do_not_show, 0U);
    EXPECT_FALSE(rf_futex_waits);
    EXPECT_TRUE(rf_stopped_by_me());
    rf_own_cache_fork_parent();
    EXPECT_FALSE(rf_stopped_by_me());
    other.wait();
  });
}

// ---- Caches ----

uint32_t held_by(const rf_cache *cache) {
  return cache->bins[0].end - cache->bins[0].first;
}

TEST(ThreadsAtOnce, TheNinthCacheThatIsLeftKeepsNothing) {
  with_threads([] {
    constexpr unsigned kKept = 8;
    rf_cache *const own = rf_enter();
    rf_cache *lent[kKept + 2];
    for (rf_cache *&cache : lent) {
      cache = rf_enter();
      ASSERT_TRUE(rf_bins_refill(cache, 0));
    }
    for (rf_cache *cache : lent) {
      rf_leave(cache);
    }
    for (unsigned i = 0; i < kKept + 2; i++) {
      EXPECT_EQ(held_by(lent[i]) != 0, i < kKept) << i;
    }
    rf_leave(own);
  });
}

TEST(ThreadsAtOnce, AThreadWithoutACacheForWantOfMemoryTriesAgain) {
  with_threads([] {
    Other other;
    rlimit before;
    ASSERT_EQ(getrlimit(RLIMIT_AS, &before), 0);
    other.run([&] {
      leave_no_space();
      while (rf_cache_take(0) != nullptr) {
      }
      EXPECT_EQ(rf_enter(), nullptr);
      EXPECT_FALSE(rf_is_inside());
      EXPECT_EQ(setrlimit(RLIMIT_AS, &before), 0);
      rf_cache *const cache = rf_enter();
      ASSERT_NE(cache, nullptr);
      EXPECT_EQ(cache, rf_current_thread.cache);
      rf_leave(cache);
    });
  });
}

// One thread alone needs no barrier of the kernel's, and the call costs its start.
TEST(ThreadsAtOnce, TheSecondCacheHasTheKernelsBarrierMadeReady) {
  heap_alone([] {
    EXPECT_NE(rf_cache_take(0), nullptr);
    EXPECT_EQ(barriers, 0U);
    EXPECT_NE(rf_cache_take(0), nullptr);
    EXPECT_EQ(barriers, 1U);
    EXPECT_NE(rf_cache_take(0), nullptr);
    EXPECT_EQ(barriers, 1U);
  });
}

// The thread that has the lock reads what is known of ended threads.
TEST(ThreadsAtOnce, AnEndedThreadsStackIsNotedWithTheLock) {
  with_threads([] {
    {
      Other other;
      other.run([] { rf_leave(rf_enter()); });
    }
    EXPECT_EQ(noted, 1U);
    EXPECT_TRUE(noted_with_lock);
  });
}

} // namespace
} // namespace ringfence_test
