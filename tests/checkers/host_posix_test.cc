// The checkers' interface to the system, call by call (checkers/os/host_posix.c): process, report lock, memory.
#include "checkers/os/forbidden_calls.h"

#include "tests/checkers/child_status.h"
#include "tests/checkers/folder_entries.h"
#include "tests/checkers/host_posix_fixture.h"

#include <sys/mman.h>
#include <sys/wait.h>

#include <climits>
#include <cstdlib>
#include <cstring>

namespace ringfence {
namespace {

// ---- The process ----

TEST_F(HostPosix, TimeAndProcessAreTheSystemsUntilThatIsForbidden) {
  EXPECT_EQ(rf_host_now_ns(), 5000U);
  EXPECT_EQ(rf_host_process(), static_cast<uint32_t>(getpid()));
  play.now = 6000;
  EXPECT_EQ(rf_host_now_ns(), 6000U);
  EXPECT_EQ(status_of([] {
              uint32_t const child = rf_host_process();
              rf_host_keep();
              play.now = 7000;
              bool const before = rf_host_now_ns() == 7000 && child == static_cast<uint32_t>(getpid());
              rf_forbid(RF_CALL_GETPID);
              bool const same = rf_host_now_ns() == 7000 && rf_host_process() == child;
              rf_forbid(RF_CALL_CLOCK);
              return before && same && rf_host_now_ns() == 6000 && fork() != 0;
            }),
            0);
  EXPECT_EQ(status_of([] {
              rf_host_keep();
              uint32_t const parent = rf_host_process();
              rf_forbid(RF_CALL_GETPID);
              return status_of([parent] { return rf_host_process() == parent; }) == 0;
            }),
            0)
      << "the one that was kept";
}

// In strict mode its only thread ends; in the race detector's build a child has another one, and is not asked.
TEST_F(HostPosix, EndsWithItsCodeAtOnce) {
  for (uint32_t const forbidden : {0U, uint32_t{RF_CALL_CLOCK}}) {
    int const status = status_of([forbidden] {
      if (forbidden != 0 && entries_of("/proc/self/task") != 1) {
        _exit(23);
      }
      rf_forbid(forbidden);
      rf_host_exit(23);
      return true;
    });
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 23) << forbidden;
  }
}

TEST_F(HostPosix, EndsByItsSignalWhateverTheProgramDidWithIt) {
  for (int i = 0; i < 3; i++) {
    int const status = status_of([i] {
      sigset_t all;
      (void)sigfillset(&all);
      if (i == 1) {
        (void)signal(SIGABRT, SIG_IGN);
      } else if (i == 2) {
        (void)signal(SIGABRT, [](int) { _exit(5); });
      }
      (void)pthread_sigmask(SIG_BLOCK, &all, nullptr);
      rf_host_abort();
      return true;
    });
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT) << i;
  }
  int const status = status_of([] {
    play.raises = false; // the first process of a container
    rf_host_abort();
    return true;
  });
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 134);
}

TEST_F(HostPosix, TakesTheTestsFolderAndTheOptionsFromTheEnvironment) {
  const char *const kept = getenv("TEST_UNDECLARED_OUTPUTS_DIR");
  std::string const before = kept != nullptr ? kept : "";
  unsetenv("TEST_UNDECLARED_OUTPUTS_DIR");
  EXPECT_EQ(rf_host_artifacts(), nullptr);
  for (const char *const odd : {"", "relative/folder", "./x"}) {
    setenv("TEST_UNDECLARED_OUTPUTS_DIR", odd, 1);
    EXPECT_EQ(rf_host_artifacts(), nullptr) << odd;
  }
  setenv("TEST_UNDECLARED_OUTPUTS_DIR", "/some/folder", 1);
  EXPECT_STREQ(rf_host_artifacts(), "/some/folder");
  setenv("RINGFENCE_OPTIONS", "mode=page", 1);
  EXPECT_STREQ(rf_host_environment(), "mode=page");
  unsetenv("RINGFENCE_OPTIONS");
  EXPECT_EQ(rf_host_environment(), nullptr);
  if (kept != nullptr) {
    setenv("TEST_UNDECLARED_OUTPUTS_DIR", before.c_str(), 1);
  } else {
    unsetenv("TEST_UNDECLARED_OUTPUTS_DIR");
  }
}

// ---- The report lock ----

