// Findings of the drop-in's heap at their edges: every slot in its turn, both sides of a block, who freed it, and what
// a wrong free tells.
#include "tests/checkers/recorder.h"
#include "tests/dropin/heap_alone.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/heap/bins.h"
#include "checkers/dropin/heap/check.h"
#include "checkers/dropin/heap/large.h"
#include "checkers/dropin/heap/threads.h"
#include "checkers/dropin/heap/walk.h"
}
#undef _Static_assert

namespace ringfence_test {
namespace {

constexpr uint64_t kSecond = 1000000000;
rf_origin const no_origin = {};

struct Heap {
  Heap() { rf_heap_options_now.reporter = recorder.reporter(); }
  unsigned char *make(size_t size) const {
    return static_cast<unsigned char *>(rf_cache_malloc(cache, size, RF_FAMILY_MALLOC, &no_origin));
  }
  bool free(void *p) const { return rf_cache_free(cache, p, RF_FAMILY_MALLOC, SIZE_MAX, &no_origin); }
  rf_view view(const void *p) const {
    rf_view v = {};
    EXPECT_TRUE(rf_view_at(reinterpret_cast<uintptr_t>(p), &v));
    return v;
  }

  ringfence::Recorder recorder;
  rf_cache *cache = rf_cache_take(0);
};

void with_heap(const std::function<void(Heap &)> &test) {
  heap_alone([&] {
    Heap heap;
    test(heap);
    EXPECT_FALSE(rf_stopped_by_me()) << "others would wait for ever";
  });
}

bool has_block(const rf_span &span, unsigned index) {
  return rf_slot_state_of(&span.slots[index]) == RF_SLOT_LIVE;
}

// ---- Sweeps and walks ----

// Steps stop behind every sixty-fourth.
TEST(DropinFindings, ASweepComesToEverySlotOfASpan) {
  size_t (*const sweeps[])() = {
      [] { return rf_heap_sweep(&no_origin); },
      [] { return rf_heap_sweep_newest(kSecond, &no_origin); },
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

// ---- Wrong frees ----

TEST(DropinFindings, OfADoubleFreeComeAfterWhatWasWrittenSince) {
  with_heap([](Heap &heap) {
    unsigned char *const p = heap.make(40);
    EXPECT_TRUE(heap.free(p));
    p[5] = 'x';
    EXPECT_FALSE(heap.free(p));
    std::vector<rf_finding> const found = heap.recorder.take();
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(found[0].bug, RF_BUG_USE_AFTER_FREE);
    EXPECT_EQ(found[1].bug, RF_BUG_DOUBLE_FREE);
  });
}

// Two threads free it at once, and the one that lost sees what another allocation made of it.
TEST(DropinFindings, OfADoubleFreeAreOfAFreedBlockWhateverLivesThere) {
  with_heap([](Heap &heap) {
    for (size_t const size : {0, 40}) {
      rf_check_bad_free(heap.make(size), &no_origin);
      std::vector<rf_finding> const found = heap.recorder.take();
      ASSERT_EQ(found.size(), 1U);
      EXPECT_EQ(found[0].bug, RF_BUG_DOUBLE_FREE);
      EXPECT_TRUE(found[0].freed) << size;
    }
  });
}

// Two threads free a large one at once, and its memory has gone when the one that lost looks what is there.
TEST(DropinFindings, OfAFreeWhereABlockWasAreAskedOfWhoRemembersIt) {
  static const void *asked;
  static bool knows;
  with_heap([](Heap &heap) {
    static char beside[64];
    rf_heap_options_now.left = [](const void *ptr, const rf_origin *) {
      asked = ptr;
      return knows;
    };
    for (bool const known : {true, false}) {
      knows = known;
      asked = nullptr;
      EXPECT_FALSE(heap.free(beside));
      EXPECT_EQ(asked, beside);
      EXPECT_EQ(heap.recorder.take().size(), known ? 0U : 1U) << "who remembers it has told";
    }
    asked = nullptr;
    unsigned char *const p = heap.make(40);
    EXPECT_FALSE(heap.free(p + 1));
    EXPECT_EQ(heap.recorder.take().size(), 1U);
    EXPECT_EQ(asked, nullptr) << "a block is there";
  });
}

const char *const kBeside = "the pointer is beside a block";
const char *const kBetween = "the pointer is beside a block, and 16 bytes before the next one";

// A free of `offset` bytes from the start of `block`, in no block, is told of that block.
void expect_beside(Heap &heap, unsigned char *block, ptrdiff_t offset, const char *detail) {
  rf_view const v = heap.view(block);
  EXPECT_FALSE(heap.free(block + offset));
  std::vector<rf_finding> const found = heap.recorder.take();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].bug, RF_BUG_BAD_FREE);
  EXPECT_EQ(found[0].block, reinterpret_cast<uintptr_t>(block));
  EXPECT_EQ(found[0].size, v.size);
  EXPECT_EQ(found[0].offset, offset);
  EXPECT_EQ(found[0].freed, rf_slot_state_of(v.slot) == RF_SLOT_FREED);
  EXPECT_STREQ(found[0].detail, detail);
}

// The bytes before the first block of a span are no other block's.
TEST(DropinFindings, OfAFreeInTheBytesBeforeABlockNameIt) {
  for (size_t const size : {1, 40, 64, 1000, 30000, 100000, 2000000}) {
    with_heap([&](Heap &heap) {
      unsigned char *p = heap.make(size);
      while (heap.view(p).index != 0) {
        p = heap.make(size);
      }
      for (bool const freed : {false, true}) {
        SCOPED_TRACE(testing::Message() << size << (freed ? " freed" : " live"));
        ASSERT_TRUE(!freed || heap.free(p));
        for (ptrdiff_t const before : {1, 8, 16, 32, 64}) {
          expect_beside(heap, p, -before, kBeside);
        }
      }
    });
  }
}

// Two blocks whose slots lie one behind the other.
std::pair<unsigned char *, unsigned char *> neighbours(Heap &heap, size_t size) {
  std::vector<unsigned char *> blocks(64);
  std::generate(blocks.begin(), blocks.end(), [&] { return heap.make(size); });
  std::sort(blocks.begin(), blocks.end());
  auto const low =
      std::adjacent_find(blocks.begin(), blocks.end(), [&](const unsigned char *a, const unsigned char *b) {
        return a + heap.view(a).span->slot_size == b;
      });
  EXPECT_NE(low, blocks.end());
  return {*low, *(low + 1)};
}

// In slots of 80 bytes: told of the nearer one, or of that before which a header would be there. The end of a block is
// that block's, unless it alone is freed.
TEST(DropinFindings, OfAFreeBetweenTwoBlocksNameTheOneThatIsMeant) {
  struct {
    size_t size;
    ptrdiff_t before; // the upper one
    bool upper;
    const char *detail;
  } const rows[] = {
      {64, 1, true, kBeside},    {64, 8, true, kBeside},   {64, 9, false, kBeside},  {64, 15, false, kBeside},
      {64, 16, false, kBetween}, {63, 16, true, kBeside},  {63, 17, false, kBeside}, {50, 15, true, kBeside},
      {50, 16, true, kBeside},   {50, 17, false, kBeside}, {50, 30, false, kBeside},
  };
  for (auto const &row : rows) {
    for (char const *freed : {"none", "lower", "upper", "both"}) {
      with_heap([&](Heap &heap) {
        auto const [low, high] = neighbours(heap, row.size);
        bool const is_low = *freed == 'l' || *freed == 'b';
        bool const is_high = *freed == 'u' || *freed == 'b';
        ASSERT_EQ(high - low, 80);
        ASSERT_TRUE((!is_low || heap.free(low)) && (!is_high || heap.free(high)));
        SCOPED_TRACE(testing::Message() << row.size << ", " << row.before << " before, freed: " << freed);
        bool const at_stale_end = row.detail == kBetween && is_low && !is_high;
        bool const upper = row.upper || at_stale_end;
        expect_beside(heap, upper ? high : low, upper ? -row.before : 80 - row.before,
                      at_stale_end ? kBeside : row.detail);
      });
    }
  }
}

TEST(DropinFindings, OfAFreeBehindASlotThatIsNoBlockYetNameTheNextOneWhereNear) {
  with_heap([](Heap &heap) {
    auto const [low, high] = neighbours(heap, 100);
    heap.view(low).slot->traits = rf_traits(RF_SLOT_NEW, RF_FAMILY_MALLOC, RF_DEFAULT_ALIGN_LOG2, 0);
    expect_beside(heap, high, -16, kBeside);
    expect_beside(heap, high, -64, kBeside);
    EXPECT_FALSE(heap.free(high - 65));
    std::vector<rf_finding> const found = heap.recorder.take();
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].block, 0U);
    EXPECT_STREQ(found[0].detail, "no block is there, or any more");
  });
}

