// Modes of the drop-in, chosen by an option: programs that are right run as ever in each, the drop-in has defaults of
// its own, and the summary names the mode.
#include "tests/dropin/run.h"

#include <gtest/gtest.h>

namespace ringfence_test {
namespace {

const char kPage[] = "mode=page";
const char kSample[] = "mode=sample:sample_rate=1:sample_slots=1000";
const char kOwnHeap[] = "mode=sample:sample_rate=7:sample_slots=3:heap=own";

class DropinModePrograms : public testing::TestWithParam<const char *> {};

INSTANTIATE_TEST_SUITE_P(Each, DropinModePrograms, testing::Values("threads", "operators"),
                         [](const testing::TestParamInfo<const char *> &it) { return std::string(it.param); });

TEST_P(DropinModePrograms, RunAsEver) {
  for (const char *const options :
       {kPage, kSample, "mode=sample", "mode=sample:sample_rate=7:sample_slots=3", kOwnHeap}) {
    Result const result = run({program(GetParam())}, with(options));
    EXPECT_EQ(result.out, "ok\n") << options;
    EXPECT_EQ(result.status, 0) << options;
    EXPECT_EQ(result.findings.size(), 0U) << options;
  }
}

// In modes that hand requests on, the malloc behind decides about calls in handlers.
TEST(DropinModes, HandlersMayAllocateWhereBlocksAreOurOwn) {
  for (const char *const options : {kPage, "mode=sample:heap=own", kOwnHeap}) {
    Result const result = run({program("handlers")}, with(options));
    EXPECT_EQ(result.out, "ok\n") << options;
    EXPECT_EQ(result.status, 0) << options;
    EXPECT_EQ(result.findings.size(), 0U) << options;
  }
}

// As docs/checkers/dropin.md has them.
TEST(DropinModes, DefaultsOfTheDropInAreItsOwn) {
  How how;
  how.options = "help=1";
  how.environment = {{"TEST_TARGET", "//some:test"}};
  std::string const in_a_test = run({program("reads"), "good"}, how).err;
  std::string const outside = run({"env", "-u", "TEST_TARGET", program("reads"), "good"}, how).err;
  for (const char *const line : {"  mode=guard\n", "  stack_depth=12\n", "  quarantine=4194304\n", "  watch=2000\n"}) {
    EXPECT_NE(outside.find(line), std::string::npos) << line << outside;
  }
  for (const char *const line : {"  stack_depth=12\n", "  quarantine=4194304\n", "  watch=0\n"}) {
    EXPECT_NE(in_a_test.find(line), std::string::npos) << line << in_a_test;
  }
  EXPECT_EQ(in_a_test.find("watch=2000"), std::string::npos) << in_a_test;
}

TEST(DropinModes, FiguresOfTheHeapCountBlocksOnPages) {
  for (const char *const options : {kPage, "mode=page:page_memory=16M", "mode=guard"}) {
    Result const result = run({program("contract"), "figures"}, with(options));
    EXPECT_EQ(result.out, "ok\n") << options;
    EXPECT_EQ(result.status, 0) << options;
  }
}

// Page keeps address space that other modes give back, which that program counts.
TEST(DropinModes, SampleKeepsMallocsContract) {
  for (const char *const options : {kSample, "mode=sample", "mode=sample:sample_rate=1:sample_slots=2"}) {
    Result const result = run({program("contract")}, with(options + std::string(":heap=own")));
    EXPECT_EQ(result.out, "ok\n") << options;
    EXPECT_EQ(result.status, 0) << options;
    EXPECT_EQ(result.findings.size(), 0U) << options;
  }
}

TEST(DropinModes, EachIsNamedInTheSummary) {
  for (const std::string mode : {"off", "sample", "guard", "page"}) {
    Result const result = run({program("reads"), "good"}, with("mode=" + mode + ":summary=1"));
    EXPECT_EQ(result.last("summary")["mode"].text, mode);
  }
}

// tools/try_aarch64.sh tries it on a processor and a system with tags.
TEST(DropinModes, MteIsGuardAndALineThatSaysWhyWhereThereAreNoTags) {
  Result const result = run({program("reads"), "good"}, with("mode=mte:summary=1"));
  if (result.last("summary")["mode"].text == "mte") {
    GTEST_SKIP() << "there are tags";
  }
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.last("summary")["mode"].text, "guard");
  EXPECT_EQ(result.err, "ringfence: mode mte is not available (it needs Linux on an AArch64 processor with the Memory "
                        "Tagging Extension); using mode guard\n");
}

TEST(DropinModes, AsanIsGuardAndALineThatSaysWhy) {
  Result const result = run({program("reads"), "good"}, with("mode=asan:summary=1"));
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.last("summary")["mode"].text, "guard");
  EXPECT_EQ(result.err, "ringfence: mode asan is for a program's own allocators: AddressSanitizer has its own malloc; "
                        "using mode guard\n");
}

TEST(DropinModes, PageCountsItsBlocksInTheSummary) {
  Result const page = run({program("reads"), "good"}, with("mode=page:summary=1"));
  Result const guard = run({program("reads"), "good"}, with("mode=guard:summary=1"));
  for (const char *const figure : {"allocations", "bytes", "live_blocks", "live_bytes"}) {
    EXPECT_EQ(page.last("summary")[figure].number, guard.last("summary")[figure].number) << figure;
  }
}

} // namespace
} // namespace ringfence_test
