// rf_page and the process around it: other handlers of the same signals, stacks, threads, forks, the kernel's limits.
#include "tests/checkers/handler_stack.h"
#include "tests/checkers/page_fixture.h"

#include <ringfence/lock.h>
#include <ringfence/std.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <csetjmp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <mutex>
#include <set>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <vector>

namespace ringfence {
namespace {

// Findings here are intended: no artifact of the run is to tell of them.
[[maybe_unused]] int const found_on_purpose = unsetenv("TEST_UNDECLARED_OUTPUTS_DIR");

class PageProcess : public PageTest {};

// ---- Faults that are not about blocks ----

unsigned char *closed_page() {
  void *const p = mmap(nullptr, page_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  EXPECT_NE(p, MAP_FAILED);
  return bytes(p);
}

void fault_elsewhere() {
  poke(closed_page(), 1);
}

TEST_F(PageProcess, AFaultElsewhereEndsTheProcessAsEver) {
  EXPECT_EXIT(fault_elsewhere(), testing::KilledBySignal(SIGSEGV), "^$");
}

TEST_F(PageProcess, ASignalThatWasSentEndsTheProcessAsEver) {
  EXPECT_EXIT(raise(SIGSEGV), testing::KilledBySignal(SIGSEGV), "^$");
  EXPECT_EXIT(kill(getpid(), SIGBUS), testing::KilledBySignal(SIGBUS), "^$");
}

TEST_F(PageProcess, AnIgnoredSignalThatWasSentIsIgnored) {
  EXPECT_EXIT(
      {
        signal(SIGSEGV, SIG_IGN);
        rf_free(a(), rf_alloc(a(), 1));
        raise(SIGSEGV);
        _exit(3);
      },
      testing::ExitedWithCode(3), "^$");
}

sigjmp_buf back;
volatile sig_atomic_t handled;
const void *volatile handled_at;

void jump_back(int, siginfo_t *info, void *) {
  handled = handled + 1;
  handled_at = info->si_addr;
  siglongjmp(back, 1);
}

void install(int flags) {
  struct sigaction action = {};
  action.sa_sigaction = jump_back;
  action.sa_flags = SA_SIGINFO | flags;
  ASSERT_EQ(sigaction(SIGSEGV, &action, nullptr), 0);
}

TEST_F(PageProcess, TheProgramsOwnHandlerWorksAsOftenAsItIsNeeded) {
  struct sigaction before;
  sigaction(SIGSEGV, nullptr, &before);
  install(0);
  rf_free(a(), rf_alloc(a(), 1)); // which finds it
  unsigned char *const closed = closed_page();
  handled = 0;
  for (volatile int i = 0; i < 20; i = i + 1) {
    if (sigsetjmp(back, 1) == 0) {
      poke(closed + i, 1);
      FAIL() << "not reached";
    }
    EXPECT_EQ(handled_at, closed + i);
  }
  EXPECT_EQ(handled, 20);
  // And blocks are watched as before.
  unsigned char *const p = bytes(rf_alloc(a(), 8));
  rf_free(a(), p);
  poke(p, 1);
  EXPECT_EQ(handled, 20);
  EXPECT_EQ(take_one().bug, RF_BUG_USE_AFTER_FREE);
  sigaction(SIGSEGV, &before, nullptr);
}

void wrong_signal(int, siginfo_t *, void *) {
  _exit(77);
}

// Pages raise either signal, by the way that they were closed.
TEST_F(PageProcess, AHandlerForOneOfTheTwoSignalsAloneIsFound) {
  for (int const signal : {SIGSEGV, SIGBUS}) {
    struct sigaction before;
    struct sigaction action = {};
    action.sa_sigaction = wrong_signal;
    action.sa_flags = SA_SIGINFO;
    ASSERT_EQ(sigaction(signal, &action, &before), 0);
    rf_free(a(), rf_alloc(a(), 1)); // which finds it
    struct sigaction now;
    ASSERT_EQ(sigaction(signal, nullptr, &now), 0);
    EXPECT_NE(now.sa_sigaction, wrong_signal) << signal;
    sigaction(signal, &before, nullptr);
  }
}

struct sigaction theirs;

// A handler that is not concerned and hands the signal to who was there before: us.
void not_mine(int number, siginfo_t *info, void *context) {
  theirs.sa_sigaction(number, info, context);
}

TEST_F(PageProcess, HandlersThatCallEachOtherDoNotGoRoundInCircles) {
  EXPECT_EXIT(
      {
        struct sigaction action = {};
        action.sa_sigaction = not_mine;
        action.sa_flags = SA_SIGINFO;
        sigaction(SIGSEGV, &action, &theirs);
        rf_free(a(), rf_alloc(a(), 1));
        fault_elsewhere();
      },
      testing::KilledBySignal(SIGSEGV), "^$");
}

TEST_F(PageProcess, AHandlerThatIsToRunOnceRunsOnce) {
  EXPECT_EXIT(
      {
        install(static_cast<int>(SA_RESETHAND));
        rf_free(a(), rf_alloc(a(), 1));
        if (sigsetjmp(back, 1) == 0) {
          fault_elsewhere();
        }
        fault_elsewhere();
      },
      testing::KilledBySignal(SIGSEGV), "^$");
}

// As the kernel has it: a handler's signal is blocked in it where its mask has it, or without SA_NODEFER.
TEST_F(PageProcess, TheMaskOfTheProgramsHandlerIsInForce) {
  static volatile sig_atomic_t usr1;
  static volatile sig_atomic_t segv;
  struct sigaction before;
  sigaction(SIGSEGV, nullptr, &before);
  for (int const flags : {0, static_cast<int>(SA_NODEFER)}) {
    for (bool const named : {false, true}) {
      struct sigaction action = {};
      action.sa_flags = flags;
      sigemptyset(&action.sa_mask);
      sigaddset(&action.sa_mask, named ? SIGSEGV : SIGUSR1);
      action.sa_handler = [](int) {
        sigset_t now;
        pthread_sigmask(SIG_SETMASK, nullptr, &now);
        usr1 = sigismember(&now, SIGUSR1);
        segv = sigismember(&now, SIGSEGV);
        siglongjmp(back, 1);
      };
      sigaction(SIGSEGV, &action, nullptr);
      rf_free(a(), rf_alloc(a(), 1));
      if (sigsetjmp(back, 1) == 0) {
        fault_elsewhere();
      }
      EXPECT_EQ(usr1, named ? 0 : 1) << flags;
      EXPECT_EQ(segv, named || flags == 0 ? 1 : 0) << flags << " " << named;
    }
  }
  sigaction(SIGSEGV, &before, nullptr);
}

// ---- Stacks ----

unsigned deeper(unsigned depth) {
  volatile unsigned char frame[512];
  frame[depth % sizeof frame] = 1;
  return depth == UINT_MAX ? frame[0] : deeper(depth + 1) + frame[1];
}

TEST_F(PageProcess, AStackOverflowIsNoFinding) {
  EXPECT_EXIT(
      {
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

TEST_F(PageProcess, TheEndOfAStackThatIsABlockIsFound) {
  EXPECT_EXIT(overflow_a_stack_in_a_block(), testing::ExitedWithCode(RF_EXITCODE_DEFAULT), "heap-buffer-underflow");
}

TEST_F(PageProcess, AProgramsOwnSignalStackIsLeftAlone) {
  std::thread([this] {
    HandlerStack const own;
    rf_free(a(), rf_alloc(a(), 1));
    stack_t now;
    ASSERT_EQ(sigaltstack(nullptr, &now), 0);
    EXPECT_EQ(now.ss_sp, own.start());
  }).join();
}

void *signal_stack() {
  stack_t now;
  EXPECT_EQ(sigaltstack(nullptr, &now), 0);
  return (now.ss_flags & SS_DISABLE) == 0 ? now.ss_sp : nullptr;
}

// A server of SIGSEGV has seen to stacks; one of SIGBUS alone has nothing to do with the end of a stack.
TEST_F(PageProcess, AThreadIsGivenAStackUnlessSIGSEGVIsServed) {
  for (int const signal : {SIGSEGV, SIGBUS}) {
    struct sigaction before;
    struct sigaction action = {};
    action.sa_sigaction = wrong_signal;
    action.sa_flags = SA_SIGINFO;
    rf_page_served_by(reinterpret_cast<uintptr_t>(wrong_signal));
    ASSERT_EQ(sigaction(signal, &action, &before), 0);
    std::thread([this, signal] {
      rf_free(a(), rf_alloc(a(), 1));
      EXPECT_EQ(signal_stack() != nullptr, signal == SIGBUS) << signal;
    }).join();
    sigaction(signal, &before, nullptr);
    rf_page_served_by(0);
  }
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
        stacks.insert(signal_stack());
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

TEST_F(PageProcess, SignalStacksOfEndedThreadsAreThoseOfNewOnes) {
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

TEST_F(PageProcess, ThreadsUseBlocksOfEachOther) {
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

TEST_F(PageProcess, AFaultNamesTheThreadThatMadeIt) {
  unsigned char *const p = bytes(rf_alloc(a(), 8));
  rf_free(a(), p);
  std::thread([p] { (void)peek(p); }).join();
  rf_finding const f = take_one();
  EXPECT_NE(f.found.thread, f.allocated.thread);
  EXPECT_EQ(f.allocated.thread, f.released.thread);
}

TEST_F(PageProcess, TheChildOfAForkIsWatchedAsItsParent) {
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

TEST_F(PageProcess, ForksAmongThreadsThatAllocateFindNoLockHeld) {
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
      alarm(20); // a lock that stays held
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

// ---- The policy ----

void halt_at_fault() {
  static rf_std heap;
  static rf_page page;
  rf_std_init(&heap);
  rf_page_init(&page, &heap.base, nullptr);
  unsigned char *const p = bytes(rf_alloc(&page.base, 16));
  rf_free(&page.base, p);
  (void)peek(p);
  std::fputs("not reached\n", stderr);
}

TEST_F(PageProcess, ByDefaultTheProcessEndsAtTheInstruction) {
  EXPECT_EXIT(halt_at_fault(), testing::ExitedWithCode(RF_EXITCODE_DEFAULT),
              "ERROR: Ringfence: heap-use-after-free on address.*\nREAD at .* by thread");
}

// ---- Limits ----

void a_million_blocks() {
  constexpr size_t kCount = 1000 * 1000;
  constexpr size_t kOpen = 100 * 1000;
  static rf_std heap;
  static rf_page page;
  rf_std_init(&heap);
  rf_page_options options;
  rf_page_options_default(&options);
  options.memory = kOpen * page_size();
  rf_page_init(&page, &heap.base, &options);
  std::vector<unsigned char *> blocks(kCount);
  for (size_t i = 0; i < kCount; i++) {
    blocks[i] = bytes(rf_alloc(&page.base, 16));
    if (blocks[i] == nullptr) {
      std::fprintf(stderr, "block %zu was not served\n", i);
      _exit(1);
    }
    std::memset(blocks[i], static_cast<int>(i), 16);
  }
  // The first are on pages of their own, the last under guard: both are watched.
  rf_stats stats;
  rf_stats_get(&page.base, &stats);
  bool fine = stats.blocks == kCount && stats.used == 16 * kCount;
  rf_page_figures figures;
  rf_page_store_figures(page.store, &figures);
  fine = fine && figures.declined == kCount - figures.counters.blocks;
  fine = fine && (rf_page_has_marks() ? figures.counters.blocks == kOpen : figures.counters.blocks < 30000);
  for (size_t i = 0; i < kCount; i++) {
    fine = fine && blocks[i][15] == static_cast<unsigned char>(i);
    fine = rf_free(&page.base, blocks[i]) == RF_OK && fine;
  }
  // And there is room for pages again.
  unsigned char *const p = bytes(rf_alloc(&page.base, 16));
  rf_free(&page.base, p);
  std::fprintf(stderr, "fine: %d\n", fine);
  (void)peek(p);
}

// The kernel's limit of mappings (65530) is said once, where it is one.
TEST_F(PageProcess, AMillionLiveBlocksAreSurvivedWhateverTheLimit) {
  std::string const limit =
      rf_page_has_marks()
          ? "^"
          : "^ringfence: the kernel's limit of mappings [^\n]*; for now, further ones are checked as in mode guard\n";
  EXPECT_EXIT(a_million_blocks(), testing::ExitedWithCode(RF_EXITCODE_DEFAULT),
              limit + "fine: 1\n[^\n]*heap-use-after-free");
}

TEST_F(PageProcess, BlocksTakeOneMappingWhereMarkersCloseThem) {
  if (!rf_page_has_marks()) {
    GTEST_SKIP() << "this kernel has no guard markers";
  }
  auto const mappings = [] {
    std::ifstream maps("/proc/self/maps");
    return std::count(std::istreambuf_iterator<char>(maps), {}, '\n');
  };
  std::vector<void *> blocks;
  rf_free(a(), rf_alloc(a(), 1));
  auto const before = mappings();
  for (size_t i = 0; i < 5000; i++) {
    blocks.push_back(rf_alloc(a(), i));
  }
  for (size_t i = 0; i < blocks.size(); i += 2) {
    rf_free(a(), blocks[i]);
  }
  EXPECT_LT(mappings(), before + 20);
  for (size_t i = 1; i < blocks.size(); i += 2) {
    rf_free(a(), blocks[i]);
  }
}

// The kernel sets no markers in locked memory. To lock everything takes a right that not every process has.
void lock_and_free(bool everything, int later) {
  static rf_std heap;
  static rf_page page;
  static FaultRecorder recorder;
  rf_page_options options;
  rf_page_options_default(&options);
  options.reporter = recorder.reporter();
  options.quarantine = 64 * page_size();
  options.side = RF_PAGE_LEFT;
  rf_std_init(&heap);
  rf_page_init(&page, &heap.base, &options);
  unsigned char *p = bytes(rf_alloc(&page.base, 100));
  bool fine = everything ? mlockall(MCL_CURRENT | later) == 0 || errno == ENOMEM || errno == EPERM : mlock(p, 100) == 0;
  unsigned found = 0;
  for (unsigned i = 0; i < 1000; i++) {
    std::memset(p, 0x41, 100);
    fine = rf_free(&page.base, p) == RF_OK && fine;
    (void)peek(p + 50);
    for (rf_finding const &f : recorder.take()) {
      found += f.bug == RF_BUG_USE_AFTER_FREE && f.block == reinterpret_cast<uintptr_t>(p) ? 1U : 0U;
    }
    p = bytes(rf_alloc(&page.base, 100));
    (void)peek(p - 1);
    for (rf_finding const &f : recorder.take()) {
      found += f.bug == RF_BUG_BUFFER_UNDERFLOW && f.block == reinterpret_cast<uintptr_t>(p) ? 1U : 0U;
    }
  }
  std::fprintf(stderr, "fine: %d, found: %u\n", fine, found);
  _exit(0);
}

TEST_F(PageProcess, LockedMemoryIsWatchedAsAny) {
  EXPECT_EXIT(lock_and_free(false, 0), testing::ExitedWithCode(0), "^fine: 1, found: 2000\n$");
  EXPECT_EXIT(lock_and_free(true, 0), testing::ExitedWithCode(0), "^fine: 1, found: 2000\n$");
  EXPECT_EXIT(lock_and_free(true, MCL_FUTURE), testing::ExitedWithCode(0), "^fine: 1, found: 2000\n$");
}

// Pages of blocks count for the limit, gaps do not.
TEST_F(PageProcess, ALimitOfDataIsLeftToTheProgram) {
  auto const program = [this] {
    rlimit limit;
    limit.rlim_cur = limit.rlim_max = size_t{128} << 20;
    setrlimit(RLIMIT_DATA, &limit);
    start();
    std::vector<unsigned char *> blocks;
    for (size_t i = 0; i < 4000; i++) {
      blocks.push_back(bytes(rf_alloc(a(), 8)));
    }
    void *const own = mmap(nullptr, size_t{20} << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    rf_page_figures figures;
    rf_page_store_figures(page_.store, &figures);
    _exit(own != MAP_FAILED && figures.counters.blocks == 4000 ? 0 : 1);
  };
  EXPECT_EXIT(program(), testing::ExitedWithCode(0), "");
}

TEST_F(PageProcess, VeryLargeBlocksAreUnderGuard) {
  size_t const size = (sizeof(void *) == 8 ? size_t{1} << 30 : size_t{64} << 20) + 1;
  rf_std heap;
  ASSERT_EQ(rf_std_init(&heap), RF_OK);
  rf_page over;
  ASSERT_EQ(rf_page_init(&over, &heap.base, &options_), RF_OK);
  unsigned char *const p = bytes(rf_alloc(&over.base, size));
  ASSERT_NE(p, nullptr);
  poke(p + size, 1);
  EXPECT_EQ(rf_free(&over.base, p), RF_OK);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_BUFFER_OVERFLOW);
  EXPECT_STREQ(f.mode, "guard");
  over.base.ops->deinit(&over.base);
}

TEST_F(PageProcess, WhereAddressSpaceIsScarceBlocksAreUnderGuard) {
  auto const program = [this] {
    rlimit limit;
    limit.rlim_cur = limit.rlim_max = size_t{400} << 20;
    setrlimit(RLIMIT_AS, &limit);
    std::vector<unsigned char *> blocks;
    for (size_t i = 0; i < 15000; i++) {
      blocks.push_back(bytes(rf_alloc(a(), 8)));
    }
    bool fine = true;
    for (unsigned char *const p : blocks) {
      fine = p != nullptr && rf_free(a(), p) == RF_OK && fine;
    }
    _exit(fine && recorder_.count() == 0 ? 0 : 1);
  };
  EXPECT_EXIT(program(), testing::ExitedWithCode(0), "");
}

} // namespace
} // namespace ringfence
