// A process with outputs of its own, for tests of checkers/dropin/runtime/output.c. Each test runs in a process of its
// own, over real files.
#ifndef RINGFENCE_TESTS_DROPIN_OUTPUT_WORLD_H
#define RINGFENCE_TESTS_DROPIN_OUTPUT_WORLD_H

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/runtime/output.h"
#include "checkers/os/forbidden_calls.h"
}
#undef _Static_assert

#include "tests/dropin/alone.h"

#include <cerrno>
#include <fcntl.h>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <iterator>
#include <string>
#include <unistd.h>

namespace ringfence_test {

extern std::string said;  // to standard error
extern int programs_kept; // calls that keep the program's path
extern bool keeps_rights; // of the process, after an exec

inline std::string folder() {
  std::string name = testing::TempDir() + "output.XXXXXX";
  EXPECT_NE(mkdtemp(name.data()), nullptr);
  return name;
}

inline std::string text_of(const std::string &path) {
  std::ifstream file(path);
  return std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
}

inline int make(const std::string &path) {
  return open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
}

inline bool is_open(int fd) {
  return fcntl(fd, F_GETFD) >= 0;
}

inline int descriptors() {
  int count = 0;
  for (int fd = 0; fd < 4096; fd++) {
    count += is_open(fd) ? 1 : 0;
  }
  return count;
}

// A process with this log; "": standard error.
inline void process(const std::string &log, const std::function<void()> &act) {
  alone([&] {
    rf_process.id = getpid();
    rf_process.library = true;
    rf_process.options.log = log.empty() ? nullptr : log.c_str();
    rf_process.options.log_length = log.size();
    rf_process.log.fd = -1;
    errno = 77;
    act();
    EXPECT_EQ(errno, 77);
  });
}

inline void say(const std::string &text) {
  rf_output_say(text.data(), text.size());
}

inline void write_line(const std::string &text) {
  rf_output_write(text.data(), text.size());
}

inline void put_at_standard_error(int fd) {
  int const saved = errno;
  ASSERT_EQ(dup2(fd, STDERR_FILENO), STDERR_FILENO);
  errno = saved;
}

} // namespace ringfence_test

#endif // RINGFENCE_TESTS_DROPIN_OUTPUT_WORLD_H
