// Tables of live blocks by call site: read from the library's lines, subtracted, and paired with the one before.
#include "tools/ringfence/model/snapshot.h"

#include <ctime>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <vector>

namespace {

class SnapshotTable : public testing::Test {
protected:
  ~SnapshotTable() override { rf_bump_arena_free(&arena_); }

  rf_snapshot_table *read(std::string text) {
    size_t const length = text.size();
    lines_.push_back(std::make_unique<std::string>(std::move(text)));
    const rf_json *const line = rf_json_parse(&arena_, lines_.back()->data(), length);
    EXPECT_NE(line, nullptr) << *lines_.back();
    return rf_snapshot_table_read(&arena_, line);
  }

  // A call site of module `m`, by its offset.
  static std::string site(int offset, int64_t blocks, int64_t bytes) {
    return R"({"allocated":{"frames":[{"module":"m","offset":)" + std::to_string(offset) +
           R"(,"pc":4096}]},"blocks":)" + std::to_string(blocks) + R"(,"bytes":)" + std::to_string(bytes) + "}";
  }

  rf_snapshot_table *table(const std::string &head, const std::vector<std::string> &sites) {
    std::string text = R"({"type":"snapshot",)" + head + R"("sites":[)";
    for (size_t i = 0; i < sites.size(); i++) {
      text += (i == 0 ? "" : ",") + sites[i];
    }
    return read(text + "]}");
  }

  // "offset:blocks:bytes ..." in the order of the rows.
  static std::string rows(const rf_snapshot_table *t) {
    std::string text;
    for (size_t i = 0; i < t->count; i++) {
      const rf_snapshot_row &row = t->rows[i];
      text += (i == 0 ? "" : " ") + std::to_string(row.origin->allocated.frames[0].offset) + ":" +
              std::to_string(row.blocks) + ":" + std::to_string(row.bytes);
    }
    return text;
  }

  std::string compared(std::vector<rf_snapshot_table *> tables) {
    size_t count = tables.size();
    rf_snapshot_table **const found = rf_snapshot_tables_compare(&arena_, tables.data(), &count);
    std::string text;
    for (size_t i = 0; i < count; i++) {
      text += std::string(i == 0 ? "" : " ") + found[i]->name;
      text += found[i]->since != nullptr ? std::string("-") + found[i]->since : "";
    }
    return text;
  }

