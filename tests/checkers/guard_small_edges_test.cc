// Edges of guard_small: how much waits, what is told of a block that waits, the largest alignment, findings in several
// lines.
#include <ringfence/guard_small.h>
#include <ringfence/report_serial.h>
#include <ringfence/simple.h>

#include "tests/core/text_sink.h"
#include "tests/core/unwatched.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <map>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

namespace ringfence {
namespace {

const rf_site kMade = {"made.c", "make", 3};
const rf_site kDropped = {"dropped.c", "drop", 4};

struct Guarded : rf_guard_small {
  std::vector<rf_small_finding> seen;
};

class GuardSmallEdges : public testing::Test {
protected:
  GuardSmallEdges() : arena_(size_t{256} << 10) {
    EXPECT_EQ(rf_simple_init(&heap_, arena_.data(), arena_.size()), RF_OK);
    start(200);
  }
  ~GuardSmallEdges() override {
    end();
    EXPECT_TRUE(guard_.seen.empty()) << "findings that no test took";
  }

  void start(size_t quarantine) {
    ASSERT_EQ(rf_guard_small_init(&guard_, &heap_.base, quarantine), RF_OK);
    guard_.report = [](rf_guard_small *self, const rf_small_finding *f) {
      static_cast<Guarded *>(self)->seen.push_back(*f);
    };
  }

  void end() { guard_.base.ops->deinit(&guard_.base); }

  unsigned char *make(size_t size, size_t align = RF_ALIGN_DEFAULT) {
    return static_cast<unsigned char *>(rf_alloc_at(&guard_.base, size, align, &kMade));
  }
  void drop(void *p) { EXPECT_EQ(rf_free_at(&guard_.base, p, &kDropped), RF_OK); }

  rf_small_finding take_one() {
    std::vector<rf_small_finding> seen;
    seen.swap(guard_.seen);
    EXPECT_EQ(seen.size(), 1U);
    return seen.empty() ? rf_small_finding{} : seen[0];
  }

  std::vector<unsigned char> arena_;
  Unwatched unwatched_{arena_.data(), arena_.size()};
  rf_simple heap_;
  Guarded guard_ = {};
};

// ---- What waits ----

TEST_F(GuardSmallEdges, AsManyBytesWaitAsTheQuarantineHas) {
  unsigned char *const blocks[] = {make(100), make(100), make(1)};
  drop(blocks[0]);
  drop(blocks[1]);
  EXPECT_EQ(guard_.waiting_count, 2U);
  EXPECT_EQ(guard_.waiting_bytes, 200U);
  drop(blocks[2]);
  EXPECT_EQ(guard_.waiting_count, 2U);
  EXPECT_EQ(guard_.waiting_bytes, 101U);
}

TEST_F(GuardSmallEdges, AsManyBlocksWaitAsTheRingHas) {
  std::vector<unsigned char *> blocks;
  for (unsigned i = 0; i < 3 * RF_GUARD_SMALL_WAITING; i++) {
    blocks.push_back(make(1));
  }
  for (size_t i = 0; i < blocks.size(); i++) {
    drop(blocks[i]);
    EXPECT_EQ(guard_.waiting_count, i < RF_GUARD_SMALL_WAITING ? i + 1 : RF_GUARD_SMALL_WAITING);
  }
}

// How large a block was of which the header is lost is not known, but none that waits no longer has bytes.
TEST_F(GuardSmallEdges, BytesOfALostBlockDoNotWaitForEver) {
  unsigned char *const p = make(100);
  unsigned char *const q = make(150);
  drop(p);
  p[-static_cast<ptrdiff_t>(sizeof(void *))] ^= 2; // no call site lies there, whatever the header's address
  drop(q);
  EXPECT_EQ(take_one().bug, RF_BUG_BUFFER_UNDERFLOW);
  EXPECT_EQ(guard_.waiting_count, 0U);
  EXPECT_EQ(guard_.waiting_bytes, 0U);
}

// A board that sweeps now and then has one line of it. The heap does not get such a block back.
TEST_F(GuardSmallEdges, DamagedWordsAreToldOnce) {
  for (size_t const align : {RF_ALIGN_DEFAULT, size_t{128}}) {
    for (bool const waits : {false, true}) {
      unsigned char *const p = make(40, align);
      if (waits) {
        drop(p);
      }
      p[-static_cast<ptrdiff_t>(sizeof(void *))] ^= 2;
      EXPECT_EQ(rf_guard_small_sweep(&guard_), 1U) << align << waits;
      rf_small_finding const f = take_one();
      EXPECT_EQ(f.bug, RF_BUG_BUFFER_UNDERFLOW);
      EXPECT_EQ(f.address, reinterpret_cast<uintptr_t>(p) - 2 * sizeof(void *));
      EXPECT_EQ(f.released, waits ? &kDropped : nullptr);
      EXPECT_EQ(rf_guard_small_sweep(&guard_), 0U) << align << waits;
      EXPECT_EQ(rf_free_at(&guard_.base, p, &kDropped), RF_ERR_CORRUPT);
    }
  }
}

TEST_F(GuardSmallEdges, ABlockThatWaitsIsToldWithBothPlaces) {
  unsigned char *const p = make(100);
  drop(p);
  p[7] ^= 1;
  drop(make(150)); // and p leaves
  rf_small_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_USE_AFTER_FREE);
  EXPECT_EQ(f.address, reinterpret_cast<uintptr_t>(p) + 7);
  EXPECT_EQ(f.allocated, &kMade);
  EXPECT_EQ(f.released, &kDropped);
}

TEST_F(GuardSmallEdges, TheBytesBehindABlockThatWaitsAreWatchedToo) {
  unsigned char *const p = make(13);
  drop(p);
  p[14] ^= 1;
  EXPECT_EQ(rf_guard_small_sweep(&guard_), 1U);
  rf_small_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_BUFFER_OVERFLOW);
  EXPECT_EQ(f.address, reinterpret_cast<uintptr_t>(p) + 14);
}

