// Zephyr's sys_heap, multi heap, k_heap and k_malloc: what its own tests rely on, what is refused, waiting, a checker.
#include <zephyr/init.h>
#include <zephyr/kernel.h>
#include <zephyr/sys/heap_listener.h>
#include <zephyr/sys/multi_heap.h>
#include <zephyr/sys/sys_heap.h>

#include <gtest/gtest.h>
#include <ringfence/guard.h>
#include <ringfence/track.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <random>
#include <sstream>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "tests/core/recorder.h"
#include "tests/core/unwatched.h"
#include "zephyr_manual.h"

// As code declares it that looks at it.
extern struct k_heap _system_heap;

namespace {

int the_runs;

int run_with_nothing() {
  the_runs++;
  return 0;
}
SYS_INIT(run_with_nothing, POST_KERNEL, 1);

int run_with_device(const struct device *dev) {
  the_runs += dev == nullptr ? 10 : 0;
  return -1;
}
SYS_INIT_NAMED(of_device, run_with_device, POST_KERNEL, 2);
SYS_INIT_NAMED(of_device_again, run_with_device, SMP, 2);

// These tests read behind and damage what belongs to the heaps, as those of the other system do.
Unwatched const unwatched_here;

class ZephyrHeap : public ::testing::Test {
protected:
  ringfence::testing::FaultRecorder faults_;

  void TearDown() override {
    rf_zephyr_wrap_set(nullptr, nullptr);
    EXPECT_TRUE(faults_.faults().empty());
  }

  rf_status fault() { return faults_.take(); }

