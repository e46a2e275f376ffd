// Damage to the headers, links and record of a mempool: told by check, survived by everything.
#include "mempool_fixture.h"
#include "tests/core/unwatched.h"

#include <algorithm>
#include <cstddef>
#include <set>
#include <vector>

// Every byte of every header, and of each field that is relied on, is changed in turn: check tells, whatever is called
// returns, and restored it is clean.
TEST(MempoolDamage, OfAnyByteOfHeadersAndCountsIsTold) {
  Unwatched const unwatched;
  Pool p(7, 300, 16);
  void *const out[] = {p.take(), p.take(), p.take(), p.take()};
  auto *const byte = static_cast<unsigned char *>(rf_alloc(&p.pool.base, 290));
  auto *const word = static_cast<unsigned char *>(rf_alloc(&p.pool.base, 10));
  rf_mempool_free(&p.pool, out[2]);
  rf_mempool_free(&p.pool, out[0]);
  struct Part {
    void *start;
    size_t bytes;
  };
  std::vector<Part> parts = {{&p.pool.head, sizeof(size_t)},
                             {&p.pool.used, sizeof(size_t)},
                             {&p.pool.used_bytes, sizeof(size_t)},
                             {byte + 299, 1},
                             {word + 300 - sizeof(size_t), sizeof(size_t)}};
  for (size_t i = 0; i < 7; i++) {
    parts.push_back({p.pool.start + i * p.pool.stride, sizeof(uintptr_t)});
  }
  for (Part const &part : parts) {
    auto *const bytes = static_cast<unsigned char *>(part.start);
    for (size_t i = 0; i < part.bytes; i++) {
      unsigned char const good = bytes[i];
      for (int flip = 1; flip < 256; flip++) {
        bytes[i] = static_cast<unsigned char>(good ^ flip);
        rf_fault where;
        ASSERT_EQ(rf_check(&p.pool.base, &where), RF_ERR_CORRUPT) << "byte " << i << " ^ " << flip;
        ASSERT_NE(where.ptr, nullptr);
      }
      bytes[i] = good;
    }
    EXPECT_EQ(rf_check(&p.pool.base, nullptr), RF_OK);
  }
}

// With any one link overwritten, taking all blocks ends, and hands out no block twice.
TEST(MempoolDamage, OfALinkNeverHandsOutABlockTwice) {
  Unwatched const unwatched;
  for (size_t victim = 0; victim < 4; victim++) {
    for (size_t byte = 0; byte < sizeof(uintptr_t); byte++) {
      for (int flip = 1; flip < 256; flip++) {
        alignas(void *) unsigned char memory[4 * (16 + sizeof(void *))];
        rf_mempool pool;
        FaultLog faults;
        ASSERT_EQ(rf_mempool_init(&pool, memory, sizeof memory, 16, sizeof(void *)), RF_OK);
        memory[victim * (16 + sizeof(void *)) + byte] ^= static_cast<unsigned char>(flip);
        std::set<void *> seen;
        void *block;
        while (rf_mempool_alloc(&pool, 0, &block) == RF_OK) {
          ASSERT_TRUE(seen.insert(block).second);
        }
        ASSERT_LE(seen.size(), 4U);
        ASSERT_EQ(rf_mempool_deinit(&pool), RF_OK);
      }
    }
  }
}

// The same of the pool's own record, but for its mutex, which is the port's: told, or a figure that is only shown.
// Nothing that is called on it crashes.
TEST(MempoolDamage, OfAnyByteOfTheRecordIsToldOrDoesNoHarm) {
  Unwatched const unwatched;
  Pool p(5, 40, 16);
  void *const live = rf_alloc(&p.pool.base, 20);
  rf_mempool_free(&p.pool, p.take());
  rf_mempool const good = p.pool;
  std::vector<unsigned char> const memory(p.pool.start, p.pool.start + 5 * p.pool.stride);
  auto *const bytes = reinterpret_cast<unsigned char *>(&p.pool);
  auto harmless = [](size_t i) {
    auto in = [i](size_t from, size_t size) { return i >= from && i < from + size; };
    return in(offsetof(rf_mempool, peak), sizeof(size_t)) || in(offsetof(rf_mempool, peak_bytes), sizeof(size_t)) ||
           in(offsetof(rf_mempool, allocations), sizeof(size_t)) || in(offsetof(rf_mempool, failures), sizeof(size_t));
  };
  for (size_t i = offsetof(rf_mempool, start); i < offsetof(rf_mempool, mutex); i++) {
    for (int flip : {0x01, 0x10, 0x80, 0xFF}) {
      bytes[i] ^= static_cast<unsigned char>(flip);
      EXPECT_TRUE(rf_check(&p.pool.base, nullptr) == RF_ERR_CORRUPT || harmless(i)) << "byte " << i << " ^ " << flip;
      void *got = nullptr;
      (void)rf_mempool_alloc(&p.pool, 0, &got);
      (void)rf_alloc(&p.pool.base, 30);
      (void)rf_resize(&p.pool.base, live, 30);
      (void)rf_usable_size(&p.pool.base, live);
      (void)rf_owns(&p.pool.base, live);
      (void)rf_walk(
          &p.pool.base, [](const rf_block *, void *) { return true; }, nullptr);
      (void)p.stats();
      size_t const told = p.info().num_blocks;
      EXPECT_TRUE(told == 0 || told == 5) << "byte " << i << " ^ " << flip;
      (void)rf_mempool_free(&p.pool, live);
      (void)rf_mempool_delete(&p.pool);
      p.pool = good;
      std::copy(memory.begin(), memory.end(), p.pool.start);
    }
  }
  EXPECT_EQ(rf_check(&p.pool.base, nullptr), RF_OK);
}

TEST(MempoolDamage, OfFiguresThatCannotBeIsTold) {
  Pool p(7, 80, 16);
  void *const block = p.take();
  void *out = nullptr;
  p.pool.used = 8;
  EXPECT_EQ(rf_mempool_alloc(&p.pool, 0, &out), RF_ERR_CORRUPT);
  p.pool.used = 1;
  EXPECT_EQ(p.faults.count(), 1U);
  p.pool.peak = 8;
  EXPECT_EQ(rf_check(&p.pool.base, nullptr), RF_ERR_CORRUPT);
  p.pool.peak = 1;
  p.pool.peak_bytes--;
  EXPECT_EQ(rf_check(&p.pool.base, nullptr), RF_ERR_CORRUPT);
  p.pool.peak_bytes++;
  EXPECT_EQ(rf_mempool_free(&p.pool, block), RF_OK);
}
