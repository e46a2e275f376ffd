// The bins of a cache (checkers/dropin/heap/bins.c): rings and the memory that they want, the order of slots, and ages.
#include "tests/dropin/address_space.h"
#include "tests/dropin/heap_alone.h"

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/heap/bins.h"
#include "checkers/dropin/heap/check.h"
#include "checkers/dropin/heap/walk.h"
#include "checkers/dropin/os/pages.h"
}
#undef _Static_assert

#include <algorithm>
#include <set>
#include <vector>

namespace ringfence_test {
namespace {

constexpr unsigned kClass = 3; // a batch of 32 slots
constexpr uint32_t kPlaces = 32;

class Bins {
public:
  rf_cache *const cache = rf_cache_take(0);
  rf_bin &bin = cache->bins[kClass];

  uint32_t held() const { return bin.end - bin.first; }
  uint32_t ripe() const { return bin.ripe - bin.first; }
  uint32_t places() const { return bin.mask + 1; }

  static rf_slot_place slot_of(unsigned heap) {
    rf_slot_place place = {};
    EXPECT_EQ(rf_slots_take(heap, kClass, &place, 1), 1U);
    return place;
  }
  void add(unsigned heap = 0) {
    if (rf_bin_is_full(&bin)) {
      ASSERT_TRUE(rf_bins_make_room(cache, kClass));
    }
    *rf_bin_at(&bin, bin.end++) = slot_of(heap);
  }
  std::vector<void *> order() const {
    std::vector<void *> all;
    for (uint32_t i = bin.first; i != bin.end; i++) {
      all.push_back(rf_bin_at(&bin, i)->begin);
    }
    return all;
  }
};

// Leaves no memory for rings either.
void leave_no_records() {
  leave_no_space();
  while (rf_record_alloc(64) != nullptr) {
  }
}

// ---- Rings ----

TEST(DropinBins, GrowByDoublingUpToABoundAndThenAreStuck) {
  heap_alone([] {
    Bins b;
    for (uint32_t places = kPlaces; places <= 1U << 20; places *= 2) {
      ASSERT_TRUE(rf_bins_make_room(b.cache, kClass));
      EXPECT_EQ(b.places(), places);
    }
    EXPECT_FALSE(b.cache->stuck);
    EXPECT_FALSE(rf_bins_make_room(b.cache, kClass)); // it has nothing to give either
    EXPECT_TRUE(b.cache->stuck);
  });
}

TEST(DropinBins, LargeBlocksAreNotGivenBackAsSlots) {
  heap_alone([] {
    Bins b;
    rf_bin &large = b.cache->bins[RF_BIN_LARGE];
    ASSERT_TRUE(rf_bins_make_room(b.cache, RF_BIN_LARGE));
    large.end = large.first + large.mask + 1;
    leave_no_records();
    EXPECT_FALSE(rf_bins_make_room(b.cache, RF_BIN_LARGE));
    EXPECT_TRUE(b.cache->stuck);
    EXPECT_EQ(large.first, 0U);
  });
}

TEST(DropinBins, KeepTheOrderOfTheirSlotsWhenTheyGrow) {
  heap_alone([] {
    Bins b;
    b.bin.first = b.bin.ripe = b.bin.end = UINT32_MAX - 9; // the numbers wrap, and the places as well
    std::vector<void *> expected;
    for (uint32_t i = 0; i < 3 * kPlaces; i++) {
      b.add();
      expected.push_back(rf_bin_at(&b.bin, b.bin.end - 1)->begin);
      ASSERT_EQ(b.order(), expected) << i;
    }
    EXPECT_EQ(b.places(), 4 * kPlaces);
  });
}

TEST(DropinBins, LeaveNoPagesToARingThatTheyHaveOutgrown) {
  heap_alone([] {
    Bins b;
    do {
      ASSERT_TRUE(rf_bins_make_room(b.cache, kClass));
    } while (b.places() < 1U << 14);
    rf_slot_place *const ring = b.bin.ring;
    uint32_t const places = b.places();
    std::fill_n(ring, places, rf_slot_place{b.cache, nullptr});
    ASSERT_TRUE(rf_bins_make_room(b.cache, kClass));
    EXPECT_EQ(ring[places / 2].begin, nullptr);
  });
}

TEST(DropinBins, TakeTheRingsThatOthersHaveOutgrown) {
  heap_alone([] {
    Bins b;
    std::vector<rf_slot_place *> outgrown;
    for (unsigned number = 0; number < 3; number++) {
      ASSERT_TRUE(rf_bins_make_room(b.cache, number));
    }
    for (unsigned number = 0; number < 3; number++) {
      outgrown.push_back(b.cache->bins[number].ring);
      ASSERT_TRUE(rf_bins_make_room(b.cache, number));
      EXPECT_EQ(b.cache->spare_rings[RF_RING_LEAST_LOG2], outgrown.back());
    }
    for (unsigned number = 3; number < 6; number++) {
      ASSERT_TRUE(rf_bins_make_room(b.cache, number));
      EXPECT_EQ(b.cache->bins[number].ring, outgrown.back());
      outgrown.pop_back();
    }
    ASSERT_TRUE(rf_bins_make_room(b.cache, 6));
    EXPECT_EQ(b.cache->spare_rings[RF_RING_LEAST_LOG2], nullptr);
  });
}

// ---- Giving back ----

TEST(DropinBins, AreStuckWhileALockCannotBeHad) {
  heap_alone([] {
    Bins b;
    b.add(1);
    b.add(0);
    ASSERT_TRUE(rf_heap_lock(1));
    rf_cache_flush(b.cache);
    EXPECT_EQ(b.held(), 1U);
    EXPECT_TRUE(b.cache->stuck);
    rf_heap_unlock(1);
    rf_cache_flush(b.cache);
    EXPECT_EQ(b.held(), 0U);
    EXPECT_EQ(b.ripe(), 0U) << "nothing serves from where nothing is";
    EXPECT_FALSE(b.cache->stuck);
  });
}

// Without memory a quarter goes back, as far as locks can be had: one place is enough.
TEST(DropinBins, HaveRoomWhereOneSlotCouldBeGivenBack) {
  for (unsigned const others : {0, 1, 8}) {
    heap_alone([others] {
      Bins b;
      for (uint32_t i = 0; i < kPlaces; i++) {
        b.add(i >= 8 - others && i < 8 ? 1 : 0);
      }
      EXPECT_EQ(b.places(), kPlaces);
      ASSERT_TRUE(rf_heap_lock(0));
      leave_no_records();
      EXPECT_EQ(rf_bins_make_room(b.cache, kClass), others != 0);
      EXPECT_EQ(b.held(), kPlaces - others);
      EXPECT_EQ(b.cache->stuck, others != 8);
      EXPECT_EQ(b.ripe(), 8 - others) << "what is left of the quarter need not wait";
      EXPECT_EQ(std::set<void *>(), [&b] {
        std::set<void *> twice;
        std::vector<void *> all = b.order();
        std::sort(all.begin(), all.end());
        for (size_t i = 1; i < all.size(); i++) {
          if (all[i] == all[i - 1]) {
            twice.insert(all[i]);
          }
        }
        return twice;
      }());
      rf_heap_unlock(0);
    });
  }
}

// ---- Taking ----

TEST(DropinBins, TakeFromTheNextHeapWhoseLockTheirThreadDoesNotHold) {
  heap_alone([] {
    Bins b;
    for (unsigned own = 0; own < rf_heap_count; own++) {
      b.cache->heap = own;
      EXPECT_EQ(rf_cache_heap(b.cache), own);
      ASSERT_TRUE(rf_heap_lock(own));
      EXPECT_EQ(rf_cache_heap(b.cache), (own + 1) % rf_heap_count);
      b.bin.first = b.bin.ripe = b.bin.end;
      ASSERT_TRUE(rf_bins_refill(b.cache, kClass));
      EXPECT_EQ(rf_span_of(reinterpret_cast<uintptr_t>(b.order()[0]))->heap, (own + 1) % rf_heap_count);
      rf_heap_unlock(own);
    }
    for (unsigned i = 0; i < rf_heap_count; i++) {
      ASSERT_TRUE(rf_heap_lock(i));
    }
    EXPECT_LT(rf_cache_heap(b.cache), rf_heap_count); // nor does it look for one without end
    b.bin.first = b.bin.ripe = b.bin.end;
    EXPECT_FALSE(rf_bins_refill(b.cache, kClass));
  });
}

TEST(DropinBins, TakeABatchAndNoMoreThanThereIsRoomFor) {
  heap_alone([] {
    ASSERT_EQ(rf_size_classes[kClass].batch, kPlaces);
    Bins b;
    ASSERT_TRUE(rf_bins_refill(b.cache, kClass));
    EXPECT_EQ(b.held(), kPlaces);
    EXPECT_EQ(b.places(), kPlaces);
    b.bin.first = b.bin.ripe = b.bin.end; // they are blocks now
    for (int i = 0; i < 20; i++) {
      b.add();
    }
    leave_no_records();
    std::vector<void *> const waiting = b.order();
    ASSERT_TRUE(rf_bins_refill(b.cache, kClass));
    EXPECT_EQ(b.held(), kPlaces);
    EXPECT_EQ(b.ripe(), kPlaces - 20);
    std::vector<void *> const all = b.order();
    EXPECT_EQ(std::vector<void *>(all.end() - 20, all.end()), waiting);
  });
}

// ---- Order ----

TEST(DropinBins, GiveSlotsOutAsTheyLieOrBySeedInAnyOrder) {
  heap_alone([] {
    std::set<std::vector<void *>> orders;
    Bins b;
    ASSERT_TRUE(rf_bins_refill(b.cache, kClass));
    std::vector<void *> const plain = b.order();
    EXPECT_TRUE(std::is_sorted(plain.begin(), plain.end()));
    rf_cache_flush(b.cache);
    for (uint32_t seed = 1; seed <= 8; seed++) {
      rf_heap_options_now.order_seed = seed;
      b.cache->random = 0;
      ASSERT_TRUE(rf_bins_refill(b.cache, kClass));
      std::vector<void *> order = b.order();
      EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
      EXPECT_TRUE(orders.insert(order).second) << seed;
      rf_cache_flush(b.cache);
    }
    rf_cache *const other = rf_cache_take(0);
    ASSERT_NE(other, b.cache);
    ASSERT_TRUE(rf_bins_refill(other, kClass));
    std::vector<void *> order;
    for (uint32_t i = other->bins[kClass].first; i != other->bins[kClass].end; i++) {
      order.push_back(rf_bin_at(&other->bins[kClass], i)->begin);
    }
    EXPECT_TRUE(orders.insert(order).second) << "another cache, by the same seed";
  });
}

// The first of them is now this one and now that.
template <typename Change> void expect_each_first(Bins *b, Change &&change) {
  std::set<void *> first;
  for (uint32_t seed = 1; seed <= 64; seed++) {
    rf_heap_options_now.order_seed = seed;
    b->cache->random = 0;
    change();
    first.insert(rf_bin_at(&b->bin, b->bin.first)->begin);
  }
  EXPECT_EQ(first.size(), b->held());
}

TEST(DropinBins, EachOfFewMayBeTheFirst) {
  for (int const count : {2, 3}) {
    heap_alone([count] {
      Bins b;
      for (int i = 0; i < count; i++) {
        b.add();
      }
      std::vector<void *> const all = b.order();
      __atomic_store_n(&rf_cache_wait, 0, __ATOMIC_RELAXED);
      expect_each_first(&b, [&] {
        for (int i = 0; i < count; i++) {
          rf_bin_at(&b.bin, b.bin.first + static_cast<uint32_t>(i))->begin = all[static_cast<size_t>(i)];
        }
        b.bin.ripe = b.bin.first;
        ASSERT_TRUE(rf_bins_refill(b.cache, kClass));
        EXPECT_EQ(b.bin.ripe, b.bin.end);
      });
      rf_slot_place const back = *rf_bin_at(&b.bin, b.bin.first);
      std::vector<void *> const now = b.order();
      expect_each_first(&b, [&] {
        for (int i = 0; i < count; i++) {
          rf_bin_at(&b.bin, b.bin.first + static_cast<uint32_t>(i))->begin = now[static_cast<size_t>(i)];
        }
        b.bin.first++;
        rf_bins_put_back(b.cache, kClass, back);
      });
    });
  }
}

// ---- Ages ----

// How many ages begin until a block that was freed may be given out.
unsigned ages_until_ripe(Bins *b, size_t wait) {
  __atomic_store_n(&rf_cache_wait, wait, __ATOMIC_RELAXED);
  for (unsigned i = 0; i < 2 * RF_AGES; i++) {
    rf_bins_age(b->cache);
  }
  EXPECT_EQ(b->ripe(), b->held());
  b->add();
  unsigned ages = 0;
  while (b->bin.ripe != b->bin.end && ages < 100) {
    rf_bins_age(b->cache);
    ages++;
  }
  return ages;
}

TEST(DropinBins, BlocksWaitForTheAgesThatMakeTheirTime) {
  heap_alone([] {
    Bins b;
    b.bin.first = b.bin.ripe = b.bin.end = UINT32_MAX - 2; // the numbers wrap
    const std::vector<std::pair<size_t, unsigned>> kAges = {
        {0, 1}, {1, 2}, {512, 2}, {513, 3}, {1024, 3}, {1025, 4}, {4095, 9}, {4096, 9}, {4097, 9}, {100000, 9},
    };
    for (const auto &[wait, ages] : kAges) {
      EXPECT_EQ(ages_until_ripe(&b, wait), ages) << wait;
      EXPECT_EQ(b.cache->age_left, static_cast<ptrdiff_t>(wait / 8 > 512 ? wait / 8 : 512)) << wait;
    }
  });
}

TEST(DropinBins, AnAgeBeginsWhenMoreThanItsBytesWereFreed) {
  heap_alone([] {
    Bins b;
    b.add();
    b.cache->age_left = 2 * static_cast<ptrdiff_t>(b.bin.weight);
    EXPECT_FALSE(rf_bin_wait(b.cache, &b.bin, Bins::slot_of(0)));
    EXPECT_FALSE(rf_bin_wait(b.cache, &b.bin, Bins::slot_of(0)));
    EXPECT_TRUE(rf_bin_wait(b.cache, &b.bin, Bins::slot_of(0)));
    EXPECT_EQ(b.held(), 4U);
    EXPECT_EQ(b.ripe(), 0U);
  });
}

TEST(DropinBins, ABlockWaitsHoweverShortTheTime) {
  heap_alone([] {
    Bins b;
    b.cache->age_left = 1000;
    __atomic_store_n(&rf_cache_wait, 1, __ATOMIC_RELAXED);
    rf_bins_wait(b.cache, kClass, Bins::slot_of(0));
    EXPECT_EQ(b.held(), 1U);
    EXPECT_EQ(b.ripe(), 0U);
    __atomic_store_n(&rf_cache_wait, 0, __ATOMIC_RELAXED);
    rf_bins_wait(b.cache, kClass, Bins::slot_of(0));
    EXPECT_EQ(b.held(), 2U);
    EXPECT_EQ(b.ripe(), 1U);
  });
}

// Also where their numbers wrap.
TEST(DropinBins, SlotsThatNobodyAskedForGoBackButForAFew) {
  for (uint32_t const start : {0U, UINT32_MAX - 3}) {
    heap_alone([start] {
      Bins b;
      b.bin.first = b.bin.ripe = b.bin.end = start;
      uint32_t const most = rf_size_classes[kClass].most;
      for (uint32_t const more : {1U, 20U}) {
        while (b.held() < most + more) {
          b.add();
        }
        b.bin.ripe = b.bin.end;
        rf_bins_age(b.cache);
        EXPECT_EQ(b.held(), most);
        EXPECT_EQ(b.ripe(), most);
      }
      rf_bins_age(b.cache);
      EXPECT_EQ(b.held(), most);
    });
  }
}

// The cache keeps the block until the heap, which is to have it, can be locked.
void free_large_in_a_locked_heap(rf_cache *cache) {
  rf_origin const origin = {};
  void *const p = rf_cache_malloc(cache, 100000, RF_FAMILY_MALLOC, &origin);
  ASSERT_TRUE(rf_heap_lock(0));
  EXPECT_TRUE(rf_cache_free(cache, p, RF_FAMILY_MALLOC, SIZE_MAX, &origin));
  rf_heap_unlock(0);
  EXPECT_EQ(rf_heap_bytes_now().freed, 0U);
}

TEST(DropinBins, AnAgeKeepsLargeBlocksAndCounts) {
  heap_alone([] {
    Bins b;
    free_large_in_a_locked_heap(b.cache);
    b.cache->block_room = -1;
    rf_bins_age(b.cache);
    EXPECT_GT(rf_heap_bytes_now().freed, 0U);
    EXPECT_FALSE(rf_cache_has_more(b.cache));
  });
}

TEST(DropinBins, ACacheThatIsFlushedHandsItsLargeBlocksOn) {
  heap_alone([] {
    Bins b;
    free_large_in_a_locked_heap(b.cache);
    rf_cache_flush(b.cache);
    EXPECT_GT(rf_heap_bytes_now().freed, 0U);
  });
}

} // namespace
} // namespace ringfence_test
