// The helpers over an allocator that implements as little as it may.
#include <ringfence/allocator.h>

#include "tests/core/recorder.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace {

using ringfence::testing::FaultRecorder;

// Blocks from a small buffer, never reused; remembers what it was asked.
class Fake {
public:
  struct Block {
    size_t size;
    bool live;
  };
  struct Reject {
    rf_reject why;
    size_t size;
    size_t detail;
    const rf_site *site;
  };

  rf_allocator base{};
  rf_allocator_ops ops{};
  std::map<void *, Block> blocks;
  std::vector<std::string> calls;
  std::vector<Reject> rejects;
  const rf_site *last_site = nullptr;
  size_t last_align = 0;
  bool exhausted = false;
  rf_status resize_answer = RF_ERR_NO_MEMORY;
  rf_allocator *wrapped = nullptr;

  Fake() {
    ops.name = "fake";
    ops.alloc = alloc;
    ops.free = free;
    ops.stats = stats;
    base.ops = &ops;
  }

  static Fake &of(rf_allocator *a) { return *reinterpret_cast<Fake *>(a); }

  static void *alloc(rf_allocator *a, size_t size, size_t align, const rf_site *site) {
    Fake &f = of(a);
    f.calls.push_back("alloc " + std::to_string(size));
    f.last_align = align;
    f.last_site = site;
    f.next_ += rf_align_gap(f.memory_ + f.next_, align);
    if (f.exhausted || size > sizeof f.memory_ - f.next_) {
      return nullptr;
    }
    void *const p = f.memory_ + f.next_;
    std::memset(p, 0xEE, size);
    f.next_ += size + 1;
    f.blocks[p] = {size, true};
    return p;
  }

  static rf_status free(rf_allocator *a, void *ptr, const rf_site *site) {
    Fake &f = of(a);
    f.calls.push_back("free");
    f.last_site = site;
    if (f.blocks.count(ptr) == 0 || !f.blocks[ptr].live) {
      return rf_fault_refuse(a, RF_ERR_BAD_POINTER, "bad", ptr, site);
    }
    f.blocks[ptr].live = false;
    return RF_OK;
  }

  static size_t usable_size(rf_allocator *a, const void *ptr) {
    Fake &f = of(a);
    auto const it = f.blocks.find(const_cast<void *>(ptr));
    return it != f.blocks.end() && it->second.live ? it->second.size : 0;
  }

  static rf_status resize(rf_allocator *a, void *ptr, size_t size, const rf_site *) {
    Fake &f = of(a);
    f.calls.push_back("resize " + std::to_string(size));
    if (f.resize_answer == RF_OK) {
      f.blocks[ptr].size = size;
    }
    return f.resize_answer;
  }

  static rf_status walk(rf_allocator *a, rf_walk_fn visit, void *context) {
    for (const auto &[ptr, block] : of(a).blocks) {
      rf_block const b = {ptr, block.size, 0, block.live, nullptr};
      if (!visit(&b, context)) {
        break;
      }
    }
    return RF_OK;
  }

  static void reject(rf_allocator *a, rf_reject why, size_t size, size_t detail, const rf_site *site) {
    of(a).rejects.push_back({why, size, detail, site});
  }

  static void stats(rf_allocator *, rf_stats *out) {
    std::memset(out, 0, sizeof *out);
    out->capacity = 4711;
  }

  static rf_allocator *inner(rf_allocator *a) { return of(a).wrapped; }

  static void deinit(rf_allocator *a) { of(a).calls.push_back("deinit"); }

private:
  alignas(64) unsigned char memory_[4096];
  size_t next_ = 0;
};

using Calls = std::vector<std::string>;

class AllocatorTest : public testing::Test {
protected:
  Fake fake;
  rf_allocator *const a = &fake.base;
  FaultRecorder recorder;
};

TEST_F(AllocatorTest, AllocAsksForTheDefaultAlignment) {
  EXPECT_NE(rf_alloc(a, 10), nullptr);
  EXPECT_EQ(fake.last_align, RF_ALIGN_DEFAULT);
}

