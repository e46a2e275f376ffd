#include <ringfence/bump.h>

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace {

struct Chunk {
  void *memory;
  size_t size;
};

// Counts the chunks that an arena has, and ends with none of them.
class Source {
public:
  explicit Source(size_t least = 0, size_t skew = 0) : least_(least), skew_(skew) {}
  ~Source() { EXPECT_TRUE(live.empty()); }

  std::vector<Chunk> live;
  rf_bump_source source = {&Grow, &Shrink, this};
  bool exhausted = false;

private:
  static void *Grow(void *context, size_t *size) {
    auto *const self = static_cast<Source *>(context);
    if (self->exhausted) {
      return nullptr;
    }
    *size = *size > self->least_ ? *size : self->least_;
    self->live.push_back({static_cast<char *>(std::malloc(*size + self->skew_)) + self->skew_, *size});
    return self->live.back().memory;
  }

  static void Shrink(void *context, void *memory, size_t size) {
    auto *const self = static_cast<Source *>(context);
    ASSERT_FALSE(self->live.empty());
    EXPECT_EQ(self->live.back().memory, memory);
    EXPECT_EQ(self->live.back().size, size);
    self->live.pop_back();
    std::free(static_cast<char *>(memory) - self->skew_);
  }

  size_t least_;
  size_t skew_; // of the memory, which need not be aligned
};

TEST(BumpTest, ServesItsMemoryToTheLastByte) {
  unsigned char memory[64];
  rf_bump bump;
  ASSERT_EQ(rf_bump_init(&bump, memory, sizeof memory, nullptr), RF_OK);
  EXPECT_EQ(rf_bump_alloc(&bump, 60, 1), memory);
  EXPECT_EQ(rf_bump_alloc(&bump, 5, 1), nullptr);
  EXPECT_EQ(rf_bump_alloc(&bump, 4, 1), memory + 60);
  EXPECT_EQ(rf_bump_alloc(&bump, 0, 1), nullptr);
}

TEST(BumpTest, AlignsToAnyPowerOfTwo) {
  unsigned char memory[4096];
  rf_bump bump;
  ASSERT_EQ(rf_bump_init(&bump, memory + 1, sizeof memory - 1, nullptr), RF_OK);
  for (size_t align = 1; align <= 1024; align *= 2) {
    void *const p = rf_bump_alloc(&bump, 1, align);
    ASSERT_NE(p, nullptr);
    EXPECT_TRUE(rf_is_aligned(p, align));
  }
}

TEST(BumpTest, RefusesAnAlignmentThatIsNoPowerOfTwo) {
  unsigned char memory[64];
  rf_bump bump;
  ASSERT_EQ(rf_bump_init(&bump, memory, sizeof memory, nullptr), RF_OK);
  EXPECT_EQ(rf_bump_alloc(&bump, 1, 0), nullptr);
  EXPECT_EQ(rf_bump_alloc(&bump, 1, 3), nullptr);
}

TEST(BumpTest, NoSizeWraps) {
  Source source;
  unsigned char memory[64];
  const rf_bump_source *const sources[] = {nullptr, &source.source};
  for (const rf_bump_source *from : sources) {
    rf_bump bump;
    ASSERT_EQ(rf_bump_init(&bump, memory, sizeof memory, from), RF_OK);
    for (size_t const size : {SIZE_MAX, SIZE_MAX - 15, SIZE_MAX - 64, RF_SIZE_LIMIT + 1, RF_SIZE_LIMIT}) {
      EXPECT_EQ(rf_bump_alloc(&bump, size, 16), nullptr);
    }
    EXPECT_EQ(rf_bump_alloc(&bump, SIZE_MAX / 2, SIZE_MAX / 2 + 1), nullptr);
    EXPECT_NE(rf_bump_alloc(&bump, 1, 1), nullptr) << "a refusal uses nothing up";
    for (size_t gap = 1; gap < 16; gap++) { /* not more than the gap before the next multiple of 16 */
      EXPECT_EQ(rf_bump_alloc(&bump, SIZE_MAX - gap + 1, 16), nullptr) << gap;
    }
  }
}

TEST(BumpTest, RefusesMemoryThatIsNone) {
  rf_bump bump;
  char byte;
  EXPECT_EQ(rf_bump_init(&bump, &byte, UINTPTR_MAX - reinterpret_cast<uintptr_t>(&byte), nullptr), RF_OK);
  EXPECT_EQ(rf_bump_init(nullptr, &byte, 1, nullptr), RF_ERR_INVALID);
  EXPECT_EQ(rf_bump_init(&bump, nullptr, 1, nullptr), RF_ERR_INVALID);
  EXPECT_EQ(rf_bump_init(&bump, &byte, SIZE_MAX, nullptr), RF_ERR_INVALID);
}

TEST(BumpTest, AnArenaWithoutMemoryServesNothing) {
  rf_bump bump;
  ASSERT_EQ(rf_bump_init(&bump, nullptr, 0, nullptr), RF_OK);
  EXPECT_EQ(rf_bump_alloc(&bump, 0, 1), nullptr);
}

TEST(BumpTest, ResetServesTheSameMemoryAgain) {
  unsigned char memory[64];
  rf_bump bump;
  ASSERT_EQ(rf_bump_init(&bump, memory, sizeof memory, nullptr), RF_OK);
  (void)rf_bump_alloc(&bump, 10, 1);
  rf_bump_mark const mark = rf_bump_get_mark(&bump);
  void *const p = rf_bump_alloc(&bump, 20, 1);
  ASSERT_EQ(rf_bump_reset(&bump, mark), RF_OK);
  EXPECT_EQ(rf_bump_alloc(&bump, 54, 1), p);
}

TEST(BumpTest, GrowsWhereItsMemoryIsUsedUp) {
  Source source(256);
  unsigned char memory[16];
  rf_bump bump;
  ASSERT_EQ(rf_bump_init(&bump, memory, sizeof memory, &source.source), RF_OK);
  EXPECT_EQ(rf_bump_alloc(&bump, 16, 1), memory);
  for (int i = 0; i < 100; i++) {
    void *const p = rf_bump_alloc(&bump, 40, 8);
    ASSERT_NE(p, nullptr);
    memset(p, i, 40);
  }
  EXPECT_GT(source.live.size(), 10U);
  rf_bump_clear(&bump);
  EXPECT_EQ(rf_bump_alloc(&bump, 16, 1), memory);
}

TEST(BumpTest, GrowsForAnAlignmentBeyondThatOfTheSource) {
  Source source;
  rf_bump bump;
  ASSERT_EQ(rf_bump_init(&bump, nullptr, 0, &source.source), RF_OK);
  void *const p = rf_bump_alloc(&bump, 3, 4096);
  ASSERT_NE(p, nullptr);
  EXPECT_TRUE(rf_is_aligned(p, 4096));
  memset(p, 1, 3);
  rf_bump_clear(&bump);
}

TEST(BumpTest, AChunkIsNoLargerThanNeededAndServesAllBehindItsHeader) {
  constexpr size_t kHeader = 4 * sizeof(void *);
  Source source;
  for (size_t const align : {1, 8, 64}) {
    rf_bump bump;
    ASSERT_EQ(rf_bump_init(&bump, nullptr, 0, &source.source), RF_OK);
    auto *const p = static_cast<unsigned char *>(rf_bump_alloc(&bump, 40, align));
    ASSERT_EQ(source.live.size(), 1U);
    auto *const memory = static_cast<unsigned char *>(source.live[0].memory);
    EXPECT_EQ(source.live[0].size, 40 + align - 1 + kHeader + alignof(void *) - 1);
    EXPECT_EQ(p, memory + kHeader + (align - reinterpret_cast<uintptr_t>(memory + kHeader) % align) % align);
    EXPECT_NE(rf_bump_alloc(&bump, static_cast<size_t>(memory + source.live[0].size - p) - 40, 1), nullptr);
    EXPECT_EQ(source.live.size(), 1U) << "to the last byte";
    rf_bump_clear(&bump);
  }
}

TEST(BumpTest, ResetGivesBackTheChunksBehindTheMark) {
  Source source;
  rf_bump bump;
  ASSERT_EQ(rf_bump_init(&bump, nullptr, 0, &source.source), RF_OK);
  (void)rf_bump_alloc(&bump, 100, 1);
  rf_bump_mark const mark = rf_bump_get_mark(&bump);
  (void)rf_bump_alloc(&bump, 200, 1);
  (void)rf_bump_alloc(&bump, 300, 1);
  EXPECT_EQ(source.live.size(), 3U);
  EXPECT_EQ(rf_bump_reset(&bump, mark), RF_OK);
  EXPECT_EQ(source.live.size(), 1U);
  rf_bump_clear(&bump);
}

TEST(BumpTest, ASourceThatTakesNothingBackKeepsItsChunks) {
  alignas(void *) static char chunk[256];
  bool given = false;
  rf_bump_source const source = {[](void *context, size_t *size) -> void * {
                                   bool *const once = static_cast<bool *>(context);
                                   void *const memory = *once ? nullptr : chunk;
                                   EXPECT_LE(*size, sizeof chunk);
                                   *size = sizeof chunk;
                                   *once = true;
                                   return memory;
                                 },
                                 nullptr, &given};
  char memory[16];
  rf_bump bump;
  ASSERT_EQ(rf_bump_init(&bump, memory, sizeof memory, &source), RF_OK);
  rf_bump_mark const mark = rf_bump_get_mark(&bump);
  EXPECT_NE(rf_bump_alloc(&bump, 40, 1), nullptr);
  EXPECT_EQ(rf_bump_reset(&bump, mark), RF_OK);
  EXPECT_EQ(rf_bump_alloc(&bump, 16, 1), memory);
  EXPECT_EQ(rf_bump_alloc(&bump, 40, 1), nullptr) << "the chunk is the caller's to find";
}

TEST(BumpTest, GivesBackAMisalignedChunkAsItCame) {
  for (size_t skew = 0; skew < 2 * alignof(void *); skew++) {
    Source source(0, skew);
    rf_bump bump;
    ASSERT_EQ(rf_bump_init(&bump, nullptr, 0, &source.source), RF_OK);
    auto *const p = static_cast<unsigned char *>(rf_bump_alloc(&bump, 40, 8));
    ASSERT_NE(p, nullptr);
    memset(p, 1, 40);
    rf_bump_clear(&bump); // the source expects what it gave
  }
}

TEST(BumpTest, ASourceThatHasNothingIsNotTheEnd) {
  Source source;
  unsigned char memory[16];
  rf_bump bump;
  ASSERT_EQ(rf_bump_init(&bump, memory, sizeof memory, &source.source), RF_OK);
  source.exhausted = true;
  EXPECT_EQ(rf_bump_alloc(&bump, 17, 1), nullptr);
  EXPECT_NE(rf_bump_alloc(&bump, 16, 1), nullptr);
}

TEST(BumpTest, RefusesAMarkThatIsNoLongerAPosition) {
  Source source;
  rf_bump bump;
  ASSERT_EQ(rf_bump_init(&bump, nullptr, 0, &source.source), RF_OK);
  (void)rf_bump_alloc(&bump, 10, 1);
  rf_bump_mark const first = rf_bump_get_mark(&bump);
  (void)rf_bump_alloc(&bump, 5, 1);
  (void)rf_bump_alloc(&bump, 1000, 1);
  rf_bump_mark const later = rf_bump_get_mark(&bump);
  ASSERT_EQ(rf_bump_reset(&bump, first), RF_OK);
  EXPECT_EQ(rf_bump_reset(&bump, later), RF_ERR_INVALID);
  EXPECT_EQ(rf_bump_reset(&bump, rf_bump_mark{first.chunk, static_cast<unsigned char *>(first.next) + 1}),
            RF_ERR_INVALID);
  EXPECT_EQ(rf_bump_reset(&bump, rf_bump_mark{first.chunk, reinterpret_cast<unsigned char *>(first.chunk)}),
            RF_ERR_INVALID);
  EXPECT_EQ(rf_bump_reset(&bump, rf_bump_mark{nullptr, nullptr}), RF_OK);
  EXPECT_EQ(rf_bump_reset(&bump, first), RF_ERR_INVALID);
}

TEST(BumpTest, AMarkAboveWhatIsAllocatedOfAnEarlierChunkIsNone) {
  Source source;
  unsigned char memory[64];
  rf_bump bump;
  ASSERT_EQ(rf_bump_init(&bump, memory, sizeof memory, &source.source), RF_OK);
  rf_bump_mark const start = rf_bump_get_mark(&bump);
  ASSERT_EQ(rf_bump_alloc(&bump, 40, 1), memory);
  rf_bump_mark const later = rf_bump_get_mark(&bump);
  ASSERT_EQ(rf_bump_reset(&bump, start), RF_OK);
  ASSERT_NE(rf_bump_alloc(&bump, 100, 1), nullptr); // by another chunk
  EXPECT_EQ(rf_bump_reset(&bump, later), RF_ERR_INVALID);
  EXPECT_EQ(source.live.size(), 1U);
  rf_bump_clear(&bump);
}

} // namespace
