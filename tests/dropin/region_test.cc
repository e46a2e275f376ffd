// The page map: whose an address is, without a look at the memory.
#include "checkers/dropin/os/region.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

namespace {

const size_t kMegabyte = RF_REGION_ALIGN;

// The map only hands owners back, it never looks at them.
rf_growing_heap *owner() {
  return reinterpret_cast<rf_growing_heap *>(0x1000);
}

class Region : public testing::Test {
protected:
  ~Region() override {
    if (region_ != nullptr) {
      rf_region_unmap(region_);
    }
  }

  rf_region *map(size_t size, size_t align = 1, size_t room = 0) {
    region_ = rf_region_map(owner(), RF_REGION_BIG, size, align, room);
    EXPECT_NE(region_, nullptr);
    return region_;
  }

  void forget() { region_ = nullptr; }

private:
  rf_region *region_ = nullptr;
};

TEST_F(Region, KnowsEveryByteOfItAndNoneBeside) {
  const rf_region *const r = map(3 * kMegabyte + 5000);
  EXPECT_EQ(r->base % kMegabyte, 0U);
  EXPECT_GE(r->size, 3 * kMegabyte + 5000);
  EXPECT_EQ(rf_region_find(r->base), r);
  EXPECT_EQ(rf_region_find(r->base + r->size / 2), r);
  EXPECT_EQ(rf_region_find(r->base + r->size - 1), r);
  EXPECT_NE(rf_region_find(r->base - 1), r);
  EXPECT_NE(rf_region_find(r->base + r->size), r);
}

TEST_F(Region, IsNotForeignMemory) {
  static char global[16];
  char local[16];
  void *const mapped = mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  map(kMegabyte);
  EXPECT_EQ(rf_region_find(reinterpret_cast<uintptr_t>(global)), nullptr);
  EXPECT_EQ(rf_region_find(reinterpret_cast<uintptr_t>(local)), nullptr);
  EXPECT_EQ(rf_region_find(reinterpret_cast<uintptr_t>(mapped)), nullptr);
  EXPECT_EQ(rf_region_find(0), nullptr);
  EXPECT_EQ(rf_region_find(UINTPTR_MAX), nullptr);
  munmap(mapped, 4096);
}

TEST_F(Region, IsZeroedAlignedAndGoneAfterwards) {
  rf_region *const r = map(4096, 8 * kMegabyte);
  uintptr_t const base = r->base;
  EXPECT_EQ(base % (8 * kMegabyte), 0U);
  EXPECT_EQ(*reinterpret_cast<const int *>(base), 0);
  rf_region_unmap(r);
  forget();
  EXPECT_EQ(rf_region_find(base), nullptr);
}

TEST_F(Region, GrowsIntoTheRoomThatItAskedFor) {
  rf_region *const r = map(kMegabyte, 1, 4 * kMegabyte);
  size_t const before = r->size;
  ASSERT_TRUE(rf_region_extend(r, 3 * kMegabyte));
  EXPECT_GT(r->size, before);
  EXPECT_EQ(rf_region_find(r->base + 3 * kMegabyte - 1), r);
}

TEST_F(Region, DoesNotGrowWhereSomethingIsInTheWay) {
  rf_region *const r = map(kMegabyte);
  void *const wall = mmap(reinterpret_cast<void *>(r->base + r->size), 4096, PROT_NONE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  EXPECT_FALSE(rf_region_extend(r, 2 * kMegabyte));
  EXPECT_EQ(r->size, kMegabyte);
  if (wall != MAP_FAILED) {
    munmap(wall, 4096);
  }
}

TEST_F(Region, GivesBackItsEnd) {
  rf_region *const r = map(5 * kMegabyte);
  rf_region_trim(r, kMegabyte + 100);
  EXPECT_LT(r->size, 2 * kMegabyte);
  EXPECT_EQ(rf_region_find(r->base + kMegabyte), r);
  EXPECT_EQ(rf_region_find(r->base + 4 * kMegabyte), nullptr);
}

TEST_F(Region, IsMetOnAWalkOverTheMap) {
  const rf_region *const r = map(2 * kMegabyte);
  bool met = false;
  for (const rf_region *at = rf_region_above(0); at != nullptr; at = rf_region_above(at->base + at->size)) {
    met = met || at == r;
  }
  EXPECT_TRUE(met);
}

TEST_F(Region, CannotBeLargerThanThereIsAddressSpace) {
  EXPECT_EQ(rf_region_map(owner(), RF_REGION_BIG, SIZE_MAX, 1, 0), nullptr);
  EXPECT_EQ(rf_region_map(owner(), RF_REGION_BIG, SIZE_MAX / 2, 1, 0), nullptr);
}

} // namespace