  alignas(8) char memory[4096];
  struct sys_heap heap;
};

// ---- sys_heap ----

TEST_F(ZephyrHeap, ABlockTakesEightBytesAndItsSizeRoundedUpToEight) {
  sys_heap_init(&heap, memory, sizeof memory);
  char *last = static_cast<char *>(sys_heap_alloc(&heap, 1));
  EXPECT_EQ(memory + 8, last);
  for (size_t bytes = 1; bytes < 100; bytes++) {
    char *const p = static_cast<char *>(sys_heap_alloc(&heap, bytes));
    ASSERT_NE(nullptr, p);
    EXPECT_EQ(8U + sys_heap_usable_size(&heap, last), static_cast<size_t>(p - last));
    EXPECT_EQ(ROUND_UP(bytes, 8), sys_heap_usable_size(&heap, p));
    if (bytes % 10 == 0) {
      sys_heap_init(&heap, memory, sizeof memory);
      last = static_cast<char *>(sys_heap_alloc(&heap, 1));
    } else {
      last = p;
    }
  }
  EXPECT_TRUE(sys_heap_validate(&heap));
}

TEST_F(ZephyrHeap, MemoryThatIsNoMultipleOfEightGivesWholeUnits) {
  for (size_t bytes = 64; bytes < 72; bytes++) {
    sys_heap_init(&heap, memory, bytes);
    EXPECT_EQ(nullptr, sys_heap_alloc(&heap, 57)) << bytes;
    void *const p = sys_heap_alloc(&heap, 56);
    EXPECT_EQ(56U, sys_heap_usable_size(&heap, p)) << bytes;
  }
}

TEST_F(ZephyrHeap, IsWholeAfterEachOfManyRequests) {
  struct block {
    unsigned char *at;
    size_t size;
  };
  std::vector<block> live;
  std::minstd_rand random(1);
  sys_heap_init(&heap, memory, 2000);
  for (int i = 0; i < 20000; i++) {
    size_t const size = 1 + random() % (random() % 4 != 0 ? 60 : 400);
    size_t const align = random() % 3 != 0 ? 8 : size_t{8} << random() % 4;
    size_t const chosen = live.empty() ? 0 : random() % live.size();
    if (live.empty() || random() % 5 < 2) {
      auto *const p = static_cast<unsigned char *>(sys_heap_aligned_alloc(&heap, align, size));
      if (p != nullptr) {
        ASSERT_EQ(0U, reinterpret_cast<uintptr_t>(p) % align);
        live.push_back({p, size});
        std::fill_n(p, size, static_cast<unsigned char>(size));
      }
    } else if (random() % 3 == 0) {
      block &b = live[chosen];
      size_t const kept = std::min(size, b.size);
      auto *const p = static_cast<unsigned char *>(sys_heap_realloc(&heap, b.at, size));
      if (p != nullptr) {
        ASSERT_EQ(p + kept, std::find_if(p, p + kept, [&](unsigned char c) { return c != b.size % 256; }));
        b = {p, size};
        std::fill_n(p, size, static_cast<unsigned char>(size));
      }
    } else {
      sys_heap_free(&heap, live[chosen].at);
      live.erase(live.begin() + static_cast<ptrdiff_t>(chosen));
    }
    ASSERT_TRUE(sys_heap_validate(&heap)) << "after request " << i;
  }
}

// Each word of a free neighbour, of its own header and of the links: the free is refused, and done once it is mended.
// The neighbour to the left is in the list of the other one, or alone in a list, which is empty while they are merged.
TEST_F(ZephyrHeap, ADamagedNeighbourIsNotMergedWith) {
  for (size_t const size : {40, 104}) {
    size_t const width = size / sizeof(uint32_t) + 2; // in words: the chunk to the left
    for (unsigned word = 0; word < 10; word++) {
      sys_heap_init(&heap, memory, 512);
      void *blocks[5];
      for (void *&p : blocks) {
        p = sys_heap_alloc(&heap, &p == &blocks[1] ? size : 40);
      }
      sys_heap_free(&heap, blocks[1]);
      sys_heap_free(&heap, blocks[3]);
      auto *const left = static_cast<uint32_t *>(blocks[1]);
      auto *const right = static_cast<uint32_t *>(blocks[3]);
      uint32_t *const words[10] = {left - 2, left,      left + 1,         right - 2,        right - 1,
                                   right,    right + 1, left + width - 2, left + width - 1, right + 12 - 1};
      uint32_t const was = *words[word];
      *words[word] = 0xcccccccc;
      sys_heap_free(&heap, blocks[2]);
      EXPECT_NE(RF_OK, fault()) << word;
      *words[word] = was;
      EXPECT_TRUE(sys_heap_validate(&heap)) << word;
      sys_heap_free(&heap, blocks[2]);
      EXPECT_TRUE(sys_heap_validate(&heap)) << word;
      EXPECT_NE(nullptr, sys_heap_alloc(&heap, size + 96)) << word;
    }
  }
}

// The states of a header that mean nothing, in the free and in the live chunk behind.
TEST_F(ZephyrHeap, AChunkOfNoStateBehindIsDamaged) {
  for (const bool freed : {false, true}) {
    for (uint32_t state = 10; state < 16; state++) {
      sys_heap_init(&heap, memory, 512);
      void *const block = sys_heap_alloc(&heap, 40);
      void *const behind = sys_heap_alloc(&heap, 40);
      ASSERT_NE(nullptr, sys_heap_alloc(&heap, 40));
      if (freed) {
        sys_heap_free(&heap, behind);
      }
      auto *const size = static_cast<uint32_t *>(behind) - 2;
      uint32_t const was = *size;
      *size = (was & ~15U) | state;
      sys_heap_free(&heap, block);
      EXPECT_EQ(RF_ERR_CORRUPT, fault()) << state;
      *size = was;
      EXPECT_TRUE(sys_heap_validate(&heap)) << state;
      sys_heap_free(&heap, block);
      EXPECT_EQ(RF_OK, fault()) << state;
      EXPECT_TRUE(sys_heap_validate(&heap)) << state;
    }
  }
}

// A free chunk of one unit to the left, which is in no list, stays as it is where the free is refused.
TEST_F(ZephyrHeap, AFreeRestOfOneUnitIsInNoListWhateverIsRefused) {
  sys_heap_init(&heap, memory, 512);
  void *const first = sys_heap_alloc(&heap, 24);
  void *const second = sys_heap_alloc(&heap, 40);
  void *const third = sys_heap_alloc(&heap, 40);
  ASSERT_NE(nullptr, sys_heap_alloc(&heap, 40));
  EXPECT_EQ(first, sys_heap_realloc(&heap, first, 16));
  sys_heap_free(&heap, third);
  auto *const size = static_cast<uint32_t *>(third) - 2;
  uint32_t const was = *size;
  *size = was + (1U << 4);
  sys_heap_free(&heap, second);
  EXPECT_EQ(RF_ERR_CORRUPT, fault());
  *size = was;
  EXPECT_TRUE(sys_heap_validate(&heap));
  sys_heap_free(&heap, second);
  EXPECT_TRUE(sys_heap_validate(&heap));
}

// Sizes have 28 bits: what lies behind the units that these count is not used.
TEST(ZephyrChunkHeap, UsesNoMoreThanTwoGibibytes) {
  if (sizeof(void *) == 4 || RF_TRACK) {
    GTEST_SKIP() << "no room for so many, or all of it would be marked";
  }
  size_t const two_gibibytes = size_t{1} << 31;
  size_t const size = two_gibibytes + 4096;
  void *const memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(MAP_FAILED, memory);
  rf_zephyr_chunk_heap chunks;
  ASSERT_EQ(RF_OK, rf_zephyr_chunk_heap_init(&chunks, memory, size));
  rf_stats stats;
  rf_stats_get(&chunks.base, &stats);
  EXPECT_EQ(two_gibibytes - 8, stats.capacity);
  EXPECT_EQ(two_gibibytes - 16, stats.largest_free);
  void *const all = rf_alloc_at(&chunks.base, stats.largest_free, 8, nullptr);
  EXPECT_NE(nullptr, all);
  EXPECT_EQ(RF_OK, rf_free(&chunks.base, all));
  EXPECT_EQ(RF_OK, rf_check(&chunks.base, nullptr));
  rf_deinit(&chunks.base);
  munmap(memory, size);
}

TEST(ZephyrChunkHeap, AnEndedOneIsWholeAndHasNothing) {
  alignas(8) char memory[256];
  rf_zephyr_chunk_heap chunks;
  ASSERT_EQ(RF_OK, rf_zephyr_chunk_heap_init(&chunks, memory, sizeof memory));
  EXPECT_NE(nullptr, rf_alloc_at(&chunks.base, 10, 8, nullptr));
  rf_deinit(&chunks.base);
  EXPECT_EQ(RF_OK, rf_check(&chunks.base, nullptr));
  EXPECT_EQ(nullptr, rf_alloc_at(&chunks.base, 1, 8, nullptr));
  EXPECT_EQ(nullptr, rf_alloc_at(&chunks.base, 1, 64, nullptr));
  EXPECT_FALSE(rf_owns(&chunks.base, memory));
}

TEST_F(ZephyrHeap, CodeWithTheIncludePathsOfBeforeRuns) {
  EXPECT_EQ(0, old_paths());
}

TEST_F(ZephyrHeap, AComponentWithListsAndALog) {
  testing::internal::CaptureStdout();
  EXPECT_EQ(0, component());
  EXPECT_EQ("<inf> events: 4 pending\n", testing::internal::GetCapturedStdout());
}

TEST_F(ZephyrHeap, InitFunctionsHaveRunInOrder) {
  EXPECT_EQ(21, the_runs);
  EXPECT_EQ(0, driver_order());
}

TEST_F(ZephyrHeap, ThreadsShareASysHeapBehindASpinlock) {
  std::vector<std::thread> threads;
  for (unsigned char id = 0; id < 4; id++) {
    threads.emplace_back([id] {
      for (size_t i = 0; i < 500; i++) {
        size_t const size = 1 + i % 200;
        auto *const p = static_cast<unsigned char *>(driver_alloc(size));
        ASSERT_NE(nullptr, p);
        std::memset(p, id, size);
        EXPECT_EQ(static_cast<std::ptrdiff_t>(size), std::count(p, p + size, id));
        driver_free(p);
        driver_free(nullptr);
      }
    });
  }
  for (auto &t : threads) {
    t.join();
  }
}

TEST_F(ZephyrHeap, AKernelHeapsOwnLockMayBeHeld) {
  EXPECT_EQ(0, driver_resize());
}

TEST_F(ZephyrHeap, AlignmentsAreKeptAndOddOnesTurnedDown) {
  sys_heap_init(&heap, memory, sizeof memory);
  for (size_t align = 1; align <= 512; align *= 2) {
    void *const p = sys_heap_aligned_alloc(&heap, align, 5);
    EXPECT_TRUE(rf_is_aligned(p, align)) << align;
    void *const q = sys_heap_aligned_realloc(&heap, p, align, 100);
    EXPECT_TRUE(rf_is_aligned(q, align)) << align;
    sys_heap_free(&heap, q);
  }
  EXPECT_NE(nullptr, sys_heap_noalign_alloc(&heap, 3, 5));
  for (size_t const align : {3, 5, 6, 7, 12, 24}) {
    EXPECT_EQ(nullptr, sys_heap_aligned_alloc(&heap, align, 5)) << align;
  }
  EXPECT_EQ(nullptr, sys_heap_alloc(&heap, 0));
  EXPECT_EQ(nullptr, sys_heap_alloc(&heap, SIZE_MAX));
  EXPECT_EQ(nullptr, sys_heap_alloc(&heap, SIZE_MAX - 7));
}

TEST_F(ZephyrHeap, ReallocStaysWhereItCanAndAtZeroFrees) {
  sys_heap_init(&heap, memory, sizeof memory);
  char *const p = static_cast<char *>(sys_heap_alloc(&heap, 61));
  memset(p, 4, 61);
  EXPECT_EQ(p, sys_heap_realloc(&heap, p, 64));
  EXPECT_EQ(p, sys_heap_realloc(&heap, p, 1000));
  EXPECT_EQ(4, p[60]);
  EXPECT_EQ(nullptr, sys_heap_realloc(&heap, p, 5000));
  EXPECT_EQ(4, p[60]);
  EXPECT_EQ(p, sys_heap_realloc(&heap, p, 10));
  EXPECT_EQ(nullptr, sys_heap_realloc(&heap, p, 0));
  EXPECT_EQ(memory + 8, sys_heap_realloc(&heap, nullptr, 4080));
}

TEST_F(ZephyrHeap, BadPointersAreRefused) {
  sys_heap_init(&heap, memory, sizeof memory);
  char *const p = static_cast<char *>(sys_heap_alloc(&heap, 100));
  sys_heap_free(&heap, p + 8);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault());
  sys_heap_free(&heap, &heap);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault());
  EXPECT_EQ(0U, sys_heap_usable_size(&heap, p + 8));
  sys_heap_free(&heap, p);
  sys_heap_free(&heap, p);
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, fault());
  sys_heap_free(&heap, nullptr);
  memory[3] = static_cast<char>(memory[3] ^ 1);
  EXPECT_FALSE(sys_heap_validate(&heap));
}

