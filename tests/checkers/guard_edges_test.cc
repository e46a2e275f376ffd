// Edges of rf_guard that no other test comes to: the last queue, findings of several blocks at once, what is shown of
// each, bytes that are counted exactly.
#include "tests/checkers/guard_damage_fixture.h"

#include <ringfence/port.h>

#include <numeric>

namespace ringfence {
namespace {

class GuardEdges : public GuardDamage {
protected:
  Unwatched unwatched_{arena_.data(), arena_.size()};

  std::vector<unsigned char *> row(size_t count, size_t size) {
    std::vector<unsigned char *> blocks(count);
    std::generate(blocks.begin(), blocks.end(), [this, size] { return bytes(rf_alloc(a(), size)); });
    return blocks;
  }

  void free_all(const std::vector<unsigned char *> &blocks) {
    for (unsigned char *const p : blocks) {
      EXPECT_EQ(rf_free(a(), p), RF_OK);
    }
  }

  static rf_guard_header *header_at(unsigned char *p) { return reinterpret_cast<rf_guard_header *>(header(p)); }
};

// ---- The quarantine ----

// Large blocks, and those of large alignment, wait in the last queue.
TEST_P(GuardEdges, ASweepLooksAtFreedBlocksOfEverySize) {
  for (size_t const size : {1, 900, 1000, 1024, 1100, 5000, 20000}) {
    unsigned char *const p = bytes(rf_alloc(a(), size));
    ASSERT_EQ(rf_free(a(), p), RF_OK);
    p[size - 1] ^= 1;
    EXPECT_EQ(rf_guard_sweep(&guard_), 1U) << size;
    rf_finding const f = take_one();
    EXPECT_EQ(f.bug, RF_BUG_USE_AFTER_FREE) << size;
    EXPECT_EQ(f.size, size);
  }
}

TEST_P(GuardEdges, ABlockBehindADamagedOneInTheQuarantineIsStillWatched) {
  std::vector<unsigned char *> const blocks = row(3, 100);
  free_all(blocks);
  header_at(blocks[1])->allocated ^= 1;
  blocks[2][7] ^= 1;
  EXPECT_EQ(rf_guard_sweep(&guard_), 2U);
  std::vector<rf_finding> const found = take();
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].bug, RF_BUG_METADATA);
  EXPECT_TRUE(names_block(found[0], blocks[1]));
  EXPECT_EQ(found[1].bug, RF_BUG_USE_AFTER_FREE);
  EXPECT_TRUE(names_block(found[1], blocks[2]));
}

// A realloc moves a block up to that size, and one more byte may stay.
TEST_P(GuardEdges, ABlockOfExactlyTheSizeUpToWhichAllMoveMovesToo) {
  options_.move_below = 100;
  make(options_);
  void *const moving = rf_alloc(a(), 100);
  void *const staying = rf_alloc(a(), 101);
  EXPECT_NE(rf_realloc(a(), moving, 90), moving);
  EXPECT_EQ(rf_realloc(a(), staying, 90), staying);
}

TEST_P(GuardEdges, TheQuarantineHoldsAllOfItsBytes) {
  free_all(row(1, 100));
  size_t const total = guard_.quarantined;
  options_.quarantine = 4 * total;
  make(options_);
  free_all(row(4, 100));
  EXPECT_EQ(guard_.quarantined, 4 * total);
  rf_guard_flush(&guard_, 4 * total);
  EXPECT_EQ(guard_.quarantined, 4 * total);
  rf_guard_flush(&guard_, 4 * total - 1);
  EXPECT_EQ(guard_.quarantined, 3 * total);
}

// An age is an eighth of this quarantine, and none of these blocks has waited long enough.
TEST_P(GuardEdges, OfBlocksThatWaitTheOneOfTheEarliestAgeLeavesFirst) {
  std::vector<unsigned char *> const early = row(1, 500);
  std::vector<unsigned char *> const late = row(20, 1000);
  free_all(early);
  free_all(late);
  early[0][0] ^= 1;
  late[19][0] ^= 1;
  rf_guard_flush(&guard_, guard_.quarantined - 1);
  EXPECT_TRUE(names_block(take_one(), early[0]));
  rf_guard_flush(&guard_, 0);
  EXPECT_TRUE(names_block(take_one(), late[19]));
}

