// The interpreter of a script, as Linux and env(1) find it.
#include "tests/tools/run.h"

#include <cstdlib>
#include <gtest/gtest.h>
#include <string>
#include <unistd.h>

extern "C" {
#include "tools/ringfence/run/shebang.h"
}

namespace {

using ringfence_test::scratch;
using ringfence_test::write_file;

class Shebang : public testing::Test {
protected:
  ~Shebang() override {
    unlink(script_.c_str());
    rf_bump_arena_free(&arena_);
  }

  // "none" where there is none.
  std::string interpreter(const std::string &text) {
    write_file(script_, text);
    const char *const found = rf_shebang_interpreter(&arena_, script_.c_str());
    return found == nullptr ? "none" : found;
  }

private:
  rf_bump_arena arena_ = {nullptr};
  std::string script_ = scratch("script");
};

TEST_F(Shebang, IsTheFirstWordOfTheFirstLine) {
  EXPECT_EQ(interpreter("#!/bin/sh\nrest\n"), "/bin/sh");
  EXPECT_EQ(interpreter("#!/bin/sh"), "/bin/sh") << "the line has no end";
  EXPECT_EQ(interpreter("#! \t/bin/sh \t-e x\n"), "/bin/sh");
  EXPECT_EQ(interpreter("#!/bin/sh\t-e\n"), "/bin/sh");
  EXPECT_EQ(interpreter("#!sh\n"), "sh") << "PATH is env's alone";
  EXPECT_EQ(interpreter("#!/bin/sh\r\n"), "/bin/sh\r");
}

TEST_F(Shebang, IsNoneWithoutSuchALine) {
  for (const char *const text : {"", "#", "!", "#\n!/bin/sh\n", "x!/bin/sh\n", "#x/bin/sh\n", "\n#!/bin/sh\n", "#!",
                                 "#!\n/bin/sh\n", "#! \t\n/bin/sh\n"}) {
    EXPECT_EQ(interpreter(text), "none") << text;
  }
  rf_bump_arena arena = {nullptr};
  EXPECT_EQ(rf_shebang_interpreter(&arena, "/nonexistent"), nullptr);
  EXPECT_EQ(rf_shebang_interpreter(&arena, "/"), nullptr);
}

// Linux reads 256 bytes of the file.
TEST_F(Shebang, MayBeAsLongAsLinuxAllows) {
  std::string const longest = "/" + std::string(252, 'x');
  EXPECT_EQ(interpreter("#!" + longest + "\n"), longest);
  EXPECT_EQ(interpreter("#!" + longest.substr(1) + "\nnext"), longest.substr(1));
}

TEST_F(Shebang, BehindEnvIsWhatEnvRuns) {
  setenv("PATH", "/nonexistent:/bin", 1);
  EXPECT_EQ(interpreter("#!/usr/bin/env sh\n"), "/bin/sh");
  EXPECT_EQ(interpreter("#!/usr/bin/env -S A=1 -u B sh -e\n"), "/usr/bin/env") << "B is no program";
  EXPECT_EQ(interpreter("#!/usr/bin/env -S A=1 B= sh -e\n"), "/bin/sh");
  EXPECT_EQ(interpreter("#!/usr/bin/env ./own\n"), "./own");
  EXPECT_EQ(interpreter("#!/usr/bin/env no-such-program\n"), "/usr/bin/env");
  EXPECT_EQ(interpreter("#!/usr/bin/env\n"), "/usr/bin/env");
  EXPECT_EQ(interpreter("#!/usr/bin/env -i\n"), "/usr/bin/env");
  EXPECT_EQ(interpreter("#!/usr/bin/environment sh\n"), "/usr/bin/environment");
}

} // namespace
