// Guard over inner allocators that no heap of ours is like: one that gives each block pages of its own and takes them
// away, one that gives much more than is asked for, one that records what it is asked for.
#include "tests/checkers/recorder.h"
#include "tests/core/unwatched.h"

#include <ringfence/guard.h>
#include <ringfence/pool.h>
#include <ringfence/simple.h>
#include <ringfence/std.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <vector>

#include <sys/mman.h>

namespace ringfence {
namespace {

constexpr size_t kPage = 4096;

unsigned char *map_pages(size_t size) {
  void *const p = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  EXPECT_NE(p, MAP_FAILED);
  return static_cast<unsigned char *>(p);
}

// An inner allocator whose blocks are mappings.
class Pages {
public:
  Pages() {
    ops.name = "pages";
    ops.alloc = [](rf_allocator *self, size_t size, size_t, const rf_site *) { return of(self).alloc(size); };
    ops.free = [](rf_allocator *self, void *ptr, const rf_site *) { return of(self).free(ptr); };
    ops.usable_size = [](rf_allocator *self, const void *ptr) { return of(self).size_of(ptr); };
    ops.owns = [](rf_allocator *self, const void *ptr) { return of(self).owns(ptr); };
    ops.stats = [](rf_allocator *, rf_stats *out) { *out = {}; };
    ops.reject = [](rf_allocator *self, rf_reject why, size_t, size_t, const rf_site *) {
      of(self).rejected.push_back(why);
    };
    base.ops = &ops;
  }
  ~Pages() {
    while (!blocks.empty()) {
      free(blocks.begin()->first);
    }
  }
  Pages(const Pages &) = delete;
  Pages &operator=(const Pages &) = delete;

  rf_allocator base = {};
  rf_allocator_ops ops = {};
  size_t more = 0; // bytes beyond those asked for
  size_t largest_request = 0;
  std::vector<rf_reject> rejected;
  std::map<unsigned char *, size_t> blocks;

private:
  static Pages &of(rf_allocator *self) { return *reinterpret_cast<Pages *>(self); }

  void *alloc(size_t size) {
    largest_request = std::max(largest_request, size);
    if (size > 64 * kPage) {
      return nullptr;
    }
    size_t const whole = (size + more + kPage - 1) & ~(kPage - 1);
    unsigned char *const p = map_pages(whole);
    blocks[p] = whole;
    return p;
  }

  rf_status free(void *ptr) {
    auto const block = blocks.find(static_cast<unsigned char *>(ptr));
    if (block == blocks.end()) {
      return RF_ERR_BAD_POINTER;
    }
    munmap(block->first, block->second);
    blocks.erase(block);
    return RF_OK;
  }

  size_t size_of(const void *ptr) const {
    auto const block = blocks.find(static_cast<unsigned char *>(const_cast<void *>(ptr)));
    return block != blocks.end() ? block->second : 0;
  }

  bool owns(const void *ptr) const {
    return std::any_of(blocks.begin(), blocks.end(), [ptr](const std::pair<unsigned char *const, size_t> &block) {
      return reinterpret_cast<uintptr_t>(ptr) - reinterpret_cast<uintptr_t>(block.first) < block.second;
    });
  }
};

class GuardInner : public testing::Test {
protected:
  ~GuardInner() override {
    if (made_ && guard.base.ops->deinit != nullptr) {
      guard.base.ops->deinit(&guard.base);
    }
    EXPECT_EQ(recorder.count(), 0U) << "findings that no test took";
  }

  void make(rf_allocator *inner, size_t quarantine) {
    rf_guard_options options;
    rf_guard_options_default(&options);
    options.quarantine = quarantine;
    options.reporter = recorder.reporter();
    ASSERT_EQ(rf_guard_init(&guard, inner, &options), RF_OK);
    made_ = true;
  }

  rf_bug found() {
    std::vector<rf_finding> const all = recorder.take();
    EXPECT_EQ(all.size(), 1U);
    return all.empty() ? RF_BUG_COUNT : all[0].bug;
  }

