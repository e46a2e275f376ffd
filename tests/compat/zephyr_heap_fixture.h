// A sys_heap and the faults of its tests.
#ifndef RINGFENCE_TESTS_COMPAT_ZEPHYR_HEAP_FIXTURE_H
#define RINGFENCE_TESTS_COMPAT_ZEPHYR_HEAP_FIXTURE_H

#include <zephyr/kernel.h>
#include <zephyr/sys/sys_heap.h>

#include <gtest/gtest.h>

#include "tests/core/recorder.h"
#include "tests/core/unwatched.h"

// These tests read behind and damage what belongs to the heaps, as those of the other system do.
inline Unwatched const unwatched_here;

class ZephyrHeap : public ::testing::Test {
protected:
  ringfence::testing::FaultRecorder faults_;

  void TearDown() override { EXPECT_TRUE(faults_.faults().empty()); }

  rf_status fault() { return faults_.take(); }

  alignas(8) char memory[4096];
  struct sys_heap heap;
};

#endif // RINGFENCE_TESTS_COMPAT_ZEPHYR_HEAP_FIXTURE_H
