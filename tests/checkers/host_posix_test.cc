// The checkers' interface to the system, call by call (checkers/os/host_posix.c): the system's answers are the test's.
#include "checkers/os/forbidden_calls.h"
#include "checkers/os/host.h"

#include "tests/checkers/child_status.h"
#include "tests/checkers/folder_entries.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <pthread.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

extern "C" {
ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);
ssize_t __real_read(int fd, void *data, size_t size);
ssize_t __wrap_read(int fd, void *data, size_t size);
int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_sched_yield();
int __wrap_nanosleep(const struct timespec *time, struct timespec *rest);
int __real_raise(int number);
int __wrap_raise(int number);
int __real_sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *time);
int __wrap_sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *time);
int __real_pthread_setcancelstate(int state, int *before);
int __wrap_pthread_setcancelstate(int state, int *before);
unsigned long __real_getauxval(unsigned long type);
unsigned long __wrap_getauxval(unsigned long type);
uint64_t __wrap_rf_port_now_ns(void);
uint32_t __wrap_rf_port_thread_id(void);
void __wrap_rf_port_log(const char *text, size_t size);
}

namespace {

struct Play {
  std::vector<ssize_t> transfers; // of write and read in turn: bytes, or an error less than 0; then as asked for
  std::vector<int> closed;
  unsigned yields = 0;
  unsigned naps = 0;
  long nap = 0; // the last one, in nanoseconds
  std::function<void()> meanwhile;
  bool raises = true;
  unsigned interruptions = 0; // of sigtimedwait
  unsigned waits = 0;
  std::vector<int> cancel_states;
  const void *random = nullptr;
  uint64_t now = 5000;
  uint32_t thread = 7;
  std::string log;
};

Play play;
bool playing;

// The next transfer of `size` bytes; false where the system itself is to answer.
bool next_transfer(ssize_t *result) {
  if (!playing || play.transfers.empty()) {
    return false;
  }
  *result = play.transfers.front();
  play.transfers.erase(play.transfers.begin());
  if (*result < 0) {
    errno = static_cast<int>(-*result);
    *result = -1;
  }
  return true;
}

// Memory on the stack was used for something else.
__attribute__((noinline)) void leave_ones_below() {
  volatile unsigned char bytes[8192];
  for (volatile unsigned char &b : bytes) {
    b = 0xFF;
  }
}

void pass_time() {
  errno = EINTR;
  if (play.meanwhile) {
    play.meanwhile();
  }
}

} // namespace

ssize_t __wrap_write(int fd, const void *data, size_t size) {
  ssize_t result;
  if (!next_transfer(&result)) {
    return __real_write(fd, data, size);
  }
  return result > 0 ? __real_write(fd, data, static_cast<size_t>(result)) : result;
}

ssize_t __wrap_read(int fd, void *data, size_t size) {
  ssize_t result;
  if (!next_transfer(&result)) {
    return __real_read(fd, data, size);
  }
  return result > 0 ? __real_read(fd, data, static_cast<size_t>(result)) : result;
}

int __wrap_close(int fd) {
  play.closed.push_back(fd);
  int const result = __real_close(fd);
  errno = playing ? EIO : errno;
  return result;
}

int __wrap_sched_yield() {
  play.yields++;
  pass_time();
  return 0;
}

int __wrap_nanosleep(const struct timespec *time, struct timespec * /*rest*/) {
  play.naps++;
  play.nap = static_cast<long>(time->tv_sec) * 1000000000 + time->tv_nsec;
  pass_time();
  return -1;
}

int __wrap_raise(int number) {
  return play.raises ? __real_raise(number) : 0;
}

int __wrap_sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *time) {
  play.waits++;
  if (play.interruptions != 0) {
    play.interruptions--;
    errno = EINTR;
    return -1;
  }
  return __real_sigtimedwait(set, info, time);
}

int __wrap_pthread_setcancelstate(int state, int *before) {
  play.cancel_states.push_back(state);
  int const result = __real_pthread_setcancelstate(state, before);
  leave_ones_below();
  return result;
}

unsigned long __wrap_getauxval(unsigned long type) {
  return type == AT_RANDOM && playing ? reinterpret_cast<unsigned long>(play.random) : __real_getauxval(type);
}

uint64_t __wrap_rf_port_now_ns(void) {
  return play.now;
}

uint32_t __wrap_rf_port_thread_id(void) {
  return play.thread;
}

void __wrap_rf_port_log(const char *text, size_t size) {
  play.log.append(text, size);
}

namespace {

using ringfence::entries_of;
using ringfence::status_of;

class HostPosix : public testing::Test {
protected:
  HostPosix() {
    play = Play();
    playing = true;
    errno = 77;
  }
  ~HostPosix() override { playing = false; }

