// The lines at a process's beginning and end, and what a collector is told of its run
// (checkers/dropin/inspect/process_log.c): each figure in its place, those of the parent left out in a child, and the
// parts of a run that goes on told once. Figures, clock and outputs are this test's own.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/inspect/leak_check.h"
#include "checkers/dropin/inspect/process_log.h"
#include "checkers/dropin/malloc/forward.h"
#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/runtime/output.h"
#include "checkers/dropin/runtime/own_cache.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/dropin/runtime/steering.h"
#include "checkers/os/forbidden_calls.h"
#include "checkers/report/collector.h"
}
#undef _Static_assert

#include "tests/checkers/json_value.h"

#include <cerrno>
#include <cstring>
#include <gtest/gtest.h>
#include <pthread.h>
#include <string>
#include <unistd.h>
#include <vector>

namespace {

struct World {
  std::string written;
  std::string said;
  pid_t process = 4711;
  uint64_t now = 50000;
  std::string path = "/bin/\"program";
  bool has_path = true;
  bool has_collector = true;
  bool told = true;   // to the collector
  bool claims = true; // the right to tell it
  std::vector<unsigned> patience;
  bool *flag = nullptr;
  std::vector<rf_collector_run> runs;
  rf_cache_figures heap = {};
  rf_page_figures pages = {};
  uint64_t unpaged = 0;
  bool cancellable = false;
};

World world;

} // namespace

