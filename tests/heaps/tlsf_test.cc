// tlsf: what it promises beyond the conformance suite: arenas of every size, regions, resizing on both sides, refusals,
// damage.
#include <gtest/gtest.h>
#include <ringfence/tlsf.h>

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace {

struct Faults {
  std::vector<rf_status> seen;
};

void record(const rf_fault *fault, void *context) {
  static_cast<Faults *>(context)->seen.push_back(fault->status);
}

rf_stats stats_of(rf_tlsf &heap) {
  rf_stats s;
  rf_stats_get(&heap.base, &s);
  return s;
}

class Tlsf : public ::testing::Test {
protected:
  void SetUp() override { rf_fault_handler_set(record, &faults); }
  void TearDown() override { rf_fault_handler_set(nullptr, nullptr); }

  void make(size_t size, size_t shift = 0) {
    ASSERT_LE(size + shift, sizeof arena);
    ASSERT_EQ(RF_OK, rf_tlsf_init(&heap, arena + shift, size));
    a = &heap.base;
  }

  alignas(4096) unsigned char arena[256 * 1024];
  rf_tlsf heap;
  rf_allocator *a;
  Faults faults;
};

// ---- Arenas ----

TEST_F(Tlsf, RefusesNoArena) {
  EXPECT_EQ(RF_ERR_INVALID, rf_tlsf_init(&heap, nullptr, 1024));
  EXPECT_EQ(RF_ERR_INVALID, rf_tlsf_init(&heap, arena, SIZE_MAX));
}

TEST_F(Tlsf, RefusesAnArenaThatHoldsNothing) {
  for (size_t size = 0; size < 32; size++) {
    EXPECT_NE(RF_OK, rf_tlsf_init(&heap, arena, size)) << size;
  }
}

TEST_F(Tlsf, AnArenaOf64BytesServesABlock) {
  make(64 * sizeof(void *) / 4);
  void *const p = rf_aligned_alloc(a, sizeof(void *), 8);
  ASSERT_NE(nullptr, p);
  EXPECT_EQ(RF_OK, rf_check(a, nullptr));
  EXPECT_EQ(RF_OK, rf_free(a, p));
}

TEST_F(Tlsf, AnArenaOf1KiBIsMostlyUsable) {
  make(1024);
  EXPECT_GE(stats_of(heap).largest_free, 700U);
}

TEST_F(Tlsf, AnArenaAtAnyAddressIsTrimmed) {
  for (size_t shift = 0; shift < 64; shift++) {
    make(1000, shift);
    std::memset(arena + 1000 + shift, 0x5A, 16);
    void *const p = rf_alloc(a, stats_of(heap).largest_free);
    ASSERT_NE(nullptr, p) << shift;
    EXPECT_TRUE(rf_is_aligned(p, RF_ALIGN_DEFAULT));
    std::memset(p, 0xFF, rf_usable_size(a, p));
    for (size_t i = 0; i < 16; i++) {
      ASSERT_EQ(0x5A, arena[1000 + shift + i]) << shift;
    }
    EXPECT_EQ(RF_OK, rf_free(a, p));
    EXPECT_EQ(RF_OK, rf_check(a, nullptr));
  }
}

TEST_F(Tlsf, TheOverheadOfABlockIsOneWord) {
  make(64 * 1024);
  size_t const count = 100;
  size_t const size = 3 * sizeof(void *);
  std::vector<unsigned char *> p;
  for (size_t i = 0; i < count; i++) {
    p.push_back(static_cast<unsigned char *>(rf_aligned_alloc(a, sizeof(void *), size)));
    ASSERT_NE(nullptr, p.back());
  }
  std::sort(p.begin(), p.end());
  EXPECT_EQ((count - 1) * (size + sizeof(void *)), static_cast<size_t>(p.back() - p.front()));
}

TEST_F(Tlsf, ServesBlocksAbove4GiB) {
  if (sizeof(size_t) < 8) {
    GTEST_SKIP() << "32 bit";
  }
  size_t const size = static_cast<size_t>(9) << 30;
  void *const memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    GTEST_SKIP() << "no address space";
  }
  ASSERT_EQ(RF_OK, rf_tlsf_init(&heap, memory, size));
  a = &heap.base;
  size_t const large = (static_cast<size_t>(5) << 30) + 3;
  auto *const p = static_cast<unsigned char *>(rf_alloc(a, large));
  ASSERT_NE(nullptr, p);
  p[0] = 1;
  p[large - 1] = 2;
  auto *const q = static_cast<unsigned char *>(rf_alloc(a, static_cast<size_t>(3) << 30));
  ASSERT_NE(nullptr, q);
  EXPECT_TRUE(q >= p + large || q + (static_cast<size_t>(3) << 30) <= p);
  EXPECT_EQ(large, stats_of(heap).used - (static_cast<size_t>(3) << 30));
  EXPECT_EQ(RF_OK, rf_check(a, nullptr));
  EXPECT_EQ(RF_OK, rf_free(a, p));
  EXPECT_EQ(RF_OK, rf_free(a, q));
  munmap(memory, size);
}

