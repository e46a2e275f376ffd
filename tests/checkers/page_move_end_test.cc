// Pages whose memory is moved no more: by a limit, without the descriptor, in a child made behind its back, or where it
// settles. What is not a block's stays closed.
#include "tests/checkers/page_move_fixture.h"
#include "tests/checkers/single_step.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <thread>
#include <vector>

extern "C" {
#include "checkers/os/host.h"
}

namespace ringfence {
namespace {

// ---- Limits ----

// A sanitizer's, in programs that are built with one.
extern "C" void __asan_init() __attribute__((weak));
extern "C" void __tsan_init() __attribute__((weak));

const char *const kTooMuch = "a sanitizer takes more memory than the limit leaves it";

#if defined(__linux__)

// A program may limit its own data: all of a space whose pages move counts as data.
TEST_F(PageMove, ALimitOfDataThatComesLaterLeavesFurtherBlocksTheirPages) {
  if (__asan_init != nullptr || __tsan_init != nullptr) {
    GTEST_SKIP() << kTooMuch;
  }
  alone([this] {
    unsigned char *const first = freed();
    rlimit const limit = {size_t{200} << 20, size_t{200} << 20};
    ASSERT_EQ(setrlimit(RLIMIT_DATA, &limit), 0);
    std::vector<unsigned char *> all;
    while (all.size() < 10000) {
      all.push_back(freed());
      ASSERT_NE(all.back(), nullptr) << all.size();
    }
    EXPECT_TRUE(is_moving());
    EXPECT_TRUE(stands(live(), first));
    EXPECT_TRUE(stands(live(), all.back()));
    EXPECT_EQ(store_->declined, 0U);
  });
}

// Less than a whole space needs: it is closed by markers then, and no page of it lacks memory.
TEST_F(PageMove, ALimitOfDataThatComesLaterEndsTheMoving) {
  if (__asan_init != nullptr || __tsan_init != nullptr) {
    GTEST_SKIP() << kTooMuch;
  }
  alone([this] {
    rlimit limit;
    EXPECT_EQ(getrlimit(RLIMIT_DATA, &limit), 0);
    limit.rlim_cur = size_t{40} << 20;
    EXPECT_EQ(setrlimit(RLIMIT_DATA, &limit), 0);
    unsigned char *const kept = live();
    EXPECT_TRUE(stands(kept, freed()));
    EXPECT_TRUE(!is_moving() || sizeof(void *) == 4) << "small spaces fit in";
  });
}

// A run of another space comes instead of one whose pages move: it goes back.
TEST_F(PageMove, ALimitOfDataThatComesLaterCostsAFreeNoRun) {
  unsigned char *const a = live();
  alone([&] {
    rlimit const limit = {RLIM_INFINITY - 1, RLIM_INFINITY};
    ASSERT_EQ(setrlimit(RLIMIT_DATA, &limit), 0);
    std::fill(std::begin(store_->holes[SPACE_MOVING]), std::end(store_->holes[SPACE_MOVING]), nullptr);
    EXPECT_EQ(free(a), RF_OK);
    EXPECT_EQ(store_->ready_count, 0U);
    for (const rf_space *s = store_->spaces; s != nullptr; s = s->next) {
      for (const rf_slot *r = s->lowest; r != nullptr; r = r->after) {
        EXPECT_NE(rf_slot_state_of(r), SLOT_MAKING) << r->run;
      }
    }
    EXPECT_EQ(touch(a), RF_BUG_USE_AFTER_FREE);
  });
}

#endif

TEST_F(PageMove, WhereNoRunIsLeftMemoryStaysAndIsClosed) {
  if (__tsan_init != nullptr) {
    GTEST_SKIP() << kTooMuch;
  }
  unsigned char *const a = live();
  unsigned char *const b = live();
  alone([&] {
    EXPECT_EQ(touch(b + 100), RF_BUG_BUFFER_OVERFLOW); // the memory that the test itself needs for a finding
    std::fill(std::begin(store_->holes[SPACE_MOVING]), std::end(store_->holes[SPACE_MOVING]), nullptr);
    rlimit const little = {1 << 20, 1 << 20};
    EXPECT_EQ(setrlimit(RLIMIT_AS, &little), 0);
    EXPECT_EQ(free(a), RF_OK);
    EXPECT_EQ(store_->ready_count, 0U);
    EXPECT_EQ(touch(a), RF_BUG_USE_AFTER_FREE);
    EXPECT_EQ(b[0], 1);
  });
}

// ---- The descriptor ----

TEST_F(PageMove, WithoutItsDescriptorAllIsClosedAgainByTheNextBlocks) {
  unsigned char *const a = live();
  unsigned char *const b = freed();
  alone([&] {
    EXPECT_EQ(syscall(SYS_close, rf_page_store_kept_descriptor()), 0);
    (void)freed();
    (void)freed();
    EXPECT_FALSE(is_moving());
    EXPECT_TRUE(ready_is_counted());
    EXPECT_TRUE(stands(a, b));
  });
}

TEST_F(PageMove, AChildMadeBehindItsBackClosesAllWithTheNextBlocks) {
  unsigned char *const a = live();
  unsigned char *const b = freed();
  auto const child = static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr));
  EXPECT_EQ(status_of(child,
                      [&] {
                        (void)freed();
                        (void)freed();
                        return !is_moving() && stands(a, b);
                      }),
            0);
  EXPECT_TRUE(is_moving());
  EXPECT_TRUE(stands(a, b));
}

