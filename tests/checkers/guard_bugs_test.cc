// Each class of bug, on guard over each allocator: the finding says what, where, by how much and by whom; the correct
// twin is silent.
#include "tests/checkers/guard_fixture.h"

#include <ringfence/port.h>

#include <algorithm>
#include <array>
#include <string>
#include <thread>

namespace ringfence {
namespace {

class GuardBugs : public GuardTest {
protected:
  static void expect_site(const rf_trace &trace, unsigned line, const char *function) {
    ASSERT_NE(trace.site, nullptr);
    EXPECT_EQ(trace.site->line, line);
    EXPECT_STREQ(trace.site->function, function);
    EXPECT_NE(std::string(trace.site->file).find("guard_bugs_test.cc"), std::string::npos);
    EXPECT_NE(trace.thread, 0U);
  }

  void expect_block(const rf_finding &f, rf_bug bug, const void *block, size_t size, ptrdiff_t offset) {
    EXPECT_STREQ(rf_bug_name(f.bug), rf_bug_name(bug));
    EXPECT_EQ(f.block, reinterpret_cast<uintptr_t>(block));
    EXPECT_EQ(f.size, size);
    EXPECT_EQ(f.offset, offset);
    EXPECT_EQ(f.address, f.block + static_cast<uintptr_t>(offset));
    EXPECT_STREQ(f.mode, "guard");
    EXPECT_STREQ(f.allocator, heap_->allocator()->ops->name);
  }
};

// ---- Writes past the end ----

TEST_P(GuardBugs, OneByteWrittenPastTheEndIsFoundAtFree) {
  unsigned const allocated = __LINE__ + 1;
  unsigned char *const p = bytes(rf_alloc(a(), 13));
  p[13] = 0x42;
  unsigned const freed = __LINE__ + 1;
  EXPECT_EQ(rf_free(a(), p), RF_OK);
  rf_finding const f = take_one();
  expect_block(f, RF_BUG_BUFFER_OVERFLOW, p, 13, 13);
  EXPECT_EQ(f.cwe, 122U);
  EXPECT_EQ(f.access, RF_ACCESS_WRITE);
  EXPECT_EQ(f.access_size, 1U);
  EXPECT_FALSE(f.freed);
  expect_site(f.allocated, allocated, __func__);
  expect_site(f.found, freed, __func__);
}

TEST_P(GuardBugs, EverySizeIsGuardedToItsLastByte) {
  for (size_t size = 0; size <= 130; size++) {
    unsigned char *const p = bytes(rf_alloc(a(), size));
    ASSERT_NE(p, nullptr);
    p[size] = 0;
    rf_free(a(), p);
    expect_block(take_one(), RF_BUG_BUFFER_OVERFLOW, p, size, static_cast<ptrdiff_t>(size));
  }
}

TEST_P(GuardBugs, EveryGuardByteAfterTheBlockIsWatched) {
  for (size_t distance = 0; distance < RF_GUARD_BACK_MIN; distance++) {
    for (int const value : {0x00, 0xFC, 0xFF}) {
      unsigned char *const p = bytes(rf_alloc(a(), 21));
      p[21 + distance] = static_cast<unsigned char>(value);
      rf_free(a(), p);
      expect_block(take_one(), RF_BUG_BUFFER_OVERFLOW, p, 21, static_cast<ptrdiff_t>(21 + distance));
    }
  }
}

TEST_P(GuardBugs, AllOfTheSlackThatTheInnerBlockOffersIsGuarded) {
  for (size_t size = 1; size <= 100; size++) {
    unsigned char *const p = bytes(rf_alloc(a(), size));
    size_t const offered = rf_usable_size(heap_->allocator(), p - RF_GUARD_PREFIX);
    ASSERT_GE(offered, RF_GUARD_PREFIX + size + RF_GUARD_BACK_MIN);
    size_t const last = std::min(offered - RF_GUARD_PREFIX, size + RF_GUARD_BACK_MAX) - 1;
    p[last] = 1;
    rf_free(a(), p);
    expect_block(take_one(), RF_BUG_BUFFER_OVERFLOW, p, size, static_cast<ptrdiff_t>(last));
  }
}

TEST_P(GuardBugs, TheExtentOfAnOverflowIsTold) {
  unsigned char *const p = bytes(rf_alloc(a(), 40));
  std::memset(p + 40, 0x41, 7);
  rf_free(a(), p);
  rf_finding const f = take_one();
  expect_block(f, RF_BUG_BUFFER_OVERFLOW, p, 40, 40);
  EXPECT_EQ(f.access_size, 7U);
}

TEST_P(GuardBugs, AnOverflowThatBeginsFurtherOnIsPlacedExactly) {
  unsigned char *const p = bytes(rf_alloc(a(), 40));
  p[45] = 1;
  p[47] = 1;
  rf_free(a(), p);
  rf_finding const f = take_one();
  expect_block(f, RF_BUG_BUFFER_OVERFLOW, p, 40, 45);
  EXPECT_EQ(f.access_size, 3U);
  size_t distance;
  EXPECT_STREQ(rf_finding_relation(&f, &distance), "after");
  EXPECT_EQ(distance, 5U);
}

TEST_P(GuardBugs, WritingAllOfABlockIsNoOverflow) {
  for (size_t size = 0; size <= 130; size++) {
    unsigned char *const p = bytes(rf_alloc(a(), size));
    std::memset(p, 0x41, size);
    EXPECT_EQ(rf_free(a(), p), RF_OK);
  }
  expect_silence();
}

// ---- Writes before the start ----

TEST_P(GuardBugs, OneByteWrittenBeforeTheStartIsFoundAtFree) {
  unsigned const allocated = __LINE__ + 1;
  unsigned char *const p = bytes(rf_alloc(a(), 13));
  p[-1] = 0x42;
  unsigned const freed = __LINE__ + 1;
  EXPECT_EQ(rf_free(a(), p), RF_OK);
  rf_finding const f = take_one();
  expect_block(f, RF_BUG_BUFFER_UNDERFLOW, p, 13, -1);
  EXPECT_EQ(f.cwe, 124U);
  EXPECT_EQ(f.access_size, 1U);
  expect_site(f.allocated, allocated, __func__);
  expect_site(f.found, freed, __func__);
}

TEST_P(GuardBugs, EveryGuardByteBeforeTheBlockIsWatched) {
  for (ptrdiff_t distance = 1; distance <= RF_GUARD_FRONT; distance++) {
    unsigned char *const p = bytes(rf_alloc(a(), 24));
    p[-distance] = 0;
    rf_free(a(), p);
    expect_block(take_one(), RF_BUG_BUFFER_UNDERFLOW, p, 24, -distance);
  }
}

TEST_P(GuardBugs, AnUnderflowAndAnOverflowOfOneBlockAreTwoFindings) {
  unsigned char *const p = bytes(rf_alloc(a(), 24));
  p[-2] = 0;
  p[24] = 0;
  rf_free(a(), p);
  std::vector<rf_finding> const found = take();
  ASSERT_EQ(found.size(), 2U);
  expect_block(found[0], RF_BUG_BUFFER_UNDERFLOW, p, 24, -2);
  expect_block(found[1], RF_BUG_BUFFER_OVERFLOW, p, 24, 24);
}

// ---- Writes after free ----

TEST_P(GuardBugs, AWriteAfterFreeIsFoundWhenTheBlockLeavesTheQuarantine) {
  unsigned const allocated = __LINE__ + 1;
  unsigned char *const p = bytes(rf_alloc(a(), 50));
  unsigned const freed = __LINE__ + 1;
  rf_free(a(), p);
  p[7] = 0x42;
  rf_guard_flush(&guard_, 0);
  rf_finding const f = take_one();
  expect_block(f, RF_BUG_USE_AFTER_FREE, p, 50, 7);
  EXPECT_EQ(f.cwe, 416U);
  EXPECT_EQ(f.access, RF_ACCESS_WRITE);
  EXPECT_EQ(f.access_size, 1U);
  EXPECT_TRUE(f.freed);
  expect_site(f.allocated, allocated, __func__);
  expect_site(f.released, freed, __func__);
}

TEST_P(GuardBugs, EveryByteOfAFreedBlockIsWatched) {
  for (size_t i = 0; i < 70; i++) {
    unsigned char *const p = bytes(rf_alloc(a(), 70));
    rf_free(a(), p);
    p[i] = 0xCD;
    EXPECT_EQ(rf_guard_sweep(&guard_), 1U);
    expect_block(take_one(), RF_BUG_USE_AFTER_FREE, p, 70, static_cast<ptrdiff_t>(i));
  }
}

TEST_P(GuardBugs, OfEverySizeEachByteIsComparedWhenTheBlockLeavesTheQuarantine) {
  for (size_t size = 0; size < 140; size++) {
    auto const front = static_cast<ptrdiff_t>(RF_GUARD_FRONT);
    auto const end = static_cast<ptrdiff_t>(size + RF_GUARD_BACK_MIN);
    for (ptrdiff_t i = -front; i < end; i++) {
      unsigned char *const p = bytes(rf_alloc(a(), size));
      rf_free(a(), p);
      p[i] ^= 1U;
      rf_guard_flush(&guard_, 0);
      rf_bug const inside = i < static_cast<ptrdiff_t>(size) ? RF_BUG_USE_AFTER_FREE : RF_BUG_BUFFER_OVERFLOW;
      expect_block(take_one(), i < 0 ? RF_BUG_BUFFER_UNDERFLOW : inside, p, size, i);
    }
  }
}

TEST_P(GuardBugs, AWriteAfterFreeIsFoundBeforeTheBlockIsUsedAgain) {
  options_.quarantine = 4096;
  make(options_);
  for (size_t const size : {3, 20, 50, 64, 100, 300}) {
    unsigned char *const p = bytes(rf_alloc(a(), size));
    rf_free(a(), p);
    p[size / 2] ^= 1U;
    for (size_t i = 0; i < 200 && recorder_.count() == 0; i++) {
      unsigned char *const q = bytes(rf_alloc(a(), size));
      EXPECT_TRUE(q != p || recorder_.count() == 1U) << size;
      rf_free(a(), q);
    }
    expect_block(take_one(), RF_BUG_USE_AFTER_FREE, p, size, static_cast<ptrdiff_t>(size / 2));
  }
}

TEST_P(GuardBugs, AHeaderOverwrittenAfterTheFreeIsFoundBeforeTheBlockIsUsedAgain) {
  if (!GetParam().in_arena) {
    return; // such a block is never given back
  }
  options_.quarantine = 4096;
  make(options_);
  unsigned char *const p = bytes(rf_alloc(a(), 50));
  rf_free(a(), p);
  p[-static_cast<ptrdiff_t>(RF_GUARD_FRONT) - 1] ^= 1U;
  for (size_t i = 0; i < 200 && recorder_.count() == 0; i++) {
    unsigned char *const q = bytes(rf_alloc(a(), 50));
    EXPECT_NE(q, p);
    rf_free(a(), q);
  }
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_METADATA);
  EXPECT_EQ(f.block, reinterpret_cast<uintptr_t>(p));
}

TEST_P(GuardBugs, AWriteAfterFreeIsFoundByTheSweepOnce) {
  unsigned char *const p = bytes(rf_alloc(a(), 50));
  rf_free(a(), p);
  std::memset(p + 3, 0, 9);
  EXPECT_EQ(rf_guard_sweep(&guard_), 1U);
  EXPECT_EQ(take_one().access_size, 9U);
  expect_silence();
  rf_guard_flush(&guard_, 0);
  expect_silence();
}

TEST_P(GuardBugs, AWriteAfterFreeIsFoundAtTheDoubleFree) {
  unsigned char *const p = bytes(rf_alloc(a(), 50));
  rf_free(a(), p);
  p[49] = 0;
  EXPECT_EQ(rf_free(a(), p), RF_ERR_NOT_ALLOCATED);
  std::vector<rf_finding> const found = take();
  ASSERT_EQ(found.size(), 2U);
  expect_block(found[0], RF_BUG_USE_AFTER_FREE, p, 50, 49);
  expect_block(found[1], RF_BUG_DOUBLE_FREE, p, 50, 0);
}

TEST_P(GuardBugs, AWriteBesideAFreedBlockIsAnOverflowOfAFreedBlock) {
  unsigned char *const p = bytes(rf_alloc(a(), 50));
  rf_free(a(), p);
  p[50] = 0;
  EXPECT_EQ(rf_guard_sweep(&guard_), 1U);
  rf_finding const f = take_one();
  expect_block(f, RF_BUG_BUFFER_OVERFLOW, p, 50, 50);
  EXPECT_TRUE(f.freed);
}

TEST_P(GuardBugs, ReadingAFreedBlockShowsItsFill) {
  unsigned char *const p = bytes(rf_alloc(a(), 50));
  std::memset(p, 0x41, 50);
  rf_free(a(), p);
  for (size_t i = 0; i < 50; i++) {
    EXPECT_EQ(p[i], RF_PATTERN_FREED);
  }
  expect_silence();
}

// ---- Double free ----

TEST_P(GuardBugs, ADoubleFreeNamesBothFreesAndTheAllocation) {
  unsigned const allocated = __LINE__ + 1;
  unsigned char *const p = bytes(rf_alloc(a(), 50));
  unsigned const freed = __LINE__ + 1;
  EXPECT_EQ(rf_free(a(), p), RF_OK);
  unsigned const again = __LINE__ + 1;
  EXPECT_EQ(rf_free(a(), p), RF_ERR_NOT_ALLOCATED);
  rf_finding const f = take_one();
  expect_block(f, RF_BUG_DOUBLE_FREE, p, 50, 0);
  EXPECT_EQ(f.cwe, 415U);
  EXPECT_EQ(f.access, RF_ACCESS_FREE);
  EXPECT_TRUE(f.freed);
  expect_site(f.allocated, allocated, __func__);
  expect_site(f.released, freed, __func__);
  expect_site(f.found, again, __func__);
}

TEST_P(GuardBugs, AFreeOfMemoryThatWasNeverABlockIsNoDoubleFree) {
  if (!GetParam().in_arena) {
    GTEST_SKIP() << "what lies behind a block of the C library's heap is not known";
  }
  unsigned char *const p = bytes(rf_alloc(a(), 8));
  for (size_t at = 16; at <= 8192; at += 16) {
    EXPECT_EQ(rf_free(a(), p + at), RF_ERR_BAD_POINTER) << at;
    EXPECT_EQ(take_one().bug, RF_BUG_BAD_FREE) << at;
  }
  EXPECT_EQ(rf_free(a(), p), RF_OK);
}

TEST_P(GuardBugs, ADoubleFreeAfterTheQuarantineIsStillRefused) {
  unsigned const allocated = __LINE__ + 1;
  unsigned char *const p = bytes(rf_alloc(a(), 50));
  unsigned const freed = __LINE__ + 1;
  rf_free(a(), p);
  rf_guard_flush(&guard_, 0);
  if (!GetParam().in_arena) {
    return; // the memory is the C library's again: to look at it would be a use after free
  }
  EXPECT_EQ(rf_free(a(), p), RF_ERR_NOT_ALLOCATED);
  rf_finding const f = take_one();
  expect_block(f, RF_BUG_DOUBLE_FREE, p, 50, 0);
  ASSERT_NE(f.allocated.site, nullptr);
  EXPECT_EQ(f.allocated.site->line, allocated);
  ASSERT_NE(f.released.site, nullptr);
  EXPECT_EQ(f.released.site->line, freed);
}

TEST_P(GuardBugs, ReallocOfAFreedBlockIsADoubleFree) {
  unsigned char *const p = bytes(rf_alloc(a(), 50));
  rf_free(a(), p);
  EXPECT_EQ(rf_realloc(a(), p, 60), nullptr);
  expect_block(take_one(), RF_BUG_DOUBLE_FREE, p, 50, 0);
  EXPECT_EQ(rf_resize(a(), p, 60), RF_ERR_NOT_ALLOCATED);
  expect_block(take_one(), RF_BUG_DOUBLE_FREE, p, 50, 0);
}

TEST_P(GuardBugs, TheOldBlockOfAReallocThatMovedIsFree) {
  unsigned char *const p = bytes(rf_alloc(a(), 50));
  unsigned char *const q = bytes(rf_realloc(a(), p, 60));
  ASSERT_NE(q, nullptr);
  ASSERT_NE(q, p);
  EXPECT_EQ(rf_free(a(), p), RF_ERR_NOT_ALLOCATED);
  expect_block(take_one(), RF_BUG_DOUBLE_FREE, p, 50, 0);
  EXPECT_EQ(rf_free(a(), q), RF_OK);
  expect_silence();
}

TEST_P(GuardBugs, FreeingEachBlockOnceIsNoDoubleFree) {
  for (size_t round = 0; round < 3; round++) {
    std::vector<void *> blocks;
    for (size_t i = 0; i < 60; i++) {
      blocks.push_back(rf_alloc(a(), i * 3));
    }
    for (void *const p : blocks) {
      EXPECT_EQ(rf_free(a(), p), RF_OK);
    }
  }
  EXPECT_EQ(rf_free(a(), nullptr), RF_OK);
  expect_silence();
}

// ---- Bad free ----

TEST_P(GuardBugs, AnInteriorPointerIsToldFromItsBlock) {
  unsigned const allocated = __LINE__ + 1;
  unsigned char *const p = bytes(rf_alloc(a(), 64));
  for (size_t const offset : {1, 4, 8, 16, 32, 48, 63}) {
    unsigned const freed = __LINE__ + 1;
    EXPECT_EQ(rf_free(a(), p + offset), RF_ERR_BAD_POINTER);
    rf_finding const f = take_one();
    expect_block(f, RF_BUG_BAD_FREE, p, 64, static_cast<ptrdiff_t>(offset));
    EXPECT_EQ(f.cwe, 761U);
    EXPECT_EQ(f.access, RF_ACCESS_FREE);
    EXPECT_FALSE(f.freed);
    expect_site(f.allocated, allocated, __func__);
    expect_site(f.found, freed, __func__);
    size_t distance;
    EXPECT_STREQ(rf_finding_relation(&f, &distance), "inside");
    EXPECT_EQ(distance, offset);
  }
  EXPECT_EQ(rf_free(a(), p), RF_OK);
  expect_silence();
}

TEST_P(GuardBugs, APointerToTheRedzonesIsBesideTheBlock) {
  unsigned char *const p = bytes(rf_alloc(a(), 64));
  for (ptrdiff_t const offset : {-1, 64, 64 + RF_GUARD_BACK_MIN - 1}) {
    EXPECT_EQ(rf_free(a(), p + offset), RF_ERR_BAD_POINTER);
    rf_finding const f = take_one();
    expect_block(f, RF_BUG_BAD_FREE, p, 64, offset);
    EXPECT_STREQ(f.detail, "the pointer is beside a block");
    EXPECT_NE(f.cwe, 761U);
  }
  size_t const back = reinterpret_cast<rf_guard_header *>(p - RF_GUARD_PREFIX)->back;
  EXPECT_EQ(rf_free(a(), p + 64 + back), RF_ERR_BAD_POINTER);
  EXPECT_EQ(take_one().block, 0U) << "behind its redzone";
  EXPECT_EQ(rf_free(a(), p), RF_OK);
}

TEST_P(GuardBugs, AnInteriorPointerOfAFreedBlockIsToldFromItsBlock) {
  unsigned char *const p = bytes(rf_alloc(a(), 64));
  rf_free(a(), p);
  EXPECT_EQ(rf_free(a(), p + 4), RF_ERR_BAD_POINTER);
  rf_finding const f = take_one();
  expect_block(f, RF_BUG_BAD_FREE, p, 64, 4);
  EXPECT_TRUE(f.freed);
}

TEST_P(GuardBugs, APointerToTheStackIsRefused) {
  alignas(64) std::array<unsigned char, 256> local = {};
  for (size_t const offset : {64, 65, 128}) {
    EXPECT_EQ(rf_free(a(), &local[offset]), RF_ERR_BAD_POINTER);
    rf_finding const f = take_one();
    EXPECT_EQ(f.bug, RF_BUG_BAD_FREE);
    EXPECT_EQ(f.cwe, 590U);
    EXPECT_EQ(f.address, reinterpret_cast<uintptr_t>(&local[offset]));
    EXPECT_EQ(f.block, 0U);
    ASSERT_NE(f.detail, nullptr);
    EXPECT_NE(std::string(f.detail).find("stack"), std::string::npos) << f.detail;
  }
}

alignas(64) unsigned char global[256];
alignas(64) const unsigned char constant[256] = {1};

TEST_P(GuardBugs, APointerToAGlobalIsRefused) {
  const std::array<const unsigned char *, 3> pointers = {global + 64, global + 65, constant + 128};
  for (const unsigned char *const p : pointers) {
    EXPECT_EQ(rf_free(a(), const_cast<unsigned char *>(p)), RF_ERR_BAD_POINTER);
    rf_finding const f = take_one();
    EXPECT_EQ(f.bug, RF_BUG_BAD_FREE);
    EXPECT_EQ(f.cwe, 590U);
    ASSERT_NE(f.detail, nullptr);
    EXPECT_NE(std::string(f.detail).find("static"), std::string::npos) << f.detail;
  }
}

TEST_P(GuardBugs, AWildPointerIsRefusedWithoutLookingAtIt) {
  for (uintptr_t const address : {uintptr_t{1}, uintptr_t{16}, uintptr_t{64}, uintptr_t{80}, uintptr_t{4096},
                                  UINTPTR_MAX, UINTPTR_MAX - 15, UINTPTR_MAX / 2 + 1}) {
    EXPECT_EQ(rf_free(a(), reinterpret_cast<void *>(address)), RF_ERR_BAD_POINTER);
    rf_finding const f = take_one();
    EXPECT_EQ(f.bug, RF_BUG_BAD_FREE);
    EXPECT_EQ(f.address, address);
    EXPECT_EQ(rf_usable_size(a(), reinterpret_cast<void *>(address)), 0U);
  }
}

TEST_P(GuardBugs, AHeaderCopiedElsewhereIsNoHeader) {
  constexpr size_t kCopied = RF_GUARD_PREFIX + 16;
  unsigned char *const p = bytes(rf_alloc(a(), 16));
  unsigned char *const q = bytes(rf_alloc(a(), 256));
  size_t const gap = rf_align_gap(q, RF_GUARD_PREFIX) % RF_ALIGN_DEFAULT;
  std::memcpy(q + gap, p - RF_GUARD_PREFIX, kCopied);
  unsigned char *const fake = q + gap + RF_GUARD_PREFIX;
  EXPECT_EQ(rf_free(a(), fake), RF_ERR_BAD_POINTER);
  expect_block(take_one(), RF_BUG_BAD_FREE, q, 256, fake - q);
  rf_free(a(), p);
  rf_free(a(), q);
  expect_silence();
}

// ---- Other allocators, other calls ----

TEST_P(GuardBugs, ABlockOfAnotherGuardIsAMismatchThatNamesItsAllocation) {
  std::vector<unsigned char> arena(64 * 1024);
  TlsfHeap other_heap(arena.data(), arena.size());
  rf_guard other;
  ASSERT_EQ(rf_guard_init(&other, other_heap.allocator(), &options_), RF_OK);
  unsigned const allocated = __LINE__ + 1;
  unsigned char *const p = bytes(rf_alloc(&other.base, 30));
  unsigned const freed = __LINE__ + 1;
  EXPECT_EQ(rf_free(a(), p), RF_ERR_BAD_POINTER);
  rf_finding const f = take_one();
  expect_block(f, RF_BUG_DEALLOC_MISMATCH, p, 30, 0);
  EXPECT_EQ(f.cwe, 762U);
  EXPECT_STREQ(f.allocation, "tlsf");
  EXPECT_STREQ(f.deallocation, heap_->allocator()->ops->name);
  expect_site(f.allocated, allocated, __func__);
  expect_site(f.found, freed, __func__);
  EXPECT_EQ(rf_free(&other.base, p), RF_OK);
  other.base.ops->deinit(&other.base);
  expect_silence();
}

TEST_P(GuardBugs, AGuardThatEndedAndBeganAgainHidesNoOther) {
  std::vector<unsigned char> arena(64 * 1024);
  TlsfHeap other_heap(arena.data(), arena.size());
  rf_guard other;
  unsigned char *const p = bytes(rf_alloc(a(), 30));
  for (int i = 0; i < 2; i++) {
    ASSERT_EQ(rf_guard_init(&other, other_heap.allocator(), &options_), RF_OK);
    EXPECT_EQ(rf_free(&other.base, p), RF_ERR_BAD_POINTER);
    EXPECT_EQ(take_one().bug, RF_BUG_DEALLOC_MISMATCH) << "the block of the older guard";
    other.base.ops->deinit(&other.base);
  }
  EXPECT_EQ(rf_free(a(), p), RF_OK);
}

TEST_P(GuardBugs, GuardsThatWereLetGoWithoutAnEndDoNoHarm) {
  int local = 0;
  for (size_t i = 0; i < 5; i++) {
    // Made anew where one was, as in a function that is called again, and overwritten.
    rf_guard *const forgotten = new (std::nothrow) rf_guard;
    alignas(rf_guard) unsigned char storage[2][sizeof(rf_guard)];
    ASSERT_EQ(rf_guard_init(forgotten, heap_->allocator(), &options_), RF_OK);
    for (unsigned char *const place : {storage[0], storage[1], storage[0]}) {
      ASSERT_EQ(rf_guard_init(reinterpret_cast<rf_guard *>(place), heap_->allocator(), &options_), RF_OK);
    }
    EXPECT_EQ(rf_free(a(), &local), RF_ERR_BAD_POINTER);
    rf_guard *const newest = new (std::nothrow) rf_guard;
    ASSERT_EQ(rf_guard_init(newest, heap_->allocator(), &options_), RF_OK);
    delete newest;
    EXPECT_EQ(rf_free(a(), &local), RF_ERR_BAD_POINTER);
    std::memset(storage[0], 0x41, sizeof storage[0]);
    EXPECT_EQ(rf_free(a(), &local), RF_ERR_BAD_POINTER);
    EXPECT_EQ(take().size(), 3U);
    delete forgotten;
  }
}

TEST_P(GuardBugs, ABlockOfTheInnerAllocatorIsNotFreedThroughGuard) {
  if (!GetParam().in_arena) {
    return; // std does not know its own blocks: a foreign pointer like any other
  }
  unsigned char *const p = bytes(rf_alloc(heap_->allocator(), 300));
  EXPECT_EQ(rf_free(a(), p), RF_ERR_BAD_POINTER);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_DEALLOC_MISMATCH);
  EXPECT_EQ(f.address, reinterpret_cast<uintptr_t>(p));
  EXPECT_EQ(rf_free(heap_->allocator(), p), RF_OK);
  expect_silence();
}