extern "C" {

rf_process_state rf_process;
rf_forward_state rf_forward;
rf_steering rf_steering_now;

pid_t rf_process_now() {
  return world.process;
}
uint64_t __wrap_rf_host_now_ns() {
  return world.now;
}
bool __wrap_rf_modules_program_path(char *out, size_t room) {
  EXPECT_GT(room, world.path.size());
  std::strcpy(out, world.path.c_str());
  return world.has_path;
}
void rf_cache_figures_of_all(rf_cache_figures *out) {
  *out = world.heap;
}
void rf_guarded_blocks_figures_unlocked(rf_page_figures *out) {
  *out = world.pages;
}
uint64_t rf_guarded_blocks_unpaged(const rf_page_figures *figures, const rf_counters *heap) {
  EXPECT_EQ(figures->bytes, world.pages.bytes);
  EXPECT_EQ(heap->allocations, world.heap.counters.allocations);
  return world.unpaged;
}
void rf_output_write(const char *text, size_t size) {
  world.written.append(text, size);
}
void rf_output_say(const char *text, size_t size) {
  world.said.append(text, size);
}
bool __wrap_rf_collector_is_named() {
  return world.has_collector;
}
bool __wrap_rf_host_claim(bool *flag, unsigned patience_ms) {
  world.patience.push_back(patience_ms);
  world.flag = flag;
  if (*flag || !world.claims) {
    return false;
  }
  *flag = true;
  return true;
}
bool __wrap_rf_collector_end(const rf_collector_run *run) {
  int before = 0;
  world.runs.push_back(*run);
  EXPECT_TRUE(*world.flag);
  (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
  world.cancellable = before == PTHREAD_CANCEL_ENABLE;
  (void)pthread_setcancelstate(before, nullptr);
  errno = 78;
  return world.told;
}
}

namespace ringfence_test {
namespace {

using ringfence::Json;

void ignore(void *, const char *, size_t) {}

class ProcessLog : public testing::Test {
protected:
  ProcessLog() {
    world = World();
    rf_process = rf_process_state();
    rf_options_default(&rf_process.options);
    rf_process.options.mode = RF_MODE_GUARD;
    rf_process.options.format = RF_FORMAT_JSON;
    rf_process.options.summary = true;
    rf_process.start_ns = 20000;
    rf_process.log.suppressions = {rules_, 2, 0};
    rf_forward.now = RF_FORWARD_NOTHING;
    rf_steering_now.rules[0] = '\0';
    rf_process_log_forked(); // of nothing
    grow(1);
  }
  ~ProcessLog() override { rf_forbidden_calls = 0; }

  // One that has told nothing yet.
  static void be_new() {
    static pid_t last = 5000;
    world.process = last += 10;
  }

  // Figures that all differ.
  static void grow(size_t n) {
    world.heap.counters.allocations = 100 * n;
    world.heap.counters.peak = 7000 * n;
    world.heap.counters.blocks = 11 * n;
    world.heap.counters.used = 600 * n;
    world.heap.requested = 9000 * n;
    world.pages.counters.allocations = 5 * n;
    world.pages.counters.peak = 70 * n;
    world.pages.counters.blocks = 2 * n;
    world.pages.counters.used = 30 * n;
    world.pages.bytes = 400 * n;
    world.unpaged = 3 * n;
  }

  static std::vector<Json> lines() {
    std::vector<Json> found;
    for (size_t at = 0; at < world.written.size();) {
      size_t const end = world.written.find('\n', at) + 1;
      found.emplace_back();
      if (end == 0) {
        ADD_FAILURE() << "cut: " << world.written;
        break;
      }
      EXPECT_TRUE(Json::parse(world.written.substr(at, end - at), found.back())) << world.written;
      at = end;
    }
    return found;
  }

  static void end(const char *kind = "status", const rf_leak_summary *leaks = nullptr, const char *unchecked = nullptr,
                  uint64_t findings = 0) {
    world.written.clear();
    world.said.clear();
    rf_process_exit const exit = {kind, 5};
    rf_process_log_end(findings, leaks, unchecked, &exit);
  }

  void suppress(const std::string &text) {
    rf_sink const nowhere = {ignore, nullptr};
    rules_text_ = text;
    EXPECT_EQ(
        rf_suppressions_parse(&rf_process.log.suppressions, rules_text_.data(), rules_text_.size(), "rules", &nowhere),
        0U);
  }

  static constexpr rf_leak_summary kLeaks = {true, nullptr, 1, 21, 22, 23, 24, 25};

  rf_suppression rules_[2] = {};
  std::string rules_text_;
};

// ---- The summary ----

TEST_F(ProcessLog, ASummaryHasTheFiguresOfHeapAndPages) {
  end("status", &kLeaks, nullptr, 4);
  ASSERT_EQ(lines().size(), 1U);
  Json const line = lines()[0];
  EXPECT_EQ(line["type"].text, "summary");
  EXPECT_EQ(line["program"].text, "/bin/\"program");
  EXPECT_EQ(line["mode"].text, "guard");
  struct {
    const char *name;
    long long value;
  } const figures[] = {
      {"version", 1},
      {"pid", 4711},
      {"time_ns", 50000},
      {"duration_ns", 30000},
      {"allocations", 105},
      {"bytes", 9400},
      {"peak", 7070},
      {"live_blocks", 13},
      {"live_bytes", 630},
      {"findings", 4},
      {"unpaged_blocks", 3},
      {"leaked_blocks", 21},
      {"leaked_bytes", 22},
      {"unlisted_leaked_blocks", 23},
      {"unlisted_leaked_bytes", 24},
      {"called_leaked_blocks", 25},
  };
  for (auto const &figure : figures) {
    EXPECT_EQ(line[figure.name].number, figure.value) << figure.name;
  }
  EXPECT_EQ(line["leaks_checked"].kind, Json::kTrue);
  for (const char *const absent : {"leaks_unchecked_because", "blocks_unchecked_because", "handed_on"}) {
    EXPECT_EQ(line[absent].kind, Json::kNothing) << absent;
  }
  EXPECT_EQ(rf_process_log_allocations(), 105U);
  EXPECT_EQ(rf_process_log_peak(), 7070U);
}

TEST_F(ProcessLog, ASummarySaysWhatWasNotLookedForAndWhy) {
  rf_leak_summary leaks = kLeaks;
  leaks.checked = false;
  leaks.why = "no list";
  rf_forward.now = RF_FORWARD_ON;
  world.unpaged = 0;
  world.has_path = false;
  end("status", &leaks, "no \"time\"");
  Json const line = lines().at(0);
  EXPECT_EQ(line["leaks_checked"].kind, Json::kFalse);
  EXPECT_EQ(line["leaks_unchecked_because"].text, "no list");
  EXPECT_EQ(line["blocks_unchecked_because"].text, "no \"time\"");
  EXPECT_EQ(line["handed_on"].kind, Json::kTrue);
  EXPECT_EQ(line["unpaged_blocks"].kind, Json::kNothing);
  EXPECT_EQ(line["program"].kind, Json::kNull);
  EXPECT_EQ(world.said, "") << "the command says it";
  rf_process.options.format = RF_FORMAT_TEXT;
  end("status", &leaks);
  EXPECT_EQ(world.said, "ringfence: process 4711: leaks were not looked for: no list\n");
  end();
  EXPECT_EQ(lines().at(0)["leaks_checked"].kind, Json::kNothing);
}

TEST_F(ProcessLog, NoSummaryComesUnaskedOrInASandbox) {
  rf_forbidden_calls = RF_CALL_OPEN;
  end();
  EXPECT_EQ(world.written, "");
  rf_forbidden_calls = 0;
  rf_process.options.summary = false;
  end();
  rf_process_log_begin();
  rf_process_log_resumed();
  rf_process_log_unchecked(1, "p", "static", 1);
  EXPECT_EQ(world.written, "");
  EXPECT_EQ(world.said, "");
}

TEST_F(ProcessLog, AChildCountsWhatIsItsOwn) {
  rf_process_log_forked();
  EXPECT_EQ(rf_process_log_allocations(), 0U);
  grow(3);
  rf_process.options.verbosity = 1;
  end("status", &kLeaks, nullptr, 4);
  Json const line = lines().at(0);
  EXPECT_EQ(line["allocations"].number, 210);
  EXPECT_EQ(line["bytes"].number, 18800);
  EXPECT_EQ(line["peak"].number, 21210) << "its memory has the parent's blocks in it";
  EXPECT_EQ(line["live_blocks"].number, 39);
  EXPECT_EQ(line["unpaged_blocks"].number, 6);
  EXPECT_EQ(world.said, "ringfence: process 4711 ends: allocations 210, bytes 18800, peak 21210, findings 4, "
                        "blocks without pages 6, leaked blocks not listed 23\n");
  rf_process_log_forked();
  end();
  EXPECT_EQ(world.said, "ringfence: process 4711 ends: allocations 0, bytes 0, peak 21210, findings 0\n");
}

TEST_F(ProcessLog, ALineHasRoomForTheLongestPath) {
  world.path = std::string(1000, '\1');
  end("status", &kLeaks, "no time", 4);
  EXPECT_EQ(lines().at(0)["program"].text.size(), 6 * world.path.size()) << "each character escaped";
  EXPECT_EQ(lines().at(0)["blocks_unchecked_because"].text, "no time");
}

// ---- Other lines ----

TEST_F(ProcessLog, TheBeginningAndOtherProgramsHaveLinesOfTheirOwn) {
  rf_process_log_begin();
  rf_process_log_unchecked(12, "/bin/other", "static", 34);
  rf_process_log_unchecked(13, nullptr, "under a tool", 35);
  rf_process_log_resumed();
  std::vector<Json> const all = lines();
  ASSERT_EQ(all.size(), 4U);
  EXPECT_EQ(all[0]["type"].text, "start");
  EXPECT_EQ(all[0]["time_ns"].number, 50000);
  EXPECT_EQ(all[0]["pid"].number, 4711);
  EXPECT_EQ(all[1]["type"].text, "unchecked");
  EXPECT_EQ(all[1]["pid"].number, 12);
  EXPECT_EQ(all[1]["time_ns"].number, 34) << "before it was started";
  EXPECT_EQ(all[1]["program"].text, "/bin/other");
  EXPECT_EQ(all[1]["because"].text, "static");
  EXPECT_EQ(all[2]["program"].text, "/bin/\"program") << "this one";
  EXPECT_EQ(all[3]["type"].text, "resumed");
  EXPECT_EQ(all[3]["pid"].number, 4711);
  EXPECT_EQ(all[3]["time_ns"].number, 50000);
  EXPECT_EQ(world.said, "");
}

TEST_F(ProcessLog, TheBeginningIsSaidWithWhatHolds) {
  rf_process.options.summary = false;
  rf_process.options.verbosity = 1;
  rf_process.checked = true;
  rf_process.options.quarantine = 64;
  rf_process.options.fill = 32;
  rf_process.options.stack_depth = 9;
  std::strcpy(rf_steering_now.rules, "3,7");
  rf_process_log_begin();
  EXPECT_EQ(world.said, "ringfence: process 4711 begins: mode guard, policy rules 3,7, quarantine 64, fill 32, "
                        "stack_depth 9\n");
  world.said.clear();
  rf_steering_now.rules[0] = '\0';
  rf_process.checked = false;
  rf_process.options.mode = RF_MODE_SAMPLE;
  rf_process.options.sample_rate = 5;
  rf_process.options.sample_slots = 6;
  rf_process_log_begin();
  EXPECT_EQ(world.said, "ringfence: process 4711 begins: mode sample, sample_rate 5, sample_slots 6\n");
  world.said.clear();
  rf_process.options.mode = RF_MODE_PAGE;
  rf_process.options.closed = 8;
  rf_process_log_begin();
  EXPECT_EQ(world.said, "ringfence: process 4711 begins: mode page, closed 8\n");
}

TEST_F(ProcessLog, SuppressionsThatHidSomethingAreListed) {
  suppress("leak:one\nleak:two\n");
  rules_[1].used = 3;
  rules_[1].bytes = 40;
  end();
  std::vector<Json> const all = lines();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0]["type"].text, "suppression");
  EXPECT_EQ(all[0]["pid"].number, 4711);
  EXPECT_NE(all[0]["rule"].text.find("two"), std::string::npos);
  EXPECT_EQ(all[0]["count"].number, 3);
  EXPECT_EQ(all[0]["bytes"].number, 40);
  rf_process.options.format = RF_FORMAT_TEXT;
  rf_process.options.summary = false;
  end();
  EXPECT_NE(world.written.find("two"), std::string::npos);
  EXPECT_EQ(world.written.find("one"), std::string::npos);
  rf_process_log_forked();
  EXPECT_EQ(rules_[1].used, 0U) << "the parent's";
  EXPECT_EQ(rules_[1].bytes, 0U);
  end();
  EXPECT_EQ(world.written, "");
}

// ---- The collector ----

TEST_F(ProcessLog, ACollectorIsToldOfTheRun) {
  be_new();
  rf_leak_summary leaks = kLeaks;
  leaks.why = "no list";
  end("status", &leaks, "no time", 4);
  ASSERT_EQ(world.runs.size(), 1U);
  const rf_collector_run &run = world.runs[0];
  EXPECT_EQ(run.duration_ns, 30000U);
  EXPECT_EQ(run.allocations, 105U);
  EXPECT_EQ(run.bytes, 9400U);
  EXPECT_EQ(run.peak, 7070U);
  EXPECT_EQ(run.findings, 4U);
  EXPECT_STREQ(run.leaks_unchecked, "no list");
  EXPECT_STREQ(run.blocks_unchecked, "no time");
  EXPECT_STREQ(run.exit, "status");
  EXPECT_EQ(run.number, 5);
  EXPECT_FALSE(run.continued);
  EXPECT_EQ(world.patience, std::vector<unsigned>{200});
}

// Its runs add up.
TEST_F(ProcessLog, ACollectorIsToldOfARunThatGoesOnPartByPart) {
  be_new();
  rf_process.findings = 2;
  errno = 77;
  rf_process_log_running();
  EXPECT_EQ(errno, 77);
  EXPECT_FALSE(world.cancellable);
  int state = 0;
  ASSERT_EQ(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state), 0);
  EXPECT_EQ(state, PTHREAD_CANCEL_ENABLE);
  grow(4);
  world.now = 60000;
  end("status", nullptr, nullptr, 7);
  ASSERT_EQ(world.runs.size(), 2U);
  EXPECT_STREQ(world.runs[0].exit, "running");
  EXPECT_EQ(world.runs[0].findings, 2U);
  EXPECT_EQ(world.runs[0].allocations, 105U);
  EXPECT_EQ(world.runs[1].duration_ns, 10000U);
  EXPECT_EQ(world.runs[1].allocations, 315U);
  EXPECT_EQ(world.runs[1].bytes, 28200U);
  EXPECT_EQ(world.runs[1].findings, 5U);
  EXPECT_TRUE(world.runs[1].continued);
  EXPECT_EQ(world.patience, (std::vector<unsigned>{0, 200})) << "nobody waits while it runs";
}

