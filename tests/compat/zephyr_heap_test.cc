// Zephyr's sys_heap: what its own tests rely on, what is refused, a checker.
#include <zephyr/sys/sys_heap.h>

#include <ringfence/guard.h>
#include <ringfence/track.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <sstream>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#include "zephyr_heap_fixture.h"

namespace {

TEST_F(ZephyrHeap, ABlockTakesEightBytesAndItsSizeRoundedUpToEight) {
  sys_heap_init(&heap, memory, sizeof memory);
  char *last = static_cast<char *>(sys_heap_alloc(&heap, 1));
  EXPECT_EQ(memory + 8, last);
  for (size_t bytes = 1; bytes < 100; bytes++) {
    char *const p = static_cast<char *>(sys_heap_alloc(&heap, bytes));
    ASSERT_NE(nullptr, p);
    EXPECT_EQ(8U + sys_heap_usable_size(&heap, last), static_cast<size_t>(p - last));
    EXPECT_EQ(ROUND_UP(bytes, 8), sys_heap_usable_size(&heap, p));
    if (bytes % 10 == 0) {
      sys_heap_init(&heap, memory, sizeof memory);
      last = static_cast<char *>(sys_heap_alloc(&heap, 1));
    } else {
      last = p;
    }
  }
  EXPECT_TRUE(sys_heap_validate(&heap));
}

TEST_F(ZephyrHeap, MemoryThatIsNoMultipleOfEightGivesWholeUnits) {
  for (size_t bytes = 64; bytes < 72; bytes++) {
    sys_heap_init(&heap, memory, bytes);
    EXPECT_EQ(nullptr, sys_heap_alloc(&heap, 57)) << bytes;
    void *const p = sys_heap_alloc(&heap, 56);
    EXPECT_EQ(56U, sys_heap_usable_size(&heap, p)) << bytes;
  }
}

TEST_F(ZephyrHeap, IsWholeAfterEachOfManyRequests) {
  struct block {
    unsigned char *at;
    size_t size;
  };
  std::vector<block> live;
  std::minstd_rand random(1);
  sys_heap_init(&heap, memory, 2000);
  for (int i = 0; i < 20000; i++) {
    size_t const size = 1 + random() % (random() % 4 != 0 ? 60 : 400);
    size_t const align = random() % 3 != 0 ? 8 : size_t{8} << random() % 4;
    size_t const chosen = live.empty() ? 0 : random() % live.size();
    if (live.empty() || random() % 5 < 2) {
      auto *const p = static_cast<unsigned char *>(sys_heap_aligned_alloc(&heap, align, size));
      if (p != nullptr) {
        ASSERT_EQ(0U, reinterpret_cast<uintptr_t>(p) % align);
        live.push_back({p, size});
        std::fill_n(p, size, static_cast<unsigned char>(size));
      }
    } else if (random() % 3 == 0) {
      block &b = live[chosen];
      size_t const kept = std::min(size, b.size);
      auto *const p = static_cast<unsigned char *>(sys_heap_realloc(&heap, b.at, size));
      if (p != nullptr) {
        ASSERT_EQ(p + kept, std::find_if(p, p + kept, [&](unsigned char c) { return c != b.size % 256; }));
        b = {p, size};
        std::fill_n(p, size, static_cast<unsigned char>(size));
      }
    } else {
      sys_heap_free(&heap, live[chosen].at);
      live.erase(live.begin() + static_cast<ptrdiff_t>(chosen));
    }
    ASSERT_TRUE(sys_heap_validate(&heap)) << "after request " << i;
  }
}

// Each word of a free neighbour, of its own header and of the links: the free is refused, and done once it is mended.
// The neighbour to the left is in the list of the other one, or alone in a list, which is empty while they are merged.
TEST_F(ZephyrHeap, ADamagedNeighbourIsNotMergedWith) {
  for (size_t const size : {40, 104}) {
    size_t const width = size / sizeof(uint32_t) + 2; // in words: the chunk to the left
    for (unsigned word = 0; word < 10; word++) {
      sys_heap_init(&heap, memory, 512);
      void *blocks[5];
      for (void *&p : blocks) {
        p = sys_heap_alloc(&heap, &p == &blocks[1] ? size : 40);
      }
      sys_heap_free(&heap, blocks[1]);
      sys_heap_free(&heap, blocks[3]);
      auto *const left = static_cast<uint32_t *>(blocks[1]);
      auto *const right = static_cast<uint32_t *>(blocks[3]);
      uint32_t *const words[10] = {left - 2, left,      left + 1,         right - 2,        right - 1,
                                   right,    right + 1, left + width - 2, left + width - 1, right + 12 - 1};
      uint32_t const was = *words[word];
      *words[word] = 0xcccccccc;
      sys_heap_free(&heap, blocks[2]);
      EXPECT_NE(RF_OK, fault()) << word;
      *words[word] = was;
      EXPECT_TRUE(sys_heap_validate(&heap)) << word;
      sys_heap_free(&heap, blocks[2]);
      EXPECT_TRUE(sys_heap_validate(&heap)) << word;
      EXPECT_NE(nullptr, sys_heap_alloc(&heap, size + 96)) << word;
    }
  }
}

// The states of a header that mean nothing, in the free and in the live chunk behind.
TEST_F(ZephyrHeap, AChunkOfNoStateBehindIsDamaged) {
  for (const bool freed : {false, true}) {
    for (uint32_t state = 10; state < 16; state++) {
      sys_heap_init(&heap, memory, 512);
      void *const block = sys_heap_alloc(&heap, 40);
      void *const behind = sys_heap_alloc(&heap, 40);
      ASSERT_NE(nullptr, sys_heap_alloc(&heap, 40));
      if (freed) {
        sys_heap_free(&heap, behind);
      }
      auto *const size = static_cast<uint32_t *>(behind) - 2;
      uint32_t const was = *size;
      *size = (was & ~15U) | state;
      sys_heap_free(&heap, block);
      EXPECT_EQ(RF_ERR_CORRUPT, fault()) << state;
      *size = was;
      EXPECT_TRUE(sys_heap_validate(&heap)) << state;
      sys_heap_free(&heap, block);
      EXPECT_EQ(RF_OK, fault()) << state;
      EXPECT_TRUE(sys_heap_validate(&heap)) << state;
    }
  }
}

// A free chunk of one unit to the left, which is in no list, stays as it is where the free is refused.
TEST_F(ZephyrHeap, AFreeRestOfOneUnitIsInNoListWhateverIsRefused) {
  sys_heap_init(&heap, memory, 512);
  void *const first = sys_heap_alloc(&heap, 24);
  void *const second = sys_heap_alloc(&heap, 40);
  void *const third = sys_heap_alloc(&heap, 40);
  ASSERT_NE(nullptr, sys_heap_alloc(&heap, 40));
  EXPECT_EQ(first, sys_heap_realloc(&heap, first, 16));
  sys_heap_free(&heap, third);
  auto *const size = static_cast<uint32_t *>(third) - 2;
  uint32_t const was = *size;
  *size = was + (1U << 4);
  sys_heap_free(&heap, second);
  EXPECT_EQ(RF_ERR_CORRUPT, fault());
  *size = was;
  EXPECT_TRUE(sys_heap_validate(&heap));
  sys_heap_free(&heap, second);
  EXPECT_TRUE(sys_heap_validate(&heap));
}

// Sizes have 28 bits: what lies behind the units that these count is not used.
TEST(ZephyrChunkHeap, UsesNoMoreThanTwoGibibytes) {
  if (sizeof(void *) == 4 || RF_TRACK) {
    GTEST_SKIP() << "no room for so many, or all of it would be marked";
  }
  size_t const two_gibibytes = size_t{1} << 31;
  size_t const size = two_gibibytes + 4096;
  void *const memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(MAP_FAILED, memory);
  rf_zephyr_chunk_heap chunks;
  ASSERT_EQ(RF_OK, rf_zephyr_chunk_heap_init(&chunks, memory, size));
  rf_stats stats;
  rf_stats_get(&chunks.base, &stats);
  EXPECT_EQ(two_gibibytes - 8, stats.capacity);
  EXPECT_EQ(two_gibibytes - 16, stats.largest_free);
  void *const all = rf_alloc_at(&chunks.base, stats.largest_free, 8, nullptr);
  EXPECT_NE(nullptr, all);
  EXPECT_EQ(RF_OK, rf_free(&chunks.base, all));
  EXPECT_EQ(RF_OK, rf_check(&chunks.base, nullptr));
  rf_deinit(&chunks.base);
  munmap(memory, size);
}

TEST(ZephyrChunkHeap, AnEndedOneIsWholeAndHasNothing) {
  alignas(8) char memory[256];
  rf_zephyr_chunk_heap chunks;
  ASSERT_EQ(RF_OK, rf_zephyr_chunk_heap_init(&chunks, memory, sizeof memory));
  EXPECT_NE(nullptr, rf_alloc_at(&chunks.base, 10, 8, nullptr));
  rf_deinit(&chunks.base);
  EXPECT_EQ(RF_OK, rf_check(&chunks.base, nullptr));
  EXPECT_EQ(nullptr, rf_alloc_at(&chunks.base, 1, 8, nullptr));
  EXPECT_EQ(nullptr, rf_alloc_at(&chunks.base, 1, 64, nullptr));
  EXPECT_FALSE(rf_owns(&chunks.base, memory));
}

TEST(ZephyrChunkHeap, IsNoneOfMoreMemoryThanThereCanBe) {
  alignas(8) char memory[256];
  rf_zephyr_chunk_heap chunks;
  EXPECT_EQ(RF_ERR_INVALID, rf_zephyr_chunk_heap_init(&chunks, memory, SIZE_MAX));
  EXPECT_EQ(RF_ERR_INVALID, rf_zephyr_chunk_heap_init(&chunks, memory, SIZE_MAX / 2 + 1));
  EXPECT_EQ(RF_ERR_INVALID, rf_zephyr_chunk_heap_init(&chunks, nullptr, sizeof memory));
}

TEST_F(ZephyrHeap, AlignmentsAreKeptAndOddOnesTurnedDown) {
  sys_heap_init(&heap, memory, sizeof memory);
  for (size_t align = 1; align <= 512; align *= 2) {
    void *const p = sys_heap_aligned_alloc(&heap, align, 5);
    EXPECT_TRUE(rf_is_aligned(p, align)) << align;
    void *const q = sys_heap_aligned_realloc(&heap, p, align, 100);
    EXPECT_TRUE(rf_is_aligned(q, align)) << align;
    sys_heap_free(&heap, q);
  }
  EXPECT_NE(nullptr, sys_heap_noalign_alloc(&heap, 3, 5));
  for (size_t const align : {3, 5, 6, 7, 12, 24}) {
    EXPECT_EQ(nullptr, sys_heap_aligned_alloc(&heap, align, 5)) << align;
  }
  EXPECT_EQ(nullptr, sys_heap_alloc(&heap, 0));
  EXPECT_EQ(nullptr, sys_heap_alloc(&heap, SIZE_MAX));
  EXPECT_EQ(nullptr, sys_heap_alloc(&heap, SIZE_MAX - 7));
}

TEST_F(ZephyrHeap, ReallocStaysWhereItCanAndAtZeroFrees) {
  sys_heap_init(&heap, memory, sizeof memory);
  char *const p = static_cast<char *>(sys_heap_alloc(&heap, 61));
  memset(p, 4, 61);
  EXPECT_EQ(p, sys_heap_realloc(&heap, p, 64));
  EXPECT_EQ(p, sys_heap_realloc(&heap, p, 1000));
  EXPECT_EQ(4, p[60]);
  EXPECT_EQ(nullptr, sys_heap_realloc(&heap, p, 5000));
  EXPECT_EQ(4, p[60]);
  EXPECT_EQ(p, sys_heap_realloc(&heap, p, 10));
  EXPECT_EQ(nullptr, sys_heap_realloc(&heap, p, 0));
  void *(*const by_address)(struct sys_heap *, void *, size_t) = sys_heap_realloc; // a function since Zephyr 4.3
  EXPECT_EQ(memory + 8, by_address(&heap, nullptr, 4080));
}

TEST_F(ZephyrHeap, BadPointersAreRefused) {
  sys_heap_init(&heap, memory, sizeof memory);
  char *const p = static_cast<char *>(sys_heap_alloc(&heap, 100));
  sys_heap_free(&heap, p + 8);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault());
  sys_heap_free(&heap, &heap);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault());
  EXPECT_EQ(0U, sys_heap_usable_size(&heap, p + 8));
  sys_heap_free(&heap, p);
  sys_heap_free(&heap, p);
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, fault());
  sys_heap_free(&heap, nullptr);
  memory[3] = static_cast<char>(memory[3] ^ 1);
  EXPECT_FALSE(sys_heap_validate(&heap));
}

