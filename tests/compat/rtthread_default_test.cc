// RT-Thread: a program that makes no heap, as code for RT-Thread leaves that to the board. One test a process, since it
// happens once.
#include <rtthread.h>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>
#include <vector>

namespace {

// While the first call makes the heap, another thread's waits for it.
class SecondCall {
public:
  SecondCall() {
    rf_rt_wrap_set(
        [](rf_allocator *heap, const char *, void *self) {
          static_cast<SecondCall *>(self)->begin();
          return heap;
        },
        this);
  }
  void *end() {
    thread_.join();
    rf_rt_wrap_set(nullptr, nullptr);
    return block_;
  }

private:
  // A call that does not wait has long come back when this does.
  void begin() {
    thread_ = std::thread([this] {
      block_ = rt_malloc(100);
      came_back_ = true;
    });
    for (int i = 0; i < 50 && !came_back_; i++) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  std::thread thread_;
  std::atomic<void *> block_{nullptr};
  std::atomic<bool> came_back_{false};
};

// In a process of its own each.
TEST(RtThreadDefaultDeathTest, EachCallMakesOneWhereItIsTheFirst) {
  bool (*const calls[])() = {
      [] { return rt_malloc_align(10, 256) != nullptr; },
      [] { return rt_calloc(2, 5) != nullptr; },
      [] { return rt_realloc(nullptr, 10) != nullptr; },
      [] { return rt_strdup("text") != nullptr; },
      [] { return rt_mp_create("pool", 1, 8) != nullptr; },
      [] {
        rt_size_t total = 0;
        rt_memory_info(&total, nullptr, nullptr);
        return total > RF_RT_HEAP_SIZE / 2;
      },
#ifdef RT_USING_SLAB_AS_HEAP
      [] { return rt_page_alloc(1) != nullptr; },
#endif
  };
  for (auto const call : calls) {
    EXPECT_EXIT(_Exit(call() ? 0 : 1), testing::ExitedWithCode(0), "");
  }
}

// A product that wraps is told to the heap's checker, which the first call has to make.
TEST(RtThreadDefaultDeathTest, AProductThatWrapsIsToldWhereItIsTheFirstCall) {
  auto const first = [] {
    static unsigned rejects = 0;
    rf_rt_wrap_set(
        [](rf_allocator *heap, const char *, void *) {
          static rf_allocator_ops ops = *heap->ops;
          ops.reject = [](rf_allocator *, rf_reject why, size_t size, size_t detail, const rf_site *) {
            rejects += why == RF_REJECT_OVERFLOW && size == 16 && detail == SIZE_MAX / 2 ? 1 : 100;
          };
          heap->ops = &ops;
          return heap;
        },
        nullptr);
    return rt_calloc(SIZE_MAX / 2, 16) == nullptr && rejects == 1;
  };
  EXPECT_EXIT(_Exit(first() ? 0 : 1), testing::ExitedWithCode(0), "");
}

TEST(RtThreadDefault, TheFirstCallsMakeOneHeapUntilSomebodyDoes) {
  SecondCall second;
  rt_free(rt_malloc(100));
  void *const served = second.end();
  EXPECT_NE(nullptr, served);
  rt_free(served);
  std::vector<std::thread> threads;
  std::vector<void *> blocks(4);
  for (void *&block : blocks) {
    threads.emplace_back([&block] { block = rt_malloc(512 * 1024); });
  }
  for (std::thread &t : threads) {
    t.join();
  }
  rt_size_t total = 0;
  rt_size_t used = 0;
  rt_memory_info(&total, &used, nullptr);
  EXPECT_LT(RF_RT_HEAP_SIZE * 9UL / 10, total);
  EXPECT_EQ(4 * 512 * 1024UL, used);
  for (void *const block : blocks) {
    EXPECT_NE(nullptr, block);
    rt_free(block);
  }
  rt_mp_t const pool = rt_mp_create("pool", 10, 10);
  EXPECT_NE(nullptr, pool);
  EXPECT_EQ(RT_EOK, rt_mp_delete(pool));

  alignas(16) static char memory[64 * 1024];
  rt_system_heap_init(memory, memory + sizeof memory);
  EXPECT_EQ(nullptr, rt_malloc(sizeof memory));
  void *const p = rt_malloc(1000);
  EXPECT_LT(reinterpret_cast<uintptr_t>(p) - reinterpret_cast<uintptr_t>(memory), sizeof memory);
  rt_system_heap_init(RT_NULL, RT_NULL);
  EXPECT_EQ(nullptr, rt_malloc(1000));
}

} // namespace
