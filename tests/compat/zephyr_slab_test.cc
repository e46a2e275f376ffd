// Zephyr's memory slabs: what its own tests rely on, what is refused, waiting.
#include <zephyr/kernel.h>

#include <gtest/gtest.h>
#include <ringfence/fault.h>
#include <ringfence/track.h>
#include <ringfence/watch.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <vector>

#include "tests/core/recorder.h"
#include "tests/core/unwatched.h"
#include "zephyr_manual.h"

// Zephyr's own, which this program has.
thread_local int the_priority;
std::atomic<unsigned> priorities_told;
extern "C" struct k_thread *k_current_get();
extern "C" int k_thread_priority_get(struct k_thread *thread);
extern "C" struct k_thread *k_current_get() {
  return nullptr;
}
extern "C" int k_thread_priority_get(struct k_thread *thread) {
  priorities_told++;
  return thread == nullptr ? the_priority : -1;
}

namespace {

// Some of these tests write to blocks that are free.
Unwatched const unwatched_here;

class ZephyrSlab : public ::testing::Test {
protected:
  ringfence::testing::FaultRecorder faults_;

  void SetUp() override { ASSERT_EQ(0, k_mem_slab_init(&slab, memory, 16, 4)); }
  void TearDown() override { EXPECT_TRUE(faults_.faults().empty()); }

  rf_status fault() { return faults_.take(); }

  char *take() {
    void *block = &slab;
    return k_mem_slab_alloc(&slab, &block, K_NO_WAIT) == 0 ? static_cast<char *>(block) : nullptr;
  }

