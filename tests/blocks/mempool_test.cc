#include <ringfence/mempool.h>

#include "fault_log.h"
#include "tests/core/unwatched.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <set>
#include <string>
#include <vector>

// A pool over a vector, faults collected.
class Pool {
public:
  explicit Pool(size_t num_blocks, size_t block_size = 80, size_t align = sizeof(void *))
      : memory_(num_blocks * (block_size + sizeof(void *) + align) + 64) {
    EXPECT_EQ(rf_mempool_init(&pool, memory_.data(), bytes_for(num_blocks, block_size, align), block_size, align),
              RF_OK);
    EXPECT_EQ(pool.num_blocks, num_blocks);
  }
  ~Pool() {
    EXPECT_EQ(rf_check(&pool.base, nullptr), RF_OK);
    EXPECT_EQ(rf_mempool_deinit(&pool), RF_OK);
  }
  Pool(const Pool &) = delete;
  Pool &operator=(const Pool &) = delete;

  void *take() {
    void *block = nullptr;
    EXPECT_EQ(rf_mempool_alloc(&pool, 0, &block), RF_OK);
    return block;
  }
  rf_mempool_info info() {
    rf_mempool_info out;
    rf_mempool_info_get(&pool, &out);
    return out;
  }
  rf_stats stats() {
    rf_stats out;
    rf_stats_get(&pool.base, &out);
    return out;
  }

  rf_mempool pool;
  FaultLog faults;

private:
  size_t bytes_for(size_t n, size_t block_size, size_t align) {
    size_t const stride = (block_size + sizeof(void *) + align - 1) / align * align;
    size_t const gap = (align - (reinterpret_cast<uintptr_t>(memory_.data()) + sizeof(void *)) % align) % align;
    return gap + (n - 1) * stride + sizeof(void *) + block_size;
  }
  std::vector<unsigned char> memory_;
};

// ---- init ----

TEST(MempoolInit, OnePointerPerBlockIsAllThatABufferLoses) {
  alignas(void *) static unsigned char memory[(80 + sizeof(void *)) * 32];
  rf_mempool pool;
  ASSERT_EQ(rf_mempool_init(&pool, memory, sizeof memory, 80, sizeof(void *)), RF_OK);
  std::set<void *> blocks;
  void *block;
  while (rf_mempool_alloc(&pool, 0, &block) == RF_OK) {
    memset(block, 0x5A, 80);
    blocks.insert(block);
  }
  EXPECT_EQ(blocks.size(), 32U);
  EXPECT_EQ(rf_check(&pool.base, nullptr), RF_OK);
  EXPECT_EQ(rf_mempool_deinit(&pool), RF_OK);
}

TEST(MempoolInit, TheLastBlockThatFitsExactlyIsServed) {
  alignas(16) unsigned char memory[3 * 48];
  rf_mempool pool;
  // 16-byte alignment: headers end at multiples of 16, 40 bytes of stride 48 are the block.
  size_t const gap = 16 - sizeof(void *);
  ASSERT_EQ(rf_mempool_init(&pool, memory, gap + 48 + sizeof(void *) + 33, 33, 16), RF_OK);
  EXPECT_EQ(pool.num_blocks, 2U);
  ASSERT_EQ(rf_mempool_init(&pool, memory, gap + 48 + sizeof(void *) + 32, 33, 16), RF_OK);
  EXPECT_EQ(pool.num_blocks, 1U);
}

TEST(MempoolInit, AlignsBlocksInABufferOfAnyAddress) {
  unsigned char memory[1024];
  for (size_t offset = 0; offset < 20; offset++) {
    for (size_t align : {size_t{1}, size_t{8}, size_t{16}, size_t{64}}) {
      rf_mempool pool;
      ASSERT_EQ(rf_mempool_init(&pool, memory + offset, 900, 24, align), RF_OK);
      void *block;
      while (rf_mempool_alloc(&pool, 0, &block) == RF_OK) {
        EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % std::max(align, sizeof(void *)), 0U);
        EXPECT_LE(static_cast<unsigned char *>(block) + 24, memory + offset + 900);
        memset(block, 0xFF, 24);
      }
      EXPECT_EQ(rf_check(&pool.base, nullptr), RF_OK);
      EXPECT_EQ(rf_mempool_deinit(&pool), RF_OK);
    }
  }
}