TEST_F(AllocatorTest, AllocPassesZeroOn) {
  EXPECT_NE(rf_alloc(a, 0), nullptr);
  EXPECT_EQ(fake.calls, Calls{"alloc 0"});
}

TEST_F(AllocatorTest, BadRequestsNeverReachTheAllocator) {
  EXPECT_EQ(rf_alloc(a, RF_SIZE_LIMIT + 1), nullptr);
  EXPECT_EQ(rf_alloc(a, SIZE_MAX), nullptr);
  EXPECT_EQ(rf_aligned_alloc(a, 0, 1), nullptr);
  EXPECT_EQ(rf_aligned_alloc(a, 24, 1), nullptr);
  EXPECT_EQ(rf_calloc(a, SIZE_MAX, 2), nullptr);
  EXPECT_EQ(fake.calls, Calls());
}

TEST_F(AllocatorTest, BadRequestsAreToldToReject) {
  static const rf_site site = {"here.c", "f", 1};
  fake.ops.reject = Fake::reject;
  EXPECT_EQ(rf_alloc_at(a, SIZE_MAX, 8, &site), nullptr);
  EXPECT_EQ(rf_alloc_at(a, 1, 24, &site), nullptr);
  EXPECT_EQ(rf_calloc_at(a, SIZE_MAX, 2, &site), nullptr);
  void *const p = rf_alloc(a, 1);
  EXPECT_EQ(rf_realloc_at(a, p, SIZE_MAX, 8, &site), nullptr);
  EXPECT_EQ(rf_realloc_at(a, p, 10, 7, &site), nullptr);
  EXPECT_EQ(rf_resize_at(a, p, SIZE_MAX, &site), RF_ERR_INVALID);
  ASSERT_EQ(fake.rejects.size(), 6U);
  EXPECT_EQ(fake.rejects[0].why, RF_REJECT_SIZE);
  EXPECT_EQ(fake.rejects[0].size, SIZE_MAX);
  EXPECT_EQ(fake.rejects[1].why, RF_REJECT_ALIGN);
  EXPECT_EQ(fake.rejects[1].detail, 24U);
  EXPECT_EQ(fake.rejects[2].why, RF_REJECT_OVERFLOW);
  EXPECT_EQ(fake.rejects[2].size, 2U);
  EXPECT_EQ(fake.rejects[2].detail, SIZE_MAX);
  EXPECT_EQ(fake.rejects[3].why, RF_REJECT_SIZE);
  EXPECT_EQ(fake.rejects[3].detail, 8U);
  EXPECT_EQ(fake.rejects[4].why, RF_REJECT_ALIGN);
  EXPECT_EQ(fake.rejects[5].why, RF_REJECT_SIZE);
  for (const Fake::Reject &reject : fake.rejects) {
    EXPECT_EQ(reject.site, &site);
  }
}

TEST_F(AllocatorTest, CallocZeroes) {
  auto *const p = static_cast<unsigned char *>(rf_calloc(a, 5, 7));
  ASSERT_NE(p, nullptr);
  for (size_t i = 0; i < 35; i++) {
    EXPECT_EQ(p[i], 0) << i;
  }
}

TEST_F(AllocatorTest, CallocWithoutMemoryGivesNull) {
  fake.exhausted = true;
  EXPECT_EQ(rf_calloc(a, 5, 7), nullptr);
}

TEST_F(AllocatorTest, FreeOfNullNeverReachesTheAllocator) {
  EXPECT_EQ(rf_free(a, nullptr), RF_OK);
  EXPECT_EQ(fake.calls, Calls());
}

TEST_F(AllocatorTest, SitesArePassedOn) {
  static const rf_site site = {"here.c", "f", 1};
  void *const p = rf_alloc_at(a, 1, 1, &site);
  EXPECT_EQ(fake.last_site, &site);
  rf_free_at(a, p, nullptr);
  EXPECT_EQ(fake.last_site, nullptr);
  EXPECT_NE(rf_calloc_at(a, 1, 1, &site), nullptr);
  EXPECT_EQ(fake.last_site, &site);
  EXPECT_NE(rf_strdup_at(a, "x", nullptr), nullptr);
  EXPECT_EQ(fake.last_site, nullptr);
}

