// oom: callbacks on failure, retries, refusal, re-entry, several threads.
#include <gtest/gtest.h>
#include <ringfence/oom.h>
#include <ringfence/simple.h>

#include "tests/core/recorder.h"
#include "tests/decorators/budget_heap.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

namespace {

using ringfence::Budget;
using ringfence::budget_ops;

struct Call {
  unsigned attempt;
  size_t needed;
};

class Oom : public ::testing::Test {
protected:
  void SetUp() override {
    inner.base.ops = budget_ops();
    inner.left = 100;
    ASSERT_EQ(RF_OK, rf_oom_init(&oom, &inner.base, 0));
    a = &oom.base;
  }
  void TearDown() override { oom.base.ops->deinit(&oom.base); }

  Budget inner{};
  rf_oom oom;
  rf_allocator *a;
};

// A callback that raises the budget on its `useful_from`-th call and records every call.
struct Cache {
  Budget *budget;
  size_t gives;
  unsigned useful_from;
  std::vector<Call> calls;
};

bool cache_release(void *context, unsigned attempt, size_t needed) {
  auto *const c = static_cast<Cache *>(context);
  c->calls.push_back({attempt, needed});
  if (c->calls.size() >= c->useful_from) {
    c->budget->left += c->gives;
  }
  return true;
}

bool refuse(void *context, unsigned, size_t) {
  ++*static_cast<int *>(context);
  return false;
}

TEST_F(Oom, EachRoundAsksAllCallbacksWhateverTheFirstFreed) {
  Cache first{&inner, 0, 1, {}};
  Cache second{&inner, 1000, 1, {}};
  rf_oom_callback links[2];
  ASSERT_EQ(RF_OK, rf_oom_add(&oom, &links[0], cache_release, &first));
  ASSERT_EQ(RF_OK, rf_oom_add(&oom, &links[1], cache_release, &second));
  void *const p = rf_alloc(a, 200);
  EXPECT_NE(nullptr, p);
  EXPECT_EQ(1u, first.calls.size());
  EXPECT_EQ(1u, second.calls.size());
  EXPECT_EQ(RF_OK, rf_free(a, p));
}

// Whether the block is one, nobody can tell: it has no bytes, and there is no walk.
TEST_F(Oom, AReallocInVainIsAFailureWhereInnerCannotBeWalked) {
  void *const p = rf_alloc(a, 0);
  EXPECT_EQ(nullptr, rf_realloc(a, p, 200));
  rf_stats stats;
  rf_stats_get(a, &stats);
  EXPECT_EQ(1u, stats.failures);
  EXPECT_EQ(RF_OK, rf_free(a, p));
}

TEST_F(Oom, RefusesNullArguments) {
  rf_oom other;
  rf_oom_callback cb;
  EXPECT_EQ(RF_ERR_INVALID, rf_oom_init(nullptr, &inner.base, 0));
  EXPECT_EQ(RF_ERR_INVALID, rf_oom_init(&other, nullptr, 0));
  EXPECT_EQ(RF_ERR_INVALID, rf_oom_add(nullptr, &cb, refuse, nullptr));
  EXPECT_EQ(RF_ERR_INVALID, rf_oom_add(&oom, nullptr, refuse, nullptr));
  EXPECT_EQ(RF_ERR_INVALID, rf_oom_add(&oom, &cb, nullptr, nullptr));
  EXPECT_EQ(RF_ERR_INVALID, rf_oom_remove(&oom, &cb));
  EXPECT_EQ(RF_ERR_INVALID, rf_oom_remove(nullptr, &cb));
  EXPECT_EQ(RF_ERR_INVALID, rf_oom_remove(&oom, nullptr));
}

TEST_F(Oom, LeavesSuccessAlone) {
  Cache cache{&inner, 0, 1, {}};
  rf_oom_callback cb;
  ASSERT_EQ(RF_OK, rf_oom_add(&oom, &cb, cache_release, &cache));
  void *const p = rf_alloc(a, 50);
  ASSERT_NE(nullptr, p);
  EXPECT_EQ(RF_OK, rf_free(a, p));
  EXPECT_TRUE(cache.calls.empty());
  EXPECT_EQ(1u, inner.allocs);
}

TEST_F(Oom, WithoutCallbacksFailsAtOnce) {
  EXPECT_EQ(nullptr, rf_alloc(a, 101));
  EXPECT_EQ(1u, inner.allocs);
  rf_oom_stats s;
  rf_oom_stats_get(&oom, &s);
  EXPECT_EQ(0u, s.rescued);
  EXPECT_EQ(1u, s.given_up);
}

TEST_F(Oom, RetriesAfterTheCallbackFreedAndTellsAttemptAndSize) {
  Cache cache{&inner, 200, 2, {}};
  rf_oom_callback cb;
  ASSERT_EQ(RF_OK, rf_oom_add(&oom, &cb, cache_release, &cache));
  void *const p = rf_alloc(a, 150);
  ASSERT_NE(nullptr, p);
  ASSERT_EQ(2u, cache.calls.size());
  EXPECT_EQ(1u, cache.calls[0].attempt);
  EXPECT_EQ(2u, cache.calls[1].attempt);
  EXPECT_EQ(150u, cache.calls[1].needed);
  rf_oom_stats s;
  rf_oom_stats_get(&oom, &s);
  EXPECT_EQ(1u, s.rescued);
  EXPECT_EQ(0u, s.given_up);
  EXPECT_EQ(RF_OK, rf_free(a, p));
}

TEST_F(Oom, StopsAtTheLimit) {
  Cache cache{&inner, 0, 1, {}};
  rf_oom_callback cb;
  ASSERT_EQ(RF_OK, rf_oom_add(&oom, &cb, cache_release, &cache));
  EXPECT_EQ(nullptr, rf_alloc(a, 150));
  EXPECT_EQ(static_cast<size_t>(RF_OOM_ATTEMPTS), cache.calls.size());
  EXPECT_EQ(1u + RF_OOM_ATTEMPTS, inner.allocs);
}

TEST_F(Oom, TheLimitIsWhatItIsSetTo) {
  for (unsigned const attempts : {1U, 2U, 7U}) {
    rf_oom limited;
    ASSERT_EQ(RF_OK, rf_oom_init(&limited, &inner.base, attempts));
    Cache cache{&inner, 0, 1, {}};
    rf_oom_callback cb;
    ASSERT_EQ(RF_OK, rf_oom_add(&limited, &cb, cache_release, &cache));
    EXPECT_EQ(nullptr, rf_alloc(&limited.base, 150));
    EXPECT_EQ(attempts, cache.calls.size());
    rf_deinit(&limited.base);
  }
}

TEST_F(Oom, ARefusalStopsTheRetries) {
  int refusals = 0;
  rf_oom_callback cb;
  ASSERT_EQ(RF_OK, rf_oom_add(&oom, &cb, refuse, &refusals));
  EXPECT_EQ(nullptr, rf_alloc(a, 150));
  EXPECT_EQ(1, refusals);
  EXPECT_EQ(1u, inner.allocs);
}

TEST_F(Oom, OneOfSeveralCallbacksIsEnough) {
  int refusals = 0;
  Cache cache{&inner, 200, 1, {}};
  rf_oom_callback first, second;
  ASSERT_EQ(RF_OK, rf_oom_add(&oom, &first, refuse, &refusals));
  ASSERT_EQ(RF_OK, rf_oom_add(&oom, &second, cache_release, &cache));
  EXPECT_EQ(RF_ERR_BUSY, rf_oom_add(&oom, &first, refuse, &refusals));
  void *const p = rf_alloc(a, 150);
  ASSERT_NE(nullptr, p);
  EXPECT_EQ(1, refusals);
  EXPECT_EQ(RF_OK, rf_free(a, p));

  ASSERT_EQ(RF_OK, rf_oom_remove(&oom, &second));
  EXPECT_EQ(nullptr, rf_alloc(a, 5000));
  EXPECT_EQ(1u, cache.calls.size());
  EXPECT_EQ(2, refusals);
}

TEST_F(Oom, ACallbackMayRemoveItself) {
  struct Once {
    rf_oom *oom;
    rf_oom_callback cb;
    int calls;
  } once{&oom, {}, 0};
  ASSERT_EQ(RF_OK, rf_oom_add(
                       &oom, &once.cb,
                       [](void *context, unsigned, size_t) {
                         auto *const o = static_cast<Once *>(context);
                         o->calls++;
                         return rf_oom_remove(o->oom, &o->cb) == RF_OK;
                       },
                       &once));
  EXPECT_EQ(nullptr, rf_alloc(a, 150));
  EXPECT_EQ(1, once.calls);
}

// Two requests are in their first callback, and both would go on to the second, when that is removed: they go on to the
// one behind it.
TEST_F(Oom, ARemovedCallbackRunsInNoRequestThatIsOnItsWayToIt) {
  struct Gate {
    std::atomic<int> arrived{0};
    std::atomic<bool> open{false};
  } gate;
  int calls = 0;
  std::atomic<int> last_calls{0};
  rf_oom_callback first, second, last;
  ASSERT_EQ(RF_OK, rf_oom_add(
                       &oom, &first,
                       [](void *context, unsigned, size_t) {
                         auto *const g = static_cast<Gate *>(context);
                         g->arrived++;
                         while (!g->open) {
                           std::this_thread::yield();
                         }
                         return false;
                       },
                       &gate));
  ASSERT_EQ(RF_OK, rf_oom_add(&oom, &second, refuse, &calls));
  ASSERT_EQ(RF_OK, rf_oom_add(
                       &oom, &last,
                       [](void *context, unsigned, size_t) {
                         ++*static_cast<std::atomic<int> *>(context);
                         return false;
                       },
                       &last_calls));
  std::thread threads[2];
  for (std::thread &t : threads) {
    t = std::thread([this] { EXPECT_EQ(nullptr, rf_alloc(a, 150)); });
  }
  while (gate.arrived < 2) {
    std::this_thread::yield();
  }
  EXPECT_EQ(RF_OK, rf_oom_remove(&oom, &second));
  gate.open = true;
  for (std::thread &t : threads) {
    t.join();
  }
  EXPECT_EQ(0, calls);
  EXPECT_EQ(2, last_calls);
}

TEST_F(Oom, AFailureInsideACallbackIsAnsweredAtOnce) {
  struct Greedy {
    rf_allocator *a;
    int calls;
    void *nested;
  } greedy{a, 0, &greedy};
  rf_oom_callback cb;
  ASSERT_EQ(RF_OK, rf_oom_add(
                       &oom, &cb,
                       [](void *context, unsigned, size_t) {
                         auto *const g = static_cast<Greedy *>(context);
                         g->calls++;
                         g->nested = rf_alloc(g->a, 1000);
                         return true;
                       },
                       &greedy));
  EXPECT_EQ(nullptr, rf_alloc(a, 150));
  EXPECT_EQ(RF_OOM_ATTEMPTS, greedy.calls);
  EXPECT_EQ(nullptr, greedy.nested);
}

TEST_F(Oom, ReallocIsRescuedAndKeepsTheContents) {
  Cache cache{&inner, 400, 1, {}};
  rf_oom_callback cb;
  ASSERT_EQ(RF_OK, rf_oom_add(&oom, &cb, cache_release, &cache));
  auto *p = static_cast<char *>(rf_alloc(a, 60));
  ASSERT_NE(nullptr, p);
  std::memset(p, 'x', 60);
  p = static_cast<char *>(rf_realloc(a, p, 300));
  ASSERT_NE(nullptr, p);
  for (int i = 0; i < 60; i++) {
    ASSERT_EQ('x', p[i]) << i;
  }
  EXPECT_EQ(1u, cache.calls.size());
  EXPECT_EQ(RF_OK, rf_free(a, p));
}

TEST(OomOverAHeap, AReallocIsNotTriedAgainOnceACallbackFreedTheBlock) {
  alignas(16) static unsigned char arena[1024];
  rf_simple heap;
  rf_oom oom;
  rf_oom_callback cb;
  ringfence::testing::FaultRecorder faults;
  ASSERT_EQ(RF_OK, rf_simple_init(&heap, arena, sizeof arena));
  ASSERT_EQ(RF_OK, rf_oom_init(&oom, &heap.base, 0));
  struct Victim {
    rf_allocator *a;
    void *p;
    int calls;
  } victim{&oom.base, rf_alloc(&oom.base, 100), 0};
  ASSERT_EQ(RF_OK, rf_oom_add(
                       &oom, &cb,
                       [](void *context, unsigned, size_t) {
                         auto *const v = static_cast<Victim *>(context);
                         return v->calls++ == 0 && rf_free(v->a, v->p) == RF_OK;
                       },
                       &victim));
  EXPECT_EQ(nullptr, rf_realloc(&oom.base, victim.p, sizeof arena));
  EXPECT_EQ(1, victim.calls);
  EXPECT_TRUE(faults.faults().empty());
  rf_deinit(&oom.base);
}

// A heap in which another request fails while a realloc is under way, as one of another thread may.
struct Interrupted {
  rf_simple heap;
  rf_allocator_ops ops;
  rf_allocator *outside; // whose request fails then; NULL: nobody's
};

void *realloc_interrupted(rf_allocator *self, void *ptr, size_t size, size_t align, const rf_site *site) {
  auto *const i = reinterpret_cast<Interrupted *>(self);
  if (i->outside != nullptr) {
    EXPECT_EQ(nullptr, rf_alloc(std::exchange(i->outside, nullptr), 1U << 20));
  }
  return rf_realloc_move(self, ptr, 0, size, align, site);
}

TEST(OomOverAHeap, AFailureOfAnotherRequestIsCountedOnce) {
  alignas(16) static unsigned char arena[1024];
  Interrupted inner{};
  rf_oom oom;
  ASSERT_EQ(RF_OK, rf_simple_init(&inner.heap, arena, sizeof arena));
  inner.ops = *inner.heap.base.ops;
  inner.ops.realloc = realloc_interrupted;
  inner.heap.base.ops = &inner.ops;
  ASSERT_EQ(RF_OK, rf_oom_init(&oom, &inner.heap.base, 0));
  void *p = rf_alloc(&oom.base, 0); // its usable size is what a bad pointer's is, in some heaps
  ASSERT_NE(nullptr, p);
  inner.ops.usable_size = [](rf_allocator *, const void *) -> size_t { return 0; };
  inner.outside = &oom.base;
  p = rf_realloc(&oom.base, p, 40);
  EXPECT_NE(nullptr, p);
  rf_stats stats;
  rf_stats_get(&oom.base, &stats);
  EXPECT_EQ(1U, stats.failures);
  EXPECT_EQ(nullptr, rf_realloc(&oom.base, p, 1U << 20)) << "its own failure counts, too";
  rf_stats_get(&oom.base, &stats);
  EXPECT_EQ(2U, stats.failures);
  EXPECT_EQ(RF_OK, rf_free(&oom.base, p));
  rf_deinit(&oom.base);
}

// A heap that was damaged cannot be asked which blocks it has: what it does not know is refused, not out of memory.
TEST(OomOverAHeap, ARefusalByADamagedHeapIsNoFailure) {
  rf_allocator_ops ops = *budget_ops();
  ops.usable_size = [](rf_allocator *, const void *) { return size_t{0}; };
  ops.realloc = [](rf_allocator *, void *, size_t, size_t, const rf_site *) -> void * { return nullptr; };
  ops.walk = [](rf_allocator *, rf_walk_fn, void *) { return RF_ERR_CORRUPT; };
  ops.stats = [](rf_allocator *, rf_stats *out) { *out = rf_stats{}; };
  rf_allocator damaged{&ops};
  rf_oom oom;
  int unknown = 0;
  rf_stats s;
  ASSERT_EQ(RF_OK, rf_oom_init(&oom, &damaged, 0));
  EXPECT_EQ(nullptr, rf_realloc(&oom.base, &unknown, 10));
  rf_stats_get(&oom.base, &s);
  EXPECT_EQ(0U, s.failures);
  rf_deinit(&oom.base);
}

TEST_F(Oom, AFailedReallocLeavesTheOldBlock) {
  auto *const p = static_cast<char *>(rf_alloc(a, 60));
  ASSERT_NE(nullptr, p);
  std::memset(p, 'y', 60);
  EXPECT_EQ(nullptr, rf_realloc(a, p, 300));
  EXPECT_EQ('y', p[59]);
  EXPECT_EQ(RF_OK, rf_free(a, p));
}

TEST_F(Oom, ReallocToZeroFreesOnceAndAsksNobody) {
  Cache cache{&inner, 0, 1, {}};
  rf_oom_callback cb;
  ASSERT_EQ(RF_OK, rf_oom_add(&oom, &cb, cache_release, &cache));
  void *const p = rf_alloc(a, 60);
  EXPECT_EQ(nullptr, rf_realloc(a, p, 0));
  EXPECT_EQ(100u, inner.left);
  EXPECT_TRUE(cache.calls.empty());
}

TEST_F(Oom, PassesRejectedRequestsOnAndAsksNobody) {
  Cache cache{&inner, 0, 1, {}};
  rf_oom_callback cb;
  ASSERT_EQ(RF_OK, rf_oom_add(&oom, &cb, cache_release, &cache));
  EXPECT_EQ(nullptr, rf_alloc(a, SIZE_MAX));
  EXPECT_EQ(nullptr, rf_calloc(a, SIZE_MAX / 2, 3));
  EXPECT_EQ(nullptr, rf_aligned_alloc(a, 3, 8));
  EXPECT_EQ(3u, inner.rejects);
  EXPECT_TRUE(cache.calls.empty());
}

// The second one comes while the first is in its callback: were that run under a lock, or taken for re-entry, it would
// not arrive. It stays longer, and is still known: a request of its callback fails at once.
TEST_F(Oom, ThreadsMayBeInCallbacksAtTheSameTimeAndLeaveInAnyOrder) {
  struct Meeting {
    rf_allocator *a;
    std::thread second;
    std::atomic<int> arrived{0};
    std::atomic<bool> first_has_left{false};
  } meeting{a, {}};
  rf_oom_callback cb;
  rf_oom_fn const meet = [](void *context, unsigned, size_t) {
    auto *const m = static_cast<Meeting *>(context);
    if (m->arrived++ == 0) {
      m->second = std::thread([m] { EXPECT_EQ(nullptr, rf_alloc(m->a, 150)); });
      while (m->arrived < 2) {
        std::this_thread::yield();
      }
      return false;
    }
    while (!m->first_has_left) {
      std::this_thread::yield();
    }
    return rf_alloc(m->a, 150) != nullptr;
  };
  ASSERT_EQ(RF_OK, rf_oom_add(&oom, &cb, meet, &meeting));
  EXPECT_EQ(nullptr, rf_alloc(a, 150));
  meeting.first_has_left = true;
  meeting.second.join();
  EXPECT_EQ(2, meeting.arrived);
}

// Callbacks and the mutex are gone then: what the allocator below answers is all there is.
TEST_F(Oom, AnEndedOneAsksNobodyAndAnswersAllTheSame) {
  int asked = 0;
  rf_oom_callback cb;
  ASSERT_EQ(RF_OK, rf_oom_add(&oom, &cb, refuse, &asked));
  void *const p = rf_alloc(a, 10);
  EXPECT_EQ(nullptr, rf_alloc(a, 150));
  EXPECT_EQ(1, asked);
  a->ops->deinit(a);
  EXPECT_EQ(nullptr, rf_alloc(a, 150));
  EXPECT_EQ(nullptr, rf_realloc(a, p, 150));
  rf_stats s;
  rf_stats_get(a, &s);
  EXPECT_EQ(1U, s.failures);
  rf_counters c;
  rf_counters_get(a, &c);
  EXPECT_EQ(1U, c.failures);
  rf_oom_stats known;
  rf_oom_stats_get(&oom, &known);
  EXPECT_EQ(1U, known.given_up);
  EXPECT_EQ(RF_ERR_INVALID, rf_oom_add(&oom, &cb, refuse, &asked));
  EXPECT_EQ(RF_ERR_INVALID, rf_oom_remove(&oom, &cb));
  EXPECT_EQ(RF_OK, rf_free(a, p));
  EXPECT_EQ(1, asked);
}

TEST_F(Oom, DeinitTwiceIsHarmless) {
  a->ops->deinit(a);
  a->ops->deinit(a);
}

} // namespace
