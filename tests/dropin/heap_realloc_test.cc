// The drop-in's heap resizes blocks where they are, or moves them, and fills what they leave
// (checkers/dropin/heap/realloc.c).
#include "tests/checkers/single_step.h"
#include "tests/dropin/address_space.h"
#include "tests/dropin/recorded_heap.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <vector>

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/heap/bins.h"
#include "checkers/dropin/heap/large.h"
#include "checkers/dropin/heap/rights.h"
}
#undef _Static_assert

namespace ringfence_test {
namespace {

TEST(DropinRealloc, MovesBlocksBelowTheSizeOfTheOptionAndNoOthers) {
  with_heap([](Heap &heap) {
    rf_heap_options_now.move_below = 100;
    for (size_t const size : {99, 100, 101}) {
      unsigned char *const p = heap.make(size);
      EXPECT_EQ(rf_cache_realloc(heap.cache, p, size - 5, &no_origin) == p, size > 100) << size;
    }
    EXPECT_EQ(heap.cache->failures, 0U);
  });
}

// There is no room where it is, and there is elsewhere: no request failed.
TEST(DropinRealloc, ThatMovesABlockWhichWouldStayIsNoFailure) {
  with_heap([](Heap &heap) {
    rf_heap_options_now.move_below = 0;
    unsigned char *const p = heap.make(40);
    EXPECT_NE(rf_cache_realloc(heap.cache, p, 1000, &no_origin), p);
    EXPECT_EQ(heap.cache->failures, 0U);
  });
}

// Half of the room is enough to stay.
TEST(DropinRealloc, FillsWhatABlockGrowsBy) {
  with_heap([](Heap &heap) {
    rf_heap_options_now.move_below = 0;
    unsigned char *const p = heap.make(100);
    memset(p, 'x', 100);
    size_t const most = static_cast<size_t>(heap.view(p).end - p) - RF_TAIL_LEAST;
    ASSERT_GT(most, 100U);
    EXPECT_EQ(rf_cache_realloc(heap.cache, p, most, &no_origin), p);
    for (size_t i = 0; i < most; i++) {
      EXPECT_EQ(p[i], i < 100 ? 'x' : RF_PATTERN_NEW) << i;
    }
    EXPECT_TRUE(heap.free(p));
  });
}

TEST(DropinRealloc, FillsNoMoreOfWhatABlockGrowsByThanTheOptionSays) {
  with_heap([](Heap &heap) {
    rf_heap_options_now.move_below = 0;
    rf_heap_options_now.fill_alloc = 10;
    unsigned char *const p = heap.make(200);
    ASSERT_EQ(rf_cache_realloc(heap.cache, p, 150, &no_origin), p);
    ASSERT_EQ(rf_cache_realloc(heap.cache, p, 180, &no_origin), p);
    for (size_t i = 150; i < 180; i++) {
      EXPECT_EQ(p[i], i < 160 ? RF_PATTERN_NEW : RF_PATTERN_REDZONE) << i;
    }
  });
}

// With plenty of addresses a growing block has a span of its own beyond the constant.
TEST(DropinRealloc, LetsABlockThatGrowsFarGrowOnInPlace) {
  with_heap([](Heap &heap) {
    size_t const begin = 8192 + 1000;
    unsigned char *p = heap.make(100);
    memset(p, 'x', 100);
    p = static_cast<unsigned char *>(rf_cache_realloc(heap.cache, p, begin, &no_origin));
    ASSERT_NE(p, nullptr);
    bool const in_span = sizeof(void *) > 4;
    EXPECT_EQ(heap.view(p).span->large, in_span);
    for (size_t size = begin; in_span && size < 60000; size += 700) {
      ASSERT_EQ(rf_cache_realloc(heap.cache, p, size, &no_origin), p) << size;
      rf_view const v = heap.view(p);
      EXPECT_EQ(v.size, size);
      EXPECT_LT(v.end - p, static_cast<ptrdiff_t>(size + 2 * 4096));
      EXPECT_EQ(p[size], RF_PATTERN_REDZONE);
      EXPECT_TRUE(rf_check_intact(&v));
    }
    EXPECT_EQ(std::count(p, p + 100, 'x'), 100);
    EXPECT_EQ(heap.recorder.count(), 0U);
    p[heap.view(p).size] = 'y';
    EXPECT_TRUE(heap.free(p));
    EXPECT_EQ(heap.recorder.count(), 1U);
    EXPECT_EQ(heap.cache->failures, 0U);
  });
}

// It shrinks in place by less than half, and into a slot by more, whose memory is less.
TEST(DropinRealloc, GivesTheSpanOfAGrownBlockBackWhereItShrinksByHalf) {
  with_heap([](Heap &heap) {
    if (sizeof(void *) == 4) {
      return;
    }
    void *const p = rf_cache_realloc(heap.cache, heap.make(100), 24000, &no_origin);
    EXPECT_EQ(rf_cache_realloc(heap.cache, p, 12001, &no_origin), p);
    EXPECT_TRUE(heap.view(p).span->large);
    void *const q = rf_cache_realloc(heap.cache, p, 6001, &no_origin);
    EXPECT_NE(q, p);
    EXPECT_FALSE(heap.view(q).span->large);
    void *const r = rf_cache_realloc(heap.cache, heap.make(100), 28000, &no_origin);
    void *const s = rf_cache_realloc(heap.cache, r, 13999, &no_origin);
    EXPECT_NE(s, r);
    EXPECT_FALSE(heap.view(s).span->large);
  });
}

// Slots take less address space and less memory.
TEST(DropinRealloc, GivesSoManyGrownBlocksSpansAtOnce) {
  with_heap([](Heap &heap) {
    if (sizeof(void *) == 4) {
      return;
    }
    std::vector<void *> grown;
    for (unsigned i = 0; i < RF_GROWN_MOST; i++) {
      grown.push_back(rf_cache_realloc(heap.cache, heap.make(100), 20000, &no_origin));
      EXPECT_TRUE(heap.view(grown.back()).span->large) << i;
    }
    auto const next_is_large = [&] {
      void *const p = rf_cache_realloc(heap.cache, heap.make(100), 20000, &no_origin);
      return heap.view(p).span->large;
    };
    EXPECT_FALSE(next_is_large());
    EXPECT_TRUE(heap.free(grown[0]));
    EXPECT_TRUE(next_is_large());
    EXPECT_FALSE(next_is_large());
    ASSERT_EQ(rf_cache_realloc(heap.cache, grown[1], 40000, &no_origin), grown[1]); // no slot has room for it now
    EXPECT_TRUE(next_is_large());
    EXPECT_FALSE(next_is_large());
    EXPECT_EQ(rf_heaps[0].grown, RF_GROWN_MOST);
    EXPECT_EQ(heap.recorder.count(), 0U);
  });
}

// A slot of a span that is there needs no new memory.
TEST(DropinRealloc, GrowsIntoASlotWhereASpanIsRefused) {
  with_heap([](Heap &heap) {
    ASSERT_NE(heap.make(20000), nullptr); // the class has a span
    unsigned char *const p = heap.make(4000);
    leave_no_space();
    while (heap.make(60000) != nullptr) {
    }
    size_t const failures = heap.cache->failures;
    void *const grown = rf_cache_realloc(heap.cache, p, 20000, &no_origin);
    ASSERT_NE(grown, nullptr);
    EXPECT_FALSE(heap.view(grown).span->large);
    EXPECT_EQ(heap.cache->failures, failures);
  });
}

TEST(DropinRealloc, ShrinksABlockToHalfItsSlotWhereItIs) {
  with_heap([](Heap &heap) {
    rf_heap_options_now.move_below = 0;
    unsigned char *const p = heap.make(496);
    rf_view const v = heap.view(p);
    size_t const room = static_cast<size_t>(v.end - v.payload) - RF_TAIL_LEAST;
    EXPECT_EQ(rf_cache_realloc(heap.cache, p, room, &no_origin), p);
    EXPECT_EQ(rf_cache_realloc(heap.cache, p, room / 2, &no_origin), p);
    EXPECT_NE(rf_cache_realloc(heap.cache, p, room / 2 - 1, &no_origin), p);
  });
}

// The first time it moves to where addresses above are free; elsewhere mappings stand side by side.
TEST(DropinRealloc, ALargeBlockThatMovedToGrowGrowsAgainWhereItIs) {
  constexpr size_t kMiB = 1 << 20;
  if (sizeof(void *) == 4) {
    GTEST_SKIP() << "no addresses are left free";
  }
  with_heap([](Heap &heap) {
    unsigned char *const above = heap.make(3 * kMiB);
    unsigned char *const p = heap.make(3 * kMiB);
    ASSERT_LT(p, above);
    void *const moved = rf_cache_realloc(heap.cache, p, 5 * kMiB, &no_origin);
    ASSERT_NE(moved, p);
    EXPECT_EQ(rf_cache_realloc(heap.cache, moved, 7 * kMiB, &no_origin), moved);
  });
}

// As large as slots may be, and larger.
TEST(DropinRealloc, ALargeBlockIsInASlotWhereOneHasRoomForIt) {
  with_heap([](Heap &heap) {
    constexpr size_t kMost = RF_SLOT_MOST - RF_TAIL_LEAST;
    rf_heap_options_now.move_below = 0;
    for (bool const checked : {true, false}) {
      rf_heap_options_now.checked = checked;
      EXPECT_FALSE(heap.view(heap.make(kMost)).span->large);
      unsigned char *const p = heap.make(kMost + 1);
      EXPECT_TRUE(heap.view(p).span->large);
      void *const q = rf_cache_realloc(heap.cache, p, 2 * (kMost + 1), &no_origin);
      ASSERT_NE(q, nullptr);
      void *const shrunk = rf_cache_realloc(heap.cache, q, kMost, &no_origin);
      ASSERT_NE(shrunk, nullptr);
      EXPECT_FALSE(heap.view(shrunk).span->large);
    }
  });
}

// Both where the block stays and where it moves.
TEST(DropinRealloc, TellsOfWhatWasWrittenBeforeABlock) {
  for (size_t const move_below : {size_t{0}, SIZE_MAX}) {
    with_heap([move_below](Heap &heap) {
      rf_heap_options_now.move_below = move_below;
      unsigned char *const before = heap.make(100);
      unsigned char *const p = heap.make(100);
      ASSERT_EQ(p, before + heap.view(before).span->slot_size);
      p[-1] = 0;
      ASSERT_NE(rf_cache_realloc(heap.cache, p, 90, &no_origin), nullptr);
      std::vector<rf_finding> const found = heap.recorder.take();
      ASSERT_EQ(found.size(), 1U);
      EXPECT_EQ(found[0].bug, RF_BUG_BUFFER_UNDERFLOW);
    });
  }
}

// ---- Figures, fills and rights ----

rf_view view_at(const void *p) {
  rf_view v = {};
  EXPECT_TRUE(rf_view_at(reinterpret_cast<uintptr_t>(p), &v));
  return v;
}

TEST(DropinCaches, ReallocABlockOnAPageWithoutRights) {
  heap_alone([] {
    constexpr size_t kSize = 2 * RF_UNIT - 200;
    rf_cache *const cache = rf_cache_take(0);
    rf_origin const origin = {};
    for (size_t const to : {kSize - 100, kSize / 2, kSize * 2}) {
      auto *const p = static_cast<unsigned char *>(rf_cache_malloc(cache, kSize, RF_FAMILY_MALLOC, &origin));
      memset(p, 'x', kSize);
      const rf_span *const span = view_at(p).span;
      void *const start = reinterpret_cast<void *>(rf_span_start(span));
      ASSERT_EQ(mprotect(start, span->bytes, PROT_NONE), 0);
      rf_heap_restricted(start, span->bytes);
      auto *const q = static_cast<unsigned char *>(rf_cache_realloc(cache, p, to, &origin));
      ASSERT_NE(q, nullptr);
      size_t const kept = std::min(to, kSize);
      EXPECT_EQ(std::count(q, q + kept, 'x'), static_cast<ptrdiff_t>(kept));
    }
  });
}

TEST(DropinCaches, CountThePeakOfABlockThatGrowsWhereItIs) {
  heap_alone([] {
    rf_cache *const cache = rf_cache_take(0);
    rf_origin const origin = {};
    rf_heap_options_now.move_below = 0;
    for (size_t const least : {40, 90, 1000, 20000}) {
      void *const p = rf_cache_malloc(cache, least, RF_FAMILY_MALLOC, &origin);
      rf_view const v = view_at(p);
      size_t const size = static_cast<size_t>(v.end - v.payload) - RF_TAIL_LEAST;
      ASSERT_GT(size, least);
      ASSERT_EQ(rf_cache_realloc(cache, p, size, &origin), p);
      ASSERT_EQ(rf_cache_realloc(cache, p, least, &origin), p);
      rf_cache_figures now;
      rf_cache_figures_of_all(&now);
      EXPECT_EQ(now.counters.peak, size);
      EXPECT_TRUE(rf_cache_free(cache, p, RF_FAMILY_MALLOC, SIZE_MAX, &origin));
    }
  });
}

TEST(DropinCaches, CountABlockThatMovesOnce) {
  heap_alone([] {
    rf_cache *const cache = rf_cache_take(0);
    rf_origin const origin = {};
    void *p = rf_cache_malloc(cache, 100, RF_FAMILY_MALLOC, &origin);
    rf_cache_figures before;
    rf_cache_figures_of_all(&before);
    EXPECT_EQ(before.counters.blocks, 1U);
    EXPECT_EQ(before.counters.peak_blocks, 1U);
    for (size_t size = 200; size < 1000; size += 100) {
      void *const moved = rf_cache_realloc(cache, p, size, &origin);
      ASSERT_NE(moved, p);
      p = moved;
      rf_cache_figures now;
      rf_cache_figures_of_all(&now);
      EXPECT_EQ(now.counters.blocks, 1U);
      EXPECT_EQ(now.counters.peak_blocks, 1U);
      EXPECT_EQ(now.counters.used, size);
      EXPECT_EQ(now.counters.peak, size);
      EXPECT_EQ(now.counters.allocations, before.counters.allocations);
    }
  });
}

TEST(DropinCaches, ABlockThatReallocMovesWasFreedByIt) {
  heap_alone([] {
    rf_cache *const cache = rf_cache_take(0);
    rf_origin origin = {};
    void *const p = rf_cache_malloc(cache, 100, RF_FAMILY_MALLOC, &origin);
    const rf_slot *const old = view_at(p).slot;
    view_at(p).slot->allocated = 7; // a stack of another call
    void *const q = rf_cache_realloc(cache, p, 1000, &origin);
    ASSERT_NE(q, p);
    EXPECT_EQ(rf_slot_state_of(old), RF_SLOT_FREED);
    EXPECT_EQ(old->released, view_at(q).slot->allocated);
  });
}

// In a heap whose freed blocks are filled up to `fill` bytes, and in which nothing is found.
template <typename Body> void with_fill(size_t fill, Body body) {
  heap_alone([fill, body] {
    ringfence::Recorder recorder;
    rf_heap_options_now.reporter = recorder.reporter();
    rf_heap_options_now.fast_most = 0;
    rf_heap_options_now.fill_free = fill;
    body(rf_cache_take(0));
    EXPECT_TRUE(recorder.take().empty());
  });
}

TEST(DropinCaches, ALargeBlockIsFilledUpToItsEnd) {
  static constexpr size_t kSize = 100001;
  for (size_t const fill : {SIZE_MAX, size_t{65536}, size_t{0}}) {
    with_fill(fill, [fill](rf_cache *cache) {
      rf_origin const origin = {};
      auto *const p = static_cast<unsigned char *>(rf_cache_malloc(cache, kSize, RF_FAMILY_MALLOC, &origin));
      memset(p, 'x', kSize);
      rf_view const v = view_at(p);
      ASSERT_TRUE(rf_cache_free(cache, p, RF_FAMILY_MALLOC, SIZE_MAX, &origin));
      size_t const filled = std::min(kSize, fill);
      EXPECT_EQ(std::count(p, p + filled, RF_PATTERN_FREED), static_cast<ptrdiff_t>(filled)) << fill;
      EXPECT_EQ(std::count(p + filled, p + kSize, 'x'), static_cast<ptrdiff_t>(kSize - filled)) << fill;
      EXPECT_EQ(std::count(p + kSize, v.end, RF_PATTERN_REDZONE), v.end - (p + kSize)) << fill;
      EXPECT_TRUE(rf_check_intact(&v));
    });
  }
}

TEST(DropinCaches, ABlockThatReallocMovesIsFilledWhereItWas) {
  for (size_t const fill : {65536, 8192, 6000, 16, 0}) {
    with_fill(fill, [fill](rf_cache *cache) {
      rf_origin const origin = {};
      for (size_t const from : {100, 4095, 4096, 4097, 8192, 8193, 12293, 30000}) {
        for (size_t const to : {from / 4, 2 * from, 6 * from}) {
          SCOPED_TRACE(testing::Message() << fill << " filled, from " << from << " to " << to);
          auto *const p = static_cast<unsigned char *>(rf_cache_malloc(cache, from, RF_FAMILY_MALLOC, &origin));
          for (size_t i = 0; i < from; i++) {
            p[i] = static_cast<unsigned char>(i * 7 >> 2);
          }
          std::vector<unsigned char> const before(p, p + from);
          auto *const q = static_cast<unsigned char *>(rf_cache_realloc(cache, p, to, &origin));
          ASSERT_NE(q, nullptr);
          EXPECT_EQ(memcmp(q, before.data(), std::min(from, to)), 0);
          ASSERT_NE(q, p);
          size_t const filled = std::min(from, fill);
          EXPECT_EQ(std::count(p, p + filled, RF_PATTERN_FREED), static_cast<ptrdiff_t>(filled));
          EXPECT_EQ(memcmp(p + filled, before.data() + filled, from - filled), 0);
          ASSERT_TRUE(rf_cache_free(cache, q, RF_FAMILY_MALLOC, SIZE_MAX, &origin));
        }
      }
      rf_cache_flush(cache);
    });
  }
}

#ifdef __x86_64__

extern "C" char __libc_single_threaded __attribute__((weak));

// Another thread may free the block until the realloc has claimed it. `again`: and its slot is the next one that this
// thread is given, so that the realloc would move the block into itself.
void free_while_realloc_moves(bool again) {
  heap_alone([again] {
    size_t const to = again ? 99 : 300;
    if (&__libc_single_threaded != nullptr) { // else a claim is not at once
      __libc_single_threaded = 0;
    }
    ringfence::Recorder recorder;
    rf_heap_options_now.reporter = recorder.reporter();
    rf_cache *const cache = rf_cache_take(0);
    rf_cache *const other = rf_cache_take(0);
    rf_origin const origin = {};
    unsigned refused = 0;
    bool done = true;
    for (unsigned step = 1; done; step += again ? 13 : 97) { // a signal takes long
      void *const p = rf_cache_malloc(cache, 100, RF_FAMILY_MALLOC, &origin);
      rf_view const block = view_at(p);
      size_t const requested = cache->requested;
      size_t const allocations = cache->allocations;
      void *moved = nullptr;
      done = false;
      (void)run_with_other_after(
          step, [&] { moved = rf_cache_realloc(cache, p, to, &origin); },
          [&] {
            done = rf_slot_state_of(block.slot) == RF_SLOT_LIVE &&
                   rf_cache_free(other, block.payload, RF_FAMILY_MALLOC, SIZE_MAX, &origin);
            if (done && again) {
              const rf_bin &bin = cache->bins[block.span->class_number];
              bin.ring[bin.first & bin.mask] = {block.payload, block.slot};
            }
          });
      EXPECT_EQ(moved == nullptr, done) << step;
      EXPECT_EQ(cache->requested, requested + (done ? 0 : to)) << step;
      EXPECT_EQ(cache->allocations, allocations) << step;
      EXPECT_EQ(recorder.take().size(), done ? 1U : 0U) << step;
      refused += done ? 1 : 0;
    }
    EXPECT_GT(refused, 3U);
  });
}

TEST(DropinCaches, ABlockThatIsFreedWhileReallocMovesItCountsAsIfItWereNot) {
  free_while_realloc_moves(false);
}

TEST(DropinCaches, ABlockThatIsFreedAndGivenToTheReallocThatMovesItIsNotMoved) {
  free_while_realloc_moves(true);
}

#endif

TEST(DropinCaches, ABlockThatStaysForWantOfMemoryIsNoFailure) {
  heap_alone([] {
    rf_cache *const cache = rf_cache_take(0);
    rf_origin const origin = {};
    ASSERT_GT(rf_heap_options_now.move_below, 1000U);
    void *const p = rf_cache_malloc(cache, 1000, RF_FAMILY_MALLOC, &origin);
    leave_no_space();
    while (rf_cache_malloc(cache, 900, RF_FAMILY_MALLOC, &origin) != nullptr) {
    }
    size_t const failures = cache->failures;
    EXPECT_EQ(rf_cache_realloc(cache, p, 900, &origin), p);
    EXPECT_EQ(view_at(p).size, 900U);
    EXPECT_EQ(cache->failures, failures);
    EXPECT_EQ(rf_cache_realloc(cache, p, 30000, &origin), nullptr);
    EXPECT_GT(cache->failures, failures);
  });
}

} // namespace
} // namespace ringfence_test
