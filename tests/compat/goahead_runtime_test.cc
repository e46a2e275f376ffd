// GoAhead's allocator under GoAhead's own runtime.
#include "goahead_runtime.h"

#include <gtest/gtest.h>

namespace {

TEST(GoAheadRuntime, ItsOwnScloneTakesThePlaceOfOurs) {
  EXPECT_EQ(2, own_clones());
}

} // namespace