TEST_F(ZephyrHeap, AHeapWithoutRoomServesNothing) {
  sys_heap_init(&heap, memory, 4);
  EXPECT_EQ(nullptr, rf_zephyr_allocator(&heap));
  EXPECT_EQ(nullptr, sys_heap_alloc(&heap, 1));
  EXPECT_EQ(nullptr, sys_heap_realloc(&heap, nullptr, 1));
  EXPECT_TRUE(sys_heap_validate(&heap));
  for (size_t bytes = 1; bytes < 40; bytes++) {
    for (unsigned shift = 0; shift < 8; shift++) {
      sys_heap_init(&heap, memory + shift, Z_HEAP_MIN_SIZE_FOR(bytes));
      EXPECT_NE(nullptr, sys_heap_alloc(&heap, bytes));
    }
  }
  sys_heap_init(&heap, memory + 1, Z_HEAP_MIN_SIZE);
  EXPECT_NE(nullptr, sys_heap_alloc(&heap, 1));
}

TEST_F(ZephyrHeap, StatisticsCountWhatIsInUseAndThePeakIsReset) {
  struct sys_memory_stats stats;
  EXPECT_EQ(-EINVAL, sys_heap_runtime_stats_get(nullptr, &stats));
  EXPECT_EQ(-EINVAL, sys_heap_runtime_stats_get(&heap, nullptr));
  EXPECT_EQ(-EINVAL, sys_heap_runtime_stats_reset_max(nullptr));
  sys_heap_init(&heap, memory, sizeof memory);
  void *p = sys_heap_alloc(&heap, 150);
  p = sys_heap_realloc(&heap, p, 100);
  ASSERT_EQ(0, sys_heap_runtime_stats_get(&heap, &stats));
  EXPECT_EQ(100U, stats.allocated_bytes);
  EXPECT_EQ(150U, stats.max_allocated_bytes);
  EXPECT_EQ(4096U - 8 - 104 - 8, stats.free_bytes);
  EXPECT_EQ(0, sys_heap_runtime_stats_reset_max(&heap));
  sys_heap_free(&heap, p);
  ASSERT_EQ(0, sys_heap_runtime_stats_get(&heap, &stats));
  EXPECT_EQ(0U, stats.allocated_bytes);
  EXPECT_EQ(100U, stats.max_allocated_bytes);
}

