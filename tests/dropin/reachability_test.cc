// Live blocks that a program can still reach (checkers/dropin/inspect/reachability.c): over the real heap, with roots
// and blocks on pages of their own that are this test's. Each test has a process of its own.
#include "tests/dropin/heap_alone.h"

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/heap/rights.h"
#include "checkers/dropin/inspect/kernel_roots.h"
#include "checkers/dropin/inspect/reachability.h"
#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/os/pages.h"
#include "checkers/dropin/runtime/own_cache.h"
#include "checkers/dropin/runtime/thread.h"
bool __wrap_rf_page_store_is_restricted(const rf_page_store *store, const void *address);
}
#undef _Static_assert

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

namespace {

using ringfence_test::heap_alone;

constexpr size_t kSparse = size_t{256} * 1024;

struct World {
  std::vector<uintptr_t> roots;
  std::vector<uintptr_t> of_kernel;
  std::vector<uintptr_t> rest;
  std::vector<rf_page_block> paged;
  std::vector<std::string> calls;
  const void *inherited = nullptr; // of the paged ones, as is the next
  const void *restricted = nullptr;
  bool can_read = true;
};

World world;
char the_store;

} // namespace

extern "C" {

rf_guarded_blocks_state rf_guarded_blocks;

void rf_guarded_blocks_figures(rf_page_figures *out) {
  *out = {};
  out->counters.blocks = world.paged.size();
}

bool rf_guarded_blocks_inherited(const rf_page_block *block) {
  return block->ptr == world.inherited;
}

void rf_page_store_each(rf_page_store *store, bool (*visit)(const rf_page_block *block, void *context), void *context) {
  EXPECT_NE(store, nullptr);
  (void)std::all_of(world.paged.begin(), world.paged.end(),
                    [&](const rf_page_block &block) { return visit(&block, context); });
}

bool __wrap_rf_page_store_is_restricted(const rf_page_store *store, const void *address) {
  EXPECT_NE(store, nullptr);
  return address == world.restricted;
}

bool rf_roots_read(rf_roots *roots) {
  roots->visit(world.roots.data(), world.roots.size(), roots->context);
  return world.can_read;
}

void rf_kernel_roots_read(rf_roots *roots) {
  world.calls.emplace_back("kernel");
  roots->visit(world.of_kernel.data(), world.of_kernel.size(), roots->context);
}

void rf_roots_read_rest(rf_roots *roots) {
  world.calls.emplace_back("rest");
  roots->visit(world.rest.data(), world.rest.size(), roots->context);
}

void rf_roots_copy_range(rf_roots *roots, uintptr_t start, uintptr_t end) {
  world.calls.push_back("copy " + std::to_string(end - start));
  roots->visit(reinterpret_cast<const uintptr_t *>(start), (end - start) / sizeof(uintptr_t), roots->context);
}

void rf_roots_read_range(rf_roots *roots, uintptr_t start, uintptr_t end) {
  world.calls.push_back("read " + std::to_string(end - start));
  roots->visit(reinterpret_cast<const uintptr_t *>(start), (end - start) / sizeof(uintptr_t), roots->context);
}
}

namespace {

uintptr_t number(const void *ptr) {
  return reinterpret_cast<uintptr_t>(ptr);
}

// With nothing in it.
uintptr_t *alloc(size_t size, rf_family family = RF_FAMILY_MALLOC) {
  rf_origin const origin = {};
  rf_cache *const cache = rf_enter();
  void *const p = rf_cache_malloc(cache, size, family, &origin);
  rf_leave(cache);
  EXPECT_NE(p, nullptr);
  memset(p, 0, size);
  return static_cast<uintptr_t *>(p);
}

// Blocks that the heap has nothing to do with; the first word of each is the test's.
uintptr_t *alloc_paged(size_t size, rf_family family = RF_FAMILY_MALLOC) {
  static uintptr_t memory[4096];
  static size_t used;
  uintptr_t *const p = memory + used;
  used += size / sizeof *p + 64;
  world.paged.push_back({p, size, family, 0, nullptr, nullptr});
  return p;
}

class Search {
public:
  Search()
      : blocks_(rf_reachability_count_blocks()), index_(rf_reachability_count_slots(), 0),
        first_(rf_reachability_count_spans(), 0) {}

