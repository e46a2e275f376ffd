// rf_guard over an inner allocator that answers as the test says: errors of a walk and a check, faults that are no
// damage, blocks that cannot be resized or that it does not know; and guards that are gone without having ended.
#include "tests/checkers/recorder.h"

#include <ringfence/guard.h>
#include <ringfence/simple.h>

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <map>
#include <vector>

namespace ringfence {
namespace {

class Answers {
public:
  Answers() {
    ops.name = "answers";
    ops.alloc = [](rf_allocator *self, size_t size, size_t align, const rf_site *) {
      return of(self).alloc(size, align);
    };
    ops.free = [](rf_allocator *self, void *ptr, const rf_site *) { return of(self).free(ptr); };
    ops.usable_size = [](rf_allocator *self, const void *ptr) { return of(self).size_of(ptr); };
    ops.check = [](rf_allocator *self, rf_fault *where) { return of(self).check(where); };
    base.ops = &ops;
  }
  ~Answers() {
    while (!blocks.empty()) {
      (void)free(blocks.begin()->first);
    }
  }
  Answers(const Answers &) = delete;
  Answers &operator=(const Answers &) = delete;

  rf_allocator base = {};
  rf_allocator_ops ops = {};
  std::map<const void *, size_t> blocks;
  size_t largest = SIZE_MAX;
  bool damaged = false;
  unsigned char *written_over = nullptr; // by the next request, one byte
  rf_fault raised = {};                  // by the next free, where its status is one

private:
  static Answers &of(rf_allocator *self) { return *reinterpret_cast<Answers *>(self); }

  void *alloc(size_t size, size_t align) {
    if (size > largest) {
      return nullptr;
    }
    if (written_over != nullptr) {
      *written_over ^= 1;
      written_over = nullptr;
    }
    void *const p = std::aligned_alloc(align, (size + align - 1) & ~(align - 1));
    blocks[p] = size;
    return p;
  }

  rf_status free(const void *ptr) {
    if (raised.status != RF_OK) {
      rf_fault const f = raised;
      raised.status = RF_OK;
      return rf_fault_raise(&f);
    }
    std::free(const_cast<void *>(ptr));
    return blocks.erase(ptr) != 0 ? RF_OK : RF_ERR_BAD_POINTER;
  }

  size_t size_of(const void *ptr) const {
    auto const block = blocks.find(ptr);
    return block != blocks.end() ? block->second : 0;
  }

  rf_status check(rf_fault *where) {
    *where = {damaged ? RF_ERR_CORRUPT : RF_OK, "out of joint", &base, nullptr, nullptr};
    return where->status;
  }
};

class GuardInnerEdges : public testing::Test {
protected:
  ~GuardInnerEdges() override {
    if (guard.base.ops != nullptr) {
      rf_deinit(a);
    }
    EXPECT_EQ(recorder.count(), 0U) << "findings that no test took";
  }

  void make(size_t quarantine) {
    rf_guard_options options;
    rf_guard_options_default(&options);
    options.quarantine = quarantine;
    options.reporter = recorder.reporter();
    ASSERT_EQ(rf_guard_init(&guard, &inner.base, &options), RF_OK);
  }

  rf_finding found() {
    std::vector<rf_finding> const all = recorder.take();
    EXPECT_EQ(all.size(), 1U);
    return all.empty() ? rf_finding{} : all[0];
  }

