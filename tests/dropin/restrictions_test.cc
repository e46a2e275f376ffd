// Programs that take rights from themselves: from pages of their blocks (mprotect), or from their children, who do not
// get these pages (madvise), and to make system calls (seccomp); and programs that lock their memory.
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

void expect_as_bare_in_each_mode(const std::string &name, const Arguments &arguments) {
  Result const without = bare(name, arguments);
  ASSERT_EQ(without.status, 0);
  for (const char *const mode : kModes) {
    expect_as_bare(name, arguments, without, with(mode));
  }
}

void expect_linked_as_bare(const std::string &name, const Arguments &arguments) {
  for (const char *const linked : {"_linked", "_static"}) {
    for (const char *const mode : {"mode=guard", "mode=page"}) {
      How how = with(mode);
      how.preload = false;
      expect_as_bare(name + linked, arguments, bare(name, arguments), how);
    }
  }
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
                    Arguments{"4096", "none", "fault", "0", "1"}, Arguments{"4000", "read", "fault", "0", "1"},
                    Arguments{"200000", "child", "free", "0", "0"}, Arguments{"204800", "child", "free", "0", "0"},
                    Arguments{"204800", "child", "free", "0", "1"}, Arguments{"200000", "child", "keep", "0", "0"},
                    Arguments{"4096", "child", "keep", "0", "1"}, Arguments{"204800", "wiped", "free", "0", "0"},
                    Arguments{"204800", "wiped", "grow", "0", "0"}, Arguments{"4096", "wiped", "keep", "0", "1"},
                    Arguments{"200000", "wiped", "free", "0", "0"}, Arguments{"200000", "wiped", "grow", "0", "0"},
                    Arguments{"200000", "wiped", "keep", "0", "0"}, Arguments{"200000", "wiped", "shrink", "0", "0"},
                    Arguments{"200000", "emptied", "free", "0", "0"}, Arguments{"200000", "emptied", "grow", "0", "0"},
                    Arguments{"4096", "emptied", "free", "0", "1"}, Arguments{"200000", "emptied", "keep", "0", "0"},
                    Arguments{"200000", "later", "free", "0", "0"}, Arguments{"200000", "closed", "free", "0", "0"},
                    Arguments{"200000", "closed", "keep", "0", "0"}, Arguments{"200000", "guarded", "free", "0", "0"},
                    Arguments{"200000", "guarded", "grow", "24", "1"}, Arguments{"4096", "guarded", "keep", "0", "1"}),
    name_of);

TEST_P(Rights, AreGivenBackWithTheBlock) {
  expect_as_bare_in_each_mode("rights", GetParam());
}

TEST_P(Rights, AreGivenBackInProgramsThatAreLinkedWithIt) {
  expect_linked_as_bare("rights", GetParam());
}

// Only the library is told. glibc unmaps these blocks whole, whatever is there.
class Replaced : public testing::TestWithParam<Arguments> {};

INSTANTIATE_TEST_SUITE_P(
    Each, Replaced,
    testing::Values(Arguments{"200000", "unmapped", "free", "0", "1"},
                    Arguments{"200000", "unmapped", "free", "0", "0"},
                    Arguments{"200000", "unmapped", "keep", "3", "2"},
                    Arguments{"3000000", "unmapped", "free", "0", "0"}, Arguments{"200000", "mapped", "free", "0", "0"},
                    Arguments{"200000", "mapped", "keep", "0", "0"}, Arguments{"200000", "mapped", "grow", "0", "1"},
                    Arguments{"3000000", "mapped", "free", "0", "1"}, Arguments{"200000", "moved", "free", "0", "1"},
                    Arguments{"200000", "moved", "keep", "3", "2"}, Arguments{"3000000", "moved", "free", "0", "0"},
                    Arguments{"200000", "shrunk", "free", "0", "3"}, Arguments{"3000000", "shrunk", "keep", "0", "0"},
                    Arguments{"200000", "moved_in", "free", "0", "1"},
                    Arguments{"3000000", "moved_in", "keep", "0", "0"}),
    name_of);

TEST_P(Replaced, PagesOfItsBlockAreTheProgramsAffair) {
  expect_as_bare_in_each_mode("rights", GetParam());
}

// ---- Memory that is locked ----

class Locked : public testing::TestWithParam<Arguments> {};

std::string name_of_locked(const testing::TestParamInfo<Arguments> &it) {
  std::string const name = name_of(it);
  return name.back() == '-' ? name.substr(0, name.size() - 1) + "own" : name;
}

INSTANTIATE_TEST_SUITE_P(Each, Locked,
                         testing::Values(Arguments{"blocks"}, Arguments{"all", "1", "-"}, Arguments{"all", "2", "-"},
                                         Arguments{"all", "3", "-"}, Arguments{"all", "7", "-"},
                                         Arguments{"all", "1", "8388608"}, Arguments{"all", "2", "8388608"},
                                         Arguments{"all", "3", "8388608"}, Arguments{"all", "5", "8388608"},
                                         Arguments{"all", "1", "65536"}, Arguments{"all", "3", "65536"},
                                         Arguments{"all", "1", "0"}, Arguments{"all", "2", "0"},
                                         Arguments{"all", "0", "-"}, Arguments{"all", "4", "-"},
                                         Arguments{"all", "8", "-"}),
                         name_of_locked);

