// The locks of the page store: which calls take them, and that each is given back, with the thread's signals as they
// were.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <functional>
#include <set>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "checkers/os/forbidden_calls.h"
#include "tests/checkers/not_cancelled.h"
#include "tests/checkers/recorder.h"
#include "tests/core/held_mutexes.h"

extern "C" {
#include "checkers/page/page_impl.h"

static std::string *given_way; // where it is wanted. y: to equals; s: asleep

int __real_sched_yield();
int __wrap_sched_yield();
int __wrap_sched_yield() {
  if (given_way == nullptr) {
    return __real_sched_yield();
  }
  *given_way += 'y';
  return 0;
}

int __real_nanosleep(const struct timespec *time, struct timespec *left);
int __wrap_nanosleep(const struct timespec *time, struct timespec *left);
int __wrap_nanosleep(const struct timespec *time, struct timespec *left) {
  if (given_way == nullptr) {
    return __real_nanosleep(time, left);
  }
  *given_way += time->tv_sec == 0 && time->tv_nsec > 0 && time->tv_nsec <= 1000000 ? 's' : '?';
  errno = EINTR;
  return -1;
}
}

namespace {

using ringfence::after_lock;
using ringfence::held;
using ringfence::locked;
using ringfence::Recorder;

bool was_locked(const rf_page_store *store) {
  return std::count(locked.begin(), locked.end(), &store->lock) != 0;
}

std::string blocked_signals() {
  sigset_t mask;
  std::string text;
  (void)sigemptyset(&mask);
  EXPECT_EQ(pthread_sigmask(SIG_BLOCK, nullptr, &mask), 0);
  for (int number = 1; number < NSIG; number++) {
    text += sigismember(&mask, number) == 1 ? std::to_string(number) + " " : "";
  }
  return text;
}

class PageLocks : public testing::Test {
protected:
  PageLocks() {
    options_.allocator = "locked";
    options_.mode = "page";
    options_.reporter = recorder_.reporter();
    options_.quarantine = size_t{1} << 20;
  }
  ~PageLocks() override {
    for (rf_page_store *const store : stores_) {
      rf_page_store_close(store);
    }
    EXPECT_TRUE(held.empty());
  }

  rf_page_store *open(bool backing) {
    options_.backing = backing;
    options_.slots = backing ? 64 : 0;
    stores_.push_back(rf_page_store_open(&options_));
    EXPECT_NE(stores_.back(), nullptr);
    return stores_.back();
  }

  static void *alloc(rf_page_store *store, void *backing = nullptr) {
    rf_page_request request = {};
    request.size = 100;
    request.align = 1;
    request.backing = backing;
    return rf_page_store_alloc(store, &request, &kOrigin);
  }

  static rf_status free_block(rf_page_store *store, void *ptr) {
    rf_page_block freed;
    return rf_page_store_free(store, ptr, RF_FAMILY_MALLOC, SIZE_MAX, &kOrigin, &freed);
  }

  // True where the call takes the lock of the store. It has none at its end.
  static bool takes(const rf_page_store *store, const std::function<void()> &call) {
    std::string const before = blocked_signals();
    locked.clear();
    call();
    EXPECT_TRUE(held.empty());
    EXPECT_EQ(blocked_signals(), before);
    held.clear();
    return was_locked(store);
  }

  static constexpr rf_origin kOrigin = {nullptr, 0, nullptr};

