// The k-th call of the inner allocator fails, for every k: each decorator and checker answers NULL or finds another
// way, keeps every live block as it was, reports nothing, counts right, and gives everything back in the end.
#include "tests/checkers/recorder.h"

#include <gtest/gtest.h>
#include <ringfence/asan.h>
#include <ringfence/checked.h>
#include <ringfence/guard.h>
#include <ringfence/lock.h>
#include <ringfence/mempool.h>
#include <ringfence/oom.h>
#include <ringfence/page.h>
#include <ringfence/pool.h>
#include <ringfence/sample.h>
#include <ringfence/tlsf.h>
#include <ringfence/trace.h>

#include <cstring>
#include <memory>
#include <string>

namespace ringfence {
namespace {

// tlsf, but for one call that fails. `bare`: without realloc and resize, which are then made of others.
class FailingHeap {
public:
  FailingHeap(size_t fails_at, bool bare) : fails_at_(fails_at) {
    EXPECT_EQ(rf_tlsf_init(&heap_, arena_, sizeof arena_), RF_OK);
    plain_ = heap_.base.ops;
    ops_ = *plain_;
    ops_.alloc = [](rf_allocator *self, size_t size, size_t align, const rf_site *site) {
      return of(self)->fails() ? nullptr : of(self)->plain_->alloc(self, size, align, site);
    };
    ops_.realloc = [](rf_allocator *self, void *ptr, size_t size, size_t align, const rf_site *site) {
      return of(self)->fails() ? nullptr : of(self)->plain_->realloc(self, ptr, size, align, site);
    };
    ops_.resize = [](rf_allocator *self, void *ptr, size_t size, const rf_site *site) {
      return of(self)->fails() ? RF_ERR_NO_MEMORY : of(self)->plain_->resize(self, ptr, size, site);
    };
    ops_.stats = [](rf_allocator *self, rf_stats *out) {
      of(self)->looks_++;
      of(self)->plain_->stats(self, out);
    };
    if (bare) {
      ops_.realloc = nullptr;
      ops_.resize = nullptr;
    }
    heap_.base.ops = &ops_;
    the_heap = this;
  }

  rf_allocator *allocator() { return &heap_.base; }
  bool has_failed() const { return calls_ >= fails_at_; }
  size_t looks() const { return looks_; }

  size_t blocks() {
    rf_stats s;
    rf_stats_get(&heap_.base, &s);
    return s.blocks;
  }

private:
  static FailingHeap *of(rf_allocator *) { return the_heap; }
  bool fails() { return ++calls_ == fails_at_; }