// What is read right before or behind an array of pointers is guard bytes.
TEST(DropinFindings, OfAFreeOfAPointerOutOfGuardBytesSaySo) {
  with_heap([](Heap &heap) {
    auto **const list = reinterpret_cast<unsigned char **>(heap.make(4 * sizeof(void *)));
    for (int const at : {-1, 4}) {
      EXPECT_FALSE(heap.free(list[at]));
      std::vector<rf_finding> const found = heap.recorder.take();
      ASSERT_EQ(found.size(), 1U);
      EXPECT_EQ(found[0].bug, RF_BUG_BAD_FREE);
      EXPECT_STREQ(found[0].detail, "the pointer was read from the guard bytes beside a block, which are 0xfd");
    }
  });
}

// By the short way and by the long one; a size above the block's as well as one below.
TEST(DropinFindings, OfAFreeWithAnotherSizeAreToldWhicheverIsMore) {
  for (size_t const most : {RF_FAST_MOST, size_t{1024}, size_t{0}}) {
    with_heap([most](Heap &heap) {
      rf_heap_options_now.fast_most = most;
      for (size_t const size : {40, 700, 1500, 4079, 40000}) {
        for (size_t const named : {size - 1, size + 1, size - 30, size_t{0}, size}) {
          unsigned char *const p = heap.make(size);
          EXPECT_TRUE(rf_cache_free(heap.cache, p, RF_FAMILY_MALLOC, named, &no_origin));
          std::vector<rf_finding> const found = heap.recorder.take();
          EXPECT_EQ(found.size(), named == size ? 0U : 1U) << size << ' ' << named;
        }
      }
    });
  }
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

// ---- Reallocs ----

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
      void *const q = rf_cache_realloc(heap.cache, p, kMost, &no_origin);
      ASSERT_NE(q, nullptr);
      EXPECT_FALSE(heap.view(q).span->large);
    }
  });
}

// Where it is resized, and where it moves.
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

rf_status refused_with;
const void *refused_ptr;

void refused(rf_status status, const void *ptr, const rf_origin * /*origin*/) {
  refused_with = status;
  refused_ptr = ptr;
}

TEST(DropinFindings, AreStatusesWhereNothingIsChecked) {
  heap_alone([] {
    rf_heap_options options = rf_heap_options_of(nullptr);
    options.refused = refused;
    rf_heap_configure(&options);
    Heap const heap;
    unsigned char *const p = heap.make(40);
    EXPECT_FALSE(heap.free(p + 1));
    EXPECT_EQ(refused_with, RF_ERR_BAD_POINTER);
    EXPECT_EQ(refused_ptr, p + 1);
    EXPECT_TRUE(heap.free(p));
    EXPECT_FALSE(heap.free(p));
    EXPECT_EQ(refused_with, RF_ERR_NOT_ALLOCATED);
    EXPECT_EQ(refused_ptr, p);
    // A slot has as many bytes as its block where there is no guard.
    EXPECT_EQ(heap.view(heap.make(32)).span->slot_size, 32U);
  });
}

} // namespace
} // namespace ringfence_test
