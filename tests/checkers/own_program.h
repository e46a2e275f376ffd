// This very program: its path, and a call in it.
#ifndef RINGFENCE_TESTS_CHECKERS_OWN_PROGRAM_H
#define RINGFENCE_TESTS_CHECKERS_OWN_PROGRAM_H

#include <cstdint>
#include <string>
#include <unistd.h>

namespace ringfence {

extern "C" __attribute__((noinline)) inline uintptr_t rf_test_return_address() {
  return reinterpret_cast<uintptr_t>(__builtin_return_address(0));
}

extern "C" __attribute__((noinline)) inline uintptr_t rf_test_caller() {
  uintptr_t const pc = rf_test_return_address();
  __asm__ volatile("" : : "r"(pc)); // no tail call
  return pc;
}

inline std::string this_program() {
  char path[4096];
  ssize_t const length = readlink("/proc/self/exe", path, sizeof path);
  return std::string(path, static_cast<size_t>(length));
}

} // namespace ringfence

#endif // RINGFENCE_TESTS_CHECKERS_OWN_PROGRAM_H
