// Messages to the log: each line in one piece, whoever writes it (checkers/report/log_lines.h).
#include "checkers/report/log_lines.h"

#include <ringfence/checked.h>
#include <ringfence/options.h>
#include <ringfence/reporter.h>
#include <ringfence/simple.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace {

std::vector<std::string> written;

} // namespace

extern "C" {
void __wrap_rf_port_log(const char *text, size_t len);
void __wrap_rf_port_log(const char *text, size_t len) {
  written.emplace_back(text, len);
}
}

namespace ringfence {
namespace {

class LogLines : public testing::Test {
protected:
  LogLines() { written.clear(); }

  // Every write has whole lines.
  static void expect_lines(size_t least) {
    EXPECT_GE(written.size(), least);
    for (std::string const &text : written) {
      ASSERT_FALSE(text.empty());
      EXPECT_EQ(text.back(), '\n') << text;
    }
  }
};

TEST_F(LogLines, PiecesAreWrittenWithTheEndOfTheirLine) {
  rf_log_lines lines;
  const rf_sink *const out = rf_log_lines_init(&lines);
  rf_sink_str(out, "one ");
  rf_sink_uint(out, 2);
  rf_sink_str(out, "");
  EXPECT_TRUE(written.empty());
  rf_sink_str(out, " three\n");
  rf_sink_str(out, "four\nfive");
  rf_sink_str(out, "\n");
  EXPECT_EQ(written, (std::vector<std::string>{"one 2 three\n", "four\nfive\n"}));
}

TEST_F(LogLines, ALineThatDoesNotFitIsWrittenInParts) {
  for (size_t const size : {size_t{RF_LOG_LINE_BYTES} - 1, size_t{RF_LOG_LINE_BYTES}, size_t{RF_LOG_LINE_BYTES} + 1,
                            size_t{3} * RF_LOG_LINE_BYTES + 7}) {
    rf_log_lines lines;
    const rf_sink *const out = rf_log_lines_init(&lines);
    written.clear();
    rf_sink_str(out, "> ");
    rf_sink_str(out, (std::string(size - 3, 'x') + '\n').c_str());
    std::string whole;
    for (std::string const &text : written) {
      EXPECT_LE(text.size(), size_t{RF_LOG_LINE_BYTES});
      whole += text;
    }
    EXPECT_EQ(whole, "> " + std::string(size - 3, 'x') + '\n');
    EXPECT_EQ(written.size(), (size + RF_LOG_LINE_BYTES - 1) / RF_LOG_LINE_BYTES);
  }
}

TEST_F(LogLines, CheckedAllocatorsSayAllInWholeLines) {
  alignas(16) static unsigned char arena[4096];
  rf_simple heap;
  rf_checked checked;
  rf_checked_options options;
  options.reporter = nullptr;
  rf_options_default(&options.settings);
  options.settings.mode = RF_MODE_GUARD;
  options.settings.help = true;
  options.settings.verbosity = 1;
  ASSERT_EQ(rf_simple_init(&heap, arena, sizeof arena), RF_OK);
  ASSERT_NE(rf_checked_init(&checked, &heap.base, &options), nullptr);
  expect_lines(20);
  EXPECT_TRUE(std::any_of(written.begin(), written.end(), [](std::string const &text) {
    return text.rfind("ringfence: checking simple: mode guard", 0) == 0;
  }));
  rf_checked_deinit(&checked);
}

TEST_F(LogLines, ReportersSayAllInWholeLines) {
  rf_report_options options;
  rf_log_reporter reporter;
  rf_report_options_default(&options);
  static const char log[] = "/no such folder/log";
  static const char rules[] = "/no such folder/rules";
  options.log = log;
  options.log_length = sizeof log - 1;
  options.suppressions = rules;
  options.suppressions_length = sizeof rules - 1;
  rf_log_reporter_init(&reporter, &options);
  rf_log_reporter_read_suppressions(&reporter);
  rf_log_reporter_write(&reporter, "text\n", 5);
  EXPECT_EQ(written,
            (std::vector<std::string>{
                "ringfence: cannot read the suppressions /no such folder/rules; nothing is suppressed\n",
                "ringfence: cannot append to /no such folder/log; findings go to standard error\n", "text\n"}));
}

TEST_F(LogLines, OptionsThatAreNotUnderstoodAreALineEach) {
  rf_log_lines lines;
  rf_options options;
  rf_options_default(&options);
  (void)rf_options_parse(&options, "mod=guard:sweep=3:halt", "RINGFENCE_OPTIONS", rf_log_lines_init(&lines));
  expect_lines(3);
  EXPECT_EQ(written.size(), 3U);
}

} // namespace
} // namespace ringfence
