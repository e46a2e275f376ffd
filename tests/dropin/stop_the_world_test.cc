// All other threads of a process stand still between the two calls, and go on as if nothing had been. The process of
// the drop-in is the test's own here.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/inspect/stop_the_world.h"
#include "checkers/dropin/os/futex.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/dropin/runtime/thread.h"
}
#undef _Static_assert

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdarg>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <poll.h>
#include <string>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>
#include <vector>

rf_process_state rf_process;
RF_THREAD_LOCAL rf_thread rf_current_thread;

bool rf_process_has_ended() {
  return rf_process.ended;
}

namespace {

std::atomic<bool> spoils_errno{false};

} // namespace

// The linker puts it in front of the C library's: a call that succeeds may change errno, too.
extern "C" long __real_syscall(long number, ...);
extern "C" long __wrap_syscall(long number, ...);
extern "C" long __wrap_syscall(long number, ...) {
  long words[6];
  va_list arguments;
  va_start(arguments, number);
  for (long &word : words) {
    word = va_arg(arguments, long);
  }
  va_end(arguments);
  long const result = __real_syscall(number, words[0], words[1], words[2], words[3], words[4], words[5]);
  errno = result != -1 && spoils_errno ? 4321 : errno;
  return result;
}

namespace {

constexpr unsigned kLong = 60000;
constexpr unsigned kShort = 20;
constexpr int kSignal = 33;
constexpr size_t kRoom = 16;

struct KernelAction {
  void *handler;
  unsigned long flags;
  void *restorer;
  uint64_t mask;
};

KernelAction action_now() {
  KernelAction action{};
  EXPECT_EQ(syscall(SYS_rt_sigaction, kSignal, nullptr, &action, sizeof action.mask), 0);
  return action;
}

// As the C library does not: of the signal that it keeps for itself.
void block_the_signal(bool block) {
  uint64_t const mask = uint64_t{1} << (kSignal - 1);
  EXPECT_EQ(syscall(SYS_rt_sigprocmask, block ? SIG_BLOCK : SIG_UNBLOCK, &mask, nullptr, sizeof mask), 0);
}

void turn_until(const std::function<bool()> &done) {
  while (!done()) {
    std::this_thread::yield();
  }
}

// A thread that counts until it is told to end.
class Counter {
public:
  explicit Counter(bool blocked = false) : thread_([this, blocked] { run(blocked); }) {
    turn_until([&] { return count_ != 0; });
  }
  ~Counter() {
    ends_ = true;
    thread_.join();
  }
  void wait_until_it_goes_on() const {
    uint64_t const before = count_;
    turn_until([&] { return count_ != before; });
  }
  void unblock() {
    unblocks_ = true;
    turn_until([&] { return !unblocks_; });
  }
  uint64_t count() const { return count_; }
  uint32_t id() const { return id_; }
  uintptr_t frame() const { return frame_; }
  uintptr_t own() const { return own_; }

private:
  void run(bool blocked) {
    if (blocked) {
      block_the_signal(true);
    }
    id_ = static_cast<uint32_t>(syscall(SYS_gettid));
    frame_ = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
    own_ = reinterpret_cast<uintptr_t>(&rf_current_thread);
    while (!ends_) {
      count_++;
      if (unblocks_) {
        block_the_signal(false);
        unblocks_ = false;
      }
    }
  }
  std::atomic<uint64_t> count_{0};
  std::atomic<uint32_t> id_{0};
  std::atomic<uintptr_t> frame_{0};
  std::atomic<uintptr_t> own_{0};
  std::atomic<bool> ends_{false};
  std::atomic<bool> unblocks_{false};
  std::thread thread_;
};

class StopTheWorld : public testing::Test {
protected:
  StopTheWorld() { stopped_ = {places_, kRoom, 0}; }
  const char *stop(unsigned ms = kLong) {
    errno = 4711;
    const char *const why = rf_stop_the_world(&stopped_, ms);
    EXPECT_EQ(errno, 4711);
    return why;
  }
  void resume() {
    errno = 4711;
    rf_resume_the_world(&stopped_);
    EXPECT_EQ(errno, 4711);
  }
  const rf_stopped_thread *place_of(uint32_t id) const {
    for (size_t i = 0; i < stopped_.count; i++) {
      if (places_[i].id == id) {
        return &places_[i];
      }
    }
    return nullptr;
  }

