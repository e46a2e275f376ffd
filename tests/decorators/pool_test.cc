// pool: classes, spilling, moves between pool and inner allocator, refusals, figures.
#include <gtest/gtest.h>
#include <ringfence/pool.h>
#include <ringfence/tlsf.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "tests/core/text_sink.h"
#include "tests/core/unwatched.h"

namespace {

struct Faults {
  std::vector<rf_status> seen;
  std::vector<const void *> pointers;
};

void record_fault(const rf_fault *fault, void *context) {
  static_cast<Faults *>(context)->seen.push_back(fault->status);
  static_cast<Faults *>(context)->pointers.push_back(fault->ptr);
}

const rf_pool_class kSmall[] = {{16, 2}, {32, 2}};

class Pool : public ::testing::Test {
protected:
  void SetUp() override {
    rf_fault_handler_set(record_fault, &faults);
    ASSERT_EQ(RF_OK, rf_tlsf_init(&heap, arena, sizeof arena));
    rf_stats_get(&heap.base, &fresh);
    rf_pool_options options{};
    options.classes = kSmall;
    options.class_count = 2;
    ASSERT_EQ(RF_OK, rf_pool_init(&pool, &heap.base, &options));
    a = &pool.base;
  }
  void TearDown() override {
    pool.base.ops->deinit(&pool.base);
    pool.base.ops->deinit(&pool.base);
    rf_stats after;
    rf_stats_get(&heap.base, &after);
    EXPECT_EQ(0u, after.blocks) << "the pool's memory, or a block, was not given back";
    EXPECT_EQ(fresh.largest_free, after.largest_free);
    rf_fault_handler_set(nullptr, nullptr);
  }

  bool pooled(const void *p) const {
    return reinterpret_cast<uintptr_t>(p) - reinterpret_cast<uintptr_t>(pool.memory) < pool.memory_size;
  }

  rf_pool_class_stats of(unsigned index) const {
    rf_pool_class_stats s{};
    EXPECT_TRUE(rf_pool_class_stats_get(&pool, index, &s));
    return s;
  }

  rf_stats total() {
    rf_stats s;
    rf_stats_get(a, &s);
    return s;
  }

  alignas(16) unsigned char arena[16 * 1024];
  rf_tlsf heap;
  rf_pool pool;
  rf_allocator *a;
  rf_stats fresh;
  Faults faults;
};

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

bool collect(const rf_block *block, void *context) {
  static_cast<std::vector<rf_block> *>(context)->push_back(*block);
  return true;
}

TEST_F(Pool, WalksPoolsAndInnerInAddressOrder) {
  void *const small = rf_alloc(a, 9);
  void *const large = rf_alloc(a, 700);
  std::vector<rf_block> blocks;
  ASSERT_EQ(RF_OK, rf_walk(a, collect, &blocks));
  size_t used = 0;
  size_t bytes = 0;
  for (size_t i = 0; i < blocks.size(); i++) {
    if (i > 0) {
      EXPECT_LT(blocks[i - 1].ptr, blocks[i].ptr);
    }
    if (blocks[i].used) {
      used++;
      bytes += blocks[i].size;
    }
  }
  EXPECT_EQ(2u, used);
  EXPECT_EQ(709u, bytes);
  EXPECT_EQ(RF_OK, rf_free(a, small));
  EXPECT_EQ(RF_OK, rf_free(a, large));
}

TEST_F(Pool, AdvisesTheCountsWithWhichNothingWouldHaveSpilled) {
  void *p[4];
  for (void *&q : p) {
    q = rf_alloc(a, 16);
  }
  for (void *q : p) {
    rf_free(a, q);
  }
  rf_free(a, rf_alloc(a, 32));
  std::string text;
  rf_sink const sink = ringfence::sink_to(&text);
  rf_pool_advise(&pool, &sink);
  EXPECT_EQ("     bytes    blocks      peak  requests    spills     hit %   call for\n"
            "        16         2         2         4         2        50         4\n"
            "        32         2         2         1         0       100         1\n"
            "static const rf_pool_class classes[] = {{16, 4}, {32, 1}};\n",
            text);
}

// A visitor may stop before the pool's own memory, in it and behind it: none of what follows is shown.
TEST_F(Pool, AWalkThatIsStoppedShowsNoMore) {
  alignas(16) static unsigned char bytes[4096];
  rf_tlsf below;
  rf_pool late;
  rf_pool_class const classes[] = {{16, 2}};
  rf_pool_options const options = {classes, 1, nullptr, 0};
  ASSERT_EQ(rf_tlsf_init(&below, bytes, sizeof bytes), RF_OK);
  void *const before = rf_alloc(&below.base, 100);
  ASSERT_EQ(rf_pool_init(&late, &below.base, &options), RF_OK);
  void *const behind = rf_alloc(&below.base, 100);
  struct Stopped {
    size_t left;
    std::vector<const void *> shown;
  };
  auto const walk = [&late](size_t most) {
    Stopped s = {most, {}};
    EXPECT_EQ(rf_walk(
                  &late.base,
                  [](const rf_block *block, void *context) {
                    auto *const stopped = static_cast<Stopped *>(context);
                    stopped->shown.push_back(block->ptr);
                    return --stopped->left != 0;
                  },
                  &s),
              RF_OK);
    return s.shown;
  };
  std::vector<const void *> const all = walk(100);
  EXPECT_EQ(all[0], before);
  EXPECT_EQ(all[3], behind);
  for (size_t most = 1; most <= all.size(); most++) {
    EXPECT_EQ(walk(most), std::vector<const void *>(all.begin(), all.begin() + static_cast<ptrdiff_t>(most))) << most;
  }
  rf_deinit(&late.base);
}

// Hits of so many requests, in whole per cent that are not rounded up: 100 means each of them.
TEST_F(Pool, AdviceRoundsNoMissAway) {
  rf_tlsf below;
  alignas(16) static unsigned char bytes[8192];
  rf_pool own;
  rf_pool_class const classes[] = {{16, 199}, {32, 10}};
  rf_pool_options const options = {classes, 2, nullptr, 0};
  ASSERT_EQ(rf_tlsf_init(&below, bytes, sizeof bytes), RF_OK);
  ASSERT_EQ(rf_pool_init(&own, &below.base, &options), RF_OK);
  for (int i = 0; i < 200; i++) {
    ASSERT_NE(rf_alloc(&own.base, 16), nullptr);
  }
  std::string text;
  rf_sink const sink = ringfence::sink_to(&text);
  rf_pool_advise(&own, &sink);
  EXPECT_NE(text.find("        16       199       199       200         1        99       200\n"), std::string::npos)
      << text;
  EXPECT_NE(text.find("        32        10         1         0         0       100         0\n"), std::string::npos)
      << "of no requests none was missed: " << text;
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

} // namespace
