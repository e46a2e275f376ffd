// Memory that the system is told to access, in modes that close pages: a transfer or a call with an address of closed
// memory is a finding.
#include "tests/dropin/run.h"

#include <algorithm>
#include <cstdlib>
#include <gtest/gtest.h>
#include <iterator>
#include <sstream>

namespace ringfence_test {
namespace {

std::vector<std::string> transfers() {
  std::istringstream text(run_bare({program("transfers")}).out);
  return {std::istream_iterator<std::string>(text), {}};
}

bool is_read(const std::string &call) {
  return call.find("write") == std::string::npos && call.find("send") == std::string::npos;
}

// The program sees what it would see of any memory that may not be touched.
TEST(DropinModes, ATransferThatMeetsClosedMemoryIsAFinding) {
  for (const std::string mode : {"mode=page", "mode=sample:sample_rate=1"}) {
    size_t const step = mode == "mode=page" ? 1 : 6; // of the same code
    std::vector<std::string> const calls = transfers();
    for (size_t i = 0; i < calls.size(); i += step) {
      const std::string &call = calls[i];
      for (const char *const how : {"freed", "short"}) {
        SCOPED_TRACE(mode + " " + call + " " + how);
        Result const result = run({program("transfers"), call, how}, with(mode + ":leaks=0:align=right:halt=0"));
        bool const failed = result.out.find("EFAULT") != std::string::npos;
        EXPECT_TRUE(failed || std::atoi(result.out.c_str()) <= 40) << result.out;
        ASSERT_EQ(result.findings.size(), 1U) << result.out << result.err;
        const Json &finding = result.findings[0];
        bool const freed = how == std::string("freed");
        EXPECT_EQ(finding["bug"].text, freed ? "heap-use-after-free" : "heap-buffer-overflow");
        EXPECT_EQ(finding["access"].text, is_read(call) ? "write" : "read");
        EXPECT_EQ(finding["size"].number, freed ? 64 : 32);
        EXPECT_EQ(finding["offset"].number, freed ? 0 : 32);
        EXPECT_GE(finding["found"]["frames"].items.size(), 2U);
        EXPECT_GE(finding["allocated"]["frames"].items.size(), 1U);
      }
    }
  }
}

TEST(DropinModes, ATransferOfWhatThereIsGoesAsEver) {
  ASSERT_GE(transfers().size(), 28U);
  for (const std::string &call : transfers()) {
    SCOPED_TRACE(call);
    Result const result = run({program("transfers"), call, "good"}, with("mode=page:leaks=0:align=right"));
    EXPECT_EQ(result.status, 0);
    EXPECT_EQ(result.findings.size(), 0U);
    EXPECT_EQ(result.out, run_bare({program("transfers"), call, "good"}).out);
  }
  EXPECT_EQ(run({program("transfers"), "cancel"}, with("mode=page")).status, 0);
}

// The names of the program's calls, and how each uses the block: "names", "reads" or "writes".
std::vector<std::pair<std::string, std::string>> calls() {
  std::istringstream text(run_bare({program("calls")}).out);
  std::vector<std::pair<std::string, std::string>> all;
  for (std::string name, use; text >> name >> use;) {
    all.emplace_back(name, use);
  }
  return all;
}

// On 32 bit the C library converts some structures itself, by which the processor notices.
TEST(DropinModes, AnAddressOfClosedMemoryInACallIsAFinding) {
  bool const is_told_to_the_system = sizeof(void *) == 8;
  ASSERT_GE(calls().size(), 60U);
  for (const auto &[call, use] : calls()) {
    for (const char *const how : {"freed", "short"}) {
      SCOPED_TRACE(call + " " + how);
      Result const result = run({program("calls"), call, how}, with("mode=page:leaks=0:align=exact:halt=0"));
      bool const freed = how == std::string("freed");
      ASSERT_GE(result.findings.size(), 1U) << result.out << result.err;
      const Json &finding = result.findings[0];
      EXPECT_EQ(finding["bug"].text, freed ? "heap-use-after-free" : "heap-buffer-overflow");
      EXPECT_EQ(finding["access"].text, use == "writes" ? "write" : "read");
      EXPECT_GE(finding["found"]["frames"].items.size(), 2U);
      if (is_told_to_the_system) {
        bool const fills_itself = call == "getrandom" && result.out[0] == '0'; // glibc 2.41 does, in user space
        EXPECT_EQ(result.out.substr(0, 2), fills_itself ? "0 " : "-1");
        EXPECT_EQ(finding["offset"].number, freed ? 0 : finding["size"].number);
      }
    }
  }
}

TEST(DropinModes, ACallWithAnAddressGoesAsEver) {
  for (const auto &[call, use] : calls()) {
    for (const char *const mode : {"mode=page:align=exact", "mode=guard:watch=1:sample_seed=1"}) {
      SCOPED_TRACE(call + " " + mode);
      Result const result = run({program("calls"), call, "good"}, with(std::string(mode) + ":leaks=0"));
      EXPECT_EQ(result.findings.size(), 0U);
      EXPECT_EQ(result.out, run_bare({program("calls"), call, "good"}).out);
    }
  }
}

const char *const kRefills[] = {"fgets_line",        "fgets_checked",      "getline_line", "getdelim_line",
                                "getdelim_internal", "fscanf_word",        "vfscanf_word", "fread_some",
                                "fread_checked",     "fread_without_lock", "fgetws_line",  "fgetws_checked",
                                "fgetwc_one",        "getwc_one",          "fwscanf_word", "vfwscanf_word"};

// The system refuses to fill it: the program sees an error of the stream alone.
TEST(DropinModes, AStreamWhoseFreedBufferIsToBeFilledIsAFinding) {
  for (const std::string call : kRefills) {
    for (const std::string mode : {"mode=page:align=left", "mode=page:align=right", "mode=sample:sample_rate=1"}) {
      SCOPED_TRACE(mode + " " + call);
      Result const result = run({program("refills"), call, "bad"}, with(mode + ":leaks=0:halt=0"));
      EXPECT_NE(result.out.find("failed\n"), std::string::npos) << result.out;
      ASSERT_EQ(result.findings.size(), 1U) << result.err;
      const Json &finding = result.findings[0];
      EXPECT_EQ(finding["bug"].text, "heap-use-after-free");
      EXPECT_EQ(finding["access"].text, "write");
      EXPECT_EQ(finding["access_size"].number, 4096);
      EXPECT_EQ(finding["offset"].number, 0);
      EXPECT_TRUE(is_near(finding["found"], program("refills"), place(result.out, "found")));
      EXPECT_TRUE(is_near(finding["released"], program("refills"), place(result.out, "released")));
      EXPECT_TRUE(is_near(finding["allocated"], program("refills"), place(result.out, "allocated")));
    }
  }
}

TEST(DropinModes, AStreamWithABufferOfTheProgramsReadsAsEver) {
  for (const std::string call : kRefills) {
    for (const std::string mode : {"mode=off", "mode=guard:watch=1", "mode=page", "mode=sample:sample_rate=1"}) {
      SCOPED_TRACE(mode + " " + call);
      Result const result = run({program("refills"), call, "good"}, with(mode));
      EXPECT_EQ(result.status, 0) << result.err;
      EXPECT_NE(result.out.find("read\n"), std::string::npos) << result.out;
      EXPECT_EQ(result.findings.size(), 0U);
    }
  }
}

// The functions behind are found at the beginning, and by calls before that.
TEST(DropinModes, ACallBeforeTheLibraryHasBegunGoesAsEver) {
  std::string const alone = run_bare({program("early"), "early"}).out;
  EXPECT_EQ(alone.find("died"), std::string::npos) << alone;
  EXPECT_GE(std::count(alone.begin(), alone.end(), '\n'), 180);
  for (const char *const mode : {"mode=off", "mode=sample", "mode=guard", "mode=page"}) {
    How how = with(mode);
    how.behind = program("libfirst.so");
    Result const result = run({program("early"), "early"}, how);
    EXPECT_EQ(result.status, 0) << mode;
    EXPECT_EQ(result.findings.size(), 0U) << mode;
    EXPECT_EQ(result.out, alone) << mode;
  }
}

} // namespace
} // namespace ringfence_test