TEST_F(ProcessLog, WhatCouldNotBeToldIsToldNextTime) {
  be_new();
  world.told = false;
  rf_process_log_running();
  world.told = true;
  end();
  ASSERT_EQ(world.runs.size(), 2U);
  EXPECT_EQ(world.runs[1].allocations, 105U);
  EXPECT_EQ(world.runs[1].duration_ns, 30000U);
  EXPECT_FALSE(world.runs[1].continued);
}

TEST_F(ProcessLog, AChildTellsOfItselfAndNotOfItsParent) {
  be_new();
  rf_process_log_running();
  *world.flag = true; // another thread was telling as it was forked
  world.process++;
  rf_process_log_forked();
  rf_process.start_ns = 45000;
  grow(2);
  end("signal", nullptr, nullptr, 1);
  ASSERT_EQ(world.runs.size(), 2U);
  EXPECT_EQ(world.runs[1].duration_ns, 5000U);
  EXPECT_EQ(world.runs[1].allocations, 105U);
  EXPECT_EQ(world.runs[1].bytes, 9400U);
  EXPECT_EQ(world.runs[1].findings, 1U);
  EXPECT_FALSE(world.runs[1].continued);
}

TEST_F(ProcessLog, NobodyIsToldWhereAnotherTellsItOrNobodyListens) {
  end(nullptr);
  EXPECT_TRUE(world.runs.empty()) << "the copy behind an exec tells of it";
  world.claims = false;
  rf_process_log_running();
  end();
  EXPECT_TRUE(world.runs.empty());
  EXPECT_EQ(lines().size(), 1U) << "the summary comes all the same";
  world.claims = true;
  world.has_collector = false;
  rf_process_log_running();
  EXPECT_TRUE(world.runs.empty());
  world.has_collector = true;
  end();
  EXPECT_EQ(world.runs.size(), 1U) << "the right to tell was given back";
  end();
  EXPECT_EQ(world.runs.size(), 2U);
}

} // namespace
} // namespace ringfence_test