// On 32 bits addresses for sampled blocks are taken when the first of them comes, and count as locked from then on.
TEST_P(Locked, IsWhatTheProgramHasMapped) {
  Result const without = bare("locked", GetParam());
  ASSERT_EQ(without.status, 0);
  for (std::string const mode : kModes) {
    if (sizeof(void *) > 4 || mode.rfind("mode=sample", 0) != 0) {
      expect_as_bare("locked", GetParam(), without, with(mode));
    }
  }
}

TEST_P(Locked, IsTheSameInProgramsThatAreLinkedWithIt) {
  expect_linked_as_bare("locked", GetParam());
}

// ---- System calls ----

class Sandbox : public testing::TestWithParam<Arguments> {};

INSTANTIATE_TEST_SUITE_P(
    Each, Sandbox,
    testing::Values(Arguments{"strict", "prctl", "exit"}, Arguments{"strict", "prctl", "return"},
                    Arguments{"strict", "syscall", "exit"}, Arguments{"strict", "syscall", "_exit"},
                    Arguments{"fixed", "prctl", "return"}, Arguments{"fixed", "syscall", "exit"},
                    Arguments{"keeps", "prctl", "return"}, Arguments{"keeps", "syscall", "_exit"},
                    Arguments{"least", "prctl", "exit"}, Arguments{"least", "prctl", "return"},
                    Arguments{"least", "prctl", "_exit"}, Arguments{"least", "syscall", "return"},
                    Arguments{"threads", "prctl", "return"}, Arguments{"threads", "syscall", "exit"},
                    Arguments{"threads", "syscall", "return"}, Arguments{"refuses", "prctl", "return"},
                    Arguments{"refuses", "syscall", "return"}),
    name_of);

TEST_P(Sandbox, IsNotLeftByTheDropIn) {
  Result const without = bare("sandbox", GetParam());
  for (const char *const mode : kModes) {
    expect_as_bare("sandbox", GetParam(), without, with(mode));
    expect_as_bare("sandbox", GetParam(), without, with(std::string(mode) + ":summary=1"));
  }
}

// That leaks were not looked for cannot be said, and the signal for that (SIGXFSZ) cannot be taken: where the call for
// it ends the process, and where it is refused.
TEST(SandboxWithoutRoom, IsNotLeftByTheDropIn) {
  for (const char *const calls : {"threads", "refuses"}) {
    Arguments const arguments = {calls, "prctl", "return", "full"};
    Result const without = bare("sandbox", arguments);
    ASSERT_EQ(without.status, 5);
    for (const char *const mode : {"mode=guard", "mode=page", "mode=guard:verbosity=1"}) {
      How how = with(mode);
      how.log = false;
      expect_as_bare("sandbox", arguments, without, how);
    }
  }
}

// The finding's frames have their modules, though no file may be opened.
void expect_finding(const std::string &mode, const std::string &calls) {
  SCOPED_TRACE(mode + " " + calls);
  How how = with("mode=" + mode + ":align=left:watch=0:summary=1");
  Result const logged = run({program("sandbox"), calls, "prctl", "return", "overflow"}, how);
  EXPECT_EQ(logged.status, 99) << logged.err;
  ASSERT_EQ(logged.findings.size(), 1U);
  EXPECT_EQ(logged.findings[0]["bug"].text, "heap-buffer-overflow");
  EXPECT_EQ(logged.findings[0]["found"]["frames"].items.at(0)["module"].text, program("sandbox"));
  EXPECT_EQ(logged.findings[0]["allocated"]["frames"].items.at(0)["module"].text, program("sandbox"));
  how.options += ":collector=" + testing::TempDir() + "/collector"; // which nothing can be sent to
  how.log = false;
  Result const printed = run({program("sandbox"), calls, "syscall", "return", "overflow"}, how);
  EXPECT_EQ(printed.status, 99) << printed.err;
  EXPECT_NE(printed.err.find("(" + program("sandbox") + "+0x"), std::string::npos) << printed.err;
}

TEST(SandboxFinding, IsToldAndEndsTheProcess) {
  for (const char *const mode : {"guard", "page"}) {
    for (const char *const calls : {"strict", "least", "threads"}) {
      expect_finding(mode, calls);
    }
  }
  expect_finding("sample:sample_rate=1", "threads");
}

// Its id is that of before: it was taken for another process, with a log of its own.
TEST(SandboxFinding, IsThatOfAProcessWhoseIdIsRefused) {
  How how = with("mode=guard:summary=1:log=" + testing::TempDir() + "/nowhere/%p");
  how.log = false;
  for (const char *const way : {"prctl", "syscall"}) {
    Result const result = run({program("sandbox"), "refuses", way, "return", "overflow"}, how);
    EXPECT_EQ(result.status, 99) << result.err;
    EXPECT_NE(result.err.find("ERROR: Ringfence: heap-buffer-overflow"), std::string::npos) << result.err;
    EXPECT_EQ(result.err.find("4294967295"), std::string::npos) << result.err;
    EXPECT_EQ(result.err.find("==0=="), std::string::npos) << result.err;
  }
}

} // namespace
} // namespace ringfence_test
