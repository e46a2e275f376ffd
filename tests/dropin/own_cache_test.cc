// The heap as threads use it (checkers/dropin/runtime/own_cache.c, thread.c): entered and left, stopped, and forked.
// Each test has a process of its own.
#include "tests/checkers/single_step.h"
#include "tests/dropin/heap_alone.h"

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/heap/threads.h"
#include "checkers/dropin/runtime/own_cache.h"
#include "checkers/dropin/runtime/thread.h"
#include "checkers/page/page_store.h"
}
#undef _Static_assert

#include <atomic>
#include <csignal>
#include <sys/syscall.h>
#include <thread>

namespace ringfence_test {
namespace {

constexpr unsigned kLong = 60000;
constexpr unsigned kShort = 2;

void turn_until(const std::function<bool()> &done) {
  while (!done()) {
    std::this_thread::yield();
  }
}

uint32_t id_of_self() {
  return static_cast<uint32_t>(syscall(SYS_gettid));
}

void with_threads(const std::function<void()> &test) {
  heap_alone([&] {
    rf_thread_init();
    std::thread([] {}).join(); // from here on there may be several
    rf_leave(rf_enter());
    test();
  });
}

// A thread that has a cache, and enters again when told.
class Other {
public:
  Other()
      : thread_([this] {
          rf_leave(rf_enter());
          id_ = id_of_self();
          turn_until([&] { return enters_.load(); });
          is_about_to_ = true;
          rf_leave(rf_enter());
          has_entered_ = true;
          turn_until([&] { return ends_.load(); });
        }) {
    turn_until([&] { return id_ != 0; });
  }
  ~Other() {
    enters_ = true;
    ends_ = true;
    thread_.join();
  }
  void enter() {
    enters_ = true;
    turn_until([&] { return is_about_to_.load(); });
  }
  bool has_entered() const { return has_entered_; }
  void wait_until_it_has_entered() const {
    turn_until([&] { return has_entered(); });
  }

private:
  std::atomic<uint32_t> id_{0};
  std::atomic<bool> enters_{false};
  std::atomic<bool> is_about_to_{false};
  std::atomic<bool> has_entered_{false};
  std::atomic<bool> ends_{false};
  std::thread thread_;
};

TEST(DropinOwnCache, IsTheThreadsUntilItEnds) {
  with_threads([] {
    rf_cache *const own = rf_enter();
    EXPECT_EQ(own, rf_current_thread.cache);
    EXPECT_TRUE(rf_is_inside());
    EXPECT_EQ(rf_thread_of_number(own->number), id_of_self());
    rf_leave(own);
    EXPECT_FALSE(rf_is_inside());
    EXPECT_EQ(own->inside, static_cast<uint32_t>(RF_CACHE_OUTSIDE));
    EXPECT_EQ(own->taken, 1U);
    EXPECT_EQ(rf_enter(), own);
    rf_leave(own);

    rf_cache *of_thread = nullptr;
    std::thread([&] {
      of_thread = rf_enter();
      EXPECT_NE(of_thread, own);
      EXPECT_NE(of_thread->heap, own->heap);
      EXPECT_EQ(rf_thread_of_number(of_thread->number), id_of_self());
      rf_leave(of_thread);
      EXPECT_EQ(of_thread->taken, 1U);
    }).join();
    EXPECT_EQ(of_thread->taken, 0U);
    std::thread([&] {
      EXPECT_EQ(rf_enter(), of_thread);
      EXPECT_EQ(rf_thread_of_number(of_thread->number), id_of_self());
      rf_leave(of_thread);
    }).join();
  });
}

TEST(DropinOwnCache, AHandlerIsLentAnother) {
  with_threads([] {
    rf_cache *const own = rf_enter();
    rf_cache *const lent = rf_enter();
    ASSERT_NE(lent, nullptr);
    EXPECT_NE(lent, own);
    rf_cache *const again = rf_enter();
    EXPECT_TRUE(again != own && again != lent);
    rf_leave(again);
    EXPECT_EQ(again->taken, 0U);
    EXPECT_EQ(own->inside, static_cast<uint32_t>(RF_CACHE_INSIDE));
    rf_leave(lent);
    EXPECT_EQ(lent->taken, 0U);
    EXPECT_EQ(lent->inside, static_cast<uint32_t>(RF_CACHE_OUTSIDE));
    rf_leave(own);
    EXPECT_EQ(own->taken, 1U);
  });
}

TEST(DropinOwnCache, AllOthersWaitWhileItIsLocked) {
  with_threads([] {
    Other other;
    ASSERT_TRUE(rf_lock_all(kLong));
    EXPECT_FALSE(rf_is_inside());
    EXPECT_FALSE(rf_lock_all(kShort)); // not twice
    other.enter();
    for (int i = 0; i < 100; i++) {
      std::this_thread::yield();
    }
    EXPECT_FALSE(other.has_entered());
    rf_cache *const cache = rf_enter(); // who stops others may
    ASSERT_NE(cache, nullptr);
    rf_leave(cache);
    rf_unlock_all();
    EXPECT_FALSE(rf_is_inside());
    other.wait_until_it_has_entered();
    EXPECT_TRUE(rf_lock_all(kLong));
    rf_unlock_all();
  });
}

#ifdef __x86_64__

unsigned served;

void allocate_on_step(int /*signal*/) {
  rf_cache *const cache = rf_enter();
  if (cache != nullptr) {
    rf_leave(cache);
    served++;
  }
}

// A handler never waits for its own thread.
TEST(DropinOwnCache, AHandlerIsServedAtEveryInstructionOfLockingAll) {
  with_threads([] {
    (void)alarm(30);
    ASSERT_NE(signal(SIGTRAP, allocate_on_step), SIG_ERR);
    set_stepping(true);
    bool const locked = rf_lock_all(kLong);
    rf_unlock_all();
    set_stepping(false);
    EXPECT_TRUE(locked);
    EXPECT_GT(served, 100U);
    EXPECT_FALSE(rf_is_inside());
    EXPECT_TRUE(rf_lock_all(kShort));
    rf_unlock_all();
  });
}

#endif

// A handler that ran within would wait for its own thread; one that is held back for ever is lost to the program.
TEST(DropinOwnCache, SignalsAreHeldBackAsLongAsItIsLocked) {
  with_threads([] {
    auto const is_blocked = [](int number) {
      sigset_t now;
      EXPECT_EQ(pthread_sigmask(SIG_BLOCK, nullptr, &now), 0);
      return sigismember(&now, number) == 1;
    };
    sigset_t programs;
    (void)sigemptyset(&programs);
    (void)sigaddset(&programs, SIGUSR2);
    ASSERT_EQ(pthread_sigmask(SIG_BLOCK, &programs, nullptr), 0);
    std::atomic<bool> is_inside{false};
    std::atomic<bool> leaves{false};
    std::thread other([&] {
      rf_cache *const cache = rf_enter();
      is_inside = true;
      turn_until([&] { return leaves.load(); });
      rf_leave(cache);
    });
    turn_until([&] { return is_inside.load(); });
    EXPECT_FALSE(rf_lock_all(kShort));
    EXPECT_FALSE(is_blocked(SIGUSR1)) << "nothing is locked";
    EXPECT_TRUE(is_blocked(SIGUSR2));
    leaves = true;
    other.join();
    ASSERT_TRUE(rf_lock_all(kLong));
    EXPECT_TRUE(is_blocked(SIGUSR1));
    EXPECT_FALSE(is_blocked(SIGSEGV));
    rf_unlock_all();
    EXPECT_FALSE(is_blocked(SIGUSR1));
    EXPECT_TRUE(is_blocked(SIGUSR2));
  });
}

// A thread that has pages may be interrupted by a handler that waits for the heap.
TEST(DropinOwnCache, NothingStaysLockedWhereAnotherThreadHasPages) {
  with_threads([] {
    std::atomic<bool> has_pages{false};
    std::atomic<bool> lets_go{false};
    std::thread other([&] {
      EXPECT_TRUE(rf_page_try_lock_all());
      has_pages = true;
      turn_until([&] { return lets_go.load(); });
      rf_page_unlock_all();
    });
    turn_until([&] { return has_pages.load(); });
    EXPECT_FALSE(rf_lock_blocks(kShort));
    EXPECT_FALSE(rf_stopped_by_me());
    lets_go = true;
    other.join();
    EXPECT_TRUE(rf_lock_blocks(kLong));
    EXPECT_TRUE(rf_stopped_by_me());
    rf_unlock_blocks();
    EXPECT_FALSE(rf_stopped_by_me());
    in_a_thread([] {
      EXPECT_TRUE(rf_page_try_lock_all());
      rf_page_unlock_all();
    });
  });
}

TEST(DropinOwnCache, IsNotLockedFromWithin) {
  with_threads([] {
    rf_cache *const own = rf_enter();
    EXPECT_FALSE(rf_lock_all(kShort));
    rf_leave(own);
    EXPECT_TRUE(rf_lock_all(kLong));
    rf_unlock_all();
  });
}

int jobs;

void job() {
  jobs++;
}

TEST(DropinOwnCache, AJobIsDoneOnceByWhoEntersNext) {
  with_threads([] {
    rf_leave(rf_enter());
    EXPECT_EQ(jobs, 0);
    rf_post_job(job);
    EXPECT_EQ(jobs, 0);
    rf_leave(rf_enter());
    EXPECT_EQ(jobs, 1);
    rf_leave(rf_enter());
    EXPECT_EQ(jobs, 1);
    EXPECT_EQ(rf_stop_now.wanted & RF_STOP_JOB, 0U);
    rf_post_job(job);
    rf_forget_job();
    EXPECT_EQ(rf_stop_now.wanted & RF_STOP_JOB, 0U);
    rf_leave(rf_enter());
    EXPECT_EQ(jobs, 1);
  });
}

// As a signal's handler may, while a dump is made.
TEST(DropinOwnCache, AJobThatIsPostedWhileAnotherIsDoneIsDoneAsWell) {
  with_threads([] {
    jobs = 0;
    rf_leave(rf_enter());
    rf_post_job([] {
      jobs += 10;
      rf_post_job(job);
    });
    rf_leave(rf_enter());
    rf_leave(rf_enter());
    EXPECT_EQ(jobs, 11);
    EXPECT_EQ(rf_stop_now.wanted & RF_STOP_JOB, 0U);
  });
}

// ---- Threads ----

TEST(DropinThreads, EndOnlyWhileNobodyHasTheirLock) {
  with_threads([] {
    ASSERT_TRUE(rf_thread_lock(kLong));
    EXPECT_FALSE(rf_thread_lock(kShort));
    std::atomic<bool> has_begun{false};
    std::atomic<bool> has_ended{false};
    std::thread thread([&] {
      std::thread([&] {
        rf_leave(rf_enter());
        has_begun = true;
      }).join();
      has_ended = true;
    });
    turn_until([&] { return has_begun.load(); });
    for (int i = 0; i < 100; i++) {
      std::this_thread::yield();
    }
    EXPECT_FALSE(has_ended);
    rf_thread_unlock();
    thread.join();
    EXPECT_TRUE(has_ended);
  });
}

TEST(DropinThreads, ComeAndGoAtOnce) {
  with_threads([] {
    auto const work = [] {
      for (int i = 0; i < 100; i++) {
        std::thread([] { rf_leave(rf_enter()); }).join();
      }
    };
    std::thread one(work);
    std::thread other(work);
    one.join();
    other.join();
    EXPECT_LE(rf_cache_total(), 4U);
  });
}

// Another thread may have it by the time of the last destructors.
TEST(DropinThreads, HaveNoCacheOfTheirOwnBehindTheirEnd) {
  with_threads([] {
    static unsigned taken;
    pthread_key_t later = {};
    auto const enter = [](void *) {
      rf_cache *const lent = rf_enter();
      taken = lent->taken;
      rf_leave(lent);
    };
    ASSERT_EQ(pthread_key_create(&later, enter), 0);
    std::thread([later] {
      rf_leave(rf_enter());
      EXPECT_EQ(pthread_setspecific(later, &taken), 0);
    }).join();
    EXPECT_EQ(taken, 1U);
  });
}

// ---- Forks ----

// The kind of the fork, by what the child says; `check` runs in it.
void expect_fork(rf_fork_kind kind, const std::function<void()> &check) {
  EXPECT_TRUE(rf_own_cache_fork_prepare(kLong));
  pid_t const child = fork();
  if (child == 0) {
    rf_fork_kind const found = rf_own_cache_fork_child();
    EXPECT_EQ(found, kind);
    check();
    _exit(testing::Test::HasFailure() ? 1 : 0);
  }
  rf_own_cache_fork_parent();
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(DropinForks, OfOneThreadLockNothing) {
  heap_alone([] {
    rf_thread_init();
    rf_leave(rf_enter());
    EXPECT_TRUE(rf_own_cache_fork_prepare(kLong));
    EXPECT_FALSE(rf_stopped_by_me());
    EXPECT_TRUE(rf_thread_lock(kShort));
    rf_thread_unlock();
    rf_own_cache_fork_parent();
    expect_fork(RF_FORK_OF_ONE, [] {
      EXPECT_EQ(rf_heap_generation, 0U);
      EXPECT_EQ(rf_current_thread.id, id_of_self());
      EXPECT_EQ(rf_thread_of_number(rf_current_thread.cache->number), id_of_self());
    });
  });
}

TEST(DropinForks, StopAllOthersMeanwhile) {
  with_threads([] {
    Other other;
    EXPECT_TRUE(rf_own_cache_fork_prepare(kLong));
    EXPECT_TRUE(rf_stopped_by_me());
    EXPECT_FALSE(rf_thread_lock(kShort));
    other.enter();
    for (int i = 0; i < 100; i++) {
      std::this_thread::yield();
    }
    EXPECT_FALSE(other.has_entered());
    rf_own_cache_fork_parent();
    EXPECT_FALSE(rf_stopped_by_me());
    other.wait_until_it_has_entered();
    EXPECT_TRUE(rf_thread_lock(kLong));
    rf_thread_unlock();
    EXPECT_EQ(rf_heap_generation, 0U);
  });
}

// It may be interrupted by a handler that waits for what this thread has.
TEST(DropinForks, AreTriedAnewWhereAThreadStaysInside) {
  with_threads([] {
    std::atomic<bool> is_inside{false};
    std::atomic<bool> leaves{false};
    std::thread other([&] {
      rf_cache *const cache = rf_enter();
      is_inside = true;
      turn_until([&] { return leaves.load(); });
      rf_leave(cache);
    });
    turn_until([&] { return is_inside.load(); });
    EXPECT_FALSE(rf_own_cache_fork_prepare(kShort));
    EXPECT_FALSE(rf_stopped_by_me());
    EXPECT_TRUE(rf_thread_lock(kShort)) << "nothing is locked";
    rf_thread_unlock();
    leaves = true;
    other.join();
  });
}

TEST(DropinForks, TheChildIsAlone) {
  with_threads([] {
    Other other;
    expect_fork(RF_FORK_OF_MANY, [] {
      EXPECT_FALSE(rf_stopped_by_me());
      EXPECT_EQ(rf_heap_generation, 1U);
      EXPECT_EQ(rf_current_thread.id, id_of_self());
      EXPECT_TRUE(rf_thread_lock(kShort));
      rf_thread_unlock();
      EXPECT_EQ(rf_thread_of_number(rf_current_thread.cache->number), id_of_self());
      rf_leave(rf_enter());
      EXPECT_TRUE(rf_lock_all(kShort));
      rf_unlock_all();
      unsigned taken = 0;
      for (const rf_cache *c = rf_cache_first(); c != nullptr; c = c->next) {
        taken += c->taken;
      }
      EXPECT_EQ(taken, 1U);
    });
  });
}

TEST(DropinForks, AreToldApartEightTimes) {
  with_threads([] {
    Other other;
    rf_heap_generation = RF_TRAITS_GENERATIONS - 2;
    expect_fork(RF_FORK_OF_MANY, [] { EXPECT_EQ(rf_heap_generation, RF_TRAITS_GENERATIONS - 1); });
    rf_heap_generation = RF_TRAITS_GENERATIONS - 1;
    expect_fork(RF_FORK_INSIDE, [] { EXPECT_EQ(rf_heap_generation, RF_TRAITS_GENERATIONS - 1); });
  });
}

TEST(DropinForks, OfAHandlerThatCannotHaveTheThreadsLockFreeItInTheChild) {
  with_threads([] {
    in_a_thread([] { EXPECT_TRUE(rf_thread_lock(kLong)); });
    rf_cache *const own = rf_enter();
    expect_fork(RF_FORK_INSIDE, [] {
      EXPECT_EQ(rf_current_thread.id, id_of_self());
      EXPECT_TRUE(rf_thread_lock(kShort));
    });
    rf_leave(own);
    rf_thread_unlock();
  });
}

TEST(DropinForks, OfAHandlerInsideTheHeapKeepItInside) {
  with_threads([] {
    Other other;
    rf_cache *const own = rf_enter();
    expect_fork(RF_FORK_INSIDE, [own] {
      EXPECT_EQ(own->inside, static_cast<uint32_t>(RF_CACHE_INSIDE));
      rf_cache *const lent = rf_enter();
      ASSERT_NE(lent, nullptr);
      EXPECT_NE(lent, own);
      rf_leave(lent);
    });
    EXPECT_EQ(own->inside, static_cast<uint32_t>(RF_CACHE_INSIDE));
    rf_leave(own);
    other.enter();
    other.wait_until_it_has_entered();
  });
}

} // namespace
} // namespace ringfence_test
