// Damage to each byte of a sizeclass's metadata in turn: told by check, survived by everything.
#include "tests/heaps/sizeclass_fixture.h"

#include <ringfence/tlsf.h>

#include <cstring>
#include <vector>

namespace {

class SizeclassIntegrity : public ::testing::Test {
protected:
  Unwatched unwatched;

  static constexpr size_t kSize = 1500;

  void SetUp() override {
    ASSERT_EQ(RF_OK, rf_tlsf_init(&tlsf, memory, sizeof memory));
    ASSERT_EQ(RF_OK, rf_sizeclass_init(&heap, arena, kSize, &tlsf.base));
    ASSERT_EQ(RF_OK, rf_sizeclass_track_sites(&heap, sites, 4));
    rf_alloc(a, 1);
    std::vector<void *> freed;
    for (size_t const size : {40, 100, 30, 20, 90, 17}) {
      freed.push_back(rf_alloc(a, size));
      live.push_back(rf_alloc(a, size));
    }
    live.push_back(rf_aligned_alloc(a, 128, 20));
    while (heap.large_blocks < 5) {
      live.push_back(rf_alloc(a, 60));
    }
    for (void *const p : freed) {
      EXPECT_EQ(RF_OK, rf_free(a, p));
    }
    save();
  }

  void save() {
    memcpy(saved_arena, arena, kSize);
    memcpy(&saved_heap, &heap, sizeof heap);
    memcpy(saved_sites, sites, sizeof sites);
    memcpy(&saved_tlsf, &tlsf, sizeof tlsf);
    memcpy(saved_memory, memory, sizeof memory);
  }

  void restore() {
    memcpy(arena, saved_arena, kSize);
    memcpy(&heap, &saved_heap, sizeof heap);
    memcpy(sites, saved_sites, sizeof sites);
    memcpy(&tlsf, &saved_tlsf, sizeof tlsf);
    memcpy(memory, saved_memory, sizeof memory);
  }

  // Every operation, on the damaged heap: whatever they answer, they end and touch nothing outside.
  void use() {
    rf_stats unused;
    unsigned char margin[sizeof after];
    memcpy(margin, after, sizeof after);
    rf_stats_get(a, &unused);
    std::vector<Seen> blocks;
    (void)rf_walk(a, see, &blocks);
    for (void *const ptr : live) {
      (void)rf_usable_size(a, ptr);
      (void)rf_owns(a, ptr);
      (void)rf_resize(a, ptr, 200);
      void *const moved = rf_realloc(a, ptr, 120);
      for (size_t const size : {16, 24, 48, 100, 200, 700}) {
        (void)rf_alloc(a, size);
      }
      (void)rf_aligned_alloc(a, 64, 100);
      (void)rf_free(a, moved != nullptr ? moved : ptr);
    }
    rf_deinit(a);
    EXPECT_EQ(0, memcmp(margin, after, sizeof after));
  }

  bool told(unsigned char *byte) {
    return change_is_told(
        a, byte, faults, [this] { use(); }, [this] { restore(); });
  }

  // The parts of headers that mean something: i386 pads them.
  static constexpr size_t kMeant = sizeof(uintptr_t) + 8;

  static bool header_before(const unsigned char *payload, const unsigned char *byte) {
    return byte >= payload - kHeader && byte < payload - kHeader + kMeant && byte < payload;
  }

  bool in_header(const unsigned char *byte) {
    size_t at = 0;
    bool found = false;
    for (const Seen &b : walk(a)) {
      if (b.ptr < arena || b.ptr >= arena + heap.carved) {
        continue;
      }
      size_t const whole = b.size + b.overhead;
      found = found || header_before(b.ptr, byte) || header_before(arena + at + kHeader, byte);
      at += whole;
    }
    return found;
  }

