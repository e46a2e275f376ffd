// The calls of posix.c to the system, and their order: the linker puts this file's functions in front of the C
// library's, which answer what a test says.
#include <ringfence/port.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <deque>
#include <functional>
#include <poll.h>
#include <pthread.h>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

// The answer to one write or poll: how much, or -1 with the error.
struct Answer {
  ssize_t result;
  int error;
};

bool watched;
std::vector<std::string> calls;
std::deque<Answer> writes; // after these, all is written
std::deque<Answer> polls;
std::string written;
int signal_of_write;
bool may_not_take; // a sandbox refuses sigtimedwait
unsigned takes;
unsigned interrupted_takes; // so many of them
int wait_error = ETIMEDOUT;
bool has_no_clock;
std::deque<timespec> times;      // the clock's answers; after these, the system's own
std::vector<timespec> deadlines; // of waits, which are over at once
std::function<void()> meanwhile; // what another thread does as soon as the mutex is free, once

void note(const char *call) {
  if (watched) {
    calls.emplace_back(call);
  }
}

Answer next(std::deque<Answer> *answers, Answer otherwise) {
  Answer const answer = answers->empty() ? otherwise : answers->front();
  if (!answers->empty()) {
    answers->pop_front();
  }
  return answer;
}

} // namespace

extern "C" {
int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __real_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *end);
int __real_pthread_cond_signal(pthread_cond_t *cond);
int __real_pthread_condattr_setclock(pthread_condattr_t *attr, clockid_t clock);
int __real_pthread_mutex_destroy(pthread_mutex_t *mutex);
int __real_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attr);
int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);
ssize_t __real_write(int fd, const void *data, size_t size);
int __real_poll(struct pollfd *files, nfds_t count, int timeout);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *end);
int __wrap_pthread_cond_signal(pthread_cond_t *cond);
int __wrap_pthread_condattr_setclock(pthread_condattr_t *attr, clockid_t clock);
int __wrap_pthread_mutex_destroy(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attr);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);
ssize_t __wrap_write(int fd, const void *data, size_t size);
int __wrap_poll(struct pollfd *files, nfds_t count, int timeout);
int __real_sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *time);
int __wrap_sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *time);

int __wrap_sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *time) {
  takes++;
  if (interrupted_takes != 0) {
    interrupted_takes--;
    errno = EINTR;
    return -1;
  }
  errno = EPERM;
  return may_not_take ? -1 : __real_sigtimedwait(set, info, time);
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *now) {
  if (!watched || times.empty()) {
    return __real_clock_gettime(clock, now);
  }
  *now = times.front();
  times.pop_front();
  return 0;
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *end) {
  if (!watched) {
    return __real_pthread_cond_timedwait(cond, mutex, end);
  }
  deadlines.push_back(*end);
  if (meanwhile) {
    (void)pthread_mutex_unlock(mutex);
    (void)pthread_mutex_lock(mutex);
  }
  return deadlines.size() < 3 ? wait_error : ETIMEDOUT;
}

int __wrap_pthread_cond_signal(pthread_cond_t *cond) {
  note("signal");
  return __real_pthread_cond_signal(cond);
}

int __wrap_pthread_condattr_setclock(pthread_condattr_t *attr, clockid_t clock) {
  EXPECT_EQ(clock, CLOCK_MONOTONIC);
  return has_no_clock ? EINVAL : __real_pthread_condattr_setclock(attr, clock);
}

int __wrap_pthread_mutex_destroy(pthread_mutex_t *mutex) {
  note("destroy");
  return __real_pthread_mutex_destroy(mutex);
}

int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attr) {
  note("init");
  return __real_pthread_mutex_init(mutex, attr);
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex) {
  note("unlock");
  int const error = __real_pthread_mutex_unlock(mutex);
  if (meanwhile) {
    std::function<void()> const once = std::move(meanwhile);
    meanwhile = nullptr;
    once();
  }
  return error;
}

