// Findings of the drop-in's heap at their edges: every slot in its turn, both sides of a block, and who freed it.
#include "tests/dropin/recorded_heap.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/heap/bins.h"
#include "checkers/dropin/heap/large.h"
#include "checkers/dropin/heap/walk.h"
}
#undef _Static_assert

namespace ringfence_test {
namespace {

constexpr uint64_t kSecond = 1000000000;

bool has_block(const rf_span &span, unsigned index) {
  return rf_slot_state_of(&span.slots[index]) == RF_SLOT_LIVE;
}

// ---- Sweeps and walks ----

// Steps stop behind every sixty-fourth.
TEST(DropinFindings, ASweepComesToEverySlotOfASpan) {
  size_t (*const sweeps[])() = {
      [] { return rf_heap_sweep(&no_origin); },
      [] { return rf_heap_sweep_newest(100 * kSecond, &no_origin); }, // on a busy machine, too
      [] {
        size_t found = 0;
        for (int i = 0; i < 20; i++) {
          found += rf_heap_sweep_step(0, &no_origin);
        }
        return found;
      },
  };
  with_heap([&](Heap &heap) {
    std::vector<unsigned char *> blocks;
    while (blocks.empty() || heap.view(blocks.back()).span->carved < 200) {
      blocks.push_back(heap.make(40));
    }
    for (auto *const sweep : sweeps) {
      for (unsigned char *const p : blocks) {
        p[40] = 'x';
      }
      EXPECT_EQ(sweep(), blocks.size());
      EXPECT_EQ(heap.recorder.take().size(), blocks.size());
    }
  });
}

// A process that a signal ends has little time: what is newest comes first.
TEST(DropinFindings, ASweepStopsWhenItsTimeIsOver) {
  with_heap([](Heap &heap) {
    std::vector<unsigned char *> blocks;
    while (blocks.empty() || heap.view(blocks.back()).span->carved < 200) {
      blocks.push_back(heap.make(40));
    }
    for (unsigned char *const p : blocks) {
      p[40] = 'x';
    }
    EXPECT_LE(rf_heap_sweep_newest(0, &no_origin), 64U);
    std::vector<rf_finding> const newest = heap.recorder.take();
    ASSERT_FALSE(newest.empty());
    EXPECT_EQ(newest[0].block, reinterpret_cast<uintptr_t>(*std::max_element(blocks.begin(), blocks.end())));
    EXPECT_LE(rf_heap_sweep_step(0, &no_origin), 64U);
    EXPECT_FALSE(heap.recorder.take().empty());
  });
}

bool has_bytes(const rf_block *block, void *context) {
  EXPECT_NE(block->size, 0U);
  ++*static_cast<size_t *>(context);
  return true;
}

// Behind the slots in use there is the rest of the span, as long as there is one.
TEST(DropinFindings, AWalkOfAFullSpanEndsWithItsLastSlot) {
  with_heap([](Heap &heap) {
    std::vector<unsigned char *> blocks = {heap.make(32000)};
    rf_span *const span = heap.view(blocks[0]).span;
    while (span->carved != span->count) {
      blocks.push_back(heap.make(32000));
    }
    size_t visited = 0;
    EXPECT_EQ(rf_walk(rf_heap_allocator(), has_bytes, &visited), RF_OK);
    EXPECT_EQ(visited, span->count);
  });
}

bool note_block(const rf_block *block, void *context) {
  static_cast<std::vector<rf_block> *>(context)->push_back(*block);
  return true;
}

// A block's size and its overhead are its slot together, also where it was freed.
TEST(DropinFindings, AWalkTellsTheWholeOfEachSlot) {
  with_heap([](Heap &heap) {
    unsigned char *const freed = heap.make(40);
    const unsigned char *const live = heap.make(40);
    size_t const slot = heap.view(live).span->slot_size;
    EXPECT_TRUE(heap.free(freed));
    std::vector<rf_block> seen;
    EXPECT_EQ(rf_walk(rf_heap_allocator(), note_block, &seen), RF_OK);
    size_t found = 0;
    for (const rf_block &block : seen) {
      if (block.ptr == freed || block.ptr == live) {
        EXPECT_EQ(block.size + block.overhead, slot);
        EXPECT_EQ(block.size, block.used ? 40 : slot - RF_TAIL_LEAST);
        EXPECT_EQ(block.used, block.ptr == live);
        found++;
      }
    }
    EXPECT_EQ(found, 2U);
  });
}

TEST(DropinFindings, FiguresOfTheHeapAreThoseOfAWalk) {
  with_heap([](Heap &heap) {
    EXPECT_TRUE(heap.free(heap.make(30000)));
    EXPECT_TRUE(heap.free(heap.make(100000)));
    (void)heap.make(40);
    (void)heap.make(5000000);
    std::vector<rf_block> seen;
    EXPECT_EQ(rf_walk(rf_heap_allocator(), note_block, &seen), RF_OK);
    rf_stats expected = {};
    for (const rf_block &block : seen) {
      expected.overhead += block.overhead;
      expected.free_bytes += block.used ? 0 : block.size;
      expected.largest_free = std::max(expected.largest_free, block.used ? 0 : block.size);
    }
    rf_stats stats = {};
    rf_stats_get(rf_heap_allocator(), &stats);
    EXPECT_EQ(stats.capacity, rf_heap_bytes_now().mapped);
    EXPECT_EQ(stats.overhead, expected.overhead);
    EXPECT_EQ(stats.free_bytes, expected.free_bytes);
    EXPECT_EQ(stats.largest_free, expected.largest_free);
    EXPECT_EQ(stats.used, 5000040U);
  });
}

using Range = std::pair<uintptr_t, uintptr_t>;

bool note_range(uintptr_t start, uintptr_t end, void *context) {
  static_cast<std::vector<Range> *>(context)->emplace_back(start, end);
  return true;
}

// Also where all units of a segment are in use: what is outside of them is looked through for pointers.
TEST(DropinRanges, HoldEveryBlock) {
  with_heap([](Heap &heap) {
    std::vector<unsigned char *> blocks;
    rf_heap const &of = rf_heaps[rf_cache_heap(heap.cache)];
    for (int i = 0; i < 100 && of.full == nullptr; i++) {
      blocks.push_back(heap.make(500000));
    }
    ASSERT_NE(of.full, nullptr);
    blocks.push_back(heap.make(500000));
    blocks.push_back(heap.make(5000000)); // a mapping of its own
    std::vector<Range> ranges;
    EXPECT_TRUE(rf_heap_each_range(note_range, &ranges));
    for (unsigned char *const p : blocks) {
      auto const at = reinterpret_cast<uintptr_t>(p);
      EXPECT_TRUE(
          std::any_of(ranges.begin(), ranges.end(), [at](const Range &r) { return at >= r.first && at < r.second; }));
    }
  });
}

// ---- Damage ----

// By a program that goes on damaging it.
TEST(DropinFindings, AboutOneBlockComeToAnEnd) {
  static unsigned char *damaged;
  static unsigned told;
  with_heap([](Heap &heap) {
    static rf_reporter again = {[](rf_reporter *, const rf_finding *) {
                                  damaged[40] = 'x';
                                  return ++told < 1000 ? RF_ACTION_CONTINUE : RF_ACTION_HALT;
                                },
                                nullptr, 1, 0};
    damaged = heap.make(40);
    damaged[40] = 'x';
    rf_heap_options_now.reporter = &again;
    EXPECT_EQ(rf_heap_sweep(&no_origin), 64U);
    EXPECT_EQ(told, 64U);
  });
}

TEST(DropinFindings, OfBothSidesOfABlockAreTwo) {
  with_heap([](Heap &heap) {
    for (size_t const size : {40, 100000}) {
      unsigned char *const p = heap.make(size);
      p[-1] = 'x';
      p[size] = 'x';
      EXPECT_TRUE(heap.free(p));
      std::vector<rf_finding> const found = heap.recorder.take();
      ASSERT_EQ(found.size(), 2U);
      EXPECT_EQ(found[0].bug, RF_BUG_BUFFER_OVERFLOW);
      EXPECT_EQ(found[1].bug, RF_BUG_BUFFER_UNDERFLOW);
      EXPECT_EQ(rf_heap_sweep(&no_origin), 0U);
    }
  });
}

// More of them than slots have at first: behind a block that was resized. (Others: slot_bytes_test.)
TEST(DropinFindings, OfEachGuardByteBehindABlockThatWasResized) {
  with_heap([](Heap &heap) {
    rf_heap_options_now.move_below = 0;
    for (size_t made = 16; made <= 200; made += 16) {
      size_t const size = made / 2 + 4;
      for (size_t i = 0, guard = 1; i < guard; i++) {
        unsigned char *const p = heap.make(made);
        ASSERT_EQ(rf_cache_realloc(heap.cache, p, size, &no_origin), p) << made;
        guard = static_cast<size_t>(heap.view(p).end - p) - size;
        p[size + i] ^= 1;
        EXPECT_TRUE(heap.free(p));
        ASSERT_EQ(heap.recorder.take().size(), 1U) << made << ", byte " << i;
      }
    }
  });
}

// It looks like the guard that follows.
TEST(DropinFindings, OfAGuardByteAtTheEndOfAFreedBlock) {
  with_heap([](Heap &heap) {
    constexpr size_t kMost = 100;
    for (size_t size = 1; size < kMost; size++) {
      unsigned char *const p = heap.make(size);
      EXPECT_TRUE(heap.free(p));
      p[size - 1] = RF_PATTERN_REDZONE;
      for (unsigned age = 0; age <= RF_AGES; age++) {
        rf_bins_age(heap.cache);
      }
      for (unsigned i = 0; i < 1000 && heap.recorder.count() == 0; i++) {
        (void)heap.make(size);
      }
      std::vector<rf_finding> const found = heap.recorder.take();
      ASSERT_EQ(found.size(), 1U) << size;
      EXPECT_EQ(found[0].block, reinterpret_cast<uintptr_t>(p));
      EXPECT_EQ(found[0].offset, static_cast<ptrdiff_t>(size - 1));
    }
  });
}

// All of it and of the guard behind it: not an underflow of the next block, which would have come from above.
TEST(DropinFindings, OfAFreedBlockThatIsWrittenFromItsStartAreItsOwn) {
  with_heap([](Heap &heap) {
    std::vector<unsigned char *> blocks;
    for (int i = 0; i < 20; i++) {
      blocks.push_back(heap.make(40));
    }
    rf_view const v = heap.view(blocks[10]);
    EXPECT_TRUE(heap.free(blocks[10]));
    memset(v.payload, 'x', static_cast<size_t>(v.end - v.payload));
    EXPECT_EQ(rf_heap_sweep(&no_origin), 1U);
    std::vector<rf_finding> const found = heap.recorder.take();
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].bug, RF_BUG_USE_AFTER_FREE);
    EXPECT_EQ(found[0].block, reinterpret_cast<uintptr_t>(blocks[10]));
  });
}

