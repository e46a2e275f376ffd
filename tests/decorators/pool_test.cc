// pool: options and buffers, classes, spilling, moves between pool and inner allocator.
#include "tests/decorators/pool_fixture.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace ringfence_test {
namespace {

TEST_F(Pool, RefusesBadOptions) {
  rf_pool other;
  const rf_pool_class unordered[] = {{32, 1}, {16, 1}};
  const rf_pool_class odd[] = {{sizeof(void *) + 1, 1}};
  const rf_pool_class huge[] = {{RF_POOL_SIZE_MAX + sizeof(void *), 1}};
  const rf_pool_class wraps[] = {{16, SIZE_MAX / 8}};
  for (const rf_pool_class *classes : {unordered, odd, huge, wraps}) {
    rf_pool_options o{};
    o.classes = classes;
    o.class_count = classes == unordered ? 2 : 1;
    EXPECT_EQ(RF_ERR_INVALID, rf_pool_init(&other, &heap.base, &o));
    EXPECT_EQ(0u, rf_pool_buffer_size(&o));
  }
  rf_pool_options none{};
  none.classes = kSmall;
  EXPECT_EQ(RF_ERR_INVALID, rf_pool_init(&other, &heap.base, &none));
  EXPECT_EQ(RF_ERR_INVALID, rf_pool_init(nullptr, &heap.base, nullptr));
  EXPECT_EQ(RF_ERR_INVALID, rf_pool_init(&other, nullptr, nullptr));
}

TEST_F(Pool, FailsCleanlyWhereInnerCannotGiveTheMemory) {
  rf_pool other;
  const rf_pool_class many[] = {{64, 100000}};
  rf_pool_options o{};
  o.classes = many;
  o.class_count = 1;
  size_t const before = total().blocks;
  EXPECT_EQ(RF_ERR_NO_MEMORY, rf_pool_init(&other, &heap.base, &o));
  EXPECT_EQ(before, total().blocks);
}

TEST_F(Pool, ClassesOfNoBlocksNeedNoBuffer) {
  const rf_pool_class none[] = {{16, 0}};
  unsigned char buffer[2];
  rf_pool own;
  rf_pool_options o{};
  o.classes = none;
  o.class_count = 1;
  for (int i = 0; i < 3; i++) {
    o.buffer = i < 2 ? buffer + i : nullptr;
    ASSERT_EQ(RF_OK, rf_pool_init(&own, &heap.base, &o)) << i;
    void *const p = rf_alloc(&own.base, 16);
    EXPECT_TRUE(rf_owns(&heap.base, p));
    EXPECT_EQ(RF_OK, rf_free(&own.base, p));
    own.base.ops->deinit(&own.base);
  }
}

TEST_F(Pool, TakesACallersBufferOfAnyAlignmentAndRefusesASmallerOne) {
  rf_pool_options o{};
  o.classes = kSmall;
  o.class_count = 2;
  size_t const size = rf_pool_buffer_size(&o);
  for (size_t shift = 0; shift < 16; shift++) {
    std::vector<unsigned char> memory(size + 16);
    rf_pool own;
    o.buffer = memory.data() + shift;
    o.buffer_size = size;
    ASSERT_EQ(RF_OK, rf_pool_init(&own, &heap.base, &o)) << shift;
    rf_stats below;
    rf_stats all;
    rf_stats_get(&heap.base, &below);
    rf_stats_get(&own.base, &all);
    EXPECT_EQ(below.capacity + own.memory_size, all.capacity) << "the buffer is not inner's";
    EXPECT_EQ(below.free_bytes + (16U + 32) * 2, all.free_bytes);
    void *const p = rf_alloc(&own.base, 16);
    EXPECT_TRUE(rf_is_aligned(p, RF_ALIGN_DEFAULT));
    EXPECT_GE(p, o.buffer);
    EXPECT_EQ(RF_OK, rf_free(&own.base, p));
    own.base.ops->deinit(&own.base);
    o.buffer_size = shift; // also less than what its start lacks to an alignment
    EXPECT_EQ(RF_ERR_INVALID, rf_pool_init(&own, &heap.base, &o));
  }
}

TEST_F(Pool, DefaultsAreTheFiveClassesOfTheOriginal) {
  rf_pool standard;
  ASSERT_EQ(RF_OK, rf_pool_init(&standard, &heap.base, nullptr));
  const size_t sizes[] = {8, 16, 32, 48, 64};
  rf_pool_class_stats s;
  for (unsigned i = 0; i < 5; i++) {
    ASSERT_TRUE(rf_pool_class_stats_get(&standard, i, &s));
    EXPECT_EQ(sizes[i], s.size);
    EXPECT_EQ(static_cast<size_t>(RF_POOL_DEFAULT_COUNT), s.count);
  }
  EXPECT_FALSE(rf_pool_class_stats_get(&standard, 5, &s));
  EXPECT_EQ(standard.memory_size + RF_ALIGN_DEFAULT - 1, rf_pool_buffer_size(nullptr));
  standard.base.ops->deinit(&standard.base);
}

TEST_F(Pool, ServesSmallFromTheClassesAndLargeFromInner) {
  void *const small = rf_alloc(a, 10);
  void *const middle = rf_alloc(a, 17);
  void *const large = rf_alloc(a, 33);
  EXPECT_TRUE(pooled(small));
  EXPECT_TRUE(pooled(middle));
  EXPECT_FALSE(pooled(large));
  EXPECT_EQ(16u, rf_usable_size(a, small));
  EXPECT_EQ(32u, rf_usable_size(a, middle));
  EXPECT_EQ(60u, total().used);
  EXPECT_EQ(3u, total().blocks);
  for (void *p : {small, middle, large}) {
    EXPECT_EQ(RF_OK, rf_free(a, p));
  }
  EXPECT_EQ(0u, total().used);
  EXPECT_EQ(60u, total().peak);
}

// Another size of the same class is no further demand for it, wherever the block is.
TEST_F(Pool, AResizeIsNoPeakOfDemand) {
  std::vector<void *> blocks;
  for (unsigned i = 1; i <= 5; i++) {
    blocks.push_back(rf_alloc(a, 10));
    EXPECT_EQ(of(0).peak_demand, i);
    EXPECT_EQ(rf_resize(a, blocks.back(), 12), RF_OK);
    EXPECT_EQ(of(0).peak_demand, i);
    EXPECT_EQ(pooled(blocks.back()), i <= 4);
  }
  for (void *const p : blocks) {
    EXPECT_EQ(rf_free(a, p), RF_OK);
  }
}

TEST_F(Pool, AReallocThatInnerDoesNotLetGoOfTakesNoSlot) {
  void *const p = rf_alloc(a, 100);
  rf_allocator_ops broken = *heap.base.ops;
  broken.free = [](rf_allocator *, void *, const rf_site *) { return RF_ERR_CORRUPT; };
  broken.realloc = [](rf_allocator *, void *, size_t, size_t, const rf_site *) -> void * { return nullptr; };
  const rf_allocator_ops *const before = heap.base.ops;
  heap.base.ops = &broken;
  EXPECT_EQ(rf_realloc(a, p, 10), nullptr);
  heap.base.ops = before;
  EXPECT_EQ(of(0).used, 0U);
  EXPECT_EQ(rf_free(a, p), RF_OK);
}

TEST_F(Pool, AFullClassSpillsToTheNextAndThenToInner) {
  void *p[5];
  for (void *&q : p) {
    q = rf_alloc(a, 16);
    ASSERT_NE(nullptr, q);
  }
  EXPECT_EQ(16u, rf_usable_size(a, p[1]));
  EXPECT_EQ(32u, rf_usable_size(a, p[2]));
  EXPECT_EQ(32u, rf_usable_size(a, p[3]));
  EXPECT_FALSE(pooled(p[4]));
  rf_pool_class_stats const s = of(0);
  EXPECT_EQ(5u, s.requests);
  EXPECT_EQ(2u, s.hits);
  EXPECT_EQ(3u, s.spills);
  EXPECT_EQ(5u, s.demand);
  for (void *q : p) {
    EXPECT_EQ(RF_OK, rf_free(a, q));
  }
  EXPECT_EQ(0u, of(0).demand);
  EXPECT_EQ(5u, of(0).peak_demand);
  EXPECT_EQ(2u, of(0).peak);
}

TEST_F(Pool, StricterAlignmentThanTheClassGoesOn) {
  void *const p = rf_aligned_alloc(a, 64, 16);
  ASSERT_NE(nullptr, p);
  EXPECT_TRUE(rf_is_aligned(p, 64));
  EXPECT_FALSE(pooled(p));
  EXPECT_EQ(RF_OK, rf_free(a, p));
}

TEST_F(Pool, ReallocMovesFromPoolToInnerAndBackWithItsContents) {
  auto *p = static_cast<unsigned char *>(rf_alloc(a, 12));
  for (unsigned char i = 0; i < 12; i++) {
    p[i] = i;
  }
  auto *const same = static_cast<unsigned char *>(rf_realloc(a, p, 15));
  EXPECT_EQ(p, same);
  p = static_cast<unsigned char *>(rf_realloc(a, same, 500));
  ASSERT_NE(nullptr, p);
  EXPECT_FALSE(pooled(p));
  EXPECT_EQ(500u, total().used);
  EXPECT_EQ(1u, total().blocks);
  p = static_cast<unsigned char *>(rf_realloc(a, p, 12));
  ASSERT_NE(nullptr, p);
  EXPECT_TRUE(pooled(p));
  EXPECT_EQ(12u, total().used);
  EXPECT_EQ(2u, of(0).requests);
  EXPECT_EQ(2u, of(0).hits);
  EXPECT_EQ(1u, of(0).demand);
  for (unsigned char i = 0; i < 12; i++) {
    EXPECT_EQ(i, p[i]);
  }
  EXPECT_EQ(RF_OK, rf_free(a, p));
  EXPECT_EQ(0u, of(0).demand);
  EXPECT_EQ(0u, of(1).demand);
}

TEST_F(Pool, ResizesWithinTheClassOnly) {
  void *const p = rf_alloc(a, 4);
  EXPECT_EQ(RF_OK, rf_resize(a, p, 16));
  EXPECT_EQ(16u, total().used);
  EXPECT_EQ(RF_ERR_NO_MEMORY, rf_resize(a, p, 17));
  EXPECT_EQ(16u, total().used);
  EXPECT_EQ(RF_OK, rf_free(a, p));
}

TEST_F(Pool, RandomUseKeepsContentsAndCounts) {
  unsigned const seed = 20261120;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 rng(seed);
  struct Live {
    unsigned char *p;
    size_t size;
    unsigned char tag;
  };
  std::vector<Live> live;
  size_t used = 0;
  for (int step = 0; step < 20000; step++) {
    size_t const size = rng() % 90;
    if (live.size() < 60 && rng() % 2 == 0) {
      auto *const p = static_cast<unsigned char *>(rf_alloc(a, size));
      if (p != nullptr) {
        auto const tag = static_cast<unsigned char>(rng());
        std::memset(p, tag, size);
        live.push_back({p, size, tag});
        used += size;
      }
    } else if (!live.empty()) {
      size_t const at = rng() % live.size();
      Live &l = live[at];
      for (size_t i = 0; i < l.size; i++) {
        ASSERT_EQ(l.tag, l.p[i]) << "step " << step;
      }
      if (rng() % 3 == 0 && size != 0) {
        auto *const p = static_cast<unsigned char *>(rf_realloc(a, l.p, size));
        if (p != nullptr) {
          for (size_t i = 0; i < std::min(size, l.size); i++) {
            ASSERT_EQ(l.tag, p[i]) << "step " << step;
          }
          std::memset(p, l.tag, size);
          used = used - l.size + size;
          l = {p, size, l.tag};
        }
      } else {
        ASSERT_EQ(RF_OK, rf_free(a, l.p));
        used -= l.size;
        l = live.back();
        live.pop_back();
      }
    }
    ASSERT_EQ(used, total().used) << "step " << step;
    ASSERT_EQ(live.size(), total().blocks) << "step " << step;
    if (step % 100 == 0) {
      ASSERT_EQ(RF_OK, rf_check(a, nullptr)) << "step " << step;
    }
  }
  for (const Live &l : live) {
    ASSERT_EQ(RF_OK, rf_free(a, l.p));
  }
  EXPECT_EQ(0u, of(0).demand);
  EXPECT_EQ(0u, of(1).demand);
  EXPECT_TRUE(faults.seen.empty());
}

TEST_F(Pool, ABufferMustHoldWhatIsLeftBehindItsFirstAlignment) {
  rf_pool_options o{};
  o.classes = kSmall;
  o.class_count = 2;
  size_t const needed = rf_pool_buffer_size(&o) - (RF_ALIGN_DEFAULT - 1);
  alignas(16) unsigned char memory[256];
  rf_pool own;
  o.buffer = memory + 1;
  o.buffer_size = needed + RF_ALIGN_DEFAULT - 2;
  EXPECT_EQ(RF_ERR_INVALID, rf_pool_init(&own, &heap.base, &o));
  o.buffer_size++;
  EXPECT_EQ(RF_OK, rf_pool_init(&own, &heap.base, &o));
  own.base.ops->deinit(&own.base);
}

TEST_F(Pool, AReallocOfWhatIsNoBlockIsNoFailure) {
  alignas(16) unsigned char foreign[64] = {};
  EXPECT_EQ(nullptr, rf_realloc(a, foreign + 16, 1000));
  EXPECT_EQ(std::vector<rf_status>{RF_ERR_BAD_POINTER}, faults.seen);
  EXPECT_EQ(0u, total().failures);
}

} // namespace
} // namespace ringfence_test
