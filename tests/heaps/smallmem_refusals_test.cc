// smallmem: calls that it refuses, and the status and header that the report names.
#include "tests/heaps/smallmem_fixture.h"

#include <cstring>
#include <string>
#include <vector>

namespace ringfence_test {
namespace {

class SmallmemRefusals : public Smallmem {
protected:
  Unwatched unwatched;

  void SetUp() override {
    Smallmem::SetUp();
    p = alloc(100);
    q = alloc(100);
    r = alloc(100);
  }

  rf_status freed(void *ptr) {
    rf_stats const before = stats(a);
    rf_status const status = rf_free(a, ptr);
    EXPECT_EQ(before.blocks, stats(a).blocks);
    EXPECT_EQ(status, faults.take());
    return status;
  }

  unsigned char *p = nullptr;
  unsigned char *q = nullptr;
  unsigned char *r = nullptr;
};

TEST_F(SmallmemRefusals, Foreign) {
  unsigned char local = 0;
  EXPECT_EQ(RF_ERR_BAD_POINTER, freed(&local));
  EXPECT_EQ(RF_ERR_BAD_POINTER, freed(arena + sizeof arena));
  EXPECT_EQ(RF_ERR_BAD_POINTER, freed(reinterpret_cast<void *>(sizeof(void *) * 2)));
}

TEST_F(SmallmemRefusals, MisalignedAndInterior) {
  EXPECT_EQ(RF_ERR_BAD_POINTER, freed(p + 4));
  for (size_t i = kG; i < 100; i += kG) {
    EXPECT_EQ(RF_ERR_BAD_POINTER, freed(q + i));
  }
}

TEST_F(SmallmemRefusals, FreedTwiceWithLiveNeighbours) {
  rf_free(a, q);
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, freed(q));
}

TEST_F(SmallmemRefusals, FreedTwiceAfterItsMemoryWasMerged) {
  rf_free(a, p);
  rf_free(a, q);
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, freed(q));
  rf_free(a, r);
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, freed(r));
}

TEST_F(SmallmemRefusals, FreedTwiceAfterAnotherBlockTookTheMemory) {
  rf_free(a, p);
  rf_free(a, q);
  EXPECT_EQ(p, rf_alloc(a, 200));
  EXPECT_EQ(RF_ERR_BAD_POINTER, freed(q));
}

TEST_F(SmallmemRefusals, ACopyOfAHeaderElsewhere) {
  memcpy(r - kHeader + 2 * kG, q - kHeader, kHeader);
  EXPECT_EQ(RF_ERR_BAD_POINTER, freed(r + 2 * kG));
}

TEST_F(SmallmemRefusals, ABlockOfAHeapInsideABlock) {
  auto *const outer = alloc(400);
  rf_smallmem inner;
  ASSERT_EQ(RF_OK, rf_smallmem_init(&inner, outer, 400));
  void *const first = rf_alloc(&inner.base, 10);
  void *const second = rf_alloc(&inner.base, 10);
  EXPECT_EQ(RF_ERR_BAD_POINTER, freed(first));
  EXPECT_EQ(RF_ERR_BAD_POINTER, freed(second));
  EXPECT_EQ(RF_OK, rf_free(&inner.base, second));
}

TEST_F(SmallmemRefusals, ABlockOfAFormerLife) {
  rf_deinit(a);
  ASSERT_EQ(RF_OK, rf_smallmem_init(&heap, arena, sizeof arena));
  EXPECT_EQ(p, rf_alloc(a, 1000));
  EXPECT_EQ(RF_ERR_BAD_POINTER, freed(q));
}

TEST_F(SmallmemRefusals, ABlockOfAFormerLifeThatEndedInDamage) {
  p[-1] ^= 1;
  rf_deinit(a);
  ASSERT_EQ(RF_OK, rf_smallmem_init(&heap, arena, sizeof arena));
  EXPECT_EQ(p, rf_alloc(a, 1000));
  EXPECT_EQ(RF_ERR_BAD_POINTER, freed(q));
}

// Behind the damage, headers whose neighbours agree with them would pass for blocks.
TEST_F(SmallmemRefusals, BlocksOfAFormerLifeThatEndedInDamageBeforeThem) {
  alloc(10);
  unsigned char *const between = alloc(10);
  alloc(10);
  p[-1] ^= 1;
  rf_deinit(a);
  ASSERT_EQ(RF_OK, rf_smallmem_init(&heap, arena, sizeof arena));
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, freed(between));
}