  bool run() {
    table_.blocks = blocks_.data();
    table_.capacity = blocks_.size();
    table_.index = index_.data();
    table_.index_capacity = index_.size();
    table_.first = first_.data();
    table_.first_capacity = first_.size();
    table_.roots = &roots_;
    rf_guarded_blocks.store = world.paged.empty() ? nullptr : reinterpret_cast<rf_page_store *>(&the_store);
    rf_reachability_collect(&table_);
    EXPECT_EQ(table_.count, blocks_.size());
    return rf_reachability_mark(&table_);
  }

  // A letter for each block: R(eachable), L(eaked), I(ndirectly), ? where it is in no table.
  std::string states(std::initializer_list<const void *> blocks) const {
    std::string text;
    for (const void *const block : blocks) {
      auto const found = std::find_if(blocks_.begin(), blocks_.end(),
                                      [block](const rf_reachability_block &b) { return b.start == number(block); });
      text += found == blocks_.end() ? '?' : "URLI"[found->state];
    }
    return text;
  }

  std::vector<rf_reachability_block> blocks_;
  std::vector<uint32_t> index_;
  std::vector<uint32_t> first_;
  rf_reachability table_ = {};
  rf_roots roots_ = {};
};

std::string states_of(std::initializer_list<const void *> blocks) {
  Search search;
  world.calls.clear();
  EXPECT_TRUE(search.run());
  return search.states(blocks);
}

void with_heap(const std::function<void()> &test) {
  heap_alone([&test] {
    rf_thread_init();
    test();
  });
}

TEST(DropinReachability, AWordIsAPointerToTheBlockThatItLiesIn) {
  with_heap([] {
    uintptr_t *const small = alloc(100);
    uintptr_t *const large = alloc(600000);
    uintptr_t *const empty = alloc(0);
    uintptr_t *const paged = alloc_paged(256);
    uintptr_t *const other = alloc_paged(0);
    uintptr_t *const last = alloc_paged(40);
    struct {
      uintptr_t word;
      const char *states;
    } const cases[] = {
      {0, "LLLLLL"},
      {UINTPTR_MAX, "LLLLLL"},
      {number(small), "RLLLLL"},
      {number(small) + 99, "RLLLLL"},
      {number(small) + 100, "LLLLLL"},
      {number(small) - 1, "LLLLLL"},
      {number(large), "LRLLLL"},
      {number(large) + 599999, "LRLLLL"},
      {number(large) + 600000, "LLLLLL"},
      {number(large) - 1, "LLLLLL"},
      {number(empty), "LLRLLL"},
      {number(empty) + 1, "LLLLLL"},
      {number(paged), "LLLRLL"},
      {number(paged) + 255, "LLLRLL"},
      {number(paged) + 256, "LLLLLL"},
      {number(paged) - 1, "LLLLLL"},
      {number(other), "LLLLRL"},
      {number(other) + 1, "LLLLLL"},
      {number(last), "LLLLLR"},
      {number(last) + 39, "LLLLLR"},
      {number(last) + 40, "LLLLLL"},
#if UINTPTR_MAX > UINT32_MAX
      {number(small) | uintptr_t{0xAB} << 56, "RLLLLL"}, // its tag
      {number(small) | uintptr_t{1} << 48, "RLLLLL"},
      {number(small) ^ uintptr_t{1} << 47, "LLLLLL"},
#endif
    };
    for (auto const &c : cases) {
      world.roots = {c.word};
      EXPECT_EQ(states_of({small, large, empty, paged, other, last}), c.states) << std::hex << c.word;
    }
  });
}

// The number of elements is the word before them, and the block's last where there are none. Operators of the program's
// own have such a block from malloc.
TEST(DropinReachability, TheEndOfABlockIsAnArrayWithoutElements) {
  with_heap([] {
    constexpr size_t kWord = sizeof(uintptr_t);
    struct {
      size_t size;
      rf_family family;
      uintptr_t elements;
      const char *states;
    } const cases[] = {
        {kWord, RF_FAMILY_NEW_ARRAY, 0, "RR"},      {kWord, RF_FAMILY_NEW_ARRAY, 1, "LL"},
        {kWord, RF_FAMILY_MALLOC, 0, "RR"},         {kWord, RF_FAMILY_MALLOC, 1, "LL"},
        {4 * kWord, RF_FAMILY_NEW_ARRAY, 0, "RR"},  {4 * kWord, RF_FAMILY_NEW_ARRAY, 1, "LL"},
        {64, RF_FAMILY_NEW_ARRAY_ALIGNED, 0, "RR"}, {4 * kWord, RF_FAMILY_MALLOC, 0, "LL"},
        {4 * kWord, RF_FAMILY_NEW, 0, "LL"},        {3 * kWord, RF_FAMILY_NEW_ARRAY, 0, "LL"},
        {1, RF_FAMILY_NEW_ARRAY, 0, "LL"},
    };
    for (auto const &c : cases) {
      uintptr_t *const own = alloc(c.size, c.family);
      uintptr_t *const paged = alloc_paged(c.size, c.family);
      for (uintptr_t *const block : {own, paged}) {
        if (c.size >= kWord) {
          block[c.size / kWord - 1] = c.elements;
        }
      }
      world.roots = {number(own) + c.size, number(paged) + c.size};
      EXPECT_EQ(states_of({own, paged}), c.states) << c.size << " bytes of family " << c.family;
      world.roots = {number(own) + c.size + 1, number(paged) + c.size + 1};
      EXPECT_EQ(states_of({own, paged}), "LL") << c.size << " bytes of family " << c.family;
    }
  });
}

TEST(DropinReachability, ABlockIsAsItsKeepersAre) {
  with_heap([] {
    uintptr_t *b[8];
    for (uintptr_t *&each : b) {
      each = alloc(64);
    }
    b[0][7] = number(b[1]); // its last word
    b[1][0] = number(b[2]);
    b[3][0] = number(b[4]);
    b[4][0] = number(b[5]);
    b[6][0] = number(b[6]); // itself
    world.roots = {number(b[0])};
    EXPECT_EQ(states_of({b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]}), "RRRLIILL");
    b[5][0] = number(b[3]); // a ring, one of which is direct
    EXPECT_EQ(states_of({b[3], b[4], b[5]}), "LII");
    b[7][0] = number(b[4]); // kept from outside of the ring
    EXPECT_EQ(states_of({b[3], b[4], b[5], b[7]}), "IIIL");
    world.roots.push_back(number(b[5]));
    EXPECT_EQ(states_of({b[3], b[4], b[5], b[7]}), "RRRL");
  });
}

