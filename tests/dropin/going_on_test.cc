// After a finding that does not end the process: the next bug is found too, and the heap works.
#include "tests/dropin/run.h"

#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

namespace ringfence_test {
namespace {

struct Bug {
  const char *name; // in programs/going_on.c, in order
  const char *kind;
  bool in_sample; // found there as well: other blocks are too big
};

const Bug kBugs[] = {
    {"overflow_by_1", "heap-buffer-overflow", true},
    {"overflow_by_28", "heap-buffer-overflow", true},
    {"overflow_by_29", "heap-buffer-overflow", true},
    {"overflow_by_48", "heap-buffer-overflow", true},
    {"overflow_by_400", "heap-buffer-overflow", true},
    {"overflow_of_no_bytes", "heap-buffer-overflow", true},
    {"overflow_of_a_middle_block", "heap-buffer-overflow", true},
    {"overflow_of_a_big_block", "heap-buffer-overflow", false},
    {"overflow_of_an_aligned_block", "heap-buffer-overflow", true},
    {"overflow_found_by_realloc", "heap-buffer-overflow", true},
    {"overflow_into_a_live_block", "heap-buffer-overflow", true},
    {"underflow_by_1", "heap-buffer-underflow", true},
    {"underflow_by_22", "heap-buffer-underflow", true},
    {"write_after_free", "heap-use-after-free", true},
    {"write_after_free_of_a_big_block", "heap-use-after-free", false},
    {"double_free", "double-free", true},
    {"realloc_of_a_freed_block", "double-free", true},
    {"free_inside_a_block", "bad-free", true},
    {"free_of_the_stack", "bad-free", true},
    {"free_of_a_global", "bad-free", true},
    {"free_of_mapped_memory", "bad-free", true},
};

enum Found { kAll, kSampled, kNone };

struct Mode {
  const char *name;
  const char *options;
  Found found;
};

void PrintTo(const Mode &mode, std::ostream *out) {
  *out << mode.name;
}

class GoingOn : public testing::TestWithParam<Mode> {
protected:
  static Result run_all(const std::string &program_name) {
    How how = with(std::string(GetParam().options) + ":halt=0");
    how.preload = program_name == "going_on";
    return run({"timeout", "60", program(program_name)}, how);
  }

  static bool is_found(const Bug &bug) {
    switch (GetParam().found) {
    case kAll:
      return true;
    case kSampled:
      return bug.in_sample;
    case kNone:
      break;
    }
    return false;
  }

  static void expect_all_found(const Result &result) {
    std::vector<std::string> expected;
    std::vector<std::string> found;
    for (const Bug &bug : kBugs) {
      if (is_found(bug)) {
        expected.emplace_back(bug.kind);
      }
    }
    for (const Json &finding : result.findings) {
      found.push_back(finding["bug"].text);
    }
    EXPECT_EQ(found, expected);
    EXPECT_EQ(result.status, expected.empty() ? 0 : 99);
  }

  static void expect_heap_works(const Result &result) {
    std::ostringstream expected;
    for (const Bug &bug : kBugs) {
      expected << bug.name << "\n";
    }
    EXPECT_EQ(result.out, expected.str() + "ok\n");
  }
};

const Mode kModes[] = {
    {"guard", "mode=guard", kAll},
    {"guard_without_quarantine", "mode=guard:quarantine=0", kAll},
    {"page", "mode=page:align=left", kAll},
    {"sample", "mode=sample:sample_rate=1:sample_slots=1000:align=left:heap=own", kSampled},
    {"off", "mode=off:heap=own", kNone},
};

INSTANTIATE_TEST_SUITE_P(Each, GoingOn, testing::ValuesIn(kModes),
                         [](const testing::TestParamInfo<Mode> &it) { return std::string(it.param.name); });

TEST_P(GoingOn, EachBugIsFoundAndTheHeapWorksAfterIt) {
  Result const result = run_all("going_on");
  expect_all_found(result);
  expect_heap_works(result);
}

TEST_P(GoingOn, TheSameLinkedIn) {
  Result const result = run_all("going_on_static");
  expect_all_found(result);
  expect_heap_works(result);
}

// Programs and collectors tell by the numbers whether something is missing.
TEST(GoingOn, FindingsAreNumberedWithoutThoseThatAreHidden) {
  std::string const rules = testing::TempDir() + "/going_on_rules";
  std::ofstream(rules) << "heap-buffer-overflow:*\nbad-free:*\n";
  Result const result = run({"timeout", "60", program("going_on")}, with("mode=guard:halt=0:suppressions=" + rules));
  ASSERT_EQ(result.findings.size(), 6U);
  for (size_t i = 0; i < result.findings.size(); i++) {
    EXPECT_EQ(result.findings[i]["sequence"].number, static_cast<long long>(i + 1));
  }
}

} // namespace
} // namespace ringfence_test
