// RT-Thread: a program that decides about its heap while another thread is about to make the default one. One test,
// since that is decided once. The linker puts held_mutexes.h in front of the port's mutexes.
#include <rtthread.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "tests/core/held_mutexes.h"

namespace {

TEST(RtThreadDecided, WhoWantsNoHeapMeanwhileGetsNoDefaultOne) {
  static bool decides = true;
  ringfence::after_lock = [] {
    if (decides) {
      decides = false;
      rt_system_heap_init(RT_NULL, RT_NULL);
    }
  };
  EXPECT_EQ(nullptr, rt_malloc(100));
  EXPECT_FALSE(decides);
  EXPECT_EQ(nullptr, rt_malloc(100));
  ringfence::after_lock = nullptr;
}

} // namespace