TEST_F(ZephyrHeap, AHeapWithoutRoomServesNothing) {
  sys_heap_init(&heap, memory, 4);
  EXPECT_EQ(nullptr, rf_zephyr_allocator(&heap));
  EXPECT_EQ(nullptr, sys_heap_alloc(&heap, 1));
  EXPECT_EQ(nullptr, sys_heap_realloc(&heap, nullptr, 1));
  EXPECT_TRUE(sys_heap_validate(&heap));
  EXPECT_EQ(nullptr, sys_heap_realloc(&heap, memory, 1));
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault());
  sys_heap_free(&heap, memory);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault());
  for (size_t bytes = 1; bytes < 40; bytes++) {
    for (unsigned shift = 0; shift < 8; shift++) {
      sys_heap_init(&heap, memory + shift, Z_HEAP_MIN_SIZE_FOR(bytes));
      EXPECT_NE(nullptr, sys_heap_alloc(&heap, bytes));
    }
  }
  sys_heap_init(&heap, memory + 1, Z_HEAP_MIN_SIZE);
  EXPECT_NE(nullptr, sys_heap_alloc(&heap, 1));
}

TEST_F(ZephyrHeap, StatisticsCountWhatIsInUseAndThePeakIsReset) {
  struct sys_memory_stats stats;
  EXPECT_EQ(-EINVAL, sys_heap_runtime_stats_get(nullptr, &stats));
  EXPECT_EQ(-EINVAL, sys_heap_runtime_stats_get(&heap, nullptr));
  EXPECT_EQ(-EINVAL, sys_heap_runtime_stats_reset_max(nullptr));
  sys_heap_init(&heap, memory, sizeof memory);
  void *p = sys_heap_alloc(&heap, 150);
  p = sys_heap_realloc(&heap, p, 100);
  ASSERT_EQ(0, sys_heap_runtime_stats_get(&heap, &stats));
  EXPECT_EQ(100U, stats.allocated_bytes);
  EXPECT_EQ(150U, stats.max_allocated_bytes);
  EXPECT_EQ(4096U - 8 - 104 - 8, stats.free_bytes);
  EXPECT_EQ(0, sys_heap_runtime_stats_reset_max(&heap));
  sys_heap_free(&heap, p);
  ASSERT_EQ(0, sys_heap_runtime_stats_get(&heap, &stats));
  EXPECT_EQ(0U, stats.allocated_bytes);
  EXPECT_EQ(100U, stats.max_allocated_bytes);
}

