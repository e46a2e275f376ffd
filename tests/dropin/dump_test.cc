// A list of all blocks, on demand: by a signal that the program does not handle, and by a call.
#include "tests/dropin/run.h"

#include <algorithm>
#include <csignal>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

namespace ringfence_test {
namespace {

size_t count(const std::string &text, const std::string &part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    n++;
  }
  return n;
}

const char kBegin[] = ": memory now\n";

// Standard error takes text findings, so what is printed there.
How as_text(const std::string &options) {
  How how = with("leaks=0:dump_signal=SIGUSR1:" + options);
  how.log = false;
  return how;
}

Result dumped(const std::string &what, const std::string &options = "") {
  return run({program("dumped"), what}, as_text(options));
}

TEST(Dump, ComesOnASignalAndTheProgramGoesOn) {
  Result const result = dumped("raise", "watch=0"); // a slow program has some blocks on pages of their own
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.out, "end\n");
  EXPECT_EQ(count(result.err, kBegin), 1U) << result.err;
  EXPECT_EQ(result.err.rfind("ringfence: process ", 0), 0U) << result.err;
  EXPECT_EQ(count(result.err, "\nheap: guard > malloc: "), 1U) << result.err;
  EXPECT_EQ(count(result.err, "\n  size    used    free\n"), 1U) << result.err;
  EXPECT_EQ(count(result.err, "\n    64    1000      "), 1U) << "the histogram has the 1000 blocks: " << result.err;
  EXPECT_EQ(count(result.err, "\n  map of "), 1U) << result.err;
  EXPECT_EQ(count(result.err, "\n  live blocks by call site\n    100000 bytes in 1000 blocks\n      #0 0x"), 1U)
      << result.err;
  EXPECT_EQ(count(result.err, " in fill ("), 1U) << result.err;
  EXPECT_EQ(count(result.err, "run_main"), 0U) << "the frame of the library's between the C library and main";
}

// Ten of them, with six frames each at most; the rest in one line, and all together are the heap's and the pages'.
TEST(Dump, ListsTheLargestCallSitesAndAddsUpTheOthers) {
  Result const result = dumped("sites");
  std::regex const heap("heap: .*: ([0-9]+) blocks, ([0-9]+) of [0-9]+ bytes used.*");
  std::regex const pages("pages: ([0-9]+) blocks?, ([0-9]+) bytes used.*");
  std::regex const site("    ([0-9]+) bytes? in ([0-9]+) blocks?( from other call sites)?");
  std::regex const frame("      #([0-9]+) 0x[0-9a-f]+ (in [^ ]+ )?\\([^ ]+\\+0x[0-9a-f]+\\)");
  std::istringstream text(result.err);
  std::vector<unsigned long> listed;
  unsigned long blocks = 0;
  unsigned long bytes = 0;
  unsigned dumps = 0;
  unsigned sites_first = 0;
  unsigned sites_last = 0;
  std::smatch part;
  EXPECT_EQ(result.status, 0);
  for (std::string line; std::getline(text, line);) {
    if (std::regex_match(line, part, heap)) {
      blocks = std::stoul(part[1]);
      bytes = std::stoul(part[2]);
      listed.clear();
    } else if (std::regex_match(line, part, pages)) {
      blocks += std::stoul(part[1]);
      bytes += std::stoul(part[2]);
    } else if (std::regex_match(line, part, site)) {
      bytes -= std::stoul(part[1]);
      blocks -= std::stoul(part[2]);
      listed.push_back(std::stoul(part[1]));
      if (part[3].matched) {
        dumps++;
        EXPECT_EQ(blocks, 0U) << result.err;
        EXPECT_EQ(bytes, 0U) << result.err;
        EXPECT_EQ(listed.size(), 11U);
        EXPECT_EQ(listed.front(), 100000U);
        listed.pop_back();
        EXPECT_TRUE(std::is_sorted(listed.rbegin(), listed.rend()));
      }
    } else if (line.rfind("      #", 0) == 0) {
      EXPECT_TRUE(std::regex_match(line, part, frame)) << line;
      EXPECT_LT(std::stoul(part[1]), 6U);
      bool const of_sites = line.find(" in fill_sites ") != std::string::npos;
      sites_first += of_sites && part[1] == "0" ? 1 : 0;
      sites_last += of_sites && part[1] == "5" ? 1 : 0;
    }
  }
  EXPECT_EQ(dumps, 2U);
  EXPECT_GE(sites_first, 2U * 8) << "the C++ library may have one: " << result.err;
  EXPECT_EQ(sites_last, sites_first) << "of deeper stacks six frames are shown: " << result.err;
}

TEST(Dump, ComesFromACall) {
  Result const result = dumped("call");
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(count(result.err, kBegin), 2U) << "by each of the two names";
}

TEST(Dump, ComesFromACallInAProgramThatIsLinkedWithIt) {
  How how = as_text("");
  how.preload = false;
  Result const result = run({program("dumped_linked"), "call"}, how);
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(count(result.err, "\n    100000 bytes in 1000 blocks\n"), 2U) << result.err;
}