  Answers inner;
  Recorder recorder;
  rf_guard guard = {};
  rf_allocator *const a = &guard.base;
};

// ---- Answers ----

TEST_F(GuardInnerEdges, ServesAgainAfterAWalkThatFailed) {
  inner.ops.walk = [](rf_allocator *, rf_walk_fn, void *) { return RF_ERR_CORRUPT; };
  make(0);
  EXPECT_EQ(rf_walk(
                a, [](const rf_block *, void *) { return true; }, nullptr),
            RF_ERR_CORRUPT);
  void *const p = rf_alloc(a, 10);
  EXPECT_NE(p, nullptr);
  EXPECT_EQ(rf_free(a, p), RF_OK);
}

TEST_F(GuardInnerEdges, AWalkOfItsOwnListStopsWhereTheVisitorSaysSo) {
  make(0);
  void *blocks[3];
  for (void *&p : blocks) {
    p = rf_alloc(a, 10);
  }
  unsigned calls = 0;
  auto const stop = [](const rf_block *, void *context) { return ++*static_cast<unsigned *>(context) < 2; };
  EXPECT_EQ(rf_walk(a, stop, &calls), RF_OK);
  EXPECT_EQ(calls, 2U);
  for (void *const p : blocks) {
    EXPECT_EQ(rf_free(a, p), RF_OK);
  }
}

TEST_F(GuardInnerEdges, ABlockThatNobodyCanResizeStaysAsLargeAsItIs) {
  make(0);
  void *const p = rf_alloc(a, 48);
  EXPECT_EQ(rf_resize(a, p, 48), RF_OK);
  EXPECT_EQ(rf_resize(a, p, 49), RF_ERR_NO_MEMORY);
  EXPECT_EQ(rf_resize(a, p, 20), RF_OK);
  EXPECT_EQ(rf_resize(a, p, 48), RF_OK);
  EXPECT_EQ(rf_free(a, p), RF_OK);
}

TEST_F(GuardInnerEdges, IsAskedForNoMoreThanTheLimitByAResizeEither) {
  static size_t most;
  most = 0;
  inner.ops.resize = [](rf_allocator *, void *, size_t size, const rf_site *) {
    most = size > most ? size : most;
    return RF_ERR_NO_MEMORY;
  };
  make(0);
  void *const p = rf_alloc(a, 10);
  for (size_t const less : {size_t{0}, size_t{1}, RF_GUARD_PREFIX, RF_GUARD_PREFIX + RF_GUARD_BACK_MIN}) {
    EXPECT_EQ(rf_resize(a, p, RF_SIZE_LIMIT - less), RF_ERR_NO_MEMORY);
  }
  EXPECT_LE(most, RF_SIZE_LIMIT);
  EXPECT_EQ(rf_free(a, p), RF_OK);
}

// It says that it knows its memory, and does not know its first block.
TEST_F(GuardInnerEdges, ItsFirstBlockTellsWhetherItKnowsItsMemory) {
  inner.ops.owns = [](rf_allocator *, const void *) { return false; };
  make(0);
  void *const p = rf_alloc(a, 10);
  EXPECT_EQ(rf_usable_size(a, p), 10U);
  EXPECT_EQ(rf_free(a, p), RF_OK);
}

// The request is as large as what all that waits leaves together.
TEST_F(GuardInnerEdges, AllThatWaitsGoesBeforeARequestFails) {
  alignas(16) static unsigned char arena[64 * 1024];
  rf_simple heap;
  rf_guard_options options;
  rf_guard_options_default(&options);
  options.reporter = recorder.reporter();
  ASSERT_EQ(rf_simple_init(&heap, arena, sizeof arena), RF_OK);
  ASSERT_EQ(rf_guard_init(&guard, &heap.base, &options), RF_OK);
  std::vector<void *> blocks;
  for (void *p = rf_alloc(a, 1000); p != nullptr; p = rf_alloc(a, 1000)) {
    blocks.push_back(p);
  }
  for (void *const p : blocks) {
    EXPECT_EQ(rf_free(a, p), RF_OK);
  }
  void *const whole = rf_alloc(a, 60000);
  EXPECT_NE(whole, nullptr);
  EXPECT_EQ(rf_free(a, whole), RF_OK);
  rf_deinit(a); // and the heap
  guard.base.ops = nullptr;
}

// ---- Damage to it ----

TEST_F(GuardInnerEdges, ADamagedOneGetsNothingBack) {
  make(0);
  void *const p = rf_alloc(a, 10);
  inner.damaged = true;
  EXPECT_EQ(rf_guard_sweep(&guard), 1U);
  EXPECT_EQ(found().bug, RF_BUG_METADATA);
  EXPECT_EQ(rf_free(a, p), RF_OK);
  EXPECT_EQ(inner.blocks.size(), 1U);
}

// As where it hands out memory that is in use.
TEST_F(GuardInnerEdges, DamageThatItDoesDuringAMoveIsToldThere) {
  make(0);
  void *const p = rf_alloc(a, 10);
  inner.written_over = static_cast<unsigned char *>(p) - RF_GUARD_PREFIX + offsetof(rf_guard_header, allocated);
  void *const moved = rf_realloc(a, p, 20);
  rf_finding const f = found();
  EXPECT_EQ(f.bug, RF_BUG_METADATA);
  EXPECT_EQ(f.block, reinterpret_cast<uintptr_t>(p));
  EXPECT_NE(moved, nullptr);
  EXPECT_EQ(rf_free(a, moved), RF_OK);
}

// A later overflow is not what damaged it.
TEST_F(GuardInnerEdges, DamageThatWasToldIsNoConsequenceOfALaterOverflow) {
  make(0);
  auto *const p = static_cast<unsigned char *>(rf_alloc(a, 10));
  inner.damaged = true;
  EXPECT_EQ(rf_guard_sweep(&guard), 1U);
  EXPECT_EQ(found().bug, RF_BUG_METADATA);
  p[10 + RF_GUARD_BACK_MIN - 1] ^= 1; // the last byte
  EXPECT_EQ(rf_guard_sweep(&guard), 1U);
  rf_finding const f = found();
  EXPECT_EQ(f.bug, RF_BUG_BUFFER_OVERFLOW);
  EXPECT_STREQ(f.detail, "guard bytes after the block were overwritten");
  inner.damaged = false;
  EXPECT_EQ(rf_guard_sweep(&guard), 0U);
  EXPECT_EQ(rf_free(a, p), RF_OK);
}

// A fault that is no damage is told each time, with no block that could have done damage.
TEST_F(GuardInnerEdges, ARefusalIsToldEvenWhereDamageWasBefore) {
  make(0);
  auto *const before = static_cast<unsigned char *>(rf_alloc(a, 10));
  void *const p = rf_alloc(a, 10);
  inner.damaged = true;
  EXPECT_EQ(rf_guard_sweep(&guard), 1U);
  EXPECT_EQ(found().bug, RF_BUG_METADATA);
  guard.inner_damaged = false; // as after a check between
  inner.raised = {RF_ERR_BAD_POINTER, "refused", &inner.base, before + 30, nullptr};
  EXPECT_EQ(rf_free(a, p), RF_OK);
  rf_finding const f = found();
  EXPECT_EQ(f.bug, RF_BUG_METADATA);
  EXPECT_STREQ(f.detail, "refused");
  EXPECT_EQ(f.block, 0U);
  inner.damaged = false;
  EXPECT_EQ(rf_guard_sweep(&guard), 0U);
  EXPECT_EQ(rf_free(a, before), RF_OK);
}

// ---- Other guards ----

// A program may give up a guard's memory without ending it.
TEST_F(GuardInnerEdges, AGuardWhoseMemoryIsGoneIsPassedOver) {
  void *const memory = mmap(nullptr, sizeof(rf_guard), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  ASSERT_EQ(rf_guard_init(static_cast<rf_guard *>(memory), &inner.base, nullptr), RF_OK);
  ASSERT_EQ(munmap(memory, sizeof(rf_guard)), 0);
  make(0);
  int local = 0;
  EXPECT_EQ(rf_free(a, &local), RF_ERR_BAD_POINTER);
  EXPECT_EQ(found().bug, RF_BUG_BAD_FREE);
}

// Its stack is in the other guard's depot.
TEST_F(GuardInnerEdges, ABlockOfAnotherGuardIsToldWithItsOwnStack) {
  std::vector<uint64_t> memory(8192);
  rf_stack_depot depot;
  ASSERT_EQ(rf_stack_depot_init(&depot, memory.data(), memory.size() * 8), RF_OK);
  rf_guard_options options;
  rf_guard_options_default(&options);
  options.depot = &depot;
  options.stack_depth = 4;
  options.reporter = recorder.reporter();
  Answers elsewhere;
  rf_guard other;
  ASSERT_EQ(rf_guard_init(&other, &elsewhere.base, &options), RF_OK);
  make(0);
  void *const p = rf_alloc(&other.base, 10);
  rf_guard_block block;
  ASSERT_TRUE(rf_guard_describe(&other, p, &block));
  ASSERT_NE(block.allocated.depth, 0U);
  EXPECT_EQ(rf_free(a, p), RF_ERR_BAD_POINTER);
  rf_finding const f = found();
  EXPECT_EQ(f.bug, RF_BUG_DEALLOC_MISMATCH);
  EXPECT_EQ(f.allocated.site, block.allocated.site);
  EXPECT_EQ(f.allocated.depth, block.allocated.depth);
  EXPECT_EQ(f.allocated.frames[0], block.allocated.frames[0]);
  EXPECT_EQ(rf_free(&other.base, p), RF_OK);
  rf_deinit(&other.base);
}

// ---- The page before a block ----

TEST_F(GuardInnerEdges, NothingBeforeTheArenaIsLookedAt) {
  constexpr size_t kPage = 4096;
  void *const memory = mmap(nullptr, 3 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  auto *const start = static_cast<unsigned char *>(memory) + kPage;
  ASSERT_EQ(mprotect(memory, kPage, PROT_NONE), 0);
  rf_simple heap;
  rf_guard_options options;
  rf_guard_options_default(&options);
  options.reporter = recorder.reporter();
  ASSERT_EQ(rf_simple_init(&heap, start, 2 * kPage), RF_OK);
  ASSERT_EQ(rf_guard_init(&guard, &heap.base, &options), RF_OK);
  void *const p = rf_alloc(a, 10);
  ASSERT_EQ(reinterpret_cast<uintptr_t>(p) / kPage, reinterpret_cast<uintptr_t>(start) / kPage);
  ASSERT_EQ(rf_free(a, p), RF_OK); // its page is known from here on
  for (size_t at = 0; at < RF_GUARD_PREFIX; at += 16) {
    EXPECT_EQ(rf_free(a, start + at), RF_ERR_BAD_POINTER) << at;
    EXPECT_EQ(found().bug, RF_BUG_BAD_FREE) << at;
  }
  rf_deinit(a); // and the heap
  guard.base.ops = nullptr;
  munmap(memory, 3 * kPage);
}

} // namespace
} // namespace ringfence
