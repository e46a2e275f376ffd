// The common errors that the document on RT-Thread's memory lists, each caught by name once a guard is around the heap.
#include "rtthread_app.h"

#include <gtest/gtest.h>
#include <ringfence/guard.h>

#include <cstring>
#include <string>
#include <vector>

namespace {

struct Found {
  std::string bug;
  ptrdiff_t offset;
  size_t size;
  size_t argument;
  const rf_site *allocated;
  const rf_site *found;
};

class Checked : public ::testing::Test {
protected:
  void SetUp() override {
    reporter = {collect, &findings, RF_EXITCODE_DEFAULT, 0};
    rf_rt_wrap_set(wrap, this);
    rt_system_heap_init(memory, memory + sizeof memory);
  }
  void TearDown() override {
    rt_system_heap_init(RT_NULL, RT_NULL);
    rf_rt_wrap_set(nullptr, nullptr);
  }

  static rf_action collect(rf_reporter *self, const rf_finding *f) {
    static_cast<std::vector<Found> *>(self->context)
        ->push_back({rf_bug_name(f->bug), f->offset, f->size, f->argument, f->allocated.site, f->found.site});
    return RF_ACTION_CONTINUE;
  }

  // A program checks its heap by this function and one call.
  static rf_allocator *wrap(rf_allocator *heap, const char *name, void *context) {
    auto *const self = static_cast<Checked *>(context);
    rf_guard_options options;
    rf_guard_options_default(&options);
    options.reporter = &self->reporter;
    options.leaks_at_deinit = true;
    self->names.push_back(name);
    return rf_guard_init(&self->guards[self->names.size() - 1], heap, &options) == RF_OK
               ? &self->guards[self->names.size() - 1].base
               : nullptr;
  }

  // The only finding since the last call.
  std::string found() {
    std::string const bug = findings.size() == 1 ? findings[0].bug : std::to_string(findings.size()) + " findings";
    last = findings.empty() ? Found{} : findings.back();
    findings.clear();
    return bug;
  }

