// The heap of the drop-in by itself: sweeps, what is no live block, right programs, the quarantine, its lock, and its
// size classes. (Sequences of requests against a model: //fuzz:dropin_heap_fuzz.)
#include "tests/dropin/heap_fixture.h"

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/heap/heap.h"
#include "checkers/dropin/heap/size_class.h"
#include "checkers/dropin/heap/walk.h"
#include "checkers/shared/pattern.h"
}
#undef _Static_assert

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <gtest/gtest.h>
#include <iterator>
#include <random>
#include <thread>
#include <utility>
#include <vector>

namespace ringfence {
namespace {

// The description behind those of a span's slots, or behind those in use, says nothing.
TEST_F(DropinHeap, ASweepOrWalkEndsWithTheSlotsInUse) {
  constexpr uint64_t kSecond = 1000000000;
  size_t (*const sweeps[])() = {
      rf_heap_as_allocator_sweep,
      [] { return rf_heap_sweep_newest(kSecond, nullptr); },
      [] { return rf_heap_sweep_step(kSecond, nullptr); },
  };
  auto const count = [](const rf_view *, void *context) { return ++*static_cast<size_t *>(context) != 0; };
  for (size_t const size : {40, 100000}) {
    rf_span *const span = rf_span_of(reinterpret_cast<uintptr_t>(make(size)));
    rf_slot &behind = span->slots[span->large ? 1 : span->carved];
    rf_slot const before = behind;
    size_t live = 0;
    rf_heap_walk(count, &live);
    behind = span->slots[0];
    behind.traits = rf_traits(RF_SLOT_FREED, RF_FAMILY_MALLOC, 4, 0);
    for (auto *const sweep : sweeps) {
      EXPECT_EQ(sweep(), 0U) << size;
      EXPECT_EQ(recorder_.take().size(), 0U) << size;
    }
    behind.traits = rf_traits(RF_SLOT_LIVE, RF_FAMILY_MALLOC, 4, 0);
    size_t again = 0;
    rf_heap_walk(count, &again);
    EXPECT_EQ(again, live) << size;
    behind = before;
  }
}

// Each step goes on where the one before stopped, and the one after the last begins anew.
TEST_F(DropinHeap, ASweepByStepsComesToEachBlockInTurn) {
  std::vector<unsigned char *> blocks;
  for (int i = 0; i < 1000; i++) {
    blocks.push_back(make(i % 10 == 0 ? 100000 : 40));
  }
  rf_origin const origin = {};
  for (int round = 0; round < 3; round++) {
    std::vector<unsigned char *> const damaged = {blocks[0], blocks[7], blocks[500], blocks[999]};
    for (unsigned char *const p : damaged) {
      p[p == blocks[7] || p == blocks[999] ? 40 : 100000] = 'x';
    }
    size_t found = 0;
    for (int step = 0; step < 2000 && found < damaged.size(); step++) {
      found += rf_heap_sweep_step(0, &origin);
    }
    EXPECT_EQ(found, damaged.size()) << round;
    EXPECT_EQ(recorder_.take().size(), damaged.size());
  }
  EXPECT_EQ(rf_heap_as_allocator_sweep(), 0U);
}

bool count_range(uintptr_t start, uintptr_t end, void *context) {
  EXPECT_LT(start, end);
  auto *const left = static_cast<int *>(context);
  ++*left;
  return *left < 2;
}

// One that is refused is not the last.
TEST_F(DropinHeap, NamesAllOfItsMemory) {
  unsigned char *const blocks[] = {make(40), make(3000000), make(4000000)};
  int visited = 0;
  EXPECT_FALSE(rf_heap_each_range(count_range, &visited));
  int fewer = -1000;
  EXPECT_TRUE(rf_heap_each_range(count_range, &fewer));
  EXPECT_EQ(visited, fewer + 1000);
  EXPECT_GE(visited, 3);
  for (unsigned char *const p : blocks) {
    rf_free(heap_, p);
  }
}

TEST_F(DropinHeap, RefusesWhatIsNoLiveBlock) {
  unsigned char *const small = make(100);
  unsigned char *const large = make(1 << 20);
  for (unsigned char *const p : {small, large}) {
    (void)rf_free_at(heap_, p + 16, nullptr);
    (void)rf_free_at(heap_, p + 1, nullptr);
    (void)rf_free_at(heap_, p, nullptr);
    (void)rf_free_at(heap_, p, nullptr);
    std::vector<rf_finding> const found = recorder_.take();
    ASSERT_EQ(found.size(), 3U);
    EXPECT_EQ(found[0].bug, RF_BUG_BAD_FREE);
    EXPECT_EQ(found[1].offset, 1);
    EXPECT_EQ(found[2].bug, RF_BUG_DOUBLE_FREE);
  }
}

TEST_F(DropinHeap, TellsAPointerIntoABlockFromOneBesideIt) {
  for (size_t const size : {100, 1 << 20}) {
    unsigned char *const p = make(size);
    (void)rf_free_at(heap_, p + size - 1, nullptr);
    (void)rf_free_at(heap_, p + size, nullptr);
    (void)rf_free_at(heap_, p - 1, nullptr);
    std::vector<rf_finding> const found = recorder_.take();
    ASSERT_EQ(found.size(), 3U);
    EXPECT_STREQ(found[0].detail, "the pointer is inside a block");
    EXPECT_EQ(found[0].cwe, 761U);
    EXPECT_STREQ(found[1].detail, "the pointer is beside a block");
    EXPECT_EQ(found[1].block, reinterpret_cast<uintptr_t>(p));
    EXPECT_NE(found[1].cwe, 761U);
    EXPECT_STRNE(found[2].detail, "the pointer is inside a block");
    rf_free(heap_, p);
  }
}

TEST_F(DropinHeap, IsSilentAboutARightProgram) {
  std::mt19937 random(1);
  std::vector<unsigned char *> blocks(500);
  std::vector<size_t> sizes(500);
  for (int i = 0; i < 200000; i++) {
    size_t const k = random() % blocks.size();
    size_t const size = random() % 100 < 98 ? random() % 600 : random() % 200000;
    for (size_t at = 0; blocks[k] != nullptr && at < sizes[k]; at += 1 + sizes[k] / 3) {
      ASSERT_EQ(blocks[k][at], static_cast<unsigned char>(k));
    }
    if (random() % 4 == 0 && size != 0) {
      blocks[k] = static_cast<unsigned char *>(rf_realloc_at(heap_, blocks[k], size, 16, nullptr));
    } else {
      rf_free(heap_, blocks[k]);
      blocks[k] = make(size, random() % 50 == 0 ? 256 : 16);
    }
    sizes[k] = size;
    memset(blocks[k], static_cast<int>(k), size);
  }
  EXPECT_EQ(rf_heap_as_allocator_sweep(), 0U);
  EXPECT_EQ(recorder_.count(), 0U);
}

// Lists, sums, bitmaps and the page map, under every kind of options.
TEST_F(DropinHeap, AMovedBlockHasItsBytesAndBehindThemTheFill) {
  for (size_t const from : kSizes) {
    for (size_t const to : kSizes) {
      if (to == 0) {
        continue;
      }
      SCOPED_TRACE(testing::Message() << "from " << from << " to " << to);
      unsigned char *const p = make(from);
      auto *const q = static_cast<unsigned char *>(rf_realloc_at(heap_, p, to, 16, nullptr));
      ASSERT_NE(q, nullptr);
      size_t const kept = std::min(from, to);
      size_t const filled = std::max(kept, std::min(to, rf_heap_options_now.fill_alloc));
      EXPECT_EQ(std::count(q, q + kept, 1), static_cast<ptrdiff_t>(kept));
      if (q != p) {
        EXPECT_EQ(std::count(q + kept, q + filled, RF_PATTERN_NEW), static_cast<ptrdiff_t>(filled - kept));
      }
      EXPECT_EQ(rf_heap_as_allocator_sweep(), 0U);
      EXPECT_EQ(rf_free(heap_, q), RF_OK);
    }
  }
  EXPECT_EQ(recorder_.count(), 0U);
}

TEST_F(DropinHeap, AddsUpWhateverIsDone) {
  constexpr size_t kRun = size_t{1} << 20; // the largest that has no mapping of its own
  std::mt19937 random(5);
  for (size_t const quarantine : {options_.quarantine, size_t{0}, size_t{1} << 16, SIZE_MAX}) {
    options_.quarantine = quarantine;
    options_.fill_alloc = quarantine == 0 ? 0 : 4096;
    heap_ = rf_heap_as_allocator(quarantine == SIZE_MAX ? nullptr : &options_);
    std::vector<void *> blocks(200);
    for (int i = 0; i < 3000; i++) {
      void *&p = blocks[random() % blocks.size()];
      size_t const kinds[] = {600, 600, 600, 33000, 33000, kRun, 6 * kRun};
      size_t size = random() % kinds[random() % 7];
      size = random() % 20 == 0 ? kRun - 100 + random() % 200 : random() % 60 == 0 ? 33 * kRun : size;
      unsigned const what = random() % 4;
      if (what == 0 && p != nullptr && size != 0) {
        void *const moved = rf_realloc_at(heap_, p, size, 16, nullptr);
        p = moved != nullptr ? moved : p;
      } else {
        ASSERT_TRUE(p == nullptr || rf_free(heap_, p) == RF_OK);
        p = what == 1 ? nullptr : rf_alloc_at(heap_, size, size_t{16} << (what == 2 ? 0 : random() % 14), nullptr);
      }
      rf_fault where = {};
      ASSERT_TRUE(i % 20 != 0 || rf_check(heap_, &where) == RF_OK) << where.what << ", operation " << i;
    }
    for (void *const p : blocks) {
      ASSERT_TRUE(p == nullptr || rf_free(heap_, p) == RF_OK);
    }
    rf_fault where = {};
    ASSERT_EQ(rf_check(heap_, &where), RF_OK) << where.what;
    rf_deinit(heap_);
    ASSERT_EQ(rf_check(heap_, &where), RF_OK) << where.what;
    EXPECT_EQ(recorder_.count(), 0U);
  }
}

// Half of the quarantine, at most 512 KiB, but at least an eighth; counted in slots, the smallest as 64 bytes.
TEST_F(DropinHeap, AFreedBlockWaitsForAsManyBytesAsTheOptionsSay) {
  for (auto const &[quarantine, wait] : std::vector<std::pair<size_t, size_t>>{{size_t{64} << 10, size_t{32} << 10},
                                                                               {size_t{1} << 20, size_t{512} << 10},
                                                                               {size_t{6} << 20, size_t{768} << 10}}) {
    options_.quarantine = quarantine;
    heap_ = rf_heap_as_allocator(&options_);
    for (auto const &[size, weight] : std::vector<std::pair<size_t, size_t>>{{8, 80}, {112, 176}, {900, 1008}}) {
      unsigned char *const p = make(size);
      ASSERT_EQ(rf_free(heap_, p), RF_OK);
      size_t freed = 0;
      unsigned char *q = make(size);
      for (; q != p && freed < 3 * wait; q = make(size)) {
        ASSERT_EQ(rf_free(heap_, q), RF_OK);
        freed += weight;
      }
      EXPECT_GE(freed, wait) << size << " bytes";
      EXPECT_LE(freed, wait + wait / 4 + 3072) << size << " bytes";
      ASSERT_EQ(rf_free(heap_, q), RF_OK);
    }
    rf_deinit(heap_);
  }
}

// True where the request ended after another thread had given back the heap's lock, which it had before.
template <typename Request> bool waits_for_the_lock(Request request) {
  std::atomic<bool> locked{false};
  std::atomic<bool> asks{false};
  std::atomic<bool> released{false};
  std::thread other([&] {
    rf_heap_as_allocator_lock();
    locked = true;
    while (!asks) {
      std::this_thread::yield();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(3)); // it asks meanwhile
    released = true;
    rf_heap_as_allocator_unlock();
  });
  while (!locked) {
    std::this_thread::yield();
  }
  asks = true;
  request();
  bool const waited = released;
  other.join();
  return waited;
}

// Threads share slots for a cache, large blocks, their sizes.
TEST_F(DropinHeap, ItsLockIsTakenForAllThatThreadsShare) {
  void *small = nullptr;
  void *large = nullptr;
  EXPECT_TRUE(waits_for_the_lock([&] { small = rf_alloc(heap_, 17777); })) << "slots of a class that has none";
  EXPECT_TRUE(waits_for_the_lock([&] { large = rf_alloc(heap_, 200000); })) << "a large block";
  EXPECT_TRUE(waits_for_the_lock([&] { large = rf_realloc(heap_, large, 220000); })) << "another size";
  EXPECT_TRUE(waits_for_the_lock([&] { EXPECT_EQ(rf_free(heap_, large), RF_OK); })) << "a large block freed";
  EXPECT_EQ(rf_free(heap_, small), RF_OK);
  EXPECT_TRUE(waits_for_the_lock([&] { heap_ = rf_heap_as_allocator(&options_); })) << "all that is kept goes back";
}

// ---- Size classes ----

constexpr size_t kUnit = 65536; // of a span, which has guard bytes in front
constexpr size_t kFront = 64;

// docs/checkers/dropin.md: 32 bytes and up in steps of 16, from 256 on eight classes to a doubling, up to 32 KiB; spans
// of 64 to 512 KiB; guards of 16 bytes at least; 16 bytes of description for a slot.
TEST(DropinSizeClasses, AreThoseOfThePage) {
  rf_size_classes_init();
  std::vector<size_t> expected;
  for (size_t size = 32; size <= 256; size += 16) {
    expected.push_back(size);
  }
  for (size_t base = 256; base < 32768; base *= 2) {
    for (size_t k = 1; k <= 8; k++) {
      expected.push_back(base + k * base / 8);
    }
  }
  ASSERT_EQ(expected.size(), std::size(rf_size_classes));
  for (size_t i = 0; i < expected.size(); i++) {
    EXPECT_EQ(rf_size_classes[i].size, expected[i]) << i;
    EXPECT_GE(rf_size_classes[i].units, 1U);
    EXPECT_LE(rf_size_classes[i].units, 8U);
  }
  EXPECT_EQ(RF_UNIT, 65536U);
  EXPECT_EQ(RF_TAIL_LEAST, 16U);
  EXPECT_EQ(sizeof(rf_slot), 16U);
}

TEST(DropinSizeClasses, ServeEachSizeFromTheSmallestThatHoldsIt) {
  rf_size_classes_init();
  for (size_t need = 1; need <= RF_SLOT_MOST; need++) {
    unsigned const number = rf_class_for(need);
    ASSERT_LT(number, RF_CLASSES) << need;
    ASSERT_GE(rf_size_classes[number].size, need);
    ASSERT_TRUE(number == 0 || rf_size_classes[number - 1].size < need) << need;
  }
  EXPECT_EQ(rf_class_for(RF_SLOT_MOST), RF_CLASSES - 1);
}

TEST(DropinSizeClasses, FillTheirSpansAndFindTheirSlots) {
  rf_size_classes_init();
  for (const rf_size_class &c : rf_size_classes) {
    EXPECT_EQ(c.size % 16, 0U);
    size_t const room = c.units * kUnit - kFront;
    EXPECT_LE(c.count * c.size, room);
    EXPECT_GT((c.count + 1) * c.size, room);
    EXPECT_GE(c.count, 15U);
    EXPECT_EQ(c.units, c.size <= 2048 ? 1U : c.size <= 4096 ? 2U : c.size <= 8192 ? 4U : 8U);
    EXPECT_EQ(c.batch, std::max<size_t>(1, std::min<size_t>(32, 4096 / c.size)));
    EXPECT_EQ(c.most, std::max<size_t>(2 * c.batch, std::min<size_t>(128, 8192 / c.size)));
    for (size_t i = 0; i < c.count; i++) {
      ASSERT_EQ(uint64_t{i * c.size} * c.magic >> 40, i) << c.size;
      ASSERT_EQ(uint64_t{(i + 1) * c.size - 1} * c.magic >> 40, i) << c.size;
    }
  }
}

} // namespace
} // namespace ringfence
