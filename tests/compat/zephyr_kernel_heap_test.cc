// Zephyr's k_heap and k_malloc, the array of a program's heaps, and components and drivers that use them.
#include <zephyr/init.h>
#include <zephyr/kernel.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include "zephyr_heap_fixture.h"
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

// Blocks come and go in one thread; the other looks at the heap of the k_heap.
TEST_F(ZephyrHeap, AHeapThatThreadsShareIsLookedAtWhileTheyUseIt) {
  static char bytes[64 * 1024] __aligned(8);
  static struct k_heap shared;
  k_heap_init(&shared, bytes, sizeof bytes);
  auto *const mine = static_cast<unsigned char *>(k_heap_alloc(&shared, 100, K_NO_WAIT));
  struct sys_memory_stats stats = {};
  std::atomic<bool> done{false};
  std::thread other([&done] {
    std::vector<void *> blocks(200);
    for (int round = 0; round < 200; round++) {
      for (size_t i = 0; i < blocks.size(); i++) {
        blocks[i] = k_heap_alloc(&shared, 1 + i, K_NO_WAIT);
      }
      for (size_t i = 0; i < blocks.size(); i++) {
        k_heap_free(&shared, blocks[i * 7 % blocks.size()]);
      }
    }
    done = true;
  });
  while (!done) {
    EXPECT_TRUE(sys_heap_validate(&shared.heap));
    EXPECT_GE(sys_heap_usable_size(&shared.heap, mine), 100U);
    EXPECT_EQ(sys_heap_runtime_stats_get(&shared.heap, &stats), 0);
    EXPECT_LE(stats.allocated_bytes, 100U + 200U * 201U / 2U);
  }
  other.join();
  k_spinlock_key_t const key = k_spin_lock(&shared.lock);
  EXPECT_EQ(sys_heap_runtime_stats_reset_max(&shared.heap), 0); // who holds the lock may look as well
  k_spin_unlock(&shared.lock, key);
  EXPECT_EQ(sys_heap_runtime_stats_get(&shared.heap, &stats), 0);
  EXPECT_EQ(stats.max_allocated_bytes, 100U);
  k_heap_free(&shared, mine);
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

K_HEAP_DEFINE(defined_heap, 256);
K_HEAP_DEFINE(unused_heap, 100);
K_HEAP_DEFINE_NOCACHE(uncached_heap, 300);

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

Z_HEAP_DEFINE_IN_SECT(placed_heap, 1024, __attribute__((aligned(256))));

TEST_F(ZephyrHeap, TheMemoryOfADefinedHeapLiesWhereItIsAskedFor) {
  EXPECT_TRUE(rf_is_aligned(placed_heap.heap.init_mem, 256));
  void *const p = k_heap_alloc(&placed_heap, 100, K_NO_WAIT);
  EXPECT_NE(nullptr, p);
  k_heap_free(&placed_heap, p);
}

K_HEAP_DEFINE(inner_heap, 256);
K_HEAP_DEFINE(freed_heap, 256);

// As code does that holds a lock of its own, or puts the heap into a multi heap.
TEST_F(ZephyrHeap, TheSysHeapOfADefinedHeapNeedsNoSuchCallEither) {
  void *const p = sys_heap_alloc(&inner_heap.heap, 256);
  EXPECT_NE(nullptr, p);
  EXPECT_EQ(nullptr, k_heap_alloc(&inner_heap, 8, K_NO_WAIT)) << "it is the same";
  sys_heap_free(&inner_heap.heap, p);
  sys_heap_free(&freed_heap.heap, memory);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault());
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
  EXPECT_EQ(304U + 8U, uncached_heap.heap.init_bytes);
  EXPECT_EQ(nullptr, k_heap_alloc(&defined_heap, 257, K_NO_WAIT));
}

TEST_F(ZephyrHeap, AllDefinedHeapsCanBeListed) {
  struct k_heap *heaps;
  int const count = k_heap_array_get(&heaps);
  EXPECT_EQ(9, count); // driver_heap and event_heap among them
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

} // namespace