// Its own word does not keep it, and what it keeps is leaked by it, wherever that lies.
TEST(DropinReachability, ABlockThatPointsToItselfIsADirectLeak) {
  with_heap([] {
    uintptr_t *const below = alloc(64);
    uintptr_t *const keeper = alloc(64);
    uintptr_t *const above = alloc(64);
    keeper[0] = number(keeper);
    keeper[1] = number(below);
    keeper[2] = number(above);
    EXPECT_EQ(states_of({below, keeper, above}), "ILI");
  });
}

TEST(DropinReachability, BlocksOnPagesAndOfTheHeapKeepEachOther) {
  with_heap([] {
    uintptr_t *const heap = alloc(64);
    uintptr_t *const paged = alloc_paged(64);
    uintptr_t *const last = alloc(64);
    *paged = number(heap);
    *heap = number(last);
    EXPECT_EQ(states_of({heap, paged, last}), "ILI");
    world.roots = {number(paged)};
    EXPECT_EQ(states_of({heap, paged, last}), "RRR");
    *paged = 0;
    *heap = number(paged);
    EXPECT_EQ(states_of({heap, paged, last}), "LRL");
    world.roots = {number(heap)};
    EXPECT_EQ(states_of({heap, paged, last}), "RRL");
  });
}

TEST(DropinReachability, BlocksOfTheParentsAreReachable) {
  with_heap([] {
    uintptr_t *const older = alloc(64);
    uintptr_t *const older_paged = alloc_paged(64);
    rf_heap_generation++; // as the child of a fork
    rf_cache_set_number(rf_current_thread.cache, 1);
    uintptr_t *const kept = alloc(64);
    uintptr_t *const kept_too = alloc(64);
    uintptr_t *const lost = alloc(64);
    world.inherited = older_paged;
    older[3] = number(kept);
    *older_paged = number(kept_too);
    EXPECT_EQ(states_of({older, older_paged, kept, kept_too, lost}), "RRRRL");
  });
}

