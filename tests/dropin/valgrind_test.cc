// Under a tool that puts a malloc of its own in place of each that it sees, as Valgrind does, a program runs as it does
// under that tool alone, and a line says that Ringfence does not check it.
#include "tests/dropin/run.h"

#include <gtest/gtest.h>
#include <sstream>

namespace ringfence_test {
namespace {

const char *const kServed = "ringfence: this program runs under a tool that serves its malloc (Valgrind, or one like "
                            "it): it is not checked by Ringfence\n";

std::vector<std::string> under_valgrind(const std::string &tool, const std::vector<std::string> &arguments) {
  std::vector<std::string> all = {find_in_path("valgrind"), "-q", "--tool=" + tool, "--error-exitcode=9"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return all;
}

// Without the lines that Valgrind itself writes of what it does not know.
std::string without_remarks(const std::string &text) {
  std::istringstream lines(text);
  std::string kept;
  for (std::string line; std::getline(lines, line);) {
    kept += line.rfind("--", 0) == 0 ? "" : line + "\n";
  }
  return kept;
}

// Valgrind 3.19 ends where it meets the DWARF 5 of clang, whoever's library has it.
bool reads_the_library() {
  Result const result = run(under_valgrind("memcheck", {program("lent")}), with(""));
  return result.err.find("Valgrind: debuginfo reader: Possibly corrupted") == std::string::npos;
}

class UnderATool : public testing::Test {
protected:
  void SetUp() override {
    static bool const runs = !find_in_path("valgrind").empty() &&
                             run_bare(under_valgrind("memcheck", {program("lent")})).status == 0 && reads_the_library();
    if (!runs) {
      GTEST_SKIP() << "valgrind is not installed, or does not run programs or libraries of this build";
    }
  }
};

TEST_F(UnderATool, MemcheckServesAProgramAsItDoesWithoutUs) {
  Result const bare = run_bare({program("lent")});
  for (const char *const mode : {"sample", "guard"}) {
    Result const result =
        run(under_valgrind("memcheck", {program("lent")}), with(std::string("summary=1:mode=") + mode));
    EXPECT_EQ(result.status, 0) << mode;
    EXPECT_EQ(result.out, bare.out) << mode;
    EXPECT_EQ(without_remarks(result.err), kServed) << mode;
    EXPECT_TRUE(result.findings.empty()) << mode;
    EXPECT_EQ(result.last("unchecked")["because"].text, "under a tool with its own malloc") << mode;
    EXPECT_EQ(result.last("unchecked")["program"].text, program("lent")) << mode;
  }
}

TEST_F(UnderATool, ALibraryThatIsLinkedInStepsAsideAsWell) {
  How how = with("mode=guard:summary=1");
  how.preload = false;
  Result const result = run(under_valgrind("memcheck", {program("lent_linked")}), how);
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(without_remarks(result.err), kServed);
  EXPECT_TRUE(result.findings.empty());
}

TEST_F(UnderATool, ItsErrorsAreMemchecks) {
  Result const result = run(under_valgrind("memcheck", {program("lent"), "wrong"}), with("mode=guard"));
  EXPECT_EQ(result.status, 9);
  EXPECT_NE(result.err.find("Invalid write of size 1"), std::string::npos) << result.err;
  EXPECT_TRUE(result.findings.empty());
}

TEST_F(UnderATool, AToolThatLeavesMallocAloneIsNoObstacle) {
  Result const result = run(under_valgrind("none", {program("lent"), "wrong"}), with("mode=guard"));
  ASSERT_EQ(result.findings.size(), 1U) << result.err;
  EXPECT_EQ(result.findings[0]["bug"].text, "heap-buffer-overflow");
}

} // namespace
} // namespace ringfence_test