// ---- Alignment ----

TEST_F(Tlsf, HonoursAnyPowerOfTwo) {
  make(sizeof arena);
  size_t const before = stats_of(heap).largest_free;
  std::vector<void *> live;
  for (size_t align = 1; align <= 32768; align *= 2) {
    for (size_t size : {1, 24, 100}) {
      void *const p = rf_aligned_alloc(a, align, size);
      ASSERT_NE(nullptr, p) << align;
      EXPECT_TRUE(rf_is_aligned(p, align)) << align;
      live.push_back(p);
    }
    ASSERT_EQ(RF_OK, rf_check(a, nullptr));
  }
  for (void *p : live) {
    EXPECT_EQ(RF_OK, rf_free(a, p));
  }
  EXPECT_EQ(before, stats_of(heap).largest_free);
}

TEST_F(Tlsf, AlignmentsThatCannotBeServedGiveNull) {
  make(4096);
  for (size_t align = 8192; align != 0; align *= 2) {
    void *const p = rf_aligned_alloc(a, align, 4000);
    EXPECT_EQ(nullptr, p) << align;
  }
  EXPECT_EQ(RF_OK, rf_check(a, nullptr));
}

// ---- Coalescing and resizing ----

TEST_F(Tlsf, FreedNeighboursBecomeOneInEveryOrder) {
  int order[] = {0, 1, 2};
  do {
    make(4096);
    size_t const whole = stats_of(heap).largest_free;
    void *p[3];
    for (void *&q : p) {
      q = rf_alloc(a, 100);
    }
    for (int i : order) {
      ASSERT_EQ(RF_OK, rf_free(a, p[i]));
      ASSERT_EQ(RF_OK, rf_check(a, nullptr));
    }
    EXPECT_EQ(whole, stats_of(heap).largest_free);
  } while (std::next_permutation(order, order + 3));
}

TEST_F(Tlsf, GrowsInPlaceIntoTheFreeNeighbourBehind) {
  make(4096);
  auto *const p = static_cast<unsigned char *>(rf_alloc(a, 100));
  void *const behind = rf_alloc(a, 200);
  void *const wall = rf_alloc(a, 10);
  ASSERT_EQ(RF_OK, rf_free(a, behind));
  std::memset(p, 7, 100);
  EXPECT_EQ(p, rf_realloc(a, p, 250));
  EXPECT_EQ(RF_OK, rf_check(a, nullptr));
  EXPECT_EQ(7, p[99]);
  EXPECT_EQ(RF_OK, rf_free(a, p));
  EXPECT_EQ(RF_OK, rf_free(a, wall));
}

TEST_F(Tlsf, ShrinksInPlaceAndGivesTheRestBack) {
  make(4096);
  void *const p = rf_alloc(a, 2000);
  void *const wall = rf_alloc(a, 10);
  size_t const before = stats_of(heap).free_bytes;
  EXPECT_EQ(p, rf_realloc(a, p, 100));
  EXPECT_GE(stats_of(heap).free_bytes, before + 1800);
  EXPECT_EQ(110U, stats_of(heap).used);
  EXPECT_EQ(RF_OK, rf_check(a, nullptr));
  EXPECT_EQ(RF_OK, rf_free(a, p));
  EXPECT_EQ(RF_OK, rf_free(a, wall));
}