// ---- Settled ----

TEST_F(PageMove, SettledAllStaysAsItIs) {
  unsigned char *const a = live();
  unsigned char *const b = freed();
  alone([&] {
    rf_page_store_settle();
    EXPECT_FALSE(is_moving() || store_->moving);
    EXPECT_EQ(rf_page_store_kept_descriptor(), -1);
    EXPECT_TRUE(stands(a, b));
    EXPECT_EQ(free(a), RF_OK);
    EXPECT_EQ(touch(a), RF_BUG_USE_AFTER_FREE);
  });
}

TEST_F(PageMove, SettledTheLastBlockStillEndsInAGap) {
  unsigned char *const a = live();
  alone([&] {
    rf_page_store_settle();
    EXPECT_EQ(touch(a), RF_BUG_COUNT);
    EXPECT_EQ(touch(a + 100), RF_BUG_BUFFER_OVERFLOW);
  });
}

TEST_F(PageMove, SettledWhatWasNeverUsedStaysClosed) {
  (void)live();
  alone([&] {
    rf_page_store_settle();
    for (const rf_space *s = store_->spaces; s != nullptr; s = s->next) {
      for (uint32_t page = s->armed; page < s->pages; page += s->pages - 1 - page != 0 ? s->pages - 1 - page : 1) {
        EXPECT_FALSE(rf_host_readable(reinterpret_cast<void *>(s->start + page * page_size()), 1)) << page;
      }
    }
  });
}

// The handler of a signal that restricts the process may have interrupted a call of this thread's.
TEST_F(PageMove, SettledInsideACallTheNextOneDoesTheRest) {
  unsigned char *const a = live();
  unsigned char *const b = freed();
  alone([&] {
    rf_page_mask mask;
    EXPECT_TRUE(rf_page_enter(store_, &mask));
    rf_page_store_settle();
    EXPECT_FALSE(rf_page_mover_works());
    EXPECT_EQ(rf_page_store_kept_descriptor(), -1);
    EXPECT_TRUE(is_moving()) << "the lock is another call's";
    rf_page_leave(store_, &mask);
    (void)freed();
    EXPECT_FALSE(is_moving());
    EXPECT_TRUE(stands(a, b));
  });
}

// A page without the mover would be open, with memory of nobody.
TEST_F(PageMove, ARunThatWasToBeReadyIsClosedWhereItSettlesMeanwhile) {
  unsigned char *const a = live();
  rf_slot s = {};
  for (const rf_slot *r = store_->spaces->lowest; r != nullptr; r = r->after) {
    s = rf_slot_is_live(r) ? *r : s;
  }
  ASSERT_EQ(s.block, reinterpret_cast<uintptr_t>(a));
  alone([&] {
    rf_slot *const to = rf_page_move_target(store_, &s);
    unsigned const ready = store_->ready_count;
    const void *const page = reinterpret_cast<const void *>(rf_slot_open_start(to));
    rf_page_store_settle();
    EXPECT_FALSE(rf_page_move_memory(to, &s));
    EXPECT_TRUE(rf_host_readable(page, 1));
    rf_page_mask mask;
    EXPECT_TRUE(rf_page_enter(store_, &mask));
    rf_page_move_end(store_, to, false);
    rf_page_leave(store_, &mask);
    EXPECT_FALSE(rf_host_readable(page, 1));
    EXPECT_NE(rf_slot_state_of(to), SLOT_MAKING);
    EXPECT_EQ(store_->ready_count, ready - 1);
    EXPECT_EQ(a[0], 1);
  });
}

