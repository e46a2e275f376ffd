// Zephyr's memory blocks API: every function and macro, with Zephyr's return values.
#include "zephyr_manual.h"

#include <zephyr/kernel.h>
#include <zephyr/sys/heap_listener.h>
#include <zephyr/sys/mem_blocks.h>
#include <zephyr/sys/util.h>

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#define BLK_SZ 64
#define NUM_BLOCKS 8

SYS_MEM_BLOCKS_DEFINE(mem_block_01, BLK_SZ, NUM_BLOCKS, 4);
static uint8_t mem_block_02_buf[BLK_SZ * NUM_BLOCKS];
SYS_MEM_BLOCKS_DEFINE_STATIC_WITH_EXT_BUF(mem_block_02, BLK_SZ, NUM_BLOCKS, mem_block_02_buf);
SYS_MEM_BLOCKS_DEFINE_STATIC(odd_blocks, 96, 40, 32);
SYS_MEM_BLOCKS_DEFINE_STATIC(aligned_blocks, 4096, 1, 4096);
static uint8_t __aligned(16) ext_buf[3 * 48];
SYS_MEM_BLOCKS_DEFINE_WITH_EXT_BUF(ext_blocks, 48, 3, ext_buf);

// ---- k_sys_fatal_error_handler ----

static int panics;
static unsigned panic_reason;

extern "C" void k_sys_fatal_error_handler(unsigned int reason, const struct arch_esf *) {
  panics++;
  panic_reason = reason;
}

// ---- Listeners ----

struct Heard {
  uintptr_t heap_id;
  void *mem;
  size_t bytes;
  bool operator==(const Heard &o) const { return heap_id == o.heap_id && mem == o.mem && bytes == o.bytes; }
};
static std::vector<Heard> heard;

static void hear(uintptr_t heap_id, void *mem, size_t bytes) {
  heard.push_back({heap_id, mem, bytes});
}

HEAP_LISTENER_ALLOC_DEFINE(alloc_listener, HEAP_ID_FROM_POINTER(&mem_block_01), hear);
HEAP_LISTENER_FREE_DEFINE(free_listener, HEAP_ID_FROM_POINTER(&mem_block_01), hear);

class Zephyr : public testing::Test {
protected:
  Zephyr() {
    panics = 0;
    heard.clear();
    sys_multi_mem_blocks_init(&group, [](struct sys_multi_mem_blocks *g, void *cfg) -> sys_mem_blocks_t * {
      uintptr_t const num = POINTER_TO_UINT(cfg) - 1;
      return num < static_cast<uintptr_t>(g->num_allocators) ? g->allocators[num] : nullptr;
    });
    sys_multi_mem_blocks_add_allocator(&group, &mem_block_01);
    sys_multi_mem_blocks_add_allocator(&group, &mem_block_02);
  }
  ~Zephyr() override {
    for (sys_mem_blocks_t *pool : {&mem_block_01, &mem_block_02, &odd_blocks, &ext_blocks}) {
      EXPECT_EQ(rf_memblocks_check(&pool->blocks, nullptr), RF_OK);
      for (size_t i = 0; i < pool->info.num_blocks; i++) {
        (void)sys_mem_blocks_free_contiguous(pool, pool->buffer + i * pool->blocks.block_size, 1);
      }
      (void)sys_mem_blocks_runtime_stats_reset_max(pool);
    }
  }

  static std::string bits(sys_mem_blocks_t &pool) {
    std::string text;
    for (size_t i = 0; i < pool.info.num_blocks; i++) {
      int val = -1;
      EXPECT_EQ(sys_bitarray_test_bit(pool.bitmap, i, &val), 0);
      text += static_cast<char>('0' + val);
    }
    return text;
  }
  static uint8_t *block(size_t i) { return mem_block_01.buffer + i * BLK_SZ; }

  sys_multi_mem_blocks_t group;
};

// ---- The manual ----

