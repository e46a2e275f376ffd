// mempool between threads: order of service, timeouts, deletion, and no wake-up lost. The linker puts this file's
// functions in front of the port's.
#include <ringfence/mempool.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr size_t kBlockSize = 32;

std::atomic<int> sets{0};   // of events
std::atomic<int> events{0}; // made and not ended
thread_local std::function<void()> before_wait;

} // namespace

extern "C" {
rf_status __real_rf_event_init(rf_event *event);
rf_status __wrap_rf_event_init(rf_event *event);
void __real_rf_event_deinit(rf_event *event);
void __wrap_rf_event_deinit(rf_event *event);
void __real_rf_event_set(rf_event *event);
void __wrap_rf_event_set(rf_event *event);
rf_status __real_rf_event_wait(rf_event *event, uint32_t timeout_ms);
rf_status __wrap_rf_event_wait(rf_event *event, uint32_t timeout_ms);

rf_status __wrap_rf_event_init(rf_event *event) {
  events++;
  return __real_rf_event_init(event);
}

void __wrap_rf_event_deinit(rf_event *event) {
  events--;
  __real_rf_event_deinit(event);
}

void __wrap_rf_event_set(rf_event *event) {
  sets++;
  __real_rf_event_set(event);
}

rf_status __wrap_rf_event_wait(rf_event *event, uint32_t timeout_ms) {
  if (before_wait) {
    before_wait();
  }
  return __real_rf_event_wait(event, timeout_ms);
}
}

namespace {

class MempoolThreads : public testing::Test {
protected:
  void make(size_t num_blocks) {
    memory_.resize(num_blocks * (kBlockSize + sizeof(void *)));
    ASSERT_EQ(rf_mempool_init(&pool, memory_.data(), memory_.size(), kBlockSize, sizeof(void *)), RF_OK);
    ASSERT_EQ(pool.num_blocks, num_blocks);
  }
  ~MempoolThreads() override {
    EXPECT_EQ(rf_check(&pool.base, nullptr), RF_OK);
    EXPECT_EQ(rf_mempool_deinit(&pool), RF_OK);
    EXPECT_EQ(events, 0);
  }

  void *take() {
    void *block = nullptr;
    EXPECT_EQ(rf_mempool_alloc(&pool, 0, &block), RF_OK);
    return block;
  }
  size_t waiters() {
    rf_mempool_info info;
    rf_mempool_info_get(&pool, &info);
    return info.waiters;
  }
  // Returns when exactly `n` threads wait.
  void until_waiters(size_t n) {
    while (waiters() != n) {
      std::this_thread::yield();
    }
  }

  rf_mempool pool;

private:
  std::vector<unsigned char> memory_;
};

// Threads that were started one after the other, each when the one before was waiting, noting who was served when.
class Queue {
public:
  void join() {
    for (std::thread &t : threads) {
      t.join();
    }
  }
  std::vector<std::thread> threads;
  std::vector<int> served; // by whoever holds the only block
};

} // namespace

TEST_F(MempoolThreads, AWaiterGetsTheBlockThatIsGivenBack) {
  make(1);
  void *block = take();
  void *got = nullptr;
  std::thread waiter([&] { EXPECT_EQ(rf_mempool_alloc(&pool, RF_WAIT_FOREVER, &got), RF_OK); });
  until_waiters(1);
  EXPECT_EQ(rf_mempool_free(&pool, block), RF_OK);
  waiter.join();
  EXPECT_EQ(got, block);
  EXPECT_EQ(rf_mempool_free(&pool, got), RF_OK);
}

