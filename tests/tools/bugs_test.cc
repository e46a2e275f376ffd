// The bugs of heap blocks, each in a small program: found by the command with kind, distance and the lines of
// allocation, free and discovery; the same program without the bug passes in silence.
#include "tests/tools/run.h"

#include <csignal>
#include <gtest/gtest.h>

namespace {

using namespace ringfence_test;

struct Bug {
  const char *program;
  const char *kind;
  const char *relation; // or what was asked for; "" where there is nothing to say
  bool allocated;       // the source says where: /* allocated */
  bool freed;           // /* freed */
  const char *noticed;  // above the frame of /* noticed */; NULL: the source does not say
};

void PrintTo(const Bug &bug, std::ostream *out) {
  *out << bug.program;
}

class Bugs : public testing::TestWithParam<Bug> {
protected:
  // "#0 0x… in FUNCTION FILE:LINE", the first frame under the heading that begins with `heading`.
  std::string first_frame(const std::string &text, const std::string &heading) {
    size_t const at = text.find("\n" + heading);
    if (at == std::string::npos) {
      return "no " + heading;
    }
    size_t const line = text.find('\n', at + 1) + 1;
    return text.substr(line, text.find('\n', line) - line);
  }

  void expect_line(const std::string &err, const std::string &heading, const std::string &mark) {
    const std::string file = "tests/tools/programs/" + std::string(GetParam().program) + ".c";
    unsigned const line = line_of(read_file(file), "/* " + mark + " */");
    ASSERT_NE(line, 0u);
    const std::string frame = first_frame(err, heading);
    const std::string end = " " + file + ":" + std::to_string(line);
    EXPECT_EQ(frame.rfind("    #0 0x", 0), 0u) << frame;
    EXPECT_TRUE(frame.size() > end.size() && frame.substr(frame.size() - end.size()) == end) << frame << "\n" << err;
  }
};

TEST_P(Bugs, IsFoundWithKindDistanceAndLines) {
  const Bug &bug = GetParam();
  const Result result = check({"--", program(bug.program)});
  EXPECT_EQ(result.status, 99);
  EXPECT_EQ(result.out, "");
  EXPECT_NE(result.err.find(std::string("ERROR: Ringfence: ") + bug.kind), std::string::npos) << result.err;
  EXPECT_NE(result.err.find(bug.relation), std::string::npos) << result.err;
  if (bug.allocated) {
    expect_line(result.err, bug.freed ? "previously allocated" : "allocated", "allocated");
  }
  if (bug.freed) {
    expect_line(result.err, "freed", "freed");
  }
  if (bug.noticed != nullptr) {
    expect_line(result.err, bug.noticed, "noticed");
  }
  ASSERT_EQ(result.said().size(), 1u) << result.err;
  EXPECT_EQ(result.said()[0].rfind("1 finding in 1 process: ", 0), 0u) << result.err;
}

TEST_P(Bugs, IsFoundByAProgramThatGoesOn) {
  const Result result = check({"--continue", "--", program(GetParam().program)});
  EXPECT_EQ(result.status, 99);
  EXPECT_NE(result.err.find(std::string("ERROR: Ringfence: ") + GetParam().kind), std::string::npos) << result.err;
  EXPECT_EQ(result.said().size(), 1u) << result.err;
}

TEST_P(Bugs, WithoutItThereIsSilence) {
  const Result result = check({"--", program(GetParam().program), "without"});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.out, "");
  ASSERT_EQ(result.said().size(), 1u) << result.err;
  EXPECT_EQ(result.err, "ringfence: " + result.said()[0] + "\n");
  EXPECT_EQ(result.said()[0].rfind("nothing found in 1 process: ", 0), 0u) << result.err;
}

INSTANTIATE_TEST_SUITE_P(
    Of, Bugs,
    testing::Values(
        Bug{"overflow", "heap-buffer-overflow", "is located 0 bytes after 13-byte region", true, false, "WRITE of"},
        Bug{"underflow", "heap-buffer-underflow", "is located 1 bytes before 24-byte region", true, false, "WRITE of"},
        Bug{"double_free", "double-free", "is located 0 bytes inside of 10-byte region", true, true, "FREE of"},
        Bug{"interior_free", "bad-free", "is located 4 bytes inside of 16-byte region", true, false, "FREE of"},
        Bug{"stack_free", "bad-free", "", false, false, "FREE of"},
        Bug{"use_after_free", "heap-use-after-free", "is located 2 bytes inside of 20-byte region", true, true,
            nullptr},
        Bug{"leak", "memory-leak", "of 40 byte(s) in 1 object(s)", true, false, nullptr},
        Bug{"product_wraps", "calloc-overflow", " * 4 does not fit a size", false, false, "found by"},
        Bug{"negative_size", "allocation-size-too-big", "fffffff0 bytes", false, false, "found by"},
        Bug{"odd_alignment", "invalid-allocation-alignment", "24 is no power of two", false, false, "found by"}),
    [](const testing::TestParamInfo<Bug> &bug) { return std::string(bug.param.program); });

