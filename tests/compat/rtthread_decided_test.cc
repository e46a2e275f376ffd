// RT-Thread: a program that decides about its heap while another thread is about to make the default one, or to use the
// one that there is. The first is one test, since that is decided once. The linker puts held_mutexes.h in front of the
// port's mutexes.
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

// The heap ends as long as its caller waits for the lock.
TEST(RtThreadDecided, AHeapThatHasEndedMeanwhileIsToldOfNothing) {
  struct Wrapper {
    rf_allocator base;
    unsigned rejects;
  };
  static rf_allocator_ops const ops = [] {
    rf_allocator_ops o = {};
    o.reject = [](rf_allocator *self, rf_reject, size_t, size_t, const rf_site *) {
      reinterpret_cast<Wrapper *>(self)->rejects++;
    };
    return o;
  }();
  static Wrapper wrapper = {{&ops}, 0};
  alignas(16) static char memory[4096];
  rf_rt_wrap_set([](rf_allocator *, const char *, void *) { return &wrapper.base; }, nullptr);
  rt_system_heap_init(memory, memory + sizeof memory);
  EXPECT_EQ(nullptr, rt_calloc(SIZE_MAX / 2, 3));
  EXPECT_EQ(1U, wrapper.rejects);
  ringfence::before_lock = [] { rt_system_heap_init(RT_NULL, RT_NULL); };
  EXPECT_EQ(nullptr, rt_calloc(SIZE_MAX / 2, 3));
  EXPECT_EQ(1U, wrapper.rejects);
  rf_rt_wrap_set(nullptr, nullptr);
}

} // namespace
