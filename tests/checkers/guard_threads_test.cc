// Threads: one guard under a lock, as documented, and one guard for each.
#include "tests/checkers/guard_fixture.h"

#include <ringfence/lock.h>

#include <atomic>
#include <string>
#include <thread>

namespace ringfence {
namespace {

class GuardThreads : public GuardTest {
protected:
  static constexpr unsigned kThreads = 4;
  static constexpr unsigned kSteps = 400;

  static void join(std::vector<std::thread> &threads) {
    for (std::thread &t : threads) {
      t.join();
    }
  }
};

// A correct program: each block is filled and found as it was left.
void work(rf_allocator *a, unsigned seed, unsigned steps) {
  unsigned char *blocks[8] = {};
  size_t sizes[8] = {};
  for (unsigned i = 0; i < steps; i++) {
    seed = seed * 1664525 + 1013904223;
    unsigned const k = seed >> 24 & 7;
    if (blocks[k] == nullptr) {
      sizes[k] = 1 + (seed >> 16 & 0xFF);
      blocks[k] = static_cast<unsigned char *>(rf_alloc(a, sizes[k]));
      ASSERT_NE(blocks[k], nullptr);
    } else if ((seed & 0x100) != 0) {
      ASSERT_EQ(blocks[k][sizes[k] - 1], k);
      sizes[k] = 1 + (seed >> 16 & 0xFF);
      blocks[k] = static_cast<unsigned char *>(rf_realloc(a, blocks[k], sizes[k]));
      ASSERT_NE(blocks[k], nullptr);
    } else {
      ASSERT_EQ(blocks[k][sizes[k] - 1], k);
      ASSERT_EQ(rf_free(a, blocks[k]), RF_OK);
      blocks[k] = nullptr;
      continue;
    }
    std::memset(blocks[k], static_cast<int>(k), sizes[k]);
  }
  for (unsigned char *const p : blocks) {
    ASSERT_EQ(rf_free(a, p), RF_OK);
  }
}

TEST_P(GuardThreads, ThreadsThatShareAGuardUnderALockAreSilent) {
  rf_lock lock;
  ASSERT_EQ(rf_lock_init(&lock, a()), RF_OK);
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < kThreads; t++) {
    threads.emplace_back(work, &lock.base, t, kSteps);
  }
  join(threads);
  expect_silence();
  lock.base.ops->deinit(&lock.base);
}

TEST_P(GuardThreads, ABlockMayBeFreedByAnotherThread) {
  rf_lock lock;
  ASSERT_EQ(rf_lock_init(&lock, a()), RF_OK);
  std::atomic<void *> handed{nullptr};
  std::thread consumer([&] {
    for (unsigned i = 0; i < kSteps;) {
      void *const p = handed.exchange(nullptr);
      if (p != nullptr) {
        ASSERT_EQ(rf_free(&lock.base, p), RF_OK);
        i++;
      } else {
        std::this_thread::yield();
      }
    }
  });
  for (unsigned i = 0; i < kSteps; i++) {
    void *const p = rf_alloc(&lock.base, i % 50);
    void *expected = nullptr;
    while (!handed.compare_exchange_weak(expected, p)) {
      expected = nullptr;
      std::this_thread::yield();
    }
  }
  consumer.join();
  expect_silence();
  lock.base.ops->deinit(&lock.base);
}

TEST_P(GuardThreads, GuardsOfTheirOwnReportWithoutDisturbingEachOther) {
  Recorder shared; // takes the findings of all threads
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < kThreads; t++) {
    threads.emplace_back([&, t] {
      std::vector<unsigned char> arena(128 * 1024);
      std::unique_ptr<Heap> const heap = GetParam().make(arena.data(), arena.size());
      rf_guard_options options = options_;
      options.reporter = shared.reporter();
      rf_guard guard;
      ASSERT_EQ(rf_guard_init(&guard, heap->allocator(), &options), RF_OK);
      for (unsigned i = 0; i < 20; i++) {
        work(&guard.base, t, 20);
        auto *const p = static_cast<unsigned char *>(rf_alloc(&guard.base, 10));
        EXPECT_EQ(rf_free(&guard.base, p + 1), RF_ERR_BAD_POINTER);
        EXPECT_EQ(rf_free(&guard.base, &options), RF_ERR_BAD_POINTER);
        p[10] = 0;
        EXPECT_EQ(rf_free(&guard.base, p), RF_OK);
      }
      guard.base.ops->deinit(&guard.base);
    });
  }
  join(threads);
  EXPECT_EQ(shared.count(), kThreads * 20 * 3U);
  for (size_t i = 0; i < shared.count(); i++) {
    EXPECT_EQ(shared.findings()[i].sequence, i + 1);
  }
}

INSTANTIATE_TEST_SUITE_P(Over, GuardThreads, testing::ValuesIn(kHeaps), heap_name);

} // namespace
} // namespace ringfence
