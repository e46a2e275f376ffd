// RT-Thread's memory pools, objects, console and numbers.
#include "rtthread_fixture.h"

#include <gtest/gtest.h>

#include <atomic>
#include <climits>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace ringfence_test {
namespace {

// ---- Memory pool ----

class RtMempool : public RtThread {
protected:
  void SetUp() override {
    RtThread::SetUp();
    ASSERT_EQ(RT_EOK, rt_mp_init(&mp, "mp_static", blocks, sizeof blocks, 80));
  }
  void TearDown() override {
    rt_mp_detach(&mp);
    RtThread::TearDown();
  }

  // Takes all blocks.
  std::vector<void *> drain() {
    std::vector<void *> taken;
    while (void *const block = rt_mp_alloc(&mp, RT_WAITING_NO)) {
      taken.push_back(block);
    }
    return taken;
  }

  struct rt_mempool mp = {};
  alignas(8) rt_uint8_t blocks[(80 + sizeof(rt_uint8_t *)) * 4];
};

TEST_F(RtMempool, CountsItsBlocks) {
  EXPECT_STREQ("mp_static", mp.parent.name);
  EXPECT_EQ(4U, mp.block_total_count);
  EXPECT_EQ(4U, mp.block_free_count);
  EXPECT_EQ(80U, mp.block_size);
  EXPECT_EQ(sizeof blocks, mp.size);
  void *const block = rt_mp_alloc(&mp, 0);
  EXPECT_EQ(RT_EOK, rt_get_errno());
  EXPECT_EQ(3U, mp.block_free_count);
  rt_mp_free(block);
  EXPECT_EQ(4U, mp.block_free_count);
}

TEST_F(RtMempool, WhenItIsEmptyATakerTimesOut) {
  EXPECT_EQ(4U, drain().size());
  EXPECT_EQ(0U, mp.block_free_count);
  EXPECT_EQ(nullptr, rt_mp_alloc(&mp, 0));
  EXPECT_EQ(-RT_ETIMEOUT, rt_get_errno());
  rt_set_errno(RT_EOK);
  rt_tick_t const before = rt_tick_get();
  EXPECT_EQ(nullptr, rt_mp_alloc(&mp, static_cast<rt_int32_t>(rt_tick_from_millisecond(20))));
  EXPECT_GE(rt_tick_get() - before, 19U);
  EXPECT_EQ(-RT_ETIMEOUT, rt_get_errno());
}

TEST_F(RtMempool, ATakerIsWokenByAFree) {
  std::vector<void *> const taken = drain();
  std::atomic<void *> got{nullptr};
  std::thread taker([&] { got = rt_mp_alloc(&mp, RT_WAITING_FOREVER); });
  rt_mp_free(taken[2]);
  taker.join();
  EXPECT_EQ(taken[2], got);
}

TEST_F(RtMempool, TakersAreWokenByItsEnd) {
  drain();
  std::atomic<int> failed{0};
  std::vector<std::thread> takers;
  for (int i = 0; i < 3; i++) {
    takers.emplace_back([&] {
      if (rt_mp_alloc(&mp, RT_WAITING_FOREVER) == nullptr && rt_get_errno() == -RT_ERROR) {
        failed++;
      }
    });
  }
  while (true) {
    rf_mempool_info info;
    rf_mempool_info_get(&mp.pool, &info);
    if (info.waiters == 3) {
      break;
    }
    std::this_thread::yield();
  }
  EXPECT_EQ(RT_EOK, rt_mp_detach(&mp));
  for (std::thread &taker : takers) {
    taker.join();
  }
  EXPECT_EQ(3, failed);
  EXPECT_EQ(-RT_EINVAL, rt_mp_detach(&mp));
}

TEST_F(RtMempool, BadFreesAreRefusedAndReported) {
  auto *const block = static_cast<char *>(rt_mp_alloc(&mp, 0));
  char local = 0;
  rt_mp_free(RT_NULL);
  EXPECT_EQ(RF_OK, fault());
  rt_mp_free(&local);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault(&local));
  rt_mp_free(block + 4);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault(block + 4));
  EXPECT_EQ(3U, mp.block_free_count);
  rt_mp_free(block);
  rt_mp_free(block);
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, fault(block));
  EXPECT_EQ(4U, mp.block_free_count);
}