TEST_F(MempoolThreads, AWaiterGetsTheWholeBlockWhateverWasAskedForBefore) {
  make(1);
  void *const block = rf_aligned_alloc(&pool.base, sizeof(void *), 10);
  ASSERT_NE(block, nullptr);
  void *got = nullptr;
  std::thread waiter([&] { EXPECT_EQ(rf_mempool_alloc(&pool, RF_WAIT_FOREVER, &got), RF_OK); });
  until_waiters(1);
  EXPECT_EQ(rf_mempool_free(&pool, block), RF_OK);
  waiter.join();
  EXPECT_EQ(rf_usable_size(&pool.base, got), kBlockSize);
  std::memset(got, 0xA5, kBlockSize);
  EXPECT_EQ(rf_check(&pool.base, nullptr), RF_OK);
  EXPECT_EQ(rf_mempool_free(&pool, got), RF_OK);
}

TEST_F(MempoolThreads, WaitersAreServedInOrderOfArrival) {
  make(1);
  void *block = take();
  Queue queue;
  for (int i = 0; i < 8; i++) {
    queue.threads.emplace_back([this, &queue, i] {
      void *mine = nullptr;
      ASSERT_EQ(rf_mempool_alloc(&pool, RF_WAIT_FOREVER, &mine), RF_OK);
      queue.served.push_back(i);
      ASSERT_EQ(rf_mempool_free(&pool, mine), RF_OK);
    });
    until_waiters(static_cast<size_t>(i) + 1);
  }
  EXPECT_EQ(rf_mempool_free(&pool, block), RF_OK);
  queue.join();
  EXPECT_EQ(queue.served, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7}));
}

TEST_F(MempoolThreads, HigherPrioritiesGoFirstAndEqualOnesInOrderOfArrival) {
  make(1);
  void *block = take();
  Queue queue;
  int const priorities[] = {0, 1, -3, 1, 0, 7, -3, 0};
  for (int i = 0; i < 8; i++) {
    queue.threads.emplace_back([this, &queue, i, priority = priorities[i]] {
      void *mine = nullptr;
      // Without one it is that of 0.
      ASSERT_EQ(i % 4 == 0 ? rf_mempool_alloc(&pool, RF_WAIT_FOREVER, &mine)
                           : rf_mempool_alloc_prio(&pool, RF_WAIT_FOREVER, priority, &mine),
                RF_OK);
      queue.served.push_back(i);
      ASSERT_EQ(rf_mempool_free(&pool, mine), RF_OK);
    });
    until_waiters(static_cast<size_t>(i) + 1);
  }
  EXPECT_EQ(rf_mempool_free(&pool, block), RF_OK);
  queue.join();
  EXPECT_EQ(queue.served, (std::vector<int>{5, 1, 3, 0, 4, 7, 2, 6}));
}

TEST_F(MempoolThreads, NobodyWhoComesLaterStealsTheBlockOfAWaiter) {
  make(1);
  for (int round = 0; round < 200; round++) {
    void *block = take();
    void *got = nullptr;
    std::thread waiter([&] { EXPECT_EQ(rf_mempool_alloc(&pool, RF_WAIT_FOREVER, &got), RF_OK); });
    until_waiters(1);
    EXPECT_EQ(rf_mempool_free(&pool, block), RF_OK);
    void *stolen = nullptr;
    EXPECT_EQ(rf_mempool_alloc(&pool, 0, &stolen), RF_ERR_NO_MEMORY);
    waiter.join();
    EXPECT_EQ(rf_mempool_free(&pool, got), RF_OK);
  }
}

TEST_F(MempoolThreads, ATimeoutIsHonouredWithinATick) {
  make(1);
  void *block = take();
  auto quickest = Clock::duration::max(); // of some: the machine may be busy with something else
  for (int attempt = 0; attempt < 5; attempt++) {
    auto const start = Clock::now();
    void *none = &pool;
    EXPECT_EQ(rf_mempool_alloc(&pool, 20, &none), RF_ERR_TIMEOUT);
    auto const took = Clock::now() - start;
    EXPECT_EQ(none, nullptr);
    EXPECT_GE(took, milliseconds(20));
    quickest = std::min(quickest, took);
  }
  EXPECT_LT(quickest, milliseconds(30));
  EXPECT_EQ(waiters(), 0U);
  rf_stats stats;
  rf_stats_get(&pool.base, &stats);
  EXPECT_EQ(stats.failures, 5U);
  EXPECT_EQ(rf_mempool_free(&pool, block), RF_OK);
}