TEST_F(Zephyr, ManualExamplesDoWhatTheyMean) {
  uintptr_t first = 0;
  uintptr_t second = 0;
  EXPECT_EQ(manual_alloc(&first, &second), 0);
  EXPECT_EQ(second - first, 64U);
  EXPECT_EQ(first % 4, 0U);
  EXPECT_EQ(manual_free(first, second), 0);
  EXPECT_EQ(manual_free(first, second), -EFAULT);
  EXPECT_EQ(manual_alloc_and_free(), 0);
  EXPECT_EQ(manual_static(), 0);
  EXPECT_EQ(manual_ext_buf(), 0);
  EXPECT_EQ(manual_group(), 0);
  EXPECT_EQ(manual_by_address(), 0);
}

TEST_F(Zephyr, TheManualsCallsCompileAsCxxToo) {
  uintptr_t words[2];
  void *pointers[2];
  size_t size;
  EXPECT_EQ(sys_mem_blocks_alloc(mem_block_01, 2, words), 0);
  EXPECT_EQ(sys_mem_blocks_free(mem_block_01, 2, words), 0);
  EXPECT_EQ(sys_mem_blocks_alloc(mem_block_01, 2, pointers), 0);
  EXPECT_EQ(sys_mem_blocks_free(mem_block_01, 2, pointers), 0);
  EXPECT_EQ(sys_mem_blocks_alloc(&mem_block_01, 2, words), 0);
  EXPECT_EQ(sys_mem_blocks_free(&mem_block_01, 2, words), 0);
  EXPECT_EQ(sys_multi_mem_blocks_alloc(&group, UINT_TO_POINTER(1), 1, words, &size), 0);
  EXPECT_EQ(sys_multi_mem_blocks_free(&group, 1, words), 0);
}

// ---- Definitions ----

TEST_F(Zephyr, PoolsTellTheirGeometry) {
  EXPECT_EQ(mem_block_01.info.num_blocks, 8U);
  EXPECT_EQ(BIT(mem_block_01.info.blk_sz_shift), 64U);
  EXPECT_EQ(mem_block_01.num_blocks, 8U); // as it was before there was info
  EXPECT_EQ(mem_block_01.blk_sz_shift, 6);
  EXPECT_EQ(mem_block_02.buffer, mem_block_02_buf);
  EXPECT_EQ(mem_block_01.bitmap->num_bits, 8U);
  EXPECT_EQ(odd_blocks.info.blk_sz_shift, 6) << "of 96, rounded down";
  EXPECT_EQ(POINTER_TO_UINT(aligned_blocks.buffer) % 4096, 0U);
}

TEST_F(Zephyr, BlockSizesNeedNotBePowersOfTwo) {
  void *blocks[40];
  ASSERT_EQ(sys_mem_blocks_alloc(&odd_blocks, 40, blocks), 0);
  for (size_t i = 0; i < 40; i++) {
    EXPECT_EQ(blocks[i], odd_blocks.buffer + 96 * i);
    EXPECT_EQ(POINTER_TO_UINT(blocks[i]) % 32, 0U);
  }
  EXPECT_EQ(sys_mem_blocks_free(&odd_blocks, 40, blocks), 0);
  ASSERT_EQ(sys_mem_blocks_alloc(&ext_blocks, 3, blocks), 0);
  EXPECT_EQ(blocks[2], ext_buf + 96);
}

// ---- alloc and free ----

TEST_F(Zephyr, AllocatesOneByOneLowestFirstUntilNoneIsLeft) {
  void *blocks[NUM_BLOCKS];
  for (size_t i = 0; i < NUM_BLOCKS; i++) {
    ASSERT_EQ(sys_mem_blocks_alloc(&mem_block_01, 1, &blocks[i]), 0);
    EXPECT_EQ(blocks[i], block(i));
    EXPECT_EQ(bits(mem_block_01), std::string(i + 1, '1') + std::string(NUM_BLOCKS - i - 1, '0'));
  }
  void *more;
  EXPECT_EQ(sys_mem_blocks_alloc(&mem_block_01, 1, &more), -ENOMEM);
  EXPECT_EQ(sys_mem_blocks_free(&mem_block_01, NUM_BLOCKS, blocks), 0);
  EXPECT_EQ(bits(mem_block_01), "00000000");
}