TEST_F(Tlsf, AFullHeapServesAReallocThatOnlyFitsWithTheNeighbourBefore) {
  make(4096);
  void *const before = rf_alloc(a, 1000);
  auto *const p = static_cast<unsigned char *>(rf_alloc(a, 1000));
  void *const rest = rf_alloc(a, stats_of(heap).largest_free);
  for (size_t i = 0; i < 1000; i++) {
    p[i] = static_cast<unsigned char>(i);
  }
  ASSERT_EQ(RF_OK, rf_free(a, before));
  auto *const q = static_cast<unsigned char *>(rf_realloc_at(a, p, 1500, sizeof(void *), RF_HERE));
  ASSERT_NE(nullptr, q);
  for (size_t i = 0; i < 1000; i++) {
    ASSERT_EQ(static_cast<unsigned char>(i), q[i]) << i;
  }
  EXPECT_EQ(RF_OK, rf_check(a, nullptr));
  EXPECT_EQ(RF_OK, rf_free(a, q));
  EXPECT_EQ(RF_OK, rf_free(a, rest));
}

// ---- Refusals ----

TEST_F(Tlsf, RefusesEveryPointerButTheStartOfALiveBlock) {
  make(4096);
  auto *const p = static_cast<unsigned char *>(rf_alloc(a, 64));
  auto *const freed = static_cast<unsigned char *>(rf_alloc(a, 64));
  void *const wall = rf_alloc(a, 8);
  ASSERT_EQ(RF_OK, rf_free(a, freed));
  for (unsigned char *q = arena; q < arena + 4096; q++) {
    if (q != p && q != wall) {
      EXPECT_NE(RF_OK, rf_free(a, q)) << q - arena;
    }
  }
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, rf_free(a, freed));
  EXPECT_EQ(RF_ERR_BAD_POINTER, rf_free(a, p + 4));
  int local = 0;
  EXPECT_EQ(RF_ERR_BAD_POINTER, rf_free(a, &local));
  EXPECT_EQ(nullptr, rf_realloc(a, freed, 10));
  EXPECT_FALSE(faults.seen.empty());
  EXPECT_EQ(2U, stats_of(heap).blocks);
  EXPECT_EQ(RF_OK, rf_check(a, nullptr));
  EXPECT_EQ(RF_OK, rf_free(a, p));
  EXPECT_EQ(RF_OK, rf_free(a, wall));
}

// ---- Regions ----

TEST_F(Tlsf, RegionsAddToTheHeapAndLeaveWhenEmpty) {
  make(1024);
  EXPECT_EQ(nullptr, rf_alloc(a, 2000));
  ASSERT_EQ(RF_OK, rf_tlsf_add_region(&heap, arena + 8192, 4096));
  void *const p = rf_alloc(a, 2000);
  ASSERT_NE(nullptr, p);
  EXPECT_TRUE(rf_owns(a, p));
  EXPECT_EQ(RF_ERR_BUSY, rf_tlsf_remove_region(&heap, arena + 8192));
  EXPECT_EQ(RF_OK, rf_check(a, nullptr));
  EXPECT_EQ(RF_OK, rf_free(a, p));
  EXPECT_EQ(RF_OK, rf_tlsf_remove_region(&heap, arena + 8192));
  EXPECT_FALSE(rf_owns(a, p));
  EXPECT_EQ(nullptr, rf_alloc(a, 2000));
  EXPECT_EQ(RF_ERR_INVALID, rf_tlsf_remove_region(&heap, arena + 8192));
}

TEST_F(Tlsf, RefusesRegionsThatCannotBe) {
  make(1024);
  EXPECT_EQ(RF_ERR_INVALID, rf_tlsf_add_region(&heap, nullptr, 4096));
  EXPECT_EQ(RF_ERR_INVALID, rf_tlsf_add_region(&heap, arena + 512, 4096)) << "overlap";
  EXPECT_NE(RF_OK, rf_tlsf_add_region(&heap, arena + 8192, 8));
  EXPECT_EQ(RF_OK, rf_check(a, nullptr));
}

