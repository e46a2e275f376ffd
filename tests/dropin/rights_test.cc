// Access rights that the program has taken from pages of the drop-in's heap (checkers/dropin/heap/rights.c): which
// spans are marked, and which marks go.
#include "tests/checkers/single_step.h"
#include "tests/dropin/recorded_heap.h"

#include <sys/mman.h>

#include <csignal>
#include <cstring>
#include <memory>
#include <vector>

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/heap/cache.h"
#include "checkers/dropin/heap/check.h"
#include "checkers/dropin/heap/rights.h"
#include "checkers/dropin/heap/walk.h"
}
#undef _Static_assert

namespace ringfence_test {
namespace {

#if UINTPTR_MAX > UINT32_MAX

// One unit each, at addresses where nothing is.
struct Unit {
  explicit Unit(uintptr_t start) {
    span->base = start + RF_SPAN_FRONT;
    span->bytes = RF_UNIT;
    EXPECT_TRUE(rf_span_enter(start, RF_UNIT, span.get()));
  }
  bool take_mark() const {
    bool const was = span->restricted;
    span->restricted = false;
    return was;
  }
  std::unique_ptr<rf_span> span = std::make_unique<rf_span>();
};

void restrict_rights(uintptr_t start, size_t size) {
  rf_heap_restricted(reinterpret_cast<void *>(start), size); // NOLINT(performance-no-int-to-ptr)
}

constexpr uintptr_t kLeaf = RF_UNIT << RF_SPAN_MAP_BITS;

TEST(DropinRights, MarkTheSpansOfTheirPagesAlone) {
  heap_alone([] {
    uintptr_t const start = 0x3000 * kLeaf;
    Unit const first(start);
    Unit const second(start + RF_UNIT);
    restrict_rights(start, RF_UNIT);
    EXPECT_TRUE(first.take_mark());
    EXPECT_FALSE(second.take_mark());
    restrict_rights(start + RF_UNIT - 1, 2);
    EXPECT_TRUE(first.take_mark());
    EXPECT_TRUE(second.take_mark());
    restrict_rights(start + RF_UNIT, 0);
    EXPECT_FALSE(first.take_mark());
    EXPECT_TRUE(second.take_mark());
  });
}

// If no unit of a whole part of the page map is a span's, the part is passed over, and nothing of the next one.
TEST(DropinRights, MarkTheFirstSpanBehindAGapInThePageMap) {
  for (unsigned const leaf : {0x3000U, 0x3001U}) {
    heap_alone([leaf] {
      Unit const behind((leaf + 1) * kLeaf);
      Unit const last((leaf + 3) * kLeaf - RF_UNIT);
      restrict_rights(leaf * kLeaf + 5 * RF_UNIT, 2 * kLeaf);
      EXPECT_TRUE(behind.take_mark());
      EXPECT_FALSE(last.take_mark());
      restrict_rights(leaf * kLeaf + 5 * RF_UNIT, 3 * kLeaf);
      EXPECT_TRUE(last.take_mark());
    });
  }
}

#endif

rf_view block_of(rf_cache *cache, size_t size) {
  rf_origin const origin = {};
  rf_view v = {};
  void *const p = rf_cache_malloc(cache, size, RF_FAMILY_MALLOC, &origin);
  EXPECT_TRUE(rf_view_at(reinterpret_cast<uintptr_t>(p), &v));
  return v;
}

// All pages of a large block come back, so nothing is left to be asked about. A span of slots may have others.
TEST(DropinRights, OfALargeBlockAreBackAsAWhole) {
  heap_alone([] {
    rf_cache *const cache = rf_cache_take(0);
    rf_view const large = block_of(cache, 100000);
    rf_view const small = block_of(cache, 100);
    for (const rf_view &v : {large, small}) {
      rf_heap_restricted(v.payload, v.size);
      EXPECT_TRUE(rf_span_is_restricted(v.span));
      EXPECT_TRUE(rf_rights_return(&v));
    }
    EXPECT_FALSE(rf_span_is_restricted(large.span));
    EXPECT_TRUE(rf_span_is_restricted(small.span));
  });
}

// The guard before a block may be in another page.
TEST(DropinRights, OfASmallBlockAreBackFromItsGuardOn) {
  constexpr uintptr_t kPage = 4096;
  heap_alone([] {
    rf_cache *const cache = rf_cache_take(0);
    rf_view v = block_of(cache, 200);
    for (int i = 0; i < 1000 && reinterpret_cast<uintptr_t>(v.payload) % kPage >= RF_SPAN_FRONT; i++) {
      v = block_of(cache, 200);
    }
    uintptr_t const guard = reinterpret_cast<uintptr_t>(v.payload) - RF_SPAN_FRONT;
    ASSERT_NE(guard / kPage, reinterpret_cast<uintptr_t>(v.payload) / kPage);
    auto *const before = reinterpret_cast<void *>(guard & ~(kPage - 1)); // NOLINT(performance-no-int-to-ptr)
    ASSERT_EQ(mprotect(before, kPage, PROT_NONE), 0);
    rf_heap_restricted(before, kPage);
    EXPECT_FALSE(rf_rights_allow_check(&v));
    EXPECT_TRUE(rf_rights_return(&v));
    EXPECT_TRUE(rf_rights_allow_check(&v));
  });
}

// As in a child that the program has kept a page from: what is freed is never looked at, and never given out again.
TEST(DropinRights, OfABlockWhoseMemoryIsNotThereAreNotReturned) {
  constexpr uintptr_t kPage = 4096;
  for (size_t const size : {size_t{20000}, size_t{100000}}) {
    heap_alone([size] {
      rf_origin const origin = {};
      constexpr uint16_t kThread = 7;
      rf_cache *const cache = rf_cache_take(0);
      rf_view const v = block_of(cache, size);
      uintptr_t const inside = (reinterpret_cast<uintptr_t>(v.payload) + size / 2) & ~(kPage - 1);
      rf_cache_set_number(cache, kThread);
      auto *const page = reinterpret_cast<void *>(inside); // NOLINT(performance-no-int-to-ptr)
      rf_heap_restricted(page, kPage);
      ASSERT_EQ(munmap(page, kPage), 0);
      EXPECT_FALSE(rf_rights_return(&v));
      EXPECT_TRUE(rf_span_is_restricted(v.span));
      EXPECT_TRUE(rf_rights_allow_check(&v)) << "its edges are there";
      size_t const blocks = rf_cache_blocks(cache);
      EXPECT_TRUE(rf_cache_free(cache, v.payload, RF_FAMILY_MALLOC, SIZE_MAX, &origin));
      EXPECT_EQ(rf_cache_blocks(cache), blocks - 1);
      EXPECT_EQ(rf_slot_state_of(v.slot), RF_SLOT_FREED);
      EXPECT_EQ(v.slot->released_by, kThread);
      EXPECT_FALSE(rf_rights_allow_check(&v));
      EXPECT_EQ(rf_heap_sweep(&origin), 0U);
    });
  }
}

// The bytes between its edges count where they are compared: of blocks that are freed.
TEST(DropinRights, AllowALookAtAFreedBlockWhereAllOfItCanBeRead) {
  constexpr uintptr_t kPage = 4096;
  heap_alone([] {
    rf_origin const origin = {};
    rf_cache *const cache = rf_cache_take(0);
    rf_view const v = block_of(cache, 5 * kPage);
    uintptr_t const inside = (reinterpret_cast<uintptr_t>(v.payload) + 2 * kPage) & ~(kPage - 1);
    ASSERT_TRUE(rf_cache_free(cache, v.payload, RF_FAMILY_MALLOC, SIZE_MAX, &origin));
    auto *const page = reinterpret_cast<void *>(inside); // NOLINT(performance-no-int-to-ptr)
    rf_heap_restricted(page, kPage);
    EXPECT_TRUE(rf_rights_allow_check(&v));
    ASSERT_EQ(mprotect(page, kPage, PROT_NONE), 0);
    EXPECT_FALSE(rf_rights_allow_check(&v));
  });
}

// One page without rights is enough, on either side.
TEST(DropinRights, AllowNoLookWhereEitherGuardCannotBeRead) {
  constexpr uintptr_t kPage = 4096;
  heap_alone([] {
    rf_cache *const cache = rf_cache_take(0);
    rf_view const v = block_of(cache, 100000);
    uintptr_t const front = (reinterpret_cast<uintptr_t>(v.payload) - 1) & ~(kPage - 1);
    uintptr_t const tail = (reinterpret_cast<uintptr_t>(v.payload) + v.size) & ~(kPage - 1);
    rf_heap_restricted(v.payload, v.size);
    EXPECT_TRUE(rf_rights_allow_check(&v));
    for (uintptr_t const page : {front, tail}) {
      auto *const at = reinterpret_cast<void *>(page); // NOLINT(performance-no-int-to-ptr)
      ASSERT_EQ(mprotect(at, kPage, PROT_NONE), 0);
      EXPECT_FALSE(rf_rights_allow_check(&v));
      ASSERT_EQ(mprotect(at, kPage, PROT_READ | PROT_WRITE), 0);
      EXPECT_TRUE(rf_rights_allow_check(&v));
    }
  });
}

constexpr uintptr_t kOnePage = 4096;

uintptr_t first_page_of(const void *p) {
  return reinterpret_cast<uintptr_t>(p) & ~(kOnePage - 1);
}

// As the system does, for the program.
void empty(uintptr_t page) {
  auto *const at = reinterpret_cast<void *>(page); // NOLINT(performance-no-int-to-ptr)
  memset(at, 0, kOnePage);
}

// A page with the guard behind a block, that the program had the system empty, is no damage; it is mended at the free,
// so that the next block there is compared as any.
TEST(DropinRights, OfPagesThatWereEmptiedNoGuardIsCompared) {
  for (size_t const size : {size_t{20000}, size_t{100000}}) {
    heap_alone([size] {
      rf_origin const origin = {};
      rf_view const v = block_of(rf_cache_take(0), size);
      EXPECT_TRUE(rf_heap_emptied(v.payload, v.size));
      EXPECT_TRUE(rf_rights_allow_check(&v));
      for (const unsigned char *const guard : {v.payload - 1, v.payload + v.size}) {
        empty(first_page_of(guard));
        EXPECT_FALSE(rf_rights_allow_check(&v));
        EXPECT_EQ(rf_heap_sweep(&origin), 0U);
        EXPECT_TRUE(rf_rights_return(&v));
        EXPECT_TRUE(rf_check_intact(&v) && rf_check_front_holds(&v));
        EXPECT_TRUE(rf_heap_emptied(v.payload, v.size));
      }
    });
  }
}

TEST(DropinRights, DamageOnAPageThatWasNotEmptiedIsFound) {
  heap_alone([] {
    rf_view const v = block_of(rf_cache_take(0), 100000);
    EXPECT_TRUE(rf_heap_emptied(v.payload, v.size));
    memset(v.payload, 1, v.size);
    v.payload[v.size] = 0;
    EXPECT_TRUE(rf_rights_return(&v));
    EXPECT_FALSE(rf_check_intact(&v));
    v.payload[v.size] = RF_PATTERN_REDZONE;
    rf_heap_restricted(v.payload, v.size);
    empty(first_page_of(v.payload + v.size));
    EXPECT_TRUE(rf_rights_return(&v));
    EXPECT_FALSE(rf_check_intact(&v)) << "nothing was told of an emptied page";
  });
}

#ifdef RF_CAN_STEP

const rf_span *marked;
volatile sig_atomic_t steps;
volatile sig_atomic_t wrong;

// A check in another thread, which sees that something was taken, would take zeros for damage.
TEST(DropinRights, PagesThatMayBeEmptyAreKnownAsSuchAtOnce) {
  heap_alone([] {
    rf_view const v = block_of(rf_cache_take(0), 100000);
    marked = v.span;
    auto const look = [](int) {
      steps = steps + 1;
      wrong = wrong + (marked->restricted && !marked->emptied ? 1 : 0);
    };
    ASSERT_NE(signal(SIGTRAP, look), SIG_ERR);
    set_stepping(true);
    bool const any = rf_heap_emptied(v.payload, v.size);
    set_stepping(false);
    EXPECT_TRUE(any && marked->restricted && marked->emptied);
    EXPECT_GT(steps, 20);
    EXPECT_EQ(wrong, 0);
  });
}

#endif

// As in a child that finds pages of its parent's empty. Where none is, what was written since is told.
TEST(DropinRights, OfPagesThatWereEmptiedNoFillOfAFreedBlockIsCompared) {
  with_heap([](Heap &heap) {
    unsigned char *const p = heap.make(20000);
    unsigned char *const beside = heap.make(20000);
    rf_view const v = heap.view(p);
    ASSERT_EQ(heap.view(beside).span, v.span);
    EXPECT_TRUE(rf_heap_emptied(p, 20000));
    EXPECT_TRUE(heap.free(p));
    EXPECT_TRUE(heap.free(beside));
    empty(first_page_of(p + 10000));
    EXPECT_FALSE(rf_rights_allow_check(&v));
    beside[10] = 'x';
    EXPECT_EQ(rf_heap_sweep(&no_origin), 1U);
    std::vector<rf_finding> const found = heap.recorder.take();
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].block, reinterpret_cast<uintptr_t>(beside));
  });
}

