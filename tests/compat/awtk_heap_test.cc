// The heap of a program with AWTK, and a checker around it.
#include "awtk_fixture.h"

#include "awtk_app.h"
#include "tkc/mem.h"
#include "tkc/mem_allocator_pool.h"

#include <gtest/gtest.h>
#include <ringfence/guard.h>

#include <string>
#include <vector>

namespace ringfence_test {
namespace {

// ---- The program's heap ----

TEST_F(Awtk, WithoutMemoryOfItsOwnTheHeapIsMalloc) {
  EXPECT_EQ(0, app_strings());
  EXPECT_EQ(0, app_objects());
  EXPECT_EQ(0, app_checks());
  EXPECT_EQ(RET_OK, tk_mem_init_stage2());
  EXPECT_EQ(RET_STOP, app_on_key(9));
  EXPECT_NE(std::string::npos, output.find(" 0 blocks"));
  EXPECT_FALSE(tk_mem_is_valid_addr(nullptr));
  EXPECT_TRUE(tk_mem_is_valid_addr(buffer));
}

// A checker may keep blocks outside the memory of their heap.
TEST_F(Awtk, ALiveBlockIsAtAValidAddress) {
  ASSERT_EQ(RET_OK, tk_mem_init(buffer, sizeof buffer));
  char *p = static_cast<char *>(TKMEM_ALLOC(100));
  EXPECT_TRUE(tk_mem_is_valid_addr(p));
  EXPECT_FALSE(tk_mem_is_valid_addr(&p));
  TKMEM_FREE(p);
}

TEST_F(Awtk, TheHeapLivesInTheMemoryThatItIsGiven) {
  for (uint32_t const size : {1000U, 32U * 1024, 40U * 1024, 150U * 1024}) {
    ASSERT_EQ(RET_OK, tk_mem_init(buffer, size));
    EXPECT_EQ(RET_OK, tk_mem_init_stage2());
    EXPECT_EQ(RET_OK, tk_mem_init_stage2());
    EXPECT_EQ(0, app_strings());
    char *p = static_cast<char *>(TKMEM_ALLOC(100));
    EXPECT_TRUE(p >= buffer && p + 100 <= buffer + size);
    EXPECT_TRUE(tk_mem_is_valid_addr(p));
    EXPECT_FALSE(tk_mem_is_valid_addr(buffer + size));
    EXPECT_EQ(nullptr, TKMEM_ALLOC(size));
    TKMEM_FREE(p);
    EXPECT_EQ(nullptr, p);
  }
}

// The pool for small blocks takes its share of the heap, by the heap's size.
TEST_F(Awtk, ThePoolIsTheLargerTheMoreMemoryThereIs) {
  std::vector<char> much(2000 * 1024);
  auto const taken = [&much](uint32_t size) {
    EXPECT_EQ(RET_OK, tk_mem_init(much.data(), size));
    uint32_t most = size;
    for (bool found = false; !found && most > 100; most -= found ? 0 : 100) {
      void *p = TKMEM_ALLOC(most);
      found = p != nullptr;
      TKMEM_FREE(p);
    }
    return size - most;
  };
  uint32_t const none = taken(30 * 1024);
  uint32_t const little = taken(99 * 1024);
  uint32_t const middling = taken(101 * 1024);
  uint32_t const large = taken(1001 * 1024);
  EXPECT_LT(none, 1000U);
  EXPECT_GT(little, 10 * none);
  EXPECT_GT(middling, 2 * little);
  EXPECT_NEAR(taken(999 * 1024), middling, 10000) << "what a heap needs by itself grows, too";
  EXPECT_GT(large, middling + middling / 2);
  EXPECT_LT(taken(32 * 1024), 1000U);
  EXPECT_GT(taken(32 * 1024 + 16), 10 * none);
  EXPECT_NEAR(taken(100 * 1024 - 16), little, 1000);
  EXPECT_NEAR(taken(100 * 1024), middling, 1000);
  EXPECT_NEAR(taken(1000 * 1024 - 16), middling, 10000);
  EXPECT_NEAR(taken(1000 * 1024), large, 10000);
  EXPECT_EQ(RET_OK, tk_mem_init(buffer, sizeof buffer));
}

// As many blocks of each class as in the original.
TEST_F(Awtk, ThePoolHasSoManyBlocksOfEachClass) {
  static std::vector<size_t> counts;
  static std::vector<char> much(1200 * 1024);
  rf_awtk_wrap_set(
      [](rf_allocator *all, void *) {
        rf_allocator *a = all;
        while (a != nullptr && std::string(a->ops->name) != "pool") {
          a = rf_inner(a);
        }
        counts.clear();
        rf_pool_class_stats s;
        for (unsigned i = 0; a != nullptr && rf_pool_class_stats_get(reinterpret_cast<rf_pool *>(a), i, &s); i++) {
          counts.push_back(s.count);
        }
        return all;
      },
      nullptr);
  struct {
    uint32_t size;
    std::vector<size_t> counts;
  } const cases[] = {{32 * 1024, {}},
                     {99 * 1024, {100, 100, 80, 80, 32}},
                     {999 * 1024, {500, 500, 500, 200, 200}},
                     {1100 * 1024, {1000, 1000, 1000, 500, 500}}};
  for (auto const &c : cases) {
    EXPECT_EQ(RET_OK, tk_mem_init(much.data(), c.size));
    EXPECT_EQ(c.counts, counts) << c.size;
  }
}

TEST_F(Awtk, TheHeapIsMadeOfSeveralPiecesOfMemory) {
  ASSERT_EQ(RET_OK, tk_mem_init_ex(buffer, 40 * 1024, buffer + 50 * 1024, 60U * 1024, nullptr));
  EXPECT_EQ(RET_OK, tk_mem_init_stage2());
  EXPECT_EQ(0, app_objects());
  char *p = static_cast<char *>(TKMEM_ALLOC(50000));
  EXPECT_TRUE(p >= buffer + 50 * 1024);
  TKMEM_FREE(p);
  EXPECT_EQ(RET_BAD_PARAMS, tk_mem_init(nullptr, 100));
  EXPECT_EQ(RET_BAD_PARAMS, tk_mem_init(buffer, 2));
}

TEST_F(Awtk, AnExhaustedHeapAsksTheCallbackWhichMayUseIt) {
  static void *cached;
  ASSERT_EQ(RET_OK, tk_mem_init(buffer, 20000));
  ASSERT_EQ(RET_OK, tk_mem_init_stage2());
  cached = TKMEM_ALLOC(15000);
  tk_mem_set_on_out_of_memory(
      [](void *, uint32_t, uint32_t) {
        TKMEM_FREE(cached);
        void *p = TKMEM_ALLOC(10);
        TKMEM_FREE(p);
        return RET_OK;
      },
      nullptr);
  void *p = TKMEM_ALLOC(10000);
  EXPECT_NE(nullptr, p);
  TKMEM_FREE(p);
}

TEST_F(Awtk, TheSpeedOfMemoryIsTimed) {
  uint32_t copied = 0;
  uint32_t set = 0;
  EXPECT_EQ(0U, tk_mem_speed_test(nullptr, 100, &copied, &set));
  EXPECT_EQ(0U, tk_mem_speed_test(buffer, 1, &copied, &set));
  EXPECT_EQ(0U, copied);
  tk_mem_speed_test(buffer, sizeof buffer, &copied, &set);
  EXPECT_LT(0U, copied);
  EXPECT_LT(0U, set);
}

// ---- A checker inside ----

struct Finding {
  std::string bug;
  std::string function;
  unsigned line;
  size_t size;
  size_t argument;
};

class AwtkChecked : public Awtk {
protected:
  static rf_action collect(rf_reporter *self, const rf_finding *f) {
    const rf_site *const site = f->allocated.site;
    static_cast<AwtkChecked *>(self->context)
        ->findings.push_back({rf_bug_name(f->bug), site != nullptr ? site->function : "",
                              site != nullptr ? site->line : 0, f->size, f->argument});
    return RF_ACTION_CONTINUE;
  }