TEST_F(MempoolThreads, AWaiterThatGivesUpLeavesTheOthersInOrder) {
  make(1);
  void *block = take();
  Queue queue;
  std::atomic<bool> all_wait{false};
  auto wait = [this, &queue, &all_wait](int name, uint32_t timeout, rf_status expected) {
    size_t const before = queue.threads.size();
    queue.threads.emplace_back([this, &queue, &all_wait, name, timeout, expected] {
      before_wait = [&all_wait] { // in the queue already; the time begins behind it
        while (!all_wait) {
          std::this_thread::yield();
        }
      };
      void *mine = nullptr;
      ASSERT_EQ(rf_mempool_alloc(&pool, timeout, &mine), expected);
      if (expected == RF_OK) {
        queue.served.push_back(name);
        ASSERT_EQ(rf_mempool_free(&pool, mine), RF_OK);
      }
    });
    until_waiters(before + 1);
  };
  wait(1, RF_WAIT_FOREVER, RF_OK);
  wait(2, 20, RF_ERR_TIMEOUT);
  wait(3, RF_WAIT_FOREVER, RF_OK);
  wait(4, 20, RF_ERR_TIMEOUT); // the last in the queue: who comes next must still find its end
  all_wait = true;
  queue.threads[1].join();
  queue.threads[3].join();
  queue.threads.erase(queue.threads.begin() + 3);
  queue.threads.erase(queue.threads.begin() + 1);
  wait(5, RF_WAIT_FOREVER, RF_OK);
  EXPECT_EQ(rf_mempool_free(&pool, block), RF_OK);
  queue.join();
  EXPECT_EQ(queue.served, (std::vector<int>{1, 3, 5}));
}

TEST_F(MempoolThreads, DeinitWakesEveryWaiterAndWaitsUntilTheyLeft) {
  make(2);
  (void)take();
  (void)take();
  std::atomic<int> deleted{0};
  std::vector<std::thread> threads;
  for (size_t i = 0; i < 6; i++) {
    threads.emplace_back([this, &deleted, i] {
      void *none = &pool;
      uint32_t const timeout = i % 2 == 0 ? RF_WAIT_FOREVER : 60000;
      EXPECT_EQ(rf_mempool_alloc(&pool, timeout, &none), RF_ERR_DELETED);
      EXPECT_EQ(none, nullptr);
      deleted++;
    });
  }
  until_waiters(6);
  sets = 0;
  EXPECT_EQ(rf_mempool_deinit(&pool), RF_OK);
  for (std::thread &t : threads) {
    t.join();
  }
  EXPECT_EQ(deleted, 6);
  EXPECT_EQ(sets, 6 + 1) << "only the last one to leave ends the wait of deinit";
}

// The block that comes back meanwhile is nobody's any more.
TEST_F(MempoolThreads, APoolThatWaitsForItsEndServesNobody) {
  make(1);
  void *const block = take();
  std::thread waiter([this] {
    void *none = nullptr;
    EXPECT_EQ(rf_mempool_alloc(&pool, RF_WAIT_FOREVER, &none), RF_ERR_DELETED);
  });
  until_waiters(1);
  unsigned looks = 0;
  before_wait = [&] {
    void *none = nullptr;
    EXPECT_EQ(rf_mempool_alloc(&pool, 0, &none), RF_ERR_DELETED);
    EXPECT_EQ(rf_mempool_free(&pool, block), RF_OK);
    EXPECT_EQ(rf_mempool_alloc(&pool, 0, &none), RF_ERR_DELETED);
    looks++;
  };
  EXPECT_EQ(rf_mempool_deinit(&pool), RF_OK);
  before_wait = nullptr;
  waiter.join();
  EXPECT_EQ(looks, 1U);
}

