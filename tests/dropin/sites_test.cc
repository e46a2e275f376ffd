// Option raise: call sites near a finding, rare ones and those not yet watched are looked at more often than others,
// and the others no more than before. Option modules: calls of named modules alone are watched.
#include "tests/dropin/run.h"

#include <gtest/gtest.h>

namespace ringfence_test {
namespace {

struct Watched {
  long long found;   // reads after free, each at a watched block of the bad place
  long long watched; // blocks in all
};

// Each `every`-th of 400,000 allocations is at the bad place; the seed picks the same ones in every run.
Watched watch(const std::string &options, const std::string &every) {
  Result const result = run({program("chosen_sites"), "400000", every},
                            with("halt=0:leaks=0:summary=1:sample_seed=7:max_findings=0:" + options));
  return {static_cast<long long>(result.findings.size()), result.last("summary")["allocations"].number};
}

TEST(Sites, ThatAreRareAreWatchedMoreOften) {
  Watched const plain = watch("mode=sample:sample_rate=1000", "1000");
  Watched const raised = watch("mode=sample:sample_rate=1000:raise=20", "1000");
  EXPECT_LE(plain.found, 3);
  EXPECT_GE(raised.found, 4) << "of about eight looks at it";
  EXPECT_NEAR(static_cast<double>(raised.watched), static_cast<double>(plain.watched),
              0.25 * static_cast<double>(plain.watched))
      << "the common place is watched as before";
}

TEST(Sites, NearAFindingAreWatchedMoreOften) {
  Watched const plain = watch("mode=sample:sample_rate=2000", "4");
  Watched const raised = watch("mode=sample:sample_rate=2000:raise=10", "4");
  EXPECT_GT(plain.found, 20);
  EXPECT_GT(raised.found, 5 * plain.found) << "each look at it counts once it is known";
  EXPECT_LT(raised.found, 20 * plain.found);
}

TEST(Sites, AreChosenFromAHeapOfItsOwnToo) {
  Watched const plain = watch("mode=sample:heap=own:sample_rate=2000", "4");
  Watched const raised = watch("mode=sample:heap=own:sample_rate=2000:raise=10", "4");
  EXPECT_GT(raised.found, 5 * plain.found);
}

TEST(Sites, OfGuardAreAllWatchedWithASeed) {
  Watched const plain = watch("mode=guard:watch=2000", "4");
  Watched const raised = watch("mode=guard:watch=2000:raise=10", "4");
  EXPECT_GT(raised.found, 5 * plain.found) << "with a seed guard takes each that it looks at";
}

TEST(Sites, OfNamedModulesAloneAreWatched) {
  for (const char *const mode : {"mode=sample:sample_rate=2000", "mode=sample:heap=own:sample_rate=2000",
                                 "mode=guard:watch=2000", "mode=sample:sample_rate=2000:raise=4"}) {
    Watched const all = watch(mode, "4");
    ASSERT_GT(all.found, 20) << mode;
    for (const char *const names : {"chosen_sites", "libother.so,chosen_*", "*"}) {
      EXPECT_EQ(watch(std::string(mode) + ":modules=" + names, "4").found, all.found) << mode << " " << names;
    }
    for (const char *const names : {"libother.so", "chosen", "libc.so*,,"}) {
      EXPECT_EQ(watch(std::string(mode) + ":modules=" + names, "4").found, 0) << mode << " " << names;
    }
  }
}

TEST(Sites, AreAllAlikeByDefault) {
  Watched const plain = watch("mode=sample:sample_rate=2000", "4");
  Watched const same = watch("mode=sample:sample_rate=2000:raise=1", "4");
  EXPECT_EQ(plain.found, same.found);
  EXPECT_EQ(plain.watched, same.watched);
}

} // namespace
} // namespace ringfence_test