  static FailingHeap *the_heap;
  alignas(64) unsigned char arena_[128 * 1024];
  rf_tlsf heap_;
  const rf_allocator_ops *plain_;
  rf_allocator_ops ops_;
  size_t calls_ = 0;
  size_t looks_ = 0; // at its free blocks, one by one
  size_t fails_at_;
};

FailingHeap *FailingHeap::the_heap;

// Storage for whatever is tested; one at a time.
struct Storage {
  rf_lock lock;
  rf_oom oom;
  rf_oom_callback callback;
  rf_pool pool;
  rf_tracer tracer;
  alignas(16) unsigned char memory[RF_TRACE_MEMORY_MIN];
  rf_guard guard;
  rf_page page;
  rf_sample sample;
  rf_checked checked;
};

// Makes it over `inner`; nullptr where that fails for want of memory, or where this build or system has none.
using Make = rf_allocator *(*)(Storage &storage, rf_allocator *inner, rf_reporter *reporter);

struct Subject {
  const char *name;
  Make make;
  bool counts; // its statistics have requested sizes
};

std::ostream &operator<<(std::ostream &out, const Subject &subject) {
  return out << subject.name;
}

rf_allocator *make_guard(Storage &s, rf_allocator *inner, rf_reporter *reporter, size_t quarantine) {
  rf_guard_options o;
  rf_guard_options_default(&o);
  o.quarantine = quarantine;
  o.reporter = reporter;
  return rf_guard_init(&s.guard, inner, &o) == RF_OK ? &s.guard.base : nullptr;
}

rf_allocator *make_sample(Storage &s, rf_allocator *inner, rf_reporter *reporter, unsigned rate) {
  rf_sample_options o;
  rf_sample_options_default(&o);
  o.rate = rate;
  o.reporter = reporter;
  return rf_sample_init(&s.sample, inner, &o) == RF_OK ? &s.sample.base : nullptr;
}

const Subject kSubjects[] = {
    {"lock",
     [](Storage &s, rf_allocator *inner, rf_reporter *) {
       return rf_lock_init(&s.lock, inner) == RF_OK ? &s.lock.base : nullptr;
     },
     true},
    {"oom",
     [](Storage &s, rf_allocator *inner, rf_reporter *) {
       return rf_oom_init(&s.oom, inner, 2) == RF_OK ? &s.oom.base : nullptr;
     },
     true},
    {"pool",
     [](Storage &s, rf_allocator *inner, rf_reporter *) {
       static const rf_pool_class kFew[] = {{16, 1}, {64, 2}};
       rf_pool_options o = {};
       o.classes = kFew;
       o.class_count = 2;
       return rf_pool_init(&s.pool, inner, &o) == RF_OK ? &s.pool.base : nullptr;
     },
     true},
    {"trace",
     [](Storage &s, rf_allocator *inner, rf_reporter *) {
       rf_tracer_options o = {};
       o.sink = {[](void *, const char *, size_t) {}, nullptr};
       o.memory = s.memory;
       o.size = sizeof s.memory;
       return rf_tracer_init(&s.tracer, inner, &o) == RF_OK ? &s.tracer.base : nullptr;
     },
     true},
    {"guard", [](Storage &s, rf_allocator *inner, rf_reporter *r) { return make_guard(s, inner, r, 4096); }, true},
    {"guard_without_quarantine",
     [](Storage &s, rf_allocator *inner, rf_reporter *r) { return make_guard(s, inner, r, 0); }, true},
    {"asan",
     [](Storage &s, rf_allocator *inner, rf_reporter *r) -> rf_allocator * {
       rf_guard_options o;
       rf_guard_options_default(&o);
       o.reporter = r;
       return rf_asan_init(&s.guard, inner, &o) == RF_OK ? &s.guard.base : nullptr;
     },
     true},
    {"page",
     [](Storage &s, rf_allocator *inner, rf_reporter *r) -> rf_allocator * {
       rf_page_options o;
       rf_page_options_default(&o);
       o.reporter = r;
       return rf_page_init(&s.page, inner, &o) == RF_OK ? &s.page.base : nullptr;
     },
     true},
    {"sample", [](Storage &s, rf_allocator *inner, rf_reporter *r) { return make_sample(s, inner, r, 2); }, false},
    {"sample_each", [](Storage &s, rf_allocator *inner, rf_reporter *r) { return make_sample(s, inner, r, 1); }, false},
    {"lock_over_guard_over_pool",
     [](Storage &s, rf_allocator *inner, rf_reporter *r) -> rf_allocator * {
       rf_pool_options const o = {};
       if (rf_pool_init(&s.pool, inner, &o) != RF_OK) {
         return nullptr;
       }
       return rf_lock_init(&s.lock, make_guard(s, &s.pool.base, r, 512)) == RF_OK ? &s.lock.base : nullptr;
     },
     true},
};

// ---- A program that uses every call, with what it expects of each block ----

class Program {
public:
  Program(rf_allocator *a, bool counts) : a_(a), counts_(counts) {}

