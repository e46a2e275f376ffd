// A write that the C library stops is a finding, with the block that it would have left; the same call is silent, and
// does its work, where it fits.
#include "tests/dropin/run.h"

#include <csignal>
#include <gtest/gtest.h>
#include <ostream>
#include <string>

namespace ringfence_test {
namespace {

struct Stop {
  const char *name;       // in programs/fortified.c, behind "stopped_"
  long long too_many;     // bytes that do not fit
  long long size = 16;    // of the block
  long long distance = 0; // from the block's end; negative: inside
};

void PrintTo(const Stop &stop, std::ostream *out) {
  *out << stop.name;
}

constexpr long long kWide = sizeof(wchar_t);

const Stop kStops[] = {
    {"memcpy", 3},
    {"mempcpy", 3},
    {"memmove", 3},
    {"memset", 3},
    {"explicit_bzero", 3},
    {"strcpy", 1},
    {"stpcpy", 1},
    {"strncpy", 3},
    {"stpncpy", 3},
    {"strcat", 1},
    {"strncat", 3},
    {"wmemcpy", 3 * kWide, 16 * kWide},
    {"wmempcpy", 3 * kWide, 16 * kWide},
    {"wmemmove", 3 * kWide, 16 * kWide},
    {"wmemset", 3 * kWide, 16 * kWide},
    {"wcscpy", kWide, 16 * kWide},
    {"wcpcpy", kWide, 16 * kWide},
    {"wcsncpy", 3 * kWide, 16 * kWide},
    {"wcpncpy", 3 * kWide, 16 * kWide},
    {"wcscat", kWide, 16 * kWide},
    {"wcsncat", 3 * kWide, 16 * kWide},
    {"sprintf", 1},
    {"vsprintf", 1},
    {"snprintf", 3},
    {"vsnprintf", 3},
    {"swprintf", 3 * kWide, 16 * kWide},
    {"vswprintf", 3 * kWide, 16 * kWide},
    {"read", 3},
    {"pread", 3},
    {"pread64", 3},
    {"recv", 3},
    {"recvfrom", 3},
    {"fread", 3},
    {"fread_unlocked", 3},
    {"fgets", 1},
    {"fgets_unlocked", 1},
    {"getcwd", 3},
    {"readlink", 3},
    {"readlinkat", 3},
    {"gethostname", 3},
    {"wcstombs", 3},
    {"mbstowcs", 3 * kWide, 16 * kWide},
    {"poll", 8},
    {"behind_a_member_at_the_end", 1, 100},
};

class Stopped : public testing::TestWithParam<Stop> {};

INSTANTIATE_TEST_SUITE_P(Each, Stopped, testing::ValuesIn(kStops),
                         [](const testing::TestParamInfo<Stop> &it) { return std::string(it.param.name); });

TEST_P(Stopped, IsFoundAtTheCallWithItsBlock) {
  const Stop &stop = GetParam();
  for (const std::string mode : {"mode=guard:watch=0", "mode=guard:watch=0:halt=0", "mode=page", "mode=page:halt=0"}) {
    SCOPED_TRACE(mode);
    Result const result = run({program("fortified"), std::string("stopped_") + stop.name, "bad"}, with(mode));
    EXPECT_EQ(result.status, 128 + SIGABRT) << "as without";
    ASSERT_EQ(result.findings.size(), 1U) << result.err;
    const Json &finding = result.findings[0];
    EXPECT_EQ(finding["bug"].text, "heap-buffer-overflow");
    EXPECT_EQ(finding["cwe"].number, 122);
    EXPECT_EQ(finding["access"].text, "write");
    EXPECT_EQ(finding["access_size"].number, stop.too_many);
    EXPECT_EQ(finding["size"].number, stop.size);
    EXPECT_EQ(finding["relation"].text, "after");
    EXPECT_EQ(finding["distance"].number, 0);
    EXPECT_TRUE(is_near(finding["found"], program("fortified"), place(result.out, "found")));
    EXPECT_TRUE(is_near(finding["allocated"], program("fortified"), place(result.out, "allocated")));
    EXPECT_NE(result.err.find("*** buffer overflow detected ***"), std::string::npos) << "said by the C library";
  }
}

TEST_P(Stopped, IsDoneWhereItFits) {
  for (const char *const mode : {"mode=guard", "mode=page", "mode=off"}) {
    Result const result = run({program("fortified"), std::string("stopped_") + GetParam().name, "good"}, with(mode));
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(result.out.find("wrong"), std::string::npos);
    EXPECT_NE(result.out.find("end\n"), std::string::npos);
    EXPECT_EQ(result.findings.size(), 0U);
  }
}

// Blocks of another malloc are not known.
TEST_P(Stopped, IsFoundInModesOffAndSampleWithoutABlock) {
  for (const std::string mode : {"off", "sample"}) {
    Result const result = run({program("fortified"), std::string("stopped_") + GetParam().name, "bad"},
                              with("mode=" + mode + ":sample_seed=1"));
    EXPECT_EQ(result.status, 128 + SIGABRT);
    ASSERT_EQ(result.findings.size(), 1U) << result.err;
    const Json &finding = result.findings[0];
    EXPECT_EQ(finding["bug"].text, "buffer-overflow");
    EXPECT_EQ(finding["mode"].text, mode);
    EXPECT_EQ(finding["access_size"].number, GetParam().too_many);
    EXPECT_TRUE(is_near(finding["found"], program("fortified"), place(result.out, "found")));
  }
}

TEST(StoppedElsewhere, HasTheKindOfItsDestination) {
  struct {
    const char *name;
    const char *kind;
    long long cwe;
    long long size; // of the block; 0: there is none
  } const cases[] = {
      {"stopped_on_the_stack", "stack-buffer-overflow", 121, 0},
      {"stopped_in_a_global", "buffer-overflow", 120, 0},
      {"stopped_in_a_member", "buffer-overflow", 120, 100},
      {"stopped_after_free", "heap-use-after-free", 416, 100},
      {"stopped_realpath", "buffer-overflow", 120, 4096},
  };
  for (auto const &each : cases) {
    for (const char *const mode : {"mode=guard:watch=0", "mode=page"}) {
      SCOPED_TRACE(std::string(each.name) + " " + mode);
      Result const result = run({program("fortified"), each.name, "bad"}, with(mode));
      EXPECT_EQ(result.status, 128 + SIGABRT);
      ASSERT_EQ(result.findings.size(), 1U) << result.err;
      const Json &finding = result.findings[0];
      EXPECT_EQ(finding["bug"].text, each.kind);
      EXPECT_EQ(finding["cwe"].number, each.cwe);
      EXPECT_EQ(finding["size"].number, each.size);
      EXPECT_TRUE(is_near(finding["found"], program("fortified"), place(result.out, "found")));
      Result const good = run({program("fortified"), each.name, "good"}, with(mode));
      EXPECT_EQ(good.status, 0) << good.err;
      EXPECT_EQ(good.findings.size(), 0U);
    }
  }
}

TEST(StoppedElsewhere, AStackThatWasSmashedIsAFindingOfTheAbort) {
  for (const char *const mode : {"mode=guard", "mode=page", "mode=off"}) {
    Result const result = run({program("fortified"), "smashed_stack", "bad"}, with(mode));
    EXPECT_EQ(result.status, 128 + SIGABRT);
    ASSERT_EQ(result.findings.size(), 1U) << result.err;
    const Json &finding = result.findings[0];
    EXPECT_EQ(finding["bug"].text, "stack-buffer-overflow");
    EXPECT_EQ(finding["detail"].text, "the C library says: *** stack smashing detected ***: terminated");
    EXPECT_TRUE(is_near(finding["found"], program("fortified"), place(result.out, "found")));
  }
}

// Copies and formatted output have their block; of the rest the end is noticed.
TEST(StoppedElsewhere, IsFoundWhereTheDropInIsLinkedIn) {
  struct {
    const char *name;
    const char *kind;
  } const cases[] = {
      {"stopped_memcpy", "heap-buffer-overflow"},
      {"stopped_explicit_bzero", "heap-buffer-overflow"},
      {"stopped_strcat", "heap-buffer-overflow"},
      {"stopped_wcscpy", "heap-buffer-overflow"},
      {"stopped_sprintf", "heap-buffer-overflow"},
      {"stopped_vsnprintf", "heap-buffer-overflow"},
      {"stopped_on_the_stack", "stack-buffer-overflow"},
      {"smashed_stack", "stack-buffer-overflow"},
      {"stopped_read", "buffer-overflow"},
      {"stopped_fgets", "buffer-overflow"},
  };
  How how = with("watch=0");
  how.preload = false;
  for (const char *const linked : {"fortified_linked", "fortified_static"}) {
    for (auto const &each : cases) {
      SCOPED_TRACE(std::string(linked) + " " + each.name);
      Result const result = run({program(linked), each.name, "bad"}, how);
      EXPECT_EQ(result.status, 128 + SIGABRT);
      ASSERT_EQ(result.findings.size(), 1U) << result.err;
      EXPECT_EQ(result.findings[0]["bug"].text, each.kind);
      Result const good = run({program(linked), each.name, "good"}, how);
      EXPECT_EQ(good.findings.size(), 0U);
      EXPECT_EQ(good.status, 0);
    }
  }
}

// The C library stops a line, not the bound of its length.
TEST(StoppedElsewhere, ABoundThatNoLineComesToIsNone) {
  for (const char *const mode : {"mode=guard", "mode=page", "mode=off"}) {
    Result const result = run({program("fortified"), "lines_that_fit", "good"}, with(mode));
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(result.out.find("wrong"), std::string::npos) << result.out;
    EXPECT_NE(result.out.find("end\n"), std::string::npos);
    EXPECT_EQ(result.findings.size(), 0U);
  }
}

} // namespace
} // namespace ringfence_test
