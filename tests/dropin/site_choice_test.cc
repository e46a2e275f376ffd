// The choice of watched call sites (checkers/dropin/runtime/site_choice.c): now and then, near findings, by module.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/runtime/site_choice.h"
#include "checkers/dropin/runtime/state.h"
}
#undef _Static_assert

#include "tests/checkers/own_program.h"
#include "tests/checkers/single_step.h"
#include "tests/dropin/alone.h"

#include <cstdlib>
#include <gtest/gtest.h>
#include <string>
#include <unistd.h>

namespace ringfence {
namespace {

using ringfence_test::alone;

constexpr uint32_t kSites = 4096;

TEST(DropinSiteChoice, ANewSiteIsWatchedAndThenEachNthLook) {
  alone([] {
    std::string watched;
    for (int look = 0; look < 10; look++) {
      watched += rf_site_wants(77, 4) ? 'x' : '-';
    }
    EXPECT_EQ(watched, "x---x---x-");
    EXPECT_TRUE(rf_site_wants(78, 4));
    EXPECT_FALSE(rf_site_wants(78, 4));
    EXPECT_TRUE(rf_site_wants(77 + kSites, 4)); // in the same place
    EXPECT_FALSE(rf_site_wants(77 + kSites, 4));
  });
}

TEST(DropinSiteChoice, ASiteNearAFindingIsWatchedAlways) {
  alone([] {
    EXPECT_TRUE(rf_site_wants(5, 1000));
    EXPECT_FALSE(rf_site_wants(5, 1000));
    rf_site_set_near(5);
    EXPECT_TRUE(rf_site_wants(5, 1000));
    EXPECT_TRUE(rf_site_wants(5, 1000));
    EXPECT_TRUE(rf_site_wants(6, 1000));
    EXPECT_FALSE(rf_site_wants(6, 1000));
  });
}

TEST(DropinSiteChoice, ARareSiteIsWatchedMoreOften) {
  alone([] {
    EXPECT_TRUE(rf_site_wants(9, 1000000));
    EXPECT_FALSE(rf_site_wants(9, 1000000));
    for (int i = 0; i < 3 * 256; i++) {
      (void)rf_site_wants(1, 1000000);
    }
    EXPECT_TRUE(rf_site_wants(9, 1000000)); // the third of 770 looks: fewer than one in 256
    EXPECT_FALSE(rf_site_wants(9, 1000000));
  });
}

TEST(DropinSiteChoice, AFullTableWatchesOneLookInN) {
  alone([] {
    for (uint32_t key = 1; key <= kSites / 4 * 3; key++) {
      EXPECT_TRUE(rf_site_wants(key, 1000)) << key;
    }
    std::string watched; // looks 3073 and on
    for (uint32_t i = 1; i <= 8; i++) {
      watched += rf_site_wants(100000 + i, 4) ? 'x' : '-';
    }
    EXPECT_EQ(watched, "---x---x");
    rf_site_set_near(200000); // nothing happens
    EXPECT_FALSE(rf_site_wants(200000, 1000));
  });
}

#ifdef RF_CAN_STEP

// While a site is looked at for the first time another thread looks at one in the same place, and a finding is near.
TEST(DropinSiteChoice, TwoLooksAtOnceLoseNothing) {
  auto const look = [] { (void)rf_site_wants(1, 1000); };
  auto const of_others = [] {
    (void)rf_site_wants(1 + kSites, 1000);
    rf_site_set_near(1);
  };
  for (unsigned after = 1, both = 1; both != 0; after++) {
    int both_ran[2];
    ASSERT_EQ(pipe(both_ran), 0);
    alone([&] {
      char const ran = ringfence_test::run_with_other_after(after, look, of_others) ? 1 : 0;
      EXPECT_EQ(write(both_ran[1], &ran, 1), 1);
      if (ran != 0) {
        EXPECT_TRUE(rf_site_wants(1, 1000)) << "after " << after << " instructions";
        EXPECT_FALSE(rf_site_wants(1 + kSites, 1000)) << "after " << after << " instructions";
      }
    });
    char ran = 0;
    EXPECT_EQ(read(both_ran[0], &ran, 1), 1);
    both = static_cast<unsigned>(ran);
    close(both_ran[0]);
    close(both_ran[1]);
  }
}

#endif

struct Limit {
  const char *modules;
  size_t length;
  bool own; // code of this program may be watched
  bool c_library;
};

#ifdef RF_CAN_STEP

// While the module of a site is noted, at the end of looking it up, a finding is near.
TEST(DropinSiteChoice, AModuleThatIsNotedAtOnceWithAFindingLosesNothing) {
  alone([] {
    constexpr unsigned kMost = 1000000;
    uint32_t key = 1;
    auto const look_up = [&] { (void)rf_site_may_be_watched(key, rf_test_return_address()); };
    auto const find_near = [&] { rf_site_set_near(key); };
    rf_site_limit_to("site_choice_test", 16);
    look_up(); // the first one takes longer
    key++;
    EXPECT_FALSE(ringfence_test::run_with_other_after(kMost, look_up, find_near));
    unsigned const length = kMost - ringfence_test::interruption.left;
    for (unsigned after = length - 40; after <= length; after++) {
      key++;
      if (ringfence_test::run_with_other_after(after, look_up, find_near)) {
        (void)rf_site_wants(key, 1000);
        EXPECT_TRUE(rf_site_wants(key, 1000)) << "after " << after << " of " << length << " instructions";
      }
    }
  });
}

#endif

TEST(DropinSiteChoice, MayBeLimitedToModules) {
  const Limit kLimits[] = {
      {nullptr, 0, true, true},
      {"site_choice_test", 16, true, false},
      {"site_choice_tes", 15, false, false},
      {"ite_choice_test", 15, false, false},
      {"libc.so.*", 9, false, true},
      {"a,site_choice_test", 18, true, false},
      {"a,site_choice_test", 17, false, false}, // no more than the length
      {"site_choice_*,,libc.*", 21, true, true},
      {",", 1, false, false},
  };
  for (const Limit &limit : kLimits) {
    SCOPED_TRACE(limit.modules == nullptr ? "none" : limit.modules);
    alone([&] {
      auto const of_c_library = reinterpret_cast<uintptr_t>(&strtol) + 1;
      rf_site_limit_to(limit.modules, limit.length);
      EXPECT_EQ(rf_site_is_limited(), limit.modules != nullptr);
      for (int time = 0; time < 2; time++) { // the second time it is known
        EXPECT_EQ(rf_site_may_be_watched(1, rf_test_return_address()), limit.own);
        EXPECT_EQ(rf_site_may_be_watched(2, of_c_library), limit.c_library);
      }
      // A site is looked up once.
      EXPECT_EQ(rf_site_may_be_watched(2, rf_test_return_address()), limit.modules == nullptr || limit.c_library);
    });
  }
}

TEST(DropinSiteChoice, ASiteThatThereIsNoRoomForIsLookedUpEachTime) {
  alone([] {
    auto const of_c_library = reinterpret_cast<uintptr_t>(&strtol) + 1;
    uint32_t const key = 1000000;
    rf_site_limit_to("libc.so.*", 9);
    for (uint32_t other = 1; other <= 4096; other++) {
      rf_site_set_near(other);
    }
    EXPECT_FALSE(rf_site_may_be_watched(key, rf_test_return_address()));
    EXPECT_TRUE(rf_site_may_be_watched(key, of_c_library));
    EXPECT_FALSE(rf_site_may_be_watched(key, rf_test_return_address()));
  });
}

// A list beyond the room counts up to its last byte of room.
TEST(DropinSiteChoice, ALongListOfModulesIsCutAtItsRoom) {
  std::string const name = "site_choice_test";
  std::string const list = std::string(RF_SITE_MODULES - name.size() - 1, 'x') + "," + name + "y";
  ASSERT_EQ(list.size(), RF_SITE_MODULES + 1U);
  alone([&] {
    rf_site_limit_to(list.c_str(), list.size());
    EXPECT_TRUE(rf_site_may_be_watched(1, rf_test_return_address()));
  });
}

TEST(DropinSiteChoice, OurOwnFrameBelowMainIsInNoKey) {
  alone([] {
    rf_process.entry_start = 1000;
    rf_process.entry_end = 2000;
    auto const key = [](uintptr_t caller) {
      rf_origin const origin = {nullptr, caller, nullptr};
      return rf_site_key(&origin);
    };
    uint32_t const of_none = key(1500);
    EXPECT_EQ(key(1001), of_none);
    EXPECT_EQ(key(2000), of_none);
    EXPECT_NE(key(1000), of_none);
    EXPECT_NE(key(2001), of_none);
  });
}

} // namespace
} // namespace ringfence