  void run() {
    for (unsigned round = 0; round < 2; round++) {
      alloc(0, 24, 16, false);
      alloc(1, 200, 64, false);
      alloc(2, 40, 16, true);
      alloc(3, 5000, 16, false);
      realloc(0, 3000);
      realloc(1, 10);
      realloc(2, 60, 128);
      resize(3, 6000);
      resize(3, 100);
      free(1);
      alloc(1, 16, 16, true);
      realloc(3, 20000);
      free(2);
      alloc(2, 1, 256, false);
      free(round);
    }
    for (unsigned i = 0; i < kBlocks; i++) {
      free(i);
    }
  }

  // After each call.
  void expect_whole() {
    rf_stats s;
    rf_fault where;
    size_t bytes = 0;
    size_t blocks = 0;
    for (const Block &block : blocks_) {
      for (size_t i = 0; i < block.size; i++) {
        ASSERT_EQ(block.ptr[i], block.tag) << "byte " << i << " of a block of " << block.size;
      }
      bytes += block.ptr != nullptr ? block.size : 0;
      blocks += block.ptr != nullptr ? 1 : 0;
    }
    rf_stats_get(a_, &s);
    EXPECT_EQ(s.blocks, blocks);
    EXPECT_EQ(s.used, counts_ ? bytes : s.used);
    ASSERT_EQ(rf_check(a_, &where), RF_OK) << where.what;
  }

  size_t refused() const { return refused_; }

private:
  static constexpr unsigned kBlocks = 4;
  struct Block {
    unsigned char *ptr = nullptr;
    size_t size = 0;
    unsigned char tag = 0;
  };

  void set(Block &block, void *ptr, size_t size) {
    block = {static_cast<unsigned char *>(ptr), size, ++tag_};
    memset(ptr, block.tag, size);
    expect_whole();
  }

  void alloc(unsigned index, size_t size, size_t align, bool zeroed) {
    Block &block = blocks_[index];
    if (block.ptr != nullptr) {
      return;
    }
    void *const ptr = zeroed ? rf_calloc(a_, 1, size) : rf_aligned_alloc(a_, align, size);
    if (ptr == nullptr) {
      refused_++;
      expect_whole();
      return;
    }
    EXPECT_TRUE(rf_is_aligned(ptr, zeroed ? 16 : align));
    for (size_t i = 0; zeroed && i < size; i++) {
      ASSERT_EQ(static_cast<unsigned char *>(ptr)[i], 0);
    }
    set(block, ptr, size);
  }

  void realloc(unsigned index, size_t size, size_t align = 16) {
    Block &block = blocks_[index];
    if (block.ptr == nullptr) {
      return;
    }
    auto *const ptr = static_cast<unsigned char *>(rf_realloc_at(a_, block.ptr, size, align, RF_HERE));
    if (ptr == nullptr) {
      refused_++;
      expect_whole();
      return;
    }
    for (size_t i = 0; i < std::min(size, block.size); i++) {
      ASSERT_EQ(ptr[i], block.tag) << "byte " << i << " after a realloc from " << block.size << " to " << size;
    }
    set(block, ptr, size);
  }

  void resize(unsigned index, size_t size) {
    Block &block = blocks_[index];
    if (block.ptr != nullptr && rf_resize(a_, block.ptr, size) == RF_OK) {
      set(block, block.ptr, size);
    }
    expect_whole();
  }

  void free(unsigned index) {
    Block &block = blocks_[index];
    if (block.ptr != nullptr) {
      EXPECT_EQ(rf_free(a_, block.ptr), RF_OK);
    }
    block = {};
    expect_whole();
  }