  rf_reporter reporter;
  std::vector<Found> findings;
  Found last = {};
  std::vector<std::string> names;
  rf_guard guards[4];
  alignas(16) unsigned char memory[64 * 1024];
};

TEST_F(Checked, WhatIsRightIsSilent) {
  EXPECT_EQ(RT_EOK, app_dynamic_memory());
  EXPECT_EQ(5U, app_listed_blocks());
  EXPECT_EQ(32U, app_memory_pool());
  EXPECT_EQ(0, memcheck(0, nullptr));
  EXPECT_TRUE(findings.empty());
}

TEST_F(Checked, AProductThatWraps) {
  EXPECT_EQ(RT_NULL, rt_calloc(RT_UINT32_MAX, static_cast<rt_size_t>(-1)));
  EXPECT_EQ("calloc-overflow", found());
}

TEST_F(Checked, AccessBeyondTheBlock) {
  auto *const ptr = static_cast<char *>(rt_malloc(13));
  ptr[13] = 0;
  rt_free(ptr);
  EXPECT_EQ("heap-buffer-overflow", found());
  EXPECT_EQ(13, last.offset);
  EXPECT_EQ(13U, last.size);
}

TEST_F(Checked, AccessBeforeTheBlock) {
  auto *const ptr = static_cast<char *>(rt_malloc(13));
  ptr[-1] = 0;
  rt_free(ptr);
  EXPECT_EQ("heap-buffer-underflow", found());
}

TEST_F(Checked, FreeOfWhatWasNotAllocated) {
  char local[32] = {0};
  rt_free(local);
  EXPECT_EQ("bad-free", found());
}

TEST_F(Checked, FreeOfAPartOfABlock) {
  auto *const ptr = static_cast<char *>(rt_malloc(64));
  rt_free(ptr + 4);
  EXPECT_EQ("bad-free", found());
  rt_free(ptr);
  EXPECT_TRUE(findings.empty());
}

TEST_F(Checked, UseAfterFree) {
  auto *const ptr = static_cast<char *>(rt_malloc(64));
  rt_free(ptr);
  ptr[10] = 1;
  EXPECT_EQ(-RT_ERROR, memcheck(0, nullptr));
  rf_guard_flush(&guards[0], 0);
  EXPECT_EQ("heap-use-after-free", found());
}

TEST_F(Checked, FreeTwice) {
  void *const ptr = rt_malloc(64);
  rt_free(ptr);
  rt_free(ptr);
  EXPECT_EQ("double-free", found());
}

// A dereferenced null pointer is the processor's to catch; what the heap can do is never to return one that looks
// usable.
TEST_F(Checked, WhatCannotBeServedIsANullPointer) {
  EXPECT_EQ(nullptr, rt_malloc(sizeof memory));
  EXPECT_EQ(nullptr, rt_calloc(SIZE_MAX / 2, 4));
  EXPECT_EQ("calloc-overflow", found());
  EXPECT_EQ(4U, last.size);
  EXPECT_EQ(SIZE_MAX / 2, last.argument);
}

TEST_F(Checked, BlocksThatWereNotFreed) {
  (void)rt_malloc(100);
  rt_system_heap_init(RT_NULL, RT_NULL);
  EXPECT_EQ("memory-leak", found());
  EXPECT_EQ(100U, last.size);
}

TEST_F(Checked, FindingsNameTheCallThatAllocated) {
  auto *const ptr = static_cast<char *>(rt_malloc(13));
  unsigned const line = __LINE__ - 1;
  ptr[13] = 0;
  rt_free(ptr);
  EXPECT_EQ("heap-buffer-overflow", found());
  ASSERT_NE(nullptr, last.allocated);
  EXPECT_EQ(line, last.allocated->line);
}

TEST_F(Checked, EachCallThatAllocatesPassesItsPlaceOn) {
  alignas(16) static unsigned char own[2][64 * 1024];
  rt_smem_t const m = rt_smem_init("own", own[0], sizeof own[0]);
  rt_slab_t const s = rt_slab_init("slab", own[1], sizeof own[1]);
  ASSERT_TRUE(m != nullptr && s != nullptr);
  // A byte behind the block, which then goes: found, with the line that allocated it.
  auto const expect = [this](void *block, unsigned line, size_t size, auto give) {
    ASSERT_NE(nullptr, block);
    static_cast<volatile char *>(block)[size] = 1;
    give(block);
    EXPECT_EQ("heap-buffer-overflow", found());
    EXPECT_EQ(size, last.size);
    ASSERT_NE(nullptr, last.allocated);
    EXPECT_EQ(line, last.allocated->line);
  };
  auto const slab_free = [s](void *p) { rt_slab_free(s, p); };
  expect(rt_calloc(2, 7), __LINE__, 14, rt_free);
  expect(rt_realloc(rt_malloc(5), 20), __LINE__, 20, rt_free);
  void *const aligned = rt_malloc_align(24, 256);
  EXPECT_TRUE(rf_is_aligned(aligned, 256));
  expect(aligned, __LINE__ - 2, 24, rt_free_align);
  expect(rt_strdup("text"), __LINE__, 5, rt_free);
  expect(rt_smem_alloc(m, 10), __LINE__, 10, rt_smem_free);
  expect(rt_smem_realloc(m, rt_smem_alloc(m, 10), 30), __LINE__, 30, rt_smem_free);
  EXPECT_EQ(0U, m->used);
  expect(rt_slab_alloc(s, 10), __LINE__, 10, slab_free);
  expect(rt_slab_realloc(s, rt_slab_alloc(s, 10), 30), __LINE__, 30, slab_free);
  EXPECT_EQ(0U, s->used);
  EXPECT_EQ(RT_EOK, rt_smem_detach(m));
  EXPECT_EQ(RT_EOK, rt_slab_detach(s));
  EXPECT_TRUE(findings.empty());
}

TEST_F(Checked, EachCallThatFreesPassesItsPlaceOn) {
  alignas(16) static unsigned char own[3][64 * 1024];
  rt_smem_t const m = rt_smem_init("own", own[0], sizeof own[0]);
  rt_slab_t const s = rt_slab_init("slab", own[1], sizeof own[1]);
  struct rt_memheap heap;
  ASSERT_EQ(RT_EOK, rt_memheap_init(&heap, "heap1", own[2], sizeof own[2]));
  auto const overrun = [](void *block) {
    static_cast<volatile char *>(block)[10] = 1;
    return block;
  };
  auto const expect = [this](unsigned line) {
    EXPECT_EQ("heap-buffer-overflow", found());
    ASSERT_NE(nullptr, last.found) << line;
    EXPECT_EQ(line, last.found->line);
  };
  rt_free(overrun(rt_malloc(10)));
  expect(__LINE__ - 1);
  rt_free_align(overrun(rt_malloc_align(10, 64)));
  expect(__LINE__ - 1);
  rt_smem_free(overrun(rt_smem_alloc(m, 10)));
  expect(__LINE__ - 1);
  rt_slab_free(s, overrun(rt_slab_alloc(s, 10)));
  expect(__LINE__ - 1);
  rt_memheap_free(overrun(rt_memheap_alloc(&heap, 10)));
  expect(__LINE__ - 1);
  rt_memheap_free(overrun(rt_memheap_realloc(&heap, RT_NULL, 10)));
  expect(__LINE__ - 1);
  EXPECT_EQ(__LINE__ - 2U, last.allocated != nullptr ? last.allocated->line : 0);
  static unsigned line;
  rf_fault_handler_set([](const rf_fault *f, void *) { line = f->site != nullptr ? f->site->line : 0; }, nullptr);
  rt_mp_free(&heap);
  rf_fault_handler_set(nullptr, nullptr);
  EXPECT_EQ(__LINE__ - 2U, line);
  EXPECT_EQ(RT_EOK, rt_smem_detach(m));
  EXPECT_EQ(RT_EOK, rt_slab_detach(s));
  EXPECT_EQ(RT_EOK, rt_memheap_detach(&heap));
}

// The first heap of the kind makes a finding of it.
TEST_F(Checked, APointerFromElsewhereIsFoundInHeapsOfTheirOwnToo) {
  alignas(16) unsigned char own[4096];
  struct rt_memheap heap;
  ASSERT_EQ(RT_EOK, rt_memheap_init(&heap, "heap1", own, sizeof own));
  int local[8] = {};
  rt_smem_free(&local[4]);
  std::string const bug = found();
  EXPECT_EQ(std::string::npos, bug.find("findings")) << bug;
  rt_memheap_free(&local[4]);
  EXPECT_EQ(bug, found());
  EXPECT_EQ(RT_EOK, rt_memheap_detach(&heap));
}

TEST_F(Checked, AReallocToNothingIsAFreeAtItsPlace) {
  void *const p = rt_malloc(5);
  static_cast<volatile char *>(p)[5] = 1;
  EXPECT_EQ(nullptr, rt_realloc(p, 0));
  EXPECT_EQ("heap-buffer-overflow", found());
  ASSERT_NE(nullptr, last.found);
  EXPECT_EQ(__LINE__ - 3U, last.found->line);
}

TEST_F(Checked, HeapsOfTheirOwnAreCheckedToo) {
  alignas(16) unsigned char own[2][4096];
  rt_smem_t const m = rt_smem_init("own", own[0], sizeof own[0]);
  struct rt_memheap heap;
  ASSERT_EQ(RT_EOK, rt_memheap_init(&heap, "heap1", own[1], sizeof own[1]));
  EXPECT_EQ((std::vector<std::string>{"heap", "own", "heap1"}), names);
  auto *p = static_cast<char *>(rt_smem_alloc(m, 10));
  p[10] = 1;
  rt_smem_free(p);
  EXPECT_EQ("heap-buffer-overflow", found());
  p = static_cast<char *>(rt_memheap_alloc(&heap, 10));
  p = static_cast<char *>(rt_memheap_realloc(&heap, p, 20));
  p[20] = 1;
  rt_memheap_free(p);
  EXPECT_EQ("heap-buffer-overflow", found());
  EXPECT_EQ(RT_EOK, rt_smem_detach(m));
  EXPECT_EQ(RT_EOK, rt_memheap_detach(&heap));
  EXPECT_TRUE(findings.empty());
}

} // namespace
