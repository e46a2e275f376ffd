// Tests of lock alone; the conformance suite, which runs on lock over several heaps, has the promises of every
// allocator.
#include <ringfence/lock.h>
#include <ringfence/oom.h>
#include <ringfence/simple.h>

#include "tests/core/recorder.h"

#include <gtest/gtest.h>

#include <cstring>
#include <thread>
#include <vector>

namespace {

using ringfence::testing::FaultRecorder;

class LockTest : public testing::Test {
protected:
  LockTest() {
    EXPECT_EQ(rf_simple_init(&heap, arena, sizeof arena), RF_OK);
    EXPECT_EQ(rf_lock_init(&lock, &heap.base), RF_OK);
  }
  ~LockTest() override { rf_deinit(a); }

  alignas(64) unsigned char arena[4096];
  rf_simple heap;
  rf_lock lock;
  rf_allocator *const a = &lock.base;
  FaultRecorder recorder;
};

TEST_F(LockTest, InitOfNothingIsRefused) {
  rf_lock other;
  EXPECT_EQ(rf_lock_init(nullptr, &heap.base), RF_ERR_INVALID);
  EXPECT_EQ(rf_lock_init(&other, nullptr), RF_ERR_INVALID);
}

// A lock may lie in memory that has anything in it, as one on the stack: even this thread's own number.
TEST_F(LockTest, NobodyHoldsANewLock) {
  rf_lock other;
  std::memset(&other, 0, sizeof other);
  other.holder = rf_port_thread_id();
  ASSERT_EQ(rf_lock_init(&other, &heap.base), RF_OK);
  void *const p = rf_alloc(&other.base, 10);
  EXPECT_NE(p, nullptr);
  EXPECT_EQ(rf_free(&other.base, p), RF_OK);
  rf_deinit(&other.base);
}

TEST_F(LockTest, AnswersWhatTheInnerAllocatorAnswers) {
  void *const p = rf_alloc(a, 100);
  rf_stats mine;
  rf_stats inner;
  rf_stats_get(a, &mine);
  rf_stats_get(&heap.base, &inner);
  EXPECT_EQ(std::memcmp(&mine, &inner, sizeof mine), 0);
  EXPECT_EQ(rf_usable_size(a, p), rf_usable_size(&heap.base, p));
  EXPECT_TRUE(rf_owns(a, p));
  EXPECT_FALSE(rf_owns(a, this));
  EXPECT_EQ(rf_resize(a, p, 50), RF_OK);
  EXPECT_EQ(rf_inner(a), &heap.base);
  EXPECT_EQ(rf_free(a, p), RF_OK);
}

// ---- Operations that the inner allocator lacks ----

// Takes the operations that are optional away from an allocator, for a while.
class Bare {
public:
  explicit Bare(rf_allocator *inner) : inner_(inner), full_(inner->ops), ops_(*inner->ops) {
    ops_.realloc = nullptr;
    ops_.resize = nullptr;
    ops_.owns = nullptr;
    ops_.walk = nullptr;
    ops_.check = nullptr;
    inner->ops = &ops_;
  }
  ~Bare() { inner_->ops = full_; }
  Bare(const Bare &) = delete;
  Bare &operator=(const Bare &) = delete;

private:
  rf_allocator *inner_;
  const rf_allocator_ops *full_;
  rf_allocator_ops ops_;
};

TEST_F(LockTest, WhatTheInnerAllocatorLacksIsMissingAllTheSame) {
  Bare const bare(&heap.base);
  void *const p = rf_alloc(a, 100);
  EXPECT_EQ(rf_resize(a, p, 50), RF_ERR_UNSUPPORTED);
  EXPECT_EQ(rf_walk(
                a, [](const rf_block *, void *) { return true; }, nullptr),
            RF_ERR_UNSUPPORTED);
  EXPECT_FALSE(rf_owns(a, p));
  EXPECT_EQ(rf_check(a, nullptr), RF_OK);
  EXPECT_NE(rf_realloc(a, p, 200), nullptr) << "by moving";
}

TEST_F(LockTest, ReallocByMovingIsOnePieceForOtherThreads) {
  Bare const bare(&heap.base);
  std::vector<std::thread> threads;
  for (unsigned char t = 1; t <= 3; t++) {
    threads.emplace_back([this, t] {
      auto *p = static_cast<unsigned char *>(rf_alloc(a, 1));
      for (size_t i = 0; i < 2000 && p != nullptr; i++) {
        std::memset(p, t, 1);
        p = static_cast<unsigned char *>(rf_realloc(a, p, i % 100 + 1));
        ASSERT_NE(p, nullptr);
        ASSERT_EQ(p[0], t);
      }
      rf_free(a, p);
    });
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
  rf_stats s;
  rf_stats_get(a, &s);
  EXPECT_EQ(s.blocks, 0U);
  EXPECT_LE(s.peak_blocks, 3U + 1U) << "no two threads were moving at once";
}

TEST_F(LockTest, TurnedAwayRequestsAreToldToTheInnerAllocator) {
  struct Told {
    rf_allocator base;
    size_t count;
  } told = {};
  rf_allocator_ops ops = *heap.base.ops;
  ops.reject = [](rf_allocator *self, rf_reject why, size_t size, size_t, const rf_site *) {
    EXPECT_EQ(why, RF_REJECT_SIZE);
    EXPECT_EQ(size, SIZE_MAX);
    reinterpret_cast<Told *>(self)->count++;
  };
  told.base.ops = &ops;
  rf_lock over;
  ASSERT_EQ(rf_lock_init(&over, &told.base), RF_OK);
  EXPECT_EQ(rf_alloc(&over.base, SIZE_MAX), nullptr);
  EXPECT_EQ(told.count, 1U);
  over.base.ops->deinit(&over.base);
}

// ---- Callbacks ----

TEST_F(LockTest, AVisitorThatCallsBackIsRefusedNotHung) {
  void *const p = rf_alloc(a, 10);
  struct Visit {
    rf_allocator *a;
    void *p;
  } visit = {a, p};
  EXPECT_EQ(rf_walk(
                a,
                [](const rf_block *, void *context) {
                  auto *const v = static_cast<Visit *>(context);
                  rf_stats s;
                  std::memset(&s, 0x77, sizeof s);
                  EXPECT_EQ(rf_alloc(v->a, 10), nullptr);
                  EXPECT_EQ(rf_realloc(v->a, v->p, 20), nullptr);
                  EXPECT_EQ(rf_resize(v->a, v->p, 5), RF_ERR_BUSY);
                  EXPECT_EQ(rf_free(v->a, v->p), RF_ERR_BUSY);
                  EXPECT_EQ(rf_usable_size(v->a, v->p), 0U);
                  EXPECT_FALSE(rf_owns(v->a, v->p));
                  EXPECT_EQ(rf_check(v->a, nullptr), RF_ERR_BUSY);
                  rf_stats_get(v->a, &s);
                  EXPECT_EQ(s.capacity, 0U);
                  return false;
                },
                &visit),
            RF_OK);
  ASSERT_EQ(recorder.faults().size(), 8U);
  EXPECT_EQ(recorder.faults()[0].status, RF_ERR_BUSY);
  for (size_t i = 1; i < 6; i++) { // realloc, resize, free, usable_size, owns
    EXPECT_EQ(recorder.faults()[i].ptr, p) << i;
  }
  EXPECT_EQ(recorder.faults()[0].allocator, a);
  EXPECT_EQ(rf_free(a, p), RF_OK) << "the block is as it was, and the lock is free";
}

// An odd site is a caller's address, which a fault handler must not read.
TEST_F(LockTest, ARefusalPassesOnSitesAndNoCallersAddresses) {
  static const rf_site site = {"here.c", "here", 7};
  const rf_site *const caller = reinterpret_cast<const rf_site *>(reinterpret_cast<uintptr_t>(&site) + 1);
  rf_deinit(a);
  EXPECT_EQ(rf_alloc_at(a, 10, 8, &site), nullptr);
  EXPECT_EQ(rf_alloc_at(a, 10, 8, caller), nullptr);
  ASSERT_EQ(recorder.faults().size(), 2U);
  EXPECT_EQ(recorder.faults()[0].site, &site);
  EXPECT_EQ(recorder.faults()[1].site, nullptr);
}

TEST_F(LockTest, AfterARefusalTheLockIsFree) {
  void *const p = rf_alloc(a, 10);
  rf_free(a, p);
  EXPECT_EQ(rf_free(a, p), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(recorder.take(), RF_ERR_NOT_ALLOCATED);
  std::thread([this] { EXPECT_NE(rf_alloc(a, 10), nullptr); }).join();
}

TEST_F(LockTest, OomCallbacksRunWithTheLockFree) {
  rf_oom oom;
  rf_oom_callback callback;
  ASSERT_EQ(rf_oom_init(&oom, a, 0), RF_OK);
  struct Hoard {
    rf_allocator *a;
    void *p;
  } hoard = {a, rf_alloc(a, 3000)};
  ASSERT_EQ(rf_oom_add(
                &oom, &callback,
                [](void *context, unsigned, size_t) {
                  auto *const h = static_cast<Hoard *>(context);
                  std::thread([h] { EXPECT_EQ(rf_free(h->a, h->p), RF_OK); }).join();
                  return true;
                },
                &hoard),
            RF_OK);
  EXPECT_NE(rf_alloc(&oom.base, 2000), nullptr);
  EXPECT_EQ(recorder.faults().size(), 0U);
  oom.base.ops->deinit(&oom.base);
}

// ---- The end ----

TEST_F(LockTest, IsRefusedAfterDeinit) {
  void *const p = rf_alloc(a, 10);
  rf_deinit(a);
  EXPECT_EQ(rf_alloc(a, 10), nullptr);
  EXPECT_EQ(recorder.take(), RF_ERR_DELETED);
  EXPECT_EQ(rf_free(a, p), RF_ERR_DELETED);
  ASSERT_EQ(recorder.faults().size(), 1U);
  EXPECT_EQ(recorder.faults()[0].ptr, p);
  EXPECT_EQ(recorder.take(), RF_ERR_DELETED);
  rf_counters counters = {1, 1, 1, 1, 1, 1};
  rf_counters const none = {};
  rf_counters_get(a, &counters);
  EXPECT_EQ(std::memcmp(&counters, &none, sizeof none), 0);
  EXPECT_EQ(recorder.take(), RF_ERR_DELETED);
  EXPECT_EQ(rf_inner(a), nullptr);
}

TEST_F(LockTest, ASecondDeinitIsHarmless) {
  rf_deinit(a);
  rf_deinit(a);
  EXPECT_EQ(recorder.faults().size(), 0U);
}

// ---- Threads ----

TEST_F(LockTest, KeepsCountWhateverThreadsDo) {
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; t++) {
    threads.emplace_back([this] {
      for (size_t i = 0; i < 3000; i++) {
        void *const p = rf_alloc(a, i % 64);
        ASSERT_NE(p, nullptr);
        ASSERT_EQ(rf_free(a, p), RF_OK);
      }
    });
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
  rf_stats s;
  rf_stats_get(a, &s);
  EXPECT_EQ(s.allocations, 12000U);
  EXPECT_EQ(s.blocks, 0U);
  EXPECT_EQ(rf_check(a, nullptr), RF_OK);
}

} // namespace
