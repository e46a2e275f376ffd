// Counts that could not be told, since no file took them, are told by the next record.
#include "checkers/os/seen_sites.h"
#include "tests/checkers/collector_fixture.h"

#include <algorithm>
#include <map>
#include <utility>

namespace ringfence {
namespace {

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

// Lines that say how often a finding came again name no losses: these stay to be told.
// Counts alone, as of a program with checkers of its own under the drop-in, say nothing of losses.
TEST(CollectorLosses, AreForgottenByNoLineThatDoesNotTellThem) {
  with_collector(1, RF_COLLECTOR_AUTO, [](const std::string &folder) {
    constexpr uintptr_t kBug = 4096;
    refused_appends = 1;
    put(kBug);
    during_append = [] { put(2 * kBug); }; // lost while the record tells of the one before
    for (int i = 0; i < 3; i++) {
      put(3 * kBug); // the third is in no record yet
    }
    rf_collector_run const counts = {1, 0, 0, 0, 5, nullptr, nullptr, nullptr, 0, false};
    rf_collector_run const running = {1, 0, 0, 0, 5, nullptr, nullptr, "running", 0, false};
    return rf_collector_end(&counts) && times(text_of(folder), "\"summary\"") == 0 && rf_collector_end(&running) &&
           times(text_of(folder), "\"dropped\":1,") == 2 && times(text_of(folder), "\"dropped\"") == 2;
  });
}

TEST(CollectorLosses, AreNotToldByRepeats) {
  with_collector(1, RF_COLLECTOR_AUTO, [](const std::string &folder) {
    during_append = [] { put(0x2000); };
    put(0x1000);
    put(0x1000);
    put(0x1000);
    rf_collector_run const going_on = {1, 0, 0, 0, 3, nullptr, nullptr, nullptr, 0, false};
    bool const ended = rf_collector_end(&going_on);
    std::string const before = text_of(folder);
    put(0x3000);
    return ended && !has(before, "\"dropped\":1") && has(since(folder, before), "\"dropped\":1");
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

// True where each of `bugs` bugs has so many repeats: those that were told at once, and the one that was only counted.
bool each_is_told(const std::string &text, unsigned bugs, unsigned repeats_of_one = 2) {
  std::map<std::string, unsigned> repeats; // by the finding's identity
  std::string const of = "\"of\":";
  for (size_t at = text.find(of); at != std::string::npos; at = text.find(of, at + 1)) {
    repeats[text.substr(at, text.find(',', at) - at)]++;
  }
  return repeats.size() == bugs && std::all_of(repeats.begin(), repeats.end(), [repeats_of_one](auto const &one) {
           return one.second == repeats_of_one;
         });
}

constexpr unsigned kFew = 4;

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
    well = well && each_is_told(text_of(folder), kBugs);
    _exit(well ? 0 : 1);
  }
  int status = 1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  std::filesystem::remove_all(folder);
}

// The end's lines are the counts, then the summary. Those that arrived whole are told; the next end tells the others.
// The second and the fourth finding of a bug were told at once, the three after them were counted.
TEST(CollectorUntold, IsToldOnceWhereverTheEndIsCut) {
  for (int lines = 0; lines <= static_cast<int>(kFew); lines++) {
    for (int const by : {-1, 0, 1}) {
      if (lines == 0 && by < 0) {
        continue;
      }
      cut_behind = lines;
      cut_by = by;
      with_collector(1, RF_COLLECTOR_AUTO, [](const std::string &folder) {
        int const behind = std::exchange(cut_behind, -1);
        for (unsigned i = 0; i < 7 * kFew; i++) {
          put((i % kFew + 1) * uintptr_t{4096});
        }
        cut_behind = behind;
        rf_collector_run const running = {1, 0, 0, 0, 3, nullptr, nullptr, "running", 0, false};
        bool const arrived = rf_collector_end(&running);
        unsigned const told = times(text_of(folder), "\"record\":\"repeat\"") - 2 * kFew;
        return !arrived && told == static_cast<unsigned>(behind - (cut_by < 0 ? 1 : 0)) && rf_collector_end(&running) &&
               each_is_told(text_of(folder), kFew, 3) && times(text_of(folder), "\"count\":3}") == kFew;
      });
    }
  }
  cut_behind = -1;
}

// As above, but the counts take more than one write, and the first one is cut.
TEST(CollectorUntold, OfManyBugsIsToldOnceWhereverTheFirstWriteIsCut) {
  for (int const by : {-1, 0, 1}) {
    std::string const folder = new_folder();
    EXPECT_TRUE(in_child([&] {
      rf_collector_run const running = {1, 0, 0, 0, 3, nullptr, nullptr, "running", 0, false};
      bool const begun = put_many(folder);
      cut_behind = 7;
      cut_by = by;
      return begun && rf_collector_end(&running) && !each_is_told(text_of(folder), kBugs) &&
             rf_collector_end(&running) && each_is_told(text_of(folder), kBugs);
    })) << by;
    std::filesystem::remove_all(folder);
  }
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
} // namespace ringfence
