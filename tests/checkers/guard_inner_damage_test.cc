// Damage to the inner allocator's own data, which guard reports once.
#include "tests/checkers/guard_damage_fixture.h"

#include <ringfence/tlsf.h>

#include <cstring>
#include <iterator>
#include <utility>

namespace ringfence {
namespace {

class GuardInnerDamage : public GuardDamage {
protected:
  Unwatched unwatched_{arena_.data(), arena_.size()};

  // Damages a byte that the heap relies on and guard does not; a second call damages it again.
  void damage() {
    unsigned char *const end = arena_.data() + arena_.size();
    for (; at_ != end; at_++) {
      *at_ ^= 0x55;
      if (rf_check(a(), &where_) == RF_ERR_CORRUPT && where_.allocator != a()) {
        return;
      }
      *at_ ^= 0x55;
    }
    FAIL() << "this heap relies on nothing in its arena";
  }

  void mend() { *at_ ^= 0x55; }

  rf_fault where_ = {};
  unsigned char *at_ = arena_.data();
};

TEST_P(GuardInnerDamage, IsReportedOnceByTheSweep) {
  ASSERT_NE(rf_alloc(a(), 40), nullptr);
  damage();
  EXPECT_EQ(rf_guard_sweep(&guard_), 1U);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_METADATA);
  EXPECT_STREQ(f.detail, where_.what);
  EXPECT_EQ(rf_guard_sweep(&guard_), 0U);
  mend();
  expect_silence();
}

// One write that ran down through the block's header: one finding.
TEST_P(GuardInnerDamage, IsNotToldBesideTheUnderflowThatReachedIt) {
  auto *const p = static_cast<unsigned char *>(rf_alloc(a(), 40));
  damage();
  memset(header(p), 0x11, RF_GUARD_PREFIX);
  EXPECT_EQ(rf_guard_sweep(&guard_), 1U);
  EXPECT_EQ(take_one().bug, RF_BUG_BUFFER_UNDERFLOW);
  EXPECT_EQ(rf_guard_sweep(&guard_), 0U);
  mend();
  expect_silence();
}

TEST_P(GuardInnerDamage, TheQuarantineIsKeptFromItWhenARequestFails) {
  void *const p = rf_alloc(a(), 40);
  ASSERT_EQ(rf_free(a(), rf_alloc(a(), 40)), RF_OK);
  damage();
  EXPECT_EQ(rf_guard_sweep(&guard_), 1U);
  take();
  size_t const before = guard_.quarantined;
  EXPECT_EQ(rf_alloc(a(), 2 * kArenaSize), nullptr);
  EXPECT_EQ(guard_.quarantined, before);
  take(); // an inner heap may meet its damage now
  mend();
  EXPECT_EQ(rf_guard_sweep(&guard_), 0U);
  EXPECT_EQ(rf_free(a(), p), RF_OK);
}

// They leave the quarantine all the same where all are to go, and no block goes back to the heap.
TEST_P(GuardInnerDamage, TheQuarantineIsKeptFromItUnlessAllAreToGo) {
  void *const p = rf_alloc(a(), 40);
  for (int i = 0; i < 3; i++) {
    ASSERT_EQ(rf_free(a(), rf_alloc(a(), 40)), RF_OK);
  }
  damage();
  EXPECT_EQ(rf_guard_sweep(&guard_), 1U);
  take();
  size_t const before = guard_.quarantined;
  rf_stats stats;
  rf_stats_get(guard_.inner, &stats);
  rf_guard_flush(&guard_, 1);
  EXPECT_EQ(guard_.quarantined, before);
  rf_guard_flush(&guard_, 0);
  EXPECT_EQ(guard_.quarantined, 0U);
  rf_stats after;
  rf_stats_get(guard_.inner, &after);
  EXPECT_EQ(after.blocks, stats.blocks);
  mend();
  EXPECT_EQ(rf_guard_sweep(&guard_), 0U);
  EXPECT_EQ(rf_free(a(), p), RF_OK);
}

TEST_P(GuardInnerDamage, IsReportedOnceByOperationsThatMeetIt) {
  void *const block = rf_alloc(a(), 40);
  ASSERT_NE(block, nullptr);
  damage();
  for (unsigned i = 0; i < 4; i++) {
    rf_free(a(), rf_alloc(a(), 5000 + 1000 * i));
  }
  (void)rf_guard_sweep(&guard_);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_METADATA);
  mend();
  (void)rf_guard_sweep(&guard_);
  (void)take();
}

