// Tests of the drop-in's heap each in a process of its own, since what it has stays for ever.
#ifndef RINGFENCE_TESTS_DROPIN_HEAP_ALONE_H
#define RINGFENCE_TESTS_DROPIN_HEAP_ALONE_H

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/heap/cache.h"
}
#undef _Static_assert

namespace ringfence_test {

constexpr size_t kQuarantine = 64 << 20;

// Runs it in a child, with a checked heap, which says by its status whether it failed.
inline void alone(const std::function<void()> &test) {
  pid_t const child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    rf_guard_options o;
    rf_guard_options_default(&o);
    o.quarantine = kQuarantine;
    rf_heap_options const options = rf_heap_options_of(&o);
    rf_heap_init(1);
    rf_heap_configure(&options);
    test();
    _exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

} // namespace ringfence_test

#endif // RINGFENCE_TESTS_DROPIN_HEAP_ALONE_H
