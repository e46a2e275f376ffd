// The descriptors of a process under the drop-in, and how its records reach their file.
#include "tests/dropin/run.h"

#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <sys/stat.h>
#include <unistd.h>

namespace ringfence_test {
namespace {

TEST(ProcessDescriptors, KeepsItsLinesToItselfWhereTheLogCannotBeOpened) {
  How how = with("summary=1:format=json:log=/nonexistent/%p");
  how.log = false;
  Result const result = run({program("process"), "return"}, how);
  EXPECT_EQ(result.status, 3);
  EXPECT_EQ(result.err, "");
  Result const bad = run({program("process"), "return", "bad"}, how);
  EXPECT_EQ(bad.status, 99);
  EXPECT_NE(bad.err.find("heap-buffer-overflow"), std::string::npos);
}

// The one that page mode keeps to move memory with is only there where memory moves.
TEST(ProcessDescriptors, HasNoDescriptorMoreWhereMarkersOrRightsClosePages) {
  std::string const bare = run_bare({"/bin/ls", "/proc/self/fd"}).out;
  for (const char *const options : {"mode=guard", "mode=page:page_close=markers", "mode=page:page_close=rights"}) {
    Result const result = run({"/bin/ls", "/proc/self/fd"}, with(options));
    EXPECT_EQ(result.status, 0) << options;
    EXPECT_EQ(result.out, bare) << options;
  }
}

TEST(ProcessDescriptors, ReportsToStandardErrorThoughTheProgramClosedIt) {
  How how;
  how.log = false;
  Result const result = run({program("process"), "closed", "bad"}, how);
  EXPECT_EQ(result.status, 99);
  EXPECT_NE(result.err.find("ERROR: Ringfence: heap-buffer-overflow"), std::string::npos);
}

TEST(ProcessDescriptors, KnowsItsLogThoughTheEnvironmentIsWrittenOver) {
  Result const result = run({program("process"), "title", "bad"}, with("summary=1:leaks=0"));
  EXPECT_EQ(result.status, 99);
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(result.findings.size(), 1U);
  EXPECT_EQ(result.last("summary")["findings"].number, 1);
}

// As after chroot or setuid, which only root can do.
TEST(ProcessDescriptors, UnderTheCommandItsRecordsReachTheFileThatItCanNoLongerOpen) {
  std::string const folder = testing::TempDir() + "records_" + std::to_string(getpid());
  std::string const moved = folder + "_moved";
  ASSERT_EQ(mkdir(folder.c_str(), 0700), 0);
  How how = with("summary=1:leaks=0:format=json:log=" + folder + "/log");
  how.log = false;
  Result const result = run({program("process"), "moved", "bad", folder, moved}, how);
  EXPECT_EQ(result.status, 99);
  EXPECT_EQ(result.err, "");
  std::ifstream file(moved + "/log");
  std::string const text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  EXPECT_NE(text.find("heap-buffer-overflow"), std::string::npos) << text;
  EXPECT_NE(text.find("\"type\":\"summary\""), std::string::npos) << text;
  unlink((moved + "/log").c_str());
  rmdir(moved.c_str());
}

// As xz does with a file that it reads to standard output.
TEST(ProcessDescriptors, UnderTheCommandItsRecordsAreWrittenThoughLandlockLetsItOpenNoFile) {
  if (run_bare({program("process"), "landlock"}).status != 3) {
    GTEST_SKIP() << "the kernel has no Landlock, or does not let it be used";
  }
  Result const good = run({program("process"), "landlock"}, with("summary=1"));
  EXPECT_EQ(good.status, 3) << good.err;
  EXPECT_EQ(good.last("summary").kind, Json::kObject);
  EXPECT_EQ(good.last("summary")["leaks_checked"].kind, Json::kFalse) << "which the summary says";
  Result const bad = run({program("process"), "landlock", "bad"}, with("summary=1:leaks=0"));
  EXPECT_EQ(bad.status, 99) << bad.err;
  EXPECT_EQ(bad.err, "");
  ASSERT_EQ(bad.findings.size(), 1U);
  EXPECT_EQ(bad.findings[0]["bug"].text, "heap-buffer-overflow");
  EXPECT_FALSE(bad.findings[0]["allocated"]["frames"].items[0]["module"].text.empty()) << "read before";
  EXPECT_EQ(bad.last("summary")["findings"].number, 1);
}

TEST(ProcessDescriptors, HasNoDescriptorsButTheProgramsOwn) {
  Result const bare = run_bare({program("process"), "descriptors"});
  EXPECT_EQ(run({program("process"), "descriptors"}, with("summary=1")).out, bare.out);
}

TEST(ProcessDescriptors, AProgramWithoutStandardInputHasItsDescriptorFree) {
  for (const char *const mode : {"mode=off", "mode=guard:summary=1", "mode=page", "mode=sample:sample_rate=1"}) {
    EXPECT_EQ(run({program("descriptors"), "alone"}, with(mode)).out, "0\n") << mode;
  }
}

TEST(ProcessDescriptors, WhoClosesAllDescriptorsIsWatchedAllTheSame) {
  for (const char *const way : {"each", "range", "from", "copies"}) {
    Result const result = run({program("process"), "closes", "", way}, with("mode=page"));
    EXPECT_EQ(result.status, 99) << way;
    ASSERT_EQ(result.findings.size(), 1U) << way;
    EXPECT_EQ(result.findings[0]["bug"].text, "heap-use-after-free") << way;
  }
}

TEST(ProcessDescriptors, CopiesNoDescriptorAtItsEnd) {
  for (const char *const mode : {"mode=off", "mode=guard", "mode=page", "mode=sample"}) {
    Result const result = run({program("process"), "filtered"}, with(mode));
    EXPECT_EQ(result.status, 3) << mode;
    EXPECT_EQ(result.out, "output") << mode;
  }
}

std::string text_of(const std::string &path) {
  std::ifstream file(path);
  return std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
}

TEST(ProcessDescriptors, LeavesAFileAloneThatHasTheNumberOfStandardErrorByChance) {
  std::string const data = testing::TempDir() + "data_" + std::to_string(getpid());
  How how = with("leaks=0");
  how.log = false;
  EXPECT_EQ(run({program("process"), "reused", "bad", data}, how).status, 99);
  EXPECT_EQ(text_of(data), "data");
  unlink(data.c_str());
  EXPECT_EQ(run({program("process"), "redirected", "bad", data}, how).status, 99);
  EXPECT_NE(text_of(data).find("heap-buffer-overflow"), std::string::npos) << "standard error, by the program's will";
  unlink(data.c_str());
}

TEST(ProcessDescriptors, CopiesDescriptorsAsEver) {
  Result const bare = run_bare({program("descriptors")});
  EXPECT_EQ(bare.status, 0);
  for (const char *const mode : {"mode=off", "mode=guard", "mode=page"}) {
    Result const result = run({program("descriptors")}, with(mode));
    EXPECT_EQ(result.status, 0) << mode;
    EXPECT_EQ(result.out, bare.out) << mode;
  }
}

} // namespace
} // namespace ringfence_test
