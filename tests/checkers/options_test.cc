// Options as text: keys, values, warnings, the help, what each checker gets of them, where they come from.
#include <ringfence/handle_guard.h>
#include <ringfence/options.h>
#include <ringfence/page.h>
#include <ringfence/sample.h>

#include "checkers/checked/mode_options.h"
#include "tests/checkers/option_numbers.h"
#include "tests/checkers/sample_finding.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

namespace ringfence {
namespace {

class Options : public testing::Test {
protected:
  Options() { rf_options_default(&o_); }

  // Applies `text` and returns the warnings, each of which ends a line.
  std::string parse(const char *text) {
    TextSink out;
    unsigned const count = rf_options_parse(&o_, text, "TEST", out.sink());
    EXPECT_EQ(count == 0, out.text().empty()) << out.text();
    return out.text();
  }

  std::string log() const { return o_.log != nullptr ? std::string(o_.log, o_.log_length) : "(none)"; }

  rf_options o_;
};

TEST_F(Options, NothingChangesNothing) {
  for (const char *const text : {static_cast<const char *>(nullptr), "", ":", "::::"}) {
    rf_options const before = o_;
    EXPECT_EQ(parse(text), "");
    EXPECT_EQ(std::memcmp(&before, &o_, sizeof o_), 0);
  }
}

TEST_F(Options, EveryKeyIsUnderstood) {
  EXPECT_EQ(
      parse("mode=guard:halt=0:exitcode=7:abort=1:log=/tmp/x.%p:format=json:quarantine=4096:stack_depth=5:leaks=all:"
            "fill=16:fill_alloc=17:move_below=18:order_seed=25:sweep=0:max_findings=19:verbosity=1:rejected=1:signals="
            "0:deepbind=1:"
            "summary=1:"
            "help=1:"
            "sweep_every=30:sweep_budget=31:sample_rate=20:sample_slots=21:sample_seed=22:watch=24:"
            "watch_sites=/tmp/y:align=left:closed=23M"),
      "");
  EXPECT_EQ(o_.mode, RF_MODE_GUARD);
  EXPECT_FALSE(o_.halt);
  EXPECT_EQ(o_.exitcode, 7U);
  EXPECT_TRUE(o_.abort);
  EXPECT_EQ(log(), "/tmp/x.%p");
  EXPECT_EQ(o_.format, RF_FORMAT_JSON);
  EXPECT_EQ(o_.quarantine, 4096U);
  EXPECT_EQ(o_.stack_depth, 5U);
  EXPECT_EQ(o_.leaks, RF_LEAKS_ALL);
  EXPECT_EQ(o_.fill, 16U);
  EXPECT_EQ(o_.fill_alloc, 17U);
  EXPECT_EQ(o_.move_below, 18U);
  EXPECT_EQ(o_.order_seed, 25U);
  EXPECT_FALSE(o_.sweep);
  EXPECT_EQ(o_.max_findings, 19U);
  EXPECT_EQ(o_.verbosity, 1U);
  EXPECT_TRUE(o_.rejected);
  EXPECT_FALSE(o_.signals);
  EXPECT_TRUE(o_.deepbind);
  EXPECT_TRUE(o_.summary);
  EXPECT_TRUE(o_.help);
  EXPECT_EQ(o_.sweep_every, 30U);
  EXPECT_EQ(o_.sweep_budget, 31U);
  EXPECT_EQ(o_.sample_rate, 20U);
  EXPECT_EQ(o_.sample_slots, 21U);
  EXPECT_EQ(o_.sample_seed, 22U);
  EXPECT_EQ(o_.watch, 24U);
  EXPECT_EQ(std::string(o_.watch_sites, o_.watch_sites_length), "/tmp/y");
  EXPECT_EQ(o_.align, RF_PAGE_LEFT);
  EXPECT_EQ(o_.closed, size_t{23} << 20);
}

TEST_F(Options, ANumberIsTakenFromItsLeastToItsMost) {
  for (const Number &n : kNumbers) {
    std::string const key = std::string(n.name) + "=";
    EXPECT_EQ(parse((key + std::to_string(n.least)).c_str()), "") << n.name;
    EXPECT_EQ(parse((key + std::to_string(n.most)).c_str()), "") << n.name;
    EXPECT_NE(parse((key + std::to_string(uint64_t{n.most} + 1)).c_str()), "") << n.name;
    if (n.least != 0) {
      EXPECT_NE(parse((key + std::to_string(n.least - 1)).c_str()), "") << n.name;
    }
  }
}

TEST_F(Options, TheLastOneWins) {
  EXPECT_EQ(parse("halt=0:halt=1:exitcode=1:exitcode=2"), "");
  EXPECT_TRUE(o_.halt);
  EXPECT_EQ(o_.exitcode, 2U);
}

TEST_F(Options, ABoolIsSaidInThreeWays) {
  for (const char *const text : {"halt=0", "halt=no", "halt=false"}) {
    o_.halt = true;
    EXPECT_EQ(parse(text), "");
    EXPECT_FALSE(o_.halt) << text;
  }
  for (const char *const text : {"halt=1", "halt=yes", "halt=true"}) {
    o_.halt = false;
    EXPECT_EQ(parse(text), "");
    EXPECT_TRUE(o_.halt) << text;
  }
}

TEST_F(Options, ASizeHasAUnit) {
  struct {
    const char *text;
    size_t bytes;
  } const cases[] = {
      {"fill=0", 0},          {"fill=1", 1},        {"fill=64K", 65536},          {"fill=64k", 65536},
      {"fill=3M", 3 << 20},   {"fill=3m", 3 << 20}, {"fill=1G", size_t{1} << 30}, {"fill=1g", size_t{1} << 30},
      {"fill=all", SIZE_MAX},
  };
  for (const auto &c : cases) {
    EXPECT_EQ(parse(c.text), "");
    EXPECT_EQ(o_.fill, c.bytes) << c.text;
  }
  EXPECT_EQ(parse(("fill=" + std::to_string(SIZE_MAX)).c_str()), "");
  EXPECT_EQ(o_.fill, SIZE_MAX);
}

TEST_F(Options, ASizeThatDoesNotFitIsRefused) {
  size_t const before = o_.fill;
  std::string const over = "fill=" + std::to_string(SIZE_MAX / 1024 + 1) + "K";
  for (const char *const text : {over.c_str(), "fill=99999999999999999999999", "fill=18446744073709551616"}) {
    EXPECT_NE(parse(text), "") << text;
    EXPECT_EQ(o_.fill, before) << text;
  }
}

TEST_F(Options, EachWarningIsCounted) {
  TextSink out;
  EXPECT_EQ(rf_options_parse(&o_, "a=1:halt=2::b:exitcode=1", "TEST", out.sink()), 3U);
  EXPECT_EQ(std::count(out.text().begin(), out.text().end(), '\n'), 3);
}

TEST_F(Options, AShareIsOneInSoMany) {
  EXPECT_EQ(o_.sample_processes, 1U);
  EXPECT_EQ(parse("sample_processes=1/128"), "");
  EXPECT_EQ(o_.sample_processes, 128U);
  for (const char *const text : {"sample_processes=128", "sample_processes=1/0", "sample_processes=2/3",
                                 "sample_processes=1/", "sample_processes=1/4294967296"}) {
    EXPECT_NE(parse(text).find("is ignored; allowed: 1/1 to 1/4294967295\n"), std::string::npos) << text;
    EXPECT_EQ(o_.sample_processes, 128U);
  }
}

TEST_F(Options, AnUnknownKeyIsNamedWithTheNearest) {
  EXPECT_EQ(parse("halt=0:quarantin=5:exitcode=3"),
            "ringfence: TEST: quarantin=5 is ignored; unknown key; the nearest is quarantine; help=1 lists all\n");
  EXPECT_FALSE(o_.halt);
  EXPECT_EQ(o_.exitcode, 3U);
}

TEST_F(Options, TheNearestKeyIsOneThatMayHaveBeenMeant) {
  const std::pair<const char *, const char *> cases[] = {
      {"sample-rate=5", "sample_rate"},
      {"mod=page", "mode"},
      {"Halt", "halt"},
      {"leak=0", "leaks"},
      {"hexp=1", "heap"}, // help is as near, and comes later
      {"xyzzy=1", ""},
      {"=3", ""},
      {"sample_processes_of_a_program___=5", "sample_processes"}, // 32 letters, half of them right
      {"sample_processes_of_a_program____=5", ""},
      {"a_key_that_is_longer_than_any_other_one=1", ""},
  };
  for (const auto &[text, nearest] : cases) {
    std::string const said = nearest[0] == '\0' ? "" : std::string("the nearest is ") + nearest + "; ";
    EXPECT_EQ(parse(text),
              std::string("ringfence: TEST: ") + text + " is ignored; unknown key; " + said + "help=1 lists all\n");
  }
}

TEST_F(Options, WhatIsAppliedIsKeptAsText) {
  char text[100];
  char said[400];
  rf_sink_buffer kept;
  rf_sink_buffer warnings;
  rf_sink_buffer_init(&kept, text, sizeof text);
  rf_sink_buffer_init(&warnings, said, sizeof said);
  const char *const options = "halt=0::nosuch=1:log='a:b':fill=x:exitcode=3:";
  EXPECT_EQ(rf_options_keep(&o_, options, "TEST", &warnings.sink, &kept.sink), 2U);
  EXPECT_STREQ(text, "halt=0:log='a:b':exitcode=3");
}

TEST_F(Options, ABadValueIsNamedWithTheAllowedOnes) {
  EXPECT_EQ(parse("halt=2"), "ringfence: TEST: halt=2 is ignored; allowed: 0, 1\n");
  EXPECT_EQ(parse("exitcode=256"), "ringfence: TEST: exitcode=256 is ignored; allowed: 0 to 255\n");
  EXPECT_EQ(parse("exitcode=-1"), "ringfence: TEST: exitcode=-1 is ignored; allowed: 0 to 255\n");
  EXPECT_EQ(parse("fill=12Q"), "ringfence: TEST: fill=12Q is ignored; allowed: bytes, with K, M or G, or all\n");
  EXPECT_EQ(parse("format=xml"), "ringfence: TEST: format=xml is ignored; allowed: text, json, serial\n");
  EXPECT_EQ(parse("log="), "ringfence: TEST: log= is ignored; allowed: a path\n");
  EXPECT_EQ(parse("environment="), "ringfence: TEST: environment= is ignored; allowed: a name\n");
  EXPECT_EQ(parse("build_version="), "ringfence: TEST: build_version= is ignored; allowed: text\n");
  EXPECT_EQ(parse("labels="), "ringfence: TEST: labels= is ignored; allowed: pairs\n");
  EXPECT_EQ(parse("leaks=2"), "ringfence: TEST: leaks=2 is ignored; allowed: 0, 1, all, reachable\n");
}

TEST_F(Options, OptionsThatNoColonSeparatesAreAskedForOne) {
  EXPECT_EQ(parse("halt=0,leaks=1"),
            "ringfence: TEST: halt=0,leaks=1 is ignored; allowed: 0, 1; a colon separates options\n");
  EXPECT_EQ(parse("exitcode=3 halt=0"),
            "ringfence: TEST: exitcode=3 halt=0 is ignored; allowed: 0 to 255; a colon separates options\n");
}

TEST_F(Options, AValueThatIsRefusedChangesNothing) {
  for (const char *const text :
       {"log=", "stack_depth=4x", "sample_rate=1/", "mode=guards", "quarantine=4KB", "halt="}) {
    rf_options const before = o_;
    EXPECT_NE(parse(text), "") << text;
    EXPECT_EQ(std::memcmp(&before, &o_, sizeof o_), 0) << text;
  }
}

TEST_F(Options, AModeThatIsNotImplementedIsRefused) {
  o_.mode = RF_MODE_GUARD;
  EXPECT_EQ(parse("mode=tsan"),
            "ringfence: TEST: mode=tsan is ignored; allowed: off, sample, guard, page, asan, mte\n");
  EXPECT_EQ(o_.mode, RF_MODE_GUARD);
}

TEST_F(Options, EveryModeHasAWordAndAName) {
  for (rf_mode const mode : {RF_MODE_OFF, RF_MODE_SAMPLE, RF_MODE_GUARD, RF_MODE_PAGE, RF_MODE_ASAN, RF_MODE_MTE}) {
    EXPECT_EQ(parse((std::string("mode=") + rf_mode_name(mode)).c_str()), "");
    EXPECT_EQ(o_.mode, mode);
  }
}

TEST_F(Options, ARateOfNothingIsRefused) {
  EXPECT_EQ(parse("sample_rate=0"), "ringfence: TEST: sample_rate=0 is ignored; allowed: 1 to 16777216\n");
  EXPECT_EQ(parse("sample_slots=0"), "ringfence: TEST: sample_slots=0 is ignored; allowed: 1 to 65536\n");
  EXPECT_EQ(o_.sample_rate, RF_SAMPLE_RATE_DEFAULT);
}

TEST_F(Options, GarbageIsRefusedAndTheRestApplies) {
  for (const char *const garbage : {"halt",
                                    "halt ",
                                    "=",
                                    "=1",
                                    "==",
                                    "halt==1",
                                    " halt=0",
                                    "halt=0 ",
                                    "HALT=0",
                                    "mode=",
                                    "mode=of",
                                    "mode=offf",
                                    "mode=off guard",
                                    "mode=guard ",
                                    "fill=",
                                    "fill=K",
                                    "fill=-1",
                                    "fill=1KK",
                                    "fill=0x10",
                                    "fill=1.5K",
                                    "fill=al",
                                    "stack_depth=4294967296",
                                    "stack_depth=33",
                                    "verbosity=2",
                                    "help",
                                    "\xFF\xFE=\x01",
                                    "halt=\xFF"}) {
    rf_options_default(&o_);
    rf_options const before = o_;
    EXPECT_NE(parse(garbage), "") << garbage;
    EXPECT_EQ(std::memcmp(&before, &o_, sizeof o_), 0) << garbage;
    std::string const with = std::string("sweep=0:") + garbage + ":max_findings=3";
    EXPECT_NE(parse(with.c_str()), "") << with;
    EXPECT_FALSE(o_.sweep) << with;
    EXPECT_EQ(o_.max_findings, 3U) << with;
  }
}

TEST_F(Options, AValueInQuotesMayHoldColons) {
  EXPECT_EQ(parse("log='C:/a:b':halt=0"), "");
  EXPECT_EQ(log(), "C:/a:b");
  EXPECT_FALSE(o_.halt);
  EXPECT_EQ(parse("log=\"x:y\""), "");
  EXPECT_EQ(log(), "x:y");
  EXPECT_EQ(parse("log=it's:halt=1"), ""); // a quote within a value is a character like any other
  EXPECT_EQ(log(), "it's");
  EXPECT_TRUE(o_.halt);
}

TEST_F(Options, AQuoteThatIsNotClosedTakesTheRestAndIsWarnedOf) {
  EXPECT_EQ(parse("log='abc:halt=0"), "ringfence: TEST: log='abc:halt=0 is ignored; allowed: a path\n");
  EXPECT_EQ(log(), "(none)");
  EXPECT_TRUE(o_.halt);
  EXPECT_NE(parse("log='"), "");
  EXPECT_NE(parse("log='abc'd"), "");
}

TEST_F(Options, EveryPrefixAndEverySingleByteChangeIsSurvived) {
  std::string const good = "mode=guard:log='a:b':quarantine=64K:leaks=all:exitcode=12";
  for (size_t length = 0; length <= good.size(); length++) {
    parse(good.substr(0, length).c_str());
  }
  for (size_t i = 0; i < good.size(); i++) {
    for (int byte = 1; byte < 256; byte++) {
      std::string text = good;
      text[i] = static_cast<char>(byte);
      parse(text.c_str());
    }
  }
}

TEST_F(Options, TheHelpNamesEveryKeyWithItsValue) {
  o_.quarantine = 12345;
  o_.fill = SIZE_MAX;
  o_.mode = RF_MODE_GUARD;
  TextSink out;
  rf_options_help(&o_, out.sink());
  std::string const &text = out.text();
  for (const char *const line :
       {"  mode=guard\n", "  halt=1\n", "  exitcode=99\n", "  log=(standard error)\n", "  format=text\n",
        "  quarantine=12345\n", "  sample_rate=5000\n", "  sample_slots=64\n", "  align=both\n", "  stack_depth=0\n",
        "  leaks=1\n", "  fill=all\n", "  fill_alloc=", "  move_below=", "  sweep=1\n",
        "  max_findings=", "  verbosity=0\n", "  help=0\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
}

// ---- The checkers' own options ----

TEST_F(Options, EachCheckerGetsItsPart) {
  parse("quarantine=1:stack_depth=20:leaks=0:fill=3:fill_alloc=4:move_below=5:sweep=0:sample_rate=6:sample_slots=7:"
        "sample_seed=8:align=right:closed=9");
  rf_guard_options const guard = rf_options_for_guard(&o_);
  EXPECT_EQ(guard.quarantine, 1U);
  EXPECT_EQ(guard.stack_depth, 20U);
  EXPECT_FALSE(guard.leaks_at_deinit);
  EXPECT_EQ(guard.fill_free, 3U);
  EXPECT_EQ(guard.fill_alloc, 4U);
  EXPECT_EQ(guard.move_below, 5U);
  EXPECT_FALSE(guard.sweep_at_deinit);
  rf_page_options const page = rf_options_for_page(&o_);
  EXPECT_EQ(page.side, RF_PAGE_RIGHT);
  EXPECT_EQ(page.quarantine, 9U);
  EXPECT_EQ(page.fill_alloc, 4U);
  EXPECT_EQ(page.stack_depth, 20U);
  EXPECT_FALSE(page.leaks_at_deinit);
  EXPECT_FALSE(page.sweep_at_deinit);
  EXPECT_EQ(page.guarded.quarantine, 1U);
  rf_sample_options const sample = rf_options_for_sample(&o_);
  EXPECT_EQ(sample.rate, 6U);
  EXPECT_EQ(sample.slots, 7U);
  EXPECT_EQ(sample.seed, 8U);
  EXPECT_EQ(sample.side, RF_PAGE_RIGHT);
  EXPECT_EQ(sample.stack_depth, 20U);
  rf_handle_guard_options const handles = rf_options_for_handles(&o_);
  EXPECT_EQ(handles.quarantine, 1U);
  EXPECT_FALSE(handles.leaks_at_deinit);
  EXPECT_FALSE(handles.sweep_at_deinit);
}

TEST_F(Options, TheReporterGetsItsPart) {
  parse("halt=0:exitcode=7:log=/tmp/x:format=json:max_findings=5:suppressions=/tmp/yy");
  rf_report_options const report = rf_options_for_reporter(&o_);
  EXPECT_FALSE(report.halt);
  EXPECT_EQ(report.exitcode, 7U);
  EXPECT_EQ(std::string(report.log, report.log_length), "/tmp/x");
  EXPECT_EQ(report.format, RF_FORMAT_JSON);
  EXPECT_EQ(report.max_findings, 5U);
  EXPECT_EQ(std::string(report.suppressions, report.suppressions_length), "/tmp/yy");
}

TEST_F(Options, AModeIsPrintedWithTheOptionsThatItTakes) {
  for (const auto &c : {std::make_pair("mode=off", ""), std::make_pair("mode=page:closed=all", "closed all"),
                        std::make_pair("mode=sample", "sample_rate 5000"), std::make_pair("mode=asan", "quarantine")}) {
    TextSink out;
    EXPECT_EQ(parse(c.first), "");
    rf_options_print(&o_, out.sink());
    EXPECT_NE(out.text().find(c.second), std::string::npos) << out.text();
    EXPECT_EQ(out.text().empty(), o_.mode == RF_MODE_OFF);
  }
}

// ---- Where options come from ----

const char *the_program_says = nullptr;

TEST_F(Options, TheEnvironmentIsOverTheProgramIsOverTheBuild) {
  TextSink out;
  unsetenv("RINGFENCE_OPTIONS");
  the_program_says = nullptr;
  EXPECT_EQ(rf_options_load(&o_, out.sink()), 0U);
  EXPECT_EQ(o_.exitcode, 99U);
  the_program_says = "exitcode=5:max_findings=6";
  EXPECT_EQ(rf_options_load(&o_, out.sink()), 0U);
  EXPECT_EQ(o_.exitcode, 5U);
  EXPECT_EQ(o_.max_findings, 6U);
  setenv("RINGFENCE_OPTIONS", "exitcode=7", 1);
  EXPECT_EQ(rf_options_load(&o_, out.sink()), 0U);
  EXPECT_EQ(o_.exitcode, 7U);
  EXPECT_EQ(o_.max_findings, 6U);
  EXPECT_EQ(out.text(), "");
  unsetenv("RINGFENCE_OPTIONS");
}

TEST_F(Options, AWarningSaysWhoSaidIt) {
  TextSink out;
  the_program_says = "nonsense=1";
  setenv("RINGFENCE_OPTIONS", "halt=maybe", 1);
  EXPECT_EQ(rf_options_load(&o_, out.sink()), 2U);
  EXPECT_EQ(out.text().find("ringfence: __ringfence_default_options: nonsense=1 is ignored"), 0U) << out.text();
  EXPECT_NE(out.text().find("ringfence: RINGFENCE_OPTIONS: halt=maybe is ignored"), std::string::npos) << out.text();
  unsetenv("RINGFENCE_OPTIONS");
  the_program_says = nullptr;
}

} // namespace
} // namespace ringfence

extern "C" const char *__ringfence_default_options() {
  return ringfence::the_program_says;
}
