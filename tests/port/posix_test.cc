#include <ringfence/port.h>

#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

// ---- Mutex ----

TEST(MutexTest, LetsOneThreadInAtATime) {
  rf_mutex mutex;
  ASSERT_EQ(rf_mutex_init(&mutex), RF_OK);
  size_t count = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; t++) {
    threads.emplace_back([&] {
      for (int i = 0; i < 10000; i++) {
        rf_mutex_lock(&mutex);
        count++;
        rf_mutex_unlock(&mutex);
      }
    });
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
  EXPECT_EQ(count, 40000U);
  rf_mutex_deinit(&mutex);
}

TEST(MutexDeathTest, LockingOneThatEndedStopsTheProgram) {
  rf_mutex mutex;
  ASSERT_EQ(rf_mutex_init(&mutex), RF_OK);
  rf_mutex_deinit(&mutex);
  EXPECT_EXIT(rf_mutex_lock(&mutex), testing::KilledBySignal(SIGABRT), "");
}

// ---- Event ----

class EventTest : public testing::Test {
protected:
  EventTest() { EXPECT_EQ(rf_event_init(&event), RF_OK); }
  ~EventTest() override { rf_event_deinit(&event); }
  rf_event event;
};

TEST(EventDeathTest, SettingOneThatEndedStopsTheProgram) {
  rf_event event;
  ASSERT_EQ(rf_event_init(&event), RF_OK);
  rf_event_deinit(&event);
  EXPECT_EXIT(rf_event_set(&event), testing::KilledBySignal(SIGABRT), "");
}

TEST_F(EventTest, IsNotSetAtFirst) {
  EXPECT_EQ(rf_event_wait(&event, 0), RF_ERR_TIMEOUT);
}

TEST_F(EventTest, RemembersThatItWasSetOnce) {
  rf_event_set(&event);
  rf_event_set(&event);
  EXPECT_EQ(rf_event_wait(&event, 0), RF_OK);
  EXPECT_EQ(rf_event_wait(&event, 0), RF_ERR_TIMEOUT);
}

TEST_F(EventTest, ABoundedWaitEndsNotBeforeItsTime) {
  uint64_t const start = rf_port_now_ns();
  EXPECT_EQ(rf_event_wait(&event, 20), RF_ERR_TIMEOUT);
  EXPECT_GE(rf_port_now_ns() - start, 20U * 1000 * 1000);
}

TEST_F(EventTest, AWaitLongerThanASecondEndsWhenSet) {
  std::thread setter([this] { rf_event_set(&event); });
  EXPECT_EQ(rf_event_wait(&event, 4000000000U), RF_OK);
  setter.join();
}

TEST_F(EventTest, WakesAThreadThatWaitsForEver) {
  for (int i = 0; i < 200; i++) {
    std::thread setter([this] { rf_event_set(&event); });
    EXPECT_EQ(rf_event_wait(&event, RF_WAIT_FOREVER), RF_OK);
    setter.join();
  }
}

TEST_F(EventTest, PassesATurnToAndFroWithoutLosingOne) {
  rf_event answer;
  ASSERT_EQ(rf_event_init(&answer), RF_OK);
  std::thread other([&] {
    for (int i = 0; i < 2000; i++) {
      ASSERT_EQ(rf_event_wait(&event, RF_WAIT_FOREVER), RF_OK);
      rf_event_set(&answer);
    }
  });
  for (int i = 0; i < 2000; i++) {
    rf_event_set(&event);
    ASSERT_EQ(rf_event_wait(&answer, RF_WAIT_FOREVER), RF_OK);
  }
  other.join();
  rf_event_deinit(&answer);
}

// ---- Clock and threads ----

TEST(ClockTest, OnlyGoesForward) {
  uint64_t last = rf_port_now_ns();
  EXPECT_NE(last, 0U);
  for (int i = 0; i < 1000; i++) {
    uint64_t const now = rf_port_now_ns();
    EXPECT_GE(now, last);
    last = now;
  }
}

