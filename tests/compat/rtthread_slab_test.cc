// RT-Thread's rt_slab, rt_page_alloc and rt_page_free, and rt_malloc with RT_USING_SLAB_AS_HEAP.
#include "rtthread_fixture.h"

#include <ringfence/guard.h>

#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr rt_size_t kSize = 1024 * 1024; // of a heap, as in RT-Thread's own test
constexpr rt_size_t kPage = RT_MM_PAGE_SIZE;

alignas(16) unsigned char memory[kSize];
alignas(16) unsigned char own[kSize];

class RtSlab : public ringfence_test::RtThread {
protected:
  RtSlab() : RtThread(memory, sizeof memory) {}
};

// ---- The system heap ----

TEST_F(RtSlab, DynamicMemoryAsDocumented) {
  EXPECT_EQ(RT_EOK, app_dynamic_memory());
  EXPECT_EQ(32U, app_memory_pool());
}

TEST_F(RtSlab, TheSystemHeapIsASlab) {
  EXPECT_STREQ("slab", reinterpret_cast<rt_mem_t>(rt_object_find("heap", RT_Object_Class_Memory))->algorithm);
  auto *const p = static_cast<unsigned char *>(rt_malloc(48));
  EXPECT_EQ(p + 48, rt_malloc(48)) << "no header between";
  rt_free(p);
  EXPECT_EQ(p, rt_malloc(40)) << "freed last, used first";
  rt_size_t total;
  rt_size_t used;
  rt_size_t most;
  rt_memory_info(&total, &used, &most);
  EXPECT_EQ(0U, total % kPage);
  EXPECT_EQ(88U, used);
  EXPECT_EQ(96U, most);
}

TEST_F(RtSlab, PagesComeFromTheSystemHeap) {
  auto *const p = static_cast<unsigned char *>(rt_page_alloc(3));
  ASSERT_NE(nullptr, p);
  EXPECT_TRUE(rf_is_aligned(p, kPage));
  memset(p, 0x11, 3 * kPage);
  rt_size_t used;
  rt_memory_info(RT_NULL, &used, RT_NULL);
  EXPECT_EQ(3 * kPage, used);
  rt_page_free(p, 3);
  rt_memory_info(RT_NULL, &used, RT_NULL);
  EXPECT_EQ(0U, used);
  EXPECT_EQ(nullptr, rt_page_alloc(0));
  EXPECT_EQ(nullptr, rt_page_alloc(kSize));
  rt_page_free(RT_NULL, 1);
  EXPECT_EQ(RF_OK, fault());
  rt_page_free(p, 3);
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, fault(p));
}

TEST_F(RtSlab, WithoutASystemHeapThereAreNoPages) {
  rt_system_heap_init(RT_NULL, RT_NULL);
  EXPECT_EQ(nullptr, rt_page_alloc(1));
  rt_page_free(memory, 1);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault(memory));
  rt_page_free(RT_NULL, 1);
  EXPECT_EQ(RF_OK, fault());
}

TEST_F(RtSlab, TooLittleMemoryIsNoHeap) {
  rt_system_heap_init(memory, memory + 4096);
  EXPECT_EQ(nullptr, rt_malloc(1));
  EXPECT_NE(std::string::npos, printed.find("rt_slab_init: no heap of 4096 bytes")) << printed;
  EXPECT_EQ(nullptr, rt_slab_init("own", RT_NULL, kSize));
  EXPECT_EQ(nullptr, rt_slab_init("own", own, 100));
}

TEST_F(RtSlab, HooksSeeItsBlocks) {
  app_set_old_hooks();
  void *const p = rt_malloc(77);
  EXPECT_EQ(p, app_last_malloc);
  rt_free(p);
  EXPECT_EQ(p, app_last_free);
  app_clear_hooks();
}

// ---- Heaps of one's own ----