TEST_F(RtMempool, WhatCannotBeAPoolIsRefused) {
  struct rt_mempool other;
  memset(static_cast<void *>(&other), 0, sizeof other);
  EXPECT_EQ(-RT_EINVAL, rt_mp_init(RT_NULL, "mp", blocks, sizeof blocks, 80));
  EXPECT_EQ(-RT_EINVAL, rt_mp_init(&other, "mp", RT_NULL, sizeof blocks, 80));
  EXPECT_EQ(-RT_EINVAL, rt_mp_init(&other, "mp", blocks, 0, 80));
  EXPECT_EQ(-RT_EINVAL, rt_mp_init(&other, "mp", blocks, sizeof blocks, 0));
  EXPECT_EQ(-RT_ENOMEM, rt_mp_init(&other, "mp", blocks, 80, 80));
  EXPECT_EQ(-RT_ENOMEM, rt_mp_init(&other, "mp", blocks, sizeof blocks, SIZE_MAX));
  EXPECT_EQ(-RT_EINVAL, rt_mp_detach(&other));
  EXPECT_EQ(-RT_EINVAL, rt_mp_delete(&mp));
  EXPECT_EQ(nullptr, rt_mp_alloc(RT_NULL, 0));
  EXPECT_EQ(-RT_ERROR, rt_get_errno());
}

TEST_F(RtMempool, MayBeMadeInMemoryThatWasUsed) {
  struct rt_mempool other;
  memset(static_cast<void *>(&other), 0xA5, sizeof other);
  alignas(8) rt_uint8_t own[sizeof blocks];
  ASSERT_EQ(RT_EOK, rt_mp_init(&other, "mp", own, sizeof own, 80));
  EXPECT_EQ(-RT_EINVAL, rt_mp_delete(&other)) << "it was not created";
  EXPECT_EQ(RT_EOK, rt_mp_detach(&other));
  EXPECT_EQ(RT_Object_Class_Null, rt_object_get_type(&other.parent));
}

TEST_F(RtMempool, APoolFromTheSystemHeapGivesItsMemoryBack) {
  rt_mp_t const created = rt_mp_create("mp_dynamic", 32, 80);
  ASSERT_NE(nullptr, created);
  EXPECT_STREQ("mp_dynamic", created->parent.name);
  EXPECT_EQ(32U, created->block_total_count);
  EXPECT_NE(nullptr, rt_mp_alloc(created, 0));
  EXPECT_EQ(RT_EOK, rt_mp_delete(created));
  EXPECT_EQ(0U, used());
  EXPECT_EQ(nullptr, rt_mp_create("mp", 0, 80));
  EXPECT_EQ(nullptr, rt_mp_create("mp", 32, 0));
  EXPECT_EQ(nullptr, rt_mp_create("mp", sizeof memory, 80));
  EXPECT_EQ(-RT_EINVAL, rt_mp_delete(RT_NULL));
  EXPECT_EQ(0U, used());
}

// There is room for the blocks, and none for the pool's record.
TEST_F(RtMempool, APoolThatCannotBeCreatedKeepsNothing) {
  void *const small = rt_malloc(24);
  ASSERT_NE(nullptr, small);
  for (rt_size_t const size : {sizeof(struct rt_mempool), size_t{24}}) {
    while (rt_malloc(size) != nullptr) {
    }
  }
  rt_free(small);
  ASSERT_EQ(nullptr, rt_malloc(sizeof(struct rt_mempool)));
  rt_size_t const before = used();
  EXPECT_EQ(nullptr, rt_mp_create("mp", 1, 8));
  EXPECT_EQ(before, used());
}

std::vector<void *> hooked_blocks;

TEST_F(RtMempool, HooksSeeWhatSucceeds) {
  hooked_blocks.clear();
  rt_mp_alloc_sethook([](struct rt_mempool *, void *block) { hooked_blocks.push_back(block); });
  rt_mp_free_sethook([](struct rt_mempool *, void *block) { hooked_blocks.push_back(block); });
  std::vector<void *> const taken = drain();
  EXPECT_EQ(taken, hooked_blocks);
  hooked_blocks.clear();
  rt_mp_free(taken[0]);
  rt_mp_free(taken[0]);
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, fault(taken[0]));
  EXPECT_EQ(std::vector<void *>{taken[0]}, hooked_blocks);
  rt_mp_alloc_sethook(RT_NULL);
  rt_mp_free_sethook(RT_NULL);
}

