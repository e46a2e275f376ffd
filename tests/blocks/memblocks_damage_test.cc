// Damage to the bitmap and the record of a memblocks: told by check, survived by everything.
#include "memblocks_fixture.h"
#include "tests/core/overwrite.h"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

// Some blocks taken here and there, the hint not at the start.
class MemblocksDamage : public testing::Test {
protected:
  MemblocksDamage() {
    EXPECT_EQ(pool.claim(0, 70), RF_OK);
    for (size_t i = 71; i < 150; i += 3) {
      EXPECT_EQ(pool.claim(i), RF_OK);
    }
    void *block = nullptr;
    EXPECT_EQ(rf_memblocks_alloc(&pool.blocks, 1, &block), RF_OK);
  }

  // Changes each byte of the object in turn to each of some values: check must tell, and be content when it is
  // restored.
  void expect_each_byte_told(void *object, size_t size) {
    auto *const bytes = static_cast<unsigned char *>(object);
    for (size_t i = 0; i < size; i++) {
      unsigned char const good = bytes[i];
      for (int flip : {0x01, 0x80, 0x0F, 0xFF, 0x55}) {
        bytes[i] = static_cast<unsigned char>(good ^ flip);
        rf_fault where;
        EXPECT_EQ(rf_memblocks_check(&pool.blocks, &where), RF_ERR_CORRUPT) << "byte " << i << " ^ " << flip;
        EXPECT_EQ(where.status, RF_ERR_CORRUPT);
        EXPECT_NE(where.what, nullptr);
        EXPECT_NE(where.ptr, nullptr);
        bytes[i] = good;
      }
      EXPECT_EQ(rf_memblocks_check(&pool.blocks, nullptr), RF_OK);
    }
  }

  Pool pool{150, 16};
};

TEST_F(MemblocksDamage, OfAnyByteOfTheBitmapIsTold) {
  expect_each_byte_told(pool.blocks.bitmap, RF_MEMBLOCKS_WORDS(150) * sizeof(size_t));
}
TEST(MemblocksFull, AHintBehindTheLastWordIsTold) {
  Pool pool(64, 16);
  EXPECT_EQ(pool.claim(0, 64), RF_OK);
  size_t const hint = pool.blocks.hint;
  pool.blocks.hint = RF_MEMBLOCKS_WORDS(64) + 1;
  EXPECT_EQ(rf_memblocks_check(&pool.blocks, nullptr), RF_ERR_CORRUPT);
  pool.blocks.hint = hint;
}

TEST(MemblocksFull, ARunOfMoreBlocksThanAreCountedIsRefused) {
  Pool pool(64, 16);
  EXPECT_EQ(pool.claim(0, 3), RF_OK);
  pool.blocks.used = 2;
  for (bool const quiet : {false, true}) {
    pool.blocks.quiet = quiet; // of refused frees, not of damage
    EXPECT_EQ(rf_memblocks_free_contiguous(&pool.blocks, pool.at(0), 3), RF_ERR_CORRUPT);
    EXPECT_EQ(pool.faults.count(), quiet ? 2U : 1U);
  }
  pool.blocks.used = 3;
  EXPECT_EQ(rf_memblocks_free_contiguous(&pool.blocks, pool.at(0), 3), RF_OK);
}

TEST_F(MemblocksDamage, OfTheChecksumIsTold) {
  expect_each_byte_told(&pool.blocks.bitmap_checksum, sizeof(size_t));
}
TEST_F(MemblocksDamage, OfTheCountIsTold) {
  expect_each_byte_told(&pool.blocks.used, sizeof(size_t));
}
TEST_F(MemblocksDamage, OfThePeakIsToldWhereItCannotBe) {
  size_t const good = pool.blocks.peak;
  for (size_t peak : {pool.blocks.used - 1, size_t{150 + 1}, SIZE_MAX}) {
    pool.blocks.peak = peak;
    EXPECT_EQ(rf_memblocks_check(&pool.blocks, nullptr), RF_ERR_CORRUPT) << peak;
    pool.blocks.peak = good;
  }
}

TEST_F(MemblocksDamage, OfTheHintIsToldWhereItMisleads) {
  size_t const good = pool.blocks.hint;
  for (size_t hint : {good + 1, RF_MEMBLOCKS_WORDS(150) + 1, SIZE_MAX}) {
    pool.blocks.hint = hint;
    EXPECT_EQ(rf_memblocks_check(&pool.blocks, nullptr), RF_ERR_CORRUPT);
    pool.blocks.hint = good;
  }
}

TEST_F(MemblocksDamage, SwappedWordsAreTold) {
  ASSERT_NE(pool.blocks.bitmap[0], pool.blocks.bitmap[RF_MEMBLOCKS_WORDS(150) - 2]);
  std::swap(pool.blocks.bitmap[0], pool.blocks.bitmap[RF_MEMBLOCKS_WORDS(150) - 2]);
  pool.blocks.hint = 0;
  EXPECT_EQ(rf_memblocks_check(&pool.blocks, nullptr), RF_ERR_CORRUPT);
  std::swap(pool.blocks.bitmap[0], pool.blocks.bitmap[RF_MEMBLOCKS_WORDS(150) - 2]);
}