TEST_F(ZephyrHeap, ItsInformationIsEightyCharactersWideAndHasTheBlocksWhereAskedFor) {
  sys_heap_init(&heap, memory, sizeof memory);
  ASSERT_NE(nullptr, sys_heap_alloc(&heap, 100));
  for (bool const blocks : {false, true}) {
    testing::internal::CaptureStderr();
    sys_heap_print_info(&heap, blocks);
    std::istringstream text(testing::internal::GetCapturedStderr());
    size_t longest = 0;
    bool listed = false;
    for (std::string line; std::getline(text, line);) {
      longest = std::max(longest, line.size());
      listed = listed || line == "  live blocks";
    }
    EXPECT_EQ(80U, longest);
    EXPECT_EQ(blocks, listed);
    EXPECT_NE(std::string::npos, text.str().find("map")) << text.str();
  }
}

// Memory at an odd address: the figures are those of the heap that will be made there.
TEST_F(ZephyrHeap, AHeapThatIsNotMadeYetHasTheRoomOfItsAlignedMemory) {
  for (size_t offset = 0; offset < 8; offset++) {
    for (size_t const size : {size_t{0}, size_t{7}, size_t{8}, size_t{15}, size_t{16}, size_t{101}, size_t{112}}) {
      struct sys_memory_stats before;
      struct sys_memory_stats after;
      struct sys_heap unmade = {nullptr, memory + offset, size, {}, nullptr, 0, nullptr, nullptr};
      EXPECT_EQ(0, sys_heap_runtime_stats_get(&unmade, &before));
      EXPECT_LE(before.free_bytes, size) << size << " at " << offset;
      static struct sys_heap made;
      sys_heap_init(&made, memory + offset, size);
      EXPECT_EQ(0, sys_heap_runtime_stats_get(&made, &after));
      EXPECT_EQ(after.free_bytes, before.free_bytes) << size << " at " << offset;
    }
  }
}

