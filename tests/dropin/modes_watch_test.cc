// Mode guard of the drop-in, which watches a few blocks on pages of their own.
#include "tests/dropin/run.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <regex>
#include <set>

namespace ringfence_test {
namespace {

// The functions of read_sites.c whose reads a run has found.
std::set<std::string> sites_found(const std::string &options) {
  How how = with("mode=guard:halt=0:exitcode=0:leaks=0" + options);
  how.log = false;
  Result const result = run({std::filesystem::absolute("tools/bench/read_sites").string()}, how);
  EXPECT_EQ(result.status, 0) << options;
  std::regex const read("READ at [^\n]*\n    #0 [^\n]*(site_[0-9]+)");
  std::set<std::string> found;
  for (std::sregex_iterator at(result.err.begin(), result.err.end(), read), end; at != end; ++at) {
    found.insert((*at)[1]);
  }
  return found;
}

std::string fresh_folder(const std::string &name) {
  std::string const folder = testing::TempDir() + name;
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

TEST(DropinModes, GuardWatchesNoBlockInATestUnlessAsked) {
  EXPECT_TRUE(sites_found("").empty());
  EXPECT_FALSE(sites_found(":watch=1000").empty());
}

TEST(DropinModes, GuardComesToNearlyEveryReadInSomeRuns) {
  std::string const folder = fresh_folder("sites");
  std::set<std::string> found;
  for (int i = 0; i < 300 && found.size() < 38; i++) { // as time allows: a fast machine takes more runs
    found.merge(sites_found(":watch=1000:watch_sites=" + folder));
  }
  EXPECT_GE(found.size(), 38U); // the others, once a run with nothing new before them, are left to the lot
}

// It allocates 300 times, and reads each fourth block after its free; no stack is new there.
TEST(DropinModes, GuardLooksAtShortProgramsNowAndThen) {
  bool found = false;
  for (int seed = 1; seed <= 60 && !found; seed++) {
    Result const result = run({program("chosen_sites"), "300", "4"},
                              with("mode=guard:leaks=0:watch=2000:sample_seed=" + std::to_string(seed)));
    found = result.status == 99;
  }
  EXPECT_TRUE(found);
}

// Each thread draws anew: with one of two watched, the only allocation of the second thread is in half of the runs.
TEST(DropinModes, GuardMayWatchTheFirstAllocationOfAThread) {
  int found = 0;
  for (int seed = 1; seed <= 12; seed++) {
    Result const result = run({program("chosen_sites"), "2", "2", "threads"},
                              with("mode=guard:leaks=0:watch=2:sample_seed=" + std::to_string(seed)));
    found += result.status == 99 ? 1 : 0;
  }
  EXPECT_GT(found, 0);
  EXPECT_LT(found, 12);
}

TEST(DropinModes, WhatGuardWatchesIsKeptByPathOnceInAFileOfTheProgram) {
  std::string const folder = fresh_folder("kept");
  (void)sites_found(":watch=1:watch_sites=" + folder);
  (void)sites_found(":watch=1:watch_sites=" + folder);
  std::set<std::string> lines;
  size_t count = 0;
  for (const auto &file : std::filesystem::directory_iterator(folder)) {
    EXPECT_EQ(file.path().extension(), ".sites");
    std::ifstream text(file.path());
    for (std::string line; std::getline(text, line); count++) {
      EXPECT_TRUE(std::regex_match(line, std::regex("[0-9a-f]{8}"))) << line;
      lines.insert(line);
    }
  }
  EXPECT_GT(count, 0U);
  EXPECT_EQ(lines.size(), count);
}

TEST(DropinModes, AFindingOfGuardsWatchingTellsHowToMakeItAgainForCertain) {
  How how = with("mode=guard:halt=0:exitcode=0:leaks=0:watch=500");
  how.log = false;
  std::string const program = std::filesystem::absolute("tools/bench/read_sites").string();
  std::string const text = run({program}, how).err;
  std::smatch again;
  ASSERT_TRUE(std::regex_search(text, again, std::regex("RINGFENCE_OPTIONS=(watch=500:sample_seed=[0-9]+)")));
  std::regex const read("READ at [^\n]*\n    #0 [^\n]*(site_[0-9]+)");
  std::set<std::string> const certain = sites_found(":" + again[1].str());
  for (std::sregex_iterator at(text.begin(), text.end(), read), end; at != end; ++at) {
    EXPECT_EQ(certain.count((*at)[1]), 1U) << (*at)[1];
  }
}

TEST(DropinModes, AFolderForWatchedSitesThatIsNoneIsSaid) {
  How how = with("mode=guard:watch=1000:watch_sites=/nowhere");
  how.log = false;
  Result const result = run({program("reads"), "good"}, how);
  EXPECT_EQ(result.status, 0);
  EXPECT_NE(result.err.find("watch_sites: no folder for files: /nowhere"), std::string::npos) << result.err;
}

} // namespace
} // namespace ringfence_test
