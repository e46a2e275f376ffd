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
#include <functional>
#include <iterator>
#include <map>
#include <string>

namespace {

int refused_appends = 0;           // so many appends from now on reach no file
void (*during_append)() = nullptr; // is called once, while a record is on its way
bool counts_findings = false;      // instead of writing
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
  if (during_append != nullptr) {
    void (*const once)() = during_append;
    during_append = nullptr;
    once();
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

// The answer of `test` in a child of fork.
bool in_child(const std::function<bool()> &test) {
  pid_t const child = fork();
  if (child == 0) {
    _exit(test() ? 0 : 1);
  }
  int status = 1;
  return waitpid(child, &status, 0) == child && status == 0;
}

// The test in a child, since a process has one collector, which it begins; all is well where the test says so.
void with_collector(unsigned first, rf_collector_windows windows, bool (*test)(const std::string &folder)) {
  std::string const folder = new_folder();
  EXPECT_TRUE(in_child([&] {
    rf_collector_options options = {};
    options.folder = {folder.c_str(), folder.size()};
    options.mode = "guard";
    options.first = first;
    options.windows = windows;
    return rf_collector_begin(&options) && test(folder);
  }));
  std::filesystem::remove_all(folder);
}

void put(uintptr_t caller) {
  rf_finding finding = {};
  finding.bug = RF_BUG_DOUBLE_FREE;
  finding.found.depth = 1;
  finding.found.frames[0] = caller;
  rf_collector_put(&finding, nullptr);
}

// The collector's text behind `before`.
std::string since(const std::string &folder, const std::string &before) {
  return text_of(folder).substr(before.size());
}

bool has(const std::string &text, const char *part) {
  return text.find(part) != std::string::npos;
}

// The answer of `test` in a child of fork that was told of it.
bool forked(bool (*test)(const std::string &folder), const std::string &folder) {
  return in_child([&] {
    rf_collector_forked();
    return test(folder);
  });
}

TEST(CollectorOfAChild, TellsOfNoneOfItsParentsLosses) {
  with_collector(1, RF_COLLECTOR_AUTO, [](const std::string &folder) {
    refused_appends = 1;
    put(0x1000);
    return forked(
        [](const std::string &own) {
          put(0x2000);
          return has(text_of(own), "\"dropped\":0");
        },
        folder);
  });
}

TEST(CollectorOfAChild, CountsFindingsOfItsOwn) {
  with_collector(1, RF_COLLECTOR_AUTO, [](const std::string &folder) {
    put(0x1000);
    put(0x2000);
    return forked(
        [](const std::string &own) {
          std::string const before = text_of(own);
          put(0x1000);
          return rf_collector_end(nullptr) && has(since(own, before), "\"findings\":1,");
        },
        folder);
  });
}

// Its parent's records are no measure of what it has yet to tell.
TEST(CollectorOfAChild, TellsAtItsEndWhatItOnlyCounted) {
  with_collector(1, RF_COLLECTOR_AUTO, [](const std::string &folder) {
    for (uintptr_t caller = 1; caller <= 5; caller++) {
      put(caller << 12);
    }
    return forked(
        [](const std::string &own) {
          std::string const before = text_of(own);
          for (int i = 0; i < 3; i++) {
            put(0x1000);
          }
          bool const told = rf_collector_end(nullptr);
          std::string const text = since(own, before);
          return told && times(text, "\"count\":1,") + times(text, "\"count\":1}") == 3;
        },
        folder);
  });
}

TEST(CollectorOfAChild, TellsWhereItsParentWasTelling) {
  with_collector(1, RF_COLLECTOR_AUTO, [](const std::string &folder) {
    static bool told;
    static std::string where;
    where = folder;
    during_append = [] {
      told = forked(
          [](const std::string &own) {
            put(0x2000);
            return has(text_of(own), "\"record\":\"finding\"");
          },
          where);
    };
    put(0x1000);
    return told;
  });
}

// A finding of another thread's that came in between is lost, and the next record says so.
TEST(CollectorLosses, OfWhileARecordIsWrittenAreToldByTheNext) {
  with_collector(1, RF_COLLECTOR_AUTO, [](const std::string &folder) {
    during_append = [] { put(0x2000); };
    put(0x1000);
    std::string const before = text_of(folder);
    put(0x3000);
    return has(before, "\"dropped\":0") && has(since(folder, before), "\"dropped\":1");
  });
}

// The value that a byte of the program's should have is its secret as well.
TEST(CollectorWindows, OfGuardsHideWhatWasExpectedOfOtherBytes) {
  with_collector(1, RF_COLLECTOR_GUARDS, [](const std::string &folder) {
    rf_finding finding = {};
    finding.bug = RF_BUG_BUFFER_OVERFLOW;
    finding.window_size = 3;
    unsigned char const classes[] = {RF_BYTE_USER, RF_BYTE_GUARD, RF_BYTE_BAD};
    memcpy(finding.window_class, classes, sizeof classes);
    memcpy(finding.window, "\x11\x22\x33", 3);
    memcpy(finding.expected, "\x44\x55\x66", 3);
    rf_collector_put(&finding, nullptr);
    std::string const text = text_of(folder);
    return has(text, "\"002233\"") && has(text, "\"005566\"");
  });
}

// Names for which a record has no room are left out of it, the finding is not.
TEST(CollectorLimits, AFindingWithNamesBeyondTheRoomIsToldWithoutThem) {
  with_collector(1, RF_COLLECTOR_AUTO, [](const std::string &folder) {
    static std::string const name(200000, 'x');
    rf_symbolizer const symbolizer = {[](void *, uintptr_t, unsigned inlined, rf_frame_name *out) {
                                        *out = {};
                                        out->function = name.c_str();
                                        return inlined == 0;
                                      },
                                      nullptr};
    rf_finding finding = {};
    finding.bug = RF_BUG_DOUBLE_FREE;
    finding.found.depth = 1;
    finding.found.frames[0] = 0x1000;
    rf_collector_put(&finding, &symbolizer);
    std::string const text = text_of(folder);
    return has(text, "\"bug\":\"double-free\"") && !has(text, "xxxx") && text.back() == '\n';
  });
}

TEST(CollectorRepeats, AreOfTheFirstOfSeveralRecords) {
  with_collector(2, RF_COLLECTOR_AUTO, [](const std::string &folder) {
    for (int i = 0; i < 4; i++) {
      put(0x1000);
    }
    std::string const text = text_of(folder);
    size_t const of = text.find("\"of\":\"");
    return of != std::string::npos && text.substr(text.find('"', of + 6) - 2, 2) == "-1";
  });
}

TEST(CollectorLimits, ARecordBeyondTheRoomIsNotTold) {
  with_collector(1, RF_COLLECTOR_AUTO, [](const std::string &folder) {
    bool const told = rf_collector_record(
        "snapshot", nullptr,
        [](rf_sink_buffer *line, const rf_symbolizer *, void *) {
          std::string const text(200000, '1');
          rf_sink_mem(&line->sink, text.data(), text.size());
          return true;
        },
        nullptr);
    return !told && text_of(folder).empty();
  });
}

// Its memory is a copy of the parent's, who tells of what is in it.
bool in_a_child_that_nobody_tells(bool (*test)(const std::string &folder), const std::string &folder) {
  return in_child([&] { return test(folder); });
}

TEST(CollectorOfAnUntoldChild, TakesNoStepOfItsParents) {
  with_collector(1, RF_COLLECTOR_AUTO, [](const std::string &folder) {
    return in_a_child_that_nobody_tells(
        [](const std::string &own) {
          rf_collector_step(7, "done");
          return text_of(own).empty();
        },
        folder);
  });
}

TEST(CollectorOfAnUntoldChild, TellsNoneOfItsParentsCounts) {
  with_collector(1, RF_COLLECTOR_AUTO, [](const std::string &folder) {
    for (int i = 0; i < 3; i++) { // the third is only counted
      put(0x1000);
    }
    return in_a_child_that_nobody_tells(
        [](const std::string &own) {
          std::string const before = text_of(own);
          return rf_collector_end(nullptr) && has(since(own, before), "\"record\":\"summary\"") &&
                 !has(since(own, before), "\"record\":\"repeat\"");
        },
        folder);
  });
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