TEST(MempoolInit, RefusesWhatCannotBeAPool) {
  rf_mempool pool;
  alignas(16) unsigned char memory[128];
  EXPECT_EQ(rf_mempool_init(nullptr, memory, 128, 8, 8), RF_ERR_INVALID);
  EXPECT_EQ(rf_mempool_init(&pool, nullptr, 128, 8, 8), RF_ERR_INVALID);
  EXPECT_EQ(rf_mempool_init(&pool, memory, 128, 0, 8), RF_ERR_INVALID);
  EXPECT_EQ(rf_mempool_init(&pool, memory, 128, SIZE_MAX - 3, 8), RF_ERR_INVALID);
  EXPECT_EQ(rf_mempool_init(&pool, memory, 128, 8, 0), RF_ERR_INVALID);
  EXPECT_EQ(rf_mempool_init(&pool, memory, 128, 8, 24), RF_ERR_INVALID);
  EXPECT_EQ(rf_mempool_init(&pool, memory, 128, 8, SIZE_MAX / 2 + 1), RF_ERR_INVALID);
  EXPECT_EQ(rf_mempool_init(&pool, memory, SIZE_MAX - 100, 8, 8), RF_ERR_INVALID);
  EXPECT_EQ(rf_mempool_init(&pool, memory, 128, 128, 8), RF_ERR_NO_MEMORY);
  EXPECT_EQ(rf_mempool_init(&pool, memory, 0, 8, 8), RF_ERR_NO_MEMORY);
  EXPECT_EQ(rf_mempool_init(&pool, memory, 1, 8, 64), RF_ERR_NO_MEMORY);
}

TEST(MempoolDeinit, EndsThePoolOnceAndForAll) {
  alignas(16) unsigned char memory[128];
  rf_mempool pool;
  ASSERT_EQ(rf_mempool_init(&pool, memory, 128, 8, 8), RF_OK);
  void *block = nullptr;
  ASSERT_EQ(rf_mempool_alloc(&pool, 0, &block), RF_OK);
  EXPECT_EQ(rf_mempool_deinit(&pool), RF_OK);
  EXPECT_EQ(rf_mempool_deinit(&pool), RF_OK);
  FaultLog faults;
  void *other = &pool;
  EXPECT_EQ(rf_mempool_alloc(&pool, RF_WAIT_FOREVER, &other), RF_ERR_DELETED);
  EXPECT_EQ(other, nullptr);
  EXPECT_EQ(rf_mempool_free(&pool, block), RF_ERR_BAD_POINTER);
  EXPECT_EQ(rf_alloc(&pool.base, 1), nullptr);
  EXPECT_EQ(rf_usable_size(&pool.base, block), 0U);
  EXPECT_FALSE(rf_owns(&pool.base, block));
  EXPECT_EQ(rf_check(&pool.base, nullptr), RF_OK);
  EXPECT_EQ(rf_walk(
                &pool.base, [](const rf_block *, void *) { return true; }, nullptr),
            RF_OK);
  rf_stats stats;
  rf_stats_get(&pool.base, &stats);
  EXPECT_EQ(stats.capacity, 0U);
  rf_mempool_info info;
  rf_mempool_info_get(&pool, &info);
  EXPECT_EQ(info.num_blocks, 0U);
}

// ---- create and delete: from a pool of one large block, so that the sizes asked for are seen ----