TEST_P(GuardBugs, EachFamilyIsFreedByItsOwnCall) {
  constexpr rf_family kFamilies[] = {RF_FAMILY_MALLOC, RF_FAMILY_NEW, RF_FAMILY_NEW_ARRAY};
  const char *const allocations[] = {"malloc", "operator new", "operator new[]"};
  const char *const deallocations[] = {"free", "operator delete", "operator delete[]"};
  for (size_t by = 0; by < 3; by++) {
    for (size_t with = 0; with < 3; with++) {
      rf_origin const origin = {RF_HERE, 0, nullptr};
      void *const p = rf_guard_alloc_from(&guard_, 20, RF_ALIGN_DEFAULT, kFamilies[by], &origin);
      EXPECT_EQ(rf_guard_free_from(&guard_, p, kFamilies[with], SIZE_MAX, &origin), RF_OK);
      if (by == with) {
        expect_silence();
        continue;
      }
      rf_finding const f = take_one();
      expect_block(f, RF_BUG_DEALLOC_MISMATCH, p, 20, 0);
      EXPECT_EQ(f.cwe, 762U);
      EXPECT_STREQ(f.allocation, allocations[by]);
      EXPECT_STREQ(f.deallocation, deallocations[with]);
    }
  }
}

TEST_P(GuardBugs, ReallocOfWhatNewAllocatedIsAMismatch) {
  void *const p = rf_guard_alloc_from(&guard_, 20, RF_ALIGN_DEFAULT, RF_FAMILY_NEW, nullptr);
  void *const q = rf_guard_realloc_from(&guard_, p, 30, RF_ALIGN_DEFAULT, nullptr);
  rf_finding const f = take_one();
  expect_block(f, RF_BUG_DEALLOC_MISMATCH, p, 20, 0);
  EXPECT_EQ(f.argument, 0U) << "no size was named";
  EXPECT_EQ(rf_guard_free_from(&guard_, q, RF_FAMILY_NEW, SIZE_MAX, nullptr), RF_OK);
  expect_silence();
}

