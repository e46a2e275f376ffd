// AWTK's memory API beside the rest of AWTK.
#include "beside_app.h"

#include <gtest/gtest.h>

namespace {

TEST(AwtkBeside, TheTypesAreAwtksAndTheMemoryIsOurs) {
  EXPECT_EQ(0, beside_types());
}

TEST(AwtkBeside, WithHasStdMallocTheHeapStaysMallocs) {
  EXPECT_EQ(0, std_malloc_stays());
}

} // namespace
