// Blocks on pages of their own, from the first on (checkers/dropin/malloc/guarded_blocks.c).
#include "tests/dropin/guarded_blocks_world.h"

#include "checkers/os/forbidden_calls.h"

#include <algorithm>
#include <cstring>

namespace {

using namespace ringfence_test;

// ---- The beginning ----

TEST(GuardedBlocks, ModesWithoutPagesOpenNoStore) {
  for (rf_mode const mode : {RF_MODE_OFF, RF_MODE_ASAN, RF_MODE_MTE}) {
    begun(mode, [] { EXPECT_EQ(world.opened, 0U); });
  }
  for (bool const watches : {true, false}) {
    in_process(RF_MODE_GUARD, [watches](rf_options &o) {
      o.watch = watches ? 16 : 0;
      o.signals = !watches; // no handler, nobody who would tell
      begin();
      EXPECT_EQ(world.opened, 0U);
      EXPECT_EQ(world.sites_kept, 1U);
      EXPECT_EQ(rf_guarded_blocks.rate, 0U);
      EXPECT_EQ(rf_guarded_blocks.store, nullptr);
      EXPECT_EQ(depot.added, nullptr);
    });
  }
}

TEST(GuardedBlocks, WithoutMemoryForTheStoreThereIsNone) {
  for (rf_mode const mode : {RF_MODE_SAMPLE, RF_MODE_GUARD, RF_MODE_PAGE}) {
    in_process(mode, [](rf_options &o) {
      world.has_store = false;
      o.watch_sites = "folder";
      begin();
      EXPECT_EQ(world.opened, 1U);
      EXPECT_EQ(rf_guarded_blocks.rate, 0U);
      EXPECT_EQ(world.reserved, 0U);
      EXPECT_EQ(world.folder, "");
      EXPECT_EQ(depot.added, nullptr);
      EXPECT_FALSE(rf_guarded_blocks_own(bytes));
      EXPECT_EQ(rf_guarded_blocks_sweep(1, nullptr), 0U);
      rf_page_figures figures;
      memset(&figures, 1, sizeof figures);
      rf_guarded_blocks_figures(&figures);
      rf_page_figures const none = {};
      EXPECT_EQ(memcmp(&figures, &none, sizeof none), 0);
      figures.declined = 5;
      rf_counters heap = {};
      heap.allocations = 7;
      EXPECT_EQ(rf_guarded_blocks_unpaged(&figures, &heap), 0U);
      rf_guarded_blocks_handlers_changed();
      EXPECT_EQ(world.watches, 0U);
      int32_t left = 0;
      EXPECT_FALSE(rf_guarded_blocks_draw(&left));
      EXPECT_EQ(left, INT32_MAX);
    });
  }
}

TEST(GuardedBlocks, SamplesStore) {
  in_process(RF_MODE_SAMPLE, [](rf_options &) {
    rf_process.library = true;
    rf_guarded_blocks_left = 5;
    begin();
    rf_page_store_options const &s = world.options;
    EXPECT_STREQ(s.allocator, "malloc");
    EXPECT_STREQ(s.mode, "sample");
    EXPECT_EQ(s.reporter, reinterpret_cast<rf_reporter *>(&the_reporter));
    EXPECT_EQ(rf_guarded_blocks.reporter, s.reporter);
    EXPECT_EQ(s.depot, &depot);
    EXPECT_EQ(s.stack_depth, 16U);
    EXPECT_EQ(s.side, RF_PAGE_BOTH);
    EXPECT_EQ(s.quarantine, SIZE_MAX);
    EXPECT_EQ(s.fill_alloc, 0U);
    EXPECT_EQ(s.note, nullptr);
    EXPECT_EQ(s.slots, 64U);
    EXPECT_EQ(s.largest, RF_SAMPLE_LARGEST_DEFAULT);
    EXPECT_EQ(s.memory, size_t{1} << 24);
    EXPECT_EQ(s.seed, 0U);
    EXPECT_TRUE(s.watches_seldom);
    EXPECT_FALSE(s.moves_pages);
    EXPECT_TRUE(s.shows_pages);
    EXPECT_TRUE(s.keeps_pages);
    EXPECT_STREQ(s.fallback, "further ones are not sampled");
    EXPECT_EQ(world.reserved, 1U);
    EXPECT_EQ(world.sites_kept, 1U);
    EXPECT_EQ(rf_guarded_blocks_left, 0);
  });
}

TEST(GuardedBlocks, GuardsStore) {
  in_process(RF_MODE_GUARD, [](rf_options &o) {
    rf_process.library = true;
    o.watch_sites = "folder";
    begin();
    rf_page_store_options const &s = world.options;
    EXPECT_STREQ(s.mode, "guard");
    EXPECT_EQ(s.stack_depth, 0U);
    EXPECT_EQ(s.side, RF_PAGE_RIGHT); // where most stray reads are
    EXPECT_EQ(s.quarantine, SIZE_MAX);
    EXPECT_EQ(s.fill_alloc, 4096U);
    EXPECT_STREQ(s.note, "the block was one of the few that guard watches; to watch it again: "
                         "RINGFENCE_OPTIONS=watch=16:sample_seed=4661");
    EXPECT_EQ(s.slots, 64U);
    EXPECT_EQ(s.largest, RF_SAMPLE_LARGEST_DEFAULT);
    EXPECT_EQ(s.seed, 0U);
    EXPECT_FALSE(s.moves_pages);
    EXPECT_TRUE(s.shows_pages);
    EXPECT_FALSE(s.keeps_pages);
    EXPECT_STREQ(s.fallback, "reads of further ones are not checked");
    EXPECT_EQ(world.reserved, 0U);
    EXPECT_EQ(world.folder, "folder");
    EXPECT_EQ(rf_guarded_blocks.rate, 16U);
  });
  in_process(RF_MODE_GUARD, [](rf_options &o) {
    o.align = RF_PAGE_LEFT;
    o.watch = 20;
    o.sample_rate = 30;
    o.sample_seed = 40;
    begin();
    EXPECT_EQ(world.options.side, RF_PAGE_LEFT);
    EXPECT_STREQ(world.options.note, "the block was one of the few that guard watches; to watch it again: "
                                     "RINGFENCE_OPTIONS=watch=20:sample_seed=40");
    EXPECT_EQ(rf_guarded_blocks.rate, 20U);
    EXPECT_EQ(world.folder, "");
  });
}

TEST(GuardedBlocks, PagesAreClosedAsAskedFor) {
  for (rf_page_closing const closing : {RF_PAGE_CLOSING_MARKERS, RF_PAGE_CLOSING_RIGHTS}) {
    in_process(RF_MODE_PAGE, [closing](rf_options &o) {
      rf_process.library = true;
      o.page_close = closing;
      begin();
      EXPECT_FALSE(world.options.moves_pages);
      EXPECT_EQ(world.options.shows_pages, closing == RF_PAGE_CLOSING_RIGHTS);
      EXPECT_EQ(world.options.read_all == nullptr, closing == RF_PAGE_CLOSING_RIGHTS);
    });
  }
}

TEST(GuardedBlocks, PagesStore) {
  for (bool const library : {true, false}) {
    in_process(RF_MODE_PAGE, [library](rf_options &o) {
      rf_process.library = library;
      o.watch_sites = "folder";
      begin();
      rf_page_store_options const &s = world.options;
      EXPECT_STREQ(s.mode, "page");
      EXPECT_EQ(s.stack_depth, 0U);
      EXPECT_EQ(s.side, RF_PAGE_BOTH);
      EXPECT_EQ(s.quarantine, size_t{1} << 20);
      EXPECT_EQ(s.fill_alloc, 4096U);
      EXPECT_EQ(s.note, nullptr);
      EXPECT_EQ(s.slots, 0U);
      EXPECT_EQ(s.largest, 0U);
      EXPECT_EQ(s.memory, size_t{1} << 24);
      EXPECT_EQ(s.seed, 77U);
      EXPECT_EQ(s.moves_pages, library);
      EXPECT_FALSE(s.shows_pages);
      EXPECT_NE(s.read_all, nullptr);
      EXPECT_FALSE(s.keeps_pages);
      EXPECT_STREQ(s.fallback, "further ones are checked as in mode guard");
      EXPECT_EQ(world.reserved, 0U);
      EXPECT_EQ(world.folder, "");
      EXPECT_EQ(world.percent, 100U);
      EXPECT_EQ(rf_guarded_blocks.rate, 1U);
    });
  }
}

TEST(GuardedBlocks, FreedBlocksTakeASixteenthOfALimitedAddressSpace) {
  struct {
    rlim_t space;
    size_t closed;
  } const cases[] = {{RLIM_INFINITY, 5000}, {80000, 5000}, {79999, 4999}, {1600, 100}};
  for (auto const &each : cases) {
    in_process(RF_MODE_PAGE, [each](rf_options &o) {
      world.space = each.space;
      o.closed = 5000;
      begin();
      EXPECT_EQ(world.options.quarantine, each.closed);
    });
  }
}

TEST(GuardedBlocks, TheSpaceOfSamplesIsAShareOfALimitedAddressSpace) {
  for (rf_mode const mode : {RF_MODE_SAMPLE, RF_MODE_GUARD}) {
    in_process(mode, [](rf_options &o) {
      world.space = 32 << 20;
      o.watch = 2;
      begin();
      EXPECT_EQ(world.options.space, size_t{2} << 20);
    });
  }
}

// Pages are closed by their rights, and kept, where they are few.
TEST(GuardedBlocks, ManySlotsCloseTheirPagesAsModePageDoes) {
  for (unsigned const slots : {RF_SAMPLE_KEEPS, RF_SAMPLE_KEEPS + 1}) {
    in_process(RF_MODE_SAMPLE, [slots](rf_options &o) {
      o.sample_slots = slots;
      begin();
      EXPECT_EQ(world.options.shows_pages, slots == RF_SAMPLE_KEEPS);
      EXPECT_EQ(world.options.keeps_pages, slots == RF_SAMPLE_KEEPS);
    });
  }
}

TEST(GuardedBlocks, StacksOfSamplesHaveADepth) {
  for (unsigned const depth : {15U, 16U, 40U}) {
    in_process(RF_MODE_SAMPLE, [depth](rf_options &o) {
      o.stack_depth = depth;
      begin();
      EXPECT_EQ(world.options.stack_depth, std::max(depth, 16U));
    });
    in_process(RF_MODE_GUARD, [depth](rf_options &o) {
      o.stack_depth = depth;
      begin();
      EXPECT_EQ(world.options.stack_depth, depth);
    });
  }
}

TEST(GuardedBlocks, AlignmentIsGivenUpWhereItWasAskedFor) {
  for (rf_page_side const side : {RF_PAGE_LEFT, RF_PAGE_RIGHT, RF_PAGE_BOTH, RF_PAGE_EXACT, RF_PAGE_UNALIGNED}) {
    in_process(RF_MODE_PAGE, [side](rf_options &o) {
      o.align = side;
      begin();
      bool const keeps = side == RF_PAGE_EXACT || side == RF_PAGE_UNALIGNED;
      EXPECT_EQ(rf_guarded_blocks.keeps_alignment, keeps);
      EXPECT_EQ(rf_guarded_blocks_align(1), keeps ? 2 * RF_ALIGN_DEFAULT : RF_ALIGN_DEFAULT);
      EXPECT_EQ(rf_guarded_blocks_align(64), 64U);
    });
  }
}

// ---- Requests ----

TEST(GuardedBlocks, ARequestIsTheStores) {
  begun(RF_MODE_PAGE, [] {
    rf_page_request request = {};
    request.size = 100;
    world.next = bytes;
    EXPECT_EQ(rf_guarded_blocks_alloc(&request, &kOrigin), bytes);
    EXPECT_EQ(world.request.size, 100U);
    EXPECT_EQ(world.origin, &kOrigin);
    EXPECT_EQ(world.left, std::vector<uint64_t>({1}));
    EXPECT_EQ(world.take_calls(), std::vector<std::string>({"alloc", "leave"}));
    EXPECT_EQ(world.ids, 0U);
    world.next = nullptr;
    EXPECT_EQ(rf_guarded_blocks_alloc(&request, &kOrigin), nullptr);
    EXPECT_EQ(world.left, std::vector<uint64_t>({1, 2}));
    EXPECT_TRUE(rf_guarded_blocks_own(bytes));
    EXPECT_FALSE(rf_guarded_blocks_own(bytes + sizeof bytes));
  });
}

TEST(GuardedBlocks, AThreadIsKnownWhereItsNumberCannotBeAskedFor) {
  begun(RF_MODE_PAGE, [] {
    rf_forbidden_calls = RF_CALL_GETTID;
    rf_page_request const request = {};
    (void)rf_guarded_blocks_alloc(&request, &kOrigin);
    EXPECT_EQ(world.ids, 1U);
    rf_guarded_blocks_free(bytes, RF_FAMILY_MALLOC, SIZE_MAX, &kOrigin);
    EXPECT_EQ(world.ids, 2U);
  });
}

// A thread without a cache gets one, by which the search for leaks knows it.
TEST(GuardedBlocks, ThreadsOfCheckedProcessesGetACache) {
  enum Hindrance { kNone, kUnchecked, kHasOne, kBinding, kEnded, kNoMemory };
  for (Hindrance const hindrance : {kNone, kUnchecked, kHasOne, kBinding, kEnded, kNoMemory}) {
    begun(RF_MODE_PAGE, [hindrance] {
      static rf_cache caches[2];
      world.cache = hindrance == kNoMemory ? nullptr : &caches[0];
      rf_process.checked = hindrance != kUnchecked;
      rf_current_thread.cache = hindrance == kHasOne ? &caches[1] : nullptr;
      rf_current_thread.binding = hindrance == kBinding;
      rf_current_thread.ended = hindrance == kEnded;
      rf_page_request const request = {};
      (void)rf_guarded_blocks_alloc(&request, &kOrigin);
      EXPECT_EQ(world.enters, hindrance == kNone || hindrance == kNoMemory ? 1U : 0U) << hindrance;
      EXPECT_EQ(world.leaves.size(), hindrance == kNone ? 1U : 0U) << hindrance;
      if (hindrance == kNone) {
        EXPECT_EQ(world.leaves[0], &caches[0]);
      }
    });
  }
}

TEST(GuardedBlocks, AFreedBlockIsNoStackOfSignalHandlers) {
  begun(RF_MODE_PAGE, [] {
    world.blocks[bytes] = {bytes, 77, RF_FAMILY_NEW, 0, nullptr, nullptr};
    rf_guarded_blocks_free(bytes, RF_FAMILY_NEW, 78, &kOrigin);
    EXPECT_EQ(world.family, RF_FAMILY_NEW);
    EXPECT_EQ(world.freed_size, 78U);
    EXPECT_EQ(world.origin, &kOrigin);
    EXPECT_EQ(world.left, std::vector<uint64_t>({1}));
    auto const expected = std::vector<std::pair<uintptr_t, size_t>>({{reinterpret_cast<uintptr_t>(bytes), 77}});
    EXPECT_EQ(world.signals_freed, expected);
    world.freed = RF_ERR_INVALID; // a finding, on which the program goes on
    rf_guarded_blocks_free(bytes, RF_FAMILY_NEW, 78, &kOrigin);
    EXPECT_EQ(world.signals_freed, expected);
    EXPECT_EQ(world.left, std::vector<uint64_t>({1, 2}));
  });
}

TEST(GuardedBlocks, TheUsableSizeIsTheBlocksOwn) {
  begun(RF_MODE_PAGE, [] {
    world.blocks[bytes] = {bytes, 77, RF_FAMILY_MALLOC, 0, nullptr, nullptr};
    size_t size = 1;
    EXPECT_TRUE(rf_guarded_blocks_usable_size(bytes, &size));
    EXPECT_EQ(size, 77U);
    EXPECT_FALSE(rf_guarded_blocks_usable_size(bytes + 1, &size));
    EXPECT_EQ(size, 0U);
    rf_finding f = {};
    rf_guarded_blocks_tell_of(bytes + 1, &f);
    EXPECT_EQ(f.block, reinterpret_cast<uintptr_t>(bytes + 1)); // as the store says
  });
}

// ---- realloc ----

struct Realloc {
  bool is_block;
  void *moved;
  size_t old_size;
};

// About the block at `bytes`, which has this size.
Realloc reallocate(size_t from, size_t to) {
  world.blocks[bytes] = {bytes, from, RF_FAMILY_MALLOC, 0, nullptr, nullptr};
  world.calls.clear();
  world.moved.clear();
  Realloc result = {false, nullptr, 0};
  result.is_block = rf_guarded_blocks_realloc(bytes, to, &kOrigin, &result.moved, &result.old_size);
  return result;
}

TEST(GuardedBlocks, ReallocOfNoBlockIsReported) {
  begun(RF_MODE_PAGE, [] {
    void *moved = nullptr;
    size_t old_size = 1;
    EXPECT_FALSE(rf_guarded_blocks_realloc(bytes + 1, 5, &kOrigin, &moved, &old_size));
    EXPECT_EQ(world.take_calls(), std::vector<std::string>({"refuse"}));
    EXPECT_EQ(world.origin, &kOrigin);
  });
}

TEST(GuardedBlocks, ReallocMovesABlock) {
  begun(RF_MODE_PAGE, [] {
    world.next = bytes + 1;
    world.resized = RF_OK;
    for (size_t const size : {size_t{50}, size_t{100}, size_t{200}}) {
      Realloc const done = reallocate(100, size);
      EXPECT_TRUE(done.is_block);
      EXPECT_EQ(done.moved, bytes + 1);
      EXPECT_EQ(done.old_size, 100U);
      EXPECT_EQ(world.moved, std::vector<size_t>({std::min<size_t>(size, 100)}));
      EXPECT_EQ(world.take_calls(), std::vector<std::string>({"rights", "alloc", "leave", "move", "free", "leave"}));
      EXPECT_EQ(world.request.size, size);
      EXPECT_EQ(world.request.align, RF_ALIGN_DEFAULT);
      EXPECT_EQ(world.request.room, 0U);
      EXPECT_EQ(world.request.like, nullptr);
      EXPECT_EQ(world.family, RF_FAMILY_REALLOC);
      EXPECT_EQ(world.freed_size, SIZE_MAX);
    }
  });
}

TEST(GuardedBlocks, ReallocIsAnAllocationThatIsCounted) {
  begun(RF_MODE_PAGE, [] {
    world.next = bytes + 1;
    rf_guarded_blocks_left = 3;
    for (int const left : {2, 1}) {
      Realloc const done = reallocate(100, 200);
      EXPECT_TRUE(done.is_block);
      EXPECT_EQ(done.moved, nullptr); // to be moved to the heap
      EXPECT_EQ(done.old_size, 100U);
      EXPECT_EQ(world.take_calls(), std::vector<std::string>({"rights"}));
      EXPECT_EQ(rf_guarded_blocks_left, left);
    }
    EXPECT_EQ(reallocate(100, 200).moved, bytes + 1);
  });
}

TEST(GuardedBlocks, WithoutMemoryABlockIsMovedToTheHeapByTheCaller) {
  begun(RF_MODE_PAGE, [] {
    Realloc const done = reallocate(100, 200);
    EXPECT_TRUE(done.is_block);
    EXPECT_EQ(done.moved, nullptr);
    EXPECT_EQ(done.old_size, 100U);
    EXPECT_EQ(world.take_calls(), std::vector<std::string>({"rights", "alloc", "leave"}));
  });
}

TEST(GuardedBlocks, BigBlocksGrowInPlace) {
  begun(RF_MODE_PAGE, [] {
    size_t const big = RF_PAGE_GROWS_FROM;
    world.next = bytes + 1;
    world.resized = RF_OK;
    Realloc const done = reallocate(big, 2 * big);
    EXPECT_TRUE(done.is_block);
    EXPECT_EQ(done.moved, bytes);
    EXPECT_EQ(done.old_size, big);
    EXPECT_EQ(world.take_calls(), std::vector<std::string>({"resize"}));
    EXPECT_EQ(reallocate(big - 1, 2 * big).moved, bytes + 1);
    world.ends_as_well = false;
    EXPECT_EQ(reallocate(big, 2 * big).moved, bytes + 1);
    EXPECT_EQ(world.request.like, nullptr);
    EXPECT_EQ(world.request.room, 0U);
  });
}

// With as much room behind them as they are long, and so that pages can be moved.
TEST(GuardedBlocks, BigBlocksWithoutRoomMoveToWhereThereIsSome) {
  begun(RF_MODE_PAGE, [] {
    size_t const big = RF_PAGE_GROWS_FROM;
    world.next = bytes + 1;
    EXPECT_EQ(reallocate(big, 2 * big).moved, bytes + 1);
    EXPECT_EQ(world.take_calls(),
              std::vector<std::string>({"resize", "rights", "alloc", "leave", "move", "free", "leave"}));
    EXPECT_EQ(world.request.like, bytes);
    EXPECT_EQ(world.request.room, 2 * big);
    EXPECT_EQ(world.moved, std::vector<size_t>({big}));
  });
}

// ---- Figures, handlers, forks ----

TEST(GuardedBlocks, FiguresAreTheStores) {
  begun(RF_MODE_PAGE, [] {
    world.served = 8;
    rf_origin const asked = {};
    rf_page_figures figures;
    memset(&figures, 1, sizeof figures);
    rf_guarded_blocks_figures(&figures);
    EXPECT_EQ(figures.counters.allocations, 8U);
    EXPECT_EQ(figures.open_bytes, 0U);
    memset(&figures, 1, sizeof figures);
    rf_guarded_blocks_figures_unlocked(&figures);
    EXPECT_EQ(figures.declined, 6U);
    EXPECT_EQ(figures.open_bytes, 0U);
    EXPECT_EQ(rf_guarded_blocks_sweep(123, &asked), 3U);
    EXPECT_EQ(world.budget, 123U);
    EXPECT_EQ(world.origin, &asked);
  });
}

TEST(GuardedBlocks, BlocksWithoutPagesAreCountedInModePage) {
  for (rf_mode const mode : {RF_MODE_SAMPLE, RF_MODE_GUARD, RF_MODE_PAGE}) {
    begun(mode, [mode] {
      bool const counts = mode == RF_MODE_PAGE;
      rf_page_figures figures = {};
      rf_counters heap = {};
      figures.declined = 5;
      heap.allocations = 7;
      EXPECT_EQ(rf_guarded_blocks_unpaged(&figures, &heap), counts ? 5U : 0U);
      heap.failures = 2; // no blocks at all
      EXPECT_EQ(rf_guarded_blocks_unpaged(&figures, &heap), counts ? 3U : 0U);
      heap.failures = 6;
      EXPECT_EQ(rf_guarded_blocks_unpaged(&figures, &heap), 0U);
      world.time_limited = true;
      EXPECT_EQ(rf_guarded_blocks_unpaged(&figures, &heap), counts ? 7U : 0U);
    });
  }
}

TEST(GuardedBlocks, HandlersOfTheProgramAreWatched) {
  begun(RF_MODE_PAGE, [] {
    rf_guarded_blocks_handlers_changed();
    EXPECT_EQ(world.watches, 1U);
    EXPECT_EQ(world.tag_watches, 0U);
  });
}

TEST(GuardedBlocks, AChildKnowsTheBlocksThatItHasInherited) {
  begun(RF_MODE_PAGE, [] {
    rf_page_block block = {bytes, 1, RF_FAMILY_MALLOC, 0, nullptr, nullptr};
    EXPECT_FALSE(rf_guarded_blocks_inherited(&block));
    world.served = 3;
    rf_guarded_blocks_forked();
    EXPECT_EQ(world.time_forks, 1U);
    EXPECT_EQ(world.inherits, 1U) << "paths are the parent's to write, however many threads it has";
    EXPECT_FALSE(rf_guarded_blocks_inherited(&block)); // of a parent with one thread: its own
    rf_guarded_blocks_inherit();
    EXPECT_EQ(world.inherits, 1U);
    block.serial = 2;
    EXPECT_TRUE(rf_guarded_blocks_inherited(&block));
    block.serial = 3;
    EXPECT_FALSE(rf_guarded_blocks_inherited(&block));
  });
}

} // namespace