TEST_F(ZephyrHeap, ItsInformationIsEightyCharactersWideAndHasTheBlocksWhereAskedFor) {
  sys_heap_init(&heap, memory, sizeof memory);
  ASSERT_NE(nullptr, sys_heap_alloc(&heap, 100));
  for (bool const blocks : {false, true}) {
    testing::internal::CaptureStderr();
    sys_heap_print_info(&heap, blocks);
    std::istringstream text(testing::internal::GetCapturedStderr());
    size_t longest = 0;
    bool listed = false;
    for (std::string line; std::getline(text, line);) {
      longest = std::max(longest, line.size());
      listed = listed || line == "  live blocks";
    }
    EXPECT_EQ(80U, longest);
    EXPECT_EQ(blocks, listed);
  }
}

// Runs the rest of a test in a program of its own, in whose array are the program's static heaps alone.
template <typename Body> void run_anew(const Body &body) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  auto const run = [&body] {
    body();
    _exit(testing::Test::HasFailure() ? 1 : 0);
  };
  EXPECT_EXIT(run(), ::testing::ExitedWithCode(0), "");
}

TEST_F(ZephyrHeap, HeapsThatWereMadeAreInTheArray) {
  run_anew([this] {
    struct sys_heap **heaps = nullptr;
    EXPECT_EQ(-EINVAL, sys_heap_array_get(nullptr));
    EXPECT_EQ(-EINVAL, sys_heap_array_save(nullptr));
    int const before = sys_heap_array_get(&heaps);
    sys_heap_init(&heap, memory, sizeof memory);
    EXPECT_EQ(0, sys_heap_array_save(&heap));
    EXPECT_EQ(before + 1, sys_heap_array_get(&heaps));
    EXPECT_EQ(&heap, heaps[before]);
    static struct sys_heap last;
    EXPECT_EQ(0, sys_heap_array_save(&last));
    EXPECT_EQ(0, sys_heap_array_save(heaps[0])); // it is there already, and those behind it stay
    EXPECT_EQ(before + 2, sys_heap_array_get(&heaps));
    EXPECT_EQ(&last, heaps[before + 1]);
  });
}

TEST_F(ZephyrHeap, AFullArrayOfHeapsTakesNoMore) {
  run_anew([] {
    static struct sys_heap many[SYS_HEAP_ARRAY_SIZE + 2];
    struct sys_heap **heaps = nullptr;
    int taken = sys_heap_array_get(&heaps);
    for (struct sys_heap &each : many) {
      EXPECT_EQ(taken < SYS_HEAP_ARRAY_SIZE ? 0 : -EINVAL, sys_heap_array_save(&each));
      taken = std::min(taken + 1, SYS_HEAP_ARRAY_SIZE);
    }
    EXPECT_EQ(SYS_HEAP_ARRAY_SIZE, sys_heap_array_get(&heaps));
    EXPECT_EQ(0, sys_heap_array_save(&many[0])); // is there
  });
}

// Memory at an odd address: the figures are those of the heap that will be made there.
TEST_F(ZephyrHeap, AHeapThatIsNotMadeYetHasTheRoomOfItsAlignedMemory) {
  for (size_t offset = 0; offset < 8; offset++) {
    for (size_t const size : {size_t{0}, size_t{7}, size_t{8}, size_t{15}, size_t{16}, size_t{101}, size_t{112}}) {
      struct sys_memory_stats before;
      struct sys_memory_stats after;
      struct sys_heap unmade = {nullptr, memory + offset, size, {}, nullptr, 0};
      EXPECT_EQ(0, sys_heap_runtime_stats_get(&unmade, &before));
      static struct sys_heap made;
      sys_heap_init(&made, memory + offset, size);
      EXPECT_EQ(0, sys_heap_runtime_stats_get(&made, &after));
      EXPECT_EQ(after.free_bytes, before.free_bytes) << size << " at " << offset;
    }
  }
}

std::vector<std::string> the_events;