TEST(MempoolCreate, TakesOneBlockAndGivesItBack) {
  Pool from(1, 4096, 64);
  rf_mempool *pool = nullptr;
  ASSERT_EQ(rf_mempool_create(&from.pool.base, 9, 50, 32, &pool), RF_OK);
  EXPECT_EQ(from.info().free_blocks, 0U);
  EXPECT_EQ(pool->num_blocks, 9U);
  void *blocks[9];
  for (void *&block : blocks) {
    ASSERT_EQ(rf_mempool_alloc(pool, 0, &block), RF_OK);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % 32, 0U);
    memset(block, 1, 50);
  }
  EXPECT_EQ(rf_check(&pool->base, nullptr), RF_OK);
  EXPECT_EQ(rf_mempool_delete(pool), RF_OK);
  EXPECT_EQ(from.info().free_blocks, 1U);
}

TEST(MempoolCreate, AsksForNotAByteTooMany) {
  size_t const stride = 40 + (sizeof(void *) == 8 ? 8 : 0); // 33 bytes and a pointer, rounded up to pointers
  size_t const exact = sizeof(rf_mempool) + 3 * stride + sizeof(void *) + 33;
  Pool fits(1, exact, 16);
  Pool lacks(1, exact - 1, 16);
  rf_mempool *pool = nullptr;
  EXPECT_EQ(rf_mempool_create(&lacks.pool.base, 4, 33, sizeof(void *), &pool), RF_ERR_NO_MEMORY);
  EXPECT_EQ(pool, nullptr);
  ASSERT_EQ(rf_mempool_create(&fits.pool.base, 4, 33, sizeof(void *), &pool), RF_OK);
  EXPECT_EQ(pool->num_blocks, 4U);
  EXPECT_EQ(rf_mempool_delete(pool), RF_OK);
}

TEST(MempoolCreate, RefusesWhatCannotBeAPool) {
  Pool from(1, 4096);
  rf_allocator *a = &from.pool.base;
  rf_mempool *pool = nullptr;
  EXPECT_EQ(rf_mempool_create(nullptr, 4, 8, 8, &pool), RF_ERR_INVALID);
  EXPECT_EQ(rf_mempool_create(a, 4, 8, 8, nullptr), RF_ERR_INVALID);
  EXPECT_EQ(rf_mempool_create(a, 0, 8, 8, &pool), RF_ERR_INVALID);
  EXPECT_EQ(rf_mempool_create(a, 4, 0, 8, &pool), RF_ERR_INVALID);
  EXPECT_EQ(rf_mempool_create(a, 4, 8, 3, &pool), RF_ERR_INVALID);
  EXPECT_EQ(rf_mempool_create(a, SIZE_MAX / 16 + 2, 8, 8, &pool), RF_ERR_INVALID);
  EXPECT_EQ(rf_mempool_create(a, 4, SIZE_MAX / 2, 8, &pool), RF_ERR_INVALID);
  EXPECT_EQ(rf_mempool_delete(&from.pool), RF_ERR_INVALID);
  EXPECT_EQ(from.info().free_blocks, 1U);
}

// ---- alloc and free ----

TEST(Mempool, TheBlockFreedLastIsTakenFirst) {
  Pool p(3);
  void *a = p.take();
  void *b = p.take();
  ASSERT_EQ(rf_mempool_free(&p.pool, a), RF_OK);
  ASSERT_EQ(rf_mempool_free(&p.pool, b), RF_OK);
  EXPECT_EQ(p.take(), b);
  EXPECT_EQ(p.take(), a);
}

TEST(Mempool, EmptyWithTimeoutZeroFailsAtOnce) {
  Pool p(1);
  (void)p.take();
  void *block = &p;
  EXPECT_EQ(rf_mempool_alloc(&p.pool, 0, &block), RF_ERR_NO_MEMORY);
  EXPECT_EQ(block, nullptr);
  EXPECT_EQ(p.stats().failures, 1U);
}