TEST_F(RtMempool, AllIsListed) {
  alignas(16) unsigned char own[1024];
  struct rt_memheap heap;
  ASSERT_EQ(RT_EOK, rt_memheap_init(&heap, "heap1", own, sizeof own));
  (void)rt_mp_alloc(&mp, 0);
  list_mem();
  EXPECT_EQ(0, list_memheap());
  EXPECT_EQ(0, list_mempool());
  EXPECT_NE(std::string::npos, printed.find("used 0, most used 0\n"));
  EXPECT_NE(std::string::npos, printed.find("heap1                          1024          0       1024\n"));
  EXPECT_NE(std::string::npos, printed.find("mp_static                        80          4          3\n")) << printed;
  EXPECT_EQ(RT_EOK, rt_memheap_detach(&heap));
}

// ---- Objects and services ----

TEST_F(RtMempool, ObjectsAreFoundByClassAndName) {
  EXPECT_EQ(&mp.parent, rt_object_find("mp_static", RT_Object_Class_MemPool));
  EXPECT_EQ(RT_Object_Class_MemPool, rt_object_get_type(&mp.parent));
  EXPECT_NE(nullptr, rt_object_find("heap", RT_Object_Class_Memory));
  EXPECT_EQ(nullptr, rt_object_find("mp_static", RT_Object_Class_MemHeap));
  EXPECT_EQ(nullptr, rt_object_find("mp_stati", RT_Object_Class_MemPool));
  EXPECT_EQ(nullptr, rt_object_find("mp_static_", RT_Object_Class_MemPool));
  EXPECT_EQ(nullptr, rt_object_find("mp_static", RT_Object_Class_Unknown));
  EXPECT_EQ(nullptr, rt_object_find(RT_NULL, RT_Object_Class_MemPool));
  struct rt_object_information *const info = rt_object_get_information(RT_Object_Class_MemPool);
  EXPECT_EQ(&mp.parent, rt_list_first_entry(&info->object_list, struct rt_object, list));
  EXPECT_EQ(sizeof mp, info->object_size);
  EXPECT_EQ(nullptr, rt_object_get_information(RT_Object_Class_Unknown));
}

TEST_F(RtThread, NamesThatAreTooLongAreCut) {
  alignas(16) unsigned char own[1024];
  std::string const name(100, 'n');
  rt_smem_t const m = rt_smem_init(name.c_str(), own, sizeof own);
  EXPECT_EQ(name.substr(0, RT_NAME_MAX - 1), m->parent.name);
  EXPECT_EQ(RT_EOK, rt_smem_detach(m));
}

TEST_F(RtThread, KprintfFormats) {
  EXPECT_EQ(12, rt_kprintf("%d %u %s\n", -12, 34U, "word"));
  rt_kprintf("[%5d|%-5d|%05d|%.3d|%x|%X|%08x|%o]", 42, 42, -42, 7, 0xbeefU, 0xbeefU, 0xbeefU, 8U);
  rt_kprintf("[%ld|%lu|%lld|%llu|%zu|%hd|%hhu]", -1L, 2UL, -3LL, UINT64_MAX, sizeof(char), 5, 6U);
  rt_kprintf("[%c|%5s|%-5s|%.2s|%*d|%%|%s]", 'c', "ab", "ab", "abc", 4, 1, static_cast<const char *>(nullptr));
  EXPECT_EQ("-12 34 word\n"
            "[   42|42   |-0042|007|beef|BEEF|0000beef|10]"
            "[-1|2|-3|18446744073709551615|1|5|6]"
            "[c|   ab|ab   |ab|   1|%|(NULL)]",
            printed);
  printed.clear();
  rt_kprintf("%p", reinterpret_cast<void *>(0x1234));
  EXPECT_EQ(std::string("0x") + std::string(2 * sizeof(void *) - 4, '0') + "1234", printed);
  printed.clear();
  rt_kprintf("ends in %");
  rt_kprintf("%q");
  rt_kprintf(" 50%!");
  EXPECT_EQ("ends in %%q 50%!", printed);
}