TEST_F(AllocatorTest, StrdupCopiesTheText) {
  char *const copy = rf_strdup(a, "ring");
  ASSERT_NE(copy, nullptr);
  EXPECT_STREQ(copy, "ring");
  EXPECT_EQ(fake.blocks[copy].size, 5U);
}

TEST_F(AllocatorTest, StrdupAsksForNoAlignment) {
  EXPECT_NE(rf_strdup(a, "text"), nullptr);
  EXPECT_EQ(fake.last_align, 1U);
}

TEST_F(AllocatorTest, StrdupWithoutMemoryGivesNull) {
  fake.exhausted = true;
  EXPECT_EQ(rf_strdup(a, "ring"), nullptr);
}

TEST_F(AllocatorTest, ReallocOfNullAllocates) {
  EXPECT_NE(rf_realloc(a, nullptr, 12), nullptr);
  EXPECT_EQ(fake.calls, Calls{"alloc 12"});
}

TEST_F(AllocatorTest, ReallocToZeroFreesAndGivesNull) {
  void *const p = rf_alloc(a, 12);
  EXPECT_EQ(rf_realloc(a, p, 0), nullptr);
  EXPECT_FALSE(fake.blocks[p].live);
}

TEST_F(AllocatorTest, ReallocWithoutTheOperationMovesTheBlock) {
  fake.ops.usable_size = Fake::usable_size;
  char *const p = static_cast<char *>(rf_alloc(a, 4));
  std::memcpy(p, "abc", 4);
  char *const q = static_cast<char *>(rf_realloc(a, p, 100));
  ASSERT_NE(q, nullptr);
  EXPECT_STREQ(q, "abc");
  EXPECT_FALSE(fake.blocks[p].live);
  char *const r = static_cast<char *>(rf_realloc(a, q, 2));
  ASSERT_NE(r, nullptr);
  EXPECT_EQ(std::memcmp(r, "ab", 2), 0);
}

TEST_F(AllocatorTest, ReallocWithoutMemoryLeavesTheBlock) {
  fake.ops.usable_size = Fake::usable_size;
  void *const p = rf_alloc(a, 4);
  fake.exhausted = true;
  EXPECT_EQ(rf_realloc(a, p, 100), nullptr);
  EXPECT_TRUE(fake.blocks[p].live);
  EXPECT_EQ(fake.blocks[p].size, 4U);
}

TEST_F(AllocatorTest, ReallocTriesResizeFirst) {
  fake.ops.usable_size = Fake::usable_size;
  fake.ops.resize = Fake::resize;
  void *const p = rf_alloc(a, 4);
  fake.resize_answer = RF_OK;
  EXPECT_EQ(rf_realloc(a, p, 8), p);
  fake.resize_answer = RF_ERR_NO_MEMORY;
  EXPECT_NE(rf_realloc(a, p, 16), p);
  EXPECT_EQ(fake.calls, (Calls{"alloc 4", "resize 8", "resize 16", "alloc 16", "free"}));
}

TEST_F(AllocatorTest, ReallocThatResizeRefusedGoesNoFurther) {
  fake.ops.usable_size = Fake::usable_size;
  fake.ops.resize = Fake::resize;
  void *const p = rf_alloc(a, 4);
  fake.resize_answer = RF_ERR_BAD_POINTER;
  EXPECT_EQ(rf_realloc(a, p, 8), nullptr);
  EXPECT_EQ(fake.calls, (Calls{"alloc 4", "resize 8"}));
}

TEST_F(AllocatorTest, ReallocMovesWhereResizeWouldKeepTheWrongAlignment) {
  fake.ops.usable_size = Fake::usable_size;
  fake.ops.resize = Fake::resize;
  fake.resize_answer = RF_OK;
  rf_aligned_alloc(a, 64, 1);
  void *const p = rf_aligned_alloc(a, 1, 4);
  void *const q = rf_realloc_at(a, p, 8, 64, nullptr);
  ASSERT_NE(q, nullptr);
  EXPECT_TRUE(rf_is_aligned(q, 64));
}

