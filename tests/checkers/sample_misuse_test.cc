// Misuse of allocators that are sampled, of the allocators below them and beside them: which calls are findings.
#include "tests/checkers/sample_fixture.h"
#include "tests/core/unwatched.h"

#include <ringfence/tlsf.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <vector>

namespace ringfence {
namespace {

using SampleMisuse = Sample;

TEST_F(SampleMisuse, AMisuseOfABlockThatIsNotSampledIsAFinding) {
  start(1 << 20);
  void *const p = rf_alloc(a(), 100);
  EXPECT_EQ(rf_free(a(), p), RF_OK);
  EXPECT_EQ(rf_free(a(), p), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(take_one().bug, RF_BUG_DOUBLE_FREE);
  EXPECT_EQ(rf_realloc(a(), bytes(p) + 3, 10), nullptr);
  EXPECT_EQ(take_one().bug, RF_BUG_BAD_FREE);
}

TEST_F(SampleMisuse, AFreeThatMeetsDamageIsAFindingOfNoAccess) {
  Unwatched const unwatched;
  rf_tlsf heap;
  rf_sample other;
  alignas(16) static unsigned char arena[4096];
  ASSERT_EQ(rf_tlsf_init(&heap, arena, sizeof arena), RF_OK);
  rf_sample_options options;
  rf_sample_options_default(&options);
  options.rate = 1 << 20;
  options.reporter = recorder_.reporter();
  ASSERT_EQ(rf_sample_init(&other, &heap.base, &options), RF_OK);
  unsigned char *const p = bytes(rf_alloc(&other.base, 100));
  std::memset(p - 4, 0xFF, 4);
  EXPECT_EQ(rf_free(&other.base, p), RF_ERR_CORRUPT);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_METADATA);
  EXPECT_EQ(f.access, RF_ACCESS_UNKNOWN);
  rf_deinit(&other.base);
}

TEST_F(SampleMisuse, AMisuseIsReportedFromWhereItWasCalled) {
  static const rf_site kSite = {"demo.c", "main", 6};
  start(1 << 20);
  void *const p = rf_alloc(a(), 100);
  rf_free(a(), p);
  EXPECT_EQ(rf_free_at(a(), p, &kSite), RF_ERR_NOT_ALLOCATED);
  rf_finding const f = take_one();
  EXPECT_EQ(f.found.site, &kSite);
  ASSERT_GT(f.found.depth, 1U);
  auto const body = reinterpret_cast<uintptr_t>(__builtin_return_address(0)); // into GoogleTest, from here
  uintptr_t const *const end = f.found.frames + f.found.depth;
  uintptr_t const *const at = std::find(f.found.frames, end, body);
  ASSERT_NE(at, end);
  EXPECT_LE(at - f.found.frames, 2) << "rf_free_at, this function, its caller: nothing of the allocators";
}

TEST_F(SampleMisuse, AMisuseOfAnAllocatorBesideIsTheProgramsAffair) {
  std::vector<unsigned char> arena(size_t{1} << 16);
  TlsfHeap beside(arena.data(), arena.size());
  unsigned faults = 0;
  rf_fault_handler_set([](const rf_fault *, void *context) { ++*static_cast<unsigned *>(context); }, &faults);
  start(1 << 20);
  for (unsigned i = 0; i < 3; i++) {
    rf_free(a(), rf_alloc(a(), 100));
    void *const p = rf_alloc(beside.allocator(), 100);
    EXPECT_EQ(rf_free(beside.allocator(), p), RF_OK);
    EXPECT_EQ(rf_free(beside.allocator(), p), RF_ERR_NOT_ALLOCATED);
    EXPECT_EQ(faults, i + 1);
  }
  rf_fault_handler_set(nullptr, nullptr);
}

TEST_F(SampleMisuse, AMisuseAfterTheEndOfAnotherIsStillFound) {
  rf_sample other;
  start(1 << 20);
  ASSERT_EQ(rf_sample_init(&other, heap_.allocator(), &options_), RF_OK);
  void *const p = rf_alloc(a(), 100);
  rf_free(&other.base, rf_alloc(&other.base, 10));
  other.base.ops->deinit(&other.base);
  EXPECT_EQ(rf_free(a(), p), RF_OK);
  EXPECT_EQ(rf_free(a(), p), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(take_one().bug, RF_BUG_DOUBLE_FREE);
}

// Blocks 64 KiB apart have the same place in the table of stand-ins.
TEST_F(SampleMisuse, WhatStandsForASampledBlockCannotBeFreed) {
  for (size_t const size : {size_t{24}, size_t{65516}}) {
    std::vector<void *> blocks;
    options_.slots = 20;
    start(1);
    for (unsigned i = 0; i < 20; i++) {
      blocks.push_back(rf_alloc(a(), size));
      ASSERT_TRUE(rf_sample_has(&sample_, blocks.back()));
    }
    void *const other = rf_alloc(a(), size);
    ASSERT_FALSE(rf_sample_has(&sample_, other));
    EXPECT_EQ(rf_free(a(), other), RF_OK);
    while (!blocks.empty()) {
      std::vector<void *> const standing = used_blocks(heap_.allocator());
      EXPECT_EQ(standing.size(), blocks.size());
      for (void *const p : standing) {
        EXPECT_EQ(rf_usable_size(a(), p), 0U);
        EXPECT_EQ(rf_free(a(), p), RF_ERR_NOT_ALLOCATED);
        EXPECT_STREQ(take_one().detail, "the block was freed or moved, and its memory now stands for a sampled block");
      }
      size_t const next = blocks.size() / 2;
      EXPECT_EQ(rf_free(a(), blocks[next]), RF_OK);
      blocks.erase(blocks.begin() + static_cast<std::ptrdiff_t>(next));
    }
  }
}

TEST_F(SampleMisuse, ACallAfterTheEndIsFound) {
  void *const p = rf_alloc(a(), 10);
  end();
  EXPECT_EQ(rf_alloc(a(), 10), nullptr);
  EXPECT_EQ(take_one().bug, RF_BUG_ENDED);
  EXPECT_EQ(rf_free(a(), p), RF_ERR_DELETED);
  EXPECT_EQ(take_one().bug, RF_BUG_ENDED);
}

} // namespace
} // namespace ringfence