TEST_F(ZephyrHeap, ListenersHearOfEachBlock) {
  HEAP_LISTENER_ALLOC_DEFINE(on_alloc, HEAP_ID_FROM_POINTER(&heap), [](uintptr_t, void *, size_t bytes) {
    the_events.push_back("+" + std::to_string(bytes));
  });
  HEAP_LISTENER_FREE_DEFINE(on_free, HEAP_ID_FROM_POINTER(&heap),
                            [](uintptr_t, void *, size_t bytes) { the_events.push_back("-" + std::to_string(bytes)); });
  the_events.clear();
  sys_heap_init(&heap, memory, sizeof memory);
  heap_listener_register(&on_alloc);
  heap_listener_register(&on_free);
  heap_listener_register(&on_alloc); // once is enough
  void *p = sys_heap_alloc(&heap, 30);
  p = sys_heap_realloc(&heap, p, 50);
  sys_heap_free(&heap, p);
  sys_heap_free(&heap, p);
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, fault());
  EXPECT_EQ(nullptr, sys_heap_alloc(&heap, 5000));
  EXPECT_EQ(nullptr, sys_heap_realloc(&heap, sys_heap_alloc(&heap, 16), 0));
  heap_listener_unregister(&on_alloc);
  heap_listener_unregister(&on_free);
  EXPECT_EQ((std::vector<std::string>{"+32", "+56", "-32", "-56", "+16", "-16"}), the_events);
}

TEST_F(ZephyrHeap, AListenerThatIsNotRegisteredCannotBeUnregistered) {
  HEAP_LISTENER_ALLOC_DEFINE(other, HEAP_ID_FROM_POINTER(&heap),
                             [](uintptr_t, void *, size_t) { the_events.emplace_back("other"); });
  HEAP_LISTENER_ALLOC_DEFINE(unknown, HEAP_ID_FROM_POINTER(&heap), [](uintptr_t, void *, size_t) {});
  the_events.clear();
  sys_heap_init(&heap, memory, sizeof memory);
  unknown.node = &other;
  heap_listener_unregister(&unknown);
  sys_heap_free(&heap, sys_heap_alloc(&heap, 30));
  EXPECT_TRUE(the_events.empty());
}

// Each of three in turn: the other two hear on, in their order.
TEST_F(ZephyrHeap, AListenerThatGoesLeavesTheOthers) {
  sys_heap_init(&heap, memory, sizeof memory);
  heap_listener_alloc_cb_t const calls[] = {
      [](uintptr_t, void *, size_t) { the_events.emplace_back("0"); },
      [](uintptr_t, void *, size_t) { the_events.emplace_back("1"); },
      [](uintptr_t, void *, size_t) { the_events.emplace_back("2"); },
  };
  for (size_t gone = 0; gone < 3; gone++) {
    struct heap_listener listeners[3] = {};
    std::vector<std::string> expected;
    for (size_t i = 0; i < 3; i++) {
      listeners[i].heap_id = HEAP_ID_FROM_POINTER(&heap);
      listeners[i].event = HEAP_ALLOC;
      listeners[i].alloc_cb = calls[i];
      heap_listener_register(&listeners[i]);
      if (i != gone) {
        expected.push_back(std::to_string(i));
      }
    }
    the_events.clear();
    heap_listener_unregister(&listeners[gone]);
    heap_listener_notify_alloc(HEAP_ID_FROM_POINTER(&heap), memory, 8);
    EXPECT_EQ(expected, the_events);
    for (struct heap_listener &each : listeners) {
      heap_listener_unregister(&each);
    }
  }
}

struct heap_listener *leaving[2];

// Each of three in turn takes itself off, and then itself and the next one, while it is called: the others hear of the
// same event, once.
TEST_F(ZephyrHeap, AListenerMayTakeItselfAndTheNextOneOffInItsCall) {
  sys_heap_init(&heap, memory, sizeof memory);
  uintptr_t const id = HEAP_ID_FROM_POINTER(&heap);
  heap_listener_alloc_cb_t const leave = [](uintptr_t, void *, size_t) {
    the_events.emplace_back("leaves");
    for (struct heap_listener *const each : leaving) {
      if (each != nullptr) {
        heap_listener_unregister(each);
        if (each == leaving[0]) {
          *each = heap_listener{}; // its memory serves something else
        }
      }
    }
  };
  heap_listener_alloc_cb_t const stay = [](uintptr_t, void *, size_t) { the_events.emplace_back("stays"); };
  for (bool const with_next : {false, true}) {
    for (size_t who = 0; who < 3; who++) {
      struct heap_listener listeners[3] = {};
      for (size_t i = 0; i < 3; i++) {
        listeners[i].heap_id = id;
        listeners[i].event = HEAP_ALLOC;
        listeners[i].alloc_cb = i == who ? leave : stay;
        heap_listener_register(&listeners[i]);
      }
      leaving[0] = &listeners[who];
      leaving[1] = with_next && who < 2 ? &listeners[who + 1] : nullptr;
      std::vector<std::string> expected;
      for (size_t i = 0; i < 3; i++) {
        if (i <= who || !with_next) {
          expected.emplace_back(i == who ? "leaves" : "stays");
        }
      }
      the_events.clear();
      heap_listener_notify_alloc(id, memory, 8);
      EXPECT_EQ(expected, the_events) << who << (with_next ? " and the next one" : "");
      size_t const left = leaving[1] != nullptr ? 1 : 2;
      the_events.clear();
      heap_listener_notify_alloc(id, memory, 8);
      EXPECT_EQ(std::vector<std::string>(left, "stays"), the_events);
      for (struct heap_listener &each : listeners) {
        heap_listener_unregister(&each);
      }
    }
  }
}

