// Small blocks of the drop-in's heap, to the byte (checkers/dropin/heap/fast.h, fill.h, cache.c): what a block is
// filled with, and that a byte written beside it or after its free is found, by the short way, with registers of 16 and
// of 32 bytes (wide.c), and by the long one.
#include "tests/checkers/recorder.h"
#include "tests/checkers/single_step.h"
#include "tests/dropin/heap_alone.h"

#include <algorithm>
#include <set>
#include <thread>
#include <vector>

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/heap/check.h"
#include "checkers/shared/pattern.h"
}
#undef _Static_assert

namespace ringfence_test {
namespace {

constexpr uint16_t kThread = 5;
constexpr unsigned kGeneration = 6; // forks of several threads

rf_view view_at(const void *p) {
  rf_view v = {};
  EXPECT_TRUE(rf_view_at(reinterpret_cast<uintptr_t>(p), &v));
  return v;
}

// Up to the most that the short way serves, and one that it does not.
std::vector<size_t> sizes() {
  std::vector<size_t> all;
  for (size_t size = 0; size <= 84; size++) {
    all.push_back(size);
  }
  for (size_t const size :
       {128, 240, 241, 272, 304, 496, 512, 700, 1007, 1008, 1009, 1500, 2000, 3600, 4079, 4080, 4081}) {
    all.push_back(size);
  }
  return all;
}

bool is_all(const unsigned char *from, const unsigned char *to, unsigned char byte) {
  return std::all_of(from, to, [byte](unsigned char c) { return c == byte; });
}

enum class Way { kShort, kShortAndWide, kLong };

std::string name_of(Way way) {
  return way == Way::kShort ? "short_way" : way == Way::kShortAndWide ? "short_and_wide_way" : "long_way";
}

// Those that the processor can go.
std::vector<Way> ways() {
  std::vector<Way> all = {Way::kShort, Way::kLong};
#if RF_HAS_WIDE
  if (__builtin_cpu_supports("avx2")) {
    all.push_back(Way::kShortAndWide);
  }
#endif
  return all;
}

class SlotBytes : public testing::TestWithParam<Way> {
protected:
  // With options that leave this way alone.
  void run(const std::function<void()> &test) {
    heap_alone([&] {
      rf_heap_options_now.fast_most = GetParam() != Way::kLong ? RF_FAST_MOST : 0;
      rf_heap_options_now.wide = GetParam() == Way::kShortAndWide;
      rf_heap_options_now.reporter = recorder_.reporter();
      rf_heap_generation = kGeneration;
      cache_ = rf_cache_take(0);
      rf_cache_set_number(cache_, kThread);
      test();
    });
  }

  unsigned char *make(size_t size) {
    return static_cast<unsigned char *>(rf_cache_malloc(cache_, size, RF_FAMILY_MALLOC, &origin_));
  }
  bool release(void *p) { return rf_cache_free(cache_, p, RF_FAMILY_MALLOC, SIZE_MAX, &origin_); }

  // The block that was freed last is what the next request of its class gets.
  void make_next(const void *freed) {
    rf_bin &bin = cache_->bins[view_at(freed).span->class_number];
    std::swap(bin.ring[(bin.end - 1) & bin.mask], bin.ring[bin.first & bin.mask]);
    bin.ripe = bin.first + 1;
  }

  size_t found() { return recorder_.take().size(); }

