// The defaults of checkers and of options are those of the headers and the docs.
#include <ringfence/guard.h>
#include <ringfence/handle_guard.h>
#include <ringfence/options.h>
#include <ringfence/page.h>
#include <ringfence/sample.h>

#include "tests/checkers/option_numbers.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace ringfence {
namespace {

// The figures are those of the headers and docs, whatever was there before.
TEST(Defaults, OfCheckersAreAsDocumented) {
  rf_guard_options guard;
  std::memset(&guard, 0xA5, sizeof guard);
  rf_guard_options_default(&guard);
  rf_page_options page;
  std::memset(&page, 0xA5, sizeof page);
  rf_page_options_default(&page);
  rf_sample_options sample;
  std::memset(&sample, 0xA5, sizeof sample);
  rf_sample_options_default(&sample);
  rf_handle_guard_options handles;
  std::memset(&handles, 0xA5, sizeof handles);
  rf_handle_guard_options_default(&handles);
  for (const rf_guard_options &g : {guard, page.guarded}) {
    EXPECT_EQ(g.quarantine, size_t{512} << 10);
    EXPECT_EQ(g.fill_alloc, 4096U);
    EXPECT_EQ(g.fill_free, size_t{64} << 10);
    EXPECT_EQ(g.move_below, 4096U);
    EXPECT_EQ(g.stack_depth, 0U);
    EXPECT_EQ(g.depot, nullptr);
    EXPECT_EQ(g.reporter, nullptr);
    EXPECT_TRUE(g.sweep_at_deinit);
    EXPECT_FALSE(g.leaks_at_deinit || g.watched);
  }
  EXPECT_EQ(page.side, RF_PAGE_BOTH);
  EXPECT_EQ(page.quarantine, sizeof(void *) == 8 ? size_t{1} << 30 : size_t{64} << 20);
  EXPECT_EQ(page.memory + page.seed + page.stack_depth, 0U);
  EXPECT_EQ(page.fill_alloc, 4096U);
  EXPECT_EQ(page.reporter, nullptr);
  EXPECT_TRUE(page.sweep_at_deinit);
  EXPECT_FALSE(page.leaks_at_deinit);
  EXPECT_EQ(sample.rate, 5000U);
  EXPECT_EQ(sample.slots, 64U);
  EXPECT_EQ(sample.largest, size_t{64} << 10);
  EXPECT_EQ(sample.side, RF_PAGE_BOTH);
  EXPECT_EQ(handles.quarantine, size_t{256} << 10);
  EXPECT_TRUE(handles.move && handles.leaks_at_deinit && handles.sweep_at_deinit);
  EXPECT_EQ(handles.reporter, nullptr);
}

struct Size {
  const char *name;
  size_t value;
};

bool operator==(const Size &a, const Size &b) {
  return std::string(a.name) == b.name && a.value == b.value;
}

const std::vector<Size> kSizesOnHosts = {
#define RF_HOSTED(hosted, board) (hosted)
#define RF_OPTION_SIZE(name, value, help) {#name, (value)},
#include <ringfence/options.inc>
};

#undef RF_HOSTED
const std::vector<Size> kSizesOnBoards = {
#define RF_HOSTED(hosted, board) (board)
#define RF_OPTION_SIZE(name, value, help) {#name, (value)},
#include <ringfence/options.inc>
};

// As docs/checkers/options.md has them: on hosts, and on boards.
TEST(Defaults, OfOptionsAreAsDocumented) {
  EXPECT_EQ(kSizesOnHosts, (std::vector<Size>{{"quarantine", 524288},
                                              {"fill", 65536},
                                              {"fill_alloc", 4096},
                                              {"move_below", 4096},
                                              {"closed", sizeof(void *) == 8 ? 1073741824U : 67108864U},
                                              {"page_memory", 0}}));
  EXPECT_EQ(kSizesOnBoards, (std::vector<Size>{{"quarantine", 1024},
                                               {"fill", SIZE_MAX},
                                               {"fill_alloc", 64},
                                               {"move_below", 0},
                                               {"closed", sizeof(void *) == 8 ? 1073741824U : 67108864U},
                                               {"page_memory", 0}}));
  constexpr unsigned kAny = 4294967295U;
  EXPECT_EQ(kNumbers, (std::vector<Number>{{"exitcode", 99, 0, 255},
                                           {"stack_depth", 0, 0, 32},
                                           {"order_seed", 0, 0, kAny},
                                           {"sweep_every", 0, 0, kAny},
                                           {"sweep_budget", 1000, 1, 1000000},
                                           {"sample_rate", 5000, 1, 16777216},
                                           {"sample_slots", 64, 1, 65536},
                                           {"sample_seed", 0, 0, kAny},
                                           {"watch", 0, 0, 16777216},
                                           {"raise", 1, 1, 64},
                                           {"page_seed", 0, 0, kAny},
                                           {"page_time", 100, 1, 100},
                                           {"max_findings", 1000, 0, kAny},
                                           {"verbosity", 0, 0, 1},
                                           {"snapshot_every", 0, 0, 1000000},
                                           {"collector_first", 3, 0, kAny}}));
}

} // namespace
} // namespace ringfence