// ---- Crashes ----

TEST(Crash, IsAFindingWithItsPlaceAndKeepsItsStatus) {
  struct Case {
    const char *how;
    const char *kind;
    int signal;
    const char *mark;
    const char *text;
  };
  const std::string text = read_file(source("tests/tools/programs/crash.c"));
  for (const Case &c :
       {Case{"null", "SEGV on address 0x8", SIGSEGV, "NULL", "in the zero page: a NULL pointer"},
        Case{"near", "SEGV on address 0x", SIGSEGV, "NEAR", "is located 8192 bytes after 1048576-byte region"},
        Case{"jump", "SEGV", SIGSEGV, "JUMP", "jumped to where no code is"},
        Case{"divide", "FPE on address 0x", SIGFPE, "DIVIDE", "divided by zero"},
        Case{"readonly", "SEGV on address 0x", SIGSEGV, "READONLY", "may not be used so"},
        Case{"wild", "SEGV", SIGSEGV, "WILD", // 32-bit processors have every address
             sizeof(void *) == 8 ? "a wild pointer" : "there is no memory at the address"}}) {
    const Result result = check({"--", program("crash"), c.how});
    const unsigned line = line_of(text, std::string("/* ") + c.mark + " */");
    EXPECT_EQ(result.signal, c.signal) << c.how << result.err;
    EXPECT_NE(result.err.find(std::string("ERROR: Ringfence: ") + c.kind), std::string::npos) << result.err;
    EXPECT_NE(result.err.find(c.text), std::string::npos) << result.err;
    EXPECT_NE(result.err.find(" in main tests/tools/programs/crash.c:" + std::to_string(line)), std::string::npos)
        << result.err;
    EXPECT_NE(result.err.find("ringfence: 1 finding in 1 process: "), std::string::npos) << result.err;
  }
}

TEST(Crash, IsAFindingInEveryModeThatChecks) {
  for (const char *mode : {"page", "sample"}) {
    const Result result = check({std::string("--mode=") + mode, "--", program("crash"), "null"});
    EXPECT_EQ(result.signal, SIGSEGV) << mode;
    EXPECT_NE(result.err.find("ERROR: Ringfence: SEGV on address 0x8"), std::string::npos) << result.err;
  }
  EXPECT_EQ(check({"--mode=off", "-q", "--", program("crash"), "null"}).err, "");
}

TEST(Crash, ThatTheProgramHandlesIsItsOwn) {
  const Result result = check({"--", program("crash"), "handled"});
  EXPECT_EQ(result.status, 5);
  EXPECT_NE(result.err.find("nothing found in 1 process"), std::string::npos) << result.err;
}

TEST(Crash, OfAChildLeavesTheStatusToItsParent) {
  if (sizeof(void *) == 4) {
    GTEST_SKIP() << "a 32-bit library cannot go into the shell";
  }
  const Result result = check({"--", "sh", "-c", program("crash") + " null; exit 3"});
  EXPECT_EQ(result.status, 3);
  EXPECT_NE(result.err.find("SUMMARY: Ringfence: SEGV "), std::string::npos) << result.err;
}

TEST(Crash, BesideAKnownFindingKeepsItsStatusToo) {
  if (sizeof(void *) == 4) {
    GTEST_SKIP() << "a 32-bit library cannot go into the shell";
  }
  const std::string known = scratch("known");
  const std::string both = program("overflow") + "; " + program("crash") + " null; exit 3";
  EXPECT_EQ(check({"--write-baseline", known, "--", program("overflow")}).status, 0);
  const Result result = check({"--baseline", known, "--", "sh", "-c", both});
  EXPECT_EQ(result.status, 3);
  EXPECT_TRUE(has(result.err, "; 1 new, 1 in the baseline")) << result.err;
  EXPECT_EQ(check({"-c", "--", "sh", "-c", both}).status, 99);
}

} // namespace