TEST_F(AllocatorTest, ReallocOfABadPointerIsRefusedBeforeAnythingIsAllocated) {
  fake.ops.usable_size = Fake::usable_size;
  fake.ops.walk = Fake::walk;
  int elsewhere = 0;
  EXPECT_EQ(rf_realloc(a, &elsewhere, 8), nullptr);
  EXPECT_EQ(fake.calls, Calls{"free"});
  EXPECT_EQ(recorder.take(), RF_ERR_BAD_POINTER);
}

TEST_F(AllocatorTest, ReallocOfABadPointerGivesTheNewBlockBackWhereOnlyFreeCanTell) {
  fake.ops.usable_size = Fake::usable_size;
  int elsewhere = 0;
  EXPECT_EQ(rf_realloc(a, &elsewhere, 8), nullptr);
  EXPECT_EQ(recorder.take(), RF_ERR_BAD_POINTER);
  ASSERT_EQ(fake.blocks.size(), 1U);
  EXPECT_FALSE(fake.blocks.begin()->second.live);
}

TEST_F(AllocatorTest, ReallocOfAFreedBlockIsRefusedBeforeAnythingIsAllocated) {
  fake.ops.usable_size = Fake::usable_size;
  fake.ops.walk = Fake::walk; // which shows it as free
  void *const p = rf_alloc(a, 4);
  EXPECT_EQ(rf_free(a, p), RF_OK);
  fake.calls.clear();
  EXPECT_EQ(rf_realloc(a, p, 8), nullptr);
  EXPECT_EQ(fake.calls, Calls{"free"});
  EXPECT_EQ(recorder.take(), RF_ERR_BAD_POINTER);
}

TEST_F(AllocatorTest, ReallocOfABlockOfNoBytesMovesIt) {
  fake.ops.usable_size = Fake::usable_size;
  fake.ops.walk = Fake::walk;
  void *const p = rf_alloc(a, 0);
  EXPECT_NE(rf_realloc(a, p, 8), nullptr);
  EXPECT_FALSE(fake.blocks[p].live);
  EXPECT_EQ(recorder.faults().size(), 0U);
}

// A block that the old one might not make room for, and that might not be found again.
TEST_F(AllocatorTest, ReallocOfABlockOfNoBytesIsRefusedWhereDamageKeepsItFromBeingFound) {
  fake.ops.usable_size = Fake::usable_size;
  fake.ops.walk = [](rf_allocator *, rf_walk_fn, void *) { return RF_ERR_CORRUPT; };
  void *const p = rf_alloc(a, 0);
  fake.calls.clear();
  EXPECT_EQ(rf_realloc(a, p, 8), nullptr);
  EXPECT_EQ(fake.calls, Calls{});
  EXPECT_TRUE(fake.blocks[p].live);
  ASSERT_EQ(recorder.faults().size(), 1U);
  EXPECT_EQ(recorder.faults()[0].ptr, p);
  EXPECT_EQ(recorder.take(), RF_ERR_CORRUPT);
}

TEST_F(AllocatorTest, ReallocIsNotPossibleWhereTheSizeCannotBeKnown) {
  void *const p = rf_alloc(a, 4);
  EXPECT_EQ(rf_realloc(a, p, 8), nullptr);
  EXPECT_TRUE(fake.blocks[p].live);
}

TEST_F(AllocatorTest, ResizeThatIsNoRequestIsInvalid) {
  fake.ops.resize = Fake::resize;
  void *const p = rf_alloc(a, 4);
  EXPECT_EQ(rf_resize(a, nullptr, 8), RF_ERR_INVALID);
  EXPECT_EQ(rf_resize(a, p, 0), RF_ERR_INVALID);
  EXPECT_EQ(fake.calls, Calls{"alloc 4"});
}