ssize_t __wrap_write(int fd, const void *data, size_t size) {
  if (!watched || fd != STDERR_FILENO) {
    return __real_write(fd, data, size);
  }
  pthread_testcancel(); // as in the real one
  Answer const answer = next(&writes, {static_cast<ssize_t>(size), 0});
  if (answer.result > 0) {
    written.append(static_cast<const char *>(data), static_cast<size_t>(answer.result));
  }
  if (answer.result < 0 && signal_of_write != 0) {
    (void)pthread_kill(pthread_self(), signal_of_write);
  }
  errno = answer.result < 0 ? answer.error : errno;
  return answer.result;
}

int __wrap_poll(struct pollfd *files, nfds_t count, int timeout) {
  if (!watched) {
    return __real_poll(files, count, timeout);
  }
  note("poll");
  EXPECT_GE(timeout, 500) << "a reader of standard error may be slow, in milliseconds";
  EXPECT_LE(timeout, 10000);
  Answer const answer = next(&polls, {1, 0});
  errno = answer.error;
  return static_cast<int>(answer.result);
}
}

namespace {

class PosixCalls : public testing::Test {
protected:
  PosixCalls() {
    calls.clear();
    writes.clear();
    polls.clear();
    written.clear();
    times.clear();
    deadlines.clear();
    watched = true;
  }
  ~PosixCalls() override {
    watched = false;
    has_no_clock = false;
    signal_of_write = 0;
    wait_error = ETIMEDOUT;
  }
};

// ---- Events ----

// The waiting thread may end the event as soon as it sees it set, and it does not before it has the mutex.
TEST_F(PosixCalls, AnEventIsSignalledInsideItsMutex) {
  rf_event event;
  ASSERT_EQ(rf_event_init(&event), RF_OK);
  calls.clear();
  rf_event_set(&event);
  EXPECT_EQ(calls, (std::vector<std::string>{"signal", "unlock"}));
  rf_event_deinit(&event);
}

TEST_F(PosixCalls, AnEventThatCannotBeMadeKeepsNothing) {
  rf_event event;
  has_no_clock = true;
  EXPECT_EQ(rf_event_init(&event), RF_ERR_NO_MEMORY);
  EXPECT_EQ(calls, (std::vector<std::string>{"init", "destroy"}));
}

// Set by the one thread as soon as the other has consumed it, it is set again.
TEST_F(PosixCalls, AnEventThatIsSetAnewIsNotLost) {
  rf_event event;
  ASSERT_EQ(rf_event_init(&event), RF_OK);
  rf_event_set(&event);
  meanwhile = [&event] { rf_event_set(&event); };
  EXPECT_EQ(rf_event_wait(&event, 0), RF_OK);
  EXPECT_EQ(rf_event_wait(&event, 0), RF_OK);
  EXPECT_EQ(rf_event_wait(&event, 0), RF_ERR_TIMEOUT);
  rf_event_deinit(&event);
}

TEST_F(PosixCalls, AnEventThatIsSetWithTheEndOfTheTimeIsSeen) {
  rf_event event;
  ASSERT_EQ(rf_event_init(&event), RF_OK);
  meanwhile = [&event] { rf_event_set(&event); };
  EXPECT_EQ(rf_event_wait(&event, 5), RF_OK);
  EXPECT_EQ(deadlines.size(), 1U);
  rf_event_deinit(&event);
}

// The system refuses a deadline of a whole second of nanoseconds or more.
TEST_F(PosixCalls, ADeadlineHasLessThanASecondOfNanoseconds) {
  struct {
    long now_ns;
    uint32_t wait_ms;
    time_t seconds;
    long end_ns;
  } const cases[] = {
      {998000000, 1, 5, 999000000},
      {999000000, 1, 6, 0},
      {999000001, 1, 6, 1},
      {500000000, 2500, 8, 0},
  };
  rf_event event;
  ASSERT_EQ(rf_event_init(&event), RF_OK);
  for (auto const &c : cases) {
    deadlines.clear();
    times = {{5, c.now_ns}};
    EXPECT_EQ(rf_event_wait(&event, c.wait_ms), RF_ERR_TIMEOUT);
    ASSERT_EQ(deadlines.size(), 1U);
    EXPECT_EQ(deadlines[0].tv_sec, c.seconds) << c.now_ns;
    EXPECT_EQ(deadlines[0].tv_nsec, c.end_ns) << c.now_ns;
  }
  rf_event_deinit(&event);
}

TEST_F(PosixCalls, AWaitThatTheSystemRefusesIsOver) {
  rf_event event;
  ASSERT_EQ(rf_event_init(&event), RF_OK);
  wait_error = EINVAL;
  EXPECT_EQ(rf_event_wait(&event, 5), RF_ERR_TIMEOUT);
  EXPECT_EQ(deadlines.size(), 1U);
  rf_event_deinit(&event);
}

// ---- The clock ----

TEST_F(PosixCalls, NanosecondsOfManySecondsDoNotWrap) {
  times = {{5, 7}, {2000000000, 999999999}};
  EXPECT_EQ(rf_port_now_ns(), UINT64_C(5000000007));
  EXPECT_EQ(rf_port_now_ns(), UINT64_C(2000000000999999999));
}

// ---- The log ----

TEST_F(PosixCalls, TheLogIsNoPointOfCancellation) {
  static bool goes_on;
  pthread_t thread;
  void *(*const run)(void *) = [](void *) -> void * {
    (void)pthread_cancel(pthread_self());
    rf_port_log("some text", 9);
    goes_on = true;
    return nullptr;
  };
  ASSERT_EQ(pthread_create(&thread, nullptr, run, nullptr), 0);
  (void)pthread_join(thread, nullptr);
  EXPECT_TRUE(goes_on);
  EXPECT_EQ(written, "some text");
}

TEST_F(PosixCalls, TheLogGoesOnAsLongAsTheSystemTakesAnything) {
  struct {
    std::deque<Answer> writes;
    std::deque<Answer> polls;
    const char *written;
  } const cases[] = {
      {{}, {}, "some text"},
      {{{4, 0}}, {}, "some text"},
      {{{4, 0}, {1, 0}}, {}, "some text"},
      {{{-1, EINTR}}, {}, "some text"},
      {{{4, 0}, {-1, EAGAIN}}, {{1, 0}}, "some text"},
      {{{4, 0}, {-1, EAGAIN}}, {{-1, EINTR}}, "some text"},
      {{{4, 0}, {-1, EAGAIN}, {-1, EAGAIN}}, {{-1, EINTR}, {1, 0}}, "some text"},
      {{{4, 0}, {-1, EAGAIN}}, {{0, 0}}, "some"}, // it was full for long enough
      {{{4, 0}, {-1, EAGAIN}}, {{-1, EINVAL}}, "some"},
      {{{4, 0}, {-1, ENOSPC}}, {}, "some"},
      {{{4, 0}, {0, 0}}, {}, "some"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    written.clear();
    writes = cases[i].writes;
    polls = cases[i].polls;
    errno = 77;
    rf_port_log("some text", 9);
    EXPECT_EQ(errno, 77) << i;
    EXPECT_EQ(written, cases[i].written) << i;
    EXPECT_TRUE(writes.empty() && polls.empty()) << i;
  }
}

// A write of nothing leaves the error of an earlier call, which may be one that another try would help against.
TEST_F(PosixCalls, TheLogEndsWhereNothingIsWrittenWhateverFailedBefore) {
  for (int const before : {EINTR, EAGAIN}) {
    written.clear();
    writes = {{4, 0}, {0, 0}};
    polls = {{1, 0}};
    errno = before;
    rf_port_log("some text", 9);
    EXPECT_EQ(errno, before);
    EXPECT_EQ(written, "some");
    EXPECT_EQ(polls.size(), 1U);
  }
  polls.clear();
}

bool waits(int number) {
  sigset_t pending;
  (void)sigpending(&pending);
  return sigismember(&pending, number) == 1;
}

// A signal that comes with a refused write is taken off again; one of the same number that waited before stays. Either
// may be blocked, or both.
TEST_F(PosixCalls, TheLogLeavesSignalsAsTheyWere) {
  struct {
    int error;
    int number;
    int other;
  } const refusals[] = {{EPIPE, SIGPIPE, SIGXFSZ}, {EFBIG, SIGXFSZ, SIGPIPE}};
  sigset_t before;
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, nullptr, &before), 0);
  for (auto const &r : refusals) {
    for (int const blocked : {0, 1, 2, 3}) { // the signal, the other one
      for (bool const waited : {false, true}) {
        sigset_t mask = before;
        (void)((blocked & 1) != 0 ? sigaddset(&mask, r.number) : sigdelset(&mask, r.number));
        (void)((blocked & 2) != 0 ? sigaddset(&mask, r.other) : sigdelset(&mask, r.other));
        ASSERT_EQ(pthread_sigmask(SIG_SETMASK, &mask, nullptr), 0);
        if (waited && (blocked & 1) == 0) {
          continue;
        }
        if (waited) {
          (void)pthread_kill(pthread_self(), r.number);
        }
        writes = {{-1, r.error}};
        signal_of_write = r.number;
        rf_port_log("some text", 9);
        EXPECT_EQ(waits(r.number), waited) << r.number << " " << blocked;
        EXPECT_FALSE(waits(r.other)) << r.number << " " << blocked;
        sigset_t after;
        ASSERT_EQ(pthread_sigmask(SIG_SETMASK, nullptr, &after), 0);
        EXPECT_EQ(sigismember(&after, r.number), blocked & 1);
        EXPECT_EQ(sigismember(&after, r.other), blocked >> 1);
        if (waited) {
          int number = 0;
          (void)sigwait(&mask, &number);
          EXPECT_EQ(number, r.number);
        }
      }
    }
  }
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, &before, nullptr), 0);
}

