// Paths that options name with %p in them.
#include "checkers/os/pid_path.h"

#include <gtest/gtest.h>

#include <string>
#include <unistd.h>
#include <vector>

namespace ringfence {
namespace {

// The path that options name with %p in it, in `room` bytes; "" where it does not fit.
std::string pid_path(const std::string &text, size_t length, size_t room = 100) {
  std::vector<char> bytes(room);
  rf_sink_buffer out;
  rf_sink_buffer_init(&out, bytes.data(), bytes.size());
  return rf_pid_path(text.c_str(), length, &out) ? bytes.data() : "";
}

TEST(PidPath, HasTheProcessWhereverItIsAskedFor) {
  std::string const id = std::to_string(getpid());
  for (std::string const text : {"/tmp/x.%p", "%p", "%p.log", "a%p%pb", "plain", "100%", "%", "%%p", "%d"}) {
    std::string expected = text;
    for (size_t at = expected.find("%p"); at != std::string::npos; at = expected.find("%p", at)) {
      expected.replace(at, 2, id);
    }
    EXPECT_EQ(pid_path(text, text.size()), expected);
  }
  EXPECT_EQ(pid_path("x.%p", 3), "x.%") << "what follows is no part of it";
}

TEST(PidPath, IsWholeOrNone) {
  EXPECT_EQ(pid_path("12345", 5, 7), "12345");
  EXPECT_EQ(pid_path("12345", 5, 6), "") << "it may have been cut";
  EXPECT_EQ(pid_path("12345", 5, 5), "");
}

} // namespace
} // namespace ringfence
