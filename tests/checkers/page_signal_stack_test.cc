// The stack for handlers that the page store gives each thread: reused, given back, and left alone where the program
// has one of its own or may not ask for it any more.
#include "tests/checkers/handler_stack.h"
#include "tests/checkers/single_step.h"

#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <functional>
#include <memory>
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

// Those of so many threads that live at once.
std::set<void *> stacks_of_threads(unsigned count) {
  std::set<void *> stacks;
  std::function<void(unsigned)> nested = [&](unsigned left) {
    in_thread([&, left] {
      rf_page_give_stack();
      stacks.insert(handler_stack());
      if (left != 1) {
        nested(left - 1);
      }
    });
  };
  nested(count);
  return stacks;
}

TEST(PageSignalStack, OfManyThreadsThatEndOnlySomeStacksStay) {
  constexpr unsigned kThreads = 24;
  std::set<void *> const stacks = stacks_of_threads(kThreads);
  ASSERT_EQ(stacks.size(), kThreads);
  unsigned mapped = 0;
  for (void *const stack : stacks) {
    mapped += rf_host_readable(stack, 1) ? 1 : 0;
  }
  EXPECT_LE(mapped, 8U);
}

#ifdef RF_CAN_STEP

// Those of ended threads: so many threads take them all.
std::set<void *> spare_stacks() {
  return stacks_of_threads(8);
}

// One that is given its stack, and lives as long as this object.
class OtherThread {
public:
  void begin(bool has_its_own) {
    thread_ = std::thread([this, has_its_own] {
      std::unique_ptr<HandlerStack> const own(has_its_own ? new HandlerStack : nullptr);
      rf_page_give_stack();
      stack_ = handler_stack();
      while (!ends_) {
        std::this_thread::yield();
      }
    });
    while (stack_ == nullptr) {
      std::this_thread::yield();
    }
  }
  ~OtherThread() {
    ends_ = true;
    thread_.join();
  }
  void *stack() const { return stack_; }

private:
  std::thread thread_;
  std::atomic<void *> stack_{nullptr};
  std::atomic<bool> ends_{false};
};

// The second thread is given its stack, as a whole, after each instruction by which the first one is given its own.
TEST(PageSignalStack, TwoThreadsAtOnceAreGivenTwo) {
  std::set<void *> const spare = spare_stacks();
  bool both = true;
  for (unsigned after = 1; both; after++) {
    in_thread([&] {
      OtherThread other;
      both = ringfence_test::run_with_other_after(after, rf_page_give_stack, [&other] { other.begin(false); });
      if (both) {
        EXPECT_NE(handler_stack(), other.stack()) << after;
      } else {
        other.begin(false);
      }
    });
  }
  EXPECT_EQ(spare_stacks(), spare);
}

// A thread with a stack of its own takes one and leaves it at once.
TEST(PageSignalStack, TwoThreadsAtOnceLeaveTwo) {
  std::set<void *> const spare = spare_stacks();
  bool both = true;
  for (unsigned after = 1; both; after++) {
    in_thread([&] {
      HandlerStack const own;
      OtherThread other;
      both = ringfence_test::run_with_other_after(after, rf_page_give_stack, [&other] { other.begin(true); });
      if (!both) {
        other.begin(true);
      }
    });
  }
  EXPECT_EQ(spare_stacks(), spare);
}

#endif

TEST(PageSignalStack, AThreadThatLooksSeldomIsGivenOneAtItsFirstLook) {
  in_thread([] {
    rf_page_watch(true);
    EXPECT_NE(handler_stack(), nullptr);
  });
}

} // namespace