TEST_P(GuardEdges, ABlockThatLeavesEarlyIsCountedOutOfItsOwnAge) {
  free_all(row(12, 1000));
  auto const queue = std::find_if(std::begin(guard_.queues), std::end(guard_.queues),
                                  [](const rf_guard_queue &q) { return q.oldest != nullptr; });
  ASSERT_NE(queue, std::end(guard_.queues));
  ASSERT_EQ(queue->ripe, 0U);
  uint32_t const newest = queue->young[guard_.age];
  ASSERT_NE(newest, 12U);
  rf_guard_flush(&guard_, guard_.quarantined - 1);
  EXPECT_EQ(queue->young[guard_.age], newest);
  EXPECT_EQ(std::accumulate(std::begin(queue->young), std::end(queue->young), 0U), 11U);
}

// ---- Findings ----

// The links are as they were, by chance: else the blocks between two such headers are lost.
TEST_P(GuardEdges, ASweepCountsEachOverflowThatWentOverAHeader) {
  std::vector<unsigned char *> blocks = row(4, 40);
  std::sort(blocks.begin(), blocks.end());
  for (size_t const i : {0, 2}) {
    rf_guard_header *const next = header_at(blocks[i + 1])->next;
    std::memset(blocks[i] + 40, 0x41, static_cast<size_t>(header(blocks[i + 1]) + kHeader - blocks[i]) - 40);
    header_at(blocks[i + 1])->next = next;
  }
  size_t const count = rf_guard_sweep(&guard_);
  EXPECT_EQ(count, take().size());
  EXPECT_GE(count, 2U);
}

// A byte behind a block is no explanation of what was written to the header of the next one.
TEST_P(GuardEdges, AShortOverflowBesideADamagedHeaderIsAnotherBug) {
  std::vector<unsigned char *> blocks = row(2, 40);
  std::sort(blocks.begin(), blocks.end());
  blocks[0][40] ^= 1;
  header_at(blocks[1])->allocated ^= 1;
  EXPECT_EQ(rf_guard_sweep(&guard_), 2U);
  std::vector<rf_finding> const found = take();
  ASSERT_EQ(found.size(), 2U);
  for (const rf_finding &f : found) {
    bool const overflow = f.bug == RF_BUG_BUFFER_OVERFLOW;
    EXPECT_TRUE(names_block(f, blocks[overflow ? 0 : 1]));
    EXPECT_EQ(f.bug, overflow ? RF_BUG_BUFFER_OVERFLOW : RF_BUG_METADATA);
    EXPECT_STREQ(f.detail,
                 overflow ? "guard bytes after the block were overwritten" : "the block's metadata were overwritten");
  }
}

TEST_P(GuardEdges, ASizeThatNoGuardBytesBearOutIsNotTold) {
  unsigned char *const p = bytes(rf_alloc(a(), 40));
  header_at(p)->size = 24;
  EXPECT_EQ(rf_guard_sweep(&guard_), 1U);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_METADATA);
  EXPECT_EQ(f.size, 0U);
}

TEST_P(GuardEdges, AnUnderflowThatWasToldIsMended) {
  unsigned char *const p = bytes(rf_alloc(a(), 40));
  std::memset(p - RF_GUARD_FRONT - 4, 0x41, RF_GUARD_FRONT + 4);
  EXPECT_EQ(rf_guard_sweep(&guard_), 1U);
  EXPECT_EQ(take_one().bug, RF_BUG_BUFFER_UNDERFLOW);
  EXPECT_TRUE(filled(p - RF_GUARD_FRONT, RF_GUARD_FRONT, RF_PATTERN_REDZONE));
}

TEST_P(GuardEdges, AResizeLooksAtTheGuardBytesThatItMoves) {
  for (size_t const size : {20, 60}) {
    unsigned char *const p = bytes(rf_alloc(a(), 40));
    p[40] ^= 1;
    (void)rf_resize(a(), p, size);
    rf_finding const f = take_one();
    EXPECT_EQ(f.bug, RF_BUG_BUFFER_OVERFLOW) << size;
    EXPECT_EQ(f.offset, 40) << size;
    EXPECT_EQ(rf_free(a(), p), RF_OK);
  }
}

TEST_P(GuardEdges, BytesBehindTheFillOfAFreedBlockAreNotShownAsWrong) {
  options_.fill_free = 16;
  make(options_);
  unsigned char *const p = bytes(rf_alloc(a(), 64));
  std::memset(p, 'u', 64);
  ASSERT_EQ(rf_free(a(), p), RF_OK);
  p[3] ^= 1;
  EXPECT_EQ(rf_guard_sweep(&guard_), 1U);
  rf_finding const f = take_one();
  for (unsigned i = 0; i < f.window_size; i++) {
    auto *const at = reinterpret_cast<unsigned char *>(f.window_address) + i;
    if (at >= p && at < p + 64) {
      EXPECT_EQ(f.window_class[i], at == p + 3 ? RF_BYTE_BAD : at < p + 16 ? RF_BYTE_FREED : RF_BYTE_USER) << at - p;
    }
  }
}