TEST_F(Zephyr, AnswersLimitsAndBadPointersAsZephyrDoes) {
  void *blocks[2] = {nullptr, nullptr};
  EXPECT_EQ(sys_mem_blocks_alloc(&mem_block_01, 0, blocks), 0);
  EXPECT_EQ(sys_mem_blocks_alloc(&mem_block_01, NUM_BLOCKS + 1, blocks), -ENOMEM);
  EXPECT_EQ(sys_mem_blocks_alloc(&mem_block_01, 1, blocks), 0);
  EXPECT_EQ(sys_mem_blocks_free(&mem_block_01, 0, blocks), 0);
  EXPECT_EQ(sys_mem_blocks_free(&mem_block_01, NUM_BLOCKS + 1, blocks), -EINVAL);
  EXPECT_EQ(sys_mem_blocks_free(&mem_block_01, 1, blocks), 0);
  EXPECT_EQ(sys_mem_blocks_free(&mem_block_01, 1, blocks), -EFAULT);
  blocks[0] = block(NUM_BLOCKS);
  EXPECT_EQ(sys_mem_blocks_free(&mem_block_01, 1, blocks), -EFAULT);
  blocks[0] = block(0) - 1;
  EXPECT_EQ(sys_mem_blocks_free(&mem_block_01, 1, blocks), -EFAULT);
  EXPECT_EQ(panics, 0);
}

TEST_F(Zephyr, ABatchWithOneBadPointerFreesNothing) {
  void *blocks[3];
  ASSERT_EQ(sys_mem_blocks_alloc(&mem_block_01, 3, blocks), 0);
  for (void *bad :
       {static_cast<void *>(block(1) + 4), blocks[0], static_cast<void *>(block(5)), static_cast<void *>(nullptr)}) {
    void *batch[] = {blocks[0], blocks[2], bad};
    EXPECT_EQ(sys_mem_blocks_free(&mem_block_01, 3, batch), -EFAULT);
    EXPECT_EQ(bits(mem_block_01), "11100000");
  }
}

TEST_F(Zephyr, NullIsAPanicThenInvalid) {
  void *blocks[1] = {nullptr};
  EXPECT_EQ(sys_mem_blocks_alloc(nullptr, 1, blocks), -EINVAL);
  EXPECT_EQ(panic_reason, static_cast<unsigned>(K_ERR_KERNEL_PANIC));
  EXPECT_EQ(sys_mem_blocks_alloc(&mem_block_01, 1, NULL), -EINVAL);
  EXPECT_EQ(sys_mem_blocks_alloc_contiguous(nullptr, 1, blocks), -EINVAL);
  EXPECT_EQ(sys_mem_blocks_alloc_contiguous(&mem_block_01, 1, nullptr), -EINVAL);
  EXPECT_EQ(sys_mem_blocks_get(nullptr, blocks[0], 1), -EINVAL);
  EXPECT_EQ(sys_mem_blocks_is_region_free(nullptr, blocks[0], 1), 0);
  EXPECT_EQ(sys_mem_blocks_free(nullptr, 1, blocks), -EINVAL);
  EXPECT_EQ(sys_mem_blocks_free(&mem_block_01, 1, NULL), -EINVAL);
  EXPECT_EQ(sys_mem_blocks_free_contiguous(nullptr, blocks[0], 1), -EINVAL);
  EXPECT_EQ(sys_multi_mem_blocks_alloc(nullptr, UINT_TO_POINTER(16), 1, blocks, nullptr), -EINVAL);
  EXPECT_EQ(sys_multi_mem_blocks_alloc(&group, UINT_TO_POINTER(16), 1, NULL, nullptr), -EINVAL);
  EXPECT_EQ(sys_multi_mem_blocks_free(nullptr, 1, blocks), -EINVAL);
  EXPECT_EQ(sys_multi_mem_blocks_free(&group, 1, NULL), -EINVAL);
  sys_multi_mem_blocks_init(nullptr, nullptr);
  sys_multi_mem_blocks_add_allocator(&group, nullptr);
  sys_multi_mem_blocks_add_allocator(nullptr, &mem_block_01);
  EXPECT_EQ(panics, 16);
}

// ---- Runs ----

