// The memory of large blocks of the drop-in's heap (checkers/dropin/heap/large.c) at its edges: when it serves again,
// goes back to the system, grows and shrinks.
#include "tests/checkers/recorder.h"
#include "tests/dropin/address_space.h"
#include "tests/dropin/heap_alone.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <utility>

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/heap/check.h"
#include "checkers/dropin/heap/large.h"
#include "checkers/dropin/os/pages.h"
}
#undef _Static_assert

namespace ringfence_test {
namespace {

uintptr_t unmapped;
bool was_known; // to the page map, when it was unmapped

std::function<void()> before_take; // of what another thread does then, once

} // namespace
} // namespace ringfence_test

// The linker puts these in front of the heap's.
extern "C" {
void __real_rf_pages_unmap(void *start, size_t bytes);
void __wrap_rf_pages_unmap(void *start, size_t bytes);

void __wrap_rf_pages_unmap(void *start, size_t bytes) {
  ringfence_test::unmapped = reinterpret_cast<uintptr_t>(start);
  ringfence_test::was_known = rf_span_of(ringfence_test::unmapped) != nullptr;
  __real_rf_pages_unmap(start, bytes);
}

rf_span *__real_rf_large_take(unsigned number, const rf_block_request *request, const rf_origin *origin, bool *fresh);
rf_span *__wrap_rf_large_take(unsigned number, const rf_block_request *request, const rf_origin *origin, bool *fresh);

rf_span *__wrap_rf_large_take(unsigned number, const rf_block_request *request, const rf_origin *origin, bool *fresh) {
  std::function<void()> const call = std::move(ringfence_test::before_take);
  ringfence_test::before_take = nullptr;
  if (call) {
    call();
  }
  return __real_rf_large_take(number, request, origin, fresh);
}
}

