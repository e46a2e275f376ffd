// guard_small: what it finds, what it says in numbers, and that sound programs are silent.
#include <ringfence/guard_small.h>

#include "tests/checkers/sample_finding.h"

#include <ringfence/lock.h>
#include <ringfence/report_serial.h>
#include <ringfence/simple.h>
#include <ringfence/std.h>
#include <ringfence/tlsf.h>

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace ringfence {
namespace {

struct Guarded : rf_guard_small {
  std::vector<rf_small_finding> seen;
};

template <typename Heap> struct Over;
template <> struct Over<rf_simple> {
  static rf_status init(rf_simple *heap, void *arena, size_t size) { return rf_simple_init(heap, arena, size); }
};
template <> struct Over<rf_tlsf> {
  static rf_status init(rf_tlsf *heap, void *arena, size_t size) { return rf_tlsf_init(heap, arena, size); }
};

template <typename Heap> class GuardSmall : public testing::Test {
protected:
  GuardSmall() {
    EXPECT_EQ(Over<Heap>::init(&heap_, arena_, sizeof arena_), RF_OK);
    EXPECT_EQ(rf_guard_small_init(&guard_, &heap_.base, 200), RF_OK);
    guard_.report = [](rf_guard_small *self, const rf_small_finding *f) {
      static_cast<Guarded *>(self)->seen.push_back(*f);
    };
  }
  ~GuardSmall() override { rf_deinit(&guard_.base); }

  unsigned char *make(size_t size, size_t align = RF_ALIGN_DEFAULT, const rf_site *site = nullptr) {
    return static_cast<unsigned char *>(rf_alloc_at(&guard_.base, size, align, site));
  }
  rf_status drop(void *p, const rf_site *site = nullptr) { return rf_free_at(&guard_.base, p, site); }

  // One finding so far, of this kind.
  const rf_small_finding &only(rf_bug bug) {
    static const rf_small_finding none = {};
    EXPECT_EQ(guard_.seen.size(), 1U);
    if (guard_.seen.empty()) {
      return none;
    }
    EXPECT_EQ(guard_.seen[0].bug, bug);
    return guard_.seen[0];
  }

  alignas(64) unsigned char arena_[16384];
  Heap heap_;
  Guarded guard_;
};

using Heaps = testing::Types<rf_simple, rf_tlsf>;
TYPED_TEST_SUITE(GuardSmall, Heaps);

const rf_site kMade = {"made.c", "make", 3};
const rf_site kDropped = {"dropped.c", "drop", 4};

TYPED_TEST(GuardSmall, APointerIntoTheGapBeforeAnAlignedBlockIsBadAndNoDamage) {
  unsigned char *const aligned = this->make(20, 128);
  ASSERT_NE(aligned, nullptr);
  EXPECT_EQ(this->drop(aligned - 128 + 2 * sizeof(void *)), RF_ERR_BAD_POINTER);
  this->only(RF_BUG_BAD_FREE);
  EXPECT_EQ(this->drop(aligned), RF_OK);
}

TYPED_TEST(GuardSmall, IsSilentAboutSoundPrograms) {
  for (size_t size = 0; size < 300; size++) {
    for (size_t align = 1; align <= 256; align *= 2) {
      auto *const p = this->make(size, align);
      ASSERT_NE(p, nullptr);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % align, 0U);
      std::memset(p, 0xA5, size);
      EXPECT_EQ(rf_usable_size(&this->guard_.base, p), size);
      EXPECT_EQ(rf_guard_small_sweep(&this->guard_), 0U);
      EXPECT_EQ(this->drop(p), RF_OK);
    }
  }
  rf_deinit(&this->guard_.base);
  EXPECT_TRUE(this->guard_.seen.empty());
}

TYPED_TEST(GuardSmall, FindsEachByteWrittenBehindABlock) {
  for (size_t size : {0U, 1U, 4U, 13U, 64U}) {
    for (size_t distance = 0; distance < 4; distance++) {
      this->guard_.seen.clear();
      auto *const p = this->make(size, RF_ALIGN_DEFAULT, &kMade);
      p[size + distance] ^= 1U;
      EXPECT_EQ(this->drop(p, &kDropped), RF_OK);
      const rf_small_finding &f = this->only(RF_BUG_BUFFER_OVERFLOW);
      EXPECT_EQ(f.address, reinterpret_cast<uintptr_t>(p) + size + distance);
      EXPECT_EQ(f.block, reinterpret_cast<uintptr_t>(p));
      EXPECT_EQ(f.size, size);
      EXPECT_EQ(f.allocated, &kMade);
      EXPECT_EQ(f.found, &kDropped);
    }
  }
}

TYPED_TEST(GuardSmall, FindsNearlyEachBitOfTheHeaderTurnedAndNeverObeysIt) {
  unsigned found = 0;
  unsigned missed = 0; // sizes whose guard bytes happened to be there: on 32-bit hosts sites leave no checksum a bit
  unsigned const bits = 16 * sizeof(uintptr_t);
  for (unsigned bit = 0; bit < bits; bit++) {
    this->guard_.seen.clear();
    auto *const p = this->make(32, RF_ALIGN_DEFAULT, &kMade);
    uintptr_t words[2];
    std::memcpy(words, p - sizeof words, sizeof words);
    unsigned char *const at = p - sizeof words + bit / 8;
    *at = static_cast<unsigned char>(*at ^ 1U << bit % 8);
    bool const freed = this->drop(p) == RF_OK;
    found += this->guard_.seen.empty() ? 0 : 1;
    if (this->guard_.seen.empty()) { // else a bit of the site's alone
      missed += bit < bits / 2 ? 1 : 0;
      continue;
    }
    EXPECT_NE(this->guard_.seen[0].bug, RF_BUG_LEAK);
    if (!freed) {
      std::memcpy(p - sizeof words, words, sizeof words);
      (void)this->drop(p);
    }
  }
  EXPECT_GE(found, bits / 2);
  EXPECT_LE(missed, sizeof(uintptr_t) > 4 ? 0U : 4U);
}

TYPED_TEST(GuardSmall, DamagedWordsBeforeAnAlignedBlockAreAnUnderflow) {
  for (size_t align = 1; align <= 1024; align *= 2) {
    this->guard_.seen.clear();
    unsigned char *const p = this->make(20, align, &kMade);
    ASSERT_NE(p, nullptr);
    uintptr_t words[2];
    unsigned char *const at = p - sizeof words;
    std::memcpy(words, at, sizeof words);
    std::memset(at, 0, sizeof words);
    EXPECT_EQ(this->drop(p, &kDropped), RF_ERR_CORRUPT) << align;
    EXPECT_EQ(this->only(RF_BUG_BUFFER_UNDERFLOW).address, reinterpret_cast<uintptr_t>(at));
    std::memcpy(at, words, sizeof words);
    EXPECT_EQ(this->drop(p), RF_OK);
  }
}

TYPED_TEST(GuardSmall, FindsWritesToFreedBlocksWhileTheyWait) {
  auto *const p = this->make(40, RF_ALIGN_DEFAULT, &kMade);
  this->drop(p, &kDropped);
  p[7] = 1;
  EXPECT_EQ(rf_guard_small_sweep(&this->guard_), 1U);
  const rf_small_finding &f = this->only(RF_BUG_USE_AFTER_FREE);
  EXPECT_EQ(f.address, reinterpret_cast<uintptr_t>(p) + 7);
  EXPECT_EQ(f.released, &kDropped);
  EXPECT_EQ(rf_guard_small_sweep(&this->guard_), 0U) << "told once";
}

TYPED_TEST(GuardSmall, RefusesFreesOfWhatIsNoLiveBlock) {
  auto *const p = this->make(40, RF_ALIGN_DEFAULT, &kMade);
  alignas(16) unsigned char local[64] = {};
  EXPECT_EQ(this->drop(p + 2 * sizeof(void *)), RF_ERR_BAD_POINTER);
  EXPECT_EQ(this->drop(p + 1), RF_ERR_BAD_POINTER);
  EXPECT_EQ(this->drop(local + 32), RF_ERR_BAD_POINTER);
  for (const rf_small_finding &f : this->guard_.seen) {
    EXPECT_EQ(f.bug, RF_BUG_BAD_FREE);
  }
  EXPECT_EQ(this->guard_.seen.size(), 3U);
  this->guard_.seen.clear();
  EXPECT_EQ(this->drop(p, &kDropped), RF_OK);
  EXPECT_EQ(this->drop(p), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(this->only(RF_BUG_DOUBLE_FREE).released, &kDropped);
}

TYPED_TEST(GuardSmall, TellsLeaksAndDamageOfLiveBlocksAtTheEnd) {
  auto *const aligned = this->make(20, 128, &kMade);
  auto *const damaged = this->make(9);
  damaged[9] = 0;
  rf_deinit(&this->guard_.base);
  size_t leaks = 0;
  size_t overflows = 0;
  for (const rf_small_finding &f : this->guard_.seen) {
    leaks += f.bug == RF_BUG_LEAK ? 1 : 0;
    overflows += f.bug == RF_BUG_BUFFER_OVERFLOW ? 1 : 0;
    if (f.block == reinterpret_cast<uintptr_t>(aligned)) {
      EXPECT_EQ(f.allocated, &kMade);
    }
  }
  EXPECT_EQ(leaks, 2U);
  EXPECT_EQ(overflows, 1U);
  EXPECT_EQ(this->make(1), nullptr);
  EXPECT_EQ(this->drop(aligned), RF_ERR_DELETED);
}

TYPED_TEST(GuardSmall, GivesTheRingBackWhereMemoryIsShort) {
  std::vector<unsigned char *> blocks;
  while (auto *const p = this->make(100)) {
    blocks.push_back(p);
  }
  for (size_t i = 0; i < 2; i++) {
    this->drop(blocks.back());
    blocks.pop_back();
  }
  auto *const again = this->make(100);
  EXPECT_NE(again, nullptr) << "the two wait in the ring until the heap has nothing else";
  blocks.push_back(again);
  for (unsigned char *const p : blocks) {
    this->drop(p);
  }
  EXPECT_TRUE(this->guard_.seen.empty());
}

TEST(SmallFinding, IsAFewLinesWithoutTexts) {
  rf_small_finding const f = {RF_BUG_DOUBLE_FREE, 0x20001000, 0x20001000, 20, &kDropped, &kMade, nullptr};
  TextSink out;
  rf_small_finding_write(&f, 7, out.sink());
  EXPECT_EQ(out.text().compare(0, 16, "#RF:010407000000"), 0) << out.text();
  size_t begin = 0;
  size_t end = 0;
  size_t lines = 0;
  for (; (end = out.text().find('\n', begin)) != std::string::npos; begin = end + 1, lines++) {
    EXPECT_LT(end - begin, static_cast<size_t>(RF_SERIAL_LINE));
    EXPECT_EQ(out.text().compare(begin, 4, "#RF:"), 0);
  }
  EXPECT_LE(lines, 3U);
}

TEST(GuardSmallInit, RefusesAnAllocatorThatDoesNotKnowItsBlocks) {
  rf_std heap;
  rf_lock lock;
  rf_guard_small guard;
  ASSERT_EQ(rf_std_init(&heap), RF_OK);
  ASSERT_EQ(rf_lock_init(&lock, &heap.base), RF_OK);
  EXPECT_EQ(rf_guard_small_init(&guard, &heap.base, 100), RF_ERR_UNSUPPORTED);
  EXPECT_EQ(rf_guard_small_init(&guard, &lock.base, 100), RF_ERR_UNSUPPORTED); // which asks the heap
  EXPECT_EQ(rf_guard_small_init(nullptr, &heap.base, 100), RF_ERR_INVALID);
  EXPECT_EQ(rf_guard_small_init(&guard, nullptr, 100), RF_ERR_INVALID);
  rf_deinit(&lock.base);
  rf_deinit(&heap.base);
}

} // namespace
} // namespace ringfence