TEST_P(GuardInnerDamage, IsReportedAgainWhenItComesBack) {
  ASSERT_NE(rf_alloc(a(), 40), nullptr);
  damage();
  EXPECT_EQ(rf_guard_sweep(&guard_), 1U);
  mend();
  EXPECT_EQ(rf_guard_sweep(&guard_), 0U);
  damage();
  EXPECT_EQ(rf_guard_sweep(&guard_), 1U);
  EXPECT_EQ(take().size(), 2U);
  mend();
  expect_silence();
}

// A heap whose free raises a fault, as one does that finds its own data damaged, and a second one that follows from it.
struct Refusing {
  rf_allocator base;
  rf_allocator *heap;
};

rf_allocator *heap_of(rf_allocator *self) {
  return reinterpret_cast<Refusing *>(self)->heap;
}

const rf_allocator_ops kRefusing = {
    "refusing",
    [](rf_allocator *self, size_t size, size_t align, const rf_site *site) {
      return rf_alloc_at(heap_of(self), size, align, site);
    },
    [](rf_allocator *self, void *ptr, const rf_site *site) {
      rf_status const status = rf_fault_refuse(self, RF_ERR_CORRUPT, "the list of free blocks is damaged", ptr, site);
      (void)rf_fault_refuse(self, RF_ERR_BAD_POINTER, "the block is in no list", ptr, site);
      return status;
    },
    nullptr,
    nullptr,
    nullptr,
    nullptr,
    nullptr,
    nullptr,
    [](rf_allocator *self, rf_stats *out) { rf_stats_get(heap_of(self), out); },
    nullptr,
    nullptr,
    nullptr,
    nullptr,
};

size_t faults_outside = 0;

TEST_P(GuardInnerDamage, AFaultOfTheInnerAllocatorBecomesAFinding) {
  faults_outside = 0;
  rf_fault_handler_set([](const rf_fault *, void *) { faults_outside++; }, nullptr);
  Refusing refusing = {{&kRefusing}, heap_->allocator()};
  rf_guard over;
  options_.quarantine = 0;
  ASSERT_EQ(rf_guard_init(&over, &refusing.base, &options_), RF_OK);
  void *const p = rf_alloc(&over.base, 40);
  EXPECT_EQ(rf_free(&over.base, p), RF_OK); // the program did nothing wrong
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_METADATA);
  EXPECT_STREQ(f.detail, "the list of free blocks is damaged");
  EXPECT_STREQ(f.allocator, "refusing");
  EXPECT_EQ(faults_outside, 0U);
  over.base.ops->deinit(&over.base);
  (void)rf_fault_refuse(nullptr, RF_ERR_CORRUPT, "outside", nullptr, nullptr);
  EXPECT_EQ(faults_outside, 1U); // the program's own handler is in force again
  rf_fault_handler_set(nullptr, nullptr);
  end();
  heap_.reset();
  heap_ = GetParam().make(arena_.data(), arena_.size());
  (void)take();
}

INSTANTIATE_TEST_SUITE_P(Over, GuardInnerDamage, testing::ValuesIn(heaps_in_arena()), heap_name);

// A heap whose own data are damaged: it gives memory out that is a block already.
struct Twice {
  rf_allocator base;
  rf_allocator *heap;
  void *again; // what the next request gets; NULL: a block as it should be
};

Twice *twice_of(rf_allocator *self) {
  return reinterpret_cast<Twice *>(self);
}