TEST_F(MempoolThreads, DeleteWakesEveryWaiterBeforeTheMemoryGoes) {
  make(1);
  alignas(16) static unsigned char memory[2048];
  rf_mempool from;
  ASSERT_EQ(rf_mempool_init(&from, memory, sizeof memory, 1024, 16), RF_OK);
  for (int round = 0; round < 100; round++) {
    rf_mempool *created = nullptr;
    void *block = nullptr;
    ASSERT_EQ(rf_mempool_create(&from.base, 1, kBlockSize, sizeof(void *), &created), RF_OK);
    ASSERT_EQ(rf_mempool_alloc(created, 0, &block), RF_OK);
    std::thread waiter([created] {
      void *none = nullptr;
      EXPECT_EQ(rf_mempool_alloc(created, RF_WAIT_FOREVER, &none), RF_ERR_DELETED);
    });
    rf_mempool_info info;
    do {
      rf_mempool_info_get(created, &info);
    } while (info.waiters == 0);
    ASSERT_EQ(rf_mempool_delete(created), RF_OK);
    waiter.join();
  }
  EXPECT_EQ(rf_mempool_deinit(&from), RF_OK);
}

// A timeout and a block that arrive together: whoever wins, the block is either the waiter's or in the pool.
TEST_F(MempoolThreads, ABlockThatArrivesWithTheTimeoutIsNotLost) {
  make(1);
  int served = 0;
  for (int round = 0; round < 200; round++) {
    void *block = take();
    rf_status status = RF_OK;
    void *got = nullptr;
    std::thread waiter([&] { status = rf_mempool_alloc(&pool, 1, &got); });
    auto const until = Clock::now() + std::chrono::microseconds(900 + round * 2);
    while (Clock::now() < until) {
      std::this_thread::yield();
    }
    EXPECT_EQ(rf_mempool_free(&pool, block), RF_OK);
    waiter.join();
    if (status == RF_OK) {
      served++;
      EXPECT_EQ(rf_mempool_free(&pool, got), RF_OK);
    } else {
      EXPECT_EQ(status, RF_ERR_TIMEOUT);
    }
    rf_mempool_info info;
    rf_mempool_info_get(&pool, &info);
    ASSERT_EQ(info.free_blocks, 1U);
    ASSERT_EQ(info.waiters, 0U);
  }
  RecordProperty("served", served);
}

// A million operations of four threads on two blocks: with a wake-up lost, a thread would wait for ever.
// RF_TEST_OPERATIONS sets another number; instrumented builds do a tenth.
TEST_F(MempoolThreads, NoWakeUpIsLost) {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__) || defined(RF_TEST_SLOW)
  int operations = 100000;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
  int operations = 100000;
#else
  int operations = 1000000;
#endif
#else
  int operations = 1000000;
#endif
  if (const char *text = std::getenv("RF_TEST_OPERATIONS")) {
    operations = std::atoi(text);
  }
  make(2);
  int const per_thread = operations / 2 / 4; // each round is an alloc and a free
  auto work = [this, per_thread](int id) {
    for (int i = 0; i < per_thread; i++) {
      void *block = nullptr;
      ASSERT_EQ(rf_mempool_alloc(&pool, RF_WAIT_FOREVER, &block), RF_OK);
      auto *const owner = static_cast<volatile int *>(block);
      *owner = id;
      if (i % 64 == 0) {
        std::this_thread::yield(); // let the others run into the empty pool
      }
      ASSERT_EQ(*owner, id);
      ASSERT_EQ(rf_mempool_free(&pool, block), RF_OK);
    }
  };
  std::vector<std::thread> threads;
  for (int id = 0; id < 4; id++) {
    threads.emplace_back(work, id);
  }
  for (std::thread &t : threads) {
    t.join();
  }
  rf_stats stats;
  rf_stats_get(&pool.base, &stats);
  EXPECT_EQ(stats.blocks, 0U);
  EXPECT_EQ(stats.allocations, static_cast<size_t>(per_thread) * 4);
  EXPECT_EQ(stats.failures, 0U);
}
