// The threads of the program (checkers/dropin/runtime/thread.c): that each end is told once, and not while somebody has
// the lock, what a child of fork has of it, and what is left on a stack.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/runtime/signals.h"
#include "checkers/dropin/runtime/thread.h"
#include "checkers/os/forbidden_calls.h"
#include <ringfence/port.h>
}
#undef _Static_assert

#include "tests/dropin/alone.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <sched.h>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

// The linker puts it in front of the C library's.
extern "C" int __real_pthread_key_create(pthread_key_t *key, void (*destroy)(void *));
extern "C" int __wrap_pthread_key_create(pthread_key_t *key, void (*destroy)(void *));
extern "C" uintptr_t __real_rf_dead_stacks_note(uint32_t id);
extern "C" uintptr_t __wrap_rf_dead_stacks_note(uint32_t id);

namespace ringfence_test {
namespace {

void (*while_noting)(); // called by a thread that notes its end; NULL: nothing

std::atomic<int> ended{0};
void (*destructor)(void *); // of the key by which a thread's end is told

void count_end() {
  ended++;
}

// One that begins and ends when it is told to, and never sleeps by itself meanwhile.
class Member {
public:
  Member()
      : thread_([this] {
          id_ = rf_port_thread_id();
          wait_for(begin_);
          rf_thread_begin(count_end);
          rf_thread_begin(count_end); // as at each allocation
          begun_ = true;
          wait_for(end_);
        }) {
    wait_for(id_);
  }
  ~Member() {
    begin();
    end();
    thread_.join();
  }
  Member(const Member &) = delete;
  Member &operator=(const Member &) = delete;

  void begin() { begin_ = true; }
  void end() { end_ = true; }
  void begin_all() {
    begin();
    wait_for(begun_);
  }

