// Which findings a baseline knows: as many of a fingerprint, and of leaks as many blocks, as it has.
#include "tools/ringfence/model/baseline.h"

#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace {

class Baseline : public testing::Test {
protected:
  ~Baseline() override { rf_bump_arena_free(&arena_); }

  void read(const std::string &lines) {
    text_ = "# Ringfence baseline, version 4\n" + lines;
    ASSERT_EQ(rf_baseline_parse(&baseline_, &arena_, "known", text_.data(), text_.size()), nullptr);
  }

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

private:
  rf_bump_arena arena_ = {nullptr};
  std::string text_;
};

TEST_F(Baseline, KnowsAsManyFindingsAsItHas) {
  read("0123456789abcdef 2 double-free\n");
  EXPECT_EQ(known(RF_BUG_DOUBLE_FREE, {0, 0, 0}), (std::vector<bool>{true, true, false}));
  EXPECT_EQ(rf_baseline_unmet(&baseline_), 0U);
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
}

} // namespace