  alignas(8) char memory[64];
  struct k_mem_slab slab;
};

// ---- Making one ----

K_MEM_SLAB_DEFINE(defined, 64, 3, 64);
K_MEM_SLAB_DEFINE_STATIC(defined_static, 12, 1, 4);
K_MEM_SLAB_DEFINE_IN_SECT(defined_in_sect, __attribute__((aligned(128))), 16, 2, 4);
K_MEM_SLAB_DEFINE_IN_SECT_STATIC(defined_in_sect_static, , 16, 2, 4);
struct typed_block {
  alignas(32) char text[33];
};
K_MEM_SLAB_DEFINE_TYPE(defined_type, struct typed_block, 5);
K_MEM_SLAB_DEFINE_TYPE_STATIC(defined_type_static, struct typed_block, 5);

alignas(8) char listed_blocks[2][32];
struct k_mem_slab listed[] = {Z_MEM_SLAB_INITIALIZER(listed[0], listed_blocks[0], 16, 2),
                              Z_MEM_SLAB_INITIALIZER(listed[1], listed_blocks[1], 32, 1)};

TEST_F(ZephyrSlab, ADefinedSlabNeedsNoCallThatMakesIt) {
  void *blocks[3];
  EXPECT_EQ(3U, k_mem_slab_num_free_get(&defined));
  EXPECT_EQ(64U, defined.info.block_size);
  EXPECT_EQ(WB_UP(12), defined_static.info.block_size);
  for (int i = 0; i < 3; i++) {
    ASSERT_EQ(0, k_mem_slab_alloc(&defined, &blocks[i], K_NO_WAIT));
    EXPECT_EQ(defined.buffer + 64 * i, blocks[i]);
    memset(blocks[i], i, 16);
  }
  EXPECT_EQ(0U, reinterpret_cast<uintptr_t>(blocks[0]) % 64);
  for (void *const block : blocks) {
    k_mem_slab_free(&defined, block);
  }
  EXPECT_EQ(0U, k_mem_slab_num_used_get(&defined));
}

TEST_F(ZephyrSlab, TheOtherMacrosDoAsTheySay) {
  EXPECT_EQ(1U, defined_static.info.num_blocks);
  EXPECT_EQ(0U, reinterpret_cast<uintptr_t>(defined_in_sect.buffer) % 128);
  EXPECT_EQ(2U, defined_in_sect_static.num_blocks);
  EXPECT_EQ(sizeof(typed_block), defined_type.info.block_size);
  EXPECT_EQ(0U, reinterpret_cast<uintptr_t>(defined_type.buffer) % alignof(typed_block));
  EXPECT_EQ(sizeof(typed_block), defined_type_static.block_size);
  EXPECT_EQ(2U, k_mem_slab_num_free_get(&listed[0]));
  EXPECT_EQ(32U, listed[1].info.block_size);
}

TEST_F(ZephyrSlab, InitTurnsDownWhatIsNoMultipleOfAPointer) {
  EXPECT_EQ(-EINVAL, k_mem_slab_init(&slab, memory, 17, 3));
  EXPECT_EQ(-EINVAL, k_mem_slab_init(&slab, memory + 1, 16, 3));
  EXPECT_EQ(-EINVAL, k_mem_slab_init(&slab, memory, 0, 3));
  EXPECT_EQ(-EINVAL, k_mem_slab_init(&slab, memory, 16, 0));
  EXPECT_EQ(-EINVAL, k_mem_slab_init(&slab, nullptr, 16, 3));
  EXPECT_EQ(-EINVAL, k_mem_slab_init(nullptr, memory, 16, 3));
  EXPECT_EQ(-EINVAL, k_mem_slab_init(&slab, memory, SIZE_MAX / 4 + 1, 4));
  EXPECT_EQ(-EINVAL, k_mem_slab_init(&slab, memory, SIZE_MAX / 2 + 1, 1)) << "no memory is as large";
  EXPECT_EQ(-EINVAL, k_mem_slab_init(&slab, reinterpret_cast<void *>(UINTPTR_MAX - 31), 16, 3)) << "ends beyond it";
  EXPECT_EQ(4U, slab.info.num_blocks);
}

// ---- Blocks ----

TEST_F(ZephyrSlab, TheBlockUsedLastIsTakenFirst) {
  char *const a = take();
  char *const b = take();
  EXPECT_EQ(memory, a);
  EXPECT_EQ(memory + 16, b);
  k_mem_slab_free(&slab, a);
  EXPECT_EQ(a, take());
  EXPECT_EQ(memory + 32, take());
}

TEST_F(ZephyrSlab, AllOfThemAreServedAndNoMore) {
  for (uint32_t i = 0; i < 4; i++) {
    EXPECT_EQ(i, k_mem_slab_num_used_get(&slab));
    char *const block = take();
    ASSERT_NE(nullptr, block);
    memset(block, 0xff, 16);
    EXPECT_EQ(3U - i, k_mem_slab_num_free_get(&slab));
  }
  void *block = memory;
  EXPECT_EQ(-ENOMEM, k_mem_slab_alloc(&slab, &block, K_NO_WAIT));
  EXPECT_EQ(nullptr, block);
  for (int i = 3; i >= 0; i--) {
    k_mem_slab_free(&slab, memory + 16 * i);
  }
  EXPECT_EQ(4U, k_mem_slab_num_free_get(&slab));
  EXPECT_EQ(4U, k_mem_slab_max_used_get(&slab));
}

TEST_F(ZephyrSlab, TheAddressOfThePointerWillDoAsInOlderVersions) {
  void *blocks[2] = {take(), take()};
  k_mem_slab_free(&slab, &blocks[1]);
  EXPECT_EQ(1U, k_mem_slab_num_used_get(&slab));
  // A block that holds pointers is one all the same.
  void **const pointers = static_cast<void **>(blocks[0]);
  *pointers = memory + 48;
  k_mem_slab_free(&slab, pointers);
  EXPECT_EQ(0U, k_mem_slab_num_used_get(&slab));
  void *none = nullptr;
  k_mem_slab_free(&slab, &none);
  k_mem_slab_free(&slab, none);
}

// The name alone, as in a table of functions: no macro has it.
TEST_F(ZephyrSlab, AFreeByItsFunctionIsOne) {
  char *const block = take();
  (k_mem_slab_free)(&slab, block);
  EXPECT_EQ(0U, k_mem_slab_num_used_get(&slab));
  (k_mem_slab_free)(&slab, block);
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, fault());
}