  Recorder recorder_;
  rf_page_store_options options_ = {};
  std::vector<rf_page_store *> stores_;
};

constexpr rf_origin PageLocks::kOrigin;

TEST_F(PageLocks, AreTakenByWhateverChangesOrWalksTheStore) {
  for (bool const backing : {false, true}) {
    rf_page_store *const store = open(backing);
    char below[3][16];
    void *p = nullptr;
    void *q = nullptr;
    rf_page_block found;
    rf_page_figures figures;
    rf_fault where;
    auto const visit = [](const rf_page_block *, void *) { return true; };
    EXPECT_TRUE(takes(store, [&] { EXPECT_TRUE(rf_page_store_reserve(store)); }));
    EXPECT_TRUE(takes(store, [&] { p = alloc(store, backing ? below[0] : nullptr); }));
    EXPECT_TRUE(takes(store, [&] { q = alloc(store, backing ? below[1] : nullptr); }));
    ASSERT_TRUE(p != nullptr && q != nullptr);
    EXPECT_TRUE(takes(store, [&] { (void)rf_page_store_resize(store, p, 9000, &kOrigin); }));
    EXPECT_TRUE(takes(store, [&] { rf_page_store_each(store, visit, nullptr); }));
    EXPECT_TRUE(takes(store, [&] { EXPECT_EQ(rf_page_store_sweep(store, 0, &kOrigin), 0U); }));
    EXPECT_TRUE(takes(store, [&] { EXPECT_FALSE(rf_page_store_damaged(store, &where)); }));
    EXPECT_TRUE(takes(store, [&] { rf_page_store_figures(store, &figures); }));
    rf_page_figures now = {};
    EXPECT_FALSE(takes(store, [&] { rf_page_store_figures_unlocked(store, &now); }));
    EXPECT_EQ(now.counters.blocks, 2U);
    EXPECT_EQ(memcmp(&now, &figures, sizeof now), 0);
    EXPECT_TRUE(takes(store, [&] { EXPECT_TRUE(rf_page_store_report_leak(store, p, "lost")); }));
    EXPECT_TRUE(takes(store, [&] { EXPECT_NE(rf_page_store_refuse(store, below, &kOrigin), RF_OK); }));
    EXPECT_TRUE(takes(store, [&] { rf_page_store_set_backing(store, q, backing ? below[2] : nullptr); }));
    if (backing) {
      EXPECT_TRUE(takes(store, [&] { EXPECT_TRUE(rf_page_store_backed_by(store, below[2], &found)); }));
    }
    EXPECT_TRUE(takes(store, [&] { EXPECT_EQ(free_block(store, p), RF_OK); }));
    EXPECT_TRUE(takes(store, [&] { EXPECT_EQ(free_block(store, q), RF_OK); }));
    EXPECT_TRUE(takes(store, [&] { EXPECT_NE(free_block(store, q), RF_OK); }));
  }
}

// Another thread may be in a step of its own: it would go on from the middle, and the whole sweep with it.
TEST_F(PageLocks, AreTakenBeforeAWholeSweepBeginsAnew) {
  rf_page_store *const store = open(false);
  for (int i = 0; i < 40; i++) {
    ASSERT_NE(alloc(store), nullptr);
  }
  (void)rf_page_store_sweep(store, 1, &kOrigin);
  const rf_space *const stands = store->sweep_space;
  ASSERT_NE(stands, nullptr) << "in the middle";
  std::vector<const rf_space *> seen;
  after_lock = [&] { seen.push_back(store->sweep_space); };
  (void)rf_page_store_sweep(store, 0, &kOrigin);
  after_lock = nullptr;
  ASSERT_FALSE(seen.empty());
  EXPECT_EQ(seen.front(), stands);
}

// Each of a hundred blocks, so that space is opened and quarantine let go.
TEST_F(PageLocks, AreGivenBackWhereSpaceGrowsAndQuarantineShrinks) {
  options_.quarantine = 16384;
  rf_page_store *const store = open(false);
  std::vector<void *> blocks(100);
  for (void *&p : blocks) {
    EXPECT_TRUE(takes(store, [&] { p = alloc(store); }));
  }
  for (void *const p : blocks) {
    EXPECT_TRUE(takes(store, [&] { EXPECT_EQ(free_block(store, p), RF_OK); }));
  }
}

TEST_F(PageLocks, OfOneStoreAreHeldFromEnteringToLeaving) {
  for (bool const backing : {false, true}) {
    rf_page_store *const store = open(backing);
    EXPECT_TRUE(takes(store, [&] {
      rf_page_mask mask;
      EXPECT_TRUE(rf_page_enter(store, &mask));
      EXPECT_EQ(held, std::vector<const rf_mutex *>{&store->lock});
      rf_page_mask inner;
      EXPECT_FALSE(rf_page_enter(store, &inner)); // in a handler that interrupts it
      rf_page_store_lock(store, &inner);          // as it is held, it is no other's
      rf_page_store_unlock(store, &inner);
      EXPECT_EQ(held.size(), 1U);
      rf_page_leave(store, &mask);
    }));
  }
}

TEST_F(PageLocks, OfAllStoresAreHeldTogether) {
  rf_page_store *const first = open(false);
  rf_page_store *const second = open(true);
  EXPECT_TRUE(takes(second, [&] {
    rf_page_lock_all();
    EXPECT_EQ(std::count(held.begin(), held.end(), &first->lock), 1);
    EXPECT_EQ(std::count(held.begin(), held.end(), &second->lock), 1);
    EXPECT_NE(blocked_signals(), "");
    auto const all = held;
    EXPECT_NE(alloc(first), nullptr);
    EXPECT_EQ(held, all);
    rf_page_unlock_all();
  }));
}

// A signal that the processor raises, as at a breakpoint, ends a process that has it blocked.
TEST_F(PageLocks, HoldBackAllSignalsButThoseThatTheProcessorRaises) {
  sigset_t blocked;
  (void)sigemptyset(&blocked);
  (void)open(false);
  rf_page_lock_all();
  EXPECT_EQ(pthread_sigmask(SIG_BLOCK, nullptr, &blocked), 0);
  rf_page_unlock_all();
  for (int const number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS}) {
    EXPECT_EQ(sigismember(&blocked, number), 0) << number;
  }
  for (int const number : {SIGALRM, SIGCHLD, SIGHUP, SIGINT, SIGPIPE, SIGPROF, SIGTERM, SIGUSR1, SIGVTALRM}) {
    EXPECT_EQ(sigismember(&blocked, number), 1) << number;
  }
}