TEST_P(GuardEdges, ACallAfterTheEndIsToldWithItsPointerAndThread) {
  void *const p = rf_alloc(a(), 40);
  end();
  EXPECT_EQ(rf_realloc(a(), p, 50), nullptr);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_ENDED);
  EXPECT_EQ(f.address, reinterpret_cast<uintptr_t>(p));
  EXPECT_EQ(f.found.thread, rf_port_thread_id());
}

// ---- Stacks ----

TEST_P(GuardEdges, ASiteTakesNoFrameOffTheStackBesideIt) {
  std::vector<uint64_t> memory(8192);
  rf_stack_depot depot;
  ASSERT_EQ(rf_stack_depot_init(&depot, memory.data(), memory.size() * 8), RF_OK);
  options_.depot = &depot;
  options_.stack_depth = 2;
  make(options_);
  void *blocks[2];
  for (unsigned i = 0; i < 2; i++) {
    blocks[i] = i == 0 ? rf_alloc(a(), 5) : rf_alloc_at(a(), 5, RF_ALIGN_DEFAULT, nullptr);
  }
  rf_guard_block sited;
  rf_guard_block plain;
  ASSERT_TRUE(rf_guard_describe(&guard_, blocks[0], &sited));
  ASSERT_TRUE(rf_guard_describe(&guard_, blocks[1], &plain));
  ASSERT_NE(sited.allocated.site, nullptr);
  ASSERT_EQ(plain.allocated.site, nullptr);
  EXPECT_EQ(sited.allocated.depth, plain.allocated.depth);
  end();
}

TEST_P(GuardEdges, ADepotIsToldWhetherACallFrees) {
  static std::vector<bool> told;
  std::vector<uint64_t> memory(8192);
  rf_stack_depot depot;
  ASSERT_EQ(rf_stack_depot_init(&depot, memory.data(), memory.size() * 8), RF_OK);
  depot.added_call = [](uintptr_t, bool frees) { told.push_back(frees); };
  options_.depot = &depot;
  options_.stack_depth = 4;
  make(options_);
  told.clear();
  void *const p = rf_alloc_at(a(), 5, RF_ALIGN_DEFAULT, nullptr);
  EXPECT_EQ(rf_free_at(a(), p, nullptr), RF_OK);
  EXPECT_EQ(told, (std::vector<bool>{false, true}));
  end();
}

// ---- Steps of a sweep ----

// A step goes on in the queue in which the last one stopped.
TEST_P(GuardEdges, StepsOfASweepMeetEachFreedBlockOfEachQueue) {
  std::vector<unsigned char *> all;
  for (size_t size = 16; size <= 1600; size += 48) {
    std::vector<unsigned char *> const some = row(2, size);
    all.insert(all.end(), some.begin(), some.end());
  }
  free_all(all);
  std::vector<bool> met(all.size());
  for (size_t i = 0; i < all.size(); i++) {
    unsigned steps = 0;
    all[i][0] ^= 1;
    while (recorder_.count() == 0 && steps < all.size()) {
      (void)rf_guard_sweep_step(&guard_, 0);
      steps++;
    }
    EXPECT_LE(steps, all.size() / 8 + 2) << i;
    EXPECT_TRUE(names_block(take_one(), all[i])) << i;
  }
}

// ---- Walks ----

TEST_P(GuardEdges, TheOverheadOfABlockIsAllThatIsAroundIt) {
  std::vector<unsigned char *> const blocks = row(3, 40);
  auto const add = [](const rf_block *block, void *context) {
    *static_cast<size_t *>(context) += block->size + block->overhead;
    return true;
  };
  size_t mine = 0;
  size_t inner = 0;
  ASSERT_EQ(rf_walk(a(), add, &mine), RF_OK);
  ASSERT_EQ(rf_walk(heap_->allocator(), add, &inner), RF_OK);
  EXPECT_EQ(mine, inner);
  free_all(blocks);
}

INSTANTIATE_TEST_SUITE_P(Over, GuardEdges, testing::ValuesIn(heaps_in_arena()), heap_name);

} // namespace
} // namespace ringfence