TEST_F(Zephyr, ContiguousRunsAreTakenAndFreedInParts) {
  void *run = nullptr;
  ASSERT_EQ(sys_mem_blocks_alloc_contiguous(&mem_block_01, NUM_BLOCKS, &run), 0);
  EXPECT_EQ(run, block(0));
  EXPECT_EQ(sys_mem_blocks_free_contiguous(&mem_block_01, run, 3), 0);
  EXPECT_EQ(sys_mem_blocks_free_contiguous(&mem_block_01, block(4), 4), 0);
  EXPECT_EQ(bits(mem_block_01), "00010000");
  EXPECT_EQ(sys_mem_blocks_alloc_contiguous(&mem_block_01, 5, &run), -ENOMEM);
  EXPECT_EQ(sys_mem_blocks_alloc_contiguous(&mem_block_01, 3, &run), 0);
  EXPECT_EQ(run, block(0));
  EXPECT_EQ(sys_mem_blocks_alloc_contiguous(&mem_block_01, 4, &run), 0);
  EXPECT_EQ(run, block(4));
  EXPECT_EQ(bits(mem_block_01), "11111111");
  EXPECT_EQ(sys_mem_blocks_alloc_contiguous(&mem_block_01, 0, &run), 0);
  EXPECT_EQ(run, nullptr);
  EXPECT_EQ(sys_mem_blocks_alloc_contiguous(&mem_block_01, NUM_BLOCKS + 1, &run), -ENOMEM);
}

TEST_F(Zephyr, ContiguousFreesAnswerBadRunsAsZephyrDoes) {
  ASSERT_EQ(sys_mem_blocks_get(&mem_block_01, block(2), 6), 0);
  EXPECT_EQ(sys_mem_blocks_free_contiguous(&mem_block_01, block(2), 0), 0);
  EXPECT_EQ(sys_mem_blocks_free_contiguous(&mem_block_01, block(2), NUM_BLOCKS + 1), -EINVAL);
  EXPECT_EQ(sys_mem_blocks_free_contiguous(&mem_block_01, block(6), 3), -EINVAL);
  EXPECT_EQ(sys_mem_blocks_free_contiguous(&mem_block_01, block(1), 2), -EFAULT);
  EXPECT_EQ(sys_mem_blocks_free_contiguous(&mem_block_01, block(2) + 1, 1), -EFAULT);
  EXPECT_EQ(sys_mem_blocks_free_contiguous(&mem_block_01, block(NUM_BLOCKS), 1), -EFAULT);
  EXPECT_EQ(sys_mem_blocks_free_contiguous(&mem_block_01, mem_block_02_buf, 1), -EFAULT);
  EXPECT_EQ(bits(mem_block_01), "00111111");
}

TEST_F(Zephyr, GetTakesGivenBlocksOrNone) {
  EXPECT_EQ(sys_mem_blocks_get(&mem_block_01, block(0), 2), 0);
  EXPECT_EQ(sys_mem_blocks_get(&mem_block_01, block(1), 2), -ENOMEM);
  EXPECT_EQ(sys_mem_blocks_get(&mem_block_01, block(NUM_BLOCKS - 1), 2), -ENOMEM);
  EXPECT_EQ(sys_mem_blocks_get(&mem_block_01, block(NUM_BLOCKS), 1), -ENOMEM);
  EXPECT_EQ(sys_mem_blocks_get(&mem_block_01, block(0) - 64, 1), -ENOMEM);
  EXPECT_EQ(sys_mem_blocks_get(&mem_block_01, block(3) + 1, 1), -EINVAL);
  EXPECT_EQ(sys_mem_blocks_get(&mem_block_01, block(3), 0), 0);
  EXPECT_EQ(bits(mem_block_01), "11000000");
  EXPECT_EQ(sys_mem_blocks_get(&mem_block_01, block(3), 1), 0);
  EXPECT_EQ(bits(mem_block_01), "11010000");
}