TEST_P(GuardBugs, AnOverflowIsToldBeforeTheMismatchOfTheFreeThatFindsIt) {
  unsigned char *const p = bytes(rf_guard_alloc_from(&guard_, 20, RF_ALIGN_DEFAULT, RF_FAMILY_NEW, nullptr));
  p[20] ^= 1;
  EXPECT_EQ(rf_guard_free_from(&guard_, p, RF_FAMILY_MALLOC, SIZE_MAX, nullptr), RF_OK);
  std::vector<rf_finding> const found = take();
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].bug, RF_BUG_BUFFER_OVERFLOW);
  EXPECT_EQ(found[1].bug, RF_BUG_DEALLOC_MISMATCH);
}

TEST_P(GuardBugs, ASizedDeleteWithAnotherSizeIsAMismatch) {
  void *p = rf_guard_alloc_from(&guard_, 20, RF_ALIGN_DEFAULT, RF_FAMILY_NEW, nullptr);
  EXPECT_EQ(rf_guard_free_from(&guard_, p, RF_FAMILY_NEW, 24, nullptr), RF_OK);
  rf_finding const f = take_one();
  expect_block(f, RF_BUG_SIZE_MISMATCH, p, 20, 0);
  EXPECT_EQ(f.argument, 24U);
  p = rf_guard_alloc_from(&guard_, 20, RF_ALIGN_DEFAULT, RF_FAMILY_NEW, nullptr);
  EXPECT_EQ(rf_guard_free_from(&guard_, p, RF_FAMILY_NEW, 20, nullptr), RF_OK);
  expect_silence();
}