TEST_F(ZephyrHeap, NothingBehindTheMemoryIsRead) {
  auto const page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  auto *const pages =
      static_cast<char *>(mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_EQ(0, mprotect(pages + page, page, PROT_NONE));
  sys_heap_init(&heap, pages + page - 1024, 1024);
  void *const p = sys_heap_alloc(&heap, 100);
  EXPECT_TRUE(sys_heap_validate(&heap));
  sys_heap_free(&heap, p);
  EXPECT_TRUE(sys_heap_validate(&heap));
  for (size_t behind = 0; behind <= 16; behind += 8) {
    sys_heap_free(&heap, pages + page + behind);
    EXPECT_EQ(RF_ERR_BAD_POINTER, fault()) << behind;
  }
  munmap(pages, 2 * page);
  sys_heap_init(&heap, memory, sizeof memory);
}

// The name alone, as in a table of functions: no macro has it.
TEST_F(ZephyrHeap, FunctionsAreThereAsWell) {
  sys_heap_init(&heap, memory, sizeof memory);
  void *const p = (sys_heap_alloc)(&heap, 30);
  ASSERT_NE(nullptr, p);
  (sys_heap_free)(&heap, p);
  (sys_heap_free)(&heap, p);
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, fault());
}

TEST_F(ZephyrHeap, TheStressRigLeavesTheHeapEmpty) {
  std::vector<char> scratch(2048);
  struct z_heap_stress_result result;
  sys_heap_init(&heap, memory, sizeof memory);
  sys_heap_stress([](void *h, size_t bytes) { return sys_heap_alloc(static_cast<struct sys_heap *>(h), bytes); },
                  [](void *h, void *p) { sys_heap_free(static_cast<struct sys_heap *>(h), p); }, &heap, sizeof memory,
                  5000, scratch.data(), scratch.size(), 50, &result);
  EXPECT_EQ(5000U, result.total_allocs + result.total_frees);
  EXPECT_LT(1000U, result.successful_allocs);
  EXPECT_LE(result.successful_allocs, result.total_allocs);
  EXPECT_LE(result.total_frees, result.successful_allocs);
  EXPECT_LT(result.accumulated_in_use_bytes, 5000U * sizeof memory);
  EXPECT_TRUE(sys_heap_validate(&heap));
  EXPECT_NE(nullptr, sys_heap_alloc(&heap, 4080));
}

// ---- Several heaps ----

struct sys_heap the_heaps[MAX_MULTI_HEAPS + 1];

void *choose(struct sys_multi_heap *, void *cfg, size_t align, size_t size) {
  return sys_heap_aligned_alloc(&the_heaps[reinterpret_cast<uintptr_t>(cfg)], align, size);
}

TEST_F(ZephyrHeap, AMultiHeapAllocatesByChoiceAndFreesByAddress) {
  struct sys_multi_heap multi;
  sys_multi_heap_init(&multi, choose);
  for (unsigned i = 0; i < MAX_MULTI_HEAPS + 1; i++) {
    unsigned const slot = (i * 5) % (MAX_MULTI_HEAPS + 1);
    sys_heap_init(&the_heaps[slot], memory + 256 * slot, 256);
    sys_multi_heap_add_heap(&multi, &the_heaps[slot], &the_heaps[slot]);
  }
  EXPECT_EQ(RF_ERR_INVALID, fault()); // one too many
  EXPECT_EQ(static_cast<unsigned>(MAX_MULTI_HEAPS), multi.nheaps);
  EXPECT_TRUE(std::is_sorted(multi.heaps, multi.heaps + multi.nheaps, [](const auto &a, const auto &b) {
    return reinterpret_cast<uintptr_t>(a.heap->init_mem) < reinterpret_cast<uintptr_t>(b.heap->init_mem);
  }));
  void *const one = reinterpret_cast<void *>(1);
  void *const two = reinterpret_cast<void *>(2);
  char *p = static_cast<char *>(sys_multi_heap_alloc(&multi, one, 100));
  ASSERT_NE(nullptr, p);
  memset(p, 6, 100);
  ASSERT_NE(nullptr, sys_multi_heap_get_heap(&multi, p));
  EXPECT_EQ(&the_heaps[1], sys_multi_heap_get_heap(&multi, p)->user_data);
  EXPECT_EQ(p, sys_multi_heap_realloc(&multi, two, p, 120));
  EXPECT_NE(nullptr, sys_multi_heap_aligned_alloc(&multi, one, 64, 40));
  p = static_cast<char *>(sys_multi_heap_realloc(&multi, two, p, 200));
  ASSERT_NE(nullptr, p);
  EXPECT_EQ(&the_heaps[2], sys_multi_heap_get_heap(&multi, p)->heap);
  EXPECT_EQ(6, p[99]);
  EXPECT_EQ(nullptr, sys_multi_heap_realloc(&multi, two, p, 300));
  EXPECT_EQ(6, p[99]);
  EXPECT_EQ(nullptr, sys_multi_heap_realloc(&multi, two, p, 0));
  EXPECT_EQ(nullptr, sys_multi_heap_alloc(&multi, one, 0));
  EXPECT_EQ(nullptr, sys_multi_heap_get_heap(&multi, &multi));
  sys_multi_heap_free(&multi, nullptr);
  sys_multi_heap_free(&multi, &multi);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault());
  EXPECT_NE(nullptr, sys_multi_heap_realloc(&multi, two, nullptr, 240));
}