TEST_F(AllocatorTest, OptionalOperationsHaveAnAnswer) {
  void *const p = rf_alloc(a, 4);
  rf_fault where;
  EXPECT_EQ(rf_resize(a, p, 8), RF_ERR_UNSUPPORTED);
  EXPECT_EQ(rf_usable_size(a, p), 0U);
  EXPECT_FALSE(rf_owns(a, p));
  EXPECT_EQ(rf_walk(
                a, [](const rf_block *, void *) { return true; }, nullptr),
            RF_ERR_UNSUPPORTED);
  EXPECT_EQ(rf_check(a, &where), RF_OK);
  EXPECT_EQ(rf_check(a, nullptr), RF_OK);
  EXPECT_EQ(rf_inner(a), nullptr);
  rf_deinit(a);
}

TEST_F(AllocatorTest, NullIsNobodysBlock) {
  fake.ops.usable_size = [](rf_allocator *, const void *) -> size_t { return 1; };
  fake.ops.owns = [](rf_allocator *, const void *) { return true; };
  EXPECT_EQ(rf_usable_size(a, nullptr), 0U);
  EXPECT_FALSE(rf_owns(a, nullptr));
}

TEST_F(AllocatorTest, StatsComeFromTheAllocator) {
  rf_stats stats;
  rf_stats_get(a, &stats);
  EXPECT_EQ(stats.capacity, 4711U);
}

TEST_F(AllocatorTest, CountersComeFromTheStatsWhereTheAllocatorHasNone) {
  fake.ops.stats = [](rf_allocator *, rf_stats *out) { *out = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}; };
  rf_counters c;
  rf_counters_get(a, &c);
  EXPECT_EQ(c.used, 2U);
  EXPECT_EQ(c.peak, 3U);
  EXPECT_EQ(c.blocks, 4U);
  EXPECT_EQ(c.peak_blocks, 5U);
  EXPECT_EQ(c.allocations, 8U);
  EXPECT_EQ(c.failures, 9U);
}

TEST_F(AllocatorTest, DeinitGoesDownToTheHeap) {
  Fake outer;
  outer.wrapped = a;
  outer.ops.inner = Fake::inner;
  outer.ops.deinit = Fake::deinit;
  fake.ops.deinit = Fake::deinit;
  EXPECT_EQ(rf_inner(&outer.base), a);
  rf_deinit(&outer.base);
  EXPECT_EQ(outer.calls, Calls{"deinit"});
  EXPECT_EQ(fake.calls, Calls{"deinit"});
}

// A decorator may forget at its end what it wraps.
TEST_F(AllocatorTest, DeinitAsksForTheInnerAllocatorBeforeItEndsTheOuter) {
  Fake outer;
  outer.wrapped = a;
  outer.ops.inner = Fake::inner;
  outer.ops.deinit = [](rf_allocator *self) { Fake::of(self).wrapped = nullptr; };
  fake.ops.deinit = Fake::deinit;
  rf_deinit(&outer.base);
  EXPECT_EQ(fake.calls, Calls{"deinit"});
}

TEST(CountersTest, PeaksFollowWhatIsLive) {
  rf_counters c = {};
  rf_count_alloc(&c, 10);
  rf_count_alloc(&c, 5);
  rf_count_free(&c, 10);
  rf_count_alloc(&c, 1);
  EXPECT_EQ(c.used, 6U);
  EXPECT_EQ(c.peak, 15U);
  EXPECT_EQ(c.blocks, 2U);
  EXPECT_EQ(c.peak_blocks, 2U);
  EXPECT_EQ(c.allocations, 3U);
}

TEST(CountersTest, AResizeCountsAsOneBlock) {
  rf_counters c = {};
  rf_count_alloc(&c, 10);
  rf_count_resize(&c, 10, 30);
  rf_count_resize(&c, 30, 2);
  EXPECT_EQ(c.used, 2U);
  EXPECT_EQ(c.peak, 30U);
  EXPECT_EQ(c.blocks, 1U);
  EXPECT_EQ(c.allocations, 1U);
}

} // namespace
