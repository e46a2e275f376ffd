// A call with a mutex, condition variable, semaphore or the like in a freed block is found, and does not wait for ever.
#include "tests/dropin/run.h"

#include <gtest/gtest.h>
#include <string>

namespace ringfence_test {
namespace {

class Synchronised : public testing::TestWithParam<const char *> {};

INSTANTIATE_TEST_SUITE_P(
    Each, Synchronised,
    testing::Values("mutex_lock", "mutex_trylock", "mutex_timedlock", "mutex_unlock", "mutex_destroy", "cond_signal",
                    "cond_broadcast", "cond_wait", "cond_timedwait", "cond_destroy", "rwlock_rdlock", "rwlock_wrlock",
                    "rwlock_tryrdlock", "rwlock_trywrlock", "rwlock_timedrdlock", "rwlock_timedwrlock", "rwlock_unlock",
                    "barrier_wait", "barrier_destroy", "spin_lock", "mutex_clocklock", "cond_clockwait",
                    "rwlock_clockrdlock", "rwlock_clockwrlock", "rwlock_destroy", "mtx_lock", "mtx_trylock",
                    "mtx_timedlock", "mtx_unlock", "mtx_destroy", "cnd_signal", "cnd_broadcast", "cnd_wait",
                    "cnd_timedwait", "cnd_destroy", "spin_trylock", "spin_unlock", "spin_destroy", "sem_wait",
                    "sem_trywait", "sem_timedwait", "sem_clockwait", "sem_post", "sem_getvalue", "sem_destroy"),
    [](const testing::TestParamInfo<const char *> &it) { return std::string(it.param); });

const char *const kModes[] = {"mode=guard:watch=0:halt=0", "mode=guard:watch=0:fill=0:halt=0",
                              "mode=guard:watch=1:halt=0", "mode=page:halt=0"};

TEST_P(Synchronised, AfterFreeIsFoundAtTheCallWhichFails) {
  for (const std::string mode : kModes) {
    SCOPED_TRACE(mode);
    Result const result = run({program("synchronised"), std::string(GetParam()) + "_after_free", "bad"}, with(mode));
    EXPECT_EQ(result.status, 99) << result.err;
    EXPECT_NE(result.out.find("refused\n"), std::string::npos) << result.out;
    ASSERT_EQ(result.findings.size(), 1U) << result.err;
    const Json &finding = result.findings[0];
    EXPECT_EQ(finding["bug"].text, "heap-use-after-free");
    EXPECT_EQ(finding["relation"].text, "inside");
    EXPECT_EQ(finding["at_access"].kind, Json::kTrue);
    EXPECT_EQ(finding["detail"].text, "found at the call that was to access it");
    EXPECT_TRUE(is_near(finding["found"], program("synchronised"), place(result.out, "found")));
    EXPECT_TRUE(is_near(finding["released"], program("synchronised"), place(result.out, "released")));
    EXPECT_TRUE(is_near(finding["allocated"], program("synchronised"), place(result.out, "allocated")));
  }
}

TEST_P(Synchronised, InALiveBlockIsAsWithout) {
  for (const std::string mode : {"mode=guard:watch=0", "mode=guard:watch=1", "mode=page", "mode=off"}) {
    SCOPED_TRACE(mode);
    Result const result = run({program("synchronised"), std::string(GetParam()) + "_after_free", "good"}, with(mode));
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(result.out.find("wrong"), std::string::npos) << result.out;
    EXPECT_NE(result.out.find("end\n"), std::string::npos);
    EXPECT_EQ(result.findings.size(), 0U);
  }
}

TEST_P(Synchronised, AfterFreeIsFoundWhereTheDropInIsLinkedIn) {
  How how = with("watch=0:halt=0");
  how.preload = false;
  for (const char *const linked : {"synchronised_linked", "synchronised_static"}) {
    std::string const name = std::string(GetParam()) + "_after_free";
    Result const result = run({program(linked), name, "bad"}, how);
    EXPECT_NE(result.out.find("refused\n"), std::string::npos) << linked << result.out;
    ASSERT_EQ(result.findings.size(), 1U) << linked << result.err;
    EXPECT_EQ(result.findings[0]["bug"].text, "heap-use-after-free");
    EXPECT_EQ(result.findings[0]["found"]["frames"].items[0]["module"].text, program(linked));
    Result const good = run({program(linked), name, "good"}, how);
    EXPECT_EQ(good.out.find("wrong"), std::string::npos) << linked << good.out;
    EXPECT_EQ(good.findings.size(), 0U);
  }
}

TEST(SynchronisedBlocks, AreLookedAtFurtherThanTheyAreFilled) {
  for (const std::string mode : kModes) {
    SCOPED_TRACE(mode);
    Result const result = run({program("synchronised"), "far_in_a_large_block", "bad"}, with(mode));
    EXPECT_NE(result.out.find("refused\n"), std::string::npos) << result.out;
    ASSERT_EQ(result.findings.size(), 1U) << result.err;
    EXPECT_EQ(result.findings[0]["bug"].text, "heap-use-after-free");
    EXPECT_TRUE(is_near(result.findings[0]["found"], program("synchronised"), place(result.out, "found")));
    Result const good = run({program("synchronised"), "far_in_a_large_block", "good"}, with(mode));
    EXPECT_NE(good.out.find("locked\n"), std::string::npos) << good.out;
    EXPECT_EQ(good.findings.size(), 0U);
  }
}

TEST(SynchronisedBytes, ThatLookFreedInALiveBlockAreTheProgramsOwnAffair) {
  std::string const without = run_bare({program("synchronised"), "a_lock_that_looks_freed"}).out;
  for (const char *const mode : kModes) {
    Result const result = run({program("synchronised"), "a_lock_that_looks_freed"}, with(mode));
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(result.out, without);
    EXPECT_EQ(result.findings.size(), 0U);
  }
}

} // namespace
} // namespace ringfence_test
