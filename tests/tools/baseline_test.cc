// The findings that a baseline knows: as many of a fingerprint, and of leaks as many blocks, as it has.
#include "tests/core/text_sink.h"
#include "tools/ringfence/model/baseline.h"

#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace {

class Baseline : public testing::Test {
protected:
  ~Baseline() override { rf_bump_arena_free(&arena_); }

  // The fault of the baseline; "" if there is none.
  std::string wrong_with(const std::string &lines) {
    text_ = "# Ringfence baseline, version 5\n" + lines;
    const char *const wrong = rf_baseline_parse(&baseline_, &arena_, "known", text_.data(), text_.size());
    return wrong != nullptr ? wrong : "";
  }

  void read(const std::string &lines) { ASSERT_EQ(wrong_with(lines), ""); }

  // A baseline of findings of the fingerprint "f", leaks of so many blocks each.
  std::vector<bool> known(rf_bug bug, const std::vector<unsigned> &blocks) {
    std::vector<bool> all;
    records_ = std::vector<rf_record>(blocks.size());
    std::vector<rf_record *> list;
    for (size_t i = 0; i < blocks.size(); i++) {
      records_[i].fingerprint = "0123456789abcdef";
      records_[i].finding.bug = bug;
      records_[i].finding.blocks = blocks[i];
      list.push_back(&records_[i]);
    }
    size_t const count = rf_baseline_apply(&baseline_, list.data(), list.size());
    size_t met = 0;
    for (const rf_record &record : records_) {
      all.push_back(record.known);
      met += record.known ? 1 : 0;
    }
    EXPECT_EQ(count, met);
    return all;
  }

  rf_baseline baseline_ = {};
  std::vector<rf_record> records_;

  rf_bump_arena arena_ = {nullptr};

private:
  std::string text_;
};

TEST_F(Baseline, KnowsAsManyFindingsAsItHas) {
  read("0123456789abcdef 2 double-free\n");
  EXPECT_EQ(known(RF_BUG_DOUBLE_FREE, {0, 0, 0}), (std::vector<bool>{true, true, false}));
  EXPECT_EQ(rf_baseline_unmet(&baseline_), 0U);
}

TEST_F(Baseline, AFingerprintHasSixteenDigits) {
  for (const std::string line : {"0123456789abcde 1 x", "0123456789abcdef0 1 x", "0123456789ABCDEF 1 x"}) {
    EXPECT_EQ(wrong_with(line + "\n"), "known:2: not a line of a baseline: " + line);
  }
}

TEST_F(Baseline, LinesMayEndAsOnWindows) {
  read("\r\n0123456789abcdef 1\r\n\r\n# more\r\n");
  EXPECT_EQ(known(RF_BUG_DOUBLE_FREE, {0, 0}), (std::vector<bool>{true, false}));
}

TEST_F(Baseline, ANumberHasEighteenDigitsAtMost) {
  for (const std::string start : {"0123456789abcdef ", "0123456789abcdef 1:"}) {
    EXPECT_EQ(wrong_with(start + "999999999999999999 memory-leak\n"), "");
    EXPECT_EQ(wrong_with(start + "1000000000000000000 memory-leak\n"),
              "known:2: not a line of a baseline: " + start + "1000000000000000000 memory-leak");
  }
}

// Two functions of one name, in two files: a line is of one of them, and names it.
TEST_F(Baseline, OfOneFingerprintThePlaceThatComesFirstIsWritten) {
  const auto found_in = [this](const std::string &path) {
    const std::string line = R"({"type":"finding","bug":"double-free","found":{"frames":[{"pc":1,"function":"drop",)"
                             R"("file":")" +
                             path + R"(","line":3}]}})";
    rf_record *const record = rf_record_read(&arena_, rf_json_parse(&arena_, line.data(), line.size()));
    record->fingerprint = "0123456789abcdef";
    return record;
  };
  rf_record *const one = found_in("/src/a.c");
  rf_record *const other = found_in("/src/b.c");
  for (const std::vector<rf_record *> &records : {std::vector{one, other}, std::vector{other, one}}) {
    std::string text;
    const rf_sink sink = ringfence::sink_to(&text);
    rf_baseline_put(&arena_, records.data(), records.size(), &sink);
    EXPECT_NE(text.find("0123456789abcdef 2 double-free drop /src/a.c"), std::string::npos) << text;
  }
}

TEST_F(Baseline, HasPlacesByPathsInTheFolderOfTheSources) {
  const std::string line = R"({"type":"finding","bug":"double-free","found":{"frames":[{"pc":1,"function":"drop",)"
                           R"("file":"/home/me/src/a.c","line":3}]}})";
  rf_record *record = rf_record_read(&arena_, rf_json_parse(&arena_, line.data(), line.size()));
  record->fingerprint = "0123456789abcdef";
  record->directory = "/home/me";
  std::string text;
  const rf_sink sink = ringfence::sink_to(&text);
  rf_baseline_put(&arena_, &record, 1, &sink);
  EXPECT_NE(text.find("\n0123456789abcdef 1 double-free drop src/a.c\n"), std::string::npos) << text;
}

TEST_F(Baseline, LeaksShareTheBlocksThatItHas) {
  read("0123456789abcdef 2:5 memory-leak\n");
  EXPECT_EQ(known(RF_BUG_LEAK, {2, 3}), (std::vector<bool>{true, true}));
}

TEST_F(Baseline, ALeakThatHasGrownLeavesNoBlocksForTheNext) {
  read("0123456789abcdef 3:5 memory-leak\n");
  EXPECT_EQ(known(RF_BUG_LEAK, {2, 4, 1}), (std::vector<bool>{true, false, false}));
  EXPECT_EQ(records_[1].known_blocks, 3U);
  EXPECT_EQ(records_[2].known_blocks, 0U);
  EXPECT_EQ(rf_baseline_unmet(&baseline_), 0U) << "one that has grown was met";
}

} // namespace
