// Tests each in a process of its own, where the state that they leave behind would stay.
#ifndef RINGFENCE_TESTS_DROPIN_ALONE_H
#define RINGFENCE_TESTS_DROPIN_ALONE_H

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <functional>

namespace ringfence_test {

// Runs it in a child, which says by its status whether it failed.
inline void alone(const std::function<void()> &test) {
  pid_t const child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    test();
    _exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

} // namespace ringfence_test

#endif // RINGFENCE_TESTS_DROPIN_ALONE_H