  rf_cache *cache_ = nullptr;
  rf_origin const origin_ = {};
  ringfence::Recorder recorder_;
};

INSTANTIATE_TEST_SUITE_P(Each, SlotBytes, testing::ValuesIn(ways()),
                         [](const auto &way) { return name_of(way.param); });

TEST_P(SlotBytes, OfANewBlockAndOfAFreedOneAreFilled) {
  run([this] {
    for (size_t const size : sizes()) {
      unsigned char *const p = make(size);
      rf_view const v = view_at(p);
      ASSERT_EQ(v.size, size);
      EXPECT_EQ(v.span->slot_size, rf_size_classes[rf_class_for(size + RF_TAIL_LEAST)].size) << size;
      EXPECT_TRUE(is_all(p, p + size, RF_PATTERN_NEW)) << size;
      EXPECT_TRUE(is_all(p + size, v.end, RF_PATTERN_REDZONE)) << size;
      EXPECT_EQ(rf_cache_used(cache_), size);
      EXPECT_EQ(rf_cache_blocks(cache_), 1U);
      EXPECT_EQ(v.slot->allocated_by, kThread);
      EXPECT_EQ(rf_slot_generation(v.slot), kGeneration);
      EXPECT_EQ(v.slot->released_by, 0);
      EXPECT_TRUE(release(p));
      EXPECT_TRUE(is_all(p, v.end - RF_TAIL_LEAST, RF_PATTERN_FREED)) << size;
      EXPECT_TRUE(is_all(v.end - RF_TAIL_LEAST, v.end, RF_PATTERN_REDZONE)) << size;
      EXPECT_EQ(rf_cache_used(cache_), 0U);
      EXPECT_EQ(rf_cache_blocks(cache_), 0U);
      EXPECT_EQ(v.slot->released_by, kThread);
      EXPECT_EQ(rf_slot_generation(v.slot), kGeneration);
      v.slot->released = 7; // the number of a stack
      make_next(p);
      ASSERT_EQ(make(size), p);
      EXPECT_EQ(v.slot->released, 0U) << "of a live block";
      EXPECT_TRUE(is_all(p, p + size, RF_PATTERN_NEW)) << size;
      EXPECT_TRUE(release(p));
    }
    EXPECT_EQ(found(), 0U);
  });
}

TEST_P(SlotBytes, BesideALiveBlockAreComparedByItsFree) {
  run([this] {
    for (size_t const size : sizes()) {
      unsigned char *p = make(size);
      const unsigned char *const end = view_at(p).end;
      auto const slot_size = static_cast<size_t>(end - p);
      for (size_t at = size; at < slot_size + 16; at++) {
        unsigned char *const byte = at < slot_size ? p + at : p + slot_size - 1 - at;
        *byte ^= 1;
        ASSERT_TRUE(release(p));
        ASSERT_EQ(found(), 1U) << size << " at " << byte - p;
        bool const filled = byte >= p && byte < end - RF_TAIL_LEAST;
        ASSERT_EQ(*byte, filled ? RF_PATTERN_FREED : RF_PATTERN_REDZONE) << size << " at " << byte - p;
        make_next(p);
        ASSERT_EQ(make(size), p);
      }
      ASSERT_TRUE(release(p));
      ASSERT_EQ(found(), 0U) << size;
    }
  });
}

TEST_P(SlotBytes, OfAFreedBlockAreComparedBeforeTheyServeAgain) {
  run([this] {
    for (size_t const size : sizes()) {
      unsigned char *const p = make(size);
      auto const slot_size = static_cast<size_t>(view_at(p).end - p);
      for (size_t at = 0; at < slot_size; at++) {
        ASSERT_TRUE(release(p));
        p[at] ^= 1;
        make_next(p);
        ASSERT_EQ(make(size), p);
        ASSERT_EQ(found(), 1U) << size << " at " << at;
      }
      ASSERT_TRUE(release(p));
      ASSERT_EQ(found(), 0U) << size;
    }
  });
}

// One that was made smaller where it is has a longer guard than others in its class.
TEST_P(SlotBytes, OfALongGuardAreComparedAsWell) {
  run([this] {
    for (size_t const size : {80, 200, 1000}) {
      for (size_t at = size - 70; at < size; at += 5) {
        for (bool const freed : {false, true}) {
          unsigned char *const p = make(size);
          view_at(p).slot->size = static_cast<uint16_t>(size - 70);
          memset(p + size - 70, RF_PATTERN_REDZONE, 70);
          cache_->room += 70;
          p[at] = freed ? p[at] : 'x';
          ASSERT_TRUE(release(p));
          ASSERT_EQ(found(), freed ? 0U : 1U) << size << " at " << at;
          p[at] = freed ? 'x' : p[at];
          make_next(p);
          ASSERT_EQ(make(size), p);
          ASSERT_EQ(found(), freed ? 1U : 0U) << size << " at " << at;
          ASSERT_TRUE(release(p));
        }
      }
    }
  });
}

// The guard before a block whose lower neighbour was none yet is that one's end, and compared before it becomes one.
TEST_P(SlotBytes, AtTheEndOfANewSlotAreComparedBeforeItIsABlock) {
  run([this] {
    for (size_t const size : {40, 700}) {
      unsigned char *const first = make(size);
      rf_bin const &bin = cache_->bins[view_at(first).span->class_number];
      rf_slot_place &next = bin.ring[bin.first & bin.mask];
      std::swap(next, bin.ring[(bin.first + 1) & bin.mask]);
      unsigned char *const upper = make(size);
      unsigned char *const lower = upper - bin.slot_size;
      ASSERT_EQ(bin.ring[bin.first & bin.mask].begin, lower);
      upper[-1] = 'x';
      ASSERT_EQ(make(size), lower);
      std::vector<rf_finding> const told = recorder_.take();
      ASSERT_EQ(told.size(), 1U);
      EXPECT_EQ(told[0].bug, RF_BUG_BUFFER_UNDERFLOW);
      EXPECT_EQ(told[0].block, reinterpret_cast<uintptr_t>(upper));
    }
  });
}

// Holds for any bytes: a payload may look like guards.
TEST_P(SlotBytes, ThatLookLikeGuardsMakeNoBlockOfAPointerIntoOne) {
  run([this] {
    for (size_t const size : {1, 16, 48, 112, 240, 496, 1008, 4080}) {
      std::vector<unsigned char *> blocks;
      for (int i = 0; i < 8; i++) {
        blocks.push_back(make(size));
        memset(blocks.back(), RF_PATTERN_REDZONE, size);
      }
      rf_view const v = view_at(blocks[0]);
      for (size_t at = 1; at < v.span->slot_size; at++) {
        ASSERT_FALSE(release(blocks[2] + at)) << size << " at " << at;
        ASSERT_EQ(found(), 1U) << size << " at " << at;
      }
      for (uintptr_t at = rf_span_start(v.span); at < v.span->base; at++) {
        ASSERT_FALSE(release(reinterpret_cast<void *>(at))) << size << " at " << at;
        ASSERT_EQ(found(), 1U) << size << " at " << at;
      }
      for (unsigned char *const p : blocks) {
        ASSERT_TRUE(release(p));
      }
      ASSERT_EQ(found(), 0U);
    }
  });
}

TEST_P(SlotBytes, OfABlockFreedAsOfAnotherSizeOrFamilyAreFreedAndItIsTold) {
  run([this] {
    for (size_t const size : {40, 700, 1500}) {
      EXPECT_TRUE(rf_cache_free(cache_, make(size), RF_FAMILY_MALLOC, size, &origin_));
      EXPECT_EQ(found(), 0U);
      EXPECT_TRUE(rf_cache_free(cache_, make(size), RF_FAMILY_MALLOC, size + 1, &origin_));
      EXPECT_EQ(found(), 1U);
      EXPECT_TRUE(rf_cache_free(cache_, make(size), RF_FAMILY_NEW, SIZE_MAX, &origin_));
      EXPECT_EQ(found(), 1U);
    }
    EXPECT_EQ(rf_cache_blocks(cache_), 0U);
  });
}

// As far as the option says, wherever the short way ends.
TEST_P(SlotBytes, OfAFreedBlockAreFilledAsFarAsAsked) {
  run([this] {
    rf_heap_options_now.fill_free = RF_FAST_MOST;
    rf_heap_options_now.fill_alloc = RF_FAST_MOST;
    for (size_t const size : {RF_FAST_MOST, RF_FAST_MOST + 1, RF_FAST_MOST + 100, size_t{5000}, size_t{100000}}) {
      unsigned char *const p = make(size);
      EXPECT_TRUE(is_all(p, p + RF_FAST_MOST, RF_PATTERN_NEW)) << size;
      memset(p, 'x', size);
      EXPECT_TRUE(release(p));
      EXPECT_TRUE(is_all(p, p + RF_FAST_MOST, RF_PATTERN_FREED)) << size;
      EXPECT_TRUE(is_all(p + std::min(size, RF_FAST_MOST + 16), p + size, 'x')) << size;
    }
    EXPECT_EQ(found(), 0U);
  });
}

#ifdef RF_CAN_STEP

// The second one's free is played after each instruction of the first one's.
TEST_P(SlotBytes, OfABlockThatTwoThreadsFreeAtOnceAreFreedOnce) {
  run([this] {
    rf_cache *const other = rf_cache_take(0);
    std::thread([&] { // there may be several
      unsigned by_other = 0;
      unsigned after = 0;
      bool both = true;
      while (both) {
        SCOPED_TRACE(after += after < 300 ? 1 : 97); // reports take long
        void *const p = make(40);
        bool done[2] = {false, false};
        both = run_with_other_after(
            after, [&] { done[0] = release(p); },
            [&] { done[1] = rf_cache_free(other, p, RF_FAMILY_MALLOC, SIZE_MAX, &origin_); });
        EXPECT_NE(done[0], done[1]);
        std::vector<rf_finding> const told = recorder_.take(); // the rest waits for the fill, in a thread of its own
        auto const twice = [](const rf_finding &f) { return f.bug == RF_BUG_DOUBLE_FREE; };
        EXPECT_EQ(std::count_if(told.begin(), told.end(), twice), both ? 1 : 0);
        EXPECT_EQ(rf_cache_blocks(cache_) + rf_cache_blocks(other), 0U);
        by_other += done[1] ? 1 : 0;
      }
      EXPECT_GT(by_other, 20U);
    })
        .join();
  });
}

#endif

} // namespace
} // namespace ringfence_test
