// The stack that reports run on where a thread's own may be too small (checkers/os/reserve_stack.c).
#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <functional>
#include <thread>

#include "tests/checkers/child_status.h"
#include "tests/checkers/handler_stack.h"

extern "C" {
#include "checkers/os/reserve_stack.h"
}

// Children of a process with several threads start threads.
extern "C" const char *__tsan_default_options() {
  return "die_after_fork=0";
}

namespace {

alignas(64) unsigned char memory[RF_RESERVE_STACK_BYTES];

bool is_on_reserve() {
  return reinterpret_cast<uintptr_t>(__builtin_frame_address(0)) - reinterpret_cast<uintptr_t>(memory) < sizeof memory;
}

void call(void *work) {
  (*static_cast<const std::function<void()> *>(work))();
}

void on_reserve(const std::function<void()> &work) {
  rf_on_reserve_stack(call, const_cast<std::function<void()> *>(&work));
}

// True where a call by another thread comes to the stack.
bool is_free() {
  bool had = false;
  std::thread([&] { on_reserve([&] { had = is_on_reserve(); }); }).join();
  return had;
}

bool holds_in_child(const std::function<bool()> &claim) {
  return ringfence::status_of([&claim] {
           rf_reserve_stack_forked();
           return claim();
         }) == 0;
}

class ReserveStack : public testing::Test {
protected:
  ReserveStack() { rf_reserve_stack_init(memory); }
};

TEST_F(ReserveStack, IsOneThreadsAtATime) {
  bool was_there = false;
  bool was_free = true;
  uintptr_t outer = 0;
  uintptr_t inner = 0;
  EXPECT_TRUE(is_free());
  on_reserve([&] {
    was_there = is_on_reserve();
    was_free = is_free();
    outer = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
    on_reserve([&] { inner = reinterpret_cast<uintptr_t>(__builtin_frame_address(0)); });
  });
  EXPECT_TRUE(was_there);
  EXPECT_FALSE(was_free);
  EXPECT_LT(inner, outer) << "the thread that has it goes on there";
  EXPECT_GT(inner, reinterpret_cast<uintptr_t>(memory));
  EXPECT_FALSE(is_on_reserve());
  EXPECT_TRUE(is_free());
}

TEST_F(ReserveStack, BeginsAtItsTop) {
  uintptr_t frame = 0;
  on_reserve([&] { frame = reinterpret_cast<uintptr_t>(__builtin_frame_address(0)); });
  EXPECT_LT(reinterpret_cast<uintptr_t>(memory) + sizeof memory - frame, 8192U);
}

uintptr_t first_frame;

void note_frame(void * /*unused*/) {
  first_frame = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
}

// The loader reads arguments there, as many as a library of LD_AUDIT says.
TEST_F(ReserveStack, HasMemoryAboveItsFirstFrame) {
  rf_on_reserve_stack(note_frame, nullptr);
  EXPECT_GE(reinterpret_cast<uintptr_t>(memory) + sizeof memory - first_frame, 4096U);
}

TEST_F(ReserveStack, IsTheChildsUnlessTheChildIsOnIt) {
  bool in_child_of_its_thread = true;
  bool in_child_of_another = false;
  on_reserve([&] {
    in_child_of_its_thread = holds_in_child([] { return !is_free() && is_on_reserve(); });
    std::thread([&] { in_child_of_another = holds_in_child(is_free); }).join();
  });
  EXPECT_TRUE(in_child_of_its_thread);
  EXPECT_TRUE(in_child_of_another) << "the thread that had it is not there";
}

stack_t seen_before;
stack_t seen_there;
stack_t seen_after;

void on_signal(int /*number*/) {
  (void)sigaltstack(nullptr, &seen_before);
  on_reserve([] { (void)sigaltstack(nullptr, &seen_there); });
  (void)sigaltstack(nullptr, &seen_after);
}

// A signal that comes meanwhile would begin at the top of the stack for handlers.
TEST_F(ReserveStack, TakesTheStackForHandlersAwayFromAHandlerThatLeavesIt) {
  ringfence::HandlerStack const own;
  struct sigaction action = {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_ONSTACK;
  ASSERT_EQ(sigaction(SIGUSR1, &action, nullptr), 0);
  ASSERT_EQ(raise(SIGUSR1), 0);
  EXPECT_EQ(seen_before.ss_flags & SS_ONSTACK, SS_ONSTACK);
  EXPECT_EQ(seen_there.ss_flags & SS_DISABLE, SS_DISABLE);
  EXPECT_EQ(seen_after.ss_sp, own.start());
  EXPECT_EQ(seen_after.ss_size, own.size());
  EXPECT_EQ(seen_after.ss_flags & SS_ONSTACK, SS_ONSTACK);
  (void)signal(SIGUSR1, SIG_DFL);
}

} // namespace