TEST_F(ZephyrHeap, NothingBehindTheMemoryIsRead) {
  auto const page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  auto *const pages =
      static_cast<char *>(mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_EQ(0, mprotect(pages + page, page, PROT_NONE));
  sys_heap_init(&heap, pages + page - 1024, 1024);
  void *const p = sys_heap_alloc(&heap, 100);
  EXPECT_TRUE(sys_heap_validate(&heap));
  sys_heap_free(&heap, p);
  EXPECT_TRUE(sys_heap_validate(&heap));
  for (size_t behind = 0; behind <= 16; behind += 8) {
    sys_heap_free(&heap, pages + page + behind);
    EXPECT_EQ(RF_ERR_BAD_POINTER, fault()) << behind;
  }
  munmap(pages, 2 * page);
  sys_heap_init(&heap, memory, sizeof memory);
}

// The name alone, as in a table of functions: no macro has it.
TEST_F(ZephyrHeap, FunctionsAreThereAsWell) {
  sys_heap_init(&heap, memory, sizeof memory);
  void *const p = (sys_heap_alloc)(&heap, 30);
  ASSERT_NE(nullptr, p);
  (sys_heap_free)(&heap, p);
  (sys_heap_free)(&heap, p);
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, fault());
}

TEST_F(ZephyrHeap, TheStressRigLeavesTheHeapEmpty) {
  std::vector<char> scratch(2048);
  struct z_heap_stress_result result;
  sys_heap_init(&heap, memory, sizeof memory);
  sys_heap_stress([](void *h, size_t bytes) { return sys_heap_alloc(static_cast<struct sys_heap *>(h), bytes); },
                  [](void *h, void *p) { sys_heap_free(static_cast<struct sys_heap *>(h), p); }, &heap, sizeof memory,
                  5000, scratch.data(), scratch.size(), 50, &result);
  EXPECT_EQ(5000U, result.total_allocs + result.total_frees);
  EXPECT_LT(1000U, result.successful_allocs);
  EXPECT_LE(result.successful_allocs, result.total_allocs);
  EXPECT_LE(result.total_frees, result.successful_allocs);
  EXPECT_LT(result.accumulated_in_use_bytes, 5000U * sizeof memory);
  EXPECT_TRUE(sys_heap_validate(&heap));
  EXPECT_NE(nullptr, sys_heap_alloc(&heap, 4080));
}