  rf_allocator *a_;
  bool counts_; // statistics have requested sizes
  Block blocks_[kBlocks];
  unsigned char tag_ = 0;
  size_t refused_ = 0;
};

class InnerFailureTest : public testing::TestWithParam<std::tuple<Subject, bool>> {
protected:
  // False: the program ended before the k-th call.
  bool fail_at(size_t k) {
    const Subject &subject = std::get<0>(GetParam());
    auto const heap = std::make_unique<FailingHeap>(k, std::get<1>(GetParam()));
    auto const storage = std::make_unique<Storage>();
    Recorder recorder;
    SCOPED_TRACE("the inner call that fails is the " + std::to_string(k) + "th");
    rf_allocator *const a = subject.make(*storage, heap->allocator(), recorder.reporter());
    if (a == nullptr) {
      EXPECT_EQ(heap->blocks(), 0U);
      return heap->has_failed();
    }
    Program program(a, subject.counts);
    program.run();
    EXPECT_LE(program.refused(), heap->has_failed() ? 1U : 0U);
    for (rf_allocator *layer = a; layer != heap->allocator();) {
      rf_allocator *const below = rf_inner(layer);
      rf_deinit(layer);
      layer = below;
    }
    EXPECT_EQ(recorder.count(), 0U);
    EXPECT_EQ(heap->blocks(), 0U);
    return heap->has_failed();
  }
};

// A pool above asks for them at each call that reaches it.
TEST_P(InnerFailureTest, FiguresThatAreCountedAreAtHandHoweverManyBlocksThereAre) {
  const Subject &subject = std::get<0>(GetParam());
  auto const heap = std::make_unique<FailingHeap>(SIZE_MAX, std::get<1>(GetParam()));
  auto const storage = std::make_unique<Storage>();
  Recorder recorder;
  rf_allocator *const a = subject.make(*storage, heap->allocator(), recorder.reporter());
  if (a == nullptr) {
    GTEST_SKIP() << "not in this build, or not on this system";
  }
  void *const p = rf_alloc(a, 20);
  void *const q = rf_alloc(a, 3000);
  EXPECT_EQ(rf_free(a, p), RF_OK);
  size_t const before = heap->looks();
  rf_counters c;
  rf_counters_get(a, &c);
  EXPECT_EQ(heap->looks(), before);
  rf_stats s;
  rf_stats_get(a, &s);
  EXPECT_EQ(c.used, s.used);
  EXPECT_EQ(c.peak, s.peak);
  EXPECT_EQ(c.blocks, s.blocks);
  EXPECT_EQ(c.peak_blocks, s.peak_blocks);
  EXPECT_EQ(c.allocations, s.allocations);
  EXPECT_EQ(c.failures, s.failures);
  EXPECT_EQ(rf_free(a, q), RF_OK);
  rf_deinit(a);
}

TEST_P(InnerFailureTest, EveryOneIsSurvived) {
  size_t k = 1;
  while (fail_at(k) && !HasFailure()) {
    k++;
  }
  const Subject &subject = std::get<0>(GetParam());
  RecordProperty("calls", static_cast<int>(k - 1));
  EXPECT_LT(k, 1000U) << "the program does not end";
  if (std::string(subject.name) != "asan" && std::string(subject.name) != "sample_each") {
    EXPECT_GT(k, 5U) << "the inner allocator is hardly called";
  }
}

INSTANTIATE_TEST_SUITE_P(All, InnerFailureTest, testing::Combine(testing::ValuesIn(kSubjects), testing::Bool()),
                         [](const auto &test) {
                           return std::string(std::get<0>(test.param).name) +
                                  (std::get<1>(test.param) ? "_over_a_bare_heap" : "");
                         });

TEST(InnerFailure, PoolsAreMadeOrNot) {
  for (size_t k = 1; k <= 2; k++) {
    auto const heap = std::make_unique<FailingHeap>(k, false);
    rf_mempool *pool = nullptr;
    rf_status const status = rf_mempool_create(heap->allocator(), 4, 32, 16, &pool);
    EXPECT_EQ(status, k == 1 ? RF_ERR_NO_MEMORY : RF_OK);
    if (status == RF_OK) {
      EXPECT_EQ(rf_mempool_delete(pool), RF_OK);
    }
    EXPECT_EQ(heap->blocks(), 0U);
  }
}

} // namespace
} // namespace ringfence