  static bool is_uncancelled_inside() {
    return play.cancel_states == std::vector<int>{PTHREAD_CANCEL_DISABLE, PTHREAD_CANCEL_ENABLE};
  }

  std::string path_ = testing::TempDir() + "/host_posix_" + std::to_string(getpid());
};

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

// ---- Files ----

TEST_F(HostPosix, OpensFilesForAppending) {
  mode_t const mask = umask(0);
  int const fd = rf_host_open(path_.c_str());
  (void)umask(mask);
  ASSERT_GE(fd, 0);
  EXPECT_EQ(errno, 77);
  EXPECT_TRUE(is_uncancelled_inside());
  EXPECT_EQ(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND), O_WRONLY | O_APPEND);
  EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
  struct stat file;
  ASSERT_EQ(fstat(fd, &file), 0);
  EXPECT_EQ(file.st_mode & 0777U, 0666U);
  EXPECT_TRUE(rf_host_write(fd, "one", 3));
  errno = 77;
  play.cancel_states.clear();
  rf_host_close(fd);
  EXPECT_EQ(errno, 77);
  EXPECT_EQ(play.closed, std::vector<int>{fd});
  EXPECT_TRUE(is_uncancelled_inside());
  rf_host_close(-1);
  EXPECT_EQ(play.closed.size(), 1U) << "there is nothing to close";
  int const again = rf_host_open(path_.c_str());
  EXPECT_TRUE(rf_host_write(again, "two", 3));
  rf_host_close(again);
  size_t length = 0;
  EXPECT_STREQ(rf_host_read_file(path_.c_str(), &length), "onetwo");
  unlink(path_.c_str());
  errno = 77;
  EXPECT_EQ(rf_host_open("/nowhere/at/all"), -1);
  EXPECT_EQ(errno, 77);
  EXPECT_EQ(status_of([this] {
              rf_forbid(RF_CALL_OPEN);
              return rf_host_open(path_.c_str()) == -1 && access(path_.c_str(), F_OK) != 0;
            }),
            0);
}

TEST_F(HostPosix, TellsFilesApart) {
  int const fd = rf_host_open(path_.c_str());
  int const same = rf_host_open(path_.c_str());
  int const other = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  errno = 77;
  uint64_t const file = rf_host_file(fd);
  EXPECT_NE(file, 0U);
  EXPECT_EQ(rf_host_file(same), file);
  EXPECT_NE(rf_host_file(other), file);
  rf_host_close(same);
  EXPECT_EQ(rf_host_file(same), 0U);
  EXPECT_EQ(rf_host_file(-1), 0U);
  EXPECT_EQ(errno, 77);
  EXPECT_EQ(status_of([fd] {
              rf_forbid(RF_CALL_OPEN);
              return rf_host_file(fd) == 0;
            }),
            0);
  rf_host_close(fd);
  rf_host_close(other);
  unlink(path_.c_str());
}

TEST_F(HostPosix, ReadsFilesWholeHoweverTheyCome) {
  int const fd = rf_host_open(path_.c_str());
  ASSERT_TRUE(rf_host_write(fd, "0123456789", 10));
  rf_host_close(fd);
  struct {
    std::vector<ssize_t> reads;
    const char *text;
  } const cases[] = {{{}, "0123456789"},   {{1, 2, 3}, "0123456789"}, {{-EINTR, 4, -EINTR, -EINTR, 6}, "0123456789"},
                     {{3, 0}, "012"}, // it became shorter
                     {{3, -EIO}, nullptr}, {{-EIO}, nullptr},         {{0}, ""}};
  for (const auto &c : cases) {
    play.transfers = c.reads;
    play.closed.clear();
    play.cancel_states.clear();
    errno = 77;
    size_t length = 99;
    EXPECT_STREQ(rf_host_read_file(path_.c_str(), &length), c.text);
    EXPECT_TRUE(c.text == nullptr || length == std::strlen(c.text));
    EXPECT_TRUE(play.transfers.empty());
    EXPECT_EQ(play.closed.size(), 1U);
    EXPECT_EQ(play.cancel_states.size(), 4U) << "in it, and in the end";
    EXPECT_EQ(errno, 77);
  }
  EXPECT_EQ(status_of([this] { // the number of a file may be 0
              (void)__real_close(0);
              size_t length = 0;
              const char *const text = rf_host_read_file(path_.c_str(), &length);
              return text != nullptr && length == 10 && fcntl(0, F_GETFD) == -1;
            }),
            0);
  unlink(path_.c_str());
}

// ---- Writing ----

class Written : public HostPosix {
protected:
  Written() { EXPECT_EQ(pipe(ends_), 0); }
  ~Written() override {
    (void)__real_close(ends_[0]);
    (void)__real_close(ends_[1]);
  }

