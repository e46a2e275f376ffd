// Pages whose memory is moved from freed blocks to the next ones: nothing that is not a block's may be touched,
// whatever becomes of the descriptor, in children, and among threads.
#include "tests/checkers/page_fixture.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <functional>
#include <thread>

extern "C" {
#include "checkers/os/host.h"
#include "checkers/page/page_impl.h"
}

namespace ringfence {
namespace {

// A sanitizer's, in programs that are built with one.
extern "C" void __asan_init() __attribute__((weak));
extern "C" void __tsan_init() __attribute__((weak));

// The status of a child that ends well where `check` says so.
int in_child(pid_t child, const std::function<bool()> &check) {
  int status = -1;
  if (child == 0) {
    _exit(check() ? 0 : 1);
  }
  waitpid(child, &status, 0);
  return status;
}

// In a process of its own, since there is no way back.
void alone(const std::function<void()> &body) {
  EXPECT_EQ(in_child(fork(),
                     [&] {
                       body();
                       return !testing::Test::HasFailure();
                     }),
            0);
}

class PageMove : public testing::Test {
protected:
  void SetUp() override {
    open();
    if (!rf_page_mover_works()) {
      GTEST_SKIP() << "this kernel moves no pages, or lets nobody ask for it";
    }
  }

  ~PageMove() override {
    if (store_ != nullptr) {
      rf_page_store_close(store_);
    }
    EXPECT_EQ(recorder_.count(), 0U) << "findings that no test took";
  }

  void open() {
    rf_page_store_options options = {};
    options.allocator = "store";
    options.mode = "page";
    options.reporter = recorder_.reporter();
    options.side = RF_PAGE_RIGHT;
    options.quarantine = size_t{256} << 20;
    options.fill_alloc = 4096;
    options.fallback = "blocks are under guard";
    options.moves_pages = true;
    store_ = rf_page_store_open(&options);
    ASSERT_NE(store_, nullptr);
    rf_page_fork_register();
  }

  unsigned char *alloc(size_t size, bool zeroed = false) {
    rf_page_request const request = {size, 1, 0, nullptr, RF_FAMILY_MALLOC, zeroed, nullptr};
    return bytes(rf_page_store_alloc(store_, &request, &origin_));
  }

  rf_status free(void *p) {
    rf_page_block freed;
    return rf_page_store_free(store_, p, RF_FAMILY_MALLOC, SIZE_MAX, &origin_, &freed);
  }

  // The bug that a touch is reported as; RF_BUG_COUNT: none.
  rf_bug touch(const unsigned char *p) {
    (void)peek(p);
    std::vector<rf_finding> const found = recorder_.take();
    EXPECT_LE(found.size(), 1U);
    return found.empty() ? RF_BUG_COUNT : found.front().bug;
  }

  bool is_moving() const {
    for (const rf_space *s = store_->spaces; s != nullptr; s = s->next) {
      if (s->moving) {
        return true;
      }
    }
    return false;
  }

  // Live blocks may be touched, freed ones and what is beside either may not; new ones come and go.
  bool stands(unsigned char *live, unsigned char *freed) {
    bool const whole = live[0] == 1 && touch(live) == RF_BUG_COUNT && touch(live + 100) == RF_BUG_BUFFER_OVERFLOW &&
                       touch(freed) == RF_BUG_USE_AFTER_FREE;
    unsigned char *const next = alloc(50);
    bool const served = next != nullptr && next[0] == RF_PATTERN_NEW && next[49] == RF_PATTERN_NEW;
    return whole && served && free(next) == RF_OK && touch(next) == RF_BUG_USE_AFTER_FREE;
  }

  // As long as the list of runs that are ready.
  bool ready_is_counted() const {
    unsigned count = 0;
    for (const rf_slot *s = store_->ready; s != nullptr; s = s->next) {
      count++;
    }
    return count == store_->ready_count;
  }

  unsigned char *live() {
    unsigned char *const p = alloc(100);
    memset(p, 1, 100);
    return p;
  }

  unsigned char *freed() {
    unsigned char *const p = alloc(100);
    EXPECT_EQ(free(p), RF_OK);
    return p;
  }

