// Samples among requests that are handed on (checkers/dropin/malloc/forward.c),
// and those that cannot be served.
#include "tests/dropin/forward_world.h"

#include <cerrno>
#include <thread>
#include <vector>

namespace ringfence_test {
namespace {

constexpr uint64_t kEvery = 4000000; // nanoseconds between two samples

// ---- Samples ----

TEST(ForwardParts, ASampleLeavesErrno) {
  alone([] {
    begin();
    errno = 4711;
    EXPECT_EQ(request(), paged);
    EXPECT_EQ(errno, 4711);
  });
}

TEST(ForwardParts, TheLotSaysHowFarAwayTheNextOneIs) {
  alone([] {
    begin();
    world.due = false;
    for (int32_t const next : {0, 1, 2, 5}) {
      world.next = next;
      rf_forward_left = 0;
      for (unsigned round = 0; round < 3; round++) {
        unsigned const before = world.draws;
        for (int32_t i = 0; i < (next > 0 ? next : 1); i++) {
          EXPECT_EQ(request(), behind);
        }
        EXPECT_EQ(world.draws, before + 1) << next;
      }
    }
  });
}

TEST(ForwardParts, SamplesOfAThreadAndBeforeItsFirstAreApart) {
  alone([] {
    auto const sampled_after = [](uint64_t ns) {
      world.now += ns;
      unsigned const before = world.sampled;
      (void)request();
      return world.sampled != before;
    };
    begin();
    EXPECT_TRUE(sampled_after(0)) << "the first of the process";
    EXPECT_FALSE(sampled_after(kEvery - 1));
    EXPECT_TRUE(sampled_after(1));
    std::thread([&] {
      EXPECT_FALSE(sampled_after(kEvery - 1));
      EXPECT_TRUE(sampled_after(1));
      EXPECT_FALSE(sampled_after(kEvery - 1));
    }).join();
    rf_process.options.sample_seed = 1;
    EXPECT_TRUE(sampled_after(0));
  });
}

// The rate that the user settled holds whatever it costs, that of a policy does
// not.
TEST(ForwardParts, SamplesByARateOfTheUsersOwnAreNotKeptApart) {
  struct {
    uint32_t rate;
    bool limited;
    bool apart;
  } const rows[] = {
      {RF_SAMPLE_RATE_DEFAULT, false, true},
      {RF_SAMPLE_RATE_DEFAULT + 1, false, true},
      {RF_SAMPLE_RATE_DEFAULT - 1, false, false},
      {RF_SAMPLE_RATE_DEFAULT - 1, true, true},
  };
  for (auto const &row : rows) {
    alone([&row] {
      begin();
      rf_process.options.sample_rate = row.rate;
      rf_steering_now.limited = row.limited;
      EXPECT_EQ(request(), paged);
      EXPECT_EQ(request(), row.apart ? behind : paged) << row.rate << row.limited;
    });
  }
}

TEST(ForwardParts, ASiteThatIsNotWantedTakesNoTime) {
  alone([] {
    begin();
    world.wanted = false;
    EXPECT_EQ(request(), behind);
    world.wanted = true;
    EXPECT_EQ(request(), paged);
  });
}

// The C library starts threads of its own with all signals blocked, which have
// no other call of ours.
TEST(ForwardParts, EachThreadsFirstRequestOpensItsFaults) {
  alone([] {
    begin();
    auto const ask = [] {
      for (int i = 0; i < 3; i++) {
        (void)request();
      }
    };
    ask();
    EXPECT_EQ(world.opened, 1U);
    std::thread(ask).join();
    EXPECT_EQ(world.opened, 2U);
  });
}

// ---- Requests that cannot be served ----

// No request is handed on without a look; how often one is sampled stays as it
// is.
TEST(ForwardParts, EachRequestIsLookedAtWhereThoseThatCannotBeServedAreReported) {
  alone([] {
    rf_process.report_rejected = true;
    begin();
    world.due = false;
    world.next = 5;
    for (int i = 0; i < 10; i++) {
      EXPECT_FALSE(rf_forward_counts()) << i;
      EXPECT_EQ(request(), behind);
    }
    EXPECT_EQ(world.draws, 2U);
  });
}

TEST(ForwardParts, ARequestThatCannotBeServedIsToldAndLeftToTheMallocBehind) {
  alone([] {
    constexpr size_t kMost = RF_SIZE_LIMIT;
    void *moved = nullptr;
    begin();
    world.due = false;
    EXPECT_EQ(request(kMost), behind);
    EXPECT_EQ(rf_forward_zalloc(1, kMost, &no_origin), behind);
    EXPECT_TRUE(rf_forward_realloc(behind, kMost, &no_origin, &moved));
    EXPECT_EQ(world.take_rejects(), std::vector<Reject>());
    EXPECT_EQ(request(kMost + 1, 64), behind);
    EXPECT_EQ(world.take_rejects(), std::vector<Reject>({{RF_REJECT_SIZE, kMost + 1, 64, ENOMEM}}));
    EXPECT_EQ(rf_forward_zalloc(1, kMost + 1, &no_origin), behind);
    EXPECT_EQ(world.take_rejects(), std::vector<Reject>({{RF_REJECT_SIZE, kMost + 1, RF_ALIGN_DEFAULT, ENOMEM}}));
    EXPECT_EQ(rf_forward_zalloc(4, SIZE_MAX / 3, &no_origin), behind);
    EXPECT_EQ(world.take_rejects(), std::vector<Reject>({{RF_REJECT_OVERFLOW, SIZE_MAX / 3, 4, ENOMEM}}));
    moved = nullptr;
    EXPECT_TRUE(rf_forward_realloc(behind, kMost + 1, &no_origin, &moved));
    EXPECT_EQ(moved, behind);
    EXPECT_EQ(world.take_rejects(), std::vector<Reject>({{RF_REJECT_SIZE, kMost + 1, RF_ALIGN_DEFAULT, ENOMEM}}));
    world.owned = true;
    EXPECT_FALSE(rf_forward_realloc(paged, kMost + 1, &no_origin, &moved));
    EXPECT_EQ(world.take_rejects(), std::vector<Reject>()) << "it is told where the block is";
  });
}

} // namespace
} // namespace ringfence_test
