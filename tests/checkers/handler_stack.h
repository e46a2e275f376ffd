// The stack for signal handlers of this thread, and one as a program may have of its own.
#ifndef RINGFENCE_TESTS_CHECKERS_HANDLER_STACK_H
#define RINGFENCE_TESTS_CHECKERS_HANDLER_STACK_H

#include <gtest/gtest.h>

#include <csignal>
#include <vector>

namespace ringfence {

// Its start; NULL: the thread has none.
inline void *handler_stack() {
  stack_t now = {};
  EXPECT_EQ(sigaltstack(nullptr, &now), 0);
  return (now.ss_flags & SS_DISABLE) == 0 ? now.ss_sp : nullptr;
}

// In force for as long as it lives; then what was in force before.
class HandlerStack {
public:
  HandlerStack() : memory_(size_t{256} * 1024) {
    stack_t own = {};
    own.ss_sp = memory_.data();
    own.ss_size = memory_.size();
    EXPECT_EQ(sigaltstack(&own, &before_), 0);
  }
  ~HandlerStack() { EXPECT_EQ(sigaltstack(&before_, nullptr), 0); }
  HandlerStack(const HandlerStack &) = delete;
  HandlerStack &operator=(const HandlerStack &) = delete;

  const void *start() const { return memory_.data(); }
  size_t size() const { return memory_.size(); }

private:
  std::vector<unsigned char> memory_;
  stack_t before_ = {};
};

} // namespace ringfence

#endif // RINGFENCE_TESTS_CHECKERS_HANDLER_STACK_H
