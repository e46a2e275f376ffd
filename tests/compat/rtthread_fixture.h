// RT-Thread's memory API over a system heap, its console and its faults.
#ifndef RINGFENCE_TESTS_COMPAT_RTTHREAD_FIXTURE_H
#define RINGFENCE_TESTS_COMPAT_RTTHREAD_FIXTURE_H

#include "rtthread_app.h"

#include <gtest/gtest.h>
#include <ringfence/fault.h>

#include <string>
#include <vector>

#include "tests/core/unwatched.h"

namespace ringfence_test {

// These tests read behind and damage what belongs to the heaps, as those of the other system do.
inline Unwatched const unwatched_here;

alignas(16) inline unsigned char memory[64 * 1024];

class RtThread : public ::testing::Test {
protected:
  explicit RtThread(unsigned char *start = memory, size_t size = sizeof memory) : start_(start), size_(size) {
    console.write = [](void *self, const char *text, size_t len) {
      static_cast<RtThread *>(self)->printed.append(text, len);
    };
    console.context = this;
  }
  void SetUp() override {
    rf_fault_handler_set([](const rf_fault *f, void *self) { static_cast<RtThread *>(self)->faults.push_back(*f); },
                         this);
    rf_rt_console_set(&console);
    rt_system_heap_init(start_, start_ + size_);
  }
  void TearDown() override {
    EXPECT_EQ(0, memcheck(0, nullptr));
    rt_system_heap_init(RT_NULL, RT_NULL);
    EXPECT_EQ(nullptr, rt_malloc(1));
    rf_rt_console_set(nullptr);
    rf_fault_handler_set(nullptr, nullptr);
  }

  rt_size_t used() {
    rt_size_t used_now = 0;
    rt_memory_info(RT_NULL, &used_now, RT_NULL);
    return used_now;
  }
  // The status of the only fault since the last call, RF_OK where there was none. With `ptr`: and that is its pointer.
  rf_status fault(const void *ptr = nullptr) {
    EXPECT_LE(faults.size(), 1U);
    if (ptr != nullptr && !faults.empty()) {
      EXPECT_EQ(ptr, faults[0].ptr) << faults[0].what;
    }
    rf_status const status = faults.empty() ? RF_OK : faults[0].status;
    faults.clear();
    return status;
  }

  rf_sink console;
  std::string printed;
  std::vector<rf_fault> faults;

private:
  unsigned char *start_;
  size_t size_;
};

} // namespace ringfence_test

#endif // RINGFENCE_TESTS_COMPAT_RTTHREAD_FIXTURE_H
