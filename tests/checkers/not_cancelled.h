// Work that is no point of cancellation, in a thread that somebody wants to cancel.
#ifndef RINGFENCE_TESTS_CHECKERS_NOT_CANCELLED_H
#define RINGFENCE_TESTS_CHECKERS_NOT_CANCELLED_H

#include <gtest/gtest.h>

#include <functional>
#include <pthread.h>

namespace ringfence_test {

struct Cancelled {
  const std::function<void()> *work;
  bool done;
};

inline void *work_when_cancelled(void *context) {
  auto *const it = static_cast<Cancelled *>(context);
  int state = 0;
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
  pthread_cancel(pthread_self());
  pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state);
  (*it->work)();
  it->done = true;
  return nullptr;
}

inline void expect_not_cancelled(const std::function<void()> &work) {
  Cancelled it = {&work, false};
  pthread_t thread;
  ASSERT_EQ(pthread_create(&thread, nullptr, work_when_cancelled, &it), 0);
  ASSERT_EQ(pthread_join(thread, nullptr), 0);
  EXPECT_TRUE(it.done);
}

} // namespace ringfence_test

#endif // RINGFENCE_TESTS_CHECKERS_NOT_CANCELLED_H