#if RF_WATCH
struct Heard {
  char event;
  void *first;
  size_t count;
};
std::vector<Heard> the_heard;

template <char event> void hear(const rf_watched_pool *, void *first, size_t count, const rf_site *, const void *) {
  the_heard.push_back({event, first, count});
}

TEST_F(ZephyrSlab, AWatcherHearsOfEachBlock) {
  rf_watcher const watcher = {hear<'b'>, hear<'b'>, hear<'e'>, hear<'a'>, hear<'c'>, hear<'f'>};
  const rf_watcher *const before = __atomic_exchange_n(&rf_watcher_of_process, &watcher, __ATOMIC_ACQ_REL);
  the_heard.clear();
  alignas(8) char of_other[16];
  struct k_mem_slab other;
  EXPECT_EQ(0, k_mem_slab_init(&other, of_other, sizeof of_other, 1));
  char *const block = take();
  k_mem_slab_free(&slab, block);
  __atomic_store_n(&rf_watcher_of_process, before, __ATOMIC_RELEASE);
  std::string events;
  for (const Heard &heard : the_heard) {
    events += heard.event;
    EXPECT_EQ(heard.first, heard.event == 'b' ? nullptr : block);
    EXPECT_EQ(heard.count, heard.event == 'b' ? 0U : 1U);
  }
  EXPECT_EQ("bbaf", events);
}
#endif

TEST_F(ZephyrSlab, StatisticsAreInBytes) {
  struct sys_memory_stats stats;
  EXPECT_EQ(-EINVAL, k_mem_slab_runtime_stats_get(nullptr, &stats));
  EXPECT_EQ(-EINVAL, k_mem_slab_runtime_stats_get(&slab, nullptr));
  EXPECT_EQ(-EINVAL, k_mem_slab_runtime_stats_reset_max(nullptr));
  char *const a = take();
  char *const b = take();
  k_mem_slab_free(&slab, b);
  ASSERT_EQ(0, k_mem_slab_runtime_stats_get(&slab, &stats));
  EXPECT_EQ(48U, stats.free_bytes);
  EXPECT_EQ(16U, stats.allocated_bytes);
  EXPECT_EQ(32U, stats.max_allocated_bytes);
  ASSERT_EQ(0, k_mem_slab_runtime_stats_reset_max(&slab));
  ASSERT_EQ(0, k_mem_slab_runtime_stats_get(&slab, &stats));
  EXPECT_EQ(16U, stats.max_allocated_bytes);
  k_mem_slab_free(&slab, a);
}

TEST_F(ZephyrSlab, TheManualsExamplesRun) {
  EXPECT_EQ(0, manual_slab());
}

// ---- Refusals ----

TEST_F(ZephyrSlab, BadPointersAreRefused) {
  char *const a = take();
  char *const b = take();
  k_mem_slab_free(&slab, a + 8);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault());
  k_mem_slab_free(&slab, memory + sizeof memory);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault());
  k_mem_slab_free(&slab, memory + 32);
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, fault());
  k_mem_slab_free(&slab, a);
  k_mem_slab_free(&slab, b);
  k_mem_slab_free(&slab, a);
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, fault());
  k_mem_slab_free(&slab, b);
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, fault());
  EXPECT_EQ(4U, k_mem_slab_num_free_get(&slab));
}

TEST_F(ZephyrSlab, ABlockThatHoldsWhatAFreeOneHeldIsNotTakenForOne) {
  char *const a = take();
  char *const b = take();
  k_mem_slab_free(&slab, a);
  char link[sizeof(void *)];
  memcpy(link, a, sizeof link);
  ASSERT_EQ(a, take());
  memcpy(a, link, sizeof link);
  k_mem_slab_free(&slab, a);
  k_mem_slab_free(&slab, b);
  memcpy(link, b, sizeof link);
  ASSERT_EQ(b, take());
  memcpy(b, link, sizeof link);
  a[0] = static_cast<char>(a[0] ^ 1); // leads to itself now: a list without an end
  k_mem_slab_free(&slab, b);
  EXPECT_EQ(0U, k_mem_slab_num_used_get(&slab));
}