TEST_F(MemblocksDamage, WhereFreeBlocksVanishedAllocReportsAndTakesNothing) {
  std::vector<size_t> const good(pool.blocks.bitmap, pool.blocks.bitmap + RF_MEMBLOCKS_WORDS(150));
  size_t const checksum = pool.blocks.bitmap_checksum;
  size_t const hint = pool.blocks.hint;
  size_t const last = RF_MEMBLOCKS_WORDS(150) - 1;
  pool.blocks.bitmap[last] |= 0xFFFF;
  size_t const broken = pool.blocks.bitmap[last];
  void *out[150];
  EXPECT_EQ(rf_memblocks_alloc(&pool.blocks, 150 - pool.blocks.used, out), RF_ERR_CORRUPT);
  EXPECT_EQ(pool.faults.last().status, RF_ERR_CORRUPT);
  EXPECT_EQ(pool.blocks.bitmap[last], broken);
  for (size_t w = 0; w < last; w++) {
    EXPECT_EQ(pool.blocks.bitmap[w], good[w]);
  }
  EXPECT_EQ(pool.blocks.bitmap_checksum, checksum);
  EXPECT_EQ(pool.blocks.hint, hint);
  pool.blocks.bitmap[last] = good[last];
}

TEST_F(MemblocksDamage, AnImpossibleCountIsReported) {
  size_t const good = pool.blocks.used;
  void *out = nullptr;
  pool.blocks.used = 151;
  EXPECT_EQ(rf_memblocks_alloc(&pool.blocks, 1, &out), RF_ERR_CORRUPT);
  EXPECT_EQ(rf_memblocks_alloc_contiguous(&pool.blocks, 1, &out), RF_ERR_CORRUPT);
  pool.blocks.used = 0;
  out = pool.at(0);
  EXPECT_EQ(rf_memblocks_free(&pool.blocks, 1, &out), RF_ERR_CORRUPT);
  EXPECT_EQ(pool.faults.last().ptr, out);
  EXPECT_STREQ(pool.faults.last().what, "memblocks: bitmap and count disagree");
  EXPECT_EQ(rf_memblocks_free_contiguous(&pool.blocks, out, 2), RF_ERR_CORRUPT);
  EXPECT_EQ(pool.faults.last().ptr, out);
  EXPECT_STREQ(pool.faults.last().what, "memblocks: bitmap and count disagree");
  EXPECT_EQ(pool.faults.count(), 4U);
  pool.blocks.used = good;
}

// Each byte of the pool's own record in turn: told, or a figure that is only shown. Nothing that is called crashes.
TEST_F(MemblocksDamage, OfAnyByteOfTheRecordIsToldOrDoesNoHarm) {
  rf_memblocks const good = pool.blocks;
  std::vector<size_t> const bitmap(good.bitmap, good.bitmap + RF_MEMBLOCKS_WORDS(150));
  auto *const bytes = reinterpret_cast<unsigned char *>(&pool.blocks);
  auto harmless = [](size_t i) {
    auto in = [i](size_t from, size_t to) { return i >= from && i < to; };
    return in(offsetof(rf_memblocks, quiet), offsetof(rf_memblocks, hint)) || // and padding
           in(offsetof(rf_memblocks, hint), offsetof(rf_memblocks, bitmap_checksum)) ||
           in(offsetof(rf_memblocks, peak), offsetof(rf_memblocks, mutex));
  };
  for (size_t i = 0; i < sizeof pool.blocks; i++) {
    for (int flip : {0x01, 0x10, 0x80, 0xFF}) {
      bytes[i] ^= static_cast<unsigned char>(flip);
      EXPECT_TRUE(rf_memblocks_check(&pool.blocks, nullptr) == RF_ERR_CORRUPT || harmless(i)) << i << " ^ " << flip;
      void *out[3] = {good.buffer, good.buffer + 16, good.buffer + 32};
      rf_stats stats;
      rf_memblocks_listener listener = {nullptr, nullptr, nullptr, nullptr};
      (void)rf_memblocks_owns(&pool.blocks, out[0]);
      (void)rf_memblocks_is_region_free(&pool.blocks, out[0], 3);
      (void)rf_memblocks_free(&pool.blocks, 2, out);
      (void)rf_memblocks_free_contiguous(&pool.blocks, out[2], 1);
      (void)rf_memblocks_claim(&pool.blocks, out[1], 1);
      (void)rf_memblocks_alloc(&pool.blocks, 3, out);
      (void)rf_memblocks_alloc_contiguous(&pool.blocks, 2, out);
      rf_memblocks_stats(&pool.blocks, &stats);
      rf_memblocks_reset_peak(&pool.blocks);
      rf_memblocks_listen(&pool.blocks, &listener);
      rf_memblocks_unlisten(&pool.blocks, &listener);
      rf_memblocks_share(&pool.blocks, nullptr);
      rf_memblocks_deinit(&pool.blocks);
      pool.blocks = good;
      std::copy(bitmap.begin(), bitmap.end(), good.bitmap);
    }
  }
}