namespace ringfence_test {
namespace {

rf_origin const no_origin = {};
constexpr size_t kBeside = RF_SPAN_FRONT + RF_TAIL_LEAST; // bytes of a span beside the block

struct Block {
  unsigned char *p = nullptr;
  rf_span *span = nullptr;
};

Block make(rf_cache *cache, size_t size, size_t align = RF_ALIGN_DEFAULT) {
  rf_block_request const request = {size, align, RF_FAMILY_MALLOC, false, false, 0};
  auto *const p = static_cast<unsigned char *>(rf_cache_alloc(cache, &request, &no_origin));
  return {p, rf_span_of(reinterpret_cast<uintptr_t>(p))};
}

void free_block(rf_cache *cache, const Block &block) {
  EXPECT_TRUE(rf_cache_free(cache, block.p, RF_FAMILY_MALLOC, SIZE_MAX, &no_origin));
}

bool is_mapped(uintptr_t page) {
  unsigned char core = 0;
  int const result = mincore(reinterpret_cast<void *>(page), 1, &core); // NOLINT(performance-no-int-to-ptr)
  EXPECT_TRUE(result == 0 || errno == ENOMEM);
  return result == 0;
}

TEST(DropinLargeMemory, ServesAgainAfterAMebibyteToTheByte) {
  heap_alone([] {
    rf_cache *const cache = rf_cache_take(0);
    Block const first = make(cache, kMiB / 2 - kBeside);
    Block const second = make(cache, kMiB / 2 - kBeside);
    ASSERT_EQ(first.span->bytes, kMiB / 2);
    free_block(cache, first);
    free_block(cache, second);
    EXPECT_EQ(make(cache, kMiB / 2 - kBeside).p, first.p);
  });
}

// Another heap's mapping may come to lie there as soon as it is unmapped, and enter itself.
TEST(DropinLargeMemory, GoesBackToTheSystemWhenThePageMapHasForgottenIt) {
  heap_alone([] {
    rf_cache *const cache = rf_cache_take(0);
    Block const block = make(cache, 33 * kMiB);
    uintptr_t const start = rf_span_start(block.span);
    EXPECT_TRUE(is_mapped(start));
    free_block(cache, block);
    EXPECT_EQ(unmapped, start);
    EXPECT_FALSE(was_known);
    EXPECT_FALSE(is_mapped(start));
    EXPECT_EQ(rf_span_of(start), nullptr);
  });
}

// Its thread may have a lock, and cannot take one twice for sure.
TEST(DropinLargeMemory, ThatAHandlerFreesStaysUntilLater) {
  for (size_t const size : {2 * kMiB, 33 * kMiB}) {
    heap_alone([size] {
      rf_heap_options_now.quarantine = 0;
      rf_cache *const cache = rf_cache_take(0);
      Block const block = make(cache, size);
      uintptr_t const start = rf_span_start(block.span);
      ASSERT_TRUE(rf_heap_lock(1));
      free_block(cache, block);
      EXPECT_TRUE(is_mapped(start));
      EXPECT_EQ(rf_large_trim(), 0U);
      rf_heap_unlock(1);
      EXPECT_GE(rf_large_trim(), size);
      EXPECT_FALSE(is_mapped(start));
    });
  }
}

TEST(DropinLargeMemory, OfWhichTheSystemHasNoneLeavesItsDescriptionToTheNext) {
  heap_alone([] {
    rf_cache *const cache = rf_cache_take(0);
    ASSERT_EQ(rf_heaps[0].meta.recycled[RF_CLASSES], nullptr);
    leave_space(64 * kMiB); // 32 bits have room for half of all addresses
    EXPECT_EQ(make(cache, RF_SIZE_LIMIT - kMiB).p, nullptr);
    EXPECT_NE(rf_heaps[0].meta.recycled[RF_CLASSES], nullptr);
  });
}

TEST(DropinLargeMemory, ServesAlignedRequestsWhereItIsAligned) {
  heap_alone([] {
    constexpr size_t kAlign = 2 * RF_UNIT;
    rf_cache *const cache = rf_cache_take(0);
    Block odd;
    for (int i = 0; i < 64 && odd.p == nullptr; i++) {
      Block const block = make(cache, 2 * kMiB + RF_UNIT - kBeside);
      odd = rf_span_start(block.span) % kAlign != 0 ? block : odd;
    }
    ASSERT_NE(odd.p, nullptr);
    free_block(cache, odd);
    Block const aligned = make(cache, 2 * kMiB - kAlign, kAlign);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(aligned.p) % kAlign, 0U);
    EXPECT_NE(aligned.span, odd.span);
  });
}

// The fill of what is new ends with it.
TEST(DropinLargeMemory, ThatGrowsByAFewBytesAtItsEndLeavesTheNextBlock) {
  heap_alone([] {
    rf_cache *const cache = rf_cache_take(0);
    constexpr size_t kSize = 2 * RF_UNIT - kBeside - 20;
    Block const block = make(cache, kSize);
    Block const next = make(cache, 100000);
    ASSERT_EQ(rf_span_start(next.span), rf_span_start(block.span) + block.span->bytes);
    memset(next.p, 'x', 100000);
    ASSERT_TRUE(rf_large_resize(block.span, kSize + 20));
    rf_view const v = rf_view_of(next.span, 0);
    EXPECT_TRUE(rf_check_front_holds(&v));
    EXPECT_EQ(next.p[0], 'x');
    EXPECT_EQ(block.p[kSize], RF_PATTERN_NEW);
    EXPECT_EQ(block.p[kSize + 19], RF_PATTERN_NEW);
    EXPECT_EQ(block.p[kSize + 20], RF_PATTERN_REDZONE);
  });
}

TEST(DropinLargeMemory, OfAMappingIsTrimmedToItsHalf) {
  heap_alone([] {
    rf_cache *const cache = rf_cache_take(0);
    Block const block = make(cache, 4 * kMiB - kBeside);
    ASSERT_TRUE(block.span->mapped);
    ASSERT_EQ(block.span->bytes, 4 * kMiB);
    ASSERT_TRUE(rf_large_resize(block.span, 2 * kMiB - kBeside + 1));
    EXPECT_EQ(block.span->bytes, 4 * kMiB);
    ASSERT_TRUE(rf_large_resize(block.span, 2 * kMiB - kBeside));
    EXPECT_EQ(block.span->bytes, 2 * kMiB);
    EXPECT_EQ(unmapped, rf_span_start(block.span) + 2 * kMiB);
    EXPECT_FALSE(was_known) << "another heap's mapping may come to lie there";
    EXPECT_FALSE(is_mapped(rf_span_start(block.span) + 2 * kMiB));
  });
}

// Another thread frees the block that is to move, and its memory is what it would move to.
TEST(DropinLargeMemory, OfABlockThatIsFreedWhileItMovesIsFreedOnce) {
  heap_alone([] {
    ringfence::Recorder recorder;
    rf_heap_options_now.reporter = recorder.reporter();
    rf_heap_options_now.quarantine = 0;
    rf_heap_options_now.move_below = SIZE_MAX;
    rf_cache *const cache = rf_cache_take(0);
    rf_cache *const other = rf_cache_take(0);
    Block const block = make(cache, 100000);
    before_take = [&] { free_block(other, block); };
    EXPECT_EQ(rf_cache_realloc(cache, block.p, 90000, &no_origin), nullptr);
    EXPECT_EQ(recorder.take().size(), 1U);
    EXPECT_EQ(rf_cache_used(cache) + rf_cache_used(other), 0U);
    EXPECT_EQ(rf_cache_blocks(cache) + rf_cache_blocks(other), 0U);
    EXPECT_EQ(make(cache, 90000).p, block.p);
  });
}

// A block that shrinks by more than half moves to a slot that has room for it.
TEST(DropinLargeMemory, IsLeftByABlockThatShrinksToASlot) {
  heap_alone([] {
    constexpr size_t kLargestSmall = RF_SLOT_MOST - RF_TAIL_LEAST;
    rf_heap_options_now.move_below = 0;
    rf_cache *const cache = rf_cache_take(0);
    for (size_t const size : {kLargestSmall + 1, kLargestSmall}) {
      Block const block = make(cache, 2 * (kLargestSmall + 1));
      void *const p = rf_cache_realloc(cache, block.p, size, &no_origin);
      EXPECT_EQ(rf_span_of(reinterpret_cast<uintptr_t>(p))->large, size > kLargestSmall);
    }
  });
}

} // namespace
} // namespace ringfence_test
