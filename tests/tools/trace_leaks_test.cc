// Blocks that are live at the end of a trace, by call site.
#include "tests/tools/pprof_text.h"
#include "tests/tools/run.h"

#include <gtest/gtest.h>
#include <sstream>
#include <string>
#include <vector>

extern "C" {
#include "tools/ringfence/cli/trace_leaks.h"
}

namespace {

class TraceLeaks : public testing::Test {
protected:
  ~TraceLeaks() override {
    trace_free(&trace_);
    rf_bump_arena_free(&arena_);
  }

  static char *copy(const std::string &text) {
    auto *const out = static_cast<char *>(calloc(1, text.size() + 1));
    text.copy(out, text.size());
    return out;
  }

  // Sites with these return addresses, the first of which nothing is known of.
  void sites(const std::vector<std::string> &files, const std::vector<uint64_t> &addresses = {}) {
    size_t const count = 1 + files.size() + addresses.size();
    trace_.sites = static_cast<trace_site *>(calloc(count, sizeof(trace_site)));
    trace_.site_count = count;
    for (size_t i = 0; i < count; i++) {
      trace_site &site = trace_.sites[i];
      site.file = copy(i >= 1 && i <= files.size() ? files[i - 1] : "");
      site.function = copy("f");
      site.line = 3;
      site.frames = static_cast<uint64_t *>(calloc(1, sizeof(uint64_t)));
      if (i > files.size()) {
        site.depth = 1;
        site.frames[0] = addresses[i - files.size() - 1];
      }
    }
  }

  void alloc(uint32_t site, size_t size) {
    trace_op const op = {TRACE_ALLOC, 0, trace_.ids++, size, site, 0};
    trace_add(&trace_, &op);
  }

  void add(trace_kind kind, uint32_t id, uint32_t site, size_t size) {
    trace_op const op = {kind, 0, id, size, site, 0};
    trace_add(&trace_, &op);
  }

  std::string printed(size_t most) {
    testing::internal::CaptureStdout();
    rf_trace_leaks_print(&arena_, &trace_, most);
    return testing::internal::GetCapturedStdout();
  }

  trace trace_ = {};
  rf_bump_arena arena_ = {nullptr};
};

TEST_F(TraceLeaks, AsManySitesAreListedAsAskedFor) {
  sites({"a.c", "b.c", "c.c"});
  alloc(1, 10);
  alloc(2, 30);
  alloc(2, 30);
  alloc(3, 20);
  EXPECT_EQ(printed(1), "  live at the end: 90 bytes in 4 blocks, from 3 call sites\n"
                        "    60 bytes in 2 blocks\n      #0 f b.c:3\n"
                        "    30 bytes in 2 blocks from 2 call sites more (--top)\n");
  EXPECT_EQ(printed(3), "  live at the end: 90 bytes in 4 blocks, from 3 call sites\n"
                        "    60 bytes in 2 blocks\n      #0 f b.c:3\n"
                        "    20 bytes in 1 block\n      #0 f c.c:3\n"
                        "    10 bytes in 1 block\n      #0 f a.c:3\n");
}

TEST_F(TraceLeaks, ABlockIsOfTheSiteThatResizedItLast) {
  sites({"a.c", "b.c"});
  alloc(1, 10);
  alloc(1, 20);
  add(TRACE_REALLOC, 0, 2, 100);
  add(TRACE_FREE, 1, 2, 0);
  EXPECT_EQ(printed(9), "  live at the end: 100 bytes in 1 block, from 1 call site\n"
                        "    100 bytes in 1 block\n      #0 f b.c:3\n");
}

// A call that is the last instruction of a module returns to its end.
TEST_F(TraceLeaks, AReturnAddressIsOfTheModuleOfItsCall) {
  sites({}, {0x1000, 0x1001, 0x2000, 0x2001});
  trace_.modules = static_cast<trace_module *>(calloc(1, sizeof(trace_module)));
  trace_.module_count = 1;
  trace_.modules[0] = {0x1000, 0x2000, 0x800, copy("/nonexistent/module"), copy("ab")};
  bool const wanted[] = {false, true, true, true, true};
  const rf_record *const records = rf_trace_origins(&arena_, &trace_, wanted);
  const char *const modules[] = {nullptr, "/nonexistent/module", "/nonexistent/module", nullptr};
  for (size_t i = 0; i < 4; i++) {
    ASSERT_EQ(records[i + 1].allocated.count, 1U);
    EXPECT_STREQ(records[i + 1].allocated.frames[0].module, modules[i]) << i;
  }
  EXPECT_EQ(records[3].allocated.frames[0].offset, 0x1800U);
  EXPECT_STREQ(records[3].allocated.frames[0].build_id, "ab");
}

// ---- As a profile ----

// A block that was resized counts where it was asked for last; each request counts where it was made.
TEST_F(TraceLeaks, AProfileHasWhatWasAskedForAndWhatIsLeft) {
  sites({"a.c", "b.c", "c.c", "d.c"});
  alloc(1, 10);
  alloc(2, 30);
  alloc(3, 7);
  add(TRACE_REALLOC, 0, 3, 100);
  add(TRACE_FREE, 1, 1, 0);
  trace_op const again = {TRACE_ALLOC, 0, 1, 5, 2, 0}; // the freed block's number is taken once more
  trace_add(&trace_, &again);
  const std::string path = ringfence_test::scratch("profile");
  ASSERT_TRUE(rf_trace_profile_write(&arena_, &trace_, path.c_str()));
  std::istringstream text(ringfence_test::pprof_text(ringfence_test::read_file(path)));
  std::string samples;
  for (std::string line; std::getline(text, line);) {
    samples += line[0] == '2' ? line + "\n" : "";
  }
  EXPECT_EQ(samples, "2:{1:[1] 2:[1,10,0,0]}\n"
                     "2:{1:[2] 2:[2,35,1,5]}\n"
                     "2:{1:[3] 2:[2,107,2,107]}\n");
  EXPECT_FALSE(rf_trace_profile_write(&arena_, &trace_, "/nowhere/profile"));
}

} // namespace
