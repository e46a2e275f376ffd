// The limits, patterns and numbers of forms that the headers of the checkers promise, as numbers. Tests elsewhere name
// them by their symbols, and would follow a change; files, collectors and pages that were written before would not.
#include <ringfence/block.h>
#include <ringfence/finding.h>
#include <ringfence/guard.h>
#include <ringfence/guard_small.h>
#include <ringfence/kept.h>
#include <ringfence/options.h>
#include <ringfence/page.h>
#include <ringfence/report_json.h>
#include <ringfence/report_serial.h>
#include <ringfence/sample.h>
#include <ringfence/snapshot.h>
#include <ringfence/trace_writer.h>

#include "checkers/os/seen_sites.h"
#include "checkers/os/stack_walk.h"
#include "checkers/report/fnv.h"
#include "checkers/report/policy.h"
#include "checkers/trace/trace_format.h"

#include <cstddef>
#include <cstdint>
#include <gtest/gtest.h>
#include <string>

namespace {

TEST(Limits, OfFindings) {
  EXPECT_EQ(RF_EXITCODE_DEFAULT, 99);
  EXPECT_EQ(RF_EXITCODE_ABORT, -1);
  EXPECT_EQ(RF_WINDOW, 64);
  EXPECT_EQ(RF_TRACE_DEPTH, 32);
  EXPECT_EQ(RF_SNAPSHOT_ROWS, 20);
  EXPECT_EQ(RF_KEPT_BYTES, 512);
  EXPECT_EQ(sizeof(rf_kept::text), 512U);
}

TEST(Limits, OfFills) {
  EXPECT_EQ(RF_PATTERN_FREED, 0xCC);
  EXPECT_EQ(RF_PATTERN_NEW, 0xCD);
  EXPECT_EQ(RF_PATTERN_REDZONE, 0xFD);
}

TEST(Limits, OfStacks) {
  EXPECT_EQ(RF_PC_LEAST, 4096U);
  EXPECT_EQ(RF_STEP_MOST, 262144U);
}

// Bytes a block takes beyond its own, as docs/checkers/guard.md says.
TEST(Limits, OfGuard) {
  EXPECT_EQ(RF_GUARD_PREFIX, sizeof(void *) == 8 ? 64U : 48U);
  EXPECT_EQ(RF_GUARD_FRONT, 16);
  EXPECT_EQ(RF_GUARD_BACK_MIN, 16);
  EXPECT_EQ(RF_GUARD_BACK_MAX, 1024);
  EXPECT_EQ(RF_GUARD_STEP, 16);
  EXPECT_EQ(RF_GUARD_QUEUES, 65);
  EXPECT_EQ(RF_GUARD_SMALL_WAITING, 8);
  EXPECT_EQ(RF_GUARD_SMALL_MOST, SIZE_MAX / 64 - 64);
}

TEST(Limits, OfSample) {
  EXPECT_EQ(RF_SAMPLE_RATE_DEFAULT, 5000U);
  EXPECT_EQ(RF_SAMPLE_RATE_MOST, 16777216U);
  EXPECT_EQ(RF_SAMPLE_SLOTS_DEFAULT, 64U);
  EXPECT_EQ(RF_SAMPLE_LARGEST_DEFAULT, 65536U);
}

// Numbers that stand in files and on lines.

TEST(Numbers, OfBugsAndAccesses) {
  rf_bug const bugs[] = {RF_BUG_BUFFER_OVERFLOW,
                         RF_BUG_BUFFER_UNDERFLOW,
                         RF_BUG_USE_AFTER_FREE,
                         RF_BUG_DOUBLE_FREE,
                         RF_BUG_BAD_FREE,
                         RF_BUG_DEALLOC_MISMATCH,
                         RF_BUG_SIZE_MISMATCH,
                         RF_BUG_LEAK,
                         RF_BUG_METADATA,
                         RF_BUG_SIZE_TOO_BIG,
                         RF_BUG_CALLOC_OVERFLOW,
                         RF_BUG_BAD_ALIGNMENT,
                         RF_BUG_ENDED,
                         RF_BUG_STALE_HANDLE,
                         RF_BUG_BAD_HANDLE,
                         RF_BUG_USE_AFTER_MOVE,
                         RF_BUG_UNLOCK,
                         RF_BUG_FREE_LOCKED,
                         RF_BUG_REENTRY,
                         RF_BUG_BAD_USABLE_SIZE,
                         RF_BUG_SEGV,
                         RF_BUG_BUS,
                         RF_BUG_ILL,
                         RF_BUG_FPE,
                         RF_BUG_STOPPED_OVERFLOW,
                         RF_BUG_STACK_OVERFLOW,
                         RF_BUG_COUNT};
  for (int i = 0; i <= 26; i++) {
    EXPECT_EQ(bugs[i], i);
  }
  EXPECT_EQ(RF_ACCESS_UNKNOWN, 0);
  EXPECT_EQ(RF_ACCESS_READ, 1);
  EXPECT_EQ(RF_ACCESS_WRITE, 2);
  EXPECT_EQ(RF_ACCESS_FREE, 3);
}

TEST(Numbers, OfTheSerialForm) {
  EXPECT_EQ(RF_SERIAL_VERSION, 1);
  EXPECT_STREQ(RF_SERIAL_MARK, "#RF:");
  EXPECT_EQ(RF_SERIAL_HEAD, 6);
  EXPECT_EQ(RF_SERIAL_DATA, 25);
  EXPECT_EQ(RF_SERIAL_CRC, 4);
  EXPECT_EQ(RF_SERIAL_LINE, 75);
  EXPECT_EQ(RF_SERIAL_LAST, 0x8000U);
  int const from_1[] = {RF_SERIAL_CWE,      RF_SERIAL_ACCESS,   RF_SERIAL_ACCESS_SIZE, RF_SERIAL_ADDRESS,
                        RF_SERIAL_BLOCK,    RF_SERIAL_SIZE,     RF_SERIAL_BLOCKS,      RF_SERIAL_FREED,
                        RF_SERIAL_OFFSET,   RF_SERIAL_ARGUMENT, RF_SERIAL_PROCESS,     RF_SERIAL_TIME,
                        RF_SERIAL_AT_ACCESS};
  for (int i = 0; i < 13; i++) {
    EXPECT_EQ(from_1[i], 1 + i);
  }
  int const from_20[] = {RF_SERIAL_ALLOCATOR, RF_SERIAL_MODE, RF_SERIAL_DETAIL, RF_SERIAL_ALLOCATION,
                         RF_SERIAL_DEALLOCATION};
  for (int i = 0; i < 5; i++) {
    EXPECT_EQ(from_20[i], 20 + i);
  }
  int const from_30[] = {RF_SERIAL_WINDOW_ADDRESS, RF_SERIAL_WINDOW, RF_SERIAL_EXPECTED, RF_SERIAL_CLASSES};
  for (int i = 0; i < 4; i++) {
    EXPECT_EQ(from_30[i], 30 + i);
  }
  EXPECT_EQ(RF_SERIAL_MODULE, 40);
  EXPECT_EQ(RF_SERIAL_BUILD_ID, 41);
  EXPECT_EQ(RF_SERIAL_TRACE, 64);
  EXPECT_EQ(RF_SERIAL_TRACE_STEP, 16);
  int const of_traces[] = {RF_SERIAL_THREAD, RF_SERIAL_SITE_FILE, RF_SERIAL_SITE_FUNCTION, RF_SERIAL_SITE_LINE,
                           RF_SERIAL_PC,     RF_SERIAL_PC_MODULE, RF_SERIAL_PC_FUNCTION,   RF_SERIAL_SITE_RECORD};
  for (int i = 0; i < 8; i++) {
    EXPECT_EQ(of_traces[i], i);
  }
}

TEST(Numbers, OfJson) {
  EXPECT_EQ(RF_JSON_VERSION, 1);
}

TEST(Numbers, OfTraces) {
  EXPECT_STREQ(RF_TRACE_MAGIC, "RFTRACE\n");
  EXPECT_EQ(RF_TRACE_VERSION, 1U);
  EXPECT_EQ(RF_TRACE_HEADER_BYTES, 20U);
  EXPECT_EQ(RF_TRACE_CHUNK_HEADER_BYTES, 12U);
  EXPECT_EQ(RF_TRACE_CHUNK_MOST, 1048576U);
  EXPECT_EQ(RF_TRACE_TEXT_MOST, 200U);
  EXPECT_EQ(RF_TRACE_FRAMES_MOST, 32U);
  EXPECT_EQ(RF_TRACE_BUFFER_MIN, 1024U);
  EXPECT_EQ(RF_TRACE_MEMORY_MIN, 1024U + 64 * sizeof(size_t));
}

// Processes of one version read what the service of another one wrote.
TEST(Numbers, OfPolicies) {
  EXPECT_STREQ(RF_POLICY_MAGIC, "RFPOLICY");
  EXPECT_STREQ(RF_POLICY_FILE, "policy");
  EXPECT_EQ(RF_POLICY_VERSION, 1U);
  EXPECT_EQ(RF_POLICY_RULES, 32U);
  EXPECT_EQ(RF_POLICY_SITES, 256U);
  EXPECT_EQ(RF_POLICY_SITE_DEPTH, 4U);
  EXPECT_EQ(RF_POLICY_OPTIONS, 1);
  EXPECT_EQ(RF_POLICY_SWEEP, 2);
  EXPECT_EQ(RF_POLICY_SNAPSHOT, 3);
  size_t const members[] = {
      offsetof(rf_policy, magic),      offsetof(rf_policy, version), offsetof(rf_policy, size),
      offsetof(rf_policy, generation), offsetof(rf_policy, crc),     offsetof(rf_policy, nonce),
      offsetof(rf_policy, live),       offsetof(rf_policy, newest),  offsetof(rf_policy, rule_count),
      offsetof(rf_policy, site_count), offsetof(rf_policy, rules),   offsetof(rf_policy, sites)};
  size_t const expected[] = {0, 8, 12, 16, 20, 24, 32, 36, 40, 44, 48, 14384};
  for (size_t i = 0; i < 12; i++) {
    EXPECT_EQ(members[i], expected[i]);
  }
  EXPECT_EQ(sizeof(rf_policy_rule), 448U);
  EXPECT_EQ(offsetof(rf_policy_rule, program), 8U);
  EXPECT_EQ(offsetof(rf_policy_rule, build), 136U);
  EXPECT_EQ(offsetof(rf_policy_rule, environment), 200U);
  EXPECT_EQ(offsetof(rf_policy_rule, options), 248U);
  EXPECT_EQ(sizeof(rf_policy_site), 16U);
}

// The key of a path to malloc stands in policies that running processes read.
TEST(Numbers, OfSitesInPolicies) {
  uintptr_t const frames[] = {0x1234, 0x2002, 0x3003, 0x4004, 0x5005};
  EXPECT_EQ(rf_policy_site_key(frames, 1), 0x306FA665U);
  EXPECT_EQ(rf_policy_site_key(frames, 4), 0xABDD5DB5U);
  EXPECT_EQ(rf_policy_site_key(frames, 5), 0xABDD5DB5U);
}

TEST(Limits, OfPatternsInPolicies) {
  std::string const text(300, 'a');
  EXPECT_TRUE(rf_policy_fits(text.c_str(), 256, text.substr(0, 256).c_str()));
  EXPECT_FALSE(rf_policy_fits(text.c_str(), 257, text.substr(0, 257).c_str()));
}

// FNV-1a of 64 bits, of which keys and fingerprints are made that stand in baselines and in the service's store. A text
// counts with the zero behind it, so that two of them are told apart wherever one ends.
TEST(Numbers, OfFnv) {
  EXPECT_EQ(rf_fnv_bytes(RF_FNV_START, "a", 1), 0xAF63DC4C8601EC8CU);
  EXPECT_EQ(rf_fnv_bytes(RF_FNV_START, "foobar", 6), 0x85944171F73967E8U);
  EXPECT_EQ(rf_fnv_text(RF_FNV_START, "foobar"), 0x34531CA7168B8F38U);
  EXPECT_EQ(rf_fnv_text(RF_FNV_START, ""), 0xAF63BD4C8601B7DFU);
  EXPECT_EQ(rf_fnv_text(RF_FNV_START, nullptr), rf_fnv_text(RF_FNV_START, ""));
}

TEST(Limits, OfCallSitesThatAreSent) {
  EXPECT_EQ(RF_SEEN_SITES, 3072U);
}

} // namespace