TEST_F(Tlsf, ManyRegionsInAnyOrder) {
  make(1024);
  std::vector<unsigned char *> regions;
  for (size_t i = 0; i < 100; i++) {
    regions.push_back(arena + 8192 + i * 2048);
  }
  std::mt19937 rng(7);
  std::shuffle(regions.begin(), regions.end(), rng);
  std::vector<void *> live;
  for (unsigned char *r : regions) {
    ASSERT_EQ(RF_OK, rf_tlsf_add_region(&heap, r, 2048));
    for (int i = 0; i < 3; i++) {
      live.push_back(rf_alloc(a, 400));
      ASSERT_NE(nullptr, live.back());
    }
  }
  ASSERT_EQ(RF_OK, rf_check(a, nullptr));
  std::shuffle(live.begin(), live.end(), rng);
  for (void *p : live) {
    ASSERT_EQ(RF_OK, rf_free(a, p));
  }
  std::shuffle(regions.begin(), regions.end(), rng);
  for (unsigned char *r : regions) {
    ASSERT_EQ(RF_OK, rf_tlsf_remove_region(&heap, r));
  }
  EXPECT_EQ(RF_OK, rf_check(a, nullptr));
}

// ---- Statistics ----

TEST_F(Tlsf, CountsRequestedBytesExactly) {
  make(16 * 1024);
  size_t used = 0;
  std::vector<std::pair<void *, size_t>> live;
  for (size_t size = 0; size < 150; size++) {
    live.emplace_back(rf_alloc(a, size), size);
    ASSERT_NE(nullptr, live.back().first);
    used += size;
    ASSERT_EQ(used, stats_of(heap).used);
  }
  for (auto &[p, size] : live) {
    ASSERT_EQ(RF_OK, rf_free(a, p));
    used -= size;
    ASSERT_EQ(used, stats_of(heap).used);
  }
  EXPECT_EQ(150U, stats_of(heap).peak_blocks);
}

TEST_F(Tlsf, TheLargestFreeBlockIsWhatIsServed) {
  make(16 * 1024);
  std::mt19937 rng(11);
  std::vector<void *> live;
  for (int i = 0; i < 300; i++) {
    if (rng() % 3 != 0 || live.empty()) {
      void *const p = rf_alloc(a, rng() % 200);
      if (p != nullptr) {
        live.push_back(p);
      }
    } else {
      std::swap(live[rng() % live.size()], live.back());
      ASSERT_EQ(RF_OK, rf_free(a, live.back()));
      live.pop_back();
    }
    size_t const largest = stats_of(heap).largest_free;
    void *const more = rf_alloc(a, largest + 1);
    ASSERT_EQ(nullptr, more) << "step " << i;
    if (largest != 0) {
      void *const p = rf_alloc(a, largest);
      ASSERT_NE(nullptr, p) << "step " << i;
      ASSERT_EQ(RF_OK, rf_free(a, p));
    }
  }
}

// ---- Damage ----

// A heap with used and free blocks of several sizes; the same every time.
struct Scene {
  std::vector<void *> live;

  void build(rf_allocator *a) {
    std::vector<void *> all;
    for (size_t size : {10, 40, 100, 24, 300, 8, 64, 200, 17, 33}) {
      all.push_back(rf_alloc(a, size));
      std::memset(all.back(), 0x11, size);
    }
    for (size_t i = 0; i < all.size(); i++) {
      if (i % 3 == 1) {
        EXPECT_EQ(RF_OK, rf_free(a, all[i]));
      } else {
        live.push_back(all[i]);
      }
    }
  }
};

bool collect(const rf_block *block, void *context) {
  static_cast<std::vector<rf_block> *>(context)->push_back(*block);
  return true;
}

