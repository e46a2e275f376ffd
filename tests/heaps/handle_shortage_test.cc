// A handle heap that is short of RAM: whom it asks, how often, and for how much.
#include "tests/heaps/handle_fixture.h"

#include <cstring>
#include <string>
#include <vector>

namespace {

using HandleShortage = ringfence::testing::Handle;

struct Shortage {
  rf_handles *heap;
  std::vector<rf_handle> spare;
  std::vector<size_t> needed;
  rf_handle nested = 1;
};

bool give(void *context, unsigned attempt, size_t needed) {
  auto *const s = static_cast<Shortage *>(context);
  EXPECT_EQ(attempt, s->needed.size() + 1);
  s->needed.push_back(needed);
  rf_fault where;
  EXPECT_EQ(s->heap->ops->check(s->heap, &where), RF_OK);
  s->nested = rf_handle_alloc(s->heap, 10000); // is not asked about
  if (s->spare.empty()) {
    return false;
  }
  rf_handle_free(s->heap, s->spare.back());
  s->spare.pop_back();
  return true;
}

TEST_F(HandleShortage, TheCallbackIsAskedUntilThereIsEnough) {
  make_apart(100);
  fill({40, 40, 20});
  Shortage shortage = {h, {3, 2}, {}};
  rf_handle_heap_on_short(&heap, give, &shortage);
  rf_handle const a = rf_handle_alloc(h, 60);
  EXPECT_NE(a, RF_HANDLE_NULL);
  EXPECT_EQ(shortage.needed, (std::vector<size_t>{60, 60}));
  EXPECT_EQ(shortage.nested, RF_HANDLE_NULL);
  shortage.needed.clear();
  EXPECT_EQ(rf_handle_alloc(h, 50), RF_HANDLE_NULL);
  EXPECT_EQ(shortage.needed.size(), 1U) << "its refusal ends it";
}

// A request of the callback's that would fit the heap, were it empty.
TEST_F(HandleShortage, TheCallbackIsNotAskedByItself) {
  make_apart(100);
  fill({100});
  static unsigned calls;
  calls = 0;
  rf_handle_heap_on_short(
      &heap,
      [](void *context, unsigned, size_t) {
        calls++;
        EXPECT_EQ(rf_handle_alloc(static_cast<rf_handles *>(context), 50), RF_HANDLE_NULL);
        return false;
      },
      h);
  EXPECT_EQ(rf_handle_alloc(h, 60), RF_HANDLE_NULL);
  EXPECT_EQ(calls, 1U);
}

TEST_F(HandleShortage, TheCallbackIsNotAskedForMoreThanThereIs) {
  make_apart(100);
  Shortage shortage = {h, {}, {}};
  rf_handle_heap_on_short(&heap, give, &shortage);
  EXPECT_EQ(rf_handle_alloc(h, heap.size + 1), RF_HANDLE_NULL);
  EXPECT_TRUE(shortage.needed.empty());
  EXPECT_NE(rf_handle_alloc(h, heap.size), RF_HANDLE_NULL);
}

TEST_F(HandleShortage, TheCallbackIsAskedForAReallocAndMayFreeTheBlockItself) {
  make_apart(100);
  fill({40, 40, 20});
  Shortage shortage = {h, {3}, {}};
  rf_handle_heap_on_short(&heap, give, &shortage);
  EXPECT_EQ(rf_handle_realloc(h, 1, 60), RF_OK);
  shortage = {h, {1}, {}};
  EXPECT_EQ(rf_handle_realloc(h, 1, 100), RF_ERR_NOT_ALLOCATED);
  rf_handle_heap_on_short(&heap, nullptr, nullptr);
  EXPECT_EQ(rf_handle_realloc(h, 2, 200), RF_ERR_NO_MEMORY);
}

// New bytes are counted from the size that the callback gave it.
TEST_F(HandleShortage, TheCallbackMayResizeTheBlockItself) {
  for (size_t const meanwhile : {8, 40}) {
    make_apart(100);
    fill({20, 40, 40});
    std::memset(at(1), 'a', 20);
    struct Resize {
      rf_handles *heap;
      size_t size;
    } resize = {h, meanwhile};
    rf_handle_heap_on_short(
        &heap,
        [](void *context, unsigned, size_t) {
          auto const *const r = static_cast<Resize *>(context);
          EXPECT_EQ(rf_handle_free(r->heap, 2), RF_OK);
          EXPECT_EQ(rf_handle_realloc(r->heap, 1, r->size), RF_OK);
          if (r->size > 20) {
            std::memset(rf_handle_address(r->heap, 1), 'b', r->size);
          }
          return true;
        },
        &resize);
    ASSERT_EQ(rf_handle_realloc(h, 1, 60), RF_OK);
    std::string const kept(meanwhile, meanwhile > 20 ? 'b' : 'a');
    EXPECT_EQ(std::string(reinterpret_cast<char *>(at(1)), 60), kept + std::string(60 - meanwhile, 0));
  }
}

TEST_F(HandleShortage, TheCallbackIsAskedSoManyTimes) {
  make_apart(100);
  fill({100});
  unsigned asked = 0;
  rf_handle_heap_on_short(
      &heap,
      [](void *n, unsigned, size_t) {
        ++*static_cast<unsigned *>(n);
        return true;
      },
      &asked);
  EXPECT_EQ(rf_handle_alloc(h, 10), RF_HANDLE_NULL);
  EXPECT_EQ(asked, 3U);
  EXPECT_EQ(rf_handle_alloc_at(h, 10, RF_HANDLE_TRY, nullptr), RF_HANDLE_NULL);
  EXPECT_EQ(asked, 3U);
}

// More memory than there is would be served by a record that the callback has overwritten.
TEST_F(HandleShortage, ACallbackThatOverwritesTheRecordIsNotObeyed) {
  make_apart(100);
  fill({100});
  rf_handle_heap_on_short(
      &heap,
      [](void *record, unsigned, size_t) {
        static_cast<rf_handle_heap *>(record)->size += 16;
        return true;
      },
      &heap);
  EXPECT_EQ(rf_handle_alloc(h, 10), RF_HANDLE_NULL);
  heap.size = 100;
  EXPECT_EQ(usage().used_blocks, 1U);
}

} // namespace