  // Until it sleeps, as who waits for a lock does.
  void wait_until_it_waits() const {
    for (char state = 'R'; state != 'S';) {
      std::ifstream file("/proc/self/task/" + std::to_string(id_) + "/stat");
      std::string const line((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
      size_t const name = line.rfind(')');
      state = name == std::string::npos ? 'S' : line[name + 2];
      sched_yield();
    }
  }

private:
  template <typename T> static void wait_for(const std::atomic<T> &what) {
    while (!what) {
      sched_yield();
    }
  }

  std::atomic<uint32_t> id_{0};
  std::atomic<bool> begin_{false};
  std::atomic<bool> begun_{false};
  std::atomic<bool> end_{false};
  std::thread thread_;
};

void lock() {
  ASSERT_TRUE(rf_thread_lock(10000));
}

TEST(DropinThread, IsToldOfItsEndOnce) {
  alone([] {
    rf_thread_init();
    rf_thread_begin(count_end);
    {
      Member members[3];
      for (Member &member : members) {
        member.begin_all();
      }
      EXPECT_EQ(ended, 0);
    }
    EXPECT_EQ(ended, 3);
  });
}

TEST(DropinThread, NoneEndsWhileOthersHaveTheLock) {
  alone([] {
    rf_thread_init();
    Member member;
    lock();
    member.begin_all();
    member.end();
    member.wait_until_it_waits();
    EXPECT_FALSE(rf_thread_lock(0)) << "it is still this one's";
    rf_thread_unlock();
  });
}

// The C library keeps the value of a key for the next thread on a stack, where the last one set it behind its
// destructors.
TEST(DropinThread, ThatNeverBeganHasNoEnd) {
  alone([] {
    rf_thread_init();
    ASSERT_NE(destructor, nullptr);
    std::thread([] {
      destructor(&rf_current_thread);
      EXPECT_EQ(ended, 0);
      EXPECT_FALSE(rf_current_thread.ended);
      rf_thread_begin(count_end);
    }).join();
    EXPECT_EQ(ended, 1);
  });
}

// As a handler of a signal that forks does, in a thread that notes its end.
TEST(DropinThread, WhoNotesItsEndDoesNotWaitForItself) {
  alone([] {
    rf_thread_init();
    while_noting = [] { EXPECT_FALSE(rf_thread_lock(UINT32_MAX)); };
    std::thread([] { rf_thread_begin(count_end); }).join();
    while_noting = nullptr;
    EXPECT_TRUE(rf_thread_lock(0));
    rf_thread_unlock();
  });
}

TEST(DropinThread, InAChildOfForkHasANumberOfItsOwn) {
  alone([] {
    rf_thread_init();
    rf_thread_begin(count_end);
    EXPECT_EQ(rf_current_thread.id, static_cast<uint32_t>(getpid()));
    lock();
    alone([] {
      rf_thread_fork_child();
      EXPECT_EQ(rf_current_thread.id, static_cast<uint32_t>(getpid()));
      EXPECT_TRUE(rf_thread_lock(0)) << "it was the parent's";
    });
    rf_thread_unlock();
  });
}

TEST(DropinThread, ThatHasNoCacheYetHasNoNumberInAChild) {
  alone([] {
    rf_thread_init();
    alone([] {
      rf_thread_fork_child();
      EXPECT_EQ(rf_current_thread.id, 0U);
    });
  });
}

void look_at_end() {
  EXPECT_TRUE(rf_current_thread.ended) << "nobody gives it a cache any more";
  lock();
  rf_thread_unlock();
  count_end();
}

TEST(DropinThread, HasEndedForOthersWhenItsCacheIsLeft) {
  alone([] {
    rf_thread_init();
    std::thread([] { rf_thread_begin(look_at_end); }).join();
    EXPECT_EQ(ended, 1);
  });
}

TEST(DropinThread, ThatBeginsWithAllSignalsBlockedHasItsFaultsTold) {
  alone([] {
    sigset_t all;
    sigset_t now;
    rf_thread_init();
    rf_signals_keep_faults_open();
    sigfillset(&all);
    ASSERT_EQ(pthread_sigmask(SIG_SETMASK, &all, nullptr), 0);
    std::thread([&] {
      rf_thread_begin(count_end);
      (void)pthread_sigmask(SIG_SETMASK, nullptr, &now);
    }).join();
    EXPECT_EQ(sigismember(&now, SIGSEGV), 0);
    EXPECT_EQ(sigismember(&now, SIGBUS), 0);
    EXPECT_EQ(sigismember(&now, SIGTERM), 1);
  });
}

constexpr size_t kPage = 4096;
constexpr uintptr_t kMark = 0x5AFE5AFE5AFE5AFE & UINTPTR_MAX;
constexpr size_t kDeep = 11000; // bytes: the C library gives back what lies deeper
constexpr size_t kNear = 1500;  // where the thread's last functions have their frames

// Below `end`, and zeros from there.
__attribute__((noinline)) void leave_marks(uintptr_t end) {
  volatile uintptr_t marks[kDeep / sizeof(uintptr_t)];
  for (volatile uintptr_t &mark : marks) {
    mark = reinterpret_cast<uintptr_t>(&mark) < end ? kMark : 0;
  }
}

// The marks that a thread with `attributes` leaves on its stack, below a multiple of `unit`.
size_t marks_left(const pthread_attr_t *attributes, size_t unit = 1) {
  static uintptr_t top;
  static uintptr_t mask;
  mask = ~uintptr_t{unit - 1};
  auto const body = [](void *) -> void * {
    rf_thread_begin(count_end);
    top = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
    leave_marks(top & mask);
    return nullptr;
  };
  pthread_t thread;
  EXPECT_EQ(pthread_create(&thread, attributes, body, nullptr), 0);
  EXPECT_EQ(pthread_join(thread, nullptr), 0);
  size_t count = 0;
  for (uintptr_t at = top - kDeep; at < top - kNear; at += sizeof(uintptr_t)) {
    count +=
        *reinterpret_cast<const volatile uintptr_t *>(at) == kMark ? 1 : 0; // the stack is kept for the next thread
  }
  return count;
}

// Its memory is the program's, with what lies below it: other data, another stack.
TEST(DropinThread, LeavesAStackOfTheProgramsMakingAsItIs) {
  alone([] {
    rf_thread_init();
    static struct {
      char below[1 << 15];
      char stack[1 << 16];
    } memory __attribute__((aligned(4096)));
    for (size_t const size : {size_t{1} << 14, sizeof memory.stack}) {
      pthread_attr_t attributes;
      ASSERT_EQ(pthread_attr_init(&attributes), 0);
      std::fill_n(memory.below, sizeof memory.below, 'n');
      ASSERT_EQ(pthread_attr_setstack(&attributes, memory.stack, size), 0);
      EXPECT_GT(marks_left(&attributes), kDeep / sizeof(uintptr_t) / 2) << size;
      EXPECT_EQ(std::count(std::begin(memory.below), std::end(memory.below), 'n'), ptrdiff_t{sizeof memory.below});
    }
  });
}

// Nothing shows where such a stack begins: there may be data right below it.
TEST(DropinThread, LeavesAStackWithoutAClosedPageBelowItAsItIs) {
  alone([] {
    rf_thread_init();
    pthread_attr_t attributes;
    ASSERT_EQ(pthread_attr_init(&attributes), 0);
    ASSERT_EQ(pthread_attr_setstacksize(&attributes, 1 << 14), 0);
    ASSERT_EQ(pthread_attr_setguardsize(&attributes, 0), 0);
    EXPECT_GT(marks_left(&attributes), kDeep / sizeof(uintptr_t) / 2);
  });
}

#if defined(__GLIBC__) && (defined(__x86_64__) || defined(__i386__)) // where bounds of stacks are known
// The kernel clears the small ones.
TEST(DropinThread, LeavesNothingOnItsStack) {
  alone([] {
    rf_thread_init();
    pthread_attr_t attributes;
    ASSERT_EQ(pthread_attr_init(&attributes), 0);
    EXPECT_EQ(marks_left(&attributes), 0U);
    ASSERT_EQ(pthread_attr_setstacksize(&attributes, 1 << 16), 0);
    EXPECT_EQ(marks_left(&attributes), 0U);
  });
}

// The look goes from the top down and ends at a page of zeros: a part of one is none.
TEST(DropinThread, LeavesNothingBelowAPartOfAPageThatHasZeros) {
  alone([] {
    rf_thread_init();
    EXPECT_EQ(marks_left(nullptr, kPage), 0U);
  });
}

TEST(DropinThread, WhoseStackIsLargeNeedsNoCallToClearIt) {
  alone([] {
    rf_thread_init();
    rf_forbidden_calls = RF_CALL_OTHERS;
    EXPECT_EQ(marks_left(nullptr), 0U);
    pthread_attr_t attributes;
    ASSERT_EQ(pthread_attr_init(&attributes), 0);
    ASSERT_EQ(pthread_attr_setstacksize(&attributes, 1 << 16), 0);
    EXPECT_GT(marks_left(&attributes), kDeep / sizeof(uintptr_t) / 2) << "the marks are where they are looked for";
    rf_forbidden_calls = 0;
  });
}

// A thread costs the system no page more than without, however often one begins and ends.
TEST(DropinThread, FetchesNoPageToClearIt) {
  alone([] {
    rf_thread_init();
    constexpr long kThreads = 200;
    auto const run = [] { std::thread([] { rf_thread_begin(count_end); }).join(); };
    auto const faults = [] {
      rusage usage;
      EXPECT_EQ(getrusage(RUSAGE_SELF, &usage), 0);
      return usage.ru_minflt;
    };
    run();
    run();
    long const before = faults();
    for (long i = 0; i < kThreads; i++) {
      run();
    }
    EXPECT_LT(faults() - before, kThreads / 2);
  });
}

// The C library keeps 40 MiB of stacks: the others are new ones each time, of which few pages are touched.
TEST(DropinThread, FetchesOnePageOfANewStackAtMost) {
  alone([] {
    rf_thread_init();
    constexpr int kRounds = 20;
    constexpr size_t kAtOnce = 12;
    const auto faults = [](bool noticed) {
      pthread_attr_t attributes;
      EXPECT_EQ(pthread_attr_init(&attributes), 0);
      EXPECT_EQ(pthread_attr_setstacksize(&attributes, 64 << 20), 0); // more than that: none is kept
      const auto body = [](void *begins) -> void * {
        if (begins != nullptr) {
          rf_thread_begin(count_end);
        }
        return nullptr;
      };
      rusage before;
      rusage after;
      EXPECT_EQ(getrusage(RUSAGE_SELF, &before), 0);
      for (int round = 0; round < kRounds; round++) {
        std::array<pthread_t, kAtOnce> threads;
        for (pthread_t &thread : threads) {
          EXPECT_EQ(pthread_create(&thread, &attributes, body, noticed ? &attributes : nullptr), 0);
        }
        for (pthread_t const thread : threads) {
          EXPECT_EQ(pthread_join(thread, nullptr), 0);
        }
      }
      EXPECT_EQ(getrusage(RUSAGE_SELF, &after), 0);
      return static_cast<double>(after.ru_minflt - before.ru_minflt) / (kRounds * kAtOnce);
    };
    (void)faults(true);
    EXPECT_LT(faults(true) - faults(false), 1.5);
  });
}
#endif

// If a sandbox lets nobody ask for the number, each has one of its own that the system gives to none.
TEST(DropinThread, HasANumberThatIsMadeUpWhereItMayNotAsk) {
  alone([] {
    uint32_t first = 0;
    uint32_t again = 0;
    uint32_t second = 0;
    rf_forbidden_calls = RF_CALL_GETTID;
    std::thread one([&] {
      first = rf_thread_id();
      again = rf_thread_id();
    });
    one.join();
    std::thread other([&] { second = rf_thread_id(); });
    other.join();
    rf_forbidden_calls = 0;
    EXPECT_EQ(first, again);
    EXPECT_NE(first, second);
    EXPECT_GE(first, uint32_t{1} << 31);
    EXPECT_GE(second, uint32_t{1} << 31);
  });
}

} // namespace
} // namespace ringfence_test

int __wrap_pthread_key_create(pthread_key_t *key, void (*destroy)(void *)) {
  ringfence_test::destructor = destroy;
  return __real_pthread_key_create(key, destroy);
}

uintptr_t __wrap_rf_dead_stacks_note(uint32_t id) {
  if (ringfence_test::while_noting != nullptr) {
    ringfence_test::while_noting();
  }
  return __real_rf_dead_stacks_note(id);
}