// ---- Damaged words whose checksum is right by chance: on boards one in 11 ----

constexpr auto kMixer = static_cast<uintptr_t>(0x9E3779B97F4A7C15U);

// Writes words before `block` that pass for those of a block of `size` bytes or a few more, in the state of `like`.
void forge(unsigned char *block, uintptr_t size, const unsigned char *like) {
  auto *const words = reinterpret_cast<uintptr_t *>(block) - 2;
  uintptr_t const state = (reinterpret_cast<const uintptr_t *>(like) - 2)[0] & 63;
  unsigned const shift = 4 * sizeof(uintptr_t) - 3;
  for (;; size++) {
    words[0] = size << 6 | state;
    uintptr_t const mixed = (words[0] ^ reinterpret_cast<uintptr_t>(words)) * kMixer;
    uintptr_t const distance = words[1] ^ mixed ^ mixed >> shift;
    if (distance % sizeof(uintptr_t) == 0 && distance >> (RF_GUARD_SMALL_SITE_BITS - 1) >> 1 == 0) {
      return;
    }
  }
}

TEST_F(GuardSmallEdges, ABlockThatWaitsIsNoLongerThanTheHeapSays) {
  unsigned char *const block = make(20);
  drop(block);
  forge(block, 1 << 22, block);
  EXPECT_EQ(rf_guard_small_sweep(&guard_), 1U);
  rf_small_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_BUFFER_UNDERFLOW);
  EXPECT_EQ(f.released, &kDropped);
  EXPECT_EQ(rf_guard_small_sweep(&guard_), 0U);
  EXPECT_EQ(rf_check(&heap_.base, nullptr), RF_OK);
}

TEST_F(GuardSmallEdges, ALiveBlockIsNoLongerThanTheHeapSays) {
  unsigned char *const block = make(20);
  forge(block, 1 << 22, block);
  EXPECT_EQ(rf_guard_small_sweep(&guard_), 1U);
  EXPECT_EQ(take_one().bug, RF_BUG_BUFFER_UNDERFLOW);
}

TEST_F(GuardSmallEdges, ALiveBlockThatLooksFreedIsTold) {
  unsigned char *const block = make(20);
  unsigned char *const other = make(20);
  drop(other);
  forge(block, 20, other);
  EXPECT_EQ(rf_guard_small_sweep(&guard_), 1U);
  EXPECT_EQ(take_one().bug, RF_BUG_BUFFER_UNDERFLOW);
}

TEST_F(GuardSmallEdges, AtTheEndAllThatWaitsGoesBack) {
  drop(make(20));
  drop(make(30));
  end();
  rf_stats s;
  rf_stats_get(&heap_.base, &s);
  EXPECT_EQ(s.blocks, 0U);
  EXPECT_FALSE(rf_owns(&guard_.base, arena_.data() + 1000));
}

// The heap has made one block of two. The header of the second is as it was, within the payload.
TEST_F(GuardSmallEdges, AHeaderInsideABlockThatLivesIsNoDoubleFree) {
  end();
  start(0);
  unsigned char *const first = make(100, 64);
  unsigned char *const second = make(100, 64);
  drop(second);
  drop(first);
  unsigned char *const both = make(2000, 64);
  ASSERT_GT(second, both);
  ASSERT_LT(second, both + 2000);
  EXPECT_EQ(rf_free(&guard_.base, second), RF_ERR_BAD_POINTER);
  EXPECT_EQ(take_one().bug, RF_BUG_BAD_FREE);
  drop(both);
}

