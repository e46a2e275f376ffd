// System calls of the mover of pages (checkers/page/page_mover.c): the kernels that have them, the descriptor, and the
// effect on pages. page_mover_test.cc says whether it works.
#include "tests/checkers/page_move_fixture.h"
#include "tests/checkers/page_store_fixture.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>

extern "C" {
#include "checkers/os/host.h"
}

namespace {

struct {
  unsigned times; // that the system has no time for a request
  int why;
  unsigned after; // so many that it serves
} refusals;

} // namespace

// The linker puts this in front of the C library's.
extern "C" {
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

long __wrap_syscall(long number, ...) {
  long arguments[6];
  va_list list;
  va_start(list, number);
  for (long &argument : arguments) {
    argument = va_arg(list, long);
  }
  va_end(list);
  if (number == SYS_ioctl && refusals.after != 0) {
    refusals.after--;
  } else if (number == SYS_ioctl && refusals.times != 0) {
    refusals.times--;
    errno = refusals.why;
    return -1;
  }
  return __real_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}
}

namespace ringfence {
namespace {

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

#if defined(__linux__)

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

TEST_F(PageMove, AnotherFileOfTheDescriptorsNumberIsLeftOpen) {
  alone([] {
    int const number = rf_page_store_kept_descriptor();
    EXPECT_EQ(dup2(1, number), number);
    rf_page_mover_look();
    EXPECT_FALSE(rf_page_mover_works());
    EXPECT_NE(fcntl(number, F_GETFD), -1);
  });
}

// No memory is moved meanwhile: a move that fails looks at the descriptor as well.
TEST_F(PageMove, ADescriptorThatIsGoneIsMissedByTheBlocksThatAreClosed) {
  alone([this] {
    unsigned char *const p = alloc(100);
    rf_space *const space = store_->spaces;
    EXPECT_EQ(dup2(1, rf_page_store_kept_descriptor()), rf_page_store_kept_descriptor());
    EXPECT_TRUE(rf_page_mover_works()) << "nobody has looked";
    for (int i = 0; i < 64; i++) {
      rf_page_close_range(space, reinterpret_cast<uintptr_t>(p) & ~uintptr_t{page_size() - 1}, page_size());
    }
    EXPECT_FALSE(rf_page_mover_works());
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
  EXPECT_EQ(status_of(child, [] { return true; }), 0);
  close(ends[0]);
  close(ends[1]);
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

// The system asks for another try where a thread changes mappings meanwhile.
TEST_F(PageMove, WhatTheSystemAsksToTryAgainIsTriedAgainAndNothingElse) {
  size_t const size = page_size();
  auto *const pages =
      static_cast<unsigned char *>(mmap(nullptr, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  auto const at = reinterpret_cast<uintptr_t>(pages);
  ASSERT_TRUE(rf_page_mover_register(pages, 2 * size));
  refusals = {3, EAGAIN, 0};
  EXPECT_TRUE(rf_page_mover_fill(at, size));
  EXPECT_EQ(refusals.times, 0U);
  refusals = {3, EAGAIN, 0};
  EXPECT_TRUE(rf_page_mover_move(at + size, at));
  EXPECT_EQ(refusals.times, 0U);
  EXPECT_EQ(pages[size], RF_PATTERN_REDZONE);
  refusals = {3, EAGAIN, 0};
  rf_page_mover_look();
  EXPECT_TRUE(rf_page_mover_works());
  for (int const why : {EBUSY, ENOENT, EEXIST, EINTR}) {
    refusals = {1, why, 0};
    EXPECT_FALSE(rf_page_mover_move(at, at + size)) << why;
    EXPECT_EQ(refusals.times, 0U) << why;
  }
  for (int const why : {EBUSY, ENOENT, EEXIST}) {
    refusals = {1, why, 0};
    rf_page_mover_look();
    EXPECT_TRUE(rf_page_mover_works()) << why;
  }
  refusals = {0, 0, 0};
  munmap(pages, 2 * size);
}

// The run that was to have the memory is free again, and an access to it is about the blocks beside it.
TEST_F(PageMove, AMoveThatIsRefusedLeavesNothingBehind) {
  unsigned char *const blocks[] = {live(), live(), live()};
  for (unsigned char *const block : blocks) {
    refusals = {1, EBUSY, 0};
    EXPECT_EQ(free(block), RF_OK);
    EXPECT_EQ(refusals.times, 0U);
  }
  EXPECT_TRUE(rf_page_mover_works());
  EXPECT_EQ(store_->ready_count, 0U);
  check(store_);
}

// In a child, ranges are registered anew one by one.
TEST_F(PageMove, AChildThatIsRefusedOneOfSeveralRangesMovesNone) {
  rf_page_store *const first = store_;
  unsigned char *const a = live();
  open();
  unsigned char *const b = live();
  unsigned const before = 2; // requests for the descriptor itself
  for (unsigned refused = 0; refused < 3; refused++) {
    refusals = {1, ENOMEM, before + refused};
    EXPECT_EQ(status_of([&] {
                bool const all = refused == 2 && refusals.times == 1;
                refusals = {0, 0, 0};
                bool const well = touch(b) == RF_BUG_COUNT && touch(b + 100) == RF_BUG_BUFFER_OVERFLOW;
                store_ = first;
                return well && rf_page_mover_works() == all && touch(a) == RF_BUG_COUNT &&
                       touch(a + 100) == RF_BUG_BUFFER_OVERFLOW;
              }),
              0)
        << refused;
  }
  refusals = {0, 0, 0};
  rf_page_store_close(first);
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

#endif

} // namespace
} // namespace ringfence