// Files of the largest size that there is refuse more without a signal.
TEST_F(PosixCalls, ARefusedWriteThatNoSignalComesWithLeavesNoneBlocked) {
  sigset_t before;
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, nullptr, &before), 0);
  for (int const error : {EPIPE, EFBIG}) {
    writes = {{-1, error}};
    rf_port_log("some text", 9);
    sigset_t after;
    ASSERT_EQ(pthread_sigmask(SIG_SETMASK, nullptr, &after), 0);
    for (int const number : {SIGPIPE, SIGXFSZ}) {
      EXPECT_EQ(sigismember(&after, number), sigismember(&before, number)) << error << " " << number;
    }
  }
}

// By the handler of another signal.
TEST_F(PosixCalls, TheSignalOfARefusedWriteIsTakenAlsoWhereThatIsInterrupted) {
  takes = 0;
  interrupted_takes = 2;
  writes = {{-1, EPIPE}};
  signal_of_write = SIGPIPE;
  rf_port_log("some text", 9);
  EXPECT_EQ(takes, 3U);
  EXPECT_FALSE(waits(SIGPIPE));
  sigset_t after;
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, nullptr, &after), 0);
  EXPECT_EQ(sigismember(&after, SIGPIPE), 0);
}

// In a process of its own: does a refused write leave the signal to wait, blocked?
int status_of_refused_write(int error, int number, const std::function<void()> &sandbox) {
  pid_t const child = fork();
  if (child == 0) {
    sigset_t mask;
    (void)sigemptyset(&mask);
    (void)pthread_sigmask(SIG_SETMASK, &mask, nullptr);
    sandbox();
    takes = 0;
    writes = {{-1, error}};
    signal_of_write = number;
    rf_port_log("some text", 9);
    (void)pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    bool const blocked = sigismember(&mask, number) == 1 && sigismember(&mask, SIGUSR1) == 0;
    _exit(blocked && waits(number) ? static_cast<int>(takes) : 100);
  }
  int status = -1;
  (void)waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : status;
}

// A sandbox may refuse the call that takes it, or end the process for it. It must not end the process by the signal.
TEST_F(PosixCalls, ASignalThatTheLogCannotTakeStaysBlocked) {
  struct {
    int error;
    int number;
  } const refusals[] = {{EPIPE, SIGPIPE}, {EFBIG, SIGXFSZ}};
  for (auto const &r : refusals) {
    EXPECT_EQ(status_of_refused_write(r.error, r.number, [] { may_not_take = true; }), 1) << r.number;
#if RF_PORT_KNOWN_ID
    EXPECT_EQ(status_of_refused_write(r.error, r.number, rf_port_log_spares_signals), 0) << r.number;
#endif
  }
}

} // namespace
