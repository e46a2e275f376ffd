// Modes page and sample of the drop-in find the bugs of programs/bugs.c and reads, and nothing in code without them.
#include "tests/dropin/run.h"

#include <gtest/gtest.h>

namespace ringfence_test {
namespace {

const char kPage[] = "mode=page";
const char kSample[] = "mode=sample:sample_rate=1:sample_slots=1000";

struct Bug {
  const char *name; // in programs/bugs.c
  const char *kind;
  const char *relation;
  long long distance;
  long long size;
  bool in_sample; // found there as well
};

void PrintTo(const Bug &bug, std::ostream *out) {
  *out << bug.name;
}

// Blocks above 64 KiB are not sampled; of those the heap itself refuses what it can, without the block.
const Bug kBugs[] = {
    {"overflow_by_one", "heap-buffer-overflow", "after", 0, 13, true},
    {"overflow_in_a_block_never_freed", "heap-buffer-overflow", "after", 0, 13, true},
    {"overflow_of_a_big_block", "heap-buffer-overflow", "after", 0, 3000000, false},
    {"overflow_of_a_big_block_that_grew", "heap-buffer-overflow", "after", 0, 300001, false},
    {"overflow_of_a_big_block_that_shrank", "heap-buffer-overflow", "after", 0, 200001, false},
    {"overflow_of_an_aligned_block", "heap-buffer-overflow", "after", 2, 100, true},
    {"overflow_of_no_bytes", "heap-buffer-overflow", "after", 0, 0, true},
    {"overflow_found_by_realloc", "heap-buffer-overflow", "after", 0, 24, true},
    {"underflow_by_one", "heap-buffer-underflow", "before", 1, 13, true},
    {"underflow_in_a_block_never_freed", "heap-buffer-underflow", "before", 2, 13, true},
    {"write_after_free", "heap-use-after-free", "inside", 5, 40, true},
    {"write_after_free_of_a_big_block", "heap-use-after-free", "inside", 100, 2000000, false},
    {"write_after_realloc_of_a_big_block", "heap-use-after-free", "inside", 100, 1 << 20, false},
    {"write_after_realloc_moved", "heap-use-after-free", "inside", 7, 40, true},
    {"double_free", "double-free", "inside", 0, 13, true},
    {"realloc_of_a_freed_block", "double-free", "inside", 0, 13, true},
    {"free_inside_a_block", "bad-free", "inside", 4, 100, true},
    {"free_inside_a_big_block", "bad-free", "inside", 1048576, 3000000, false},
    {"free_of_the_stack", "bad-free", "", 0, 0, false},
    {"free_of_a_global", "bad-free", "", 0, 0, false},
    {"free_of_mapped_memory", "bad-free", "", 0, 0, false},
    {"leak", "memory-leak", "", 0, 33, false},
};

class DropinMode : public testing::TestWithParam<Bug> {
protected:
  static void expect_found(const std::string &options, const char *mode) {
    Result const result = run({program("bugs"), GetParam().name, "bad"}, with(options));
    const Bug &bug = GetParam();
    EXPECT_EQ(result.status, 99);
    ASSERT_EQ(result.findings.size(), 1U) << result.out << result.err;
    const Json &finding = result.findings[0];
    EXPECT_EQ(finding["bug"].text, bug.kind);
    EXPECT_EQ(finding["size"].number, bug.size);
    EXPECT_EQ(finding["mode"].text, mode);
    if (bug.relation[0] != '\0') {
      EXPECT_EQ(finding["relation"].text, bug.relation);
      EXPECT_EQ(finding["distance"].number, bug.distance);
      EXPECT_FALSE(finding["allocated"]["frames"].items.empty());
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Each, DropinMode, testing::ValuesIn(kBugs),
                         [](const testing::TestParamInfo<Bug> &it) { return std::string(it.param.name); });

// Pages that were never touched stay so, and what was written is kept.
TEST(DropinModes, BigBlocksGrowWithoutBeingTouched) {
  for (const char *const mode : {"off", "sample", "guard", "page"}) {
    SCOPED_TRACE(mode);
    Result const result = run({program("sparse")}, with(std::string("mode=") + mode));
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(result.out, "ok\n");
  }
}

TEST_P(DropinMode, PageFindsIt) {
  for (const char *const align : {":align=left", ":align=right", ":align=both"}) {
    expect_found(std::string(kPage) + align, "page");
  }
}

TEST_P(DropinMode, SampleFindsItInABlockThatIsSampled) {
  if (GetParam().in_sample) {
    expect_found(kSample, "sample");
  }
}

TEST_P(DropinMode, TheSameCodeWithoutItIsSilent) {
  for (const char *const options : {kPage, kSample}) {
    Result const result = run({program("bugs"), GetParam().name, "good"}, with(options));
    EXPECT_EQ(result.status, 0);
    EXPECT_EQ(result.err, "");
    EXPECT_EQ(result.findings.size(), 0U);
  }
}

// Calls of the checker's own would look like the program's where it is linked in.
TEST(DropinModes, DamageThatIsFoundAtTheEndHasNoCallThatFoundIt) {
  for (const char *const name : {"bugs", "bugs_linked", "bugs_static"}) {
    for (const char *const options : {"mode=guard:watch=0", "mode=page:align=left"}) {
      How how = with(options);
      how.preload = name == std::string("bugs");
      Result const result = run({program(name), "overflow_in_a_block_never_freed", "bad"}, how);
      ASSERT_EQ(result.findings.size(), 1U) << name << " " << options << result.err;
      EXPECT_TRUE(result.findings[0]["found"]["frames"].items.empty()) << name << " " << options;
      EXPECT_FALSE(result.findings[0]["allocated"]["frames"].items.empty()) << name << " " << options;
    }
  }
}

TEST(DropinModes, AReadIsStoppedAtTheInstruction) {
  for (const char *const options : {kPage, kSample}) {
    Result const result = run({program("reads"), "bad"}, with(options));
    EXPECT_EQ(result.status, 99);
    ASSERT_EQ(result.findings.size(), 1U);
    const Json &finding = result.findings[0];
    EXPECT_EQ(finding["bug"].text, "heap-use-after-free");
    EXPECT_EQ(finding["at_access"].kind, Json::kTrue);
    EXPECT_EQ(finding["distance"].number, 5);
    Result const good = run({program("reads"), "good"}, with(options));
    EXPECT_EQ(good.status, 0);
    EXPECT_EQ(good.findings.size(), 0U);
  }
}

TEST(DropinModes, AStringWithoutEndEndsBehindItsBlock) {
  Result const result = run({program("reads"), "string"}, with("mode=page:align=right:halt=0"));
  EXPECT_EQ(result.status, 99);
  EXPECT_EQ(result.findings.size(), 1U);
  EXPECT_EQ(result.out, "ends behind the block\n");
}

// Exact: 13 bytes end with their page, where the alignment of malloc leaves three bytes that reads may touch.
TEST(DropinModes, ExactBlocksLeaveNothingBehind) {
  for (const char *const align : {"exact", "1"}) {
    std::string const options = std::string("mode=page:align=") + align;
    for (const char *const bug :
         {"overflow_by_one", "overflow_of_a_big_block_that_grew", "overflow_of_a_big_block_that_shrank"}) {
      Result const result = run({program("bugs"), bug, "bad"}, with(options));
      ASSERT_EQ(result.findings.size(), 1U) << bug;
      EXPECT_EQ(result.findings[0]["at_access"].kind, Json::kTrue) << bug;
      EXPECT_EQ(run({program("bugs"), bug, "good"}, with(options)).findings.size(), 0U) << bug;
    }
    EXPECT_EQ(run({program("reads"), "good"}, with(options)).findings.size(), 0U);
  }
}

} // namespace
} // namespace ringfence_test