// The header would lie half in the arena: what is behind that is not read.
TEST_F(GuardSmallEdges, NothingBehindTheArenaIsRead) {
  auto const page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void *const memory = mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  unsigned char *const end = static_cast<unsigned char *>(memory) + page;
  ASSERT_EQ(mprotect(end, page, PROT_NONE), 0);
  rf_simple heap;
  Guarded guard;
  ASSERT_EQ(rf_simple_init(&heap, memory, page), RF_OK);
  ASSERT_EQ(rf_guard_small_init(&guard, &heap.base, 200), RF_OK);
  guard.report = guard_.report;
  EXPECT_EQ(rf_free(&guard.base, end + sizeof(uintptr_t)), RF_ERR_BAD_POINTER);
  EXPECT_EQ(rf_usable_size(&guard.base, end + sizeof(uintptr_t)), 0U);
  ASSERT_EQ(guard.seen.size(), 1U);
  EXPECT_EQ(guard.seen[0].bug, RF_BUG_BAD_FREE);
  guard.base.ops->deinit(&guard.base);
  munmap(memory, 2 * page);
}

TEST_F(GuardSmallEdges, TheLargestAlignmentIsServedAndNoLargerOne) {
  unsigned char *const p = make(10, size_t{1} << 15);
  ASSERT_NE(p, nullptr);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % (size_t{1} << 15), 0U);
  EXPECT_EQ(make(10, size_t{1} << 16), nullptr);
  drop(p);
}

// ---- Lines ----

struct Line {
  unsigned record;
  unsigned index;
  std::string data;
};

std::vector<Line> lines_of(const std::string &text) {
  std::vector<Line> lines;
  for (size_t begin = 0, end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    std::string bytes;
    for (size_t at = begin + 4; at + 1 < end; at += 2) {
      bytes += static_cast<char>(std::stoi(text.substr(at, 2), nullptr, 16));
    }
    auto const number = [&](size_t at) {
      return static_cast<unsigned char>(bytes[at]) | static_cast<unsigned>(static_cast<unsigned char>(bytes[at + 1]))
                                                         << 8;
    };
    lines.push_back(
        {number(2), number(4), bytes.substr(RF_SERIAL_HEAD, bytes.size() - RF_SERIAL_HEAD - RF_SERIAL_CRC)});
  }
  return lines;
}

// Each number once, whole, in the order of the lines.
TEST(SmallFindingLines, CountUpAndHaveAllNumbers) {
  auto const large = static_cast<uintptr_t>(0xFEDCBA9876543210U);
  rf_small_finding const f = {RF_BUG_LEAK, large, large - 1, static_cast<size_t>(large - 2), &kDropped, &kMade, &kMade};
  std::string text;
  rf_sink const sink = sink_to(&text);
  rf_small_finding_write(&f, 0x1234, &sink);
  std::vector<Line> const lines = lines_of(text);
  ASSERT_GT(lines.size(), 1U);
  std::map<unsigned, uintptr_t> numbers;
  for (size_t i = 0; i < lines.size(); i++) {
    EXPECT_EQ(lines[i].record, 0x1234U);
    EXPECT_EQ(lines[i].index, i + 1 < lines.size() ? i : i | RF_SERIAL_LAST);
    for (size_t at = 0; at < lines[i].data.size(); at += 2U + static_cast<unsigned char>(lines[i].data[at + 1])) {
      uintptr_t value = 0;
      std::memcpy(&value, lines[i].data.data() + at + 2, static_cast<unsigned char>(lines[i].data[at + 1]));
      EXPECT_TRUE(numbers.emplace(static_cast<unsigned char>(lines[i].data[at]), value).second);
    }
  }
  EXPECT_EQ(numbers.size(), 6U);
  EXPECT_EQ(numbers[RF_SERIAL_ADDRESS], f.address);
  EXPECT_EQ(numbers[RF_SERIAL_BLOCK], f.block);
  EXPECT_EQ(numbers[RF_SERIAL_SIZE], f.size);
  unsigned trace = RF_SERIAL_TRACE + RF_SERIAL_SITE_RECORD;
  for (const rf_site *const site : {f.found, f.allocated, f.released}) {
    EXPECT_EQ(numbers[trace], reinterpret_cast<uintptr_t>(site));
    trace += RF_SERIAL_TRACE_STEP;
  }
}

TEST_F(GuardSmallEdges, FindingsOnTheConsoleAreNumbered) {
  guard_.report = rf_guard_small_print;
  testing::internal::CaptureStderr();
  for (unsigned i = 0; i < 2; i++) {
    unsigned char *const p = make(13);
    p[13] ^= 1;
    drop(p);
  }
  std::vector<Line> const lines = lines_of(testing::internal::GetCapturedStderr());
  ASSERT_GE(lines.size(), 2U);
  EXPECT_EQ(lines.front().record, 1U);
  EXPECT_EQ(lines.back().record, 2U);
}

} // namespace
} // namespace ringfence