// ---- Requests that were turned away ----

TEST_P(GuardBugs, ANegativeSizeIsReported) {
  unsigned const where = __LINE__ + 1;
  EXPECT_EQ(rf_alloc(a(), static_cast<size_t>(-3)), nullptr);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_SIZE_TOO_BIG);
  EXPECT_EQ(f.cwe, 190U);
  EXPECT_EQ(f.size, static_cast<size_t>(-3));
  EXPECT_EQ(f.block, 0U);
  expect_site(f.found, where, __func__);
  void *const p = rf_alloc(a(), 10);
  EXPECT_EQ(rf_realloc(a(), p, static_cast<size_t>(-3)), nullptr);
  EXPECT_EQ(take_one().bug, RF_BUG_SIZE_TOO_BIG);
  EXPECT_EQ(rf_free(a(), p), RF_OK);
}

TEST_P(GuardBugs, ACallocThatWrapsIsReported) {
  EXPECT_EQ(rf_calloc(a(), SIZE_MAX / 2, 3), nullptr);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_CALLOC_OVERFLOW);
  EXPECT_EQ(f.cwe, 190U);
  EXPECT_EQ(f.argument, SIZE_MAX / 2);
  EXPECT_EQ(f.size, 3U);
}

TEST_P(GuardBugs, AnAlignmentThatIsNoPowerOfTwoIsReported) {
  EXPECT_EQ(rf_aligned_alloc(a(), 24, 100), nullptr);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_BAD_ALIGNMENT);
  EXPECT_EQ(f.argument, 24U);
  EXPECT_EQ(f.size, 100U);
}

