// The limits, defaults and patterns of the public headers, as numbers. Tests elsewhere name them by their symbols, and
// would follow a change; programs, pages and files that were written before would not.
#include <ringfence/handle.h>
#include <ringfence/layout.h>
#include <ringfence/memblocks.h>
#include <ringfence/oom.h>
#include <ringfence/pool.h>
#include <ringfence/port.h>
#include <ringfence/sizeclass.h>
#include <ringfence/slab.h>
#include <ringfence/status.h>

#include <cstddef>
#include <cstdint>
#include <gtest/gtest.h>
#include <limits>

namespace {

TEST(Limits, OfAllAllocators) {
  EXPECT_EQ(RF_SIZE_LIMIT, std::numeric_limits<size_t>::max() / 2);
  EXPECT_EQ(RF_ALIGN_DEFAULT, sizeof(void *) == 8 ? 16U : alignof(std::max_align_t));
  EXPECT_EQ(RF_WAIT_FOREVER, 0xFFFFFFFFU);
}

// Programs are built with one version of a shared library, and run with another.
TEST(Limits, StorageOfThePortIsAsLargeAsProgramsWereBuiltWith) {
  EXPECT_EQ(sizeof(rf_mutex), 64U);
  EXPECT_EQ(sizeof(rf_event), 128U);
}

TEST(Limits, StatusesKeepTheirNumbers) {
  EXPECT_EQ(RF_OK, 0);
  EXPECT_EQ(RF_ERR_NO_MEMORY, 1);
  EXPECT_EQ(RF_ERR_INVALID, 2);
  EXPECT_EQ(RF_ERR_BAD_POINTER, 3);
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, 4);
  EXPECT_EQ(RF_ERR_CORRUPT, 5);
  EXPECT_EQ(RF_ERR_TIMEOUT, 6);
  EXPECT_EQ(RF_ERR_BUSY, 7);
  EXPECT_EQ(RF_ERR_DELETED, 8);
  EXPECT_EQ(RF_ERR_UNSUPPORTED, 9);
}

TEST(Limits, OfSlab) {
  EXPECT_EQ(RF_SLAB_CLASSES, 72);
  EXPECT_EQ(RF_SLAB_LARGEST_CHUNK, 16384);
  EXPECT_EQ(RF_SLAB_LEAST_PAGE, 128);
  EXPECT_EQ(RF_SLAB_LARGEST_PAGE, 4096);
  EXPECT_EQ(RF_SLAB_RESERVE, 2);
  EXPECT_EQ(RF_SLAB_LEAST_ARENA, 288);
}

TEST(Limits, OfSizeclass) {
  EXPECT_EQ(RF_SIZECLASS_COUNT, 13);
  EXPECT_EQ(RF_SIZECLASS_SMALLEST, 16);
  EXPECT_EQ(RF_SIZECLASS_LARGEST, 65536);
  EXPECT_EQ(RF_SIZECLASS_SMALLEST << (RF_SIZECLASS_COUNT - 1), RF_SIZECLASS_LARGEST);
  EXPECT_EQ(RF_SIZECLASS_DEFAULT_BUFFER, 65536U);
  EXPECT_EQ(RF_SIZECLASS_INTEGRITY, 0x08124000U);
  EXPECT_EQ(RF_SIZECLASS_INTEGRITY_MASK, 0x0FFFF000U);
  EXPECT_EQ(RF_SIZECLASS_SITES_MAX, 32767);
  EXPECT_EQ(RF_SIZECLASS_RECENT, 16);
}

TEST(Limits, OfPool) {
  EXPECT_EQ(RF_POOL_CLASSES_MAX, 8);
  EXPECT_EQ(RF_POOL_SIZE_MAX, 248);
  EXPECT_EQ(RF_POOL_DEFAULT_COUNT, 64);
}

TEST(Limits, OfHandle) {
  EXPECT_EQ(RF_HANDLE_NULL, 0U);
  EXPECT_EQ(RF_HANDLE_MOST_LOCKS, 254U);
  EXPECT_EQ(RF_HANDLE_NO_ZERO, 1);
  EXPECT_EQ(RF_HANDLE_TRY, 2);
  EXPECT_EQ(RF_HANDLE_STAY, 4);
  EXPECT_EQ(RF_HANDLE_FILL_FREE, 0xCC);
  EXPECT_EQ(RF_HANDLE_ALIGN_DEFAULT, 4U);
  EXPECT_EQ(RF_HANDLE_AVERAGE_DEFAULT, 32U);
  EXPECT_EQ(RF_HANDLE_MOST_BLOCKS, 65535U);
  EXPECT_EQ(RF_HANDLE_SHORT_ATTEMPTS, 3U);
}

TEST(Limits, OfOom) {
  EXPECT_EQ(RF_OOM_ATTEMPTS, 3);
}

// "10, 12, 14, 16, 22 or 24" bytes a place, as the page of handle says, and one place more than there are blocks.
TEST(Limits, ATableOfHandlesTakesTheBytesOfItsPage) {
  EXPECT_EQ(RF_HANDLE_TABLE_BYTES(0xFFFF, 255), 256U * 10);
  EXPECT_EQ(RF_HANDLE_TABLE_BYTES(0xFFFF, 256), 257U * 12);
  EXPECT_EQ(RF_HANDLE_TABLE_BYTES(0x10000, 255), 256U * 14);
  EXPECT_EQ(RF_HANDLE_TABLE_BYTES(0xFFFFFFFF, 256), 257U * 16);
  if (sizeof(size_t) == 8) {
    EXPECT_EQ(RF_HANDLE_TABLE_BYTES(UINT64_C(1) << 32, 255), 256U * 22);
    EXPECT_EQ(RF_HANDLE_TABLE_BYTES(UINT64_C(1) << 32, 256), 257U * 24);
  }
}

TEST(Limits, ABitmapOfMemblocksHasABitForEachBlock) {
  size_t const bits = sizeof(size_t) * 8;
  EXPECT_EQ(RF_MEMBLOCKS_WORDS(0), 0U);
  EXPECT_EQ(RF_MEMBLOCKS_WORDS(1), 1U);
  EXPECT_EQ(RF_MEMBLOCKS_WORDS(bits), 1U);
  EXPECT_EQ(RF_MEMBLOCKS_WORDS(bits + 1), 2U);
  EXPECT_EQ(RF_MEMBLOCKS_WORDS(std::numeric_limits<size_t>::max()), std::numeric_limits<size_t>::max() / bits + 1);
}

} // namespace
