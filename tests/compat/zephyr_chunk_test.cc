// Zephyr's sys_heap from inside: damage to its lists that no single chunk shows, and what it counts under a checker.
#include <zephyr/sys/sys_heap.h>

#include <gtest/gtest.h>
#include <ringfence/lock.h>
#include <ringfence/stats.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/core/recorder.h"
#include "tests/core/unwatched.h"

namespace {

Unwatched const unwatched_here;

enum { SIZE, LEFT, PREVIOUS, NEXT }; // words of a chunk

class ZephyrChunk : public ::testing::Test {
protected:
  void SetUp() override { sys_heap_init(&heap, memory, sizeof memory); }
  void TearDown() override { EXPECT_TRUE(faults.faults().empty()); }

  uint32_t *words_of(void *block) { return static_cast<uint32_t *>(block) - 2; }
  uint32_t number_of(void *block) { return static_cast<uint32_t>(static_cast<char *>(block) - memory) / 8 - 1; }

  ringfence::testing::FaultRecorder faults;
  alignas(8) char memory[1024];
  struct sys_heap heap;
};

// Two chunks that are free and listed as they should be: each free merges with its neighbours.
TEST_F(ZephyrChunk, FreeNeighboursAreDamage) {
  void *const first = sys_heap_alloc(&heap, 40);
  void *const second = sys_heap_alloc(&heap, 40);
  ASSERT_NE(nullptr, sys_heap_alloc(&heap, 40));
  sys_heap_free(&heap, first);
  ASSERT_TRUE(sys_heap_validate(&heap));
  uint32_t *const one = words_of(first);
  uint32_t *const other = words_of(second);
  size_t list = 0;
  while (heap.chunks.first[list] != number_of(first)) {
    ASSERT_LT(++list, static_cast<size_t>(RF_ZEPHYR_LISTS));
  }
  other[SIZE] &= ~15U;
  other[NEXT] = number_of(first);
  other[PREVIOUS] = one[PREVIOUS];
  one[PREVIOUS] = number_of(second);
  heap.chunks.first[list] = number_of(second);
  heap.chunks.counters.used -= 40;
  heap.chunks.counters.blocks--;
  EXPECT_FALSE(sys_heap_validate(&heap));
}

// A block that would grow into a free chunk whose links are damaged stays as it is, and the chunk with it.
TEST_F(ZephyrChunk, NoBlockGrowsIntoAChunkWithDamagedLinks) {
  void *const p = sys_heap_alloc(&heap, 40);
  void *const right = sys_heap_alloc(&heap, 40);
  ASSERT_NE(nullptr, sys_heap_alloc(&heap, 40));
  sys_heap_free(&heap, right);
  for (int const link : {PREVIOUS, NEXT}) {
    words_of(right)[link] ^= 1;
    EXPECT_EQ(nullptr, sys_heap_aligned_realloc(&heap, p, 0, 60)) << link;
    EXPECT_EQ(RF_ERR_CORRUPT, faults.take()) << link;
    words_of(right)[link] ^= 1;
    EXPECT_TRUE(sys_heap_validate(&heap)) << link;
  }
  EXPECT_EQ(p, sys_heap_aligned_realloc(&heap, p, 0, 60));
  EXPECT_TRUE(sys_heap_validate(&heap));
}

// With all of the free chunk behind it, of which nothing is left.
TEST_F(ZephyrChunk, ABlockGrowsToTheLastByteOfTheChunkBehindIt) {
  void *const p = sys_heap_alloc(&heap, 40);
  void *const right = sys_heap_alloc(&heap, 24);
  ASSERT_NE(nullptr, sys_heap_alloc(&heap, 40));
  while (sys_heap_alloc(&heap, 8) != nullptr) {
  }
  sys_heap_free(&heap, right);
  EXPECT_EQ(p, sys_heap_aligned_realloc(&heap, p, 0, 40 + 8 + 24));
  EXPECT_TRUE(sys_heap_validate(&heap));
}

// However small the free chunk before it: it is in its list again.
TEST_F(ZephyrChunk, AFreeThatFindsDamageBehindTheBlockChangesNothingBeforeIt) {
  for (size_t const size : {1, 16, 40}) {
    sys_heap_init(&heap, memory, sizeof memory);
    void *const left = sys_heap_alloc(&heap, size);
    void *const p = sys_heap_alloc(&heap, 40);
    void *const right = sys_heap_alloc(&heap, 40);
    ASSERT_NE(nullptr, sys_heap_alloc(&heap, 40));
    sys_heap_free(&heap, left);
    sys_heap_free(&heap, right);
    words_of(right)[NEXT] ^= 1;
    sys_heap_free(&heap, p);
    EXPECT_EQ(RF_ERR_CORRUPT, faults.take()) << size;
    words_of(right)[NEXT] ^= 1;
    EXPECT_TRUE(sys_heap_validate(&heap)) << size;
    sys_heap_free(&heap, p);
    EXPECT_TRUE(sys_heap_validate(&heap)) << size;
  }
}

// A word keeps which lists have a chunk: an alloc would follow what is none, or pass over what there is.
TEST_F(ZephyrChunk, AListThatIsSaidToBeOtherwiseIsDamage) {
  void *const p = sys_heap_alloc(&heap, 40);
  ASSERT_NE(nullptr, sys_heap_alloc(&heap, 40));
  sys_heap_free(&heap, p);
  int told = 0;
  for (int bit = 0; bit < 64; bit++) {
    heap.chunks.lists ^= uint64_t{1} << bit;
    told += sys_heap_validate(&heap) ? 0 : 1;
    heap.chunks.lists ^= uint64_t{1} << bit;
  }
  EXPECT_EQ(RF_ZEPHYR_LISTS, told);
  EXPECT_TRUE(sys_heap_validate(&heap));
}

// A request would be served from a chunk that is too small, or pass over one that would do.
TEST_F(ZephyrChunk, AChunkInTheListOfAnotherSizeIsDamage) {
  void *const p = sys_heap_alloc(&heap, 40);
  ASSERT_NE(nullptr, sys_heap_alloc(&heap, 40));
  sys_heap_free(&heap, p);
  rf_zephyr_chunk_heap &chunks = heap.chunks;
  size_t list = 0;
  while (chunks.first[list] != number_of(p)) {
    ASSERT_LT(++list, static_cast<size_t>(RF_ZEPHYR_LISTS));
  }
  size_t const other = list + 1;
  uint64_t const both = uint64_t{3} << (64 - RF_ZEPHYR_LISTS + list) % 64; // bits of the lists
  ASSERT_EQ(UINT32_MAX, chunks.first[other]);
  ASSERT_TRUE(sys_heap_validate(&heap));
  chunks.first[other] = chunks.first[list];
  chunks.first[list] = UINT32_MAX;
  chunks.lists ^= both;
  words_of(p)[PREVIOUS]++;
  EXPECT_FALSE(sys_heap_validate(&heap));
}

// The first header is there, and no block: what would be the header of one is before the memory.
TEST_F(ZephyrChunk, NothingBeforeTheMemoryIsRead) {
  auto const page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  auto *const pages =
      static_cast<char *>(mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(MAP_FAILED, static_cast<void *>(pages));
  ASSERT_EQ(0, mprotect(pages, page, PROT_NONE));
  sys_heap_init(&heap, pages + page, page);
  EXPECT_EQ(0U, sys_heap_usable_size(&heap, pages + page));
  sys_heap_free(&heap, pages + page);
  EXPECT_EQ(RF_ERR_BAD_POINTER, faults.take());
  sys_heap_init(&heap, memory, sizeof memory);
  EXPECT_EQ(0, munmap(pages, 2 * page));
}

// The code around the heap may count otherwise: the peak is what the program had.
TEST_F(ZephyrChunk, ThePeakIsCountedAroundTheHeap) {
  static rf_lock around;
  struct sys_memory_stats stats = {};
  rf_zephyr_wrap_set(
      [](rf_allocator *inner, struct sys_heap *, void *context) {
        auto *const lock = static_cast<rf_lock *>(context);
        return rf_lock_init(lock, inner) == RF_OK ? &lock->base : nullptr;
      },
      &around);
  sys_heap_init(&heap, memory, sizeof memory);
  rf_zephyr_wrap_set(nullptr, nullptr);
  void *const p = sys_heap_alloc(&heap, 100);
  sys_heap_free(&heap, p);
  void *const q = sys_heap_alloc(&heap, 40);
  ASSERT_NE(nullptr, q);
  ASSERT_EQ(0, sys_heap_runtime_stats_get(&heap, &stats));
  EXPECT_EQ(40U, stats.allocated_bytes);
  EXPECT_EQ(100U, stats.max_allocated_bytes);
  ASSERT_EQ(0, sys_heap_runtime_stats_reset_max(&heap));
  ASSERT_EQ(0, sys_heap_runtime_stats_get(&heap, &stats));
  EXPECT_EQ(40U, stats.max_allocated_bytes);
  ASSERT_NE(nullptr, sys_heap_aligned_realloc(&heap, q, 0, 130));
  ASSERT_EQ(0, sys_heap_runtime_stats_get(&heap, &stats));
  EXPECT_EQ(130U, stats.max_allocated_bytes);
}

// The first chunk is too small once it is aligned; the next one has what is asked for and the largest gap before it.
TEST(ZephyrChunkAlignment, AChunkMayHaveNoMoreThanItsGapAndTheBlock) {
  alignas(64) static char aligned[512];
  static struct sys_heap heap;
  sys_heap_init(&heap, aligned, sizeof aligned);
  void *const small = sys_heap_alloc(&heap, 16);
  ASSERT_NE(nullptr, sys_heap_alloc(&heap, 32));
  void *const large = sys_heap_alloc(&heap, 64);
  ASSERT_EQ(aligned + 72, large);
  while (sys_heap_alloc(&heap, 8) != nullptr) {
  }
  sys_heap_free(&heap, small);
  sys_heap_free(&heap, large);
  EXPECT_EQ(aligned + 128, sys_heap_aligned_alloc(&heap, 64, 8));
  EXPECT_TRUE(sys_heap_validate(&heap));
}

TEST_F(ZephyrChunk, AWalkTellsOfEachByteAndFiguresOfTheLargestChunk) {
  void *const p = sys_heap_alloc(&heap, 400);
  ASSERT_NE(nullptr, sys_heap_alloc(&heap, 13));
  void *const q = sys_heap_alloc(&heap, 40);
  while (sys_heap_alloc(&heap, 8) != nullptr) {
  }
  sys_heap_free(&heap, p);
  sys_heap_free(&heap, q);
  size_t bytes = 0;
  EXPECT_EQ(RF_OK, rf_walk(
                       rf_zephyr_allocator(&heap),
                       [](const rf_block *block, void *sum) {
                         *static_cast<size_t *>(sum) += block->size + block->overhead;
                         return true;
                       },
                       &bytes));
  EXPECT_EQ(sizeof memory, bytes);
  rf_stats stats;
  rf_stats_get(rf_zephyr_allocator(&heap), &stats);
  EXPECT_EQ(400U, stats.largest_free);
  EXPECT_EQ(440U, stats.free_bytes);
}

// The one chunk is in a list far behind that of the request: on 32 bits in the other word of the bitmap.
TEST_F(ZephyrChunk, ASmallBlockIsServedFromAChunkOfAnySize) {
  size_t const most = size_t{64} << 20;
  void *const all = mmap(nullptr, most, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(MAP_FAILED, all);
  struct sys_heap large;
  for (size_t size = 64; size <= most; size *= 2) {
    sys_heap_init(&large, all, size);
    void *const p = sys_heap_alloc(&large, 8);
    ASSERT_NE(nullptr, p) << size;
    EXPECT_TRUE(sys_heap_validate(&large)) << size;
    sys_heap_free(&large, p);
    EXPECT_TRUE(sys_heap_validate(&large)) << size;
  }
  rf_deinit(rf_zephyr_allocator(&large));
  munmap(all, most);
}

// A state says how many bytes of the last unit are the block's; a block has a unit behind its header.
TEST_F(ZephyrChunk, AHeaderThatNoBlockHasIsDamage) {
  auto *const p = static_cast<uint32_t *>(sys_heap_alloc(&heap, 8));
  ASSERT_NE(nullptr, sys_heap_alloc(&heap, 8));
  uint32_t *const header = words_of(p);
  uint32_t const whole = header[SIZE];
  p[1] = 1; // which the heap takes for the border of a chunk of one unit
  for (uint32_t const size : {1U, 2U}) {
    for (uint32_t state = size == 1 ? 1 : 10; state < 16; state++) {
      header[SIZE] = size << 4 | state;
      EXPECT_FALSE(sys_heap_validate(&heap));
      sys_heap_free(&heap, p);
      EXPECT_EQ(RF_ERR_CORRUPT, faults.take()) << size << " " << state;
      EXPECT_EQ(nullptr, sys_heap_aligned_realloc(&heap, p, 0, 4));
      EXPECT_EQ(RF_ERR_CORRUPT, faults.take()) << size << " " << state;
      EXPECT_EQ(0U, sys_heap_usable_size(&heap, p));
      header[SIZE] = whole;
      EXPECT_TRUE(sys_heap_validate(&heap)) << size << " " << state;
    }
  }
  sys_heap_free(&heap, p);
}

TEST_F(ZephyrChunk, APointerBesideTheFirstByteOfABlockIsRefused) {
  auto *const p = static_cast<char *>(sys_heap_alloc(&heap, 40));
  for (int distance = -7; distance <= 7; distance++) {
    if (distance != 0) {
      sys_heap_free(&heap, p + distance);
      EXPECT_EQ(RF_ERR_BAD_POINTER, faults.take()) << distance;
    }
  }
  EXPECT_EQ(40U, sys_heap_usable_size(&heap, p));
  sys_heap_free(&heap, p);
}

TEST_F(ZephyrChunk, MoreMemoryThanAnyObjectHasIsNoHeap) {
  struct sys_heap large;
  sys_heap_init(&large, memory, static_cast<size_t>(PTRDIFF_MAX) + 1);
  EXPECT_EQ(nullptr, sys_heap_alloc(&large, 8));
}

} // namespace
