// GoAhead's calls in code that is built with sites: the statistics name the line of the program that made each call.
#include <gtest/gtest.h>

#include <cstdarg>
#include <cstdio>
#include <string>

#include "tests/core/recorder.h"

#include "goahead.h" // whose short names are macros here

namespace {

std::string printed;

void collect(int /*handle*/, char *fmt, ...) {
  char line[512];
  va_list args;
  va_start(args, fmt);
  vsnprintf(line, sizeof line, fmt, args);
  va_end(args);
  printed += line;
}

class GoAheadSites : public testing::Test {
protected:
  GoAheadSites() { EXPECT_EQ(0, wopenAlloc(buffer, sizeof buffer, 0)); }
  ~GoAheadSites() override {
    wcloseAlloc();
    EXPECT_TRUE(faults.faults().empty());
  }

  // The block that this line allocated, and no other one is live; it is freed.
  void expect_site(char *block, unsigned line, size_t bytes) {
    ASSERT_NE(nullptr, block);
    printed.clear();
    bstats(0, collect);
    std::string const site = "goahead_sites_test.cc:" + std::to_string(line) + "\n";
    size_t const at = printed.find(site);
    ASSERT_NE(std::string::npos, at) << printed;
    std::string const row = printed.substr(printed.rfind('\n', at) + 1, at);
    size_t blocks = 0;
    size_t live = 0;
    EXPECT_EQ(2, sscanf(row.c_str(), "%zu %zu", &blocks, &live)) << row;
    EXPECT_EQ(1U, blocks);
    EXPECT_EQ(bytes, live);
    wfree(block);
    rf_stats stats;
    rf_stats_get(rf_goahead_allocator(), &stats);
    EXPECT_EQ(0U, stats.blocks);
  }

  ringfence::testing::FaultRecorder faults;
  alignas(16) char buffer[8192];
};

TEST_F(GoAheadSites, AreThoseOfEachCallThatAllocates) {
  expect_site(static_cast<char *>(walloc(10)), __LINE__, 10);
  expect_site(static_cast<char *>(alloc(11)), __LINE__, 11);
  expect_site(static_cast<char *>(balloc(B_L, 12)), __LINE__, 12);
  expect_site(static_cast<char *>(galloc(13)), __LINE__, 13);
  expect_site(static_cast<char *>(wrealloc(nullptr, 14)), __LINE__, 14);
  char *copy = sclone("abcdefghijklmn");
  EXPECT_STREQ("abcdefghijklmn", copy);
  expect_site(copy, __LINE__ - 2, 15);
  copy = bstrdup(B_L, "abcdefghijklmno");
  EXPECT_STREQ("abcdefghijklmno", copy);
  expect_site(copy, __LINE__ - 2, 16);
  copy = static_cast<char *>(wdup("abcdefghijklmnopq", 17));
  EXPECT_EQ(std::string("abcdefghijklmnopq"), std::string(copy, 17));
  expect_site(copy, __LINE__ - 2, 17);
}

TEST_F(GoAheadSites, OfRefusalsAreThoseOfTheCall) {
  char other = 0;
  unsigned const line = __LINE__;
  wvalid(&other);
  wfree(&other);
  EXPECT_EQ(nullptr, wrealloc(&other, 4));
  ASSERT_EQ(3U, faults.faults().size());
  for (unsigned i = 0; i < 3; i++) {
    ASSERT_NE(nullptr, faults.faults()[i].site);
    EXPECT_EQ(line + 1 + i, faults.faults()[i].site->line);
  }
  (void)faults.take();
}

} // namespace
