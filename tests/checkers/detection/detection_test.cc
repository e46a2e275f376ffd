// The table of bugs and modes, on every allocator: each bug is told as the table says, with kind, address, distance,
// size and call sites; its correct twin is silent.
#include "tests/checkers/detection/native.h"
#include "tests/checkers/detection/scene.h"

#include <gtest/gtest.h>

namespace ringfence::detection {
namespace {

struct Case {
  const Bug *bug;
  const rf_conformance_subject *subject;
  Mode mode;
};

std::ostream &operator<<(std::ostream &out, const Case &c) {
  return out << c.bug->name << " on " << c.subject->name << " in mode " << mode_name(c.mode);
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (size_t mode = 0; mode < kModes; mode++) {
    for (const rf_conformance_subject *const subject : subjects()) {
      for (const Bug &bug : kBugs) {
        if (mode_is_built(static_cast<Mode>(mode)) && mode_takes(static_cast<Mode>(mode), *subject)) {
          all.push_back({&bug, subject, static_cast<Mode>(mode)});
        }
      }
    }
  }
  return all;
}

std::string case_name(const testing::TestParamInfo<Case> &info) {
  const Case &c = info.param;
  return std::string(mode_name(c.mode)) + "_" + c.subject->name + "_" + c.bug->name;
}

class Detection : public testing::TestWithParam<Case> {};

INSTANTIATE_TEST_SUITE_P(Each, Detection, testing::ValuesIn(cases()), case_name);

TEST_P(Detection, IsToldAsTheTableSays) {
  const Case &c = GetParam();
  Outcome const outcome = run_bad(*c.bug, *c.subject, c.mode);
  EXPECT_STREQ(how_sign(outcome.how), how_sign(expected_of(*c.bug, c.subject->name, c.mode)));
  EXPECT_EQ(outcome.trouble, "");
}

TEST_P(Detection, ItsTwinIsSilent) {
  const Case &c = GetParam();
  EXPECT_EQ(run_good(*c.bug, *c.subject, c.mode).trouble, "");
}

TEST(DetectionTable, EveryExceptionNamesABugAndAnAllocator) {
  for (const Exception &e : kExceptions) {
    bool bug = false;
    bool allocator = e.allocator == nullptr;
    for (const Bug &b : kBugs) {
      bug = bug || std::string(b.name) == e.bug;
    }
    for (const rf_conformance_subject *const subject : subjects()) {
      allocator = allocator || std::string(subject->name) == e.allocator;
    }
    EXPECT_TRUE(bug && allocator) << e.bug << " on " << (e.allocator != nullptr ? e.allocator : "each");
  }
}

// ---- Pools by their own calls ----

struct NativeCase {
  const NativeBug *bug;
  const NativePool *pool;
  Mode mode;
};

std::ostream &operator<<(std::ostream &out, const NativeCase &c) {
  return out << c.bug->name << " on " << c.pool->name << " in mode " << mode_name(c.mode);
}

std::vector<NativeCase> native_cases() {
  std::vector<NativeCase> all;
  for (size_t mode = 0; mode < kNativeModes; mode++) {
    for (const NativePool &pool : native_pools()) {
      for (const NativeBug &bug : kNativeBugs) {
        if (native_mode_is_built(static_cast<Mode>(mode))) {
          all.push_back({&bug, &pool, static_cast<Mode>(mode)});
        }
      }
    }
  }
  return all;
}

std::string native_case_name(const testing::TestParamInfo<NativeCase> &info) {
  const NativeCase &c = info.param;
  return std::string(mode_name(c.mode)) + "_" + c.pool->name + "_" + c.bug->name;
}

class NativeDetection : public testing::TestWithParam<NativeCase> {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(NativeDetection);

INSTANTIATE_TEST_SUITE_P(Each, NativeDetection, testing::ValuesIn(native_cases()), native_case_name);

TEST_P(NativeDetection, IsToldAsTheTableSays) {
  const NativeCase &c = GetParam();
  Outcome const outcome = run_native(*c.bug, *c.pool, c.mode, true);
  EXPECT_STREQ(how_sign(outcome.how), how_sign(expected_of(*c.bug, *c.pool, c.mode)));
  EXPECT_EQ(outcome.trouble, "");
}

TEST_P(NativeDetection, ItsTwinIsSilent) {
  const NativeCase &c = GetParam();
  EXPECT_EQ(run_native(*c.bug, *c.pool, c.mode, false).trouble, "");
}

} // namespace
} // namespace ringfence::detection