TEST_F(ZephyrSlab, AFreeBlockThatWasWrittenToIsReportedWhenItIsNext) {
  char *const a = take();
  k_mem_slab_free(&slab, a);
  a[1] = static_cast<char>(a[1] ^ 1);
  void *block = memory;
  EXPECT_EQ(-EFAULT, k_mem_slab_alloc(&slab, &block, K_NO_WAIT));
  EXPECT_EQ(nullptr, block);
  EXPECT_EQ(RF_ERR_CORRUPT, fault());
  a[1] = static_cast<char>(a[1] ^ 1);
  EXPECT_EQ(a, take());
}

// Before it in the list is one that was written to, behind which no link leads on.
TEST_F(ZephyrSlab, ADoubleFreeIsRefusedWhateverTheListIs) {
  char *const a = take();
  char *const b = take();
  for (unsigned const damage : {0x01U, 0x80U}) {
    unsigned char word[sizeof(void *)];
    k_mem_slab_free(&slab, a);
    k_mem_slab_free(&slab, b);
    memcpy(word, b, sizeof word);
    for (unsigned char &byte : word) {
      byte = static_cast<unsigned char>(byte ^ damage);
    }
    std::swap_ranges(word, word + sizeof word, reinterpret_cast<unsigned char *>(b));
    k_mem_slab_free(&slab, a);
    EXPECT_EQ(RF_ERR_NOT_ALLOCATED, fault());
    EXPECT_EQ(0U, k_mem_slab_num_used_get(&slab));
    memcpy(b, word, sizeof word);
    EXPECT_EQ(b, take());
    EXPECT_EQ(a, take());
  }
}

#if !RF_TRACK && UINTPTR_MAX > UINT32_MAX // which marks all of it
// Offsets above 4 GiB, of memory that is never touched but for the first words of blocks.
TEST_F(ZephyrSlab, BlocksMayLieFourGibibytesApart) {
  size_t const size = size_t{1} << 31;
  void *const buffer =
      mmap(nullptr, 3 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(MAP_FAILED, buffer);
  ASSERT_EQ(0, k_mem_slab_init(&slab, buffer, size, 3));
  for (int round = 0; round < 2; round++) {
    char *blocks[3];
    for (size_t i = 0; i < 3; i++) {
      blocks[i] = take();
      EXPECT_EQ(static_cast<char *>(buffer) + i * size, blocks[i]);
    }
    struct sys_memory_stats stats;
    EXPECT_EQ(0, k_mem_slab_runtime_stats_get(&slab, &stats));
    EXPECT_EQ(3 * size, stats.allocated_bytes);
    for (size_t i = 3; i-- != 0;) {
      k_mem_slab_free(&slab, blocks[i]);
    }
  }
  munmap(buffer, 3 * size);
}
#endif

// ---- Waiting ----

TEST_F(ZephyrSlab, ATakerThatWaitsInVainGivesUpInTime) {
  void *block;
  while (take() != nullptr) {
  }
  for (int form = 0; form < 3; form++) {
    auto const start = std::chrono::steady_clock::now();
    int const status = form == 0   ? k_mem_slab_alloc(&slab, &block, K_MSEC(20))
                       : form == 1 ? k_mem_slab_alloc(&slab, &block, K_USEC(19001))
                                   : k_mem_slab_alloc(&slab, &block, 20);
    EXPECT_EQ(-EAGAIN, status);
    EXPECT_EQ(nullptr, block);
    auto const waited = std::chrono::steady_clock::now() - start;
    EXPECT_LE(20, std::chrono::duration_cast<std::chrono::milliseconds>(waited).count());
  }
}

// Begins a thread that waits for a block, and waits until it does.
std::thread waiting(struct k_mem_slab *slab, int priority, std::vector<int> *served) {
  static rf_mutex lock;
  rf_zephyr_slab_waiter *const before = slab->waiters;
  std::thread t([=] {
    void *block;
    the_priority = priority;
    EXPECT_EQ(0, k_mem_slab_alloc(slab, &block, K_FOREVER));
    rf_mutex_lock(&lock);
    served->push_back(priority);
    rf_mutex_unlock(&lock);
    k_mem_slab_free(slab, block);
  });
  for (bool queued = false; !queued; std::this_thread::yield()) {
    rf_mutex_lock(&slab->lock.mutex);
    queued = slab->waiters != before;
    rf_mutex_unlock(&slab->lock.mutex);
  }
  return t;
}

TEST_F(ZephyrSlab, ABlockThatComesBackGoesToTheMostUrgentThatWaits) {
  ASSERT_EQ(0, k_mem_slab_init(&slab, memory, 16, 1));
  char *const block = take();
  std::vector<int> served;
  std::vector<std::thread> threads;
  for (int const priority : {3, 1, -2}) { // cooperative threads have negative ones
    threads.push_back(waiting(&slab, priority, &served));
  }
  k_mem_slab_free(&slab, block);
  for (std::thread &t : threads) {
    t.join();
  }
  EXPECT_EQ((std::vector<int>{-2, 1, 3}), served);
  EXPECT_EQ(0U, k_mem_slab_num_used_get(&slab));
}

// A thread says how urgent it is as it begins to wait, inside the slab's lock.
TEST_F(ZephyrSlab, OfThreadsThatAreAsUrgentTheOneThatWaitedLongestIsFirst) {
  ASSERT_EQ(0, k_mem_slab_init(&slab, memory, 16, 1));
  char *const block = take();
  std::vector<unsigned> served;
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 3; i++) {
    unsigned const before = priorities_told;
    threads.emplace_back([this, i, &served] {
      void *mine;
      the_priority = 5;
      EXPECT_EQ(0, k_mem_slab_alloc(&slab, &mine, K_FOREVER));
      served.push_back(i); // alone: there is one block
      k_mem_slab_free(&slab, mine);
    });
    while (priorities_told == before) {
      std::this_thread::yield();
    }
    rf_mutex_lock(&slab.lock.mutex);
    rf_mutex_unlock(&slab.lock.mutex);
  }
  k_mem_slab_free(&slab, block);
  for (std::thread &t : threads) {
    t.join();
  }
  EXPECT_EQ((std::vector<unsigned>{0, 1, 2}), served);
}

