// Limits of a collector's records: findings told in full, room for names, windows, files that hold no more.
#include "tests/checkers/collector_fixture.h"

#include <cstring>

namespace ringfence {
namespace {

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

// Holds for each `collector_first`: 0 is all.
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
    return has(text, "\"002233\"") && has(text, "\"005566\"") && has(text, "\"?g!\"");
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

// Of a second; those before it come at powers of two.
TEST(CollectorRepeats, AreToldOnceASecondWhereTheyAreMany) {
  with_collector(1, RF_COLLECTOR_AUTO, [](const std::string &folder) {
    for (int i = 0; i < 4; i++) {
      put(0x1000);
    }
    size_t const before = text_of(folder).size();
    usleep(1100000);
    put(0x1000);
    size_t const told = text_of(folder).size();
    put(0x1000);
    return told > before && text_of(folder).size() == told;
  });
}

TEST(CollectorLimits, LabelsBeyondTheRoomAreLeftOutAlone) {
  std::string labels;
  for (int i = 0; i < 300; i++) {
    labels += "name" + std::to_string(i) + "=" + std::string(100, 'v') + ",";
  }
  ASSERT_EQ(setenv("RINGFENCE_LABELS", labels.c_str(), 1), 0);
  with_collector(1, RF_COLLECTOR_AUTO, [](const std::string &folder) {
    put(0x1000);
    std::string const text = text_of(folder);
    return has(text, "\"program\":\"/") && has(text, "\"mode\":\"guard\"") && !has(text, "\"labels\"");
  });
  ASSERT_EQ(unsetenv("RINGFENCE_LABELS"), 0);
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

} // namespace
} // namespace ringfence