TEST_F(ZephyrHeap, TheStressRigWithoutRoomForARecordAsksForNothing) {
  struct z_heap_stress_result result;
  uint32_t calls = 0;
  sys_heap_stress(
      [](void *count, size_t) {
        ++*static_cast<uint32_t *>(count);
        return static_cast<void *>(nullptr);
      },
      [](void *count, void *) { ++*static_cast<uint32_t *>(count); }, &calls, sizeof memory, 100, memory,
      sizeof(void *) - 1, 50, &result);
  EXPECT_EQ(0U, calls);
  EXPECT_EQ(0U, result.total_allocs + result.total_frees);
}

// On a heap that never runs out.
TEST_F(ZephyrHeap, TheStressRigKeepsAboutAsMuchInUseAsItIsTold) {
  std::vector<char> scratch(1 << 16);
  double const operations = 20000;
  size_t const total = 100000;
  for (int const percent : {20, 50, 80}) {
    struct z_heap_stress_result result;
    sys_heap_stress([](void *block, size_t) { return block; }, [](void *, void *) {}, scratch.data(), total,
                    static_cast<uint32_t>(operations), scratch.data(), scratch.size(), percent, &result);
    double const average = static_cast<double>(result.accumulated_in_use_bytes) / operations;
    EXPECT_NEAR(average * 100 / total, percent, 10);
    EXPECT_EQ(result.total_allocs, result.successful_allocs);
  }
}

