// The stack for handlers that the page store gives each thread: reused, given back, and left alone where the program
// has one of its own or may not ask for it any more.
#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>
#include <functional>
#include <set>
#include <sys/mman.h>
#include <thread>

extern "C" {
#include "checkers/page/page_impl.h"
}

namespace {

// The calling thread's stack for handlers; NULL: none.
void *stack_now() {
  stack_t now = {};
  EXPECT_EQ(sigaltstack(nullptr, &now), 0);
  return (now.ss_flags & SS_DISABLE) != 0 ? nullptr : now.ss_sp;
}

void in_thread(const std::function<void()> &body) {
  std::thread(body).join();
}

// The one that a thread was given, which has ended.
void *stack_of_a_thread() {
  void *stack = nullptr;
  in_thread([&stack] {
    rf_page_give_stack();
    stack = stack_now();
  });
  return stack;
}

bool is_mapped(void *at) {
  return msync(at, rf_page_size(), MS_ASYNC) == 0 || errno != ENOMEM;
}

TEST(PageSignalStack, AThreadIsGivenOneOnce) {
  in_thread([] {
    size_t size = 0;
    EXPECT_FALSE(rf_page_stack_is_settled());
    EXPECT_EQ(rf_page_given_stack(&size), nullptr);
    rf_page_give_stack();
    EXPECT_TRUE(rf_page_stack_is_settled());
    EXPECT_NE(stack_now(), nullptr);
    EXPECT_EQ(rf_page_given_stack(&size), stack_now());
    stack_t const none = {nullptr, SS_DISABLE, size};
    EXPECT_EQ(sigaltstack(&none, nullptr), 0);
    rf_page_give_stack();
    EXPECT_EQ(stack_now(), nullptr) << "the program has taken it away";
  });
}

TEST(PageSignalStack, TheNextThreadGetsThatOfOneThatHasEnded) {
  void *const first = stack_of_a_thread();
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(stack_of_a_thread(), first);
}

TEST(PageSignalStack, AThreadWithOneOfItsOwnKeepsItAndUsesNoneUp) {
  void *const first = stack_of_a_thread();
  in_thread([] {
    static unsigned char memory[65536];
    stack_t const own = {memory, 0, sizeof memory};
    size_t size = 0;
    EXPECT_EQ(sigaltstack(&own, nullptr), 0);
    rf_page_give_stack();
    EXPECT_TRUE(rf_page_stack_is_settled());
    EXPECT_EQ(stack_now(), memory);
    EXPECT_EQ(rf_page_given_stack(&size), nullptr);
  });
  EXPECT_EQ(stack_of_a_thread(), first);
}

TEST(PageSignalStack, WhereStacksAreKeptNoneIsGiven) {
  in_thread([] {
    rf_page_keep_stacks(true);
    EXPECT_TRUE(rf_page_keeps_stacks());
    rf_page_give_stack();
    EXPECT_FALSE(rf_page_stack_is_settled());
    EXPECT_EQ(stack_now(), nullptr);
    rf_page_keep_stacks(false);
    EXPECT_FALSE(rf_page_keeps_stacks());
    rf_page_give_stack();
    EXPECT_NE(stack_now(), nullptr);
  });
}

// The system may not be asked whether it is still in use: it is not handed to another thread.
TEST(PageSignalStack, WhereStacksAreKeptThatOfAThreadWhichEndsStays) {
  void *stack = nullptr;
  in_thread([&stack] {
    rf_page_give_stack();
    stack = stack_now();
    rf_page_signals_keep(true);
    EXPECT_TRUE(rf_page_keeps_stacks());
  });
  rf_page_signals_keep(false);
  EXPECT_FALSE(rf_page_keeps_stacks());
  EXPECT_TRUE(is_mapped(stack));
  EXPECT_NE(stack_of_a_thread(), stack);
}

TEST(PageSignalStack, OfManyThreadsThatEndOnlySomeStacksStay) {
  constexpr unsigned kThreads = 24;
  std::set<void *> stacks;
  std::function<void(unsigned)> nested = [&](unsigned left) {
    in_thread([&, left] {
      rf_page_give_stack();
      stacks.insert(stack_now());
      if (left != 0) {
        nested(left - 1);
      }
    });
  };
  nested(kThreads - 1);
  ASSERT_EQ(stacks.size(), kThreads);
  unsigned mapped = 0;
  for (void *const stack : stacks) {
    mapped += is_mapped(stack) ? 1 : 0;
  }
  EXPECT_LE(mapped, 8U);
}

TEST(PageSignalStack, AThreadThatLooksSeldomIsGivenOneAtItsFirstLook) {
  in_thread([] {
    rf_page_watch(true);
    EXPECT_NE(stack_now(), nullptr);
  });
}

} // namespace
