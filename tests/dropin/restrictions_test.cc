// Programs that take rights from themselves: from pages of their blocks (mprotect), and to make system calls (seccomp).
// They end as without the drop-in, and nothing is reported.
#include "tests/dropin/run.h"

#include <gtest/gtest.h>

namespace ringfence_test {
namespace {

const char *const kModes[] = {
    "mode=guard",           "mode=guard:watch=1:sample_seed=3", "mode=page",
    "mode=page:align=left", "mode=sample:sample_rate=1",        "mode=off",
    "mode=off:heap=own",
};

using Arguments = std::vector<std::string>;

std::string name_of(const testing::TestParamInfo<Arguments> &it) {
  std::string name;
  for (const std::string &argument : it.param) {
    name += (name.empty() ? "" : "_") + argument;
  }
  return name;
}

void expect_as_bare(const std::string &name, const Arguments &arguments, const Result &bare, const How &how) {
  SCOPED_TRACE(how.options);
  Arguments command = {program(name)};
  command.insert(command.end(), arguments.begin(), arguments.end());
  Result const result = run(command, how);
  EXPECT_EQ(result.status, bare.status) << result.err;
  EXPECT_EQ(result.out, bare.out);
  EXPECT_EQ(result.findings.size(), 0U);
}

Result bare(const std::string &name, const Arguments &arguments) {
  Arguments command = {program(name)};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return run_bare(command);
}

// ---- Pages of blocks ----

class Rights : public testing::TestWithParam<Arguments> {};

// glibc takes these back where they are mappings of their own, and gives none of the last three back whole.
INSTANTIATE_TEST_SUITE_P(
    Each, Rights,
    testing::Values(Arguments{"200000", "none", "free", "0", "1"}, Arguments{"200000", "read", "free", "0", "1"},
                    Arguments{"200000", "none", "free", "24", "1"}, Arguments{"200000", "none", "free", "0", "0"},
                    Arguments{"200000", "read", "grow", "0", "1"}, Arguments{"200000", "none", "shrink", "30", "2"},
                    Arguments{"200000", "none", "keep", "0", "0"}, Arguments{"200000", "none", "fault", "0", "0"},
                    Arguments{"3000000", "none", "free", "500", "1"}, Arguments{"3000000", "read", "grow", "1", "1"},
                    Arguments{"4096", "none", "fault", "0", "1"}, Arguments{"4000", "read", "fault", "0", "1"}),
    name_of);

TEST_P(Rights, AreGivenBackWithTheBlock) {
  Result const without = bare("rights", GetParam());
  ASSERT_EQ(without.status, 0);
  for (const char *const mode : kModes) {
    expect_as_bare("rights", GetParam(), without, with(mode));
  }
}

TEST_P(Rights, AreGivenBackInProgramsThatAreLinkedWithIt) {
  Result const without = bare("rights", GetParam());
  for (const char *const name : {"rights_linked", "rights_static"}) {
    for (const char *const mode : {"mode=guard", "mode=page"}) {
      How how = with(mode);
      how.preload = false;
      expect_as_bare(name, GetParam(), without, how);
    }
  }
}

// ---- System calls ----

class Sandbox : public testing::TestWithParam<Arguments> {};

INSTANTIATE_TEST_SUITE_P(Each, Sandbox,
                         testing::Values(Arguments{"strict", "prctl", "exit"}, Arguments{"strict", "prctl", "return"},
                                         Arguments{"strict", "syscall", "exit"},
                                         Arguments{"strict", "syscall", "_exit"}, Arguments{"least", "prctl", "exit"},
                                         Arguments{"least", "prctl", "return"}, Arguments{"least", "prctl", "_exit"},
                                         Arguments{"least", "syscall", "return"},
                                         Arguments{"threads", "prctl", "return"},
                                         Arguments{"threads", "syscall", "exit"},
                                         Arguments{"threads", "syscall", "return"}),
                         name_of);

TEST_P(Sandbox, IsNotLeftByTheDropIn) {
  Result const without = bare("sandbox", GetParam());
  for (const char *const mode : kModes) {
    expect_as_bare("sandbox", GetParam(), without, with(mode));
    expect_as_bare("sandbox", GetParam(), without, with(std::string(mode) + ":summary=1"));
  }
}

} // namespace
} // namespace ringfence_test