  std::string text() {
    char bytes[100] = "";
    (void)fcntl(ends_[0], F_SETFL, O_NONBLOCK);
    ssize_t const got = __real_read(ends_[0], bytes, sizeof bytes);
    return std::string(bytes, got > 0 ? static_cast<size_t>(got) : 0);
  }

  int ends_[2] = {-1, -1};
};

TEST_F(Written, GoesOnUntilAllIsWritten) {
  struct {
    std::vector<ssize_t> writes;
    const char *text;
  } const cases[] = {{{}, "report"}, {{2, 3}, "report"}, {{-EINTR, 1, -EINTR}, "report"}, {{2, -EIO}, "re"},
                     {{0}, ""},      {{4, 0}, "repo"},   {{1, -ENOSPC, 9}, "r"}};
  for (const auto &c : cases) {
    play.transfers = c.writes;
    play.cancel_states.clear();
    errno = 77;
    EXPECT_EQ(rf_host_write(ends_[1], "report", 6), std::string(c.text) == "report");
    EXPECT_EQ(errno, 77);
    EXPECT_EQ(text(), c.text);
    EXPECT_TRUE(is_uncancelled_inside());
    EXPECT_EQ(play.waits, 0U) << "no signal comes with these";
    play.transfers.clear();
  }
  EXPECT_TRUE(rf_host_write(-1, "error", 5));
  EXPECT_EQ(play.log, "error");
  EXPECT_TRUE(rf_host_write(ends_[1], "", 0));
}

// ---- Signals that come with a write ----

struct SignalCase {
  int error;   // of a write that no signal comes with
  int waiting; // a signal that was blocked before, and sent; 0: none
};

// True where a write that fails so leaves the signals as they were.
bool leaves_signals(const SignalCase &c, int fd) {
  sigset_t set;
  sigset_t pending;
  (void)sigemptyset(&set);
  if (c.waiting != 0) {
    (void)sigaddset(&set, c.waiting);
    (void)pthread_sigmask(SIG_SETMASK, &set, nullptr);
    (void)__real_raise(c.waiting);
  }
  play.transfers = {-c.error};
  bool const written = rf_host_write(fd, "x", 1);
  (void)sigpending(&pending);
  return !written && sigismember(&pending, SIGPIPE) == (c.waiting == SIGPIPE ? 1 : 0) &&
         sigismember(&pending, SIGXFSZ) == (c.waiting == SIGXFSZ ? 1 : 0);
}

TEST_F(Written, ASignalThatWaitedIsNotTakenForThatOfTheWrite) {
  SignalCase const cases[] = {{EPIPE, SIGPIPE}, {EFBIG, SIGXFSZ}, {EPIPE, SIGXFSZ},
                              {EFBIG, SIGPIPE}, {EIO, SIGPIPE},   {EPIPE, 0}};
  for (const SignalCase &c : cases) {
    EXPECT_EQ(status_of([&] { return leaves_signals(c, ends_[1]); }), 0) << c.error << " " << c.waiting;
  }
}

// The system sends the signal itself here.
TEST_F(Written, ASignalOfTheWriteIsTakenAndTheMaskIsAsBefore) {
  (void)__real_close(ends_[0]);
  for (bool const is_blocked : {false, true}) {
    EXPECT_EQ(status_of([this, is_blocked] {
                sigset_t set;
                sigset_t now;
                (void)sigemptyset(&set);
                (void)sigaddset(&set, SIGUSR1);
                if (is_blocked) {
                  (void)sigaddset(&set, SIGPIPE);
                }
                (void)pthread_sigmask(SIG_SETMASK, &set, nullptr);
                play.interruptions = 2;
                bool const written = rf_host_write(ends_[1], "x", 1);
                (void)pthread_sigmask(SIG_SETMASK, nullptr, &now);
                (void)sigpending(&set);
                return !written && play.waits == 3 && errno == 77 && sigismember(&set, SIGPIPE) == 0 &&
                       sigismember(&now, SIGUSR1) == 1 && sigismember(&now, SIGPIPE) == (is_blocked ? 1 : 0) &&
                       sigismember(&now, SIGXFSZ) == 0;
              }),
              0)
        << is_blocked;
  }
}

TEST_F(Written, WhereSignalsMayNotBeMaskedNoneIs) {
  for (uint32_t const call : {RF_CALL_SIGNAL_MASK, RF_CALL_PENDING}) {
    EXPECT_EQ(status_of([this, call] {
                (void)signal(SIGPIPE, SIG_IGN);
                rf_forbid(call);
                bool const written = rf_host_write(ends_[1], "x", 1) && text() == "x";
                play.transfers = {-EPIPE};
                return written && !rf_host_write(ends_[1], "x", 1) && play.waits == 0;
              }),
              0);
  }
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

// Of the time, of the kernel's random bytes, and of how often it was asked for.
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