  rf_stopped_thread places_[kRoom] = {};
  rf_stopped stopped_{};
};

TEST_F(StopTheWorld, OneThreadHasNobodyToStop) {
  EXPECT_EQ(stop(), nullptr);
  EXPECT_EQ(stopped_.count, 0U);
  resume();
}

// One that allocates would wait for the heap, and who has that for the thread.
TEST_F(StopTheWorld, HandlersOfOtherSignalsWait) {
  EXPECT_EQ(stop(), nullptr);
  uint64_t const mask = action_now().mask;
  resume();
  EXPECT_EQ((mask >> (SIGALRM - 1) & 1) - (mask >> (SIGSEGV - 1) & 1), 1U) << "a fault cannot wait";
}

// A place of another time may name a thread that does not stop.
TEST_F(StopTheWorld, PlacesThatAreNotInUseAreNotLookedAt) {
  for (rf_stopped_thread &place : places_) {
    place.id = static_cast<uint32_t>(syscall(SYS_gettid));
  }
  Counter const thread;
  EXPECT_EQ(stop(), nullptr);
  EXPECT_EQ(stopped_.count, 1U);
  EXPECT_EQ(places_[1].state, 0U);
  resume();
}

TEST_F(StopTheWorld, AllOthersStandStillUntilItEnds) {
  std::vector<std::unique_ptr<Counter>> threads;
  for (int i = 0; i < 4; i++) {
    threads.push_back(std::make_unique<Counter>());
  }
  for (int round = 0; round < 3; round++) {
    ASSERT_EQ(stop(), nullptr);
    EXPECT_EQ(stopped_.count, threads.size());
    std::vector<uint64_t> before;
    for (const auto &thread : threads) {
      before.push_back(thread->count());
      const rf_stopped_thread *const place = place_of(thread->id());
      ASSERT_NE(place, nullptr);
      EXPECT_LT(place->sp, thread->frame());
      EXPECT_GT(place->sp, thread->frame() - 65536);
      EXPECT_EQ(place->own, thread->own());
    }
    for (int turn = 0; turn < 50; turn++) { // on a busy machine each is a time slice of somebody else's
      std::this_thread::yield();
    }
    for (size_t i = 0; i < threads.size(); i++) {
      EXPECT_EQ(threads[i]->count(), before[i]);
    }
    resume();
    for (const auto &thread : threads) {
      thread->wait_until_it_goes_on();
    }
  }
}

std::atomic<unsigned> other_signals;

void on_other_signal(int /*number*/) {
  other_signals++;
}

// Another signal comes while the thread stands still, and its wait is cut short.
TEST_F(StopTheWorld, AThreadThatStoodStillHasItsErrno) {
  struct sigaction action = {};
  struct sigaction before = {};
  action.sa_handler = on_other_signal;
  ASSERT_EQ(sigaction(SIGUSR1, &action, &before), 0);
  std::atomic<uint32_t> id{0};
  std::atomic<int> found{0};
  std::atomic<bool> ends{false};
  std::thread thread([&] {
    errno = 77;
    id = static_cast<uint32_t>(syscall(SYS_gettid));
    while (!ends) {
    }
    found = errno;
  });
  turn_until([&] { return id != 0; });
  spoils_errno = true;
  ASSERT_EQ(stop(), nullptr);
  unsigned const count = other_signals;
  EXPECT_EQ(syscall(SYS_tgkill, getpid(), id.load(), SIGUSR1), 0);
  EXPECT_EQ(other_signals, count) << "it waits";
  resume();
  turn_until([&] { return other_signals != count; });
  spoils_errno = false;
  ends = true;
  thread.join();
  EXPECT_EQ(found, 77);
  EXPECT_EQ(sigaction(SIGUSR1, &before, nullptr), 0);
}

// A thread that does not hear yet starts another one, which was in no list when the threads were asked.
TEST_F(StopTheWorld, AThreadThatIsStartedMeanwhileStandsStillToo) {
  std::atomic<uint64_t> count{0};
  std::atomic<bool> waits{false};
  std::atomic<bool> ends{false};
  std::thread parent([&] {
    block_the_signal(true);
    waits = true;
    for (uint64_t pending = 0; (pending >> (kSignal - 1) & 1) == 0 && !ends;) {
      (void)syscall(SYS_rt_sigpending, &pending, sizeof pending);
    }
    std::thread child([&] {
      block_the_signal(false);
      while (!ends) {
        count++;
      }
    });
    turn_until([&] { return count != 0; });
    block_the_signal(false);
    child.join();
  });
  turn_until([&] { return waits.load(); });
  EXPECT_EQ(rf_stop_the_world(&stopped_, kLong), nullptr);
  EXPECT_EQ(stopped_.count, 2U);
  uint64_t const before = count;
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(count, before);
  rf_resume_the_world(&stopped_);
  ends = true;
  parent.join();
}

TEST_F(StopTheWorld, LeavesTheSignalAsItWas) {
  Counter const thread;
  KernelAction const before = action_now();
  ASSERT_EQ(stop(), nullptr);
  EXPECT_NE(action_now().handler, before.handler);
  EXPECT_NE(action_now().flags & SA_RESTART, 0U);
  resume();
  KernelAction const after = action_now();
  EXPECT_EQ(after.handler, before.handler);
  EXPECT_EQ(after.flags, before.flags);
}

TEST_F(StopTheWorld, SaysWhereThereAreMoreThreadsThanRoom) {
  Counter one;
  Counter two;
  Counter three;
  stopped_.capacity = 2;
  KernelAction const before = action_now();
  EXPECT_STREQ(stop(), "there are too many threads");
  for (Counter *thread : {&one, &two, &three}) {
    thread->wait_until_it_goes_on();
  }
  stopped_.capacity = 3;
  EXPECT_EQ(stop(), nullptr);
  resume();
  EXPECT_EQ(action_now().handler, before.handler);
}

// Its signal comes later: it must find the handler, and the thread goes on.
TEST_F(StopTheWorld, GivesUpOnAThreadThatDoesNotHear) {
  Counter deaf(true);
  Counter hears;
  KernelAction const before = action_now();
  EXPECT_STREQ(stop(kShort), "a thread could not be stopped");
  deaf.wait_until_it_goes_on();
  hears.wait_until_it_goes_on();
  EXPECT_NE(action_now().handler, before.handler);
  deaf.unblock();
  deaf.wait_until_it_goes_on();
  ASSERT_EQ(stop(), nullptr);
  EXPECT_EQ(stopped_.count, 2U);
  resume();
  deaf.wait_until_it_goes_on();
  EXPECT_EQ(action_now().handler, before.handler) << "the C library's, which setuid needs";
}

// Threads that have not left their stop yet would not hear of the next one.
TEST_F(StopTheWorld, MayComeAgainAtOnce) {
  std::atomic<bool> ends{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; i++) {
    threads.emplace_back([&] {
      while (!ends) {
        usleep(1000);
      }
    });
  }
  for (int round = 0; round < 20; round++) {
    EXPECT_EQ(stop(5000), nullptr) << round;
    EXPECT_EQ(stopped_.count, threads.size());
    resume();
    if (HasFailure()) {
      break;
    }
  }
  ends = true;
  for (std::thread &thread : threads) {
    thread.join();
  }
}

TEST_F(StopTheWorld, ThreadsThatEndAreNotWaitedFor) {
  for (int round = 0; round < 50; round++) {
    std::thread ends([] {});
    ASSERT_EQ(stop(), nullptr);
    EXPECT_LE(stopped_.count, 1U);
    resume();
    ends.join();
  }
}

// It was asked, and ends without having heard.
TEST_F(StopTheWorld, AThreadThatEndsInsteadOfStoppingIsNotWaitedFor) {
  std::atomic<bool> waits{false};
  std::thread ends([&] {
    block_the_signal(true);
    waits = true;
    for (uint64_t pending = 0; (pending >> (kSignal - 1) & 1) == 0;) {
      (void)syscall(SYS_rt_sigpending, &pending, sizeof pending);
    }
  });
  turn_until([&] { return waits.load(); });
  EXPECT_EQ(stop(5000), nullptr);
  EXPECT_EQ(stopped_.count, 1U);
  resume();
  ends.join();
}

#if defined(SYS_poll)

std::string call_of(uint32_t id) {
  std::ifstream file("/proc/self/task/" + std::to_string(id) + "/syscall");
  std::string number;
  file >> number;
  return number;
}

// A thread that waits in a call that a signal cuts short.
class Waiting {
public:
  Waiting() : thread_([this] { run(); }) {
    EXPECT_EQ(pipe(ends_), 0);
    begins_ = true;
    turn_until([&] { return id_ != 0 && call_of(id_) == std::to_string(SYS_poll); });
  }
  void join() { thread_.join(); }
  void leave() { thread_.detach(); }
  uint32_t id() const { return id_; }
  bool went_on() const { return went_on_; }
  int error() const { return error_; }
  void wake() const { EXPECT_EQ(write(ends_[1], "x", 1), 1); }

private:
  void run() {
    turn_until([&] { return begins_.load(); });
    id_ = static_cast<uint32_t>(syscall(SYS_gettid));
    pollfd wanted = {ends_[0], POLLIN, 0};
    error_ = syscall(SYS_poll, &wanted, 1, -1) < 0 ? errno : 0;
    went_on_ = true;
  }
  int ends_[2] = {-1, -1};
  std::atomic<bool> begins_{false};
  std::atomic<bool> went_on_{false};
  std::atomic<uint32_t> id_{0};
  std::atomic<int> error_{0};
  std::thread thread_;
};

TEST_F(StopTheWorld, AWaitIsCutShort) {
  for (bool const library : {false, true}) {
    for (bool const ended : {false, true}) {
      if (library && ended) {
        continue;
      }
      rf_process.library = library;
      rf_process.ended = ended;
      Waiting waiting;
      ASSERT_EQ(stop(), nullptr);
      EXPECT_FALSE(waiting.went_on());
      resume();
      waiting.join();
      EXPECT_EQ(waiting.error(), EINTR);
    }
  }
  rf_process.library = false;
  rf_process.ended = false;
}

// A fork has the C library's list of streams locked meanwhile, which the end of the process waits for.
TEST_F(StopTheWorld, AThreadThatWaitsForALockOfTheLibraryGoesOnWhenTheProcessEnds) {
  rf_process.library = true;
  rf_process.ended = true;
  static rf_futex lock; // static: on failure the thread is left behind
  static std::atomic<uint32_t> id;
  static std::atomic<bool> got;
  rf_futex_lock(&lock);
  std::thread thread([] {
    id = static_cast<uint32_t>(syscall(SYS_gettid));
    got = rf_futex_lock_within(&lock, kLong);
  });
  turn_until([&] { return id != 0; });
  for (int i = 0; i < 20; i++) { // it waits a millisecond at a time, and is mostly met in that
    turn_until([&] { return call_of(id) == std::to_string(SYS_futex); });
    if (stop(1000) != nullptr) {
      break; // it has stayed
    }
    resume();
  }
  rf_futex_unlock(&lock);
  for (int i = 0; i < 1000 && !got; i++) {
    usleep(10000);
  }
  EXPECT_TRUE(got);
  if (got) {
    thread.join();
  } else {
    thread.detach();
  }
  rf_process.library = false;
  rf_process.ended = false;
}

// It would see its wait fail, and go on in what is no longer there; others go on. The last test: the thread that stays
// cannot be stopped again.
TEST_F(StopTheWorld, AThreadThatWaitedStaysWhenTheProcessEnds) {
  rf_process.library = true;
  rf_process.ended = true;
  Waiting *const waiting = new Waiting; // for ever
  Counter counts;
  ASSERT_EQ(stop(), nullptr);
  resume();
  counts.wait_until_it_goes_on();
  turn_until([&] { return waiting->went_on() || call_of(waiting->id()) == std::to_string(SYS_futex); });
  waiting->wake();
  EXPECT_EQ(call_of(waiting->id()), std::to_string(SYS_futex));
  EXPECT_FALSE(waiting->went_on());
  waiting->leave();
}

#endif

} // namespace