TEST(ThreadIdTest, IsTheSameInAThreadAndAnotherInAnother) {
  uint32_t const here = rf_port_thread_id();
  uint32_t there = 0;
  std::thread([&] { there = rf_port_thread_id(); }).join();
  EXPECT_NE(here, 0U);
  EXPECT_NE(there, 0U);
  EXPECT_NE(here, there);
  EXPECT_EQ(rf_port_thread_id(), here);
}

#if defined(__linux__)
TEST(ThreadIdTest, IsTheKernelsAlsoInAForkedChild) {
  EXPECT_EQ(rf_port_thread_id(), static_cast<uint32_t>(getpid()));
  pid_t const child = fork();
  ASSERT_NE(child, -1);
  if (child == 0) {
    _exit(rf_port_thread_id() == static_cast<uint32_t>(getpid()) ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}
#endif

TEST(InterruptTest, ThereIsNone) {
  EXPECT_FALSE(rf_port_in_interrupt());
}

// ---- Log ----

// Puts a pipe in place of standard error.
class LogTest : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_EQ(pipe(ends_), 0);
    saved_ = dup(STDERR_FILENO);
    ASSERT_NE(saved_, -1);
    ASSERT_NE(dup2(ends_[1], STDERR_FILENO), -1);
    close(ends_[1]);
  }
  void TearDown() override {
    restore();
    close_reader();
  }
  void restore() {
    if (saved_ != -1) {
      dup2(saved_, STDERR_FILENO);
      close(saved_);
      saved_ = -1;
    }
  }
  void close_reader() {
    if (ends_[0] != -1) {
      close(ends_[0]);
      ends_[0] = -1;
    }
  }
  // All that comes until every writer is gone.
  std::string read_all() const {
    std::string text;
    char buffer[4096];
    ssize_t n = 0;
    while ((n = read(ends_[0], buffer, sizeof buffer)) > 0) {
      text.append(buffer, static_cast<size_t>(n));
    }
    return text;
  }

  int ends_[2] = {-1, -1};
  int saved_ = -1;
};

TEST_F(LogTest, GoesToStandardErrorAsItIs) {
  rf_port_log("a%s\0b\n", 6);
  rf_port_log("", 0);
  restore();
  EXPECT_EQ(read_all(), std::string("a%s\0b\n", 6));
}

TEST_F(LogTest, LosesNothingInAFullPipeThatDoesNotBlock) {
  ASSERT_NE(fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK), -1);
  std::string const text(1 << 20, 'x');
  std::string received;
  std::thread reader([&] { received = read_all(); });
  rf_port_log(text.data(), text.size());
  restore();
  reader.join();
  EXPECT_EQ(received.size(), text.size());
}

TEST_F(LogTest, SurvivesAReaderThatWentAway) {
  close_reader();
  errno = 4711;
  rf_port_log("text", 4);
  EXPECT_EQ(errno, 4711);
  sigset_t pending;
  sigpending(&pending);
  EXPECT_EQ(sigismember(&pending, SIGPIPE), 0) << "no signal is left to strike later";
}

TEST_F(LogTest, LeavesASignalOfTheProgramsOwnPending) {
  sigset_t pipe_signal;
  sigset_t before;
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
  raise(SIGPIPE);
  close_reader();
  rf_port_log("text", 4);
  sigset_t pending;
  sigpending(&pending);
  EXPECT_EQ(sigismember(&pending, SIGPIPE), 1);
  int taken = 0;
  sigwait(&pipe_signal, &taken);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST_F(LogTest, SurvivesAClosedStandardError) {
  close(STDERR_FILENO);
  errno = 4711;
  rf_port_log("text", 4);
  EXPECT_EQ(errno, 4711);
}

TEST_F(LogTest, LeavesAThreadThatMayBeCancelledOrNotAsItWas) {
  for (int const state : {PTHREAD_CANCEL_ENABLE, PTHREAD_CANCEL_DISABLE}) {
    int found = -1;
    pthread_setcancelstate(state, nullptr);
    rf_port_log("text", 4);
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &found);
    EXPECT_EQ(found, state);
  }
}

// ---- Panic ----

TEST(PanicDeathTest, Aborts) {
  EXPECT_EXIT(rf_port_panic(), testing::KilledBySignal(SIGABRT), "");
}

} // namespace
