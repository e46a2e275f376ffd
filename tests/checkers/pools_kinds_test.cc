// Other kinds of pools are watched as well: mempool, mem_slab, allocators over blocks, groups.
#include "tests/checkers/pools_fixture.h"

#include <ringfence/blockgroup.h>
#include <ringfence/memblocks_allocator.h>
#include <ringfence/mempool.h>
#include <ringfence/zephyr/mem_slab.h>

#include <cstring>

#if RF_WATCH

namespace ringfence {
namespace {

// ---- Over memblocks ----

using PoolsKinds = Pools;

TEST_F(PoolsKinds, AnAllocatorOverBlocksIsWatchedToo) {
  rf_memblocks_allocator adapter;
  size_t sizes[kCount];
  ASSERT_EQ(rf_memblocks_allocator_init(&adapter, &blocks_, sizes), RF_OK);
  rf_allocator *const a = &adapter.base;
  auto *const p = static_cast<unsigned char *>(rf_alloc(a, 3 * kSize));
  ASSERT_NE(rf_realloc(a, p, kSize), nullptr);
  ASSERT_NE(rf_realloc(a, p, 2 * kSize), nullptr);
  std::memset(p, 1, 2 * kSize);
  EXPECT_TRUE(findings_.empty());
  rf_free(a, p);
  p[kSize + 1] = 1;
  (void)rf_alloc(a, 2 * kSize);
  expect_found(RF_BUG_USE_AFTER_FREE, p + kSize, kSize, 1);
}

TEST_F(PoolsKinds, ABatchThatSpansAGroupIsWatched) {
  static rf_memblocks *chosen;
  alignas(16) unsigned char far_buffer[kSize * 2] = {};
  size_t far_bitmap[RF_MEMBLOCKS_WORDS(2)];
  rf_memblocks far_blocks;
  rf_blockgroup group;
  rf_blockgroup_member members[2];
  ASSERT_EQ(rf_memblocks_init(&far_blocks, far_buffer, kSize, 2, far_bitmap), RF_OK);
  ASSERT_EQ(rf_blockgroup_init(&group, [](rf_blockgroup *, void *) { return chosen; }), RF_OK);
  ASSERT_EQ(rf_blockgroup_add(&group, &members[0], &blocks_), RF_OK);
  ASSERT_EQ(rf_blockgroup_add(&group, &members[1], &far_blocks), RF_OK);
  void *both[2];
  chosen = &blocks_;
  ASSERT_EQ(rf_blockgroup_alloc(&group, nullptr, 1, &both[0], nullptr), RF_OK);
  chosen = &far_blocks;
  ASSERT_EQ(rf_blockgroup_alloc(&group, nullptr, 1, &both[1], nullptr), RF_OK);
  ASSERT_EQ(rf_blockgroup_free(&group, 2, both), RF_OK);
  far_buffer[5] = 1;
  void *again;
  ASSERT_EQ(rf_blockgroup_alloc(&group, nullptr, 1, &again, nullptr), RF_OK);
  expect_found(RF_BUG_USE_AFTER_FREE, far_buffer, kSize, 5);
  rf_memblocks_deinit(&far_blocks);
}

// ---- mempool ----

class Mempool : public Pools {
protected:
  Mempool() { EXPECT_EQ(rf_mempool_init(&pool_, memory_, sizeof memory_, 48, 8), RF_OK); }
  ~Mempool() override { (void)rf_mempool_deinit(&pool_); }

  unsigned char *obtain() {
    void *p = nullptr;
    EXPECT_EQ(rf_mempool_alloc(&pool_, 0, &p), RF_OK);
    return static_cast<unsigned char *>(p);
  }