TEST_F(RtThread, KprintfFormatsTakeFlagsAndArgumentsTogether) {
  struct {
    std::function<int()> print;
    const char *text;
  } const cases[] = {
      {[] { return rt_kprintf("[%-05d]", 42); }, "[42   ]"},
      {[] { return rt_kprintf("[%0-5d]", 42); }, "[42   ]"},
      {[] { return rt_kprintf("[%05.3d]", 42); }, "[  042]"},
      {[] { return rt_kprintf("[%.0d]", 0); }, "[]"},
      {[] { return rt_kprintf("[%.30d]", 7); }, "[000000000000000000000000000007]"},
      {[] { return rt_kprintf("[%d|%d]", INT_MIN, INT_MAX); }, "[-2147483648|2147483647]"},
      {[] { return rt_kprintf("[%lld]", INT64_MIN); }, "[-9223372036854775808]"},
      {[] { return rt_kprintf("[%*d|%d]", -5, 42, 7); }, "[42   |7]"},
      {[] { return rt_kprintf("[%.*s|%d]", 2, "abc", 7); }, "[ab|7]"},
      {[] { return rt_kprintf("[%*.*s|%d]", 4, 2, "abc", 7); }, "[  ab|7]"},
      {[] { return rt_kprintf("[%.*s|%d]", -1, "abc", 7); }, "[abc|7]"},
      {[] { return rt_kprintf("[%-3c|%3c]", 'a', 'b'); }, "[a  |  b]"},
      {[] { return rt_kprintf("[%-6x|%6X]", 0xabU, 0xabU); }, "[ab    |    AB]"},
      {[] { return rt_kprintf("[%02hhx|%hx|%hu]", -85, -2, -1); }, "[ab|fffe|65535]"},
      {[] { return rt_kprintf("[%hhd|%hd|%hhu]", 0x1ff, 0x18000, 0x103); }, "[-1|-32768|3]"},
      {[] { return rt_kprintf("[%+d|% d|%+ d|%+d|% 4d]", 42, 42, 42, -42, 7); }, "[+42| 42|+42|-42|   7]"},
      {[] { return rt_kprintf("[%+05d|%-+5d|% 05d|%+u]", 42, 42, 42, 42U); }, "[+0042|+42  | 0042|42]"},
      {[] { return rt_kprintf("[%#x|%#X|%#o|%#x]", 0xabU, 0xabU, 8U, 0U); }, "[0xab|0XAB|010|0]"},
      {[] { return rt_kprintf("[%b|%08b|%#b|%llb]", 5U, 5U, 5U, UINT64_C(1) << 63); },
       "[101|00000101|0b101|1000000000000000000000000000000000000000000000000000000000000000]"},
      {[] { return rt_kprintf("[%Ld|%Lx]", INT64_MIN, UINT64_MAX); }, "[-9223372036854775808|ffffffffffffffff]"},
      {[] { return rt_kprintf("[%f|%.2e|%s|%d]", 1.5, 2.5, "behind", 7); }, "[%f|%e|behind|7]"},
      {[] { return rt_kprintf("[%#06x|%#6x|%-#6x]", 0xabU, 0xabU, 0xabU); }, "[0x00ab|  0xab|0xab  ]"},
  };
  for (auto const &c : cases) {
    printed.clear();
    EXPECT_EQ(static_cast<int>(strlen(c.text)), c.print());
    EXPECT_EQ(c.text, printed);
  }
}

// Figures of more than 32 bits, asked for in 32.
TEST_F(RtThread, FiguresThatDoNotFitAreTheLargest) {
  struct rt_memheap heap = {};
  heap.pool_size = static_cast<rt_size_t>(UINT64_C(5) << 30);
  heap.available_size = 100;
  heap.max_used_size = UINT32_MAX;
  rt_uint32_t total = 0;
  rt_uint32_t used_now = 0;
  rt_uint32_t most = 0;
  rf_rt_memheap_info32(&heap, &total, &used_now, &most);
  if (sizeof(rt_size_t) > 4) {
    EXPECT_EQ(UINT32_MAX, total);
    EXPECT_EQ(UINT32_MAX, used_now);
  }
  EXPECT_EQ(UINT32_MAX, most);
  heap.pool_size = 300;
  rf_rt_memheap_info32(&heap, &total, &used_now, nullptr);
  EXPECT_EQ(300U, total);
  EXPECT_EQ(200U, used_now);
}

TEST_F(RtThread, PrintingIntoABufferLeavesOutWhatDoesNotFit) {
  char text[8] = "unheard";
  EXPECT_EQ(5, rt_snprintf(text, sizeof text, "%d-%s", 12, "ab"));
  EXPECT_STREQ("12-ab", text);
  EXPECT_EQ(10, rt_snprintf(text, sizeof text, "%010d", 7));
  EXPECT_STREQ("0000000", text);
  EXPECT_EQ(3, rt_snprintf(nullptr, 0, "%d", 123));
  EXPECT_EQ(3, rt_snprintf(text, 1, "%d", 123));
  EXPECT_STREQ("", text);
  EXPECT_EQ(4, rt_sprintf(text, "%s%c", "abc", 'd'));
  EXPECT_STREQ("abcd", text);
  rt_kputs("100%d\n");
  rt_kputs(RT_NULL);
  EXPECT_EQ("100%d\n", printed);
}