// The bytes behind the fill are as the program left them.
TEST(DropinFindings, ShowTheFillOfAFreedBlockAsFarAsItGoes) {
  with_heap([](Heap &heap) {
    constexpr size_t kFill = 32;
    constexpr size_t kSize = 60;
    rf_heap_options_now.fill_free = kFill;
    rf_heap_options_now.fast_most = 0;
    unsigned char *const p = heap.make(kSize);
    EXPECT_TRUE(heap.free(p));
    p[3] = 'x';
    EXPECT_EQ(rf_heap_sweep(&no_origin), 1U);
    std::vector<rf_finding> const found = heap.recorder.take();
    ASSERT_EQ(found.size(), 1U);
    for (size_t i = 0; i < found[0].window_size; i++) {
      size_t const at = found[0].window_address + i - reinterpret_cast<uintptr_t>(p);
      rf_byte_class const wanted = at < kFill ? RF_BYTE_FREED : at < kSize ? RF_BYTE_USER : RF_BYTE_GUARD;
      EXPECT_EQ(found[0].window_class[i] == RF_BYTE_BAD, at == 3) << at;
      EXPECT_TRUE(found[0].window_class[i] == wanted || at == 3) << at;
    }
  });
}

// From a live block on, over the freed one behind it, into the guard of that.
TEST(DropinFindings, OfAnOverflowThatEndsInTheGuardOfAFreedBlockAreOne) {
  with_heap([](Heap &heap) {
    std::vector<unsigned char *> blocks;
    for (int i = 0; i < 20; i++) {
      blocks.push_back(heap.make(40));
    }
    rf_view const from = heap.view(blocks[10]);
    rf_view const behind = rf_view_of(from.span, from.index + 1);
    ASSERT_EQ(behind.size, 40U);
    EXPECT_TRUE(heap.free(behind.payload));
    unsigned char *const start = from.payload + from.size;
    memset(start, 'x', static_cast<size_t>(behind.payload + behind.size + 3 - start));
    EXPECT_EQ(rf_heap_sweep(&no_origin), 1U);
    std::vector<rf_finding> const found = heap.recorder.take();
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].bug, RF_BUG_BUFFER_OVERFLOW);
    EXPECT_EQ(found[0].block, reinterpret_cast<uintptr_t>(from.payload));
  });
}