  // The next block's header, from a block's start on: before that one, at a multiple of 8.
  static constexpr size_t kHeader = 48 + 8 - sizeof(uintptr_t);
  alignas(16) unsigned char memory_[512] = {};
  rf_mempool pool_ = {};
};

TEST_F(Mempool, AWriteAfterFreeIsFound) {
  unsigned char *const p = obtain();
  (void)rf_mempool_free(&pool_, p);
  p[0] = 1;
  (void)obtain();
  expect_found(RF_BUG_USE_AFTER_FREE, p, 48, 0);
}

// Between two blocks are words of the pool's: what is behind these is no overflow.
TEST_F(Mempool, AWriteAfterFreeBehindALiveBlockIsFound) {
  unsigned char *const live = obtain();
  unsigned char *const p = obtain();
  (void)rf_mempool_free(&pool_, p);
  p[0] = 1;
  (void)rf_mempool_free(&pool_, live);
  expect_found(RF_BUG_USE_AFTER_FREE, p, 48, 0);
}

TEST_F(Mempool, AFreedBlockStaysAsItIsWhereTheOneBeforeItIsTaken) {
  unsigned char *const before = obtain();
  unsigned char *const p = obtain();
  (void)rf_mempool_free(&pool_, p);
  (void)rf_mempool_free(&pool_, before);
  p[20] = 1;
  EXPECT_EQ(obtain(), before);
  EXPECT_TRUE(findings_.empty());
  EXPECT_EQ(obtain(), p);
  expect_found(RF_BUG_USE_AFTER_FREE, p, 48, 20);
}

TEST_F(Mempool, TheWindowOfAFindingBeginsWithThePoolsMemoryWhereverThatLies) {
  unsigned char *const p = obtain();
  EXPECT_NE(reinterpret_cast<uintptr_t>(p) % 16, 0U) << "in the middle of a row of the window";
  (void)rf_mempool_free(&pool_, p);
  p[0] = 1;
  (void)obtain();
  rf_finding const f = found();
  EXPECT_EQ(f.window_address, f.block);
  EXPECT_EQ(f.window_class[0], RF_BYTE_BAD);
}

TEST_F(Mempool, AnOverflowIntoTheHeaderOfAFreeBlockIsFoundAtTheFree) {
  unsigned char *const p = obtain();
  p[kHeader] ^= 1;
  (void)rf_mempool_free(&pool_, p);
  expect_found(RF_BUG_BUFFER_OVERFLOW, p, 48, kHeader);
  size_t const behind = reinterpret_cast<uintptr_t>(p) + 48 - found().window_address;
  ASSERT_LT(behind, found().window_size);
  EXPECT_EQ(found().window_class[behind - 1], RF_BYTE_USER);
  EXPECT_EQ(found().window_class[behind], RF_BYTE_HEADER);
}

TEST_F(Mempool, AnOverflowIntoTheHeaderIsAsLongAsTheRestOfIt) {
  unsigned char *const p = obtain();
  p[kHeader + 3] ^= 1;
  (void)rf_mempool_free(&pool_, p);
  expect_found(RF_BUG_BUFFER_OVERFLOW, p, 48, kHeader + 3);
  EXPECT_EQ(found().access_size, sizeof(uintptr_t) - 3);
}

TEST_F(Mempool, AnOverflowThroughTheHeaderIsOneFindingAndThePoolGoesOn) {
  unsigned char *const p = obtain();
  unsigned char *const q = obtain();
  (void)rf_mempool_free(&pool_, q);
  std::memset(p + 48, 1, 20);
  (void)rf_mempool_free(&pool_, p);
  expect_found(RF_BUG_BUFFER_OVERFLOW, p, 48, kHeader);
  EXPECT_EQ(obtain(), p);
  EXPECT_EQ(obtain(), q);
  EXPECT_EQ(findings_.size(), 1U);
}

TEST_F(Mempool, ShortBlocksAreSilent) {
  rf_allocator *const a = &pool_.base;
  for (size_t size = 0; size <= 48; size++) {
    void *const p = rf_aligned_alloc(a, 8, size);
    void *const q = rf_aligned_alloc(a, 8, 48 - size);
    ASSERT_NE(p, nullptr);
    std::memset(p, 1, size);
    rf_free(a, p);
    rf_free(a, q);
  }
  EXPECT_EQ(rf_mempool_deinit(&pool_), RF_OK);
  EXPECT_TRUE(findings_.empty());
}

// ---- mem_slab ----

K_MEM_SLAB_DEFINE_STATIC(slab, 64, 4, 8);

TEST_F(PoolsKinds, ASlabIsWatchedBehindTheWordThatIsItsOwn) {
  void *p;
  void *q;
  ASSERT_EQ(k_mem_slab_alloc(&slab, &p, K_NO_WAIT), 0);
  ASSERT_EQ(k_mem_slab_alloc(&slab, &q, K_NO_WAIT), 0);
  k_mem_slab_free(&slab, q);
  static_cast<unsigned char *>(q)[8] = 1;
  k_mem_slab_free(&slab, p);
  expect_found(RF_BUG_USE_AFTER_FREE, q, 64, 8);
}

TEST_F(PoolsKinds, AnOverflowOfASlabsLastBlockOutIsFoundAtTheFree) {
  static char buffer[4 * 64] __attribute__((aligned(8)));
  k_mem_slab made;
  void *p;
  ASSERT_EQ(k_mem_slab_init(&made, buffer, 64, 4), 0);
  ASSERT_EQ(k_mem_slab_alloc(&made, &p, K_NO_WAIT), 0);
  static_cast<unsigned char *>(p)[64] = 1;
  k_mem_slab_free(&made, p);
  expect_found(RF_BUG_BUFFER_OVERFLOW, p, 64, 64);
}

} // namespace
} // namespace ringfence

#endif
