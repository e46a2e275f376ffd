// A pool of two small classes over TLSF, and the faults that both report.
#ifndef RINGFENCE_TESTS_DECORATORS_POOL_FIXTURE_H
#define RINGFENCE_TESTS_DECORATORS_POOL_FIXTURE_H

#include <gtest/gtest.h>
#include <ringfence/pool.h>
#include <ringfence/tlsf.h>

#include <cstdint>
#include <vector>

namespace ringfence_test {

struct Faults {
  std::vector<rf_status> seen;
  std::vector<const void *> pointers;
};

inline void record_fault(const rf_fault *fault, void *context) {
  static_cast<Faults *>(context)->seen.push_back(fault->status);
  static_cast<Faults *>(context)->pointers.push_back(fault->ptr);
}

const rf_pool_class kSmall[] = {{16, 2}, {32, 2}};

class Pool : public ::testing::Test {
protected:
  void SetUp() override {
    rf_fault_handler_set(record_fault, &faults);
    ASSERT_EQ(RF_OK, rf_tlsf_init(&heap, arena, sizeof arena));
    rf_stats_get(&heap.base, &fresh);
    rf_pool_options options{};
    options.classes = kSmall;
    options.class_count = 2;
    ASSERT_EQ(RF_OK, rf_pool_init(&pool, &heap.base, &options));
    a = &pool.base;
  }
  void TearDown() override {
    pool.base.ops->deinit(&pool.base);
    pool.base.ops->deinit(&pool.base);
    rf_stats after;
    rf_stats_get(&heap.base, &after);
    EXPECT_EQ(0u, after.blocks) << "the pool's memory, or a block, was not given back";
    EXPECT_EQ(fresh.largest_free, after.largest_free);
    rf_fault_handler_set(nullptr, nullptr);
  }

  bool pooled(const void *p) const {
    return reinterpret_cast<uintptr_t>(p) - reinterpret_cast<uintptr_t>(pool.memory) < pool.memory_size;
  }

  rf_pool_class_stats of(unsigned index) const {
    rf_pool_class_stats s{};
    EXPECT_TRUE(rf_pool_class_stats_get(&pool, index, &s));
    return s;
  }

  rf_stats total() {
    rf_stats s;
    rf_stats_get(a, &s);
    return s;
  }

  alignas(16) unsigned char arena[16 * 1024];
  rf_tlsf heap;
  rf_pool pool;
  rf_allocator *a;
  rf_stats fresh;
  Faults faults;
};

} // namespace ringfence_test

#endif // RINGFENCE_TESTS_DECORATORS_POOL_FIXTURE_H
