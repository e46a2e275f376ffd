// mempool: init and create, alloc and free, what is refused, figures.
#include "mempool_fixture.h"
#include "tests/core/unwatched.h"

#include <algorithm>
#include <cstring>
#include <set>

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

// Over an allocator that aligns no more strictly than it is asked to.
TEST(MempoolCreate, AsksForTheAlignmentThatItsBlocksNeed) {
  static size_t asked;
  Pool from(1, 4096, 64);
  rf_allocator_ops ops = *from.pool.base.ops;
  static rf_allocator_ops const *real;
  real = from.pool.base.ops;
  ops.alloc = [](rf_allocator *self, size_t size, size_t align, const rf_site *site) {
    asked = align;
    return real->alloc(self, size, align, site);
  };
  from.pool.base.ops = &ops;
  for (size_t const align : {size_t{1}, sizeof(void *), size_t{32}, size_t{64}}) {
    rf_mempool *pool = nullptr;
    asked = 0;
    ASSERT_EQ(rf_mempool_create(&from.pool.base, 9, 50, align, &pool), RF_OK);
    EXPECT_EQ(asked, std::max(align, alignof(rf_mempool)));
    EXPECT_EQ(rf_mempool_delete(pool), RF_OK);
  }
  from.pool.base.ops = real;
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
  block = &p;
  EXPECT_EQ(rf_mempool_alloc(nullptr, 0, &block), RF_ERR_INVALID);
  EXPECT_EQ(block, nullptr);
  block = &p;
  EXPECT_EQ(rf_mempool_alloc_prio(nullptr, 0, 3, &block), RF_ERR_INVALID);
  EXPECT_EQ(block, nullptr);
  EXPECT_EQ(rf_mempool_deinit(nullptr), RF_ERR_INVALID);
  EXPECT_EQ(rf_mempool_delete(nullptr), RF_ERR_INVALID);
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

// ---- By default ----

TEST(MempoolDeath, ABadFreeAbortsByDefault) {
  alignas(16) unsigned char memory[128];
  rf_mempool pool;
  ASSERT_EQ(rf_mempool_init(&pool, memory, sizeof memory, 16, 16), RF_OK);
  EXPECT_DEATH((void)rf_mempool_free(&pool, memory), "mempool: not a block of this pool");
}