  static rf_allocator *wrap(rf_allocator *heap, void *context) {
    auto *const self = static_cast<AwtkChecked *>(context);
    rf_guard_options options;
    rf_guard_options_default(&options);
    options.reporter = &self->reporter;
    options.leaks_at_deinit = true;
    return rf_guard_init(&self->guard, heap, &options) == RF_OK ? &self->guard.base : nullptr;
  }

  void SetUp() override {
    Awtk::SetUp();
    rf_awtk_wrap_set(wrap, this);
  }

  std::vector<Finding> findings;
  rf_reporter reporter = {collect, this, RF_EXITCODE_DEFAULT, 0};
  rf_guard guard;
};

TEST_F(AwtkChecked, AnOverflowIsFoundWithWhoAskedForTheBlock) {
  ASSERT_EQ(RET_OK, tk_mem_init(buffer, sizeof buffer));
  ASSERT_EQ(RET_OK, tk_mem_init_stage2());
  char *const p = static_cast<char *>(tk_alloc(13, "load_image", 42));
  char *volatile past = p + 13;
  *past = 1;
  tk_free(p);
  ASSERT_EQ(1U, findings.size());
  EXPECT_EQ("heap-buffer-overflow", findings[0].bug);
  EXPECT_EQ("load_image", findings[0].function);
  EXPECT_EQ(42U, findings[0].line);
}

TEST_F(AwtkChecked, AProductThatWrapsIsFoundWithItsFactors) {
  ASSERT_EQ(RET_OK, tk_mem_init(buffer, sizeof buffer));
  EXPECT_EQ(nullptr, tk_calloc(0x10000, 0x20000, "load", 1));
  ASSERT_EQ(1U, findings.size());
  EXPECT_EQ("calloc-overflow", findings[0].bug);
  EXPECT_EQ(0x20000U, findings[0].size);
  EXPECT_EQ(0x10000U, findings[0].argument);
}

TEST_F(AwtkChecked, WhatIsNotFreedIsALeakWhenTheHeapEnds) {
  EXPECT_EQ(0, app_strings());
  EXPECT_EQ(0, app_objects());
  void *const p = tk_alloc(13, "load_font", 7);
  ASSERT_NE(nullptr, p);
  EXPECT_TRUE(findings.empty() || findings[0].bug == "calloc-overflow" || findings[0].bug == "allocation-size-too-big")
      << findings[0].bug;
  findings.clear();
  rf_awtk_mem_deinit();
  ASSERT_EQ(1U, findings.size());
  EXPECT_EQ("load_font", findings[0].function);
}

} // namespace
} // namespace ringfence_test
