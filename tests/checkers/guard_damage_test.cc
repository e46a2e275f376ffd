// Damage to guard's own headers and lists. It is reported, never followed, and everything that is whole goes on
// working.
#include "tests/checkers/guard_damage_fixture.h"

#include <algorithm>

namespace ringfence {
namespace {

// ---- Contents of a finding ----

// Each byte of the window is classed by where it lies, and what it should be stands beside those that are wrong.
TEST_P(GuardDamage, TheWindowTellsBytesOfHeaderGuardsAndBlockApart) {
  for (size_t const size : {1, 8, 20, 60}) {
    for (bool const behind : {false, true}) {
      unsigned char *const p = bytes(rf_alloc(a(), size));
      std::memset(p, 'u', size);
      unsigned char *const bad = behind ? p + size : p - 1;
      *bad = 0x5A;
      EXPECT_EQ(rf_guard_sweep(&guard_), 1U);
      rf_finding const f = take_one();
      ASSERT_GT(f.window_size, 0U);
      for (unsigned i = 0; i < f.window_size; i++) {
        auto *const at = reinterpret_cast<unsigned char *>(f.window_address) + i;
        bool const user = at >= p && at < p + size;
        EXPECT_EQ(f.window_class[i], at == bad                  ? RF_BYTE_BAD
                                     : user                     ? RF_BYTE_USER
                                     : at >= p - RF_GUARD_FRONT ? RF_BYTE_GUARD
                                                                : RF_BYTE_HEADER)
            << at - p << " of " << size;
        EXPECT_EQ(f.window[i], at == bad ? 0x5A : *at);
        if (at == bad) {
          EXPECT_EQ(f.expected[i], RF_PATTERN_REDZONE);
        }
      }
      EXPECT_EQ(rf_free(a(), p), RF_OK);
      (void)take();
    }
  }
}

// ---- One byte of one header ----

TEST_P(GuardDamage, AnyByteOfALiveHeaderThatChangedIsFoundBySweepOnce) {
  unsigned unexplained = 0;
  for (size_t i = 0; i < kHeader; i++) {
    for (int const flip : {0x01, 0x80, 0xFF}) {
      unsigned char *const before = bytes(rf_alloc(a(), 20));
      unsigned char *const p = bytes(rf_alloc(a(), 20));
      unsigned char *const after = bytes(rf_alloc(a(), 20));
      header(p)[i] = static_cast<unsigned char>(header(p)[i] ^ flip);
      rf_fault where = {};
      EXPECT_EQ(rf_check(a(), &where), RF_ERR_CORRUPT) << "byte " << i;
      EXPECT_EQ(where.allocator, a());
      EXPECT_EQ(rf_guard_sweep(&guard_), 1U) << "byte " << i;
      rf_finding const f = take_one();
      EXPECT_EQ(f.bug, RF_BUG_METADATA) << "byte " << i;
      EXPECT_TRUE(names_block(f, p)) << "byte " << i;
      // The byte itself, or the header where several bytes could explain it.
      size_t const told = f.address - reinterpret_cast<uintptr_t>(header(p));
      EXPECT_TRUE(told == i || told == 0) << "byte " << i << ", not " << told;
      unexplained += told != i;
      ASSERT_GE(f.window_size, kHeader);
      for (size_t at = 0; at < f.window_size; at++) {
        bool const redzone = f.window_address + at >= reinterpret_cast<uintptr_t>(p) - RF_GUARD_FRONT;
        EXPECT_EQ(f.window_class[at], redzone ? RF_BYTE_GUARD : RF_BYTE_HEADER) << "byte " << at;
      }
      expect_usable({before, after});
    }
  }
  EXPECT_LT(unexplained, kHeader * 3 / 2) << "the byte itself is told in more than half of the cases";
}

TEST_P(GuardDamage, AnyByteOfALiveHeaderThatChangedIsFoundAtFreeOnce) {
  for (size_t i = 0; i < kHeader; i++) {
    unsigned char *const before = bytes(rf_alloc(a(), 20));
    unsigned char *const p = bytes(rf_alloc(a(), 20));
    unsigned char *const after = bytes(rf_alloc(a(), 20));
    header(p)[i] ^= 0x10;
    EXPECT_EQ(rf_free(a(), p), RF_ERR_CORRUPT) << "byte " << i;
    rf_finding const f = take_one();
    EXPECT_EQ(f.bug, RF_BUG_METADATA) << "byte " << i;
    EXPECT_TRUE(names_block(f, p)) << "byte " << i;
    EXPECT_EQ(rf_free(a(), p), RF_ERR_CORRUPT); // told once
    EXPECT_EQ(rf_realloc(a(), p, 10), nullptr);
    expect_usable({before, after});
  }
}

// It writes a link of its own over the newest block's.
TEST_P(GuardDamage, AnyByteOfALiveHeaderThatChangedIsFoundAlsoBehindANewBlock) {
  for (size_t i = 0; i < kHeader; i++) {
    unsigned char *const p = bytes(rf_alloc(a(), 20));
    header(p)[i] ^= 0x01;
    unsigned char *const after = bytes(rf_alloc(a(), 20));
    EXPECT_EQ(rf_guard_sweep(&guard_), 1U) << "byte " << i;
    rf_finding const f = take_one();
    EXPECT_EQ(f.bug, RF_BUG_METADATA) << "byte " << i;
    EXPECT_TRUE(names_block(f, p)) << "byte " << i;
    expect_usable({after});
  }
}

TEST_P(GuardDamage, AnyByteOfAFreedHeaderThatChangedIsFoundAlsoBehindABlockFreedLater) {
  for (size_t i = 0; i < kHeader; i++) {
    unsigned char *const p = bytes(rf_alloc(a(), 20));
    unsigned char *const after = bytes(rf_alloc(a(), 20));
    rf_free(a(), p);
    header(p)[i] ^= 0x01;
    rf_free(a(), after);
    EXPECT_EQ(rf_guard_sweep(&guard_), 1U) << "byte " << i;
    rf_finding const f = take_one();
    EXPECT_EQ(f.bug, RF_BUG_METADATA) << "byte " << i;
    EXPECT_TRUE(names_block(f, p)) << "byte " << i;
    expect_usable({});
  }
}

TEST_P(GuardDamage, AnyByteOfAFreedHeaderThatChangedIsFoundOnce) {
  for (size_t i = 0; i < kHeader; i++) {
    unsigned char *blocks[3];
    for (unsigned char *&p : blocks) {
      p = bytes(rf_alloc(a(), 20));
    }
    for (unsigned char *const p : blocks) {
      rf_free(a(), p);
    }
    unsigned char *const p = blocks[1];
    header(p)[i] ^= 0x10;
    EXPECT_EQ(rf_check(a(), nullptr), RF_ERR_CORRUPT) << "byte " << i;
    rf_guard_flush(&guard_, 0);
    rf_finding const f = take_one();
    EXPECT_EQ(f.bug, RF_BUG_METADATA) << "byte " << i;
    EXPECT_TRUE(names_block(f, p)) << "byte " << i;
    EXPECT_TRUE(f.freed);
    EXPECT_EQ(guard_.quarantined, 0U);
    expect_usable({});
  }
}

// Blocks leave a queue by what it counts of them.
void expect_counted(const rf_guard &guard) {
  for (const rf_guard_queue &queue : guard.queues) {
    size_t length = 0;
    size_t counted = queue.ripe;
    for (const rf_guard_header *h = queue.oldest; h != nullptr; h = h->next) {
      length++;
    }
    for (uint32_t const young : queue.young) {
      counted += young;
    }
    EXPECT_EQ(counted, length);
  }
}

// Before it and, where its link is whole, behind it, and those that are freed later.
TEST_P(GuardDamage, FreedBlocksBesideADamagedOneAreWatchedAsBefore) {
  for (size_t which = 0; which < 3; which++) {
    std::vector<unsigned char *> blocks(3);
    for (unsigned char *&p : blocks) {
      p = bytes(rf_alloc(a(), 20));
    }
    for (unsigned char *const p : blocks) {
      rf_free(a(), p);
    }
    for (rf_guard_queue &queue : guard_.queues) { // as if they had waited
      for (uint32_t &young : queue.young) {
        queue.ripe += young;
        young = 0;
      }
    }
    expect_counted(guard_);
    header(blocks[which])[offsetof(rf_guard_header, allocated)] ^= 0x10;
    EXPECT_EQ(rf_guard_sweep(&guard_), 1U) << which;
    EXPECT_TRUE(names_block(take_one(), blocks[which]));
    expect_counted(guard_);
    blocks.erase(blocks.begin() + static_cast<ptrdiff_t>(which));
    blocks.push_back(bytes(rf_alloc(a(), 20)));
    rf_free(a(), blocks.back());
    for (unsigned char *const p : blocks) {
      p[3] ^= 1;
      EXPECT_EQ(rf_guard_sweep(&guard_), 1U) << which;
      EXPECT_TRUE(names_block(take_one(), p)) << which;
    }
    rf_guard_flush(&guard_, 0);
    EXPECT_EQ(guard_.quarantined, 0U);
    expect_usable({});
  }
}

// The checksum, then a link: fields whose right value is known.
TEST_P(GuardDamage, AnUnderflowIntoTheHeaderNamesItsFirstByte) {
  ptrdiff_t const to_checksum = static_cast<ptrdiff_t>(RF_GUARD_PREFIX - offsetof(rf_guard_header, checksum));
  ptrdiff_t const to_prev = static_cast<ptrdiff_t>(RF_GUARD_PREFIX - offsetof(rf_guard_header, u));
  ptrdiff_t const word = sizeof(uintptr_t);
  for (ptrdiff_t const length : {to_checksum - 3, to_checksum - 2, to_prev - word + 1, to_prev - word + 2}) {
    unsigned char *const before = bytes(rf_alloc(a(), 20));
    unsigned char *const p = bytes(rf_alloc(a(), 20));
    unsigned char *const after = bytes(rf_alloc(a(), 20));
    for (ptrdiff_t i = 1; i <= length; i++) {
      p[-i] ^= 0x5A;
    }
    EXPECT_EQ(rf_free(a(), p), RF_ERR_CORRUPT);
    rf_finding const f = take_one();
    EXPECT_EQ(f.bug, RF_BUG_BUFFER_UNDERFLOW) << length;
    EXPECT_EQ(f.offset, -length);
    EXPECT_EQ(f.access_size, static_cast<size_t>(length));
    EXPECT_EQ(f.size, 20U) << length;
    expect_usable({before, after});
  }
}

TEST_P(GuardDamage, AnUnderflowUpToTheNumberOfTheStackKeepsTheAllocation) {
  std::vector<uint64_t> memory(8192);
  rf_stack_depot depot;
  ASSERT_EQ(rf_stack_depot_init(&depot, memory.data(), memory.size() * sizeof memory[0]), RF_OK);
  options_.depot = &depot;
  options_.stack_depth = 4;
  make(options_);
  ptrdiff_t const to_number = static_cast<ptrdiff_t>(RF_GUARD_PREFIX - offsetof(rf_guard_header, allocated)) - 4;
  for (ptrdiff_t length = RF_GUARD_FRONT + 1; length <= to_number; length++) {
    unsigned char *const p = bytes(rf_alloc_at(a(), 20, RF_ALIGN_DEFAULT, nullptr));
    for (ptrdiff_t i = 1; i <= length; i++) {
      p[-i] ^= 0x5A;
    }
    EXPECT_EQ(rf_free(a(), p), RF_ERR_CORRUPT);
    rf_finding const f = take_one();
    EXPECT_EQ(f.bug, RF_BUG_BUFFER_UNDERFLOW) << length;
    EXPECT_NE(f.allocated.depth, 0U) << length;
  }
  end();
}

TEST_P(GuardDamage, TheSizeOfADamagedBlockIsToldWhereItsGuardBearsItOut) {
  unsigned char *const p = bytes(rf_alloc(a(), 77));
  header(p)[0] ^= 1; // a link
  EXPECT_EQ(rf_guard_sweep(&guard_), 1U);
  EXPECT_EQ(take_one().size, 77U);
}

TEST_P(GuardDamage, AHeaderOverwrittenWithTextIsNotFollowed) {
  for (int const byte : {0x00, 0x41, 0xFF, 0xFD, 0xCC}) {
    unsigned char *const before = bytes(rf_alloc(a(), 20));
    unsigned char *const p = bytes(rf_alloc(a(), 20));
    unsigned char *const after = bytes(rf_alloc(a(), 20));
    std::memset(header(p), byte, kHeader);
    EXPECT_EQ(rf_free(a(), p), RF_ERR_CORRUPT);
    EXPECT_EQ(take_one().bug, RF_BUG_METADATA);
    expect_usable({before, after});
  }
}

TEST_P(GuardDamage, AnUnderflowThatReachesTheHeaderIsAnUnderflow) {
  unsigned char *const p = bytes(rf_alloc(a(), 20));
  std::memset(p - RF_GUARD_FRONT - 8, 0x41, RF_GUARD_FRONT + 8);
  EXPECT_EQ(rf_free(a(), p), RF_ERR_CORRUPT);
  rf_finding const f = take_one();
  EXPECT_EQ(f.bug, RF_BUG_BUFFER_UNDERFLOW);
  EXPECT_TRUE(names_block(f, p));
  EXPECT_EQ(f.offset, -(RF_GUARD_FRONT + 8));
  EXPECT_EQ(f.size, 20U);
  ASSERT_NE(f.detail, nullptr);
  EXPECT_NE(std::string(f.detail).find("metadata"), std::string::npos);
}

// ---- Several headers ----

TEST_P(GuardDamage, EveryBlockBetweenDamagedOnesIsStillReached) {
  constexpr size_t kBlocks = 40;
  for (size_t first = 0; first < 8; first++) {
    std::vector<unsigned char *> blocks;
    for (size_t i = 0; i < kBlocks; i++) {
      blocks.push_back(bytes(rf_alloc(a(), 20)));
    }
    size_t damaged = 0;
    for (size_t i = first; i < kBlocks; i += 8, damaged++) {
      header(blocks[i])[kHeader - 1] ^= 1; // the magic: links are whole
    }
    for (size_t i = first + 4; i < kBlocks; i += 8) {
      blocks[i][20] = 0; // an overflow of a block between two of them
    }
    size_t const overflows = (kBlocks - 1 - (first + 4)) / 8 + 1;
    EXPECT_EQ(rf_guard_sweep(&guard_), damaged + overflows);
    std::vector<rf_finding> const found = take();
    EXPECT_EQ(std::count_if(found.begin(), found.end(), [](const rf_finding &f) { return f.bug == RF_BUG_METADATA; }),
              static_cast<ptrdiff_t>(damaged));
    for (size_t i = 0; i < kBlocks; i++) {
      EXPECT_EQ(rf_free(a(), blocks[i]), i % 8 == first ? RF_ERR_CORRUPT : RF_OK);
    }
    expect_silence();
  }
}

TEST_P(GuardDamage, NeighboursInTheListThatAreBothDamagedAreBothFound) {
  for (size_t const count : {2, 3, 7}) {
    std::vector<unsigned char *> blocks;
    for (size_t i = 0; i < 12; i++) {
      blocks.push_back(bytes(rf_alloc(a(), 20)));
    }
    for (size_t i = 3; i < 3 + count; i++) {
      std::memset(header(blocks[i]), 0x41, kHeader);
    }
    // The ones at the ends are found by their neighbours; those between, which nothing leads to, when they are freed.
    EXPECT_EQ(rf_guard_sweep(&guard_), 2U);
    EXPECT_EQ(take().size(), 2U);
    for (size_t i = 0; i < blocks.size(); i++) {
      rf_status const status = rf_free(a(), blocks[i]);
      bool const lost = i > 3 && i < 2 + count;
      EXPECT_EQ(status == RF_OK, i < 3 || i >= 3 + count) << i;
      EXPECT_EQ(take().size(), lost ? 1U : 0U) << i;
    }
    expect_silence();
  }
}

TEST_P(GuardDamage, TheOldestAndTheNewestBlockMayBeTheDamagedOnes) {
  for (size_t const which : {size_t{0}, size_t{4}}) {
    std::vector<unsigned char *> blocks;
    for (size_t i = 0; i < 5; i++) {
      blocks.push_back(bytes(rf_alloc(a(), 20)));
    }
    std::memset(header(blocks[which]), 0, kHeader);
    EXPECT_EQ(rf_guard_sweep(&guard_), 1U);
    EXPECT_TRUE(names_block(take_one(), blocks[which]));
    for (size_t i = 0; i < 5; i++) {
      EXPECT_EQ(rf_free(a(), blocks[i]), i == which ? RF_ERR_CORRUPT : RF_OK);
    }
    expect_silence();
  }
}

TEST_P(GuardDamage, ADamagedNeighbourIsNotWrittenTo) {
  unsigned char *const before = bytes(rf_alloc(a(), 20));
  unsigned char *const p = bytes(rf_alloc(a(), 20));
  unsigned char *const after = bytes(rf_alloc(a(), 20));
  std::memset(header(p), 0x41, kHeader);
  EXPECT_EQ(rf_free(a(), before), RF_OK);
  EXPECT_EQ(rf_free(a(), after), RF_OK);
  EXPECT_TRUE(std::all_of(header(p), header(p) + kHeader, [](unsigned char b) { return b == 0x41; }));
  EXPECT_EQ(rf_free(a(), p), RF_ERR_CORRUPT);
  EXPECT_EQ(take_one().bug, RF_BUG_METADATA);
  expect_silence();
}

// Blocks that were given up are known: memory in which no block ever was is no lost one.
TEST_P(GuardDamage, ABlockThatWasGivenUpIsNotLookedForElsewhere) {
  if (!GetParam().in_arena) {
    return;
  }
  unsigned char *const p = bytes(rf_alloc(a(), 40));
  bytes(rf_alloc(a(), 40))[0] = 1;
  for (size_t i = 1; i <= RF_GUARD_PREFIX; i++) {
    p[-static_cast<ptrdiff_t>(i)] ^= 0x55;
  }
  EXPECT_EQ(rf_guard_sweep(&guard_), 1U);
  EXPECT_EQ(take().size(), 1U);
  EXPECT_EQ(guard_.abandoned, 1U);
  EXPECT_EQ(rf_free(a(), p + 8192), RF_ERR_BAD_POINTER);
  EXPECT_EQ(take_one().bug, RF_BUG_BAD_FREE);
}

TEST_P(GuardDamage, ACheckNamesTheSiteOfTheDamagedBlock) {
  static const rf_site site = {"there.c", "f", 7};
  unsigned char *const p = bytes(rf_alloc_at(a(), 40, RF_ALIGN_DEFAULT, &site));
  rf_fault where;
  p[40] ^= 1;
  EXPECT_EQ(rf_check(a(), &where), RF_ERR_CORRUPT);
  EXPECT_EQ(where.site, &site);
  EXPECT_EQ(where.ptr, p + 40);
  p[40] ^= 1;
  EXPECT_EQ(rf_free(a(), p), RF_OK);
}

INSTANTIATE_TEST_SUITE_P(Over, GuardDamage, testing::ValuesIn(kHeaps), heap_name);

} // namespace
} // namespace ringfence

// A block whose header is gone is never given back, since where it begins is not known: over std, a leak on purpose.
extern "C" const char *__asan_default_options() {
  return "detect_leaks=0";
}