TEST(Mempool, RefusesNullArguments) {
  Pool p(1);
  void *block;
  EXPECT_EQ(rf_mempool_alloc(nullptr, 0, &block), RF_ERR_INVALID);
  EXPECT_EQ(rf_mempool_alloc(&p.pool, 0, nullptr), RF_ERR_INVALID);
  EXPECT_EQ(rf_mempool_free(&p.pool, nullptr), RF_OK);
  EXPECT_TRUE(p.faults.empty());
}

TEST(Mempool, ABlockNamesItsPool) {
  Pool p(2);
  Pool q(2);
  EXPECT_EQ(rf_mempool_of(p.take()), &p.pool);
  EXPECT_EQ(rf_mempool_of(q.take()), &q.pool);
}

TEST(Mempool, RefusesEveryBadPointer) {
  Pool other(3);
  Pool p(3); // the last to be made collects the faults
  auto *block = static_cast<unsigned char *>(p.take());
  unsigned char *const second = static_cast<unsigned char *>(p.take());
  ASSERT_EQ(rf_mempool_free(&p.pool, second), RF_OK);
  int foreign;
  struct {
    void *ptr;
    rf_status status;
  } const cases[] = {{&foreign, RF_ERR_BAD_POINTER},
                     {other.take(), RF_ERR_BAD_POINTER},
                     {block + 1, RF_ERR_BAD_POINTER},
                     {block + 8, RF_ERR_BAD_POINTER},
                     {block - sizeof(void *), RF_ERR_BAD_POINTER},
                     {second, RF_ERR_NOT_ALLOCATED},
                     {p.pool.start, RF_ERR_BAD_POINTER},
                     {second + 2 * (80 + sizeof(void *)), RF_ERR_BAD_POINTER}};
  for (auto const &test : cases) {
    p.faults.clear();
    EXPECT_EQ(rf_mempool_free(&p.pool, test.ptr), test.status);
    ASSERT_EQ(p.faults.count(), 1U);
    EXPECT_EQ(p.faults.last().ptr, test.ptr);
    EXPECT_EQ(p.faults.last().allocator, &p.pool.base);
  }
  EXPECT_EQ(p.info().free_blocks, 2U);
  EXPECT_EQ(rf_mempool_free(&p.pool, block), RF_OK);
  EXPECT_EQ(rf_mempool_free(&p.pool, block), RF_ERR_NOT_ALLOCATED);
}

TEST(Mempool, ABlockWhoseHeaderWasOverwrittenIsNotTakenBack) {
  Unwatched const unwatched;
  Pool p(3);
  auto *block = static_cast<unsigned char *>(p.take());
  uintptr_t good;
  memcpy(&good, block - sizeof good, sizeof good);
  memset(block - 2, 'x', 2);
  EXPECT_EQ(rf_mempool_free(&p.pool, block), RF_ERR_CORRUPT);
  memcpy(block - sizeof good, &good, sizeof good);
  EXPECT_EQ(rf_mempool_free(&p.pool, block), RF_OK);
}

TEST(Mempool, AHeaderCopiedFromAnotherBlockDoesNotPass) {
  Unwatched const unwatched;
  Pool p(3);
  auto *a = static_cast<unsigned char *>(p.take());
  auto *b = static_cast<unsigned char *>(p.take());
  uintptr_t good;
  memcpy(&good, b - sizeof good, sizeof good);
  memcpy(b - sizeof good, a - sizeof good, sizeof good);
  EXPECT_EQ(rf_mempool_free(&p.pool, b), RF_ERR_CORRUPT);
  memcpy(b - sizeof good, &good, sizeof good);
}

TEST(Mempool, ADamagedHeadIsReportedWithTheBlockThatItNamesOrThePool) {
  Pool p(3);
  size_t const good = p.pool.head;
  struct {
    size_t head;
    const void *ptr;
  } const tests[] = {{p.pool.num_blocks, &p.pool}, {SIZE_MAX, &p.pool}};
  for (auto const &test : tests) {
    p.pool.head = test.head;
    void *block = &p;
    EXPECT_EQ(rf_mempool_alloc(&p.pool, 0, &block), RF_ERR_CORRUPT);
    EXPECT_EQ(block, nullptr);
    EXPECT_EQ(p.faults.last().ptr, test.ptr);
    EXPECT_STREQ(p.faults.last().what, "free list was overwritten");
    EXPECT_EQ(p.faults.last().allocator, &p.pool.base);
    p.pool.head = good;
  }
}