// Yields first, then naps of a millisecond, for two seconds in all.
TEST_F(HostPosix, TheReportLockIsWaitedForSomeTime) {
  ASSERT_TRUE(rf_host_report_lock());
  play.thread = 8;
  errno = 77;
  EXPECT_FALSE(rf_host_report_lock());
  EXPECT_EQ(play.yields, 200U);
  EXPECT_EQ(play.naps, 2000U);
  EXPECT_EQ(play.nap, 1000000);
  EXPECT_EQ(errno, 77);
  for (unsigned const after : {1U, 199U, 200U, 201U, 2199U}) {
    play.thread++;
    play.yields = play.naps = 0;
    play.meanwhile = [after] {
      if (play.yields + play.naps == after) {
        rf_host_report_unlock();
      }
    };
    EXPECT_TRUE(rf_host_report_lock()) << after;
    EXPECT_EQ(play.yields + play.naps, after);
    EXPECT_EQ(errno, 77);
  }
  play.meanwhile = nullptr;
  play.yields = play.naps = 0;
  EXPECT_FALSE(rf_host_report_lock()) << "it is this thread's";
  EXPECT_EQ(play.yields + play.naps, 0U);
  rf_host_report_lock_reset();
  EXPECT_TRUE(rf_host_report_lock());
  rf_host_report_unlock();
}

TEST_F(HostPosix, AClaimIsWaitedForAsLongAsItIsTold) {
  bool flag = true;
  for (unsigned const patience : {0U, 1U, 30U}) {
    play.naps = 0;
    EXPECT_FALSE(rf_host_claim(&flag, patience));
    EXPECT_EQ(play.naps, 10 * patience);
    EXPECT_EQ(errno, 77);
  }
  EXPECT_EQ(play.nap, 100000);
  play.naps = 0;
  play.meanwhile = [&flag] { flag = play.naps != 5; };
  EXPECT_TRUE(rf_host_claim(&flag, 1));
  EXPECT_TRUE(flag);
  EXPECT_EQ(play.naps, 5U);
  EXPECT_EQ(errno, 77);
}

// ---- Memory ----

TEST_F(HostPosix, MemoryThatThereIsNotIsNull) {
  EXPECT_EQ(rf_host_map(SIZE_MAX - 0x20000), nullptr);
  EXPECT_EQ(errno, 77);
  void *const p = rf_host_map(1);
  ASSERT_NE(p, nullptr);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % static_cast<size_t>(sysconf(_SC_PAGESIZE)), 0U);
  (void)munmap(p, 1);
}

// The system lets programs of few rights map nothing there.
TEST_F(HostPosix, TheSecondPageMayBeReadable) {
  void *const second = reinterpret_cast<void *>(4096);
  void *const p = mmap(second, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  EXPECT_EQ(rf_host_readable(second, 1), p == second);
  EXPECT_FALSE(rf_host_readable(reinterpret_cast<void *>(4095), 1));
  if (p != MAP_FAILED) {
    (void)munmap(p, 4096);
  }
}

TEST_F(HostPosix, WhereTheKernelMayNotBeAskedNothingIsReadable) {
  EXPECT_EQ(status_of([] {
              int local = 0;
              bool const before = rf_host_readable(&local, sizeof local);
              rf_forbid(RF_CALL_SIGNAL_MASK);
              return before && !rf_host_readable(&local, sizeof local);
            }),
            0);
}

// Made of the time, the kernel's random bytes, and how often it was asked for.
TEST_F(HostPosix, ASecretIsMadeOfAllThatIsThere) {
  unsigned char bytes[16] = {1, 2, 3, 4, 5, 6, 7, 8};
  play.random = bytes;
  auto const in_child = [](const std::function<void()> &change) { // the count is the same in each
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    EXPECT_EQ(status_of([&] {
                change();
                uintptr_t const secret = rf_host_secret();
                return __real_write(ends[1], &secret, sizeof secret) == sizeof secret;
              }),
              0);
    uintptr_t secret = 0;
    EXPECT_EQ(__real_read(ends[0], &secret, sizeof secret), static_cast<ssize_t>(sizeof secret));
    (void)__real_close(ends[0]);
    (void)__real_close(ends[1]);
    return secret;
  };
  uintptr_t const first = in_child([] {});
  EXPECT_EQ(in_child([] {}), first);
  EXPECT_NE(in_child([] { play.now++; }), first);
  EXPECT_NE(in_child([&bytes] { bytes[7]++; }), first);
  EXPECT_NE(in_child([] { play.random = nullptr; }), first);
  EXPECT_NE(in_child([] { (void)rf_host_secret(); }), first);
}

} // namespace
} // namespace ringfence