rf_view aligned_block_of(rf_cache *cache, size_t size) {
  rf_origin const origin = {};
  rf_block_request request = {};
  request.size = size;
  request.align = kOnePage;
  rf_view v = {};
  EXPECT_TRUE(rf_view_at(reinterpret_cast<uintptr_t>(rf_cache_alloc(cache, &request, &origin)), &v));
  return v;
}

// The rows of a finding would have bytes of the block.
TEST(DropinRights, DamageBesidePagesThatAreClosedIsTold) {
  for (size_t const size : {2 * kOnePage, 20 * kOnePage}) {
    with_heap([size](Heap &heap) {
      rf_view const v = aligned_block_of(heap.cache, size);
      v.payload[-1] = 0;
      v.payload[size] = 0;
      ASSERT_EQ(mprotect(v.payload, size, PROT_NONE), 0);
      rf_heap_restricted(v.payload, size);
      EXPECT_EQ(rf_heap_sweep(&no_origin), 2U);
      std::vector<rf_finding> const found = heap.recorder.take();
      ASSERT_EQ(found.size(), 2U);
      for (const rf_finding &f : found) {
        EXPECT_EQ(f.block, reinterpret_cast<uintptr_t>(v.payload));
        EXPECT_TRUE(f.window_address + f.window_size <= f.block || f.window_address >= f.block + size);
      }
      EXPECT_EQ(rf_heap_sweep(&no_origin), 0U);
    });
  }
}