  Pages pages;
  Recorder recorder;
  rf_guard guard;
  rf_allocator *const a = &guard.base;

private:
  bool made_ = false;
};

TEST_F(GuardInner, PagesThatItGivesUpAreNotLookedAtAgain) {
  make(&pages.base, 0);
  ASSERT_NE(rf_alloc(a, 10), nullptr);
  void *const p = rf_alloc(a, 10);
  EXPECT_EQ(rf_free(a, p), RF_OK);
  ASSERT_EQ(pages.blocks.size(), 1U);
  EXPECT_EQ(rf_free(a, p), RF_ERR_BAD_POINTER);
  EXPECT_EQ(found(), RF_BUG_BAD_FREE);
}

TEST_F(GuardInner, ASweepDoesNotGoOnInPagesThatItGaveUp) {
  make(&pages.base, 0);
  std::vector<void *> blocks(20);
  for (void *&p : blocks) {
    p = rf_alloc(a, 10);
  }
  EXPECT_EQ(rf_guard_sweep_step(&guard, 0), 0U);
  auto *const stopped = reinterpret_cast<unsigned char *>(guard.swept) + RF_GUARD_PREFIX;
  ASSERT_EQ(std::count(blocks.begin(), blocks.end(), stopped), 1);
  EXPECT_EQ(rf_free(a, stopped), RF_OK);
  EXPECT_EQ(rf_guard_sweep_step(&guard, 0), 0U);
  for (void *const p : blocks) {
    EXPECT_EQ(p == stopped ? RF_OK : rf_free(a, p), RF_OK);
  }
}

// A decorator answers for its own blocks, and says no for those of an allocator below it that cannot tell.
TEST_F(GuardInner, APoolOverAHeapThatCannotTellWhatItOwnsIsNoHeapThatCan) {
  static const rf_pool_class classes[] = {{64, 4}, {128, 4}, {240, 4}};
  rf_pool_options const options = {classes, 3, nullptr, 0};
  rf_std heap;
  rf_pool pool;
  ASSERT_EQ(rf_std_init(&heap), RF_OK);
  ASSERT_EQ(rf_pool_init(&pool, &heap.base, &options), RF_OK);
  make(&pool.base, 0);
  void *const small = rf_alloc(a, 20); // the pool's
  void *const large = rf_alloc(a, 1000);
  EXPECT_EQ(rf_usable_size(a, large), 1000U);
  EXPECT_EQ(rf_free(a, large), RF_OK);
  EXPECT_EQ(rf_free(a, small), RF_OK);
  rf_deinit(a);
}

// The same of one that does not name the allocator below it.
TEST_F(GuardInner, ABlockThatADecoratorDoesNotKnowIsFreed) {
  static size_t known;
  known = 1;
  pages.ops.owns = [](rf_allocator *self, const void *ptr) {
    (void)self;
    (void)ptr;
    return known != 0;
  };
  make(&pages.base, 0);
  void *const first = rf_alloc(a, 10);
  void *const second = rf_alloc(a, 10);
  known = 0;
  EXPECT_EQ(rf_free(a, second), RF_OK);
  EXPECT_EQ(rf_usable_size(a, first), 10U);
  EXPECT_EQ(rf_free(a, first), RF_OK);
  EXPECT_EQ(rf_free(a, first), RF_ERR_BAD_POINTER);
  EXPECT_EQ(found(), RF_BUG_BAD_FREE);
}

// The header before such a pointer would begin in the arena and end behind it.
TEST_F(GuardInner, NothingBehindTheArenaIsLookedAt) {
  unsigned char *const memory = map_pages(2 * kPage);
  ASSERT_EQ(mprotect(memory + kPage, kPage, PROT_NONE), 0);
  rf_simple heap;
  ASSERT_EQ(rf_simple_init(&heap, memory, kPage), RF_OK);
  make(&heap.base, 0);
  void *const p = rf_alloc(a, 10);
  ASSERT_EQ(rf_free(a, p), RF_OK) << "the guard knows what its inner allocator owns";
  for (size_t at = 16; at < RF_GUARD_PREFIX; at += 16) {
    EXPECT_EQ(rf_free(a, memory + kPage + at), RF_ERR_BAD_POINTER) << at;
    EXPECT_EQ(found(), RF_BUG_BAD_FREE) << at;
  }
  rf_deinit(a); // and the heap
  munmap(memory, 2 * kPage);
}

TEST_F(GuardInner, TheRedzoneOfABlockWithMuchSlackIsLimited) {
  pages.more = 70000;
  make(&pages.base, 0);
  auto *const p = static_cast<unsigned char *>(rf_alloc(a, 10));
  ASSERT_NE(p, nullptr);
  p[10 + RF_GUARD_BACK_MAX] ^= 1;
  EXPECT_EQ(rf_guard_sweep(&guard), 0U) << "behind the redzone";
  p[10 + RF_GUARD_BACK_MAX - 1] ^= 1;
  EXPECT_EQ(rf_guard_sweep(&guard), 1U) << "its last byte";
  EXPECT_EQ(found(), RF_BUG_BUFFER_OVERFLOW);
  EXPECT_EQ(rf_free(a, p), RF_OK);
}

// By its bytes, up to the longest that a redzone may be, whatever follows: so the rest of a header whose traits are
// lost is known to be well.
TEST_F(GuardInner, TheLengthOfARedzoneIsMeasuredWhereTheHeaderLostIt) {
  size_t const longest = RF_GUARD_BACK_MAX - RF_GUARD_BACK_MIN;
  for (size_t const more : {size_t{0}, size_t{1}, size_t{84}, longest - 1, longest, longest + 1, size_t{70000}}) {
    pages.more = more;
    make(&pages.base, 0);
    auto *const p = static_cast<unsigned char *>(rf_alloc(a, 10));
    ASSERT_NE(p, nullptr);
    if (more > longest) {
      p[10 + RF_GUARD_BACK_MAX] = p[-1]; // as a redzone has
    }
    auto *const header = reinterpret_cast<rf_guard_header *>(p - RF_GUARD_PREFIX);
    header->back = UINT16_MAX;
    header->kind = static_cast<decltype(header->kind)>(~header->kind);
    EXPECT_EQ(rf_guard_sweep(&guard), 1U) << more;
    ASSERT_EQ(recorder.count(), 1U);
    rf_finding const f = recorder.take().front();
    EXPECT_EQ(f.bug, RF_BUG_METADATA) << more;
    EXPECT_EQ(f.address, reinterpret_cast<uintptr_t>(&header->back)) << more;
    EXPECT_EQ(f.size, 10U) << more;
  }
}

TEST_F(GuardInner, IsNeverAskedForMoreThanTheLimit) {
  make(&pages.base, 0);
  for (size_t const less : {size_t{0}, size_t{1}, RF_GUARD_PREFIX, RF_GUARD_PREFIX + RF_GUARD_BACK_MIN, kPage}) {
    EXPECT_EQ(rf_alloc(a, RF_SIZE_LIMIT - less), nullptr);
    EXPECT_EQ(rf_aligned_alloc(a, 1024, RF_SIZE_LIMIT - less), nullptr);
  }
  EXPECT_LE(pages.largest_request, RF_SIZE_LIMIT);
  EXPECT_EQ(recorder.count(), 0U);
}

// The request for another place empties the quarantine, and the block grows into what was there.
TEST_F(GuardInner, ABlockGrowsIntoWhatTheQuarantineGaveBackForItsMove) {
  alignas(16) static unsigned char arena[56 * 1024];
  rf_simple heap;
  ASSERT_EQ(rf_simple_init(&heap, arena, sizeof arena), RF_OK);
  make(&heap.base, 32 * 1024);
  void *const p = rf_alloc(a, 20000);
  void *const behind = rf_alloc(a, 10000);
  void *const last = rf_alloc(a, 20000);
  ASSERT_NE(last, nullptr);
  EXPECT_EQ(rf_free(a, behind), RF_OK);
  EXPECT_EQ(rf_realloc(a, p, 28000), p);
  EXPECT_EQ(rf_realloc(a, p, 50000), nullptr);
  EXPECT_EQ(guard.counters.failures, 1U);
  EXPECT_EQ(rf_free(a, p), RF_OK);
  EXPECT_EQ(rf_free(a, last), RF_OK);
  rf_deinit(a); // and the heap
}

TEST_F(GuardInner, DamageToItFarBehindABlockIsNotThatBlocks) {
  Unwatched const unwatched;
  alignas(16) static unsigned char arena[4096];
  rf_simple heap;
  ASSERT_EQ(rf_simple_init(&heap, arena, sizeof arena), RF_OK);
  make(&heap.base, 0);
  void *const p = rf_alloc(a, 10);
  for (size_t const between : {100, 1000}) {
    void *const gap = rf_alloc(&heap.base, between);
    auto *const damaged = static_cast<unsigned char *>(rf_alloc(&heap.base, 10));
    ASSERT_NE(damaged, nullptr);
    damaged[-1] ^= 1;
    EXPECT_EQ(rf_guard_sweep(&guard), 1U);
    std::vector<rf_finding> const findings = recorder.take();
    ASSERT_EQ(findings.size(), 1U);
    EXPECT_EQ(findings[0].bug, RF_BUG_METADATA);
    EXPECT_EQ(findings[0].block, between < 256 ? reinterpret_cast<uintptr_t>(p) : 0U) << between;
    damaged[-1] ^= 1;
    EXPECT_EQ(rf_guard_sweep(&guard), 0U);
    EXPECT_EQ(rf_free(&heap.base, damaged), RF_OK);
    EXPECT_EQ(rf_free(&heap.base, gap), RF_OK);
  }
  EXPECT_EQ(rf_free(a, p), RF_OK);
  rf_deinit(a); // and the heap
}

TEST_F(GuardInner, HearsOfRejectedRequestsToo) {
  make(&pages.base, 0);
  EXPECT_EQ(rf_alloc(a, SIZE_MAX), nullptr);
  EXPECT_EQ(found(), RF_BUG_SIZE_TOO_BIG);
  EXPECT_EQ(rf_calloc(a, SIZE_MAX / 2, 3), nullptr);
  EXPECT_EQ(found(), RF_BUG_CALLOC_OVERFLOW);
  EXPECT_EQ(pages.rejected, (std::vector<rf_reject>{RF_REJECT_SIZE, RF_REJECT_OVERFLOW}));
}

} // namespace
} // namespace ringfence