// A smaller block elsewhere, since its own heap has no such alignment, takes as many bytes as it was asked for.
TEST_F(ZephyrHeap, ABlockThatMovesBetweenHeapsMayShrink) {
  alignas(1024) static char both[2048];
  static struct sys_heap from;
  static struct sys_heap to;
  sys_heap_init(&from, both + 8, 1000);
  sys_heap_init(&to, both + 1024 - 8, 512);
  struct sys_multi_heap multi;
  sys_multi_heap_init(&multi, [](struct sys_multi_heap *, void *, size_t align, size_t size) {
    return sys_heap_aligned_alloc(&to, align, size);
  });
  sys_multi_heap_add_heap(&multi, &from, nullptr);
  sys_multi_heap_add_heap(&multi, &to, nullptr);
  char *const large = static_cast<char *>(sys_heap_alloc(&from, 200));
  void *const place = sys_heap_alloc(&to, 24);
  char *const beside = static_cast<char *>(sys_heap_alloc(&to, 200));
  sys_heap_free(&to, place);
  memset(large, 7, 200);
  memset(beside, 9, 200);
  char *const moved = static_cast<char *>(sys_multi_heap_aligned_realloc(&multi, nullptr, large, 1024, 24));
  ASSERT_NE(nullptr, moved);
  EXPECT_EQ(std::string(24, 7), std::string(moved, 24));
  EXPECT_EQ(std::string(200, 9), std::string(beside, 200));
  EXPECT_TRUE(sys_heap_validate(&to));
  struct sys_memory_stats stats;
  EXPECT_EQ(0, sys_heap_runtime_stats_get(&from, &stats));
  EXPECT_EQ(0U, stats.allocated_bytes);
}

// A checker may keep blocks outside the memory of their heap.
TEST_F(ZephyrHeap, AMultiHeapFreesWhatItAllocated) {
  static struct sys_heap one;
  static struct sys_heap two;
  sys_heap_init(&one, memory, sizeof(memory) / 2);
  sys_heap_init(&two, memory + sizeof(memory) / 2, sizeof(memory) / 2);
  struct sys_multi_heap multi;
  sys_multi_heap_init(&multi, [](struct sys_multi_heap *, void *cfg, size_t align, size_t size) {
    return sys_heap_aligned_alloc(static_cast<struct sys_heap *>(cfg), align, size);
  });
  sys_multi_heap_add_heap(&multi, &two, nullptr);
  sys_multi_heap_add_heap(&multi, &one, nullptr);
  void *const p = sys_multi_heap_alloc(&multi, &one, 100);
  void *const q = sys_multi_heap_alloc(&multi, &two, 100);
  ASSERT_NE(nullptr, sys_multi_heap_get_heap(&multi, p));
  EXPECT_EQ(&one, sys_multi_heap_get_heap(&multi, p)->heap);
  EXPECT_EQ(&two, sys_multi_heap_get_heap(&multi, q)->heap);
  sys_multi_heap_free(&multi, p);
  sys_multi_heap_free(&multi, sys_multi_heap_realloc(&multi, &two, q, 200));
  struct sys_memory_stats stats;
  EXPECT_EQ(0, sys_heap_runtime_stats_get(&one, &stats));
  EXPECT_EQ(0U, stats.allocated_bytes);
  EXPECT_EQ(0, sys_heap_runtime_stats_get(&two, &stats));
  EXPECT_EQ(0U, stats.allocated_bytes);
  EXPECT_EQ(RF_OK, fault());
}

TEST_F(ZephyrHeap, ThePeakOfAHeapIsReset) {
  sys_heap_init(&heap, memory, sizeof memory);
  void *const p = sys_heap_alloc(&heap, 100);
  sys_heap_free(&heap, sys_heap_alloc(&heap, 50));
  struct sys_memory_stats stats;
  EXPECT_EQ(0, sys_heap_runtime_stats_get(&heap, &stats));
  EXPECT_EQ(100U, stats.allocated_bytes);
  EXPECT_EQ(150U, stats.max_allocated_bytes);
  EXPECT_EQ(0, sys_heap_runtime_stats_reset_max(&heap));
  EXPECT_EQ(0, sys_heap_runtime_stats_get(&heap, &stats));
  EXPECT_EQ(100U, stats.max_allocated_bytes);
  sys_heap_free(&heap, p);
}

// ---- Heaps that threads share ----

K_HEAP_DEFINE(defined_heap, 256);
K_HEAP_DEFINE(unused_heap, 100);

TEST_F(ZephyrHeap, ADefinedHeapNeedsNoCallThatMakesIt) {
  void *const p = k_heap_alloc(&defined_heap, 256, K_NO_WAIT);
  EXPECT_NE(nullptr, p);
  EXPECT_EQ(nullptr, k_heap_alloc(&defined_heap, 8, K_NO_WAIT));
  k_heap_free(&defined_heap, p);
  auto *const q = static_cast<char *>(k_heap_calloc(&defined_heap, 10, 3, K_NO_WAIT));
  EXPECT_EQ(std::string(30, '\0'), std::string(q, 30));
  EXPECT_EQ(nullptr, k_heap_calloc(&defined_heap, SIZE_MAX / 2, 3, K_FOREVER));
  EXPECT_EQ(q, k_heap_realloc(&defined_heap, q, 200, K_NO_WAIT));
  EXPECT_EQ(nullptr, k_heap_realloc(&defined_heap, q, 0, K_NO_WAIT));
  void *const r = k_heap_aligned_alloc(&defined_heap, 64, 10, K_NO_WAIT);
  EXPECT_TRUE(rf_is_aligned(r, 64));
  k_heap_free(&defined_heap, r);
}

TEST_F(ZephyrHeap, ATakerThatWaitsInVainGivesUpInTime) {
  struct k_heap h;
  k_heap_init(&h, memory, 128);
  void *const p = k_heap_alloc(&h, 100, K_NO_WAIT);
  auto const start = std::chrono::steady_clock::now();
  EXPECT_EQ(nullptr, k_heap_alloc(&h, 100, K_MSEC(20)));
  EXPECT_LE(20,
            std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start).count());
  EXPECT_EQ(nullptr, k_heap_alloc(&h, 1000, K_FOREVER)); // never to be had
  k_heap_free(&h, p);
}

