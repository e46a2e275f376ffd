// RT-Thread's hooks of the system heap, as versions have them.
#include "rtthread_fixture.h"

#include <gtest/gtest.h>

#include <vector>

namespace ringfence_test {
namespace {

struct Hooked {
  void *ptr;
  rt_size_t size;
};
std::vector<Hooked> mallocs;
std::vector<Hooked> reallocs_in;
std::vector<Hooked> reallocs_out;
std::vector<void *> frees;

class RtThreadHooks : public RtThread {
protected:
  void SetUp() override {
    RtThread::SetUp();
    for (auto *const list : {&mallocs, &reallocs_in, &reallocs_out}) {
      list->clear();
    }
    frees.clear();
    rt_malloc_sethook([](void **ptr, rt_size_t size) { mallocs.push_back({*ptr, size}); });
    rt_realloc_set_entry_hook([](void **ptr, rt_size_t size) { reallocs_in.push_back({*ptr, size}); });
    rt_realloc_set_exit_hook([](void **ptr, rt_size_t size) { reallocs_out.push_back({*ptr, size}); });
    rt_free_sethook([](void **ptr) { frees.push_back(*ptr); });
  }
  void TearDown() override {
    rt_malloc_sethook(RT_NULL);
    rt_realloc_set_entry_hook(RT_NULL);
    rt_realloc_set_exit_hook(RT_NULL);
    rt_free_sethook(RT_NULL);
    RtThread::TearDown();
  }
};

TEST_F(RtThreadHooks, SeeWhatSucceeds) {
  void *const p = rt_malloc(10);
  void *const q = rt_calloc(3, 7);
  ASSERT_EQ(2U, mallocs.size());
  EXPECT_EQ(p, mallocs[0].ptr);
  EXPECT_EQ(10U, mallocs[0].size);
  EXPECT_EQ(q, mallocs[1].ptr);
  EXPECT_EQ(21U, mallocs[1].size);
  void *const r = rt_realloc(p, 20);
  EXPECT_EQ(p, reallocs_in[0].ptr);
  EXPECT_EQ(r, reallocs_out[0].ptr);
  EXPECT_EQ(20U, reallocs_out[0].size);
  rt_free(r);
  ASSERT_EQ(1U, frees.size());
  EXPECT_EQ(r, frees[0]);
}

TEST_F(RtThreadHooks, AreThoseOfReallocForANewBlockFromIt) {
  void *const p = rt_realloc(RT_NULL, 10);
  EXPECT_TRUE(mallocs.empty());
  ASSERT_EQ(1U, reallocs_out.size());
  EXPECT_EQ(p, reallocs_out[0].ptr);
  rt_free(p);
}

TEST_F(RtThreadHooks, AreNotCalledForWhatFails) {
  EXPECT_EQ(nullptr, rt_malloc(sizeof memory));
  EXPECT_EQ(nullptr, rt_calloc(SIZE_MAX, 2));
  EXPECT_EQ(nullptr, rt_realloc(RT_NULL, sizeof memory));
  rt_free(RT_NULL);
  rt_free(memory);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault(memory));
  EXPECT_TRUE(mallocs.empty());
  EXPECT_TRUE(reallocs_out.empty());
  EXPECT_TRUE(frees.empty());
}

TEST_F(RtThreadHooks, MayUseTheHeap) {
  rt_malloc_sethook([](void **, rt_size_t) {
    rt_malloc_sethook(RT_NULL);
    rt_free(rt_malloc(5));
  });
  EXPECT_NE(nullptr, rt_malloc(10));
  EXPECT_EQ(10U, used());
}

void *replacement;
void *replaced;

void replace(void **ptr) {
  replaced = *ptr;
  *ptr = replacement;
}

TEST_F(RtThreadHooks, MayReplaceThePointer) {
  void *const one = rt_malloc(10);
  void *const other = rt_malloc(20);
  replacement = other;
  rt_malloc_sethook([](void **ptr, rt_size_t) { replace(ptr); });
  EXPECT_EQ(other, rt_malloc(30));
  void *const third = replaced;
  EXPECT_EQ(60U, used());
  rt_realloc_set_entry_hook([](void **ptr, rt_size_t) { replace(ptr); });
  void *const resized = rt_realloc(one, 15); // of the other one
  EXPECT_EQ(one, replaced);
  EXPECT_EQ(55U, used());
  rt_realloc_set_entry_hook(RT_NULL);
  replacement = resized;
  rt_realloc_set_exit_hook([](void **ptr, rt_size_t) { replace(ptr); });
  EXPECT_EQ(resized, rt_realloc(one, 40));
  void *const grown = replaced;
  EXPECT_EQ(85U, used());
  replacement = third;
  rt_free_sethook([](void **ptr) { replace(ptr); });
  rt_free(grown);
  EXPECT_EQ(55U, used());
  rt_free_sethook(RT_NULL);
  rt_free(grown);
  rt_free(resized);
  EXPECT_EQ(0U, used());
}

TEST_F(RtThreadHooks, MayBeWrittenForOlderVersions) {
  app_set_old_hooks();
  void *const p = rt_malloc(10);
  EXPECT_EQ(p, app_last_malloc);
  EXPECT_EQ(10U, app_last_malloc_size);
  EXPECT_TRUE(mallocs.empty());
  rt_free(p);
  EXPECT_EQ(p, app_last_free);
  EXPECT_TRUE(frees.empty());
  app_clear_hooks();
  (void)rt_malloc(11);
  EXPECT_EQ(10U, app_last_malloc_size);
}

TEST_F(RtThreadHooks, OfOneVersionTakeThePlaceOfThoseOfTheOther) {
  app_set_old_hooks();
  void *const p = rt_malloc(10);
  rt_malloc_sethook([](void **ptr, rt_size_t size) { mallocs.push_back({*ptr, size}); });
  rt_free_sethook([](void **ptr) { frees.push_back(*ptr); });
  void *const q = rt_malloc(20);
  ASSERT_EQ(1U, mallocs.size());
  EXPECT_EQ(q, mallocs[0].ptr);
  EXPECT_EQ(p, app_last_malloc);
  const void *const freed_before = app_last_free;
  rt_free(q);
  ASSERT_EQ(1U, frees.size());
  EXPECT_EQ(q, frees[0]);
  EXPECT_EQ(freed_before, app_last_free);
  rt_free(p);
}

TEST_F(RtThreadHooks, OfOlderVersionsAreNotCalledForWhatFails) {
  app_set_old_hooks();
  void *const p = rt_malloc(10);
  rt_free(p);
  rt_free(memory);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault(memory));
  EXPECT_EQ(p, app_last_free);
  EXPECT_EQ(nullptr, rt_malloc(sizeof memory));
  EXPECT_EQ(p, app_last_malloc);
  app_clear_hooks();
}

} // namespace
} // namespace ringfence_test
