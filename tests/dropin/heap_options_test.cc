// The options of the drop-in's heap, and how many heaps there are.
#include "tests/dropin/heap_alone.h"

#include <functional>
#include <utility>
#include <vector>

namespace ringfence_test {
namespace {

TEST(DropinHeapOptions, AreThoseOfAGuard) {
  EXPECT_FALSE(rf_heap_options_of(nullptr).checked);
  rf_guard_options o;
  rf_guard_options_default(&o);
  rf_stack_depot depot;
  rf_reporter reporter;
  o.fill_alloc = 77;
  o.move_below = 88;
  o.stack_depth = 9;
  o.depot = nullptr;
  o.reporter = &reporter;
  rf_heap_options made = rf_heap_options_of(&o);
  EXPECT_TRUE(made.checked);
  EXPECT_EQ(made.fill_alloc, 77U);
  EXPECT_EQ(made.move_below, 88U);
  EXPECT_EQ(made.stack_depth, 0U); // without a depot callers alone are known
  EXPECT_EQ(made.reporter, &reporter);
  o.depot = &depot;
  made = rf_heap_options_of(&o);
  EXPECT_EQ(made.stack_depth, 9U);
  EXPECT_EQ(made.depot, &depot);
}

// One frame is what is known without stacks.
TEST(DropinHeapOptions, OfOneFrameKeepCallersAlone) {
  rf_heap_options const before = rf_heap_options_now;
  rf_stack_depot depot;
  rf_heap_options o = {};
  o.depot = &depot;
  for (unsigned const depth : {0U, 1U, 2U, 12U}) {
    o.stack_depth = depth;
    rf_heap_configure(&o);
    EXPECT_EQ(rf_heap_options_now.stack_depth, depth > 1 ? depth : 0U);
  }
  rf_heap_configure(&before);
}

TEST(DropinHeapOptions, SayHowLongABlockWaits) {
  const std::vector<std::pair<size_t, size_t>> kWaits = {
      {0, 0},           {1000, 500},           {kMiB, kMiB / 2}, {2 * kMiB, kMiB / 2}, {4 * kMiB, kMiB / 2},
      {8 * kMiB, kMiB}, {64 * kMiB, 8 * kMiB},
  };
  for (const auto &[quarantine, wait] : kWaits) {
    rf_guard_options o;
    rf_guard_options_default(&o);
    o.quarantine = quarantine;
    EXPECT_EQ(rf_heap_options_of(&o).quarantine, quarantine);
    EXPECT_EQ(rf_heap_options_of(&o).wait, wait) << quarantine;
  }
}

TEST(DropinHeapOptions, AFillHasNoFewerBytesThanAStore) {
  const std::vector<std::pair<size_t, size_t>> kFills = {{0, 0}, {1, 16}, {15, 16}, {16, 16}, {17, 17}, {5000, 5000}};
  for (const auto &[asked, fill] : kFills) {
    rf_guard_options o;
    rf_guard_options_default(&o);
    o.fill_free = asked;
    EXPECT_EQ(rf_heap_options_of(&o).fill_free, fill) << asked;
  }
}

TEST(DropinHeapOptions, LetTheShortWayServeWhatIsFilledAsAWholeAndWaits) {
  heap_alone([] {
    rf_heap_options all{};
    all.checked = true;
    all.quarantine = kMiB;
    all.wait = 100;
    all.fill_alloc = RF_FAST_MOST;
    all.fill_free = RF_FAST_MOST;
    auto const most = [](rf_heap_options o, const std::function<void(rf_heap_options &)> &change) {
      rf_heap_options changed = o;
      change(changed);
      rf_heap_configure(&changed);
      EXPECT_EQ(rf_cache_wait_now(), changed.wait);
      return rf_heap_options_now.fast_most;
    };
    EXPECT_EQ(most(all, [](rf_heap_options &) {}), RF_FAST_MOST);
    EXPECT_EQ(most(all, [](rf_heap_options &o) { o.fill_free = SIZE_MAX; }), RF_FAST_MOST);
    EXPECT_EQ(most(all, [](rf_heap_options &o) { o.checked = false; }), 0U);
    EXPECT_EQ(most(all, [](rf_heap_options &o) { o.wait = 0; }), 0U);
    EXPECT_EQ(most(all, [](rf_heap_options &o) { o.fill_alloc--; }), RF_FAST_MOST - 1);
    EXPECT_EQ(most(all, [](rf_heap_options &o) { o.fill_free--; }), RF_FAST_MOST - 1);
    EXPECT_EQ(most(all, [](rf_heap_options &o) { o.fill_free = RF_FAST_LEAST; }), RF_FAST_LEAST);
    EXPECT_EQ(most(all, [](rf_heap_options &o) { o.fill_alloc = RF_FAST_LEAST - 1; }), 0U);
  });
}

TEST(DropinHeaps, AreAsManyAsProcessorsWithinBounds) {
  heap_alone([] {
    const std::vector<std::pair<unsigned, unsigned>> kCounts = {{1, 4}, {4, 4}, {5, 5}, {8, 8}, {9, 8}, {500, 8}};
    for (const auto &[cores, heaps] : kCounts) {
      rf_heap_init(cores);
      EXPECT_EQ(rf_heap_count, heaps) << cores;
    }
  });
}

} // namespace
} // namespace ringfence_test