  rf_bump_arena arena_ = {nullptr};
  std::vector<std::unique_ptr<std::string>> lines_;
};

TEST_F(SnapshotTable, IsReadWhole) {
  const rf_snapshot_table *const t = table(R"("name":"n","since":"s","allocator":"a","pid":7,"time_ns":12,"blocks":9,)"
                                           R"("bytes":99,"omitted_blocks":3,)",
                                           {site(1, 2, 20), site(2, 3, 30)});
  EXPECT_STREQ(t->name, "n");
  EXPECT_STREQ(t->since, "s");
  EXPECT_STREQ(t->allocator, "a");
  EXPECT_EQ(t->process, 7U);
  EXPECT_EQ(t->time_ns, 12U);
  EXPECT_EQ(t->blocks, 9);
  EXPECT_EQ(t->bytes, 99);
  EXPECT_EQ(t->omitted, 3U);
  EXPECT_EQ(rows(t), "2:3:30 1:2:20");
}

TEST_F(SnapshotTable, OfNothingIsEmpty) {
  const rf_snapshot_table *const t = read(R"({"type":"snapshot"})");
  EXPECT_STREQ(t->name, "snapshot");
  EXPECT_EQ(t->since, nullptr);
  EXPECT_EQ(t->allocator, nullptr);
  EXPECT_EQ(t->process, 0U);
  EXPECT_EQ(t->time_ns, 0U);
  EXPECT_EQ(t->blocks, 0);
  EXPECT_EQ(t->bytes, 0);
  EXPECT_EQ(t->omitted, 0U);
  EXPECT_EQ(t->count, 0U);
}

// Growth first, the largest in front; then what shrank, the largest in front; equal bytes by blocks, whatever the sign.
TEST_F(SnapshotTable, HasItsRowsInOrder) {
  EXPECT_EQ(rows(table("", {site(1, 1, 10), site(2, 1, -5), site(3, 1, 300), site(4, 1, -500), site(5, 1, 0)})),
            "3:1:300 1:1:10 5:1:0 4:1:-500 2:1:-5");
  EXPECT_EQ(rows(table("", {site(1, 2, 10), site(2, -9, 10), site(3, 5, 10)})), "2:-9:10 3:5:10 1:2:10");
  EXPECT_EQ(rows(table("", {site(1, 1, -1), site(2, 1, 1)})), "2:1:1 1:1:-1");
  EXPECT_EQ(rows(table("", {site(1, 1, 0), site(2, 1, -1)})), "1:1:0 2:1:-1");
  EXPECT_EQ(rows(table("", {site(2, 1, -1), site(1, 1, 0)})), "1:1:0 2:1:-1");
}

// Even the difference of differences of two such numbers fits.
TEST_F(SnapshotTable, BoundsNumbersThatAreMadeUp) {
  int64_t const most = INT64_MAX / 8;
  const rf_snapshot_table *const t =
      table(R"("blocks":9223372036854775807,"bytes":-9223372036854775808,)",
            {site(1, INT64_MAX, INT64_MAX), site(2, most, most), site(3, most - 1, -most + 1), site(4, -most - 1, 3)});
  EXPECT_EQ(t->blocks, most);
  EXPECT_EQ(t->bytes, -most);
  std::string const m = std::to_string(most);
  std::string const less = std::to_string(most - 1);
  EXPECT_EQ(rows(t), "1:" + m + ":" + m + " 2:" + m + ":" + m + " 4:-" + m + ":3 3:" + less + ":-" + less);
}

TEST_F(SnapshotTable, LessAnEarlierOneIsWhatChanged) {
  const rf_snapshot_table *const earlier =
      table(R"("name":"one","blocks":20,"bytes":200,"omitted_blocks":1,)",
            {site(1, 5, 50), site(2, 6, 60), site(3, 7, 70), site(4, 8, 80), site(6, 1, 9)});
  const rf_snapshot_table *const later =
      table(R"("name":"two","allocator":"a","pid":3,"time_ns":8,"blocks":31,"bytes":333,"omitted_blocks":4,)",
            {site(1, 5, 50), site(2, 8, 90), site(3, 7, 71), site(5, 1, 11), site(6, 3, 9)});
  const rf_snapshot_table *const t = rf_snapshot_table_since(&arena_, earlier, later);
  EXPECT_STREQ(t->name, "two");
  EXPECT_STREQ(t->since, "one");
  EXPECT_STREQ(t->allocator, "a");
  EXPECT_EQ(t->process, 3U);
  EXPECT_EQ(t->time_ns, 8U);
  EXPECT_EQ(t->blocks, 11);
  EXPECT_EQ(t->bytes, 133);
  EXPECT_EQ(t->omitted, 5U);
  EXPECT_EQ(rows(t), "2:2:30 5:1:11 3:0:1 6:2:0 4:-8:-80");
  EXPECT_EQ(rows(later), "2:8:90 3:7:71 1:5:50 5:1:11 6:3:9") << "they are as before";
}

TEST_F(SnapshotTable, TellsCallSitesApart) {
  auto const frames = [](const std::string &text) {
    return R"({"allocated":{"frames":[)" + text + R"(]},"blocks":1,"bytes":1})";
  };
  auto const named = [](const std::string &file, int line, const std::string &function) {
    return R"({"allocated":{"site":{"file":")" + file + R"(","line":)" + std::to_string(line) + R"(,"function":")" +
           function + R"("}},"blocks":1,"bytes":1})";
  };
  std::vector<std::string> const sites = {
      frames(""),
      frames(R"({"module":"m","offset":1,"pc":5})"),
      frames(R"({"module":"m","offset":2,"pc":5})"),
      frames(R"({"module":"k","offset":1,"pc":5})"),
      frames(R"({"pc":5})"),
      frames(R"({"pc":6})"),
      frames(R"({"module":"m","offset":1,"pc":5},{"module":"m","offset":9,"pc":5})"),
      frames(R"({"module":"m","offset":1,"pc":5},{"module":"m","offset":8,"pc":5})"),
      named("f.c", 3, "g"),
      named("f.c", 4, "g"),
      named("e.c", 3, "g"),
      named("f.c", 3, "h"),
  };
  for (size_t i = 0; i < sites.size(); i++) {
    for (size_t k = 0; k < sites.size(); k++) {
      const rf_snapshot_table *const t = rf_snapshot_table_since(&arena_, table("", {sites[i]}), table("", {sites[k]}));
      EXPECT_EQ(t->count, i == k ? 0U : 2U) << sites[i] << " and " << sites[k];
    }
  }
  // Loaded elsewhere: the offset counts.
  const rf_snapshot_table *const moved =
      rf_snapshot_table_since(&arena_, table("", {frames(R"({"module":"m","offset":1,"pc":5})")}),
                              table("", {frames(R"({"module":"m","offset":1,"pc":900})")}));
  EXPECT_EQ(moved->count, 0U);
}