TEST_F(RtSlab, AHeapOfItsOwn) {
  rt_slab_t const m = rt_slab_init("own", own + 1, sizeof own - 1);
  ASSERT_NE(nullptr, m);
  EXPECT_EQ(&m->parent, rt_object_find("own", RT_Object_Class_Memory));
  EXPECT_EQ(0U, m->total % kPage);
  EXPECT_GT(m->total, sizeof own - 10 * kPage);
  auto *p = static_cast<unsigned char *>(rt_slab_alloc(m, 100));
  ASSERT_NE(nullptr, p);
  EXPECT_TRUE(p > own && p < own + sizeof own);
  memset(p, 0x5A, 100);
  p = static_cast<unsigned char *>(rt_slab_realloc(m, p, 20000));
  ASSERT_NE(nullptr, p);
  EXPECT_EQ(0x5A, p[99]);
  EXPECT_EQ(20000U, m->used);
  EXPECT_EQ(nullptr, rt_slab_realloc(m, p, SIZE_MAX));
  EXPECT_EQ(nullptr, rt_slab_realloc(m, p, sizeof own));
  EXPECT_EQ(0x5A, p[99]) << "the block is as it was";
  rt_slab_free(m, p);
  EXPECT_EQ(0U, m->used);
  EXPECT_EQ(20100U, m->max) << "the old block and the new one";
  EXPECT_EQ(nullptr, rt_slab_alloc(m, 0));
  EXPECT_EQ(nullptr, rt_slab_realloc(m, RT_NULL, 0));
  void *const q = rt_slab_realloc(m, RT_NULL, 10);
  EXPECT_NE(nullptr, q);
  EXPECT_EQ(nullptr, rt_slab_realloc(m, q, 0));
  rt_slab_free(m, RT_NULL);
  EXPECT_EQ(RF_OK, fault());
  rt_slab_free(m, q);
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, fault(q));
  EXPECT_EQ(RT_EOK, rt_slab_detach(m));
  EXPECT_EQ(-RT_EINVAL, rt_slab_detach(m));
  EXPECT_EQ(-RT_EINVAL, rt_slab_detach(RT_NULL));
  EXPECT_EQ(nullptr, rt_slab_alloc(m, 10));
  EXPECT_EQ(nullptr, rt_slab_realloc(m, RT_NULL, 10));
  EXPECT_EQ(nullptr, rt_slab_page_alloc(m, 1));
  rt_slab_free(m, q);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault(q));
}

TEST_F(RtSlab, PagesMayBeGivenBackOneByOne) {
  rt_slab_t const m = rt_slab_init("own", own, sizeof own);
  auto *const p = static_cast<unsigned char *>(rt_slab_page_alloc(m, 4));
  ASSERT_NE(nullptr, p);
  for (rt_size_t const i : {0, 3, 2, 1}) {
    rt_slab_page_free(m, p + i * kPage, 1);
  }
  EXPECT_EQ(0U, m->used);
  EXPECT_EQ(p, rt_slab_page_alloc(m, 4));
  rt_slab_page_free(m, p + 1, 1);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault(p + 1));
  rt_slab_page_free(m, p, 5);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault(p));
  EXPECT_EQ(RT_EOK, rt_slab_detach(m));
}

// As RT-Thread's test of slabs goes about it: blocks of random sizes, until there is no room, then some are freed.
TEST_F(RtSlab, ServesUntilItIsFullAndIsWholeAgainAfterwards) {
  memset(own, 0xAA, sizeof own);
  rt_slab_t const m = rt_slab_init("slab_tc", own, sizeof own);
  ASSERT_NE(nullptr, m);
  struct Block {
    unsigned char *ptr;
    rt_size_t size;
    unsigned char magic;
  };
  std::vector<Block> blocks;
  unsigned state = 1;
  auto const random = [&state](unsigned below) {
    state = state * 1103515245U + 12345U;
    return state / 65536U % below;
  };
  auto const release = [&](size_t i) {
    for (rt_size_t at = 0; at < blocks[i].size; at++) {
      ASSERT_EQ(blocks[i].magic, blocks[i].ptr[at]);
    }
    rt_slab_free(m, blocks[i].ptr);
    blocks.erase(blocks.begin() + static_cast<std::ptrdiff_t>(i));
  };
  size_t full = 0;
  while (full < 20) {
    rt_size_t const size = 1 + random(random(2) == 0 ? 100 : 9000);
    auto *const p = static_cast<unsigned char *>(rt_slab_alloc(m, size));
    if (p != nullptr) {
      blocks.push_back({p, size, static_cast<unsigned char>(random(256))});
      memset(p, blocks.back().magic, size);
      continue;
    }
    full++;
    for (size_t n = blocks.size() / 2; n != 0; n--) {
      release(random(static_cast<unsigned>(blocks.size())));
    }
  }
  while (!blocks.empty()) {
    release(blocks.size() - 1);
  }
  EXPECT_EQ(0U, m->used);
  void *const all = rt_slab_page_alloc(m, m->total / kPage);
  EXPECT_NE(nullptr, all);
  EXPECT_EQ(RT_EOK, rt_slab_detach(m));
}