// Only pages that move get markers.
TEST_F(PageMove, SettledOtherBlocksStayAsTheyAre) {
  unsigned char *const whole = alloc(page_size());
  unsigned char *const large = alloc(64 * page_size());
  unsigned char *const small = live();
  struct Shape {
    bool marks;
    uint32_t armed;
  };
  std::vector<Shape> before;
  for (const rf_space *s = store_->spaces; s != nullptr; s = s->next) {
    before.push_back({s->marks, s->armed});
  }
  ASSERT_EQ(before.size(), 3U);
  alone([&] {
    rf_page_store_settle();
    size_t i = 0;
    for (const rf_space *s = store_->spaces; s != nullptr; s = s->next, i++) {
      if (s->kind == SPACE_MOVING) {
        uint32_t top = 0;
        for (const rf_slot *r = s->lowest; r != nullptr; r = r->after) {
          top = rf_slot_state_of(r) == SLOT_HOLE ? top : r->run + r->length;
        }
        EXPECT_TRUE(s->marks && s->armed == top);
        EXPECT_LT(top, s->pages / 2);
      } else {
        EXPECT_TRUE(s->marks == before[i].marks && s->armed == before[i].armed);
      }
    }
    for (unsigned char *const p : {whole, large, small}) {
      EXPECT_EQ(touch(p), RF_BUG_COUNT);
      EXPECT_EQ(free(p), RF_OK);
      EXPECT_EQ(touch(p), RF_BUG_USE_AFTER_FREE);
    }
  });
}

#ifdef RF_CAN_STEP

// Between any two instructions another thread sees pages that move, or all that it needs to close one by a marker.
TEST_F(PageMove, WhileItSettlesPagesMoveOrHaveMarkers) {
  unsigned char *const a = live();
  unsigned char *const b = freed();
  unsigned char *const c = live();
  static const rf_space *space;
  static uint32_t top;
  static unsigned seen[2];
  static unsigned wrong;
  for (space = store_->spaces; !space->moving; space = space->next) {
  }
  for (const rf_slot *s = space->lowest; s != nullptr; s = s->after) {
    top = rf_slot_state_of(s) == SLOT_HOLE ? top : s->run + s->length;
  }
  alone([&] {
    struct sigaction action = {};
    action.sa_handler = [](int) {
      bool const moving = rf_space_is_moving(space);
      seen[moving ? 1 : 0]++;
      wrong += moving || (space->marks && space->armed == top) ? 0 : 1;
    };
    EXPECT_EQ(sigaction(SIGTRAP, &action, nullptr), 0);
    ringfence_test::set_stepping(true);
    rf_page_store_settle();
    ringfence_test::set_stepping(false);
    EXPECT_EQ(wrong, 0U);
    EXPECT_GT(seen[0], 100U);
    EXPECT_GT(seen[1], 100U);
    EXPECT_TRUE(stands(a, b));
    EXPECT_TRUE(stands(c, b));
  });
}

#endif

TEST_F(PageMove, ThreadsFreeEachOthersBlocksWhileItSettles) {
  alone([&] {
    std::vector<unsigned char *> left(4);
    std::vector<std::thread> threads;
    auto const run = [this, &left](size_t t) {
      for (size_t i = 0; i < 3000; i++) {
        size_t const size = 1 + i % 300;
        unsigned char *const p = alloc(size);
        memset(p, static_cast<int>(i), size);
        unsigned char *const old = __atomic_exchange_n(&left[(t + 1) % left.size()], p, __ATOMIC_ACQ_REL);
        if (old != nullptr) {
          EXPECT_EQ(free(old), RF_OK);
        }
        if (t == 0 && i == 1500) {
          rf_page_store_settle();
        }
      }
    };
    for (size_t t = 0; t < left.size(); t++) {
      threads.emplace_back(run, t);
    }
    for (std::thread &thread : threads) {
      thread.join();
    }
    for (unsigned char *const p : left) {
      EXPECT_EQ(free(p), RF_OK);
      EXPECT_EQ(touch(p), RF_BUG_USE_AFTER_FREE);
    }
    EXPECT_FALSE(is_moving());
  });
}

} // namespace
} // namespace ringfence
