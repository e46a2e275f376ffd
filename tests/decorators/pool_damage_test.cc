// pool: bad frees, and free blocks, links and states that the program wrote to.
#include "tests/core/overwrite.h"
#include "tests/decorators/pool_fixture.h"

#include <cstddef>
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

TEST_F(Pool, ABlockWhoseStateIsDamagedIsRefusedByAllCalls) {
  Unwatched const unwatched(pool.memory, pool.memory_size);
  void *const p = rf_alloc(a, 16);
  unsigned char *const state = pool.slots[0].state + pool.slots[0].stats.count;
  unsigned char *const own = *pool.slots[0].state == 16 ? pool.slots[0].state : state - 1;
  ASSERT_EQ(16, *own);
  *own = 17;
  EXPECT_EQ(RF_ERR_CORRUPT, rf_free(a, p));
  EXPECT_EQ(RF_ERR_CORRUPT, rf_resize(a, p, 8));
  EXPECT_EQ(nullptr, rf_realloc(a, p, 8));
  EXPECT_EQ(0u, rf_usable_size(a, p));
  EXPECT_EQ(std::vector<rf_status>(3, RF_ERR_CORRUPT), faults.seen);
  *own = 16;
  EXPECT_EQ(RF_OK, rf_free(a, p));
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

bool visit(const rf_block * /*block*/, void *count) {
  ++*static_cast<size_t *>(count);
  return true;
}

void ignore(void * /*context*/, const char * /*text*/, size_t /*size*/) {}

// Bytes [from, to) of the record.
struct Field {
  size_t from;
  size_t to;
};

#define FIELD(name)                                                                                                    \
  { offsetof(rf_pool, name), offsetof(rf_pool, name) + sizeof rf_pool().name }

Field of_class(size_t i, size_t at, size_t size) {
  size_t const from = offsetof(rf_pool, slots) + i * sizeof(rf_pool_slots) + at;
  return {from, from + size};
}

// The fields that no call changes.
std::vector<Field> constant_fields() {
  std::vector<Field> fields = {FIELD(inner),       FIELD(class_count), FIELD(memory),
                               FIELD(memory_size), FIELD(borrowed),    FIELD(checksum)};
  for (size_t i = 0; i < RF_POOL_CLASSES_MAX; i++) {
    fields.push_back(of_class(i, offsetof(rf_pool_slots, stats.size), 2 * sizeof(size_t)));
    fields.push_back(of_class(i, offsetof(rf_pool_slots, area), 2 * sizeof(void *)));
    fields.push_back(of_class(i, offsetof(rf_pool_slots, align), sizeof(size_t)));
  }
  return fields;
}

class PoolRecord : public Pool {
protected:
  void SetUp() override {
    Pool::SetUp();
    kept = rf_alloc(a, 9);
    sound = pool;
  }
  void TearDown() override {
    EXPECT_EQ(RF_OK, rf_check(a, nullptr));
    EXPECT_EQ(RF_OK, rf_free(a, kept));
    Pool::TearDown();
  }
  unsigned char *record() { return reinterpret_cast<unsigned char *>(&pool); }

  // Those who are not in a hurry say so and touch nothing.
  void expect_told() {
    rf_fault where = {};
    size_t visited = 0;
    rf_sink const sink = {ignore, nullptr};
    rf_pool_class_stats s;
    ASSERT_EQ(RF_ERR_CORRUPT, rf_check(a, &where));
    ASSERT_EQ(&pool, where.ptr);
    ASSERT_EQ(a, where.allocator);
    ASSERT_STREQ("record of the pool was overwritten", where.what);
    ASSERT_EQ(RF_ERR_CORRUPT, rf_walk(a, visit, &visited));
    ASSERT_EQ(0u, visited);
    ASSERT_EQ(0u, total().capacity);
    ASSERT_EQ(nullptr, rf_inner(a));
    ASSERT_FALSE(rf_pool_class_stats_get(&pool, 0, &s));
    rf_pool_advise(&pool, &sink);
    rf_deinit(a);
  }

  void *kept;
  rf_pool sound;
};

TEST_F(PoolRecord, AnyChangedByteOfWhatStaysTheSameIsTold) {
  for (Field const &field : constant_fields()) {
    for (size_t i = field.from; i < field.to; i++) {
      for (int change = 1; change < 256; change++) {
        record()[i] ^= static_cast<unsigned char>(change);
        ASSERT_NO_FATAL_FAILURE(expect_told()) << "byte " << i << " changed by " << change;
        record()[i] ^= static_cast<unsigned char>(change);
      }
    }
  }
}

TEST_F(PoolRecord, OverwrittenFromAnyByteOnItIsTold) {
  for (int const fill : {0x00, 0x01, 0x41, 0x7F, 0xCC, 0xFF}) {
    for (size_t from = sizeof pool.base; from < sizeof pool; from++) {
      if (overwrite(&pool, from, fill)) {
        ASSERT_NO_FATAL_FAILURE(expect_told()) << fill << " from " << from;
      }
      pool = sound;
    }
  }
}

TEST_F(PoolRecord, OfWhatChangesTheListsAndCountsAreTold) {
  std::vector<Field> fields = {FIELD(pool_used), FIELD(pool_blocks)};
  for (size_t i = 0; i < 2; i++) {
    fields.push_back(of_class(i, offsetof(rf_pool_slots, free_head), sizeof(size_t)));
    fields.push_back(of_class(i, offsetof(rf_pool_slots, stats.used), sizeof(size_t)));
  }
  for (Field const &field : fields) {
    for (size_t i = field.from; i < field.to; i++) {
      for (int change = 1; change < 256; change++) {
        record()[i] ^= static_cast<unsigned char>(change);
        ASSERT_EQ(RF_ERR_CORRUPT, rf_check(a, nullptr)) << "byte " << i << " changed by " << change;
        record()[i] ^= static_cast<unsigned char>(change);
      }
    }
  }
}

// The others are figures, and padding.
TEST_F(PoolRecord, NoOtherByteLeadsACheckAnywhere) {
  for (size_t i = sizeof pool.base; i < sizeof pool; i++) {
    for (int const change : {0x01, 0x80, 0xFF}) {
      size_t visited = 0;
      record()[i] ^= static_cast<unsigned char>(change);
      (void)rf_check(a, nullptr);
      (void)rf_walk(a, visit, &visited);
      (void)total();
      record()[i] ^= static_cast<unsigned char>(change);
    }
  }
}

TEST_F(PoolRecord, AStateThatCannotBeEndsAWalk) {
  Unwatched const unwatched(pool.memory, pool.memory_size);
  rf_pool_slots const &s = pool.slots[1];
  size_t visited = 0;
  s.state[1] = static_cast<unsigned char>(s.stats.size + 1);
  EXPECT_EQ(RF_ERR_CORRUPT, rf_walk(a, visit, &visited));
  EXPECT_EQ(3u, visited);
  s.state[1] = 0xFF;
  EXPECT_EQ(RF_OK, rf_walk(a, visit, &visited));
}

} // namespace
} // namespace ringfence_test