// Stacks that differ in the callers of main alone are one call site.
TEST_F(SnapshotTable, AddsRowsOfOneCallSiteUp) {
  const rf_snapshot_table *const same = rf_snapshot_table_since(&arena_, table("", {site(1, 2, 20), site(1, 3, 30)}),
                                                                table("", {site(1, 4, 40), site(1, 1, 10)}));
  EXPECT_EQ(rows(same), "");
  const rf_snapshot_table *const more = rf_snapshot_table_since(
      &arena_, table("", {site(1, 2, 20), site(2, 1, 5)}), table("", {site(1, 4, 40), site(1, 1, 10), site(2, 1, 5)}));
  EXPECT_EQ(rows(more), "1:3:30");
}

TEST_F(SnapshotTable, IsSubtractedInATimeThatGrowsAsItsRows) {
  const auto seconds = [this](int count) {
    std::vector<std::string> sites;
    sites.reserve((size_t)count);
    for (int i = 0; i < count; i++) {
      sites.push_back(site(i, 1, i));
    }
    const rf_snapshot_table *const earlier = table("", sites);
    sites[0] = site(0, 2, 0);
    const rf_snapshot_table *const later = table("", sites);
    const std::clock_t start = std::clock();
    const rf_snapshot_table *const t = rf_snapshot_table_since(&arena_, earlier, later);
    const double taken = (double)(std::clock() - start) / CLOCKS_PER_SEC;
    EXPECT_EQ(rows(t), "0:1:0");
    return taken;
  };
  EXPECT_LT(seconds(20000), 30 * seconds(2000) + 0.2) << "quadratic would be 100 times as long";
}

TEST_F(SnapshotTable, IsComparedWithTheOneBeforeOfItsKind) {
  rf_snapshot_table *const a1 = table(R"("name":"a1","allocator":"a","pid":1,)", {});
  rf_snapshot_table *const a2 = table(R"("name":"a2","allocator":"a","pid":1,)", {});
  rf_snapshot_table *const a3 = table(R"("name":"a3","allocator":"a","pid":1,)", {});
  rf_snapshot_table *const b1 = table(R"("name":"b1","allocator":"b","pid":1,)", {});
  rf_snapshot_table *const c1 = table(R"("name":"c1","allocator":"a","pid":2,)", {});
  rf_snapshot_table *const d1 = table(R"("name":"d1","pid":1,)", {});
  rf_snapshot_table *const d2 = table(R"("name":"d2","pid":1,)", {});
  rf_snapshot_table *const own = table(R"("name":"a2","since":"a0","allocator":"a","pid":1,)", {});
  rf_snapshot_table *const others = table(R"("name":"a2","since":"a0","allocator":"b","pid":1,)", {});
  EXPECT_EQ(compared({}), "");
  EXPECT_EQ(compared({a1}), "a1");
  EXPECT_EQ(compared({a1, a2}), "a1 a2 a2-a1");
  EXPECT_EQ(compared({a1, a2, a3}), "a1 a2 a2-a1 a3 a3-a2");
  EXPECT_EQ(compared({a1, b1, c1, d1, a2}), "a1 b1 c1 d1 a2 a2-a1");
  EXPECT_EQ(compared({d1, a1, d2}), "d1 a1 d2 d2-d1");
  EXPECT_EQ(compared({a1, own, a3}), "a1 a2-a0 a3 a3-a1");
  EXPECT_EQ(compared({a1, a2, own}), "a1 a2 a2-a0") << "the program's own";
  EXPECT_EQ(compared({a1, a2, others}), "a1 a2 a2-a1 a2-a0");
}

} // namespace
