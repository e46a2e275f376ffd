// Calls by which the program hands the system a pointer (checkers/dropin/process/intercept_handing_over.c): what is
// remembered of each, before or after the call and only if it succeeds, and that the call is the program's own. The
// functions behind are this test's own.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/runtime/handed_over.h"
void __wrap_rf_handed_over(uintptr_t value);
void __wrap_rf_handed_over_bytes(const void *bytes, size_t size);
}
#undef _Static_assert

#include <csignal>
#include <cstring>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <mqueue.h>
#include <pthread.h>
#include <string>
#include <sys/msg.h>
#include <vector>

namespace {

using Calls = std::vector<std::string>;

struct World {
  Calls calls;
  int result = 0;
};

World world;
char message[64];
char block;
const timespec kLimit = {12, 34};

void call(const std::string &what) {
  world.calls.push_back(what);
}

std::string name_of(const void *p) {
  auto const offset = reinterpret_cast<uintptr_t>(p) - reinterpret_cast<uintptr_t>(message);
  return p == &block ? "block" : offset < sizeof message ? "message+" + std::to_string(offset) : "other";
}

int their_sigqueue(pid_t process, int number, union sigval value) {
  call("sigqueue " + std::to_string(process) + " " + std::to_string(number) + " " + name_of(value.sival_ptr));
  return world.result;
}
int their_pthread_sigqueue(pthread_t thread, int number, union sigval value) {
  call("pthread_sigqueue " + std::to_string(thread == pthread_self()) + " " + std::to_string(number) + " " +
       name_of(value.sival_ptr));
  return world.result;
}
int their_mq_notify(mqd_t queue, const sigevent *event) {
  call("mq_notify " + std::to_string(queue) + (event != nullptr ? " event" : ""));
  return world.result;
}
int their_mq_send(mqd_t queue, const char *text, size_t size, unsigned priority) {
  call("mq_send " + std::to_string(queue) + " " + name_of(text) + " " + std::to_string(size) + " " +
       std::to_string(priority));
  return world.result;
}
int their_mq_timedsend(mqd_t queue, const char *text, size_t size, unsigned priority, const timespec *limit) {
  call("mq_timedsend " + std::to_string(queue) + " " + name_of(text) + " " + std::to_string(size) + " " +
       std::to_string(priority) + (limit == &kLimit ? " limit" : ""));
  return world.result;
}
int their_msgsnd(int queue, const void *text, size_t size, int flags) {
  call("msgsnd " + std::to_string(queue) + " " + name_of(text) + " " + std::to_string(size) + " " +
       std::to_string(flags));
  return world.result;
}

struct Theirs {
  const char *name;
  void *function;
};

const Theirs kTheirs[] = {
    {"sigqueue", reinterpret_cast<void *>(their_sigqueue)},
    {"pthread_sigqueue", reinterpret_cast<void *>(their_pthread_sigqueue)},
    {"mq_notify", reinterpret_cast<void *>(their_mq_notify)},
    {"mq_send", reinterpret_cast<void *>(their_mq_send)},
    {"mq_timedsend", reinterpret_cast<void *>(their_mq_timedsend)},
    {"msgsnd", reinterpret_cast<void *>(their_msgsnd)},
};

} // namespace

extern "C" {

void *__real_dlsym(void *handle, const char *name);

void *__wrap_dlsym(void *handle, const char *name) {
  for (const Theirs &each : kTheirs) {
    if (std::strcmp(name, each.name) == 0) {
      return each.function;
    }
  }
  return __real_dlsym(handle, name);
}

void __wrap_rf_handed_over(uintptr_t value) {
  call("handed over " + name_of(reinterpret_cast<void *>(value)));
}
void __wrap_rf_handed_over_bytes(const void *bytes, size_t size) {
  if (size != 0) {
    call("bytes " + name_of(bytes) + " " + std::to_string(size));
  }
}
}

namespace ringfence_test {
namespace {

class InterceptHandingOver : public testing::Test {
protected:
  InterceptHandingOver() { world = World(); }

  static Calls take() {
    Calls taken;
    taken.swap(world.calls);
    return taken;
  }
};

// The handler may have it before the call returns.
TEST_F(InterceptHandingOver, TheValueOfASignalIsRememberedBeforeItIsSent) {
  union sigval value;
  value.sival_ptr = &block;
  EXPECT_EQ(sigqueue(17, 10, value), 0);
  EXPECT_EQ(take(), (Calls{"handed over block", "sigqueue 17 10 block"}));
  world.result = -1;
  EXPECT_EQ(sigqueue(17, 10, value), -1);
#if defined(__GLIBC__)
  take();
  world.result = 3;
  EXPECT_EQ(pthread_sigqueue(pthread_self(), 12, value), 3);
  EXPECT_EQ(take(), (Calls{"handed over block", "pthread_sigqueue 1 12 block"}));
#endif
}

TEST_F(InterceptHandingOver, TheValueOfANoticeIsRememberedWhereItIsToCome) {
  sigevent event = {};
  event.sigev_value.sival_ptr = &block;
  EXPECT_EQ(mq_notify(5, &event), 0);
  EXPECT_EQ(take(), (Calls{"mq_notify 5 event", "handed over block"}));
  EXPECT_EQ(mq_notify(5, nullptr), 0);
  EXPECT_EQ(take(), Calls{"mq_notify 5"}) << "none is to come any more";
  world.result = -1;
  EXPECT_EQ(mq_notify(5, &event), -1);
  EXPECT_EQ(take(), Calls{"mq_notify 5 event"});
}

TEST_F(InterceptHandingOver, AMessageIsRememberedWhereItWasSent) {
  EXPECT_EQ(mq_send(6, message, 40, 3), 0);
  EXPECT_EQ(take(), (Calls{"mq_send 6 message+0 40 3", "bytes message+0 40"}));
  EXPECT_EQ(mq_timedsend(6, message, 41, 4, &kLimit), 0);
  EXPECT_EQ(take(), (Calls{"mq_timedsend 6 message+0 41 4 limit", "bytes message+0 41"}));
  EXPECT_EQ(msgsnd(7, message, 42, 2048), 0);
  EXPECT_EQ(take(), (Calls{"msgsnd 7 message+0 42 2048", "bytes message+" + std::to_string(sizeof(long)) + " 42"}))
      << "behind its type";
}

TEST_F(InterceptHandingOver, AMessageThatWasRefusedIsNot) {
  world.result = -1;
  EXPECT_EQ(mq_send(6, message, 40, 3), -1);
  EXPECT_EQ(mq_timedsend(6, message, 41, 4, &kLimit), -1);
  EXPECT_EQ(msgsnd(7, message, 42, 0), -1);
  EXPECT_EQ(take(),
            (Calls{"mq_send 6 message+0 40 3", "mq_timedsend 6 message+0 41 4 limit", "msgsnd 7 message+0 42 0"}));
}

} // namespace
} // namespace ringfence_test