TEST_P(GuardBugs, ARequestThatIsOnlyTooLargeNowIsNoBug) {
  EXPECT_EQ(rf_alloc(a(), RF_SIZE_LIMIT), nullptr);
  EXPECT_EQ(rf_aligned_alloc(a(), RF_SIZE_LIMIT / 2 + 1, 1), nullptr);
  expect_silence();
}

// ---- Leaks ----

TEST_P(GuardBugs, WhatIsLiveAtDeinitIsALeakIfToldSo) {
  options_.leaks_at_deinit = true;
  make(options_);
  unsigned const allocated = __LINE__ + 1;
  void *const p = rf_alloc(a(), 77);
  void *const q = rf_alloc(a(), 5);
  rf_free(a(), q);
  end();
  rf_finding const f = take_one();
  expect_block(f, RF_BUG_LEAK, p, 77, 0);
  EXPECT_EQ(f.cwe, 401U);
  EXPECT_EQ(f.blocks, 1U);
  expect_site(f.allocated, allocated, __func__);
}

TEST_P(GuardBugs, WhatIsLiveAtDeinitIsNoLeakIfNotToldSo) {
  ASSERT_NE(rf_alloc(a(), 77), nullptr);
  end();
  EXPECT_EQ(recorder_.count(), 0U);
}

