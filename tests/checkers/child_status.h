// A claim that is tried in a child process.
#ifndef RINGFENCE_TESTS_CHECKERS_CHILD_STATUS_H
#define RINGFENCE_TESTS_CHECKERS_CHILD_STATUS_H

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ringfence {

// The status of a child, as waitpid gives it: 0 where `claim` holds there, and the child did not end before. `child` is
// what fork or its like returned.
template <typename Claim> int status_of(pid_t child, Claim claim) {
  if (child == 0) {
    _exit(claim() ? 0 : 1);
  }
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return status;
}

template <typename Claim> int status_of(Claim claim) {
  return status_of(fork(), claim);
}

} // namespace ringfence

#endif // RINGFENCE_TESTS_CHECKERS_CHILD_STATUS_H
