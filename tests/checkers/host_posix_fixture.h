// The answers of the system to the checkers' interface to it, which are the test's.
#ifndef RINGFENCE_TESTS_CHECKERS_HOST_POSIX_FIXTURE_H
#define RINGFENCE_TESTS_CHECKERS_HOST_POSIX_FIXTURE_H

#include "checkers/os/host.h"

#include <gtest/gtest.h>

#include <pthread.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

namespace ringfence {

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

inline Play play;
inline bool playing;

// The next transfer of `size` bytes; false where the system itself is to answer.
inline bool next_transfer(ssize_t *result) {
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
__attribute__((noinline)) inline void leave_ones_below() {
  volatile unsigned char bytes[8192];
  for (volatile unsigned char &b : bytes) {
    b = 0xFF;
  }
}

inline void pass_time() {
  errno = EINTR;
  if (play.meanwhile) {
    play.meanwhile();
  }
}

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

} // namespace ringfence

#endif // RINGFENCE_TESTS_CHECKERS_HOST_POSIX_FIXTURE_H