TEST_P(GuardBugs, ABlockReportedAsLeakedStaysLive) {
  void *const p = rf_alloc(a(), 77);
  EXPECT_TRUE(rf_guard_report_leak(&guard_, p, "nothing points to it"));
  rf_finding const f = take_one();
  expect_block(f, RF_BUG_LEAK, p, 77, 0);
  EXPECT_STREQ(f.detail, "nothing points to it");
  EXPECT_EQ(rf_free(a(), p), RF_OK);
  EXPECT_FALSE(rf_guard_report_leak(&guard_, p, nullptr));
  expect_silence();
}

// ---- At the end, and after it ----

TEST_P(GuardBugs, DamageToABlockThatIsNeverFreedIsFoundAtDeinit) {
  unsigned char *const p = bytes(rf_alloc(a(), 30));
  unsigned char *const q = bytes(rf_alloc(a(), 30));
  unsigned char *const r = bytes(rf_alloc(a(), 30));
  p[30] = 0;
  q[-1] = 0;
  rf_free(a(), r);
  r[2] = 0;
  end();
  std::vector<rf_finding> const found = take();
  ASSERT_EQ(found.size(), 3U);
  expect_block(found[0], RF_BUG_BUFFER_UNDERFLOW, q, 30, -1);
  expect_block(found[1], RF_BUG_BUFFER_OVERFLOW, p, 30, 30);
  expect_block(found[2], RF_BUG_USE_AFTER_FREE, r, 30, 2);
}