TEST_F(ZephyrSlab, ThreadsShareOne) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; t++) {
    threads.emplace_back([this] {
      for (int i = 0; i < 2000; i++) {
        void *blocks[2] = {};
        ASSERT_EQ(0, k_mem_slab_alloc(&slab, &blocks[0], K_FOREVER));
        memset(blocks[0], i, 16);
        if (k_mem_slab_alloc(&slab, &blocks[1], K_NO_WAIT) == 0) {
          k_mem_slab_free(&slab, blocks[1]);
        }
        k_mem_slab_free(&slab, blocks[0]);
      }
    });
  }
  for (std::thread &t : threads) {
    t.join();
  }
  EXPECT_EQ(0U, k_mem_slab_num_used_get(&slab));
}

TEST_F(ZephyrSlab, TimeoutsAreMillisecondsRoundedUp) {
  EXPECT_EQ(1, K_USEC(1).ticks);
  EXPECT_EQ(2, K_NSEC(1000001).ticks);
  EXPECT_EQ(5400000, K_MINUTES(90).ticks);
  EXPECT_EQ(K_HOURS(1).ticks, K_SECONDS(3600).ticks);
  EXPECT_TRUE(K_TIMEOUT_EQ(K_FOREVER, K_TICKS(K_TICKS_FOREVER)));
  EXPECT_TRUE(K_TIMEOUT_EQ(Z_TIMEOUT_MS(3), Z_TIMEOUT_US(2001)));
  EXPECT_EQ(RF_WAIT_FOREVER, rf_zephyr_wait_ms(K_FOREVER));
  EXPECT_EQ(RF_WAIT_FOREVER - 1, rf_zephyr_wait_ms(K_TICKS(INT64_C(1) << 40)));
}

} // namespace