TEST_F(RtThread, TicksAreMilliseconds) {
  EXPECT_EQ(1500U, rt_tick_from_millisecond(1500));
  EXPECT_EQ(0U, rt_tick_from_millisecond(0));
  EXPECT_EQ(static_cast<rt_tick_t>(RT_WAITING_FOREVER), rt_tick_from_millisecond(-1));
  rt_tick_t const before = rt_tick_get_millisecond();
  EXPECT_LE(rt_tick_get() - before, 1000U);
}

rt_size_t asserted_line;

TEST_F(RtThread, AnAssertionCallsTheHook) {
  rt_assert_set_hook([](const char *, const char *, rt_size_t line) { asserted_line = line; });
  RT_ASSERT(1 + 1 == 2);
  EXPECT_EQ(0U, asserted_line);
  RT_ASSERT(1 + 1 == 3);
  EXPECT_NE(0U, asserted_line);
  rt_assert_set_hook(RT_NULL);
}

TEST(RtThreadDeathTest, AnAssertionWithoutAHookStopsTheProgram) {
  ::testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_DEATH(RT_ASSERT(1 + 1 == 3), "assertion failed: 1 \\+ 1 == 3, in TestBody, line");
}

TEST_F(RtThread, MacrosAreAsInTheOriginal) {
  EXPECT_EQ(16, RT_ALIGN(13, 8));
  EXPECT_EQ(16, RT_ALIGN_UP(13, 8));
  EXPECT_EQ(sizeof(void *), sizeof(rt_uintptr_t));
  rt_align(64) rt_used static char aligned;
  EXPECT_EQ(0U, reinterpret_cast<rt_uintptr_t>(&aligned) % 64);
  RT_UNUSED(aligned);
  EXPECT_EQ(8, RT_ALIGN_DOWN(13, 8));
  EXPECT_EQ(4096, RT_MM_PAGE_SIZE);
  EXPECT_EQ(4095, RT_MM_PAGE_MASK);
  EXPECT_EQ(2, RT_ETIMEOUT);
  EXPECT_EQ(-1, RT_WAITING_FOREVER);
  void *const p = RT_KERNEL_MALLOC(10);
  RT_KERNEL_FREE(RT_KERNEL_REALLOC(p, 20));
  EXPECT_EQ(0U, used());
}

// Programs print them, compare them with numbers of their own, and are built against the original's headers as well.
TEST(RtThreadNumbers, AreThoseOfTheOriginal) {
  int const errors[] = {RT_EOK, RT_ERROR, RT_ETIMEOUT, RT_EFULL,  RT_EEMPTY, RT_ENOMEM, RT_ENOSYS, RT_EBUSY,
                        RT_EIO, RT_EINTR, RT_EINVAL,   RT_ENOENT, RT_ENOSPC, RT_EPERM,  RT_ETRAP,  RT_EFAULT};
  for (int i = 0; i < 16; i++) {
    EXPECT_EQ(errors[i], i);
  }
  EXPECT_EQ(RT_TRUE, 1);
  EXPECT_EQ(RT_FALSE, 0);
  EXPECT_EQ(RT_UINT8_MAX, 255);
  EXPECT_EQ(RT_UINT16_MAX, 65535);
  EXPECT_EQ(RT_UINT32_MAX, 4294967295U);
  EXPECT_EQ(RT_TICK_MAX, 4294967295U);
  EXPECT_EQ(RT_WAITING_FOREVER, -1);
  EXPECT_EQ(RT_WAITING_NO, 0);
  EXPECT_EQ(RT_VERSION_MAJOR * 10000 + RT_VERSION_MINOR * 100 + RT_VERSION_PATCH, 50000);
  EXPECT_EQ(RT_VERSION * 10000 + RT_SUBVERSION * 100 + RT_REVISION, 50000);
  EXPECT_EQ(RT_MM_PAGE_SIZE, 4096);
  EXPECT_EQ(RT_MM_PAGE_MASK, 0xFFF);
  EXPECT_EQ(1 << RT_MM_PAGE_BITS, RT_MM_PAGE_SIZE);
  EXPECT_EQ(RT_NAME_MAX, 24);
  EXPECT_EQ(RT_TICK_PER_SECOND, 1000);
  EXPECT_EQ(RT_ALIGN_SIZE, sizeof(void *) == 8 ? 8 : 4);
  EXPECT_EQ(RF_RT_HEAP_SIZE, 4194304);
}

} // namespace
} // namespace ringfence_test
