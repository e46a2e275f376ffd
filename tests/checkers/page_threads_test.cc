// rf_page and the threads of its process: their stacks, blocks that they share, forks among them.
#include "tests/checkers/found_on_purpose.h"
#include "tests/checkers/handler_stack.h"
#include "tests/checkers/page_fixture.h"

#include <ringfence/lock.h>
#include <ringfence/std.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <climits>
#include <csignal>
#include <cstring>
#include <mutex>
#include <set>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <vector>

namespace ringfence {
namespace {

class PageThreads : public PageTest {};

// ---- Stacks ----

unsigned deeper(unsigned depth) {
  volatile unsigned char frame[512];
  frame[depth % sizeof frame] = 1;
  return depth == UINT_MAX ? frame[0] : deeper(depth + 1) + frame[1];
}

// Without a limit the stack ends where there is no memory left in the machine.
void limit_the_stack() {
  rlimit limit;
  EXPECT_EQ(getrlimit(RLIMIT_STACK, &limit), 0);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_cur, 8 << 20);
  EXPECT_EQ(setrlimit(RLIMIT_STACK, &limit), 0);
}

TEST_F(PageThreads, AStackOverflowIsNoFinding) {
  EXPECT_EXIT(
      {
        limit_the_stack();
        rf_free(a(), rf_alloc(a(), 1));
        _exit(static_cast<int>(deeper(0)));
      },
      testing::KilledBySignal(SIGSEGV), "^$");
}

// A thread whose stack is a block: to run over its end is an underflow of that block, and the handler needs another
// stack to say so.
void *run_down(void *) {
  return deeper(0) != 0 ? nullptr : nullptr;
}

void overflow_a_stack_in_a_block() {
  static rf_std heap;
  static rf_page page;
  rf_page_options options;
  rf_page_options_default(&options);
  options.side = RF_PAGE_LEFT;
  rf_std_init(&heap);
  rf_page_init(&page, &heap.base, &options);
  size_t const size = 1 << 20;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstack(&attributes, rf_aligned_alloc(&page.base, page_size(), size), size);
  pthread_t thread;
  auto const begin = [](void *context) -> void * {
    rf_free(&page.base, rf_alloc(&page.base, 1)); // gives this thread a stack for signals
    return run_down(context);
  };
  pthread_create(&thread, &attributes, begin, nullptr);
  pthread_join(thread, nullptr);
}

TEST_F(PageThreads, TheEndOfAStackThatIsABlockIsFound) {
  EXPECT_EXIT(overflow_a_stack_in_a_block(), testing::ExitedWithCode(RF_EXITCODE_DEFAULT), "heap-buffer-underflow");
}

TEST_F(PageThreads, AProgramsOwnSignalStackIsLeftAlone) {
  std::thread([this] {
    HandlerStack const own;
    rf_free(a(), rf_alloc(a(), 1));
    EXPECT_EQ(handler_stack(), own.start());
  }).join();
}

// A program may make one of its own after it was given ours; others' ends of the thread come after ours.
TEST_F(PageThreads, AProgramsOwnSignalStackStaysToTheThreadsEnd) {
  static const void *left;
  static HandlerStack *own;
  std::vector<pthread_key_t> keys(1);
  rf_free(a(), rf_alloc(a(), 1)); // makes the key of the stacks
  auto *const end = +[](void *) {
    left = handler_stack();
    delete own;
  };
  ASSERT_EQ(pthread_key_create(&keys[0], end), 0);
  while (keys.back() < 32) { // the ends of a thread come in the order of the keys, and that of the stacks is below
    keys.emplace_back();
    ASSERT_EQ(pthread_key_create(&keys.back(), end), 0);
  }
  std::thread([this, last = keys.back()] {
    rf_free(a(), rf_alloc(a(), 1));
    EXPECT_NE(handler_stack(), nullptr);
    own = new HandlerStack;
    EXPECT_EQ(pthread_setspecific(last, own), 0);
    EXPECT_EQ(handler_stack(), own->start());
    left = own->start();
  }).join();
  EXPECT_NE(left, nullptr);
  for (pthread_key_t const key : keys) {
    pthread_key_delete(key);
  }
}

// A server of SIGSEGV has seen to stacks; one of SIGBUS alone has nothing to do with the end of a stack.
TEST_F(PageThreads, AThreadIsGivenAStackUnlessSIGSEGVIsServed) {
  auto *const server = +[](int, siginfo_t *, void *) { _exit(77); };
  for (int const signal : {SIGSEGV, SIGBUS}) {
    struct sigaction before;
    struct sigaction action = {};
    action.sa_sigaction = server;
    action.sa_flags = SA_SIGINFO;
    rf_page_served_by(reinterpret_cast<uintptr_t>(server));
    ASSERT_EQ(sigaction(signal, &action, &before), 0);
    std::thread([this, signal] {
      rf_free(a(), rf_alloc(a(), 1));
      EXPECT_EQ(handler_stack() != nullptr, signal == SIGBUS) << signal;
    }).join();
    sigaction(signal, &before, nullptr);
    rf_page_served_by(0);
  }
}

std::atomic<unsigned> counted{0};

rf_action count_finding(rf_reporter *, const rf_finding *) {
  counted++;
  return RF_ACTION_CONTINUE;
}

// Each touch opens a page, and each request closes those that were opened, while other threads fill theirs.
TEST_F(PageThreads, ManyMayUseFreedBlocksAtOnce) {
  constexpr unsigned kThreads = 4;
  std::vector<unsigned char> arena(kArenaSize);
  TlsfHeap heap(arena.data(), arena.size());
  rf_reporter reporter = {count_finding, nullptr, 1, 0};
  rf_page page;
  rf_lock lock;
  end();
  options_.reporter = &reporter;
  ASSERT_EQ(rf_page_init(&page, heap.allocator(), &options_), RF_OK);
  ASSERT_EQ(rf_lock_init(&lock, &page.base), RF_OK);
  std::array<unsigned char *, 40> freed; // more than stay open
  for (unsigned char *&p : freed) {
    p = bytes(rf_alloc(&lock.base, 100));
  }
  for (unsigned char *const p : freed) {
    EXPECT_EQ(rf_free(&lock.base, p), RF_OK);
  }
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < kThreads; t++) {
    threads.emplace_back([&] {
      for (unsigned round = 0; round < 20; round++) {
        for (const unsigned char *const p : freed) {
          (void)peek(p + 20);
          rf_free(&lock.base, rf_alloc(&lock.base, 5000));
        }
      }
    });
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
  EXPECT_GT(counted.load(), freed.size());
  lock.base.ops->deinit(&lock.base);
  page.base.ops->deinit(&page.base);
}

// The stacks that `count` threads at once have for signals.
std::set<void *> signal_stacks(rf_allocator *a, unsigned count) {
  std::set<void *> stacks;
  std::mutex lock;
  std::atomic<unsigned> there{0};
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < count; i++) {
    threads.emplace_back([&] {
      {
        std::lock_guard<std::mutex> const hold(lock);
        rf_free(a, rf_alloc(a, 1));
        stacks.insert(handler_stack());
      }
      for (there++; there < count;) {
        std::this_thread::yield();
      }
    });
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
  return stacks;
}

TEST_F(PageThreads, SignalStacksOfEndedThreadsAreThoseOfNewOnes) {
  constexpr unsigned kMany = 20; // more than are kept
  std::set<void *> const first = signal_stacks(a(), kMany);
  EXPECT_EQ(first.size(), kMany) << "each has its own";
  EXPECT_EQ(first.count(nullptr), 0U);
  for (int i = 0; i < 3; i++) {
    std::set<void *> const next = signal_stacks(a(), 2);
    EXPECT_EQ(next.size(), 2U);
    for (void *const stack : next) {
      EXPECT_EQ(first.count(stack), 1U);
    }
  }
}

// ---- Threads and forks ----

TEST_F(PageThreads, ThreadsUseBlocksOfEachOther) {
  rf_lock lock;
  ASSERT_EQ(rf_lock_init(&lock, a()), RF_OK);
  std::vector<std::thread> threads;
  unsigned char *shared[4][50] = {};
  for (unsigned t = 0; t < 4; t++) {
    threads.emplace_back([&, t] {
      for (unsigned i = 0; i < 400; i++) {
        unsigned char *const p = bytes(rf_alloc(&lock.base, 1 + i * t % 3000));
        std::memset(p, static_cast<int>(t), 1 + i * t % 3000);
        if (shared[t][i % 50] != nullptr) {
          rf_free(&lock.base, shared[t][i % 50]);
        }
        shared[t][i % 50] = p;
      }
    });
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
  for (auto &blocks : shared) {
    for (unsigned char *const p : blocks) {
      EXPECT_EQ(rf_free(&lock.base, p), RF_OK);
    }
  }
  EXPECT_EQ(rf_page_sweep(&page_), 0U);
}

TEST_F(PageThreads, AFaultNamesTheThreadThatMadeIt) {
  unsigned char *const p = bytes(rf_alloc(a(), 8));
  rf_free(a(), p);
  std::thread([p] { (void)peek(p); }).join();
  rf_finding const f = take_one();
  EXPECT_NE(f.found.thread, f.allocated.thread);
  EXPECT_EQ(f.allocated.thread, f.released.thread);
}

TEST_F(PageThreads, TheChildOfAForkIsWatchedAsItsParent) {
  unsigned char *const p = bytes(rf_alloc(a(), 8));
  std::memset(p, 7, 8);
  pid_t const child = fork();
  if (child == 0) {
    bool fine = peek(p) == 7 && rf_free(a(), p) == RF_OK;
    unsigned char *const q = bytes(rf_alloc(a(), 3000));
    std::memset(q, 1, 3000);
    fine = fine && rf_free(a(), q) == RF_OK && recorder_.count() == 0;
    (void)peek(p);
    _exit(fine && recorder_.count() == 1 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(peek(p), 7);
  EXPECT_EQ(rf_free(a(), p), RF_OK);
}

TEST_F(PageThreads, ForksAmongThreadsThatAllocateFindNoLockHeld) {
  rf_lock lock;
  ASSERT_EQ(rf_lock_init(&lock, a()), RF_OK);
  std::atomic<bool> stop{false};
  rf_std heap;
  ASSERT_EQ(rf_std_init(&heap), RF_OK);
  std::thread busy([&] {
    rf_page own;
    rf_page_init(&own, &heap.base, &options_);
    while (!stop) {
      rf_free(&own.base, rf_alloc(&own.base, 100));
    }
    own.base.ops->deinit(&own.base);
  });
  for (unsigned i = 0; i < 30; i++) {
    pid_t const child = fork();
    if (child == 0) {
      alarm(50); // a lock that stays held
      rf_free(a(), rf_alloc(a(), 10));
      _exit(0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  stop = true;
  busy.join();
}

} // namespace
} // namespace ringfence