TEST_F(RtSlab, SmallMemoryHeapsAreOfTheSameClassButAnotherKind) {
  alignas(16) unsigned char small[1024];
  rt_smem_t const m = rt_smem_init("small", small, sizeof small);
  rt_slab_t const s = rt_slab_init("slab", own, sizeof own);
  EXPECT_EQ(nullptr, rt_slab_alloc(m, 10));
  EXPECT_EQ(nullptr, rt_smem_alloc(s, 10));
  EXPECT_EQ(-RT_EINVAL, rt_slab_detach(m));
  EXPECT_EQ(-RT_EINVAL, rt_smem_detach(s));
  void *const p = rt_slab_alloc(s, 10);
  rt_smem_free(p);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault(p));
  EXPECT_EQ(RT_EOK, rt_smem_detach(m));
  rt_smem_free(p);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault(p)) << "slabs are not small memory";
  EXPECT_EQ(RT_EOK, rt_slab_detach(s));
}

// ---- Looking ----

TEST_F(RtSlab, IsTracedAndChecked) {
  rt_slab_t const m = rt_slab_init("own", own, sizeof own);
  (void)rt_slab_alloc(m, 45);
  char command[] = "memtrace";
  char name[] = "own";
  char *argv[] = {command, name};
  EXPECT_EQ(0, memtrace(2, argv));
  EXPECT_NE(std::string::npos, printed.find("own: total ")) << printed;
  EXPECT_NE(std::string::npos, printed.find(" pages of 4096 bytes from ")) << printed;
  EXPECT_NE(std::string::npos, printed.find("       45 used ")) << printed;
  EXPECT_EQ(0, memcheck(2, argv));
  auto *byte = reinterpret_cast<unsigned char *>(m->address);
  int status = 0;
  while (status == 0 && byte > own) { // back to the records of its pages
    *--byte ^= 1;
    status = memcheck(2, argv);
    *byte ^= 1;
  }
  EXPECT_EQ(-RT_ERROR, status);
  EXPECT_NE(std::string::npos, printed.find("own: record of a page overwritten at ")) << printed;
  EXPECT_EQ(RT_EOK, rt_slab_detach(m));
}

TEST_F(RtSlab, IsCheckedByAGuard) {
  static rf_guard guard;
  static std::vector<std::string> bugs;
  static rf_reporter reporter = {[](rf_reporter *, const rf_finding *f) {
                                   bugs.push_back(rf_bug_name(f->bug));
                                   return RF_ACTION_CONTINUE;
                                 },
                                 nullptr, RF_EXITCODE_DEFAULT, 0};
  rf_rt_wrap_set(
      [](rf_allocator *heap, const char *, void *) {
        rf_guard_options options;
        rf_guard_options_default(&options);
        options.reporter = &reporter;
        return rf_guard_init(&guard, heap, &options) == RF_OK ? &guard.base : nullptr;
      },
      nullptr);
  rt_slab_t const m = rt_slab_init("own", own, sizeof own);
  rf_rt_wrap_set(nullptr, nullptr);
  auto *const p = static_cast<char *>(rt_slab_alloc(m, 13));
  void *const pages = rt_slab_page_alloc(m, 2);
  p[13] = 0;
  rt_slab_free(m, p);
  rt_slab_free(m, p);
  rt_slab_page_free(m, pages, 2);
  EXPECT_EQ((std::vector<std::string>{"heap-buffer-overflow", "double-free"}), bugs);
  EXPECT_EQ(RT_EOK, rt_slab_detach(m));
}

} // namespace
