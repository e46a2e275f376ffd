#include "lib/core/verdict.h"

#include "tests/core/recorder.h"
#include <gtest/gtest.h>

namespace {

using ringfence::testing::FaultRecorder;

TEST(VerdictTest, ALivePointerIsNotRefused) {
  FaultRecorder faults;
  EXPECT_EQ(rf_verdict_refuse(nullptr, RF_POINTER_OK, nullptr, nullptr), RF_OK);
  EXPECT_TRUE(faults.faults().empty());
}

TEST(VerdictTest, EachReasonHasItsStatusAndPhrase) {
  static const struct {
    rf_verdict verdict;
    rf_status status;
    const char *text;
  } kCases[] = {
      {RF_POINTER_FOREIGN, RF_ERR_BAD_POINTER, "foreign pointer"},
      {RF_POINTER_MISALIGNED, RF_ERR_BAD_POINTER, "misaligned pointer"},
      {RF_POINTER_INTERIOR, RF_ERR_BAD_POINTER, "pointer into a block"},
      {RF_POINTER_NO_BLOCK, RF_ERR_BAD_POINTER, "not the start of a live block"},
      {RF_POINTER_FREE, RF_ERR_NOT_ALLOCATED, "pointer to free memory"},
      {RF_POINTER_FREED, RF_ERR_NOT_ALLOCATED, "double free"},
      {RF_POINTER_CORRUPT, RF_ERR_CORRUPT, "damaged block header"},
  };
  FaultRecorder faults;
  for (const auto &c : kCases) {
    EXPECT_EQ(rf_verdict_refuse(nullptr, c.verdict, &faults, nullptr), c.status);
    EXPECT_STREQ(faults.faults().back().what, c.text);
    EXPECT_EQ(faults.faults().back().ptr, &faults);
    EXPECT_EQ(faults.take(), c.status);
  }
}

} // namespace
