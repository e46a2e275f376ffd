// Frees that are wrong, on guard over each allocator: of a free block, of no block, of another allocator's block, by
// another call. The correct twin is silent.
#include "tests/checkers/guard_bugs_fixture.h"

#include <ringfence/port.h>

#include <array>
#include <string>
#include <thread>

namespace ringfence {
namespace {

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
  for (ptrdiff_t const offset : {-1, -8, -16, 64, 64 + RF_GUARD_BACK_MIN - 1}) {
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
    std::string const detail = f.detail; // some linkers put constants beside the code
    EXPECT_TRUE(detail == "the pointer is to a static object" ||
                (p == constant + 128 && detail == "the pointer is to code or a constant"))
        << detail;
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

// A member of an object that was freed, or never set, or an element beside an array.
TEST_P(GuardBugs, APointerThatWasReadFromAFillSaysFromWhich) {
  struct Row {
    uintptr_t byte;
    rf_bug bug;
    const char *detail;
  };
  const Row rows[] = {
      {0xcc, RF_BUG_USE_AFTER_FREE, "the pointer was read from freed memory, whose bytes are 0xcc"},
      {0xcd, RF_BUG_BAD_FREE, "the pointer was read from memory that was never written, whose bytes are 0xcd"},
      {0xfd, RF_BUG_BAD_FREE, "the pointer was read from the guard bytes beside a block, which are 0xfd"},
  };
  for (const Row &row : rows) {
    SCOPED_TRACE(row.byte);
    uintptr_t const address = UINTPTR_MAX / 0xff * row.byte;
    EXPECT_EQ(rf_free(a(), reinterpret_cast<void *>(address)), RF_ERR_BAD_POINTER);
    rf_finding const f = take_one();
    EXPECT_EQ(f.bug, row.bug);
    EXPECT_EQ(f.access, RF_ACCESS_FREE);
    EXPECT_EQ(f.address, address);
    EXPECT_EQ(f.block, 0U);
    EXPECT_STREQ(f.detail, row.detail);
    for (uintptr_t const near : {address - 4096, address + 4095}) { // what has a member there, or an element
      EXPECT_EQ(rf_free(a(), reinterpret_cast<void *>(near)), RF_ERR_BAD_POINTER);
      EXPECT_STREQ(take_one().detail, row.detail);
    }
    for (uintptr_t const far : {address - 4097, address + 4096}) {
      EXPECT_EQ(rf_free(a(), reinterpret_cast<void *>(far)), RF_ERR_BAD_POINTER);
      EXPECT_STRNE(take_one().detail, row.detail);
    }
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
