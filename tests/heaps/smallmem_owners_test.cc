// smallmem: owners of blocks, in a fourth word of the header.
#include "tests/heaps/smallmem_fixture.h"

namespace ringfence_test {
namespace {

uintptr_t current_owner;

uintptr_t named(const rf_site *) {
  return current_owner;
}

TEST(SmallmemOwners, AreKeptInAFourthWord) {
  alignas(16) unsigned char arena[1024];
  rf_smallmem heap;
  ASSERT_EQ(RF_OK, rf_smallmem_init_owned(&heap, arena, sizeof arena, named));
  current_owner = 0x75676E6F; // as four letters
  auto *const p = static_cast<unsigned char *>(rf_alloc(&heap.base, 32));
  current_owner = 7;
  auto *const q = static_cast<unsigned char *>(rf_alloc(&heap.base, 32));
  EXPECT_EQ(p + 4 * sizeof(size_t) + 32, q);
  EXPECT_EQ(0x75676E6FU, rf_smallmem_owner(&heap, p));
  EXPECT_EQ(7U, rf_smallmem_owner(&heap, q));
  EXPECT_EQ(nullptr, walk(&heap.base)[0].site);
}

TEST(SmallmemOwners, CanBeTheCallSite) {
  static const rf_site here = {"here.c", "main", 12};
  static const rf_site there = {"there.c", "main", 34};
  alignas(16) unsigned char arena[1024];
  rf_smallmem heap;
  ASSERT_EQ(RF_OK, rf_smallmem_init_owned(&heap, arena, sizeof arena, rf_site_owner));
  void *const p = rf_alloc_at(&heap.base, 32, kG, &here);
  EXPECT_EQ(&here, walk(&heap.base)[0].site);
  EXPECT_EQ(nullptr, walk(&heap.base)[1].site);
  EXPECT_EQ(p, rf_realloc_at(&heap.base, p, 64, kG, &there));
  EXPECT_EQ(&there, walk(&heap.base)[0].site);
}

TEST(SmallmemOwners, CanBeReplaced) {
  alignas(16) unsigned char arena[1024];
  rf_smallmem heap;
  Faults faults;
  ASSERT_EQ(RF_OK, rf_smallmem_init_owned(&heap, arena, sizeof arena, named));
  void *const p = rf_alloc(&heap.base, 32);
  EXPECT_EQ(RF_OK, rf_smallmem_set_owner(&heap, p, 99));
  EXPECT_EQ(99U, rf_smallmem_owner(&heap, p));
  EXPECT_EQ(RF_OK, rf_check(&heap.base, nullptr));
  EXPECT_EQ(RF_OK, rf_free(&heap.base, p));
  EXPECT_EQ(0U, rf_smallmem_owner(&heap, p));
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, rf_smallmem_set_owner(&heap, p, 99));
  EXPECT_EQ(1U, faults.count());
}

// With four words, a header is aligned as a payload is.
TEST(SmallmemOwners, AHeaderBelongsToTheBlockBehindIt) {
  alignas(16) unsigned char arena[1024];
  rf_smallmem heap;
  Faults faults;
  ASSERT_EQ(RF_OK, rf_smallmem_init_owned(&heap, arena, sizeof arena, named));
  auto *const p = static_cast<unsigned char *>(rf_alloc(&heap.base, 32));
  auto *const q = static_cast<unsigned char *>(rf_alloc(&heap.base, 32));
  ASSERT_TRUE(rf_is_aligned(q - 4 * sizeof(size_t), kG));
  EXPECT_EQ(RF_ERR_BAD_POINTER, rf_free(&heap.base, q - 4 * sizeof(size_t)));
  EXPECT_EQ(RF_OK, rf_free(&heap.base, q));
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, rf_free(&heap.base, q - 4 * sizeof(size_t)));
  EXPECT_EQ(RF_OK, rf_free(&heap.base, p));
}

TEST_F(Smallmem, HasNoOwnersUnlessAskedFor) {
  void *const p = alloc(10);
  EXPECT_EQ(0U, rf_smallmem_owner(&heap, p));
  EXPECT_EQ(RF_ERR_UNSUPPORTED, rf_smallmem_set_owner(&heap, p, 1));
}

} // namespace
} // namespace ringfence_test
