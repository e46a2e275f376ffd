// Traces: what a recorder of an allocator writes is what the reader reads.
#include "tests/trace/trace_fixture.h"

#include "checkers/trace/trace_format.h"

#include <string>
#include <unistd.h>
#include <vector>

namespace ringfence_test {
namespace {

TEST_F(Tracer, RecordsKindSizeAlignmentBlockSiteAndThread) {
  void *const first = alloc(13);
  void *const second = alloc(100, 256, &kOther);
  void *const grown = rf_realloc_at(a, first, 40, RF_ALIGN_DEFAULT, &kOther);
  EXPECT_EQ(rf_free_at(a, second, &kSite), RF_OK);
  ASSERT_NE(grown, nullptr);
  Parsed const p(end());
  ASSERT_TRUE(p.good) << p.problem;
  ASSERT_EQ(kinds(p.t), "aarf");
  const trace_op *const ops = p.t.ops;
  EXPECT_EQ(ops[0].size, 13U);
  EXPECT_EQ(ops[0].align, 0U);
  EXPECT_EQ(ops[1].size, 100U);
  EXPECT_EQ(ops[1].align, 256U);
  EXPECT_EQ(ops[2].size, 40U);
  EXPECT_EQ(ops[2].id, ops[0].id);
  EXPECT_EQ(ops[3].id, ops[1].id);
  EXPECT_NE(ops[0].id, ops[1].id);
  EXPECT_EQ(ops[0].site, ops[3].site);
  EXPECT_EQ(ops[1].site, ops[2].site);
  EXPECT_STREQ(p.t.sites[ops[0].site].file, "demo.c");
  EXPECT_STREQ(p.t.sites[ops[0].site].function, "main");
  EXPECT_EQ(p.t.sites[ops[0].site].line, 6U);
  EXPECT_STREQ(p.t.sites[ops[1].site].file, "other.c");
  EXPECT_EQ(p.t.site_count, 3U) << "two, and the one that is not known";
  EXPECT_NE(ops[0].thread, 0U);
  EXPECT_EQ(p.t.peak, 140U);
  EXPECT_EQ(p.t.peak_blocks, 2U);
  EXPECT_TRUE(p.t.complete);
  EXPECT_EQ(p.t.lost, 0U);
}

TEST_F(Tracer, RecordsTheAlignmentOfAReallocToo) {
  void *const p = rf_realloc_at(a, alloc(13), 40, 256, &kSite);
  ASSERT_NE(p, nullptr);
  EXPECT_EQ(rf_resize_at(a, p, 30, &kSite), RF_OK);
  Parsed const read(end());
  ASSERT_EQ(kinds(read.t), "arr") << read.problem;
  EXPECT_EQ(read.t.ops[1].align, 256U);
  EXPECT_EQ(read.t.ops[2].align, 0U) << "it does not move";
}

TEST_F(Tracer, ChangesNothing) {
  void *const p = alloc(10);
  EXPECT_TRUE(rf_owns(a, p));
  EXPECT_EQ(rf_usable_size(a, p), rf_usable_size(&heap.base, p));
  EXPECT_EQ(rf_inner(a), &heap.base);
  EXPECT_EQ(rf_check(a, nullptr), RF_OK);
  rf_stats s;
  rf_stats_get(a, &s);
  EXPECT_EQ(s.used, 10U);
  EXPECT_EQ(rf_free(&heap.base, p), RF_OK) << "the block is the heap's own";
}

TEST_F(Tracer, CountsARequestThatWasNotServedAndMakesNoBlockOfIt) {
  void *const p = alloc(10);
  EXPECT_EQ(alloc(1 << 20), nullptr);
  EXPECT_EQ(rf_realloc_at(a, p, 1 << 20, RF_ALIGN_DEFAULT, &kSite), nullptr);
  EXPECT_EQ(rf_free_at(a, p, &kSite), RF_OK);
  Parsed const read(end());
  ASSERT_TRUE(read.good) << read.problem;
  EXPECT_EQ(kinds(read.t), "af");
  EXPECT_EQ(read.t.failures, 2U);
  EXPECT_EQ(read.t.peak, 10U);
}

// A call site is written where it changes: what was not served may have changed it.
TEST_F(Tracer, ARequestBehindOneThatWasNotServedHasItsOwnCallSite) {
  void *const first = alloc(10);
  EXPECT_EQ(alloc(1 << 20, RF_ALIGN_DEFAULT, &kOther), nullptr);
  void *const second = alloc(20, RF_ALIGN_DEFAULT, &kOther);
  EXPECT_EQ(rf_realloc_at(a, second, 1 << 20, RF_ALIGN_DEFAULT, &kSite), nullptr);
  EXPECT_EQ(rf_free_at(a, first, &kSite), RF_OK);
  Parsed const read(end());
  ASSERT_EQ(kinds(read.t), "aaf") << read.problem;
  EXPECT_STREQ(read.t.sites[read.t.ops[0].site].file, "demo.c");
  EXPECT_STREQ(read.t.sites[read.t.ops[1].site].file, "other.c");
  EXPECT_STREQ(read.t.sites[read.t.ops[2].site].file, "demo.c");
}

// A program may ask for what no process has, to see that it is refused, and the trace is of use all the same.
TEST_F(Tracer, KeepsAnyAlignmentThatASizeHolds) {
  constexpr size_t kMost = SIZE_MAX / 2 + 1;
  EXPECT_EQ(alloc(10, kMost), nullptr);
  rf_trace_writer_alloc(&tracer.writer, &arena, 10, kMost, nullptr, 0);
  Parsed const read(end());
  ASSERT_TRUE(read.good) << read.problem;
  ASSERT_EQ(kinds(read.t), "a");
  EXPECT_EQ(read.t.failures, 1U);
  EXPECT_EQ(read.t.ops[0].align, kMost);
}

TEST_F(Tracer, EndsOnce) {
  (void)alloc(10);
  Bytes const once = end();
  rf_deinit(a);
  EXPECT_EQ(file, once);
}

TEST_F(Tracer, HandsRejectedRequestsOn) {
  static size_t rejected;
  rf_allocator_ops ops = *heap.base.ops;
  ops.reject = [](rf_allocator *, rf_reject, size_t size, size_t, const rf_site *) { rejected = size; };
  heap.base.ops = &ops;
  EXPECT_EQ(alloc(SIZE_MAX), nullptr);
  EXPECT_EQ(rejected, SIZE_MAX);
  (void)end();
}

TEST_F(Tracer, DoesNotRecordARefusedFree) {
  rf_fault_scope scope;
  rf_fault_scope_enter(
      &scope, [](const rf_fault *, void *) {}, nullptr);
  void *const p = alloc(10);
  EXPECT_EQ(rf_free_at(a, p, &kSite), RF_OK);
  EXPECT_NE(rf_free_at(a, p, &kSite), RF_OK);
  EXPECT_NE(rf_free_at(a, &scope, &kSite), RF_OK);
  rf_fault_scope_leave(&scope);
  Parsed const read(end());
  ASSERT_TRUE(read.good) << read.problem;
  EXPECT_EQ(kinds(read.t), "af");
  EXPECT_EQ(read.t.lost, 0U);
}

TEST_F(Tracer, AFileHasTheNumberOfItsProcess) {
  EXPECT_EQ(end().substr(12, 4), little_endian(static_cast<uint32_t>(getpid())));
}

TEST_F(Tracer, RecordsAResizeInPlaceThatSucceeds) {
  void *const p = alloc(100);
  void *const wall = alloc(100);
  EXPECT_EQ(rf_resize_at(a, p, 50, &kSite), RF_OK);
  EXPECT_NE(rf_resize_at(a, p, 5000, &kSite), RF_OK);
  EXPECT_EQ(rf_free_at(a, wall, &kSite), RF_OK);
  Parsed const read(end());
  ASSERT_TRUE(read.good) << read.problem;
  EXPECT_EQ(kinds(read.t), "aarf");
  EXPECT_EQ(read.t.ops[2].size, 50U);
}

TEST_F(Tracer, KnowsABlockThatItMissedTheFreeOf) {
  void *const p = alloc(64);
  EXPECT_EQ(rf_free(&heap.base, p), RF_OK); // behind its back
  ASSERT_EQ(alloc(64), p);
  Parsed const read(end());
  ASSERT_TRUE(read.good) << read.problem;
  EXPECT_EQ(kinds(read.t), "afa");
}

TEST_F(Tracer, LeavesOutWhatItsTableHasNoRoomFor) {
  rf_deinit(a);
  file.clear();
  begin(RF_TRACE_MEMORY_MIN);
  std::vector<void *> blocks;
  for (int i = 0; i < 100; i++) {
    blocks.push_back(alloc(8));
  }
  for (void *const p : blocks) {
    EXPECT_EQ(rf_free_at(a, p, &kSite), RF_OK);
  }
  Parsed const read(end());
  ASSERT_TRUE(read.good) << read.problem;
  EXPECT_EQ(read.t.peak_blocks, 12U) << "three quarters of 16 slots";
  EXPECT_EQ(read.t.lost, 176U) << "each request about the others";
  EXPECT_EQ(kinds(read.t), std::string(12, 'a') + std::string(12, 'f'));
}

// All of them together are what the program asked for.
TEST_F(Tracer, CountsRequestsAboutBlocksThatItDoesNotKnow) {
  void *const p = rf_alloc_at(&heap.base, 64, RF_ALIGN_DEFAULT, &kSite); // behind its back
  void *const q = rf_realloc_at(a, p, 80, RF_ALIGN_DEFAULT, &kSite);
  ASSERT_NE(q, nullptr);
  EXPECT_EQ(rf_resize_at(a, q, 40, &kSite), RF_OK);
  EXPECT_EQ(rf_free_at(a, q, &kSite), RF_OK);
  EXPECT_EQ(rf_free_at(a, nullptr, &kSite), RF_OK) << "is no request";
  Parsed const read(end());
  ASSERT_TRUE(read.good) << read.problem;
  EXPECT_EQ(kinds(read.t), "");
  EXPECT_EQ(read.t.lost, 3U);
}

TEST_F(Tracer, WritesInChunksAsItsBufferFills) {
  size_t const header = file.size();
  EXPECT_EQ(header, RF_TRACE_HEADER_BYTES);
  for (int i = 0; i < 20000; i++) {
    EXPECT_EQ(rf_free_at(a, alloc(8), &kSite), RF_OK);
  }
  EXPECT_GT(file.size(), size_t{60000});
  EXPECT_LT(file.size(), size_t{40000} * 6);
  Parsed const before(file);
  EXPECT_TRUE(before.good) << before.problem;
  EXPECT_FALSE(before.t.complete) << "what is in the buffer is missing";
  size_t const so_far = before.t.count;
  rf_tracer_flush(&tracer);
  Parsed const flushed(file);
  EXPECT_GT(flushed.t.count, so_far);
  EXPECT_FALSE(flushed.t.complete);
  Parsed const all(end());
  EXPECT_EQ(all.t.count, 40000U);
  EXPECT_TRUE(all.t.complete);
}

TEST_F(Tracer, RefusesTooLittleMemory) {
  rf_tracer other;
  rf_tracer_options options = {{append, &file}, memory.get(), RF_TRACE_MEMORY_MIN - 1};
  EXPECT_EQ(rf_tracer_init(&other, &heap.base, &options), RF_ERR_INVALID);
  options = {{append, &file}, reinterpret_cast<char *>(memory.get()) + 1, 1 << 15};
  EXPECT_EQ(rf_tracer_init(&other, &heap.base, &options), RF_ERR_INVALID);
  options = {{nullptr, nullptr}, memory.get(), 1 << 15};
  EXPECT_EQ(rf_tracer_init(&other, &heap.base, &options), RF_ERR_INVALID);
  EXPECT_EQ(rf_tracer_init(&other, &heap.base, nullptr), RF_ERR_INVALID);
}

} // namespace
} // namespace ringfence_test
