// pool over inner allocators that lack something, and its largest class.
#include <gtest/gtest.h>
#include <ringfence/pool.h>
#include <ringfence/std.h>
#include <ringfence/tlsf.h>

namespace {

// A pool of two blocks over a heap that the test may change before.
class PoolInner : public ::testing::Test {
protected:
  void SetUp() override { ASSERT_EQ(rf_tlsf_init(&heap, arena, sizeof arena), RF_OK); }

  rf_status make_pool(size_t size = 16) {
    rf_pool_class const classes[] = {{size, 2}};
    rf_pool_options options{};
    options.classes = classes;
    options.class_count = 1;
    return rf_pool_init(&pool, &heap.base, &options);
  }

  alignas(16) unsigned char arena[8 * 1024];
  rf_tlsf heap;
  rf_pool pool;
};

// To a caller of the pool it is all the same why a block cannot grow where it is.
TEST_F(PoolInner, WithoutAResizeBlocksCannotGrowInPlace) {
  rf_allocator_ops ops = *heap.base.ops;
  ops.resize = nullptr;
  heap.base.ops = &ops;
  ASSERT_EQ(make_pool(), RF_OK);
  void *const p = rf_alloc(&pool.base, 100);
  ASSERT_NE(p, nullptr);
  EXPECT_EQ(rf_resize(&pool.base, p, 200), RF_ERR_NO_MEMORY);
  EXPECT_EQ(rf_free(&pool.base, p), RF_OK);
  rf_deinit(&pool.base);
}

TEST_F(PoolInner, WhereTheCapacityBelowIsNotKnownNeitherIsThatOfTheWhole) {
  rf_std host;
  ASSERT_EQ(rf_std_init(&host), RF_OK);
  alignas(16) unsigned char buffer[1024];
  for (bool const own_buffer : {false, true}) {
    rf_pool_class const classes[] = {{16, 2}};
    rf_pool_options const options = {classes, 1, own_buffer ? buffer : nullptr, own_buffer ? sizeof buffer : 0};
    ASSERT_EQ(rf_pool_init(&pool, &host.base, &options), RF_OK);
    void *const p = rf_alloc(&pool.base, 1000);
    rf_stats s;
    rf_stats_get(&pool.base, &s);
    EXPECT_EQ(s.capacity, 0U) << own_buffer;
    EXPECT_EQ(s.overhead, 0U) << own_buffer;
    EXPECT_EQ(s.used, 1000U) << own_buffer;
    EXPECT_EQ(rf_free(&pool.base, p), RF_OK);
    rf_deinit(&pool.base);
  }
}

// A request that names no alignment needs the default one.
TEST_F(PoolInner, ASlotOfSmallerAlignmentIsNotTheLargestFree) {
  size_t const small = RF_ALIGN_DEFAULT + RF_ALIGN_DEFAULT / 2;
  ASSERT_EQ(make_pool(small), RF_OK);
  rf_stats s;
  for (size_t size = sizeof arena; size >= 8; size /= 2) {
    while (rf_alloc(&pool.base, size) != nullptr) {
    }
  }
  rf_stats_get(&pool.base, &s);
  EXPECT_EQ(s.free_bytes, 2 * small);
  EXPECT_LT(s.largest_free, 8U);
  EXPECT_EQ(rf_alloc(&pool.base, s.largest_free + 1), nullptr);
  EXPECT_NE(rf_aligned_alloc(&pool.base, RF_ALIGN_DEFAULT / 2, small), nullptr);
}

// The memory is somebody else's then.
TEST_F(PoolInner, AnEndedPoolServesNothingFromItsMemory) {
  rf_pool_class_stats s;
  ASSERT_EQ(make_pool(), RF_OK);
  EXPECT_TRUE(rf_pool_class_stats_get(&pool, 0, &s));
  rf_deinit(&pool.base);
  EXPECT_FALSE(rf_pool_class_stats_get(&pool, 0, &s));
  void *const p = rf_alloc(&pool.base, 16);
  EXPECT_EQ(rf_usable_size(&heap.base, p), rf_usable_size(&pool.base, p));
  EXPECT_EQ(rf_free(&heap.base, p), RF_OK) << "it is the inner allocator's";
}

// The size of a block that is out is kept in a byte, beside the mark of a free one.
TEST_F(PoolInner, ABlockOfTheLargestClassMayBeUsedWhole) {
  ASSERT_EQ(make_pool(RF_POOL_SIZE_MAX), RF_OK);
  void *const p = rf_aligned_alloc(&pool.base, 8, RF_POOL_SIZE_MAX);
  ASSERT_NE(p, nullptr);
  rf_pool_class_stats s;
  ASSERT_TRUE(rf_pool_class_stats_get(&pool, 0, &s));
  EXPECT_EQ(s.used, 1U);
  EXPECT_EQ(rf_check(&pool.base, nullptr), RF_OK);
  EXPECT_EQ(rf_free(&pool.base, p), RF_OK);
  rf_deinit(&pool.base);
}

TEST_F(PoolInner, BlocksThatAreThereAlreadyAreCountedFromTheBeginning) {
  void *const p = rf_alloc(&heap.base, 100);
  ASSERT_EQ(make_pool(), RF_OK);
  rf_counters c;
  rf_counters_get(&pool.base, &c);
  EXPECT_EQ(c.used, 100U);
  EXPECT_EQ(c.blocks, 1U);
  EXPECT_EQ(rf_free(&pool.base, p), RF_OK);
  rf_deinit(&pool.base);
}

TEST_F(PoolInner, HasUpToSoManyClassesOfDifferentSizes) {
  rf_pool_class classes[RF_POOL_CLASSES_MAX + 1];
  for (size_t i = 0; i <= RF_POOL_CLASSES_MAX; i++) {
    classes[i] = {8 * (i + 1), 1};
  }
  rf_pool_options options{};
  options.classes = classes;
  options.class_count = RF_POOL_CLASSES_MAX + 1;
  EXPECT_EQ(rf_pool_init(&pool, &heap.base, &options), RF_ERR_INVALID);
  options.class_count = RF_POOL_CLASSES_MAX;
  EXPECT_EQ(rf_pool_init(&pool, &heap.base, &options), RF_OK);
  rf_deinit(&pool.base);
  ASSERT_EQ(rf_tlsf_init(&heap, arena, sizeof arena), RF_OK);
  classes[1].size = classes[0].size;
  EXPECT_EQ(rf_pool_init(&pool, &heap.base, &options), RF_ERR_INVALID);
}

TEST_F(PoolInner, ABufferIsTooSmallWhereItsGapTakesALastByte) {
  rf_pool_class const classes[] = {{16, 2}};
  rf_pool_options options{};
  options.classes = classes;
  options.class_count = 1;
  size_t const exact = rf_pool_buffer_size(&options) - (RF_ALIGN_DEFAULT - 1);
  options.buffer = arena + 1;
  options.buffer_size = exact + RF_ALIGN_DEFAULT - 2;
  ASSERT_EQ(rf_tlsf_init(&heap, arena + 4096, 4096), RF_OK);
  EXPECT_EQ(rf_pool_init(&pool, &heap.base, &options), RF_ERR_INVALID);
  options.buffer_size++;
  EXPECT_EQ(rf_pool_init(&pool, &heap.base, &options), RF_OK);
  rf_deinit(&pool.base);
}

// To its caller it is one failure, though it is the allocator below that says no.
TEST_F(PoolInner, AReallocInVainOfABlockFromBelowIsAFailure) {
  ASSERT_EQ(make_pool(), RF_OK);
  void *const p = rf_alloc(&pool.base, 100);
  ASSERT_NE(p, nullptr);
  for (size_t failures = 1; failures <= 2; failures++) {
    EXPECT_EQ(rf_realloc(&pool.base, p, sizeof arena), nullptr);
    rf_counters c;
    rf_counters_get(&pool.base, &c);
    EXPECT_EQ(c.failures, failures);
  }
  EXPECT_EQ(rf_free(&pool.base, p), RF_OK);
  rf_deinit(&pool.base);
}

// Pooled blocks are free again: one that came from the allocator below moves, even where all of its bytes are in use.
TEST_F(PoolInner, ABlockThatSpilledComesBackWithAllThatItHas) {
  ASSERT_EQ(make_pool(128), RF_OK);
  void *const pooled[] = {rf_alloc(&pool.base, 100), rf_alloc(&pool.base, 100)};
  void *const spilled = rf_alloc(&pool.base, 100);
  ASSERT_NE(spilled, nullptr);
  size_t const all = rf_usable_size(&pool.base, spilled);
  ASSERT_LE(all, 128U);
  ASSERT_EQ(rf_free(&pool.base, pooled[0]), RF_OK);
  EXPECT_EQ(rf_realloc(&pool.base, spilled, all), pooled[0]);
  rf_deinit(&pool.base);
}

} // namespace