const rf_allocator_ops kTwice = {
    "twice",
    [](rf_allocator *self, size_t size, size_t align, const rf_site *site) {
      void *const again = std::exchange(twice_of(self)->again, nullptr);
      return again != nullptr ? again : rf_alloc_at(twice_of(self)->heap, size, align, site);
    },
    [](rf_allocator *, void *, const rf_site *) { return RF_OK; },
    nullptr,
    nullptr,
    nullptr,
    [](rf_allocator *self, const void *p) { return rf_owns(twice_of(self)->heap, p); },
    nullptr,
    nullptr,
    [](rf_allocator *self, rf_stats *out) { rf_stats_get(twice_of(self)->heap, out); },
    nullptr,
    nullptr,
    nullptr,
    nullptr,
};

// Nothing that is called crashes or goes on for ever; what is found, and where, is any.
class GuardGivenABlockTwice : public testing::Test {
protected:
  GuardGivenABlockTwice() {
    EXPECT_EQ(rf_tlsf_init(&heap_, arena_, sizeof arena_), RF_OK);
    rf_guard_options options;
    rf_guard_options_default(&options);
    options.quarantine = 16 * 1024;
    options.reporter = recorder_.reporter();
    options.leaks_at_deinit = true;
    EXPECT_EQ(rf_guard_init(&guard_, &inner_.base, &options), RF_OK);
    for (void *&p : blocks_) {
      p = rf_alloc(a(), 40);
    }
  }

  rf_allocator *a() { return &guard_.base; }

  // A block in the place of `p`.
  void *alloc_over(void *p) {
    inner_.again = static_cast<unsigned char *>(p) - RF_GUARD_PREFIX;
    return rf_alloc(a(), 40);
  }

  void look_at_everything() {
    rf_fault where;
    rf_stats stats;
    (void)rf_check(a(), &where);
    (void)rf_walk(
        a(), [](const rf_block *, void *) { return true; }, nullptr);
    rf_stats_get(a(), &stats);
    (void)rf_free(a(), arena_ + 100); // asks which block it lies in
    (void)rf_guard_sweep_step(&guard_, UINT64_MAX);
    (void)rf_guard_sweep(&guard_);
    (void)rf_guard_report_live(&guard_);
  }

  void free_everything() {
    for (void *const p : blocks_) {
      (void)rf_free(a(), p);
    }
    for (unsigned i = 0; i < 600; i++) { // goes round the quarantine
      (void)rf_free(a(), rf_alloc(a(), 40));
    }
    rf_guard_flush(&guard_, 0);
    rf_deinit(a());
  }

  alignas(16) unsigned char arena_[64 * 1024] = {};
  rf_tlsf heap_ = {};
  Twice inner_ = {{&kTwice}, &heap_.base, nullptr};
  Recorder recorder_;
  rf_guard guard_ = {};
  void *blocks_[5] = {};
};

TEST_F(GuardGivenABlockTwice, EndsAWalkOfTheLiveOnes) {
  for (void *const p : blocks_) {
    ASSERT_EQ(alloc_over(p), p);
    look_at_everything();
  }
  free_everything();
}

TEST_F(GuardGivenABlockTwice, EndsAWalkOfTheFreedOnes) {
  for (void *const p : blocks_) {
    ASSERT_EQ(rf_free(a(), p), RF_OK);
    ASSERT_EQ(alloc_over(p), p);
    (void)rf_free(a(), p);
    look_at_everything();
  }
  free_everything();
}

TEST_F(GuardGivenABlockTwice, EndsWithoutALookInBetween) {
  for (void *const p : blocks_) {
    ASSERT_EQ(alloc_over(p), p);
  }
  rf_deinit(a());
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RF_TEST_COPIES_ARE_WATCHED 1
#endif
#endif

TEST_F(GuardGivenABlockTwice, SurvivesAMoveOverTheBlockThatMoves) {
#if defined(RF_TEST_COPIES_ARE_WATCHED) || defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "AddressSanitizer ends the program at a copy between blocks that overlap";
#endif
  int const skews[] = {-64, -32, 0, 32};
  for (size_t i = 0; i < std::size(skews); i++) {
    void *const p = blocks_[i + 1];
    inner_.again = static_cast<unsigned char *>(p) - RF_GUARD_PREFIX + skews[i];
    (void)rf_realloc(a(), p, 60);
    inner_.again = nullptr;
    look_at_everything();
  }
  free_everything();
}

} // namespace
} // namespace ringfence
