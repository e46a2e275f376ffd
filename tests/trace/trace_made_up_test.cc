// Traces that are made up or cut: they add up, and can be written and read.
#include "tests/trace/trace_fixture.h"

#include "tools/trace/c_test.h"
#include "tools/trace/synthetic.h"
#include "tools/trace/write.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <string>
#include <vector>

namespace ringfence_test {
namespace {

// A block is allocated once before it is freed, of a size that can be; the peak is that of the sums.
void expect_to_add_up(trace *t, size_t largest) {
  std::vector<size_t> live(t->ids);
  size_t bytes = 0;
  size_t peak = 0;
  ASSERT_NE(t->count, 0U);
  for (size_t i = 0; i < t->count; i++) {
    const trace_op &op = t->ops[i];
    ASSERT_LT(op.id, t->ids);
    ASSERT_EQ(op.kind == TRACE_ALLOC, live[op.id] == 0) << t->name << ", operation " << i;
    ASSERT_TRUE(op.kind == TRACE_FREE ? op.size == 0 : op.size != 0 && op.size <= largest) << t->name << ", " << i;
    bytes += op.size - live[op.id];
    live[op.id] = op.size;
    peak = std::max(peak, bytes);
  }
  EXPECT_EQ(t->peak, peak) << t->name;
  trace_free(t);
}

TEST(MadeUpTraces, AddUp) {
  for (size_t kind = 0; kind < trace_kinds(); kind++) {
    trace made = trace_make(kind, 1);
    EXPECT_STREQ(made.name, trace_name(kind));
    expect_to_add_up(&made, SIZE_MAX);
  }
  trace random = trace_make_random(3, 5000, 100, 4096);
  expect_to_add_up(&random, 4096);
  trace comb = trace_make_comb(3, 50, 4096);
  expect_to_add_up(&comb, 4096);
  trace again = trace_make_comb(3, 50, 4096);
  trace other = trace_make_comb(4, 50, 4096);
  EXPECT_EQ(again.count, other.count);
  EXPECT_NE(again.peak, other.peak) << "another seed";
  EXPECT_EQ(again.count, 300U) << "each block is allocated and freed";
  trace_free(&again);
  trace_free(&other);
}

TEST(MadeUpTraces, SizesOfThePowerLawAreBounded) {
  for (size_t kind = 0; kind < trace_kinds(); kind++) {
    if (std::string(trace_name(kind)) != "power law") {
      continue;
    }
    trace t = trace_make(kind, 7);
    size_t largest = 0;
    for (size_t i = 0; i < t.count; i++) {
      largest = std::max(largest, t.ops[i].size);
    }
    EXPECT_EQ(largest, 8192U);
    trace_free(&t);
  }
}

Bytes written(const trace &t) {
  Bytes file;
  rf_sink const sink = {append, &file};
  trace_write(&t, &sink);
  return file;
}

TEST(MadeUpTraces, WritesAMadeUpTraceThatReadsTheSame) {
  trace made = trace_make(6, 1);
  std::string const path = testing::TempDir() + "trace_test.rft";
  std::ofstream(path, std::ios::binary) << written(made);
  std::array<char, TRACE_PROBLEM_BYTES> problem{};
  trace read;
  ASSERT_TRUE(trace_read(&read, path.c_str(), problem.data())) << problem.data();
  ASSERT_EQ(read.count, made.count);
  EXPECT_EQ(read.peak, made.peak);
  for (size_t i = 0; i < made.count; i++) {
    ASSERT_EQ(read.ops[i].kind, made.ops[i].kind);
    ASSERT_EQ(read.ops[i].size, made.ops[i].size);
  }
  trace_free(&made);
  trace_free(&read);
}

trace with_alignments() {
  trace t{};
  trace_op const ops[] = {{TRACE_ALLOC, 64, 0, 10, 0, 0},
                          {TRACE_ALLOC, 0, 1, 20, 0, 0},
                          {TRACE_REALLOC, 256, 0, 30, 0, 0},
                          {TRACE_REALLOC, 0, 1, 40, 0, 0},
                          {TRACE_FREE, 0, 0, 0, 0, 0}};
  for (const trace_op &op : ops) {
    trace_add(&t, &op);
  }
  t.ids = 2;
  return t;
}

TEST(MadeUpTraces, KeepTheAlignmentsOfAllRequestsInAFile) {
  trace made = with_alignments();
  Bytes const file = written(made);
  std::array<char, TRACE_PROBLEM_BYTES> problem{};
  trace read;
  ASSERT_TRUE(trace_parse(&read, reinterpret_cast<const unsigned char *>(file.data()), file.size(), problem.data()))
      << problem.data();
  ASSERT_EQ(read.count, made.count);
  for (size_t i = 0; i < made.count; i++) {
    EXPECT_EQ(read.ops[i].align, made.ops[i].align) << i;
    EXPECT_EQ(read.ops[i].id, made.ops[i].id) << i;
  }
  trace_free(&made);
  trace_free(&read);
}

// And the site where a recorder knew it.
TEST(MadeUpTraces, KeepTheAlignmentsOfAllRequestsInATestInC) {
  trace made = with_alignments();
  trace_site sites[2] = {};
  char none[] = "";
  char file[] = "demo.c";
  sites[0].file = none;
  sites[1].file = file;
  sites[1].line = 6;
  made.sites = sites;
  made.site_count = 2;
  made.ops[3].site = 1;
  Bytes text;
  rf_sink const sink = {append, &text};
  trace_write_c_test(&made, 4096, &sink);
  EXPECT_NE(text.find("#define ARENA_BYTES 4096U\n#define BLOCKS 2U\n"), Bytes::npos) << text;
  EXPECT_NE(text.find("requests[] = {\n    {ALLOC, 0, 10, 64},\n    {ALLOC, 1, 20, 0},\n    {REALLOC, 0, 30, 256},\n"
                      "    {REALLOC, 1, 40, 0}, // demo.c:6\n    {FREE, 0, 0, 0},\n};\n"),
            Bytes::npos)
      << text;
  made.sites = nullptr;
  made.site_count = 0;
  trace_free(&made);
}

TEST(MadeUpTraces, StandInATestInCWhateverTheNamesOfItsSitesHave) {
  trace made{};
  trace_site site{};
  char file[] = "a\n#error\r.c";
  site.file = file;
  site.line = 7;
  made.sites = &site;
  made.site_count = 1;
  trace_op const op = {TRACE_ALLOC, 0, 0, 10, 0, 0};
  trace_add(&made, &op);
  made.ids = 1;
  Bytes text;
  rf_sink const sink = {append, &text};
  trace_write_c_test(&made, 4096, &sink);
  EXPECT_NE(text.find("\n    {ALLOC, 0, 10, 0}, // a?#error?.c:7\n};\n"), Bytes::npos) << text;
  made.sites = nullptr;
  made.site_count = 0;
  trace_free(&made);
}

// ---- Cut ----

TEST(TraceCut, LeavesTheFirstRequestsAndTheirPeaks) {
  trace t = trace_make(0, 1);
  trace_cut(&t, 10);
  EXPECT_EQ(t.count, 10U);
  size_t live = 0;
  size_t blocks = 0;
  for (size_t i = 0; i < 10; i++) {
    live += t.ops[i].size;
    blocks += t.ops[i].kind == TRACE_ALLOC ? 1 : 0;
  }
  EXPECT_LE(t.peak, live);
  EXPECT_GT(t.peak, 0U);
  EXPECT_LE(t.peak_blocks, blocks);
  EXPECT_GT(t.peak_blocks, 0U);
  trace_cut(&t, 1);
  EXPECT_EQ(t.peak_blocks, 1U);
  EXPECT_EQ(t.peak, t.ops[0].size);
  trace_free(&t);
}

TEST(TraceCut, LeavesATraceThatIsShorter) {
  trace t = trace_make(0, 1);
  trace_cut(&t, 10);
  trace_cut(&t, 11);
  EXPECT_EQ(t.count, 10U);
  trace_free(&t);
}

TEST(TraceCut, KeepsTheLastRequestsAndTheBlocksThatTheyMeet) {
  trace t{};
  trace_op const ops[] = {{TRACE_ALLOC, 0, 0, 10, 0, 0},   {TRACE_FREE, 0, 0, 0, 0, 0},   {TRACE_ALLOC, 0, 1, 20, 0, 0},
                          {TRACE_REALLOC, 0, 1, 30, 7, 0}, {TRACE_ALLOC, 0, 2, 50, 0, 0}, {TRACE_FREE, 0, 2, 0, 0, 0},
                          {TRACE_ALLOC, 0, 0, 40, 0, 0},   {TRACE_FREE, 0, 1, 0, 0, 0}};
  for (const trace_op &op : ops) {
    trace_add(&t, &op);
  }
  t.ids = 3;
  trace_keep_last(&t, 1);
  EXPECT_EQ(kinds(t), "aaf");
  EXPECT_EQ(t.ops[0].size, 30U) << "as it is then";
  EXPECT_EQ(t.ops[0].site, 7U) << "of the call that made it so";
  EXPECT_EQ(t.ops[1].size, 40U);
  EXPECT_EQ(t.peak, 70U);
  EXPECT_EQ(t.peak_blocks, 2U);
  trace_free(&t);
}

} // namespace
} // namespace ringfence_test