  Faults faults;
  alignas(16) unsigned char arena[kSize];
  unsigned char after[64] = {};
  alignas(16) unsigned char memory[4096];
  rf_tlsf tlsf;
  rf_sizeclass heap;
  rf_sizeclass_site sites[4];
  rf_allocator *a = &heap.base;
  std::vector<void *> live;
  unsigned char saved_arena[kSize];
  unsigned char saved_memory[sizeof memory];
  rf_sizeclass saved_heap;
  rf_sizeclass_site saved_sites[4];
  rf_tlsf saved_tlsf;
};

TEST_F(SizeclassIntegrity, EachByteOfEachHeaderIsTold) {
  size_t headers = 0;
  for (size_t i = 0; i < kSize; i++) {
    if (in_header(arena + i)) {
      headers++;
      EXPECT_TRUE(told(arena + i)) << "byte " << i;
    }
  }
  EXPECT_LT(12U * kMeant, headers);
}

TEST_F(SizeclassIntegrity, FiguresThatCannotBeAreTold) {
  expect_peaks_checked(a, &heap.counters);
  rf_counters const sound = heap.counters;
  heap.counters.allocations = sound.peak_blocks - 1;
  EXPECT_EQ(RF_ERR_CORRUPT, rf_check(a, nullptr));
  heap.counters = sound;
}

TEST_F(SizeclassIntegrity, NothingElseInTheBufferIsReliedUpon) {
  for (size_t i = 0; i < kSize; i++) {
    if (!in_header(arena + i)) {
      arena[i] ^= 0xFF;
      EXPECT_EQ(RF_OK, rf_check(a, nullptr)) << "byte " << i;
      arena[i] ^= 0xFF;
    }
  }
}

TEST_F(SizeclassIntegrity, EachByteOfARecordOfTheFallbackIsTold) {
  size_t const record = 7 * sizeof(size_t);
  size_t records = 0;
  for (void *const ptr : live) {
    auto *const p = static_cast<unsigned char *>(ptr);
    if (p >= arena && p < arena + kSize) {
      continue;
    }
    records++;
    for (size_t i = 1; i <= kHeader + record; i++) {
      if (kHeader - i >= kMeant && i <= kHeader) {
        continue; // padding
      }
      EXPECT_TRUE(told(p - i)) << i << " bytes before a block";
    }
  }
  EXPECT_EQ(5U, records);
}

TEST_F(SizeclassIntegrity, EachByteOfTheHeapIsToldButThoseThatOnlyCountOrRemember) {
  auto *const record = reinterpret_cast<unsigned char *>(&heap);
  auto const in = [&](size_t i, const void *field, size_t size) {
    size_t const start = static_cast<size_t>(static_cast<const unsigned char *>(field) - record);
    return i >= start && i < start + size;
  };
  for (size_t i = 0; i < sizeof heap; i++) {
    // The operations themselves and the notifier; figures that may have any value above the least possible; addresses
    // that only say whether a refused pointer was freed before.
    if (in(i, &heap.base, sizeof heap.base) || in(i, &heap.notifier, 2 * sizeof(void *)) ||
        in(i, &heap.counters.failures, sizeof(size_t)) || in(i, &heap.counters.peak, sizeof(size_t)) ||
        in(i, &heap.counters.peak_blocks, sizeof(size_t)) || in(i, &heap.counters.allocations, sizeof(size_t)) ||
        in(i, heap.recent, sizeof heap.recent + sizeof heap.recent_at)) {
      continue;
    }
    EXPECT_TRUE(told(record + i)) << "byte " << i;
  }
}

TEST_F(SizeclassIntegrity, ATableOfSitesDoesNotHideDamageToTheRecord) {
  for (void *const p : live) {
    (void)rf_free(a, p);
  }
  heap.counters.blocks = 0;
  heap.size -= 16;
  EXPECT_EQ(RF_ERR_CORRUPT, rf_sizeclass_track_sites(&heap, sites, 4));
  EXPECT_EQ(1U, faults.count());
  EXPECT_EQ(RF_ERR_CORRUPT, faults.take());
  EXPECT_EQ(RF_ERR_CORRUPT, rf_check(a, nullptr));
  restore();
}

TEST_F(SizeclassIntegrity, OfTheRecordIsPrintedAndItsTableNotFollowed) {
  char text[100];
  rf_sink_buffer buffer;
  rf_sink_buffer_init(&buffer, text, sizeof text);
  heap.sites = nullptr;
  rf_sizeclass_print(&heap, &buffer.sink);
  EXPECT_STREQ("sizeclass: heap record overwritten\n", text);
  restore();
}

} // namespace