  FaultRecorder recorder_;
  rf_page_store *store_ = nullptr;
  rf_origin origin_ = {};
};

TEST(PageMoveKernel, MemoryMovesFromTheReleaseOnThatMendedTheRaceWithSwapping) {
  EXPECT_TRUE(rf_page_mover_trusts("6.16"));
  EXPECT_TRUE(rf_page_mover_trusts("6.16.0-rc2"));
  EXPECT_TRUE(rf_page_mover_trusts("6.18.44-generic"));
  EXPECT_TRUE(rf_page_mover_trusts("7.0"));
  EXPECT_TRUE(rf_page_mover_trusts("10.1.2"));
  EXPECT_FALSE(rf_page_mover_trusts("6.15.9"));
  EXPECT_FALSE(rf_page_mover_trusts("6.8.0-47"));
  EXPECT_FALSE(rf_page_mover_trusts("5.99"));
  EXPECT_FALSE(rf_page_mover_trusts("6")) << "no minor number";
  EXPECT_FALSE(rf_page_mover_trusts("6.99999999999999999999")) << "no number of Linux";
  EXPECT_FALSE(rf_page_mover_trusts("unknown"));
  EXPECT_FALSE(rf_page_mover_trusts(""));
}

// ---- The system below: page_mover_test.cc says whether it works ----

#if defined(__linux__)

// The memory of the block that is freed goes where the one that has waited longest was, and all others stay closed.
TEST_F(PageMove, RunsComeRoundInTheOrderOfTheirFreesOnceTheQuarantineIsFull) {
  size_t const waiting = 32;
  store_->options.quarantine = waiting * (1 + rf_page_gap(1)) * rf_page_size();
  std::vector<unsigned char *> kept;
  std::vector<unsigned char *> freed;
  for (size_t i = 0; i < 8 * waiting; i++) {
    if (i % waiting == 0) {
      kept.push_back(live());
    }
    unsigned char *const p = alloc(50);
    if (i > 2 * waiting && i % waiting != 0) { // where one was kept, the next lies in a new run
      EXPECT_EQ(std::count(freed.end() - static_cast<ptrdiff_t>(waiting - 1), freed.end(), p), 0) << i;
      EXPECT_EQ(std::count(freed.end() - static_cast<ptrdiff_t>(waiting + 2), freed.end(), p), 1) << i;
    }
    EXPECT_EQ(free(p), RF_OK);
    freed.push_back(p);
  }
  EXPECT_TRUE(ready_is_counted());
  EXPECT_LE(store_->quarantined, store_->options.quarantine);
  for (size_t i = 1; i < waiting; i++) {
    EXPECT_EQ(touch(freed[freed.size() - i]), RF_BUG_USE_AFTER_FREE) << i;
  }
  for (unsigned char *const p : kept) {
    EXPECT_EQ(touch(p), RF_BUG_COUNT);
    EXPECT_EQ(free(p), RF_OK);
  }
}

// Of a program that lets itself have no more: all of a space whose pages move counts as data.
TEST_F(PageMove, ALimitOfDataThatComesLaterLeavesFurtherBlocksTheirPages) {
  if (__asan_init != nullptr || __tsan_init != nullptr) {
    GTEST_SKIP() << "a sanitizer takes more memory than the limit leaves it";
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

TEST_F(PageMove, TheDescriptorHasAHighNumberAndIsNotInherited) {
  struct {
    rlim_t most;
    int number;
  } const cases[] = {{64, 32}, {1000, 500}, {1001, 1000}, {RLIM_INFINITY, 1000}};
  for (const auto &c : cases) {
    alone([&] {
      rlimit limit;
      EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
      limit.rlim_cur = std::min(c.most, limit.rlim_max);
      EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
      EXPECT_TRUE(rf_page_mover_renew());
      EXPECT_EQ(rf_page_store_kept_descriptor(), c.number);
      EXPECT_EQ(fcntl(c.number, F_GETFD), FD_CLOEXEC);
      EXPECT_NE(fcntl(c.number, F_GETFL) & O_NONBLOCK, 0);
      EXPECT_EQ(fcntl(3, F_GETFD), -1) << "where it was opened";
    });
  }
}

// Less than a whole space needs: it is closed by markers then, and no page of it lacks memory.
TEST_F(PageMove, ALimitOfDataThatComesLaterEndsTheMoving) {
  if (__asan_init != nullptr || __tsan_init != nullptr) {
    GTEST_SKIP() << "a sanitizer takes more memory than the limit leaves it";
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

TEST_F(PageMove, PagesAreFilledAndEmptied) {
  size_t const size = page_size();
  auto *const pages =
      static_cast<unsigned char *>(mmap(nullptr, 4 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  auto const at = reinterpret_cast<uintptr_t>(pages);
  EXPECT_FALSE(rf_page_mover_fill(at, size)) << "not registered";
  EXPECT_TRUE(rf_page_mover_register(pages, 4 * size));
  EXPECT_FALSE(rf_host_readable(pages, 1));
  for (int again = 0; again < 2; again++) {
    EXPECT_TRUE(rf_page_mover_fill(at, 3 * size));
    for (size_t i = 0; i < 3 * size; i++) {
      ASSERT_EQ(pages[i], RF_PATTERN_REDZONE) << i;
    }
    EXPECT_FALSE(rf_host_readable(pages + 3 * size, 1));
  }
  rf_page_mover_empty(at, 2 * size);
  EXPECT_FALSE(rf_host_readable(pages + size, 1));
  EXPECT_TRUE(rf_host_readable(pages + 2 * size, 1));
  EXPECT_TRUE(rf_page_mover_move(at, at + 2 * size));
  EXPECT_FALSE(rf_page_mover_move(at, at + 2 * size)) << "nothing is there any more";
  munmap(pages, 4 * size);
}

TEST_F(PageMove, ErrnoIsLeftAlone) {
  alone([] {
    errno = 77;
    EXPECT_FALSE(rf_page_mover_register(nullptr, 1));
    EXPECT_EQ(errno, 77);
    EXPECT_FALSE(rf_page_mover_move(1, 2));
    EXPECT_EQ(errno, 77);
    rf_page_mover_empty(1, 1);
    EXPECT_EQ(errno, 77);
    EXPECT_TRUE(rf_page_mover_begin());
    rlimit const none = {0, 0};
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    EXPECT_FALSE(rf_page_mover_renew());
    EXPECT_EQ(errno, 77);
    EXPECT_FALSE(rf_page_mover_works());
    rf_page_mover_end();
    EXPECT_EQ(errno, 77);
  });
}

TEST_F(PageMove, AnotherFileOfTheDescriptorsNumberIsLeftOpen) {
  alone([] {
    int const number = rf_page_store_kept_descriptor();
    EXPECT_EQ(dup2(1, number), number);
    rf_page_mover_look();
    EXPECT_FALSE(rf_page_mover_works());
    EXPECT_NE(fcntl(number, F_GETFD), -1);
  });
}

// As often as it is asked, and while a child has its memory in common with it.
TEST_F(PageMove, IsFoundToWorkWhileItDoes) {
  for (int i = 0; i < 3; i++) {
    rf_page_mover_look();
    EXPECT_TRUE(rf_page_mover_works());
  }
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  pid_t const child = fork();
  if (child == 0) {
    char end;
    rf_page_mover_look();
    rf_page_mover_look();
    _exit(rf_page_mover_works() && read(ends[0], &end, 1) == 1 ? 0 : 1);
  }
  rf_page_mover_look();
  EXPECT_TRUE(rf_page_mover_works());
  EXPECT_EQ(write(ends[1], "", 1), 1);
  EXPECT_EQ(in_child(child, [] { return true; }), 0);
  close(ends[0]);
  close(ends[1]);
}

#endif

// ---- Blocks ----

TEST_F(PageMove, FreedMemoryIsClosedAndServesAgain) {
  unsigned char *const a = live();
  ASSERT_TRUE(is_moving());
  for (int i = 0; i < 1000; i++) {
    unsigned char *const p = alloc(static_cast<size_t>(1 + i % 4095));
    ASSERT_NE(p, nullptr);
    ASSERT_EQ(p[0], RF_PATTERN_NEW);
    memset(p, i, static_cast<size_t>(1 + i % 4095));
    ASSERT_EQ(free(p), RF_OK) << "slack is as it should be";
    ASSERT_EQ(touch(p), RF_BUG_USE_AFTER_FREE);
  }
  EXPECT_EQ(a[0], 1);
  EXPECT_EQ(store_->ready_count, 1U) << "the same memory, again and again";
}

TEST_F(PageMove, FreedMemoryServesMoreBlocksThanAreReady) {
  store_->options.quarantine = 16 * rf_page_size(); // so that runs are taken again
  for (size_t const count : {5, 50, 10, 200, 20, 400}) {
    std::vector<unsigned char *> blocks;
    for (size_t i = 0; i < count; i++) {
      blocks.push_back(alloc(1 + i % 4095));
      ASSERT_NE(blocks.back(), nullptr);
      memset(blocks.back(), 7, 1 + i % 4095);
    }
    for (unsigned char *const p : blocks) {
      ASSERT_EQ(free(p), RF_OK) << "slack is as it should be";
    }
  }
}

TEST_F(PageMove, ZeroedBlocksAreZeroed) {
  unsigned char *const p = live();
  ASSERT_EQ(free(p), RF_OK);
  unsigned char *const q = alloc(4095, true);
  for (size_t i = 0; i < 4095; i++) {
    ASSERT_EQ(q[i], 0) << i;
  }
  EXPECT_EQ(free(q), RF_OK);
}

TEST_F(PageMove, WritesIntoSlackAreFound) {
  (void)freed();
  unsigned char *const p = alloc(100);
  p[-1] = 7;
  EXPECT_EQ(free(p), RF_OK);
  std::vector<rf_finding> const found = recorder_.take();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_STREQ(rf_bug_name(found[0].bug), rf_bug_name(RF_BUG_BUFFER_UNDERFLOW));
  unsigned char *const q = alloc(10);
  EXPECT_EQ(free(q), RF_OK) << "the memory has been put in order";
}

TEST_F(PageMove, AfterAPeakTheMemoryIsGivenBack) {
  std::vector<unsigned char *> blocks;
  for (unsigned i = 0; i < 4 * RF_PAGE_READY; i++) {
    blocks.push_back(live());
  }
  for (unsigned char *const p : blocks) {
    ASSERT_EQ(free(p), RF_OK);
  }
  EXPECT_EQ(store_->ready_count, RF_PAGE_READY);
  for (unsigned char *const p : blocks) {
    ASSERT_EQ(touch(p), RF_BUG_USE_AFTER_FREE);
  }
}

TEST_F(PageMove, BlocksThatFillAPageLieElsewhere) {
  unsigned char *const p = alloc(page_size());
  EXPECT_FALSE(is_moving());
  memset(p, 1, page_size());
  ASSERT_EQ(madvise(p, page_size(), MADV_DONTNEED), 0);
  EXPECT_EQ(p[0], 0);
  EXPECT_EQ(free(p), RF_OK);
  EXPECT_FALSE(is_moving());
}

TEST_F(PageMove, TheSystemIsRefusedToo) {
  unsigned char *const p = freed();
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  EXPECT_EQ(write(ends[1], p, 1), -1);
  EXPECT_EQ(errno, EFAULT);
  close(ends[0]);
  close(ends[1]);
}

TEST_F(PageMove, ALockedBlockIsClosedWhenItIsFreed) {
  unsigned char *const p = live();
  ASSERT_EQ(mlock(p, 100), 0);
  ASSERT_EQ(free(p), RF_OK);
  EXPECT_EQ(touch(p), RF_BUG_USE_AFTER_FREE);
  EXPECT_TRUE(is_moving());
}

TEST_F(PageMove, SettledAllStaysAsItIs) {
  unsigned char *const a = live();
  unsigned char *const b = freed();
  alone([&] {
    rf_page_store_settle();
    EXPECT_FALSE(is_moving());
    EXPECT_EQ(rf_page_store_kept_descriptor(), -1);
    EXPECT_TRUE(stands(a, b));
    EXPECT_EQ(free(a), RF_OK);
    EXPECT_EQ(touch(a), RF_BUG_USE_AFTER_FREE);
  });
}

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

TEST_F(PageMove, WhereNoRunIsLeftMemoryStaysAndIsClosed) {
  unsigned char *const a = live();
  unsigned char *const b = live();
  alone([&] {
    std::fill(std::begin(store_->holes[SPACE_MOVING]), std::end(store_->holes[SPACE_MOVING]), nullptr);
    rlimit const little = {1 << 20, 1 << 20};
    EXPECT_EQ(setrlimit(RLIMIT_AS, &little), 0);
    EXPECT_EQ(free(a), RF_OK);
    EXPECT_EQ(store_->ready_count, 0U);
    EXPECT_EQ(touch(a), RF_BUG_USE_AFTER_FREE);
    EXPECT_EQ(b[0], 1);
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

TEST_F(PageMove, AChildHasAllOfIt) {
  unsigned char *const a = live();
  unsigned char *const b = freed();
  (void)freed();
  EXPECT_EQ(in_child(fork(), [&] { return is_moving() && stands(a, b) && is_moving(); }), 0);
  EXPECT_TRUE(stands(a, b));
  EXPECT_TRUE(is_moving());
}

TEST_F(PageMove, AChildMadeBehindItsBackClosesAllWithTheNextBlocks) {
  unsigned char *const a = live();
  unsigned char *const b = freed();
  auto const child = static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr));
  EXPECT_EQ(in_child(child,
                     [&] {
                       (void)freed();
                       (void)freed();
                       return !is_moving() && stands(a, b);
                     }),
            0);
  EXPECT_TRUE(is_moving());
  EXPECT_TRUE(stands(a, b));
}

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