TEST(DropinReachability, TheKernelIsAskedForTheRest) {
  with_heap([] {
    uintptr_t *const first = alloc(64);
    uintptr_t *const second = alloc(64);
    uintptr_t *const third = alloc(64);
    uintptr_t *const fourth = alloc(64);
    world.roots = {number(first), number(second), number(third), number(fourth)};
    EXPECT_EQ(states_of({first, second, third, fourth}), "RRRR");
    EXPECT_EQ(world.calls, std::vector<std::string>()); // nothing is left to be asked for
    world.roots.clear();
    world.of_kernel = {number(first)};
    world.rest = {number(third)};
    *first = number(second);
    *third = number(fourth);
    EXPECT_EQ(states_of({first, second, third, fourth}), "RRRR") << "and what those keep";
    EXPECT_EQ(world.calls, (std::vector<std::string>{"kernel", "rest"}));
    world.can_read = false;
    Search search;
    EXPECT_FALSE(search.run());
  });
}

// Closed pages of the program's may be in blocks of a page and more, and most pages of big ones were never touched.
TEST(DropinReachability, LargeBlocksAreReadAsRootsAre) {
  with_heap([] {
    auto const page = rf_pages_round(1);
    struct {
      size_t size;
      const char *how;
    } const cases[] = {{page - 1, ""}, {page, "copy "}, {kSparse - 1, "copy "}, {kSparse, "read "}};
    for (auto const &c : cases) {
      uintptr_t *const keeper = alloc(c.size);
      uintptr_t *const kept = alloc(64);
      keeper[c.size / sizeof *keeper - 1] = number(kept);
      world.roots.insert(world.roots.end(), {number(keeper)});
      EXPECT_EQ(states_of({keeper, kept}), "RR") << c.size;
      std::string const call = c.how + std::to_string(c.size);
      EXPECT_EQ(std::count(world.calls.begin(), world.calls.end(), call), *c.how == '\0' ? 0 : 1) << call;
    }
  });
}

// As malloc's does that maps each block, where the program asks it to.
TEST(DropinReachability, SmallBlocksOnPagesThatMayBeClosedAreReadAsLargeOnes) {
  with_heap([] {
    uintptr_t *const keepers[] = {alloc(640), alloc_paged(640)};
    rf_heap_restricted(keepers[0], 1);
    world.restricted = keepers[1];
    for (uintptr_t *const keeper : keepers) {
      uintptr_t *const kept = alloc(64);
      keeper[1] = number(kept);
      world.roots = {number(keeper)};
      EXPECT_EQ(states_of({keeper, kept}), "RR");
      EXPECT_NE(std::count(world.calls.begin(), world.calls.end(), "copy 640"), 0);
    }
  });
}

// A number of elements that the program has closed is not read: it may be zero.
TEST(DropinReachability, TheEndOfABlockThatMayBeClosedIsAnArrayWithoutElements) {
  with_heap([] {
    uintptr_t *const counts[] = {alloc(sizeof(uintptr_t)), alloc_paged(sizeof(uintptr_t))};
    for (uintptr_t *const count : counts) {
      *count = 5;
      world.roots = {number(count + 1)};
      EXPECT_EQ(states_of({count}), "L");
      rf_heap_restricted(count, 1);
      world.restricted = count;
      EXPECT_EQ(states_of({count}), "R");
    }
  });
}

TEST(DropinReachability, WithoutRoomTheRestIsLeftOut) {
  with_heap([] {
    (void)alloc(64);
    (void)alloc(640);
    (void)alloc_paged(64);
    for (size_t room = 0; room <= 3; room++) {
      Search search;
      ASSERT_EQ(search.blocks_.size(), 3U);
      search.blocks_.resize(room);
      EXPECT_TRUE(search.run());
      EXPECT_EQ(search.table_.first_paged, std::min<size_t>(room, 2));
    }
    Search whole;
    EXPECT_TRUE(whole.run());
    size_t last = whole.index_.size() - 1;
    while (whole.index_[last] == 0) {
      last--;
    }
    Search search; // the place of that block is the first that is not there
    search.table_.blocks = search.blocks_.data();
    search.table_.capacity = search.blocks_.size();
    search.table_.index = search.index_.data();
    search.table_.index_capacity = last;
    search.table_.first = search.first_.data();
    search.table_.first_capacity = search.first_.size();
    rf_reachability_collect(&search.table_);
    EXPECT_EQ(search.index_[last], 0U);
    Search numberless; // a span that was made since: none of its blocks is known
    numberless.table_.blocks = numberless.blocks_.data();
    numberless.table_.capacity = numberless.blocks_.size();
    numberless.table_.index = numberless.index_.data();
    numberless.table_.index_capacity = numberless.index_.size();
    rf_reachability_collect(&numberless.table_);
    EXPECT_EQ(numberless.table_.first_paged, 0U);
  });
}

} // namespace