TEST(Mempool, AFreeBlockThatWasOverwrittenIsNotHandedOut) {
  Unwatched const unwatched;
  Pool p(3);
  uintptr_t good;
  memcpy(&good, p.pool.start, sizeof good);
  memset(p.pool.start, 'x', sizeof good);
  void *block = &p;
  EXPECT_EQ(rf_mempool_alloc(&p.pool, 0, &block), RF_ERR_CORRUPT);
  EXPECT_EQ(block, nullptr);
  EXPECT_EQ(p.faults.last().ptr, p.pool.start);
  EXPECT_EQ(rf_alloc(&p.pool.base, 1), nullptr);
  memcpy(p.pool.start, &good, sizeof good);
  EXPECT_EQ(rf_mempool_alloc(&p.pool, 0, &block), RF_OK);
}

TEST(Mempool, CountsBlocksPeakAndFailures) {
  Pool p(4, 32);
  void *a = p.take();
  void *b = p.take();
  (void)p.take();
  rf_mempool_free(&p.pool, a);
  rf_mempool_free(&p.pool, b);
  rf_mempool_info const info = p.info();
  EXPECT_EQ(info.num_blocks, 4U);
  EXPECT_EQ(info.block_size, 32U);
  EXPECT_EQ(info.free_blocks, 3U);
  EXPECT_EQ(info.peak_blocks, 3U);
  EXPECT_EQ(info.waiters, 0U);
  rf_stats const s = p.stats();
  EXPECT_EQ(s.capacity, 4 * (32 + sizeof(void *)));
  EXPECT_EQ(s.used, 32U);
  EXPECT_EQ(s.peak, 96U);
  EXPECT_EQ(s.blocks, 1U);
  EXPECT_EQ(s.peak_blocks, 3U);
  EXPECT_EQ(s.free_bytes, 96U);
  EXPECT_EQ(s.largest_free, 32U);
  EXPECT_EQ(s.allocations, 3U);
  EXPECT_EQ(s.failures, 0U);
  EXPECT_EQ(s.overhead, 4 * sizeof(void *));
}

// ---- As an rf_allocator ----

TEST(MempoolAllocator, ServesWhatFitsABlock) {
  Pool p(2, 32, 16);
  rf_allocator *a = &p.pool.base;
  void *block = rf_alloc(a, 0);
  ASSERT_NE(block, nullptr);
  EXPECT_EQ(rf_usable_size(a, block), 0U);
  EXPECT_EQ(rf_usable_size(a, static_cast<char *>(block) + 1), 0U);
  EXPECT_TRUE(rf_owns(a, block));
  EXPECT_FALSE(rf_owns(a, &p));
  EXPECT_EQ(rf_resize(a, block, 32), RF_OK);
  EXPECT_EQ(rf_usable_size(a, block), 32U);
  EXPECT_EQ(rf_resize(a, block, 33), RF_ERR_NO_MEMORY);
  EXPECT_EQ(rf_realloc(a, block, 33), nullptr);
  EXPECT_EQ(rf_alloc(a, 33), nullptr);
  EXPECT_EQ(rf_aligned_alloc(a, 32, 1), nullptr);
  EXPECT_EQ(p.stats().failures, 3U);
  EXPECT_EQ(rf_resize(a, &p, 1), RF_ERR_BAD_POINTER);
  EXPECT_EQ(rf_free(a, block), RF_OK);
  EXPECT_EQ(rf_free(a, block), RF_ERR_NOT_ALLOCATED);
}

