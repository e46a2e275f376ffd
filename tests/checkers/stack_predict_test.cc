// The stack after the last two: what is expected, when that is tried, and that it is compared like any other guess.
#include "tests/checkers/stack_guess_fixture.h"

#if RF_STACK_RULES

#include <random>
#include <vector>

namespace ringfence {
namespace {

class StackPredict : public StackGuess {
protected:
  StackPredict() {
    // Two stacks whose successors are in different places of a third one's.
    stacks_.push_back(make());
    do {
      stacks_.push_back(make());
    } while (rf_stack_way(stacks_.back()) == rf_stack_way(stacks_[0]));
    stacks_ = {make(), stacks_.back(), stacks_[0], make()};
    predictor_.trust = RF_TRUST_MOST;
  }

  uint32_t make() {
    rf_stack_layout const layout = stack_at({1, 4, 8});
    frames_[2] = stack_words[8] = 0x40000 + last_word_++;
    return put(layout);
  }

  void lay(uint32_t id) {
    const rf_stack_record *const r = record_at(&depot_, id);
    stack_words[1] = r->frames[0];
    stack_words[4] = r->frames[1];
    stack_words[8] = r->frames[2];
    rf_host_last_stack = {begin(), begin() + 9 * kWord};
  }

  uint32_t found() {
    uint32_t id = 0;
    bool const holds = rf_stack_guess_holds(&depot_, &predictor_, 0x10000, stack_words, RF_TRACE_DEPTH, true, &id);
    return holds ? id : 0;
  }

  // A request with that stack, which any other guess finds as well. True where it was expected.
  bool request(uint32_t id) {
    bool const expected = predictor_.trust > 0 && predictor_.next == id;
    guess_everywhere(id);
    lay(id);
    EXPECT_EQ(found(), id);
    return expected;
  }

  unsigned rounds(unsigned count) {
    unsigned expected = 0;
    for (unsigned round = 0; round < count; round++) {
      for (unsigned const i : {0U, 1U, 0U, 2U}) {
        expected += request(stacks_[i]) ? 1 : 0;
      }
    }
    return expected;
  }

  uint32_t last_word_ = 0;
  std::vector<uint32_t> stacks_;
};

TEST_F(StackPredict, ExpectsWhatCameAfterTheLastTwo) {
  (void)rounds(2);
  EXPECT_EQ(rounds(5), 20U) << "the same stack is followed by either of two, as the one before it was";
  EXPECT_EQ(predictor_.trust, RF_TRUST_MOST) << "and no more";
}

// The table of guesses leads nowhere: then the expected stack alone can have been found.
TEST_F(StackPredict, FindsStacksThatNoOtherGuessLeadsTo) {
  (void)rounds(3);
  guess_everywhere(0);
  for (unsigned const i : {0U, 1U, 0U, 2U, 0U, 1U}) {
    lay(stacks_[i]);
    EXPECT_EQ(found(), stacks_[i]);
  }
}

TEST_F(StackPredict, ComparesWhatIsExpected) {
  (void)rounds(3);
  ASSERT_EQ(predictor_.next, stacks_[0]);
  guess_everywhere(0);
  for (uint32_t const slot : {4U, 8U}) {
    rf_stack_predictor const before = predictor_;
    lay(stacks_[0]);
    stack_words[slot] ^= 0x40;
    EXPECT_EQ(found(), 0U) << slot;
    predictor_ = before;
  }
  lay(stacks_[3]);
  guess_everywhere(stacks_[3]);
  EXPECT_EQ(found(), stacks_[3]) << "another guess is asked for";
}

TEST_F(StackPredict, ReplacesEverySecondWrongSuccessor) {
  auto const successor = [&](uint32_t next) {
    predictor_.last = 0;
    (void)request(stacks_[0]);
    (void)request(next);
    return layout_of(record_at(&depot_, stacks_[0]))->successors[0];
  };
  EXPECT_EQ(successor(stacks_[1]), stacks_[1]) << "there was none";
  EXPECT_EQ(successor(stacks_[2]), stacks_[2]);
  EXPECT_EQ(successor(stacks_[1]), stacks_[2]);
  EXPECT_EQ(successor(stacks_[2]), stacks_[2]);
  EXPECT_EQ(successor(stacks_[1]), stacks_[1]);
}

TEST_F(StackPredict, ReplacesFewWhereThreadsShareThem) {
  rf_stack_wrong_borne = RF_WRONG_BORNE_SHARED;
  auto const successor = [&] { return layout_of(record_at(&depot_, stacks_[0]))->successors[0]; };
  unsigned replaced = 0;
  for (unsigned i = 0; i < 1 + 2 * (RF_WRONG_BORNE_SHARED + 1); i++) {
    predictor_.last = 0;
    predictor_.trust = RF_TRUST_MOST;
    (void)request(stacks_[0]);
    uint32_t const before = successor();
    (void)request(before == stacks_[1] ? stacks_[2] : stacks_[1]);
    replaced += successor() != before ? 1 : 0;
  }
  EXPECT_EQ(replaced, 3U) << "the first one at once, then one of 32";
  rf_stack_wrong_borne = RF_WRONG_BORNE;
}

TEST_F(StackPredict, IsNotTriedWhereRequestsFollowAtRandom) {
  unsigned const seed = 7;
  std::minstd_rand random(seed);
  for (unsigned i = 0; i < 300; i++) {
    (void)request(stacks_[random() % 4]);
  }
  EXPECT_LE(predictor_.trust, 0) << "seed " << seed;
  rf_stack_predictor const paused = predictor_;
  (void)rounds(10);
  EXPECT_EQ(predictor_.last, paused.last) << "nothing is noted meanwhile";
  EXPECT_EQ(predictor_.trust, paused.trust);
}

TEST_F(StackPredict, BeginsWhereStacksPart) {
  predictor_ = {};
  EXPECT_EQ(rounds(3), 0U) << "at first it is not tried";
  rf_stack_parted(&predictor_);
  EXPECT_EQ(predictor_.trust, RF_TRUST_MOST);
  predictor_.trust = RF_TRUST_LEAST;
  for (int i = RF_TRUST_LEAST; i < 0; i++) {
    rf_stack_parted(&predictor_);
    ASSERT_LE(predictor_.trust, 0) << i;
  }
  rf_stack_parted(&predictor_);
  EXPECT_EQ(predictor_.trust, RF_TRUST_MOST);
  rf_stack_parted(&predictor_);
  EXPECT_EQ(predictor_.trust, RF_TRUST_MOST) << "it does not gain by what it does not do";
}

TEST_F(StackPredict, PausesWhereNoTrustIsLeft) {
  (void)rounds(3);
  rf_stack_predictor const before = predictor_;
  ASSERT_EQ(before.next, stacks_[0]);
  for (int const trust : {RF_TRUST_LOST + 1, RF_TRUST_LOST, 1}) {
    predictor_ = before;
    predictor_.trust = static_cast<int8_t>(trust);
    (void)request(stacks_[3]);
    EXPECT_EQ(predictor_.trust, trust > RF_TRUST_LOST ? 1 : RF_TRUST_LEAST) << trust;
  }
}

// Several right ones for one that is wrong: it goes on.
TEST_F(StackPredict, BearsSomeExceptions) {
  (void)rounds(4);
  for (unsigned i = 0; i < 50; i++) {
    (void)rounds(2);
    (void)request(stacks_[3]);
    EXPECT_GT(predictor_.trust, 0) << i;
  }
}

} // namespace
} // namespace ringfence

#endif