// A checksum of 0 is that of a pool that no call has used yet.
TEST_F(MemblocksDamage, OfAllFromAByteToTheEndIsToldOrLeavesAPool) {
  rf_memblocks const good = pool.blocks;
  std::vector<size_t> const bitmap(good.bitmap, good.bitmap + RF_MEMBLOCKS_WORDS(150));
  for (int fill : {0x00, 0x01, 0x7F, 0xFF}) {
    for (size_t from = 0; from < sizeof good; from++) {
      if (!overwrite(&pool.blocks, from, fill)) {
        continue;
      }
      // Cleared from there on, the pool is as a new one; what is wrong are its figures.
      bool const anew = fill == 0 && from > offsetof(rf_memblocks, shift) && from <= offsetof(rf_memblocks, checksum);
      bool const sound = anew && from > offsetof(rf_memblocks, peak);
      EXPECT_EQ(rf_memblocks_check(&pool.blocks, nullptr), sound ? RF_OK : RF_ERR_CORRUPT) << fill << " from " << from;
      void *out[2] = {good.buffer, good.buffer + 16};
      rf_status const freed = rf_memblocks_free(&pool.blocks, 2, out);
      EXPECT_TRUE(anew || freed == RF_ERR_CORRUPT) << fill << " from " << from;
      rf_status const taken = rf_memblocks_alloc(&pool.blocks, 1, out);
      EXPECT_TRUE(anew || taken == RF_ERR_CORRUPT) << fill << " from " << from;
      EXPECT_TRUE(anew || !rf_memblocks_owns(&pool.blocks, good.buffer)) << fill << " from " << from;
      pool.blocks = good;
      std::copy(bitmap.begin(), bitmap.end(), good.bitmap);
    }
  }
}

TEST_F(MemblocksDamage, ARecordThatWasClearedIsNoPool) {
  rf_memblocks cleared = {};
  void *block = nullptr;
  rf_stats stats;
  EXPECT_EQ(rf_memblocks_check(&cleared, nullptr), RF_ERR_CORRUPT);
  EXPECT_EQ(rf_memblocks_alloc(&cleared, 1, &block), RF_ERR_CORRUPT);
  ASSERT_EQ(pool.faults.count(), 1U);
  EXPECT_EQ(pool.faults.last().ptr, &cleared);
  EXPECT_EQ(rf_memblocks_alloc_contiguous(&cleared, 1, &block), RF_ERR_CORRUPT);
  EXPECT_EQ(rf_memblocks_claim(&cleared, &block, 1), RF_ERR_CORRUPT);
  rf_memblocks_stats(&cleared, &stats);
  EXPECT_EQ(stats.capacity, 0U);
}

TEST_F(MemblocksDamage, ACopyOfThePoolIsNotThePool) {
  rf_memblocks copy = pool.blocks;
  void *block = nullptr;
  EXPECT_EQ(rf_memblocks_alloc(&copy, 1, &block), RF_ERR_CORRUPT);
  EXPECT_EQ(pool.faults.last().ptr, &copy);
}

TEST(MemblocksCounts, ARunOfMoreBlocksThanAreTakenIsDamage) {
  Pool pool(4);
  ASSERT_EQ(pool.claim(0, 3), RF_OK);
  pool.blocks.used = 2;
  EXPECT_EQ(rf_memblocks_free_contiguous(&pool.blocks, pool.at(0), 3), RF_ERR_CORRUPT);
  EXPECT_EQ(pool.blocks.used, 2U);
  pool.blocks.used = 3;
}

TEST(MemblocksCounts, AHintBehindTheEndOfAFullPoolIsTold) {
  Pool pool(4);
  ASSERT_EQ(pool.claim(0, 4), RF_OK);
  pool.blocks.hint = RF_MEMBLOCKS_WORDS(4) + 1;
  EXPECT_EQ(rf_memblocks_check(&pool.blocks, nullptr), RF_ERR_CORRUPT);
  pool.blocks.hint = 0;
}

// As of a record that no call has initialised: its checksum is 0.
TEST(MemblocksCounts, ASizeThatNoPoolHasIsNotTakenForANewPool) {
  size_t word = 0;
  unsigned char byte = 0;
  rf_memblocks blocks = RF_MEMBLOCKS_INITIALIZER(16, 4, &byte, &word, false, nullptr, nullptr);
  blocks.num_blocks = RF_SIZE_LIMIT / 16 + 1;
  EXPECT_EQ(rf_memblocks_check(&blocks, nullptr), RF_ERR_CORRUPT);
}
