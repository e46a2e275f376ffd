// Pointers that are read from a freed block and freed: the report is about that block (checkers/dropin/runtime/
// held_block.c).
#include "tests/dropin/run.h"

#include <gtest/gtest.h>

namespace ringfence_test {
namespace {

const char kRead[] = "the pointer was read from freed memory, whose bytes are 0xcc";
const char kFrom[] = ": probably from this block, whose address the code has";

class StaleMember : public testing::TestWithParam<const char *> {
public:
  // `how`: as in programs/stale_members.cc. No block is watched for reads, which would be found first.
  static Json finding(const char *how) {
    Result const result = run({program(GetParam()), how}, with("mode=guard:watch=0"));
    EXPECT_EQ(result.status, 99);
    EXPECT_EQ(result.findings.size(), 1U);
    return result.findings.empty() ? Json{} : result.findings[0];
  }
};

INSTANTIATE_TEST_SUITE_P(Each, StaleMember,
                         testing::Values("stale_members", "stale_members_optimised", "stale_members_static"),
                         [](const testing::TestParamInfo<const char *> &it) { return std::string(it.param); });

TEST_P(StaleMember, IsOfTheBlockThatTheCodeHas) {
  for (const char *const how : {"free", "delete", "realloc", "handed_on"}) {
    SCOPED_TRACE(how);
    Json const found = finding(how);
    EXPECT_EQ(found["bug"].text, "heap-use-after-free");
    EXPECT_EQ(found["detail"].text, std::string(kRead) + kFrom);
    EXPECT_EQ(found["size"].number, 40);
    EXPECT_EQ(found["relation"].text, "inside");
    EXPECT_FALSE(found["found"]["frames"].items.empty());
    EXPECT_FALSE(found["allocated"]["frames"].items.empty());
    EXPECT_FALSE(found["released"]["frames"].items.empty());
  }
}

TEST_P(StaleMember, OfOneOfSeveralFreedBlocksIsNotGuessed) {
  Json const found = finding("two");
  EXPECT_EQ(found["bug"].text, "heap-use-after-free");
  EXPECT_EQ(found["detail"].text, kRead);
  EXPECT_EQ(found["access"].text, "free");
  EXPECT_EQ(found["address"].text, sizeof(void *) == 8 ? "0xcccccccccccccccc" : "0xcccccccc");
}

} // namespace
} // namespace ringfence_test