TEST_F(Zephyr, RegionIsFreeOrNot) {
  ASSERT_EQ(sys_mem_blocks_get(&mem_block_01, block(2), 1), 0);
  EXPECT_EQ(sys_mem_blocks_is_region_free(&mem_block_01, block(0), 2), 1);
  EXPECT_EQ(sys_mem_blocks_is_region_free(&mem_block_01, block(0), 3), 0);
  EXPECT_EQ(sys_mem_blocks_is_region_free(&mem_block_01, block(3), 5), 1);
  EXPECT_EQ(sys_mem_blocks_is_region_free(&mem_block_01, block(3), 6), 0);
  EXPECT_EQ(sys_mem_blocks_is_region_free(&mem_block_01, block(0), 0), 0);
  EXPECT_EQ(sys_mem_blocks_is_region_free(&mem_block_01, mem_block_02_buf, 1), 0);
}

// ---- Statistics ----

TEST_F(Zephyr, RuntimeStatisticsAreInBytesAndThePeakCanBeReset) {
  struct sys_memory_stats stats;
  void *blocks[3];
  EXPECT_EQ(sys_mem_blocks_runtime_stats_get(nullptr, &stats), -EINVAL);
  EXPECT_EQ(sys_mem_blocks_runtime_stats_get(&mem_block_02, nullptr), -EINVAL);
  EXPECT_EQ(sys_mem_blocks_runtime_stats_reset_max(nullptr), -EINVAL);
  auto expect = [&stats](size_t taken, size_t most) {
    EXPECT_EQ(sys_mem_blocks_runtime_stats_get(&mem_block_02, &stats), 0);
    EXPECT_EQ(stats.allocated_bytes, taken * BLK_SZ);
    EXPECT_EQ(stats.free_bytes, (NUM_BLOCKS - taken) * BLK_SZ);
    EXPECT_EQ(stats.max_allocated_bytes, most * BLK_SZ);
  };
  expect(0, 0);
  ASSERT_EQ(sys_mem_blocks_alloc(&mem_block_02, 3, blocks), 0);
  expect(3, 3);
  ASSERT_EQ(sys_mem_blocks_free(&mem_block_02, 2, &blocks[1]), 0);
  expect(1, 3);
  ASSERT_EQ(sys_mem_blocks_alloc(&mem_block_02, 1, &blocks[1]), 0);
  expect(2, 3);
  ASSERT_EQ(sys_mem_blocks_runtime_stats_reset_max(&mem_block_02), 0);
  expect(2, 2);
  ASSERT_EQ(sys_mem_blocks_free(&mem_block_02, 2, blocks), 0);
  expect(0, 2);
}

// ---- Listeners ----

TEST_F(Zephyr, ListenersHearBlocksOneByOneAndRunsAtOnce) {
  uintptr_t const id = HEAP_ID_FROM_POINTER(&mem_block_01);
  void *blocks[2];
  void *run;
  heap_listener_register(&alloc_listener);
  heap_listener_register(&free_listener);
  heap_listener_register(&free_listener); // once is enough
  EXPECT_EQ(sys_mem_blocks_alloc(&mem_block_01, 2, blocks), 0);
  EXPECT_EQ(sys_mem_blocks_alloc_contiguous(&mem_block_01, 3, &run), 0);
  EXPECT_EQ(sys_mem_blocks_get(&mem_block_01, block(6), 2), 0);
  EXPECT_EQ(sys_mem_blocks_free(&mem_block_01, 2, blocks), 0);
  EXPECT_EQ(sys_mem_blocks_free_contiguous(&mem_block_01, run, 3), 0);
  EXPECT_EQ(sys_mem_blocks_get(&mem_block_01, block(6), 2), -ENOMEM);
  EXPECT_EQ(sys_mem_blocks_free(&mem_block_01, 2, blocks), -EFAULT);
  EXPECT_EQ(sys_mem_blocks_get(&mem_block_02, mem_block_02.buffer, 1), 0);
  heap_listener_unregister(&alloc_listener);
  heap_listener_unregister(&free_listener);
  heap_listener_unregister(&free_listener);
  EXPECT_EQ(sys_mem_blocks_free_contiguous(&mem_block_01, block(6), 2), 0);
  std::vector<Heard> const expected = {{id, block(0), 64}, {id, block(1), 64}, {id, block(2), 192}, {id, block(6), 128},
                                       {id, block(0), 64}, {id, block(1), 64}, {id, block(2), 192}};
  EXPECT_EQ(heard, expected);
}