TEST_F(PageLocks, OfAnEndedStoreAreGivenBack) {
  rf_page_store *const store = open(false);
  stores_.clear();
  EXPECT_NE(alloc(store), nullptr);
  EXPECT_TRUE(takes(store, [&] { rf_page_store_close(store); }));
  EXPECT_EQ(std::set<const rf_mutex *>(locked.begin(), locked.end()).size(), 2U); // and that of the list of stores
}

TEST_F(PageLocks, AreHeldAcrossAFork) {
  rf_page_fork_register();
  rf_page_store *const store = open(false);
  std::string const before = blocked_signals();
  locked.clear();
  pid_t const child = fork();
  ASSERT_GE(child, 0);
  EXPECT_TRUE(held.empty());
  EXPECT_TRUE(was_locked(store));
  EXPECT_EQ(blocked_signals(), before);
  if (child == 0) {
    bool const served = alloc(store) != nullptr;
    _exit(HasFailure() || !served ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(PageLocks, AreTakenWhereThePagesOfAllStoresAreSettled) {
  rf_page_store *const store = open(false);
  (void)takes(store, [] { rf_page_store_settle(); });
  EXPECT_NE(alloc(store), nullptr);
}

// A thread of real-time priority that only gives way to its equals would wait for ever for one of a lower priority.
TEST(PageLock, WhoeverWaitsForAnotherThreadSleepsInTheEnd) {
  std::string seen;
  given_way = &seen;
  errno = 77;
  for (unsigned times = 0; times < 102; times++) {
    rf_page_give_way(times);
  }
  EXPECT_EQ(errno, 77);
  uint32_t const forbidden = rf_forbidden_calls;
  rf_forbid(RF_CALL_NANOSLEEP);
  rf_page_give_way(1000);
  rf_forbidden_calls = forbidden;
  given_way = nullptr;
  EXPECT_EQ(seen, std::string(100, 'y') + "ssy");
}

TEST(PageLock, WhoeverWaitsForAnotherThreadIsNotCancelled) {
  ringfence_test::expect_not_cancelled([] { rf_page_give_way(1000); });
}

} // namespace
