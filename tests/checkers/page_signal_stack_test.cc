// The stack for handlers that the page store gives each thread: reused, given back, and left alone where the program
// has one of its own or may not ask for it any more.
#include "tests/checkers/handler_stack.h"

#include <gtest/gtest.h>

#include <csignal>
#include <functional>
#include <set>
#include <thread>

extern "C" {
#include "checkers/os/host.h"
#include "checkers/page/page_impl.h"
}

namespace {

using ringfence::handler_stack;
using ringfence::HandlerStack;

void in_thread(const std::function<void()> &body) {
  std::thread(body).join();
}

// The one that a thread was given, which has ended.
void *stack_of_a_thread() {
  void *stack = nullptr;
  in_thread([&stack] {
    rf_page_give_stack();
    stack = handler_stack();
  });
  return stack;
}

TEST(PageSignalStack, AThreadIsGivenOneOnce) {
  in_thread([] {
    size_t size = 0;
    EXPECT_FALSE(rf_page_stack_is_settled());
    EXPECT_EQ(rf_page_given_stack(&size), nullptr);
    rf_page_give_stack();
    EXPECT_TRUE(rf_page_stack_is_settled());
    EXPECT_NE(handler_stack(), nullptr);
    EXPECT_EQ(rf_page_given_stack(&size), handler_stack());
    stack_t const none = {nullptr, SS_DISABLE, size};
    EXPECT_EQ(sigaltstack(&none, nullptr), 0);
    rf_page_give_stack();
    EXPECT_EQ(handler_stack(), nullptr) << "the program has taken it away";
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
    HandlerStack const own;
    size_t size = 0;
    rf_page_give_stack();
    EXPECT_TRUE(rf_page_stack_is_settled());
    EXPECT_EQ(handler_stack(), own.start());
    EXPECT_EQ(rf_page_given_stack(&size), nullptr);
  });
  EXPECT_EQ(stack_of_a_thread(), first);
}

TEST(PageSignalStack, WhereStacksAreKeptNoneIsGiven) {
  in_thread([] {
    rf_page_signals_set_kept(true);
    EXPECT_TRUE(rf_page_signals_are_kept());
    rf_page_give_stack();
    EXPECT_FALSE(rf_page_stack_is_settled());
    EXPECT_EQ(handler_stack(), nullptr);
    rf_page_signals_set_kept(false);
    EXPECT_FALSE(rf_page_signals_are_kept());
    rf_page_give_stack();
    EXPECT_NE(handler_stack(), nullptr);
  });
}

// The system may not be asked whether it is still in use: it is not handed to another thread.
TEST(PageSignalStack, WhereStacksAreKeptThatOfAThreadWhichEndsStays) {
  void *stack = nullptr;
  in_thread([&stack] {
    rf_page_give_stack();
    stack = handler_stack();
    rf_page_signals_keep(true);
    EXPECT_TRUE(rf_page_signals_are_kept());
  });
  rf_page_signals_keep(false);
  EXPECT_FALSE(rf_page_signals_are_kept());
  EXPECT_TRUE(rf_host_readable(stack, 1));
  EXPECT_NE(stack_of_a_thread(), stack);
}

TEST(PageSignalStack, OfManyThreadsThatEndOnlySomeStacksStay) {
  constexpr unsigned kThreads = 24;
  std::set<void *> stacks;
  std::function<void(unsigned)> nested = [&](unsigned left) {
    in_thread([&, left] {
      rf_page_give_stack();
      stacks.insert(handler_stack());
      if (left != 0) {
        nested(left - 1);
      }
    });
  };
  nested(kThreads - 1);
  ASSERT_EQ(stacks.size(), kThreads);
  unsigned mapped = 0;
  for (void *const stack : stacks) {
    mapped += rf_host_readable(stack, 1) ? 1 : 0;
  }
  EXPECT_LE(mapped, 8U);
}

TEST(PageSignalStack, AThreadThatLooksSeldomIsGivenOneAtItsFirstLook) {
  in_thread([] {
    rf_page_watch(true);
    EXPECT_NE(handler_stack(), nullptr);
  });
}

} // namespace