TEST_F(Zephyr, ListenersHearWhatOtherHeapsTell) {
  static void *ends[2];
  auto resized = [](uintptr_t, void *from, void *to) {
    ends[0] = from;
    ends[1] = to;
  };
  HEAP_LISTENER_RESIZE_DEFINE(listener, HEAP_ID_LIBC, resized);
  HEAP_LISTENER_ALLOC_DEFINE(libc_alloc, HEAP_ID_LIBC, hear);
  HEAP_LISTENER_FREE_DEFINE(libc_free, HEAP_ID_LIBC, hear);
  heap_listener_register(&listener);
  heap_listener_register(&libc_alloc);
  heap_listener_register(&libc_free);
  heap_listener_notify_resize(HEAP_ID_LIBC, block(0), block(1));
  heap_listener_notify_alloc(HEAP_ID_LIBC, block(2), 5);
  heap_listener_notify_free(HEAP_ID_LIBC, block(3), 6);
  heap_listener_notify_free(7, block(3), 6);
  heap_listener_unregister(&libc_alloc);
  heap_listener_unregister(&listener);
  heap_listener_unregister(&libc_free);
  EXPECT_EQ(ends[0], block(0));
  EXPECT_EQ(ends[1], block(1));
  EXPECT_EQ(heard, (std::vector<Heard>{{0, block(2), 5}, {0, block(3), 6}}));
}

// ---- Groups ----

TEST_F(Zephyr, GroupsServeFromTheChosenPoolAndFreeAtTheOwner) {
  void *blocks[2];
  size_t size = 0;
  EXPECT_EQ(sys_multi_mem_blocks_alloc(&group, UINT_TO_POINTER(16), 1, blocks, &size), -EINVAL);
  EXPECT_EQ(sys_multi_mem_blocks_alloc(&group, UINT_TO_POINTER(1), 1, &blocks[0], &size), 0);
  EXPECT_EQ(size, static_cast<size_t>(BLK_SZ));
  EXPECT_EQ(blocks[0], mem_block_01.buffer);
  EXPECT_EQ(sys_multi_mem_blocks_alloc(&group, UINT_TO_POINTER(2), 1, &blocks[1], &size), 0);
  EXPECT_EQ(blocks[1], mem_block_02.buffer);
  EXPECT_EQ(sys_multi_mem_blocks_free(&group, 1, &blocks[0]), 0);
  EXPECT_EQ(sys_multi_mem_blocks_free(&group, 1, &blocks[1]), 0);
  EXPECT_EQ(bits(mem_block_01) + bits(mem_block_02), "0000000000000000");
}

TEST_F(Zephyr, GroupsAnswerLimitsAndBadPointersAsZephyrDoes) {
  void *blocks[2] = {nullptr, nullptr};
  size_t size = 5;
  EXPECT_EQ(sys_multi_mem_blocks_alloc(&group, UINT_TO_POINTER(16), 0, blocks, &size), 0);
  EXPECT_EQ(size, 0U);
  EXPECT_EQ(sys_multi_mem_blocks_alloc(&group, UINT_TO_POINTER(1), NUM_BLOCKS + 1, blocks, nullptr), -ENOMEM);
  EXPECT_EQ(sys_multi_mem_blocks_alloc(&group, UINT_TO_POINTER(1), 1, blocks, nullptr), 0);
  EXPECT_EQ(sys_multi_mem_blocks_free(&group, 0, blocks), 0);
  EXPECT_EQ(sys_multi_mem_blocks_free(&group, NUM_BLOCKS + 1, blocks), -EINVAL);
  EXPECT_EQ(sys_multi_mem_blocks_free(&group, 1, blocks), 0);
  EXPECT_EQ(sys_multi_mem_blocks_free(&group, 1, blocks), -EFAULT);
  int foreign;
  blocks[0] = &foreign;
  EXPECT_EQ(sys_multi_mem_blocks_free(&group, 1, blocks), -EINVAL);
  EXPECT_EQ(sys_multi_mem_blocks_free(&group, 0, blocks), 0) << "none of them is looked at";
  group.choice_fn = nullptr;
  EXPECT_EQ(sys_multi_mem_blocks_alloc(&group, nullptr, 1, blocks, nullptr), -EINVAL);
}

