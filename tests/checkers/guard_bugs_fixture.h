// Findings of guard: the block, the distance from it, and the place in the program.
#ifndef RINGFENCE_TESTS_CHECKERS_GUARD_BUGS_FIXTURE_H
#define RINGFENCE_TESTS_CHECKERS_GUARD_BUGS_FIXTURE_H

#include "tests/checkers/guard_fixture.h"

namespace ringfence {

class GuardBugs : public GuardTest {
protected:
  static void expect_site(const rf_trace &trace, unsigned line, const char *function) {
    ASSERT_NE(trace.site, nullptr);
    EXPECT_EQ(trace.site->line, line);
    EXPECT_STREQ(trace.site->function, function);
    EXPECT_STREQ(trace.site->file, testing::UnitTest::GetInstance()->current_test_info()->file());
    EXPECT_NE(trace.thread, 0U);
  }

  void expect_block(const rf_finding &f, rf_bug bug, const void *block, size_t size, ptrdiff_t offset) {
    EXPECT_STREQ(rf_bug_name(f.bug), rf_bug_name(bug));
    EXPECT_EQ(f.block, reinterpret_cast<uintptr_t>(block));
    EXPECT_EQ(f.size, size);
    EXPECT_EQ(f.offset, offset);
    EXPECT_EQ(f.address, f.block + static_cast<uintptr_t>(offset));
    EXPECT_STREQ(f.mode, "guard");
    EXPECT_STREQ(f.allocator, heap_->allocator()->ops->name);
  }
};

} // namespace ringfence

#endif // RINGFENCE_TESTS_CHECKERS_GUARD_BUGS_FIXTURE_H
