// Counts that could not be told, since no file took them, are told by the next record.
#include "checkers/checked/mode_options.h"
#include "checkers/os/seen_sites.h"
#include "checkers/os/spool_file.h"
#include "checkers/report/collector.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

namespace {

int refused_appends = 0;      // so many appends from now on reach no file
bool counts_findings = false; // instead of writing
unsigned findings_in_full = 0;

} // namespace

extern "C" {
bool __real_rf_spool_file_append(rf_spool_file *spool, char *line, size_t size, bool ring);
bool __wrap_rf_spool_file_append(rf_spool_file *spool, char *line, size_t size, bool ring) {
  if (counts_findings) {
    std::string const text(line, size);
    findings_in_full += text.find("\"record\":\"finding\"") != std::string::npos ? 1 : 0;
    spool->arrived = size;
    return true;
  }
  if (refused_appends == 0) {
    return __real_rf_spool_file_append(spool, line, size, ring);
  }
  refused_appends--;
  spool->arrived = 0;
  return false;
}
}

namespace {

std::string new_folder() {
  std::string folder = ::testing::TempDir() + "collector_untold_XXXXXX";
  EXPECT_NE(mkdtemp(folder.data()), nullptr);
  return folder;
}

std::string text_of(const std::string &folder) {
  std::ifstream file(folder + "/spool/current");
  return {std::istreambuf_iterator<char>(file), {}};
}

// Files of this process grow no larger than `bytes` while it lives.
class FileLimit {
public:
  explicit FileLimit(rlim_t bytes) {
    (void)getrlimit(RLIMIT_FSIZE, &before_);
    rlimit const limit = {bytes, before_.rlim_max};
    (void)setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileLimit() { (void)setrlimit(RLIMIT_FSIZE, &before_); }
  FileLimit(const FileLimit &) = delete;
  FileLimit &operator=(const FileLimit &) = delete;

private:
  rlimit before_{};
};

unsigned times(const std::string &text, const std::string &part) {
  unsigned count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    count++;
  }
  return count;
}

TEST(SpoolFile, SaysHowMuchOfAnAppendArrived) {
  std::string const folder = new_folder();
  std::string const other = folder + "/no/";
  rf_spool_file spool;
  rf_spool_file_init(&spool, folder.c_str(), folder.size());
  spool.shared[0] = other.c_str();
  spool.shared[1] = other.c_str();
  char lines[] = "\none\ntwo\nthree\n";
  size_t const size = strlen(lines + 1);
  EXPECT_TRUE(rf_spool_file_append(&spool, lines + 1, size, false));
  EXPECT_EQ(spool.arrived, size);
  bool done = true;
  {
    FileLimit const limit(size + 6);
    done = rf_spool_file_append(&spool, lines + 1, size, false);
  }
  EXPECT_FALSE(done);
  EXPECT_EQ(spool.arrived, 6U);
  bool again = true;
  {
    FileLimit const limit(1);
    again = rf_spool_file_append(&spool, lines + 1, size, false);
  }
  EXPECT_FALSE(again);
  EXPECT_EQ(spool.arrived, 0U);
  std::filesystem::remove_all(folder);
}

// Whatever `collector_first` says: 0 is all.
TEST(CollectorLimits, TenThousandFindingsOfAProcessAreToldInFull) {
  std::string const folder = new_folder();
  pid_t const child = fork();
  if (child == 0) {
    rf_collector_options options = {};
    options.folder = {folder.c_str(), folder.size()};
    options.mode = "guard";
    bool well = rf_collector_begin(&options);
    rf_finding finding = {};
    finding.bug = RF_BUG_DOUBLE_FREE;
    counts_findings = true;
    for (unsigned i = 1; i <= 10002; i++) {
      well = well && rf_collector_wants_names(&finding) == (i <= 10000);
      rf_collector_put(&finding, nullptr);
      well = well && findings_in_full == (i < 10000 ? i : 10000);
    }
    _exit(well ? 0 : 1);
  }
  int status = 1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  std::filesystem::remove_all(folder);
}

// A program with checked allocators of its own, which ends by exit, as its child does.
TEST(CollectorOfAProgram, IsToldByEachProcessOfTheSitesThatItHasSeenItself) {
  std::string const folder = new_folder();
  pid_t const child = fork();
  if (child == 0) {
    rf_options options;
    rf_options_default(&options);
    options.mode = RF_MODE_GUARD;
    options.collector = folder.c_str();
    options.collector_length = folder.size();
    rf_options_collect_run(&options);
    uintptr_t const here = reinterpret_cast<uintptr_t>(&rf_collector_end);
    rf_seen_sites_add(here + 1, false);
    rf_seen_sites_add(here + 2, false);
    pid_t const grandchild = fork();
    if (grandchild == 0) {
      rf_seen_sites_add(here + 2, false);
      rf_seen_sites_add(here + 3, false);
      exit(0);
    }
    int status = 1;
    waitpid(grandchild, &status, 0);
    rf_seen_sites_add(here + 4, false);
    exit(status);
  }
  int status = 1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  std::string const text = text_of(folder);
  size_t const first_end = text.find('\n') + 1; // the child's child ends first
  EXPECT_EQ(times(text.substr(0, first_end), "\"sites\":1,\"watched\":[]"), 1U) << text;
  EXPECT_EQ(times(text.substr(first_end), "\"sites\":3,\"watched\":[]"), 1U) << text;
  std::filesystem::remove_all(folder);
}

constexpr unsigned kBugs = 256;

// Begins the process's collector, which gets three findings of each bug: one to tell in full, one to count at once, and
// one that is only counted.
bool put_many(const std::string &folder) {
  rf_collector_options options = {};
  options.folder = {folder.c_str(), folder.size()};
  options.mode = "guard";
  options.first = 1;
  bool const begun = rf_collector_begin(&options);
  rf_finding finding = {};
  finding.bug = RF_BUG_DOUBLE_FREE;
  finding.found.depth = 1;
  for (unsigned i = 0; i < 3 * kBugs; i++) {
    finding.found.frames[0] = (i % kBugs + 1) * uintptr_t{4096};
    rf_collector_put(&finding, nullptr);
  }
  return begun;
}

// In a child, since a process has one collector. The counts of so many bugs take more than one write.
TEST(CollectorUntold, OfManyBugsIsToldOnce) {
  std::string const folder = new_folder();
  pid_t const child = fork();
  if (child == 0) {
    bool well = put_many(folder);
    rf_collector_run const running = {1, 0, 0, 0, 3, nullptr, nullptr, "running", 0, false};
    for (unsigned const ends : {1, 2}) {
      well = well && rf_collector_end(&running) && times(text_of(folder), "\"summary\"") == ends &&
             times(text_of(folder), "\"count\":1,") + times(text_of(folder), "\"count\":1}") == 3 * kBugs;
    }
    _exit(well ? 0 : 1);
  }
  int status = 1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  std::filesystem::remove_all(folder);
}

// As above, but the first write of the first end reaches no file. The counts of its second write are told then, those
// of the first by the next end, each once.
TEST(CollectorUntold, OfManyBugsIsToldLaterWhereAWriteFails) {
  std::string const folder = new_folder();
  pid_t const child = fork();
  if (child == 0) {
    bool well = put_many(folder);
    rf_collector_run const running = {1, 0, 0, 0, 3, nullptr, nullptr, "running", 0, false};
    refused_appends = 1;
    well = well && rf_collector_end(&running);
    unsigned const told = times(text_of(folder), "\"record\":\"repeat\"") - kBugs;
    well = well && told > 0 && told < kBugs && rf_collector_end(&running);
    std::string const text = text_of(folder);
    std::map<std::string, unsigned> repeats; // by the finding's identity
    std::string const of = "\"of\":";
    for (size_t at = text.find(of); at != std::string::npos; at = text.find(of, at + 1)) {
      repeats[text.substr(at, text.find(',', at) - at)]++;
    }
    well = well && repeats.size() == kBugs;
    for (auto const &one : repeats) {
      well = well && one.second == 2; // the one that was told at once, and the one that was only counted
    }
    _exit(well ? 0 : 1);
  }
  int status = 1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  std::filesystem::remove_all(folder);
}

// One process has one collector, so its story is one test.
TEST(CollectorUntold, IsToldByTheNextRecord) {
  std::string folder = new_folder();
  rf_collector_options options = {};
  options.folder = {folder.data(), folder.size()};
  options.mode = "guard";
  options.first = 1;
  ASSERT_TRUE(rf_collector_begin(&options));
  rf_seen_sites_begin();

  rf_finding finding = {};
  finding.bug = RF_BUG_DOUBLE_FREE;
  finding.allocator = "malloc";
  for (int i = 0; i < 3; i++) { // one in full, the second at once, the third is only counted
    rf_collector_put(&finding, nullptr);
  }
  rf_seen_sites_add(0x1000, false);
  rf_seen_sites_watch(0x1000);
  EXPECT_EQ(times(text_of(folder), "\"count\":1"), 2U);
  {
    FileLimit const limit(1); // the fourth is to be told at once, and cannot
    rf_collector_put(&finding, nullptr);
  }

  rf_collector_run const running = {1, 0, 0, 0, 3, nullptr, nullptr, "running", 0, false};
  bool told = true;
  {
    FileLimit const limit(1);
    told = rf_collector_end(&running);
  }
  EXPECT_FALSE(told);
  EXPECT_EQ(text_of(folder).find("summary"), std::string::npos);

  rf_seen_sites_add(0x2000, false);
  rf_collector_run const run = {1, 0, 0, 0, 3, nullptr, nullptr, "status", 0, false};
  EXPECT_TRUE(rf_collector_end(&run));
  std::string text = text_of(folder);
  EXPECT_EQ(times(text, "\"count\":1"), 2U) << text;
  EXPECT_EQ(times(text, "\"count\":2"), 1U) << text;                      // the third and the fourth
  EXPECT_NE(text.find("\"sites_dropped\":2"), std::string::npos) << text; // both, of no file

  EXPECT_TRUE(rf_collector_end(&run));
  EXPECT_EQ(times(text_of(folder), "\"count\":2"), 1U) << "told once";
  EXPECT_EQ(times(text_of(folder), "\"sites_dropped\":2"), 1U) << "told once";
  std::filesystem::remove_all(folder);
}

} // namespace