TEST_F(SmallmemRefusals, AnythingAfterDeinit) {
  rf_deinit(a);
  rf_deinit(a);
  EXPECT_EQ(RF_ERR_BAD_POINTER, freed(p));
  EXPECT_EQ(nullptr, rf_alloc(a, 1));
  EXPECT_EQ(0U, stats(a).capacity);
}

TEST_F(SmallmemRefusals, AFreeBesideADamagedHeaderChangesNothing) {
  unsigned char *const header = q - kHeader;
  for (unsigned char *const ptr : {p, q, r}) {
    header[0] ^= 0x40;
    EXPECT_EQ(RF_ERR_CORRUPT, freed(ptr));
    EXPECT_EQ(nullptr, rf_realloc(a, ptr, 300));
    EXPECT_EQ(RF_ERR_CORRUPT, faults.take());
    header[0] ^= 0x40;
    EXPECT_EQ(RF_OK, rf_check(a, nullptr));
  }
}

// Headers that the heap has written, of another time: each is intact, and contradicts its neighbour.
TEST_F(SmallmemRefusals, AHeaderOfAnotherTimeBehindTheBlock) {
  unsigned char old[kHeader];
  memcpy(old, r - kHeader, kHeader); // behind q
  rf_free(a, q);
  ASSERT_EQ(p, rf_realloc(a, p, 100 + span(100)));
  unsigned char now[kHeader];
  memcpy(now, r - kHeader, kHeader); // behind p
  memcpy(r - kHeader, old, kHeader);
  EXPECT_EQ(RF_ERR_CORRUPT, freed(p));
  memcpy(r - kHeader, now, kHeader);
  EXPECT_EQ(RF_OK, rf_free(a, p));
}

TEST_F(SmallmemRefusals, AHeaderOfAnotherTimeBeforeTheBlock) {
  unsigned char old[kHeader];
  memcpy(old, r - kHeader, kHeader); // behind q
  ASSERT_EQ(RF_OK, rf_resize(a, q, 10));
  unsigned char now[kHeader];
  memcpy(now, r - kHeader, kHeader); // behind the rest of q
  memcpy(r - kHeader, old, kHeader);
  EXPECT_EQ(RF_ERR_CORRUPT, freed(r));
  memcpy(r - kHeader, now, kHeader);
  EXPECT_EQ(RF_OK, rf_free(a, r));
}

TEST_F(SmallmemRefusals, FreeBlocksThatTouchAreToldByACheck) {
  rf_smallmem const before = heap;
  unsigned char used[kHeader];
  unsigned char free[kHeader];
  memcpy(used, q - kHeader, kHeader);
  rf_free(a, q);
  memcpy(free, q - kHeader, kHeader);
  memcpy(q - kHeader, used, kHeader);
  heap = before;
  EXPECT_EQ(RF_OK, rf_check(a, nullptr));
  rf_free(a, p);
  heap.counters.used -= 100;
  heap.counters.blocks--;
  memcpy(q - kHeader, free, kHeader);
  rf_fault where;
  EXPECT_EQ(RF_ERR_CORRUPT, rf_check(a, &where));
  EXPECT_EQ(q - kHeader, where.ptr);
  EXPECT_STREQ("two free blocks side by side", where.what);
  memcpy(q - kHeader, used, kHeader);
  heap.counters.used += 100;
  heap.counters.blocks++;
}

TEST_F(SmallmemRefusals, AFreeBlockBelowTheLowestIsToldByACheck) {
  alloc(100);
  rf_free(a, p);
  rf_free(a, r);
  size_t const lowest = heap.blocks.free;
  heap.blocks.free = static_cast<size_t>(r - p) + lowest;
  EXPECT_EQ(RF_ERR_CORRUPT, rf_check(a, nullptr));
  heap.blocks.free = lowest;
}

TEST_F(SmallmemRefusals, ALowestFreeBlockWhereNoneBeginsIsToldByACheck) {
  size_t const lowest = heap.blocks.free;
  ASSERT_GT(lowest, kG);
  heap.blocks.free = kG;
  EXPECT_EQ(RF_ERR_CORRUPT, rf_check(a, nullptr));
  heap.blocks.free = lowest;
}

TEST_F(SmallmemRefusals, TheReportNamesTheDamagedHeader) {
  unsigned char *const header = q - kHeader;
  header[1] ^= 1;
  rf_fault where;
  EXPECT_EQ(RF_ERR_CORRUPT, rf_check(a, &where));
  EXPECT_EQ(header, where.ptr);
  rf_free(a, p);
  EXPECT_EQ(header, faults.last().ptr);
  EXPECT_STREQ("smallmem", faults.last().allocator->ops->name);
  header[1] ^= 1;
  faults.take();
}

} // namespace
} // namespace ringfence_test
