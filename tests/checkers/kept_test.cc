// Text that survives a reset: sent whole, once, or not at all.
#include <ringfence/kept.h>

#include "tests/checkers/sample_finding.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace ringfence {
namespace {

// The text that the next boot sends.
std::string booted(rf_kept *kept) {
  TextSink out;
  bool const any = rf_kept_begin(kept, out.sink());
  EXPECT_EQ(any, !out.text().empty());
  return out.text();
}

TEST(Kept, IsSentAtTheNextBootAndOnce) {
  rf_kept kept;
  std::memset(&kept, 0x5A, sizeof kept);
  EXPECT_EQ(booted(&kept), "") << "memory of a cold start";
  EXPECT_EQ(booted(&kept), "");
  rf_sink_str(&kept.sink, "one\n");
  rf_sink_str(&kept.sink, "two\n");
  EXPECT_EQ(booted(&kept), "one\ntwo\n");
  EXPECT_EQ(booted(&kept), "");
}

TEST(Kept, IsNotTakenFromMemoryOfZeros) {
  rf_kept kept;
  std::memset(&kept, 0, sizeof kept);
  EXPECT_EQ(booted(&kept), "");
}

TEST(Kept, IsNotSentWhereABitHasTurned) {
  rf_kept kept;
  std::memset(&kept, 0, sizeof kept);
  for (size_t byte = 0; byte < 20; byte++) {
    (void)rf_kept_begin(&kept, nullptr);
    rf_sink_str(&kept.sink, "finding\n");
    auto *const bytes = reinterpret_cast<unsigned char *>(&kept.used);
    bytes[byte] ^= 4U;
    EXPECT_EQ(booted(&kept), "") << byte;
  }
}

TEST(Kept, LeavesOutWholePiecesForWhichThereIsNoRoom) {
  rf_kept kept;
  std::memset(&kept, 0, sizeof kept);
  (void)rf_kept_begin(&kept, nullptr);
  std::string const piece(RF_KEPT_BYTES - 4, 'x');
  rf_sink_str(&kept.sink, piece.c_str());
  rf_sink_str(&kept.sink, "12345");
  rf_sink_str(&kept.sink, "6789"); // to the last byte
  EXPECT_EQ(booted(&kept), piece + "67891 pieces of text before the reset did not fit\n");
}

TEST(Kept, TellsOfPiecesThatDidNotFitWhereNothingElseIsThere) {
  rf_kept kept;
  std::memset(&kept, 0, sizeof kept);
  (void)rf_kept_begin(&kept, nullptr);
  rf_sink_str(&kept.sink, std::string(RF_KEPT_BYTES + 1, 'x').c_str());
  EXPECT_EQ(booted(&kept), "1 pieces of text before the reset did not fit\n");
  EXPECT_EQ(booted(&kept), "");
}

} // namespace
} // namespace ringfence