TEST_F(ZephyrHeap, AFreeWakesAllThatWaitForMemory) {
  struct k_heap h;
  k_heap_init(&h, memory, 400);
  void *const p = k_heap_alloc(&h, 380, K_NO_WAIT);
  ASSERT_NE(nullptr, p);
  std::vector<std::thread> threads;
  void *got[3] = {};
  for (void *&each : got) {
    threads.emplace_back([&h, &each] { each = k_heap_alloc(&h, 100, K_FOREVER); });
  }
  k_heap_free(&h, p);
  for (std::thread &t : threads) {
    t.join();
  }
  for (void *const each : got) {
    EXPECT_NE(nullptr, each);
    k_heap_free(&h, each);
  }
  EXPECT_TRUE(sys_heap_validate(&h.heap));
}

TEST_F(ZephyrHeap, KMallocServesFromTheProgramsHeap) {
  char *p = static_cast<char *>(k_malloc(100));
  ASSERT_NE(nullptr, p);
  memset(p, 8, 100);
  p = static_cast<char *>(k_realloc(p, 1000));
  EXPECT_EQ(8, p[99]);
  k_free(p);
  k_free(nullptr);
  EXPECT_EQ(nullptr, k_malloc(SIZE_MAX));
  EXPECT_EQ(nullptr, k_calloc(8, SIZE_MAX));
  EXPECT_EQ(nullptr, k_malloc(K_HEAP_MEM_POOL_SIZE * 2));
  void *const q = k_aligned_alloc(256, 10);
  EXPECT_TRUE(rf_is_aligned(q, 256));
  EXPECT_EQ(nullptr, k_realloc(q, 0));
  struct sys_memory_stats stats;
  EXPECT_EQ(0, sys_heap_runtime_stats_get(&_system_heap.heap, &stats));
  EXPECT_EQ(0U, stats.allocated_bytes);
}

TEST_F(ZephyrHeap, KMallocOfNothingIsABlock) {
  void *const blocks[] = {k_malloc(0), k_calloc(0, 8), k_calloc(8, 0), k_realloc(nullptr, 0), k_aligned_alloc(64, 0)};
  for (size_t i = 0; i < ARRAY_SIZE(blocks); i++) {
    EXPECT_NE(nullptr, blocks[i]);
    EXPECT_EQ(1, std::count(std::begin(blocks), std::end(blocks), blocks[i]));
  }
  for (void *const block : blocks) {
    k_free(block);
  }
}

TEST_F(ZephyrHeap, ADefinedHeapHasNoRoomForMoreThanItsBytes) {
  EXPECT_EQ(256U + 8U, defined_heap.heap.init_bytes);
  EXPECT_EQ(104U + 8U, unused_heap.heap.init_bytes);
  EXPECT_EQ(nullptr, k_heap_alloc(&defined_heap, 257, K_NO_WAIT));
}

TEST_F(ZephyrHeap, AllDefinedHeapsCanBeListed) {
  struct k_heap *heaps;
  int const count = k_heap_array_get(&heaps);
  EXPECT_EQ(5, count); // driver_heap and event_heap among them
  EXPECT_EQ(1, std::count_if(heaps, heaps + count, [](const k_heap &h) { return &h == &unused_heap; }));
  EXPECT_EQ(1, std::count_if(heaps, heaps + count, [](const k_heap &h) { return &h == &defined_heap; }));
  EXPECT_EQ(1, std::count_if(heaps, heaps + count, [](const k_heap &h) { return &h == &_system_heap; }));
}

TEST_F(ZephyrHeap, AHeapThatIsNotMadeYetHasItsFigures) {
  struct sys_memory_stats stats;
  EXPECT_EQ(0, sys_heap_runtime_stats_get(&unused_heap.heap, &stats));
  EXPECT_EQ(104U, stats.free_bytes);
  EXPECT_EQ(0U, stats.allocated_bytes);
  void *const all = k_heap_alloc(&unused_heap, stats.free_bytes, K_NO_WAIT);
  EXPECT_NE(nullptr, all);
  k_heap_free(&unused_heap, all);
}

// ---- A checker around it ----

TEST_F(ZephyrHeap, AGuardAroundItFindsAnOverflow) {
  static rf_guard guard;
  static std::vector<std::string> findings;
  static rf_reporter reporter = {[](rf_reporter *, const rf_finding *f) {
                                   findings.push_back(rf_bug_name(f->bug));
                                   return RF_ACTION_CONTINUE;
                                 },
                                 nullptr, RF_EXITCODE_DEFAULT, 0};
  rf_zephyr_wrap_set(
      [](rf_allocator *allocator, struct sys_heap *, void *) {
        rf_guard_options options;
        rf_guard_options_default(&options);
        options.reporter = &reporter;
        return rf_guard_init(&guard, allocator, &options) == RF_OK ? &guard.base : nullptr;
      },
      nullptr);
  sys_heap_init(&heap, memory, sizeof memory);
  char *const p = static_cast<char *>(sys_heap_alloc(&heap, 13));
  char *volatile past = p + 13;
  *past = 1;
  sys_heap_free(&heap, p);
  EXPECT_EQ(std::vector<std::string>{"heap-buffer-overflow"}, findings);
  rf_deinit(rf_zephyr_allocator(&heap));
}

} // namespace
