// The C library's lock of its list of streams: a thread that flushes all of them waits for it.
#include "tests/dropin/alone.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>
#include <thread>
#include <unistd.h>

extern "C" {
#include "checkers/dropin/process/stream_list.h"
}

namespace ringfence_test {
namespace {

void flush_all() {
  (void)std::fflush(nullptr);
}

// Gives the lock back once another thread has waited for it.
void expect_that_another_waits() {
  std::atomic<bool> flushed{false};
  std::thread other([&] {
    flush_all();
    flushed = true;
  });
  usleep(20000);
  EXPECT_FALSE(flushed);
  rf_stream_list_unlock();
  other.join();
}

TEST(StreamList, IsLeftAsItIsInAProcessOfOneThread) {
  alone([] { EXPECT_FALSE(rf_stream_list_lock()); });
}

TEST(StreamList, HasOtherThreadsWait) {
  alone([] {
    alarm(50);
    std::thread(flush_all).join();
    ASSERT_TRUE(rf_stream_list_lock());
    expect_that_another_waits();
    std::thread(flush_all).join();
  });
}

TEST(StreamList, IsFreeInAChildOnceItWasReset) {
  alone([] {
    alarm(50);
    std::thread(flush_all).join();
    ASSERT_TRUE(rf_stream_list_lock());
    alone([] {
      alarm(50);
      rf_stream_list_reset();
      std::thread(flush_all).join();
    });
    expect_that_another_waits();
  });
}

} // namespace
} // namespace ringfence_test
