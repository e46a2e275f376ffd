// AWTK: what threads do at once (tests/checkers/single_step.h). The second one's call is played after an instruction of
// the first one's, or where a mutex is held as soon as that is free. The linker puts this file's mutexes in front of
// the port's.
#include "tests/checkers/single_step.h"

#include "tkc/mem.h"
#include "tkc/mem_allocator_lock.h"
#include "tkc/mem_allocator_oom.h"
#include "tkc/mem_allocator_simple.h"

#include <gtest/gtest.h>

#include <functional>
#include <utility>

extern "C" {
const rf_site *rf_awtk_site(const char *func, uint32_t line);
void rf_awtk_sites_keep(void);
bool rf_awtk_sites_full(void);
}

namespace {

unsigned held;                 // mutexes
unsigned sections;             // that began
int mutexes;                   // made and not ended
int left = -1;                 // mutexes that the system has; -1: any number
std::function<void()> waiting; // for a mutex
uint32_t thread = 1;           // whose turn it is

} // namespace

extern "C" {
rf_status __wrap_rf_mutex_init(rf_mutex *mutex);
void __wrap_rf_mutex_deinit(rf_mutex *mutex);
void __wrap_rf_mutex_lock(rf_mutex *mutex);
void __wrap_rf_mutex_unlock(rf_mutex *mutex);
uint32_t __wrap_rf_port_thread_id(void);

uint32_t __wrap_rf_port_thread_id(void) {
  return thread;
}

rf_status __wrap_rf_mutex_init(rf_mutex *mutex) {
  mutex->opaque[0] = 0;
  if (left == 0) {
    return RF_ERR_NO_MEMORY;
  }
  left -= left > 0 ? 1 : 0;
  mutexes++;
  return RF_OK;
}

void __wrap_rf_mutex_deinit(rf_mutex *) {
  mutexes--;
}

void __wrap_rf_mutex_lock(rf_mutex *mutex) {
  if (mutex->opaque[0] != 0) {
    FAIL() << "waits for itself";
  }
  held++; // first, for a second one that is played here
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  mutex->opaque[0] = 1;
  sections++;
}

void __wrap_rf_mutex_unlock(rf_mutex *mutex) {
  if (mutex->opaque[0] == 0) {
    FAIL() << "unlocks a free mutex";
  }
  mutex->opaque[0] = 0;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  held--;
  if (held == 0 && waiting) {
    auto const call = std::move(waiting);
    waiting = nullptr;
    call();
  }
}
}

namespace {

class AwtkLock : public testing::Test {
protected:
  ~AwtkLock() override {
    rf_awtk_mem_deinit();
    rf_awtk_wrap_set(nullptr, nullptr);
    tk_mem_set_on_out_of_memory(nullptr, nullptr);
    EXPECT_EQ(held, 0U);
    EXPECT_EQ(mutexes, 0);
  }

  static void expect_one_section(const char *name, const std::function<void()> &call) {
    SCOPED_TRACE(name);
    sections = 0;
    call();
    EXPECT_EQ(sections, 1U);
    EXPECT_EQ(held, 0U);
  }