TEST(MempoolAllocator, KnowsTheRequestedSizeOfEachBlock) {
  Pool p(5, 700, 16);
  rf_allocator *a = &p.pool.base;
  size_t const sizes[] = {0, 443, 444, 445, 700}; // 700, 257 … 255 and 0 bytes of slack
  size_t sum = 0;
  void *blocks[5];
  for (size_t i = 0; i < 5; i++) {
    blocks[i] = rf_alloc(a, sizes[i]);
    memset(blocks[i], 0xFF, sizes[i]);
    sum += sizes[i];
    EXPECT_EQ(rf_usable_size(a, blocks[i]), sizes[i]);
    EXPECT_EQ(p.stats().used, sum);
  }
  EXPECT_EQ(rf_check(a, nullptr), RF_OK);
  for (size_t const size : {1, 600, 700, 20}) {
    EXPECT_EQ(rf_resize(a, blocks[2], size), RF_OK);
    memset(blocks[2], 0xFF, size);
    EXPECT_EQ(rf_usable_size(a, blocks[2]), size);
    EXPECT_EQ(p.stats().used, sum - 444 + size);
  }
  EXPECT_EQ(p.stats().peak, sum - 444 + 700);
  for (void *block : blocks) {
    EXPECT_EQ(rf_mempool_of(block), &p.pool);
    EXPECT_EQ(rf_free(a, block), RF_OK);
  }
  EXPECT_EQ(p.stats().used, 0U);
}

TEST(MempoolAllocator, AnOverflowIntoTheSlackIsSeenAtFreeOrByCheck) {
  Unwatched const unwatched;
  Pool p(2, 24, 16);
  rf_allocator *a = &p.pool.base;
  auto *block = static_cast<unsigned char *>(rf_alloc(a, 5));
  unsigned char const good = block[23];
  block[23] = 25; // more than the block has
  EXPECT_EQ(rf_free(a, block), RF_ERR_CORRUPT);
  EXPECT_EQ(rf_usable_size(a, block), 0U);
  block[23] = 18; // possible, but not what was asked for
  EXPECT_EQ(rf_check(a, nullptr), RF_ERR_CORRUPT);
  block[23] = good;
  EXPECT_EQ(rf_free(a, block), RF_OK);
}

TEST(MempoolAllocator, WalksBlocksInAddressOrderUntilToldToStop) {
  Pool p(3, 30, 16);
  ASSERT_NE(rf_alloc(&p.pool.base, 13), nullptr);
  std::string text;
  auto visit = [](const rf_block *b, void *out) {
    auto *t = static_cast<std::string *>(out);
    *t += (b->used ? "used " : "free ") + std::to_string(b->size) + "+" + std::to_string(b->overhead) + " ";
    return t->size() < 20;
  };
  EXPECT_EQ(rf_walk(&p.pool.base, visit, &text), RF_OK);
  EXPECT_EQ(text, "used 13+35 free 30+18 ");
  size_t all = 0;
  auto add = [](const rf_block *b, void *sum) {
    *static_cast<size_t *>(sum) += b->size + b->overhead;
    return true;
  };
  EXPECT_EQ(rf_walk(&p.pool.base, add, &all), RF_OK);
  EXPECT_EQ(all, 48U + 48U + 30U + sizeof(void *)) << "the last one needs no padding";
}

// ---- Integrity ----

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
      (void)p.info();
      (void)rf_mempool_free(&p.pool, live);
      (void)rf_mempool_delete(&p.pool);
      p.pool = good;
      std::copy(memory.begin(), memory.end(), p.pool.start);
    }
  }
  EXPECT_EQ(rf_check(&p.pool.base, nullptr), RF_OK);
}

TEST(MempoolDeath, ABadFreeAbortsByDefault) {
  alignas(16) unsigned char memory[128];
  rf_mempool pool;
  ASSERT_EQ(rf_mempool_init(&pool, memory, sizeof memory, 16, 16), RF_OK);
  EXPECT_DEATH((void)rf_mempool_free(&pool, memory), "mempool: not a block of this pool");
}
