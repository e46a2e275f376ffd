// Locks of the drop-in's heaps, which a handler of a signal may find held, and the numbers of threads.
#include "tests/checkers/single_step.h"
#include "tests/dropin/heap_alone.h"

#include <atomic>
#include <csignal>
#include <initializer_list>
#include <set>
#include <thread>
#include <vector>

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/heap/large.h"
#include "checkers/dropin/heap/threads.h"
}
#undef _Static_assert

namespace ringfence_test {
namespace {

TEST(DropinHeapLocks, AreNotWaitedForByTheThreadThatHoldsThem) {
  heap_alone([] {
    EXPECT_TRUE(rf_heap_lock(2));
    EXPECT_FALSE(rf_heap_lock(2)); // a handler of a signal
    EXPECT_NE(rf_heaps[2].lock.state, 0U);
    EXPECT_TRUE(rf_heap_lock(0));
    rf_heap_unlock(0);
    EXPECT_EQ(rf_heaps[0].lock.state, 0U);
    EXPECT_FALSE(rf_heap_lock(2));
    std::thread([] {
      EXPECT_TRUE(rf_heap_lock(0));
      rf_heap_unlock(0);
    }).join();
    rf_heap_unlock(2);
    EXPECT_EQ(rf_heaps[2].lock.state, 0U);
    EXPECT_TRUE(rf_heap_lock(2));
    rf_heap_unlock(2);
  });
}

// Two threads that were interrupted with one lock each, and whose handlers want the other's.
TEST(DropinHeapLocks, AreNotWaitedForLongByWhoHoldsAnother) {
  heap_alone([] {
    EXPECT_TRUE(rf_heap_lock(0));
    std::thread other([] {
      EXPECT_TRUE(rf_heap_lock(1));
      EXPECT_FALSE(rf_heap_lock(0));
      EXPECT_EQ(rf_heaps_held, 1U << 1);
      rf_heap_unlock(1);
    });
    other.join();
    EXPECT_TRUE(rf_heap_lock(1));
    rf_heap_unlock(1);
    rf_heap_unlock(0);
  });
}

// Has the locks of some heaps until it ends.
class Holder {
public:
  explicit Holder(std::initializer_list<unsigned> numbers) : numbers_(numbers), thread_([this] { hold(); }) {
    while (!has_) {
      std::this_thread::yield();
    }
  }
  ~Holder() {
    done_ = true;
    thread_.join();
  }

private:
  void hold() {
    for (unsigned const number : numbers_) {
      EXPECT_TRUE(rf_heap_lock(number));
    }
    has_ = true;
    while (!done_) {
      std::this_thread::yield();
    }
    for (unsigned const number : numbers_) {
      rf_heap_unlock(number);
    }
  }