TEST_F(ZephyrHeap, ThePeakOfAHeapIsReset) {
  sys_heap_init(&heap, memory, sizeof memory);
  void *const p = sys_heap_alloc(&heap, 100);
  sys_heap_free(&heap, sys_heap_alloc(&heap, 50));
  struct sys_memory_stats stats;
  EXPECT_EQ(0, sys_heap_runtime_stats_get(&heap, &stats));
  EXPECT_EQ(100U, stats.allocated_bytes);
  EXPECT_EQ(150U, stats.max_allocated_bytes);
  EXPECT_EQ(0, sys_heap_runtime_stats_reset_max(&heap));
  EXPECT_EQ(0, sys_heap_runtime_stats_get(&heap, &stats));
  EXPECT_EQ(100U, stats.max_allocated_bytes);
  sys_heap_free(&heap, p);
}

// ---- A checker around it ----

TEST_F(ZephyrHeap, AGuardAroundItFindsAnOverflow) {
  static rf_guard guard;
  static std::vector<std::string> findings;
  static rf_reporter reporter = {[](rf_reporter *, const rf_finding *f) {
                                   findings.push_back(rf_bug_name(f->bug));
                                   return RF_ACTION_CONTINUE;
                                 },
                                 nullptr, RF_EXITCODE_DEFAULT, 0};
  rf_zephyr_wrap_set(
      [](rf_allocator *allocator, struct sys_heap *, void *) {
        rf_guard_options options;
        rf_guard_options_default(&options);
        options.reporter = &reporter;
        return rf_guard_init(&guard, allocator, &options) == RF_OK ? &guard.base : nullptr;
      },
      nullptr);
  sys_heap_init(&heap, memory, sizeof memory);
  char *const p = static_cast<char *>(sys_heap_alloc(&heap, 13));
  EXPECT_EQ(13U, sys_heap_usable_size(&heap, p));
  EXPECT_TRUE(sys_heap_validate(&heap));
  char *volatile past = p + 13;
  *past = 1;
  EXPECT_FALSE(sys_heap_validate(&heap));
  sys_heap_free(&heap, p);
  EXPECT_EQ(std::vector<std::string>{"heap-buffer-overflow"}, findings);
  rf_deinit(rf_zephyr_allocator(&heap));
  rf_zephyr_wrap_set(nullptr, nullptr);
}

} // namespace
