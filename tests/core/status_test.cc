#include <ringfence/status.h>

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace {

TEST(StatusTest, EveryStatusHasANameOfItsOwn) {
  std::set<std::string> names;
  for (int status = RF_OK; status <= RF_ERR_UNSUPPORTED; status++) {
    EXPECT_TRUE(names.insert(rf_status_name(static_cast<rf_status>(status))).second) << status;
  }
  EXPECT_EQ(names.count("unknown status"), 0U);
}

TEST(StatusTest, SaysWhatHappenedInPlainWords) {
  EXPECT_STREQ(rf_status_name(RF_OK), "ok");
  EXPECT_STREQ(rf_status_name(RF_ERR_NOT_ALLOCATED), "double free");
}

TEST(StatusTest, AValueOutsideTheEnumerationIsUnknown) {
  EXPECT_STREQ(rf_status_name(static_cast<rf_status>(RF_ERR_UNSUPPORTED + 1)), "unknown status");
}

TEST(StatusTest, OnlyOkIsZero) {
  EXPECT_EQ(RF_OK, 0);
}

} // namespace