  alignas(16) char buffer[4096];
};

TEST_F(AwtkLock, EachCallThatMakesOrEndsTheHeapIsOneLockedSection) {
  expect_one_section("init", [&] { EXPECT_EQ(RET_OK, tk_mem_init_ex(buffer, sizeof buffer, NULL)); });
  EXPECT_EQ(RET_OK, tk_mem_init_stage2());
  EXPECT_EQ(mutexes, 2);
  expect_one_section("stage2 again", [] { EXPECT_EQ(RET_OK, tk_mem_init_stage2()); });
  EXPECT_EQ(mutexes, 2);
  expect_one_section("deinit", [] { rf_awtk_mem_deinit(); });
  EXPECT_EQ(mutexes, 0);
  expect_one_section("init without room", [&] { EXPECT_NE(RET_OK, tk_mem_init_ex(buffer, 1, NULL)); });
  expect_one_section("callback", [] { tk_mem_set_on_out_of_memory(nullptr, nullptr); });
  expect_one_section("full", [] { EXPECT_FALSE(rf_awtk_sites_full()); });
}

TEST_F(AwtkLock, WithoutAMutexThereIsNoLock) {
  mem_allocator_simple_t simple;
  mem_allocator_lock_t lock;
  mem_allocator_t *const heap = mem_allocator_simple_init(&simple, buffer, sizeof buffer);
  left = 0;
  EXPECT_EQ(nullptr, mem_allocator_lock_init(&lock, heap));
  left = -1;
  (void)mem_allocator_destroy(heap);
}

// The heap serves as before, and the next try is a whole one.
TEST_F(AwtkLock, WithoutAMutexTheHeapIsNotFitForThreads) {
  ASSERT_EQ(RET_OK, tk_mem_init(buffer, sizeof buffer));
  left = 0;
  EXPECT_EQ(RET_FAIL, tk_mem_init_stage2());
  EXPECT_EQ(RET_FAIL, tk_mem_init_stage2());
  left = -1;
  void *p = TKMEM_ALLOC(100);
  EXPECT_NE(nullptr, p);
  EXPECT_EQ(RET_OK, tk_mem_init_stage2());
  TKMEM_FREE(p);
  rf_awtk_mem_deinit();
}

// The lock's mutex is there, that of oom is not.
TEST_F(AwtkLock, WithOneMutexOfTwoNoneStays) {
  ASSERT_EQ(RET_OK, tk_mem_init(buffer, sizeof buffer));
  left = 1;
  EXPECT_EQ(RET_FAIL, tk_mem_init_stage2());
  EXPECT_EQ(mutexes, 0);
  left = -1;
  EXPECT_EQ(RET_OK, tk_mem_init_stage2());
  EXPECT_EQ(mutexes, 2);
}

#if RF_HAS_STD_MALLOC

// The checkers around malloc's heap go with it: the next try makes them anew.
TEST_F(AwtkLock, WithoutAMutexTheHeapOverMallocIsEndedWhole) {
  static int checkers;
  checkers = 0;
  rf_awtk_wrap_set(
      [](rf_allocator *heap, void *) {
        static rf_allocator_ops ops;
        static rf_allocator checker;
        static rf_allocator *inner;
        inner = heap;
        ops.name = "checker";
        ops.alloc = [](rf_allocator *, size_t size, size_t align, const rf_site *site) {
          return rf_alloc_at(inner, size, align, site);
        };
        ops.free = [](rf_allocator *, void *p, const rf_site *site) { return rf_free_at(inner, p, site); };
        ops.inner = [](rf_allocator *) { return inner; };
        ops.deinit = [](rf_allocator *) { checkers--; };
        checker.ops = &ops;
        checkers++;
        return &checker;
      },
      nullptr);
  for (int const few : {0, 1, 1, 0}) {
    left = few;
    EXPECT_EQ(nullptr, TKMEM_ALLOC(10));
    EXPECT_EQ(mutexes, 0);
    EXPECT_EQ(checkers, 0);
  }
  left = -1;
  void *p = TKMEM_ALLOC(10);
  EXPECT_NE(nullptr, p);
  EXPECT_EQ(checkers, 1);
  TKMEM_FREE(p);
  rf_awtk_mem_deinit();
  EXPECT_EQ(checkers, 0);
}

#endif

#ifdef RF_CAN_STEP

// As two_at_once, with a second one that waits while a mutex is held, after each of the first `each`
// instructions and a few of the later ones.
template <typename Call> void two_with_mutexes(Call &&call, const std::function<void()> &check, unsigned each = 40) {
  auto const second = [&] {
    thread = 2;
    call(1);
    thread = 1;
  };
  bool both = true;
  for (unsigned after = 1; both; after += after < each ? 1 : after / 8) {
    SCOPED_TRACE(after);
    both = ringfence_test::run_with_other_after(
        after, [&] { call(0); },
        [&] {
          if (held != 0) {
            waiting = second;
          } else {
            second();
          }
        });
    if (both) {
      check();
    }
  }
}

// Lines that are 2^31 apart have the same place in the table.
TEST_F(AwtkLock, CallersThatAreRecordedAtOnceHaveRecordsOfTheirOwn) {
  rf_awtk_sites_keep();
  uint32_t line = 1000;
  const rf_site *sites[2];
  two_with_mutexes([&](unsigned who) { sites[who] = rf_awtk_site("at once", line + (who << 31)); },
                   [&] {
                     ASSERT_NE(sites[0], sites[1]);
                     EXPECT_EQ(sites[0]->line, line);
                     EXPECT_EQ(sites[1]->line, line + (1U << 31));
                     line++;
                   },
                   200);
}

TEST_F(AwtkLock, TheHeapIsMadeOnceByTheFirstCallsOfAll) {
  unsigned heaps = 0;
  void *blocks[2];
  rf_awtk_wrap_set(
      [](rf_allocator *heap, void *count) {
        ++*static_cast<unsigned *>(count);
        return heap;
      },
      &heaps);
  two_with_mutexes([&](unsigned who) { blocks[who] = rf_awtk_alloc_at(8, nullptr); },
                   [&] {
                     EXPECT_EQ(heaps, 1U);
                     EXPECT_EQ(mutexes, 2);
                     for (void *const block : blocks) {
                       ASSERT_NE(block, nullptr);
                       tk_free(block);
                     }
                     rf_awtk_mem_deinit();
                     heaps = 0;
                   });
}

TEST_F(AwtkLock, TheHeapIsMadeFitForThreadsOnce) {
  ASSERT_EQ(RET_OK, tk_mem_init_ex(buffer, sizeof buffer, NULL));
  two_with_mutexes([](unsigned) { EXPECT_EQ(RET_OK, tk_mem_init_stage2()); },
                   [&] {
                     EXPECT_EQ(mutexes, 2);
                     rf_awtk_mem_deinit();
                     ASSERT_EQ(RET_OK, tk_mem_init_ex(buffer, sizeof buffer, NULL));
                   });
}

TEST_F(AwtkLock, TheHeapEndsOnce) {
  ASSERT_EQ(RET_OK, tk_mem_init_ex(buffer, sizeof buffer, NULL));
  ASSERT_EQ(RET_OK, tk_mem_init_stage2());
  two_with_mutexes([](unsigned) { rf_awtk_mem_deinit(); },
                   [&] {
                     ASSERT_EQ(mutexes, 0);
                     ASSERT_EQ(RET_OK, tk_mem_init_ex(buffer, sizeof buffer, NULL));
                     ASSERT_EQ(RET_OK, tk_mem_init_stage2());
                   });
}

int contexts[2];
unsigned asked;

template <unsigned who> ret_t out_of_memory(void *context, uint32_t, uint32_t) {
  EXPECT_EQ(context, &contexts[who]);
  asked++;
  return RET_FAIL;
}

const tk_mem_on_out_of_memory_t callbacks[2] = {out_of_memory<0>, out_of_memory<1>};

void set_callback(unsigned who) {
  (void)tk_mem_set_on_out_of_memory(callbacks[who], &contexts[who]);
}

class AwtkCallback : public AwtkLock {
protected:
  AwtkCallback() {
    set_callback(0);
    a = mem_allocator_oom_init(&oom, mem_allocator_simple_init(&simple, buffer, 64));
    asked = 0;
  }
  ~AwtkCallback() override { (void)mem_allocator_destroy(a); }

  mem_allocator_simple_t simple;
  mem_allocator_oom_t oom;
  mem_allocator_t *a;
};

TEST_F(AwtkCallback, ItIsSetWithItsContext) {
  two_with_mutexes(
      set_callback,
      [&] {
        EXPECT_EQ(nullptr, mem_allocator_alloc(a, 1000, "f", 1));
        EXPECT_EQ(asked, 1U);
        asked = 0;
      },
      200);
}

TEST_F(AwtkCallback, ItIsAskedWithItsContext) {
  two_with_mutexes(
      [&](unsigned who) {
        if (who == 1) {
          set_callback(1);
        } else {
          EXPECT_EQ(nullptr, mem_allocator_alloc(a, 1000, "f", 1));
        }
      },
      [&] {
        EXPECT_EQ(asked, 1U);
        asked = 0;
        set_callback(0);
      });
}

#endif

} // namespace