TEST(DropinFindings, NameTheThreadsThatAllocatedAndFreed) {
  with_heap([](Heap &heap) {
    unsigned char *const blocks[] = {heap.make(1), heap.make(40), heap.make(40000), heap.make(100000)};
    for (unsigned char *const p : blocks) {
      rf_cache_set_number(heap.cache, rf_thread_number(1001));
      unsigned char *const q = static_cast<unsigned char *>(rf_cache_realloc(heap.cache, p, 2000, &no_origin));
      rf_cache_set_number(heap.cache, rf_thread_number(2002));
      EXPECT_TRUE(heap.free(q));
      q[5] = 'x';
      EXPECT_EQ(rf_heap_sweep(&no_origin), 1U);
      std::vector<rf_finding> const found = heap.recorder.take();
      ASSERT_EQ(found.size(), 1U);
      EXPECT_EQ(found[0].allocated.thread, 1001U);
      EXPECT_EQ(found[0].released.thread, 2002U);
    }
  });
}

// Another thread has made it longer since: what was its guard is the program's.
TEST(DropinFindings, OfALargeBlockThatHasAnotherSizeByNowAreNone) {
  with_heap([](Heap &heap) {
    unsigned char *const p = heap.make(100000);
    rf_view const seen = heap.view(p);
    ASSERT_TRUE(rf_large_resize(seen.span, 100010));
    memset(p, 'x', 100010);
    EXPECT_EQ(rf_check_report(&seen, &no_origin), 0U);
    EXPECT_EQ(heap.recorder.count(), 0U);
  });
}