  std::vector<unsigned> numbers_;
  std::atomic<bool> has_{false};
  std::atomic<bool> done_{false};
  std::thread thread_;
};

TEST(DropinHeapLocks, AHandlerIsServedByAHeapWhoseLockCanBeHad) {
  heap_alone([] {
    rf_origin const none = {nullptr, 0, nullptr};
    rf_cache *const cache = rf_cache_take(0);
    Holder const holder({1, 2});
    ASSERT_EQ(rf_heap_count, 4U);
    ASSERT_TRUE(rf_heap_lock(0));
    for (size_t const size : {size_t{20}, size_t{40000}, 3 * kMiB}) {
      void *const p = rf_cache_malloc(cache, size, RF_FAMILY_MALLOC, &none);
      ASSERT_NE(p, nullptr) << size;
      EXPECT_EQ(rf_span_of(reinterpret_cast<uintptr_t>(p))->heap, 3) << size;
    }
    rf_heap_unlock(0);
  });
}

// Its memory is not lost: the lock cannot be had a second time to give it to the system.
TEST(DropinHeapLocks, ALargeBlockThatAHandlerFreesIsKept) {
  heap_alone([] {
    rf_origin const none = {nullptr, 0, nullptr};
    rf_cache *const cache = rf_cache_take(1);
    void *const p = rf_cache_malloc(cache, 100 * kMiB, RF_FAMILY_MALLOC, &none);
    ASSERT_NE(p, nullptr);
    ASSERT_TRUE(rf_heap_lock(0));
    EXPECT_TRUE(rf_cache_free(cache, p, RF_FAMILY_MALLOC, SIZE_MAX, &none));
    rf_heap_unlock(0);
    EXPECT_GE(rf_heaps[1].freed_bytes, 100 * kMiB);
    EXPECT_GE(rf_large_trim(), 100 * kMiB);
    EXPECT_EQ(rf_heaps[1].mapped_bytes, 0U);
  });
}

TEST(DropinHeapLocks, KeepOthersOut) {
  heap_alone([] {
    static size_t shared = 0;
    auto const work = [] {
      for (int i = 0; i < 20000; i++) {
        EXPECT_TRUE(rf_heap_lock(1));
        size_t volatile const seen = shared;
        shared = seen + 1;
        rf_heap_unlock(1);
      }
    };
    std::thread one(work);
    std::thread other(work);
    one.join();
    other.join();
    EXPECT_EQ(shared, 40000U);
  });
}

TEST(DropinHeapLocks, AHandlerIsServedByAnotherHeap) {
  heap_alone([] {
    rf_slot_place places[4];
    EXPECT_TRUE(rf_heap_lock(1));
    EXPECT_EQ(rf_slots_take(1, 0, places, 4), 0U);
    EXPECT_EQ(rf_slots_take(2, 0, places, 4), 4U);
    for (const rf_slot_place &place : places) {
      EXPECT_EQ(rf_span_of(reinterpret_cast<uintptr_t>(place.begin))->heap, 2);
    }
    rf_heap_unlock(1);
    unsigned count = 4;
    EXPECT_TRUE(rf_heap_lock(2));
    EXPECT_FALSE(rf_slots_give(places, &count));
    EXPECT_EQ(count, 4U);
    rf_heap_unlock(2);
    EXPECT_TRUE(rf_slots_give(places, &count));
    EXPECT_EQ(count, 0U);
  });
}

// It could not have the lock once more to give the memory back.
TEST(DropinHeapLocks, SpansThatAHandlerEmptiesServeAgain) {
  heap_alone([] {
    constexpr unsigned kLargest = RF_CLASSES - 1;
    std::vector<rf_slot_place> places(2 * rf_size_classes[kLargest].count);
    auto const take_all = [&] {
      for (rf_slot_place &place : places) {
        EXPECT_EQ(rf_slots_take(1, kLargest, &place, 1), 1U);
      }
    };
    take_all();
    EXPECT_EQ(rf_heaps[1].spans[kLargest], 2U);
    auto count = static_cast<unsigned>(places.size());
    std::vector<rf_slot_place> given = places;
    ASSERT_TRUE(rf_heap_lock(0));
    EXPECT_TRUE(rf_slots_give(given.data(), &count));
    rf_heap_unlock(0);
    EXPECT_EQ(rf_heaps[1].empty[kLargest], 2U);
    take_all();
    EXPECT_EQ(rf_heaps[1].spans[kLargest], 2U);
    EXPECT_EQ(rf_heaps[1].empty[kLargest], 0U);
  });
}

#ifdef __x86_64__

// True where no heap's lock is held that this thread does not know of, which a handler of a signal would wait for.
bool knows_its_locks() {
  bool known = true;
  for (unsigned i = 0; i < rf_heap_count; i++) {
    known = known && (rf_heaps[i].lock.state == 0 || (rf_heaps_held >> i & 1) != 0);
  }
  return known;
}

struct {
  volatile unsigned steps;
  volatile unsigned wrong;
} stepping;

void on_step(int /*signal*/) {
  stepping.steps = stepping.steps + 1;
  stepping.wrong = stepping.wrong + (knows_its_locks() ? 0 : 1);
}

void use_locks() {
  rf_slot_place places[4];
  unsigned count = 4;
  set_stepping(true);
  (void)rf_heap_lock(2);
  rf_heap_unlock(2);
  (void)rf_slots_take(1, 0, places, 4);
  (void)rf_slots_give(places, &count);
  set_stepping(false);
}

TEST(DropinHeapLocks, AreKnownToTheirThreadAtEveryInstructionThatASignalInterrupts) {
  heap_alone([] {
    stepping.steps = stepping.wrong = 0;
    ASSERT_NE(signal(SIGTRAP, on_step), SIG_ERR);
    use_locks();
    std::thread(use_locks).join(); // with atomic operations
    EXPECT_GT(stepping.steps, 500U);
    EXPECT_EQ(stepping.wrong, 0U);
  });
}

#endif

// ---- Numbers of threads ----

TEST(DropinThreadNumbers, AreTheSameForTheSameThread) {
  heap_alone([] {
    uint32_t const kThreads[] = {1, 2, 4711, 65535, 65536, 4194304, UINT32_MAX};
    std::set<uint16_t> numbers;
    for (uint32_t const thread : kThreads) {
      uint16_t const number = rf_thread_number(thread);
      EXPECT_NE(number, 0) << thread;
      EXPECT_TRUE(numbers.insert(number).second) << thread;
    }
    for (uint32_t const thread : kThreads) {
      EXPECT_EQ(rf_thread_of_number(rf_thread_number(thread)), thread);
    }
    EXPECT_EQ(rf_thread_of_number(0), 0U);
    EXPECT_EQ(rf_thread_of_number(77), 0U);
  });
}

TEST(DropinThreadNumbers, SixtyFourThreadsMayMeetInOnePlace) {
  heap_alone([] {
    std::set<uint16_t> numbers;
    for (uint32_t i = 0; i < 64; i++) {
      uint16_t const number = rf_thread_number(1000 + i * 65535);
      EXPECT_NE(number, 0) << i;
      numbers.insert(number);
    }
    EXPECT_EQ(numbers.size(), 64U);
    EXPECT_EQ(rf_thread_number(1000 + 64 * 65535), 0);
    EXPECT_EQ(rf_thread_number(1000 + 63 * 65535), *numbers.rbegin());
    EXPECT_NE(rf_thread_number(65534), 0); // the last place
    EXPECT_NE(rf_thread_number(65533), 0);
  });
}

} // namespace
} // namespace ringfence_test
