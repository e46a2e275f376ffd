// The address space of this process, and how to leave none: for tests in a process of their own (alone.h).
#ifndef RINGFENCE_TESTS_DROPIN_ADDRESS_SPACE_H
#define RINGFENCE_TESTS_DROPIN_ADDRESS_SPACE_H

#include <gtest/gtest.h>

#include <sys/resource.h>
#include <unistd.h>

#include <cstddef>
#include <fstream>

namespace ringfence_test {

inline size_t mapped_pages() {
  size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  EXPECT_NE(pages, 0U);
  return pages;
}

// Leaves so many bytes more than there are.
inline void leave_space(size_t bytes) {
  rlimit const limit = {mapped_pages() * static_cast<size_t>(sysconf(_SC_PAGESIZE)) + bytes, RLIM_INFINITY};
  EXPECT_EQ(setrlimit(RLIMIT_AS, &limit), 0);
}

// Leaves no more than there is; the stack, which could not grow either, has some.
inline void leave_no_space() {
  volatile char stack[64 * 1024];
  for (size_t i = 0; i < sizeof stack; i += 1024) {
    stack[i] = 0;
  }
  rlimit const none = {1, RLIM_INFINITY};
  EXPECT_EQ(setrlimit(RLIMIT_AS, &none), 0);
}

} // namespace ringfence_test

#endif // RINGFENCE_TESTS_DROPIN_ADDRESS_SPACE_H