TEST_P(GuardBugs, UseAfterDeinitIsReportedAndRefused) {
  void *const p = rf_alloc(a(), 30);
  end();
  EXPECT_EQ(rf_alloc(a(), 1), nullptr);
  EXPECT_EQ(take_one().bug, RF_BUG_ENDED);
  EXPECT_EQ(rf_free(a(), p), RF_ERR_DELETED);
  EXPECT_EQ(take_one().bug, RF_BUG_ENDED);
  EXPECT_EQ(rf_realloc(a(), p, 60), nullptr);
  EXPECT_EQ(take_one().bug, RF_BUG_ENDED);
  EXPECT_EQ(rf_usable_size(a(), p), 0U);
}

// ---- Threads ----

TEST_P(GuardBugs, TheThreadsOfAllocationAndFreeAreTold) {
  void *p = nullptr;
  uint32_t allocating = 0;
  uint32_t freeing = 0;
  std::thread([&] {
    allocating = rf_port_thread_id();
    p = rf_alloc(a(), 8);
  }).join();
  std::thread([&] {
    freeing = rf_port_thread_id();
    rf_free(a(), p);
  }).join();
  rf_free(a(), p);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_DOUBLE_FREE);
  EXPECT_EQ(f.allocated.thread, allocating);
  EXPECT_EQ(f.released.thread, freeing);
  EXPECT_EQ(f.found.thread, rf_port_thread_id());
}

INSTANTIATE_TEST_SUITE_P(Over, GuardBugs, testing::ValuesIn(kHeaps), heap_name);

} // namespace
} // namespace ringfence

// Requests that cannot be served are part of the tests: sanitizers shall answer them with NULL.
extern "C" const char *__asan_default_options() {
  return "allocator_may_return_null=1";
}

extern "C" const char *__tsan_default_options() {
  return "allocator_may_return_null=1";
}