TEST_F(Tlsf, NoDamagedByteCrashesOrLoopsAndRestoredIsClean) {
  size_t const size = 2048;
  size_t told = 0;
  size_t relied_on = 0;
  make(size);
  Scene scene;
  scene.build(a);
  std::vector<rf_block> blocks;
  ASSERT_EQ(RF_OK, rf_walk(a, collect, &blocks));
  std::vector<bool> payload(size, false);
  for (const rf_block &b : blocks) {
    if (b.used) {
      auto const at = static_cast<size_t>(static_cast<unsigned char *>(b.ptr) - arena);
      std::fill(payload.begin() + static_cast<ptrdiff_t>(at), payload.begin() + static_cast<ptrdiff_t>(at + b.size),
                true);
    }
  }
  std::vector<unsigned char> const intact(arena, arena + size);
  rf_tlsf const intact_heap = heap;
  for (size_t i = 0; i < size; i++) {
    for (unsigned const flip : {0xFFU, 0x01U, 0x10U, 0x80U}) {
      arena[i] = static_cast<unsigned char>(arena[i] ^ flip);
      rf_status const status = rf_check(a, nullptr);
      if (payload[i]) {
        EXPECT_EQ(RF_OK, status) << "byte " << i << " belongs to a program";
      } else {
        relied_on++;
        told += status != RF_OK;
      }
      // Whatever is done now may be refused or served, but ends.
      for (void *p : scene.live) {
        (void)rf_free(a, p);
      }
      (void)rf_free(a, rf_alloc(a, 50));
      std::vector<rf_block> seen;
      (void)rf_walk(a, collect, &seen);
      (void)stats_of(heap);
      std::copy(intact.begin(), intact.end(), arena);
      heap = intact_heap;
      ASSERT_EQ(RF_OK, rf_check(a, nullptr)) << i;
    }
  }
  RecordProperty("damage_told", std::to_string(told) + " of " + std::to_string(relied_on));
  EXPECT_GT(told, 0U);
}

// ---- Everything at once ----

TEST_F(Tlsf, RandomUseKeepsContentsAndCounts) {
  unsigned const seed = 20261120;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 rng(seed);
  make(32 * 1024);
  ASSERT_EQ(RF_OK, rf_tlsf_add_region(&heap, arena + 128 * 1024, 32 * 1024));
  size_t const whole = stats_of(heap).largest_free;
  struct Live {
    size_t size;
    unsigned char tag;
  };
  std::map<unsigned char *, Live> live;
  size_t used = 0;
  auto const pick = [&] { return std::next(live.begin(), static_cast<ptrdiff_t>(rng() % live.size())); };
  auto const verify = [&](unsigned char *p, size_t size, unsigned char tag) {
    return std::all_of(p, p + size, [tag](unsigned char c) { return c == tag; });
  };
  for (int step = 0; step < 20000; step++) {
    size_t const size = rng() % (rng() % 8 == 0 ? 3000 : 200);
    auto const tag = static_cast<unsigned char>(rng());
    unsigned const what = rng() % 4;
    if (what < 2 || live.empty()) {
      size_t const align = static_cast<size_t>(1) << (rng() % 16 == 0 ? rng() % 9 : 4);
      auto *const p = static_cast<unsigned char *>(rf_aligned_alloc(a, align, size));
      if (p != nullptr) {
        ASSERT_TRUE(rf_is_aligned(p, align));
        std::memset(p, tag, size);
        live[p] = {size, tag};
        used += size;
      }
    } else if (what == 2) {
      auto const it = pick();
      ASSERT_TRUE(verify(it->first, it->second.size, it->second.tag)) << "step " << step;
      ASSERT_EQ(RF_OK, rf_free(a, it->first));
      used -= it->second.size;
      live.erase(it);
    } else if (size != 0) {
      auto const it = pick();
      Live const old = it->second;
      auto *const p = static_cast<unsigned char *>(rf_realloc(a, it->first, size));
      if (p != nullptr) {
        live.erase(it);
        ASSERT_TRUE(verify(p, std::min(old.size, size), old.tag)) << "step " << step;
        std::memset(p, tag, size);
        live[p] = {size, tag};
        used = used - old.size + size;
      }
    }
    ASSERT_EQ(used, stats_of(heap).used) << "step " << step;
    if (step % 64 == 0) {
      ASSERT_EQ(RF_OK, rf_check(a, nullptr)) << "step " << step;
    }
  }
  for (const auto &[p, l] : live) {
    ASSERT_EQ(RF_OK, rf_free(a, p));
  }
  EXPECT_EQ(whole, stats_of(heap).largest_free);
  EXPECT_TRUE(faults.seen.empty());
}

TEST_F(Tlsf, DeinitTwiceIsHarmless) {
  make(1024);
  rf_deinit(a);
  rf_deinit(a);
}

} // namespace