TEST(DropinRights, TheEndOfALargeBlockIsKnownWhileNothingIsTakenFromIt) {
  heap_alone([] {
    rf_cache *const cache = rf_cache_take(0);
    rf_view const large = block_of(cache, 100000);
    rf_view const small = block_of(cache, 100);
    uintptr_t const end = reinterpret_cast<uintptr_t>(large.payload) + large.size;
    EXPECT_EQ(rf_heap_large_end(large.payload), end);
    EXPECT_EQ(rf_heap_large_end(large.payload + large.size - 1), end);
    EXPECT_EQ(rf_heap_large_end(large.payload + large.size), 0U);
    EXPECT_EQ(rf_heap_large_end(large.payload - 1), 0U);
    EXPECT_EQ(rf_heap_large_end(small.payload), 0U);
    EXPECT_EQ(rf_heap_large_end(&end), 0U);
    EXPECT_FALSE(rf_heap_is_restricted(large.payload) || rf_heap_is_restricted(&end));
    rf_view const freed = block_of(cache, 100000);
    EXPECT_TRUE(rf_cache_free(cache, freed.payload, RF_FAMILY_MALLOC, SIZE_MAX, &no_origin));
    EXPECT_EQ(rf_heap_large_end(freed.payload), 0U) << "none lives there";
    rf_heap_restricted(large.payload, 1);
    EXPECT_TRUE(rf_heap_is_restricted(large.payload));
    EXPECT_EQ(rf_heap_large_end(large.payload), 0U);
  });
}

} // namespace
} // namespace ringfence_test