TEST(Dump, LeavesTheProgramsOwnHandlerAlone) {
  Result const result = dumped("own");
  EXPECT_EQ(result.out, "own\nend\n");
  EXPECT_EQ(result.err, "");
}

TEST(Dump, LeavesAnIgnoredSignalIgnored) {
  Result const result = run({"/bin/sh", "-c", "trap '' USR1; exec " + program("dumped") + " ignored"}, as_text(""));
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(count(result.err, kBegin), 0U) << result.err;
}

TEST(Dump, ComesOnNoSignalByDefault) {
  for (const char *const mode : {"mode=off", "mode=guard", "mode=page", "mode=sample"}) {
    Result const result = run({program("dumped"), "raise"}, with(mode));
    EXPECT_EQ(result.status, 128 + SIGUSR1) << mode;
    EXPECT_EQ(result.err, "") << mode;
  }
}

TEST(Dump, ComesOnTheSignalThatTheOptionNames) {
  EXPECT_EQ(count(dumped("hup", "dump_signal=SIGHUP").err, kBegin), 1U);
  EXPECT_EQ(dumped("hup").status, 128 + SIGHUP);
  EXPECT_EQ(dumped("raise", "dump_signal=SIGHUP").status, 128 + SIGUSR1);
}

TEST(Dump, ComesOnNoSignalWhereTheOptionsSaySo) {
  for (const char *options : {"dump_signal=none", "signals=0"}) {
    Result const result = dumped("raise", options);
    EXPECT_EQ(result.status, 128 + SIGUSR1) << options;
    EXPECT_EQ(result.err, "") << options;
  }
}

TEST(Dump, OfTheBareHeapHasNoCallSites) {
  Result const result = dumped("raise", "mode=off:heap=own");
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(count(result.err, "\nheap: malloc: "), 1U) << result.err;
  EXPECT_EQ(count(result.err, "call site"), 0U) << result.err;
}

TEST(Dump, SaysThatBlocksOfTheMallocBehindAreNotListed) {
  for (const char *const mode : {"mode=off", "mode=sample"}) {
    Result const result = dumped("raise", mode);
    EXPECT_EQ(result.status, 0);
    EXPECT_EQ(count(result.err, "\nonly sampled blocks are listed; the others belong to the malloc"), 1U) << result.err;
  }
}

TEST(Dump, OfBlocksOnPagesOfTheirOwnHasTheirCallSites) {
  Result const result = dumped("raise", "mode=page");
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(count(result.err, "\npages: 100"), 1U) << result.err; // and what the C library has
  EXPECT_EQ(count(result.err, "100000 bytes in 1000 blocks\n      #0 0x"), 1U) << result.err;
}

TEST(Dump, GoesToTheLogOfTextFindings) {
  std::string const log = testing::TempDir() + "dump_test.log";
  std::remove(log.c_str());
  Result const result = dumped("raise", "log=" + log);
  EXPECT_EQ(result.err, "");
  std::ifstream in(log);
  std::string const text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  EXPECT_EQ(count(text, kBegin), 1U) << text;
}

TEST(Dump, DoesNotGetBetweenJsonFindings) {
  Result const result = run({program("dumped"), "raise"}, with("leaks=0:dump_signal=SIGUSR1"));
  EXPECT_EQ(count(result.err, kBegin), 1U) << result.err;
  EXPECT_EQ(result.lines.size(), 0U);
}

TEST(Dump, WaitsForTheThreadThatItInterruptedInsideMalloc) {
  Result const result = dumped("busy");
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.out, "end\n");
  size_t const dumps = count(result.err, kBegin);
  EXPECT_GT(dumps, 0U);
  EXPECT_EQ(count(result.err, "100000 bytes in 1000 blocks"), dumps) << "each of them is whole";
  EXPECT_EQ(count(result.err, "left out"), 0U) << result.err;
}

TEST(Dump, OfAProcessWithThreadsShowsAllOfIt) {
  Result const result = dumped("threads");
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(count(result.err, kBegin), 20U);
  EXPECT_EQ(count(result.err, "\nheap: guard > malloc: "), 20U);
  EXPECT_EQ(count(result.err, "100000 bytes in 1000 blocks"), 20U);
}

// The parent's is under way for ever in the child, where nobody is about to end it.
TEST(Dump, OfAChildThatIsForkedMeanwhileIsAnother) {
  How how = as_text("mode=off");
  how.behind = program("libforking_write.so");
  Result const result = run({program("dumped"), "child_within"}, how);
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.out, "end\n");
  EXPECT_EQ(count(result.err, kBegin), 2U) << result.err;
}

TEST(Dump, ForWhichThereWasNoMemoryKeepsNoOtherFromComing) {
  Result const result = dumped("poor");
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.out, "end\n");
  EXPECT_EQ(count(result.err, kBegin), 1U) << result.err;
}

TEST(Dump, OfAForkedChildIsItsOwn) {
  Result const result = dumped("child");
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(count(result.err, kBegin), 1U) << result.err;
}

} // namespace
} // namespace ringfence_test