TEST(DropinFindings, OfALargeBlockWhoseMemoryGoesAreToldBefore) {
  with_heap([](Heap &heap) {
    for (size_t const size : {size_t{100000}, 3 * kMiB}) {
      unsigned char *const p = heap.make(size);
      EXPECT_TRUE(heap.free(p));
      p[5] = 'x';
      EXPECT_NE(rf_large_trim(), 0U);
      std::vector<rf_finding> const found = heap.recorder.take();
      ASSERT_EQ(found.size(), 1U) << size;
      EXPECT_EQ(found[0].bug, RF_BUG_USE_AFTER_FREE);
      EXPECT_EQ(found[0].block, reinterpret_cast<uintptr_t>(p));
    }
  });
}

// The memory of a span goes back when all of its blocks are free.
TEST(DropinFindings, OfEachFreedBlockAreToldBeforeItsSpanGoes) {
  with_heap([](Heap &heap) {
    std::vector<unsigned char *> blocks = {heap.make(100)};
    rf_span *const span = heap.view(blocks[0]).span;
    while (!has_block(*span, span->carved - 1)) {
      blocks.push_back(heap.make(100));
    }
    for (unsigned char *const p : blocks) {
      EXPECT_TRUE(heap.free(p));
    }
    for (unsigned i = 0; i < span->carved; i++) {
      auto *const p = reinterpret_cast<unsigned char *>(span->base) + size_t{i} * span->slot_size;
      if (rf_slot_state_of(&span->slots[i]) == RF_SLOT_FREED) {
        p[5] ^= 1;
        rf_check_retired(span);
        EXPECT_EQ(heap.recorder.take().size(), 1U) << i;
      }
    }
    EXPECT_EQ(rf_slot_state_of(&span->slots[span->carved - 1]), RF_SLOT_FREED);
  });
}

// Another thread that is inside a block, as one that resizes it, may have changed its size or its guard so far.
TEST(DropinFindings, OfABlockThatAnotherThreadHasAreNone) {
  with_heap([](Heap &heap) {
    unsigned char *const p = heap.make(100);
    rf_view const v = heap.view(p);
    uint16_t const traits = v.slot->traits;
    p[100] = 0;
    EXPECT_FALSE(rf_check_live_intact(&v));
    ASSERT_TRUE(rf_slot_claim(v.slot, traits));
    EXPECT_TRUE(rf_check_live_intact(&v));
    rf_slot_unclaim(v.slot, traits);
    EXPECT_FALSE(rf_check_live_intact(&v));
    EXPECT_EQ(v.slot->traits, traits) << "it is claimed no longer";
  });
}

} // namespace
} // namespace ringfence_test