TEST_F(Zephyr, AGroupFreesAllBlocksOfAPoolAtOnce) {
  void *blocks[NUM_BLOCKS];
  ASSERT_EQ(sys_multi_mem_blocks_alloc(&group, UINT_TO_POINTER(1), NUM_BLOCKS, blocks, nullptr), 0);
  EXPECT_EQ(sys_multi_mem_blocks_free(&group, NUM_BLOCKS, blocks), 0);
  EXPECT_EQ(bits(mem_block_01), "00000000");
}

TEST_F(Zephyr, GroupBatchesMaySpanPoolsAndAreFreedAllOrNone) {
  void *blocks[3];
  int foreign;
  ASSERT_EQ(sys_multi_mem_blocks_alloc(&group, UINT_TO_POINTER(1), 1, &blocks[0], nullptr), 0);
  ASSERT_EQ(sys_multi_mem_blocks_alloc(&group, UINT_TO_POINTER(2), 1, &blocks[1], nullptr), 0);
  blocks[2] = &foreign;
  EXPECT_EQ(sys_multi_mem_blocks_free(&group, 3, blocks), -EFAULT);
  EXPECT_EQ(bits(mem_block_01) + bits(mem_block_02), "1000000010000000");
  EXPECT_EQ(sys_multi_mem_blocks_free(&group, 2, blocks), 0);
  EXPECT_EQ(bits(mem_block_01) + bits(mem_block_02), "0000000000000000");
}

TEST_F(Zephyr, AGroupThatIsFullPanicsAndStaysAsItIs) {
  for (int i = 2; i < MAX_MULTI_ALLOCATORS; i++) {
    sys_multi_mem_blocks_add_allocator(&group, &odd_blocks); // the same again: the place in `allocators` counts
  }
  EXPECT_EQ(panics, 0);
  sys_multi_mem_blocks_add_allocator(&group, &ext_blocks);
  EXPECT_EQ(panics, 1);
  EXPECT_EQ(group.num_allocators, MAX_MULTI_ALLOCATORS);
  void *one[1];
  EXPECT_EQ(sys_multi_mem_blocks_alloc(&group, UINT_TO_POINTER(8), 1, one, nullptr), 0);
  EXPECT_EQ(sys_multi_mem_blocks_free(&group, 1, one), 0);
}

// ---- The bit array ----

TEST_F(Zephyr, BitsOutsideTheArrayAreInvalid) {
  int val;
  EXPECT_EQ(sys_bitarray_test_bit(mem_block_01.bitmap, NUM_BLOCKS, &val), -EINVAL);
  EXPECT_EQ(sys_bitarray_test_bit(mem_block_01.bitmap, 0, nullptr), -EINVAL);
  EXPECT_EQ(sys_bitarray_test_bit(nullptr, 0, &val), -EINVAL);
}

// ---- Threads: pools are shared without anybody having initialised anything ----

TEST_F(Zephyr, ThreadsShareAPool) {
  auto work = [](int id) {
    for (int i = 0; i < 5000; i++) {
      void *blocks[3];
      if (sys_mem_blocks_alloc(&odd_blocks, 3, blocks) != 0) {
        continue;
      }
      for (void *b : blocks) {
        *static_cast<int *>(b) = id;
      }
      for (void *b : blocks) {
        ASSERT_EQ(*static_cast<int *>(b), id);
      }
      ASSERT_EQ(sys_mem_blocks_free(&odd_blocks, 3, blocks), 0);
    }
  };
  std::vector<std::thread> threads;
  for (int id = 0; id < 4; id++) {
    threads.emplace_back(work, id);
  }
  for (std::thread &t : threads) {
    t.join();
  }
  struct sys_memory_stats stats;
  EXPECT_EQ(sys_mem_blocks_runtime_stats_get(&odd_blocks, &stats), 0);
  EXPECT_EQ(stats.allocated_bytes, 0U);
}
