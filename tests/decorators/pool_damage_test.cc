// pool: bad frees, and free blocks, links and states that the program wrote to.
#include "tests/decorators/pool_fixture.h"

#include <cstring>
#include <vector>

#include "tests/core/unwatched.h"

namespace ringfence_test {
namespace {

TEST_F(Pool, RefusesBadFrees) {
  auto *const p = static_cast<unsigned char *>(rf_alloc(a, 16));
  EXPECT_EQ(RF_ERR_BAD_POINTER, rf_free(a, p + 4));
  EXPECT_EQ(RF_ERR_BAD_POINTER, rf_free(a, pool.memory + pool.memory_size - 1)) << "a state byte";
  int local = 0;
  EXPECT_EQ(RF_ERR_BAD_POINTER, rf_free(a, &local));
  EXPECT_EQ(RF_OK, rf_free(a, p));
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, rf_free(a, p));
  EXPECT_EQ(nullptr, rf_realloc(a, p, 8));
  const void *const state = pool.memory + pool.memory_size - 1;
  EXPECT_EQ((std::vector<const void *>{p + 4, state, &local, p, p}), faults.pointers);
  EXPECT_EQ(0u, total().blocks);
  EXPECT_EQ(RF_OK, rf_check(a, nullptr));
}

TEST_F(Pool, TellsAPointerIntoALiveBlockFromTheStartOfTheFreeBlockBehindIt) {
  auto *const p = static_cast<unsigned char *>(rf_alloc(a, 15)); // in a class of 16
  for (int i = 1; i < 16; i++) {
    EXPECT_EQ(RF_ERR_BAD_POINTER, rf_free(a, p + i)) << i;
  }
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, rf_free(a, p + 16));
  EXPECT_EQ(RF_OK, rf_free(a, p));
}

TEST_F(Pool, AWrittenFreeBlockIsReportedAndThePoolGoesOn) {
  Unwatched const unwatched(pool.memory, pool.memory_size);
  auto *const p = static_cast<unsigned char *>(rf_alloc(a, 16));
  ASSERT_EQ(RF_OK, rf_free(a, p));
  std::memset(p, 0x5A, 16);
  rf_fault where;
  EXPECT_EQ(RF_ERR_CORRUPT, rf_check(a, &where));
  EXPECT_EQ(p, where.ptr);
  void *const q = rf_alloc(a, 16); // takes p, whose link is bad: noticed with the next
  void *const r = rf_alloc(a, 16);
  EXPECT_NE(nullptr, q);
  EXPECT_NE(nullptr, r);
  EXPECT_NE(q, r);
  EXPECT_EQ(std::vector<rf_status>{RF_ERR_CORRUPT}, faults.seen);
  EXPECT_EQ(RF_OK, rf_check(a, nullptr));
  EXPECT_EQ(RF_OK, rf_free(a, q));
  EXPECT_EQ(RF_OK, rf_free(a, r));
}

TEST_F(Pool, ACheckNamesTheBlockWhoseStateIsDamaged) {
  Unwatched const unwatched(pool.memory, pool.memory_size);
  for (unsigned c = 0; c < pool.class_count; c++) {
    rf_pool_slots const &s = pool.slots[c];
    for (size_t i = 0; i < s.stats.count; i++) {
      unsigned char const was = s.state[i];
      s.state[i] = static_cast<unsigned char>(s.stats.size + 1);
      rf_fault where = {};
      EXPECT_EQ(RF_ERR_CORRUPT, rf_check(a, &where));
      EXPECT_EQ(s.area + i * s.stats.size, where.ptr) << "class " << c << ", block " << i;
      s.state[i] = was;
    }
    pool.slots[c].stats.used++;
    EXPECT_EQ(RF_ERR_CORRUPT, rf_check(a, nullptr)) << "class " << c << ", the count of its blocks";
    pool.slots[c].stats.used--;
  }
  EXPECT_EQ(RF_OK, rf_check(a, nullptr));
}

TEST_F(Pool, EachBitOfLinksAndStatesIsCheckedAndRestoredIsClean) {
  Unwatched const unwatched(pool.memory, pool.memory_size);
  void *const kept = rf_alloc(a, 9); // the first slot of the first class; the other three are free
  size_t const states = pool.memory_size - 4;
  for (size_t i = 0; i < pool.memory_size; i++) {
    bool const in_kept = i < 16;
    bool const in_link = i < 32 ? i % 16 < sizeof(size_t) : i < 96 && i % 32 < sizeof(size_t);
    bool const relied_on = i >= states || (in_link && !in_kept);
    for (unsigned bit = 0; bit < 8; bit++) {
      auto const old = pool.memory[i];
      pool.memory[i] = static_cast<unsigned char>(old ^ (1U << bit));
      EXPECT_EQ(relied_on ? RF_ERR_CORRUPT : RF_OK, rf_check(a, nullptr)) << "byte " << i << " bit " << bit;
      pool.memory[i] = old;
      ASSERT_EQ(RF_OK, rf_check(a, nullptr)) << i;
    }
  }
  EXPECT_EQ(RF_OK, rf_free(a, kept));
}

} // namespace
} // namespace ringfence_test
