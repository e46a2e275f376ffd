// Pointers that slab refuses, as they are no blocks of its own: chunks, pages, records.
#include "tests/heaps/slab_fixture.h"

#include <cstring>
#include <vector>

namespace ringfence::testing {
namespace {

class SlabRefuses : public ::testing::Test {
protected:
  rf_status refused(void *p) {
    rf_stats const before = stats(h.a);
    rf_status const status = rf_free(h.a, p);
    rf_stats const after = stats(h.a);
    EXPECT_EQ(0, memcmp(&before, &after, sizeof before));
    EXPECT_EQ(0U, rf_usable_size(h.a, p));
    EXPECT_EQ(1U, faults.count());
    EXPECT_EQ(status, faults.take());
    return status;
  }
  Faults faults;
  Heap h{kMiB};
};

TEST_F(SlabRefuses, AChunkThatIsFree) {
  unsigned char *const p = h.alloc(100);
  h.alloc(100);
  EXPECT_EQ(RF_OK, rf_free(h.a, p));
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, refused(p));
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, refused(p + 2 * 112)) << "never used yet";
}

TEST_F(SlabRefuses, MisalignedPointersToFreeMemoryAsNoBlocks) {
  unsigned char *const p = h.alloc(5000);
  EXPECT_EQ(RF_OK, rf_free(h.a, p));
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, refused(p));
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, refused(p + 8));
  EXPECT_EQ(RF_ERR_BAD_POINTER, refused(p + 1));
  EXPECT_EQ(RF_ERR_BAD_POINTER, refused(p + 12));
}

TEST_F(SlabRefuses, AChunkOfAZoneThatIsEmptyOrGone) {
  std::vector<unsigned char *> blocks;
  for (size_t i = 0; i < 1000; i++) {
    blocks.push_back(h.alloc(100));
  }
  for (unsigned char *const p : blocks) {
    EXPECT_EQ(RF_OK, rf_free(h.a, p));
  }
  for (unsigned char *const p : blocks) {
    EXPECT_EQ(RF_ERR_NOT_ALLOCATED, refused(p));
  }
}

TEST_F(SlabRefuses, AnyPlaceInsideABlock) {
  for (size_t const size : {100, 5000, 100000}) {
    unsigned char *const p = h.alloc(size);
    memset(p, 0, size);
    for (size_t i = 1; i < size; i += size < 1000 ? 1 : 16) {
      ASSERT_EQ(RF_ERR_BAD_POINTER, refused(p + i)) << size << " + " << i;
    }
  }
}

TEST_F(SlabRefuses, PagesOnceThoseOfBlocksAndZonesNowInsideAnother) {
  std::vector<void *> blocks;
  for (size_t i = 0; i < 200; i++) {
    blocks.push_back(h.alloc(i % 2 == 0 ? 5000 : 1000));
  }
  for (void *const p : blocks) {
    EXPECT_EQ(RF_OK, rf_free(h.a, p));
  }
  size_t const size = stats(h.a).largest_free;
  unsigned char *const all = h.alloc(size);
  for (size_t i = 512; i < size; i += 512) {
    ASSERT_EQ(RF_ERR_BAD_POINTER, refused(all + i)) << i;
  }
}

TEST_F(SlabRefuses, TheTableAndTheRestOfAZone) {
  unsigned char *const p = h.alloc(1000); // in one zone with those behind it
  for (size_t i = 1024; i < 2 * 4096; i += 8) {
    EXPECT_EQ(i < 7 * 1024 ? RF_ERR_NOT_ALLOCATED : RF_ERR_BAD_POINTER, refused(p + i)) << i;
  }
}

TEST_F(SlabRefuses, TheRecordsOfPagesAndWhatIsOutsideTheArena) {
  auto *const records = reinterpret_cast<unsigned char *>(h.heap.records);
  for (size_t i = 0; i < 24 * 8; i += 8) {
    EXPECT_EQ(RF_ERR_BAD_POINTER, refused(records + i));
  }
  EXPECT_EQ(RF_ERR_BAD_POINTER, refused(records + kMiB));
  EXPECT_EQ(RF_ERR_BAD_POINTER, refused(&faults));
}

// ---- Pages ----

TEST(SlabPages, ThatAreNotABlocksAreRefused) {
  Faults faults;
  Heap h(kMiB, 4096);
  auto *const p = static_cast<unsigned char *>(rf_slab_alloc_pages(&h.heap, 4, RF_HERE));
  auto *const q = static_cast<unsigned char *>(rf_alloc(h.a, 3 * 4096 * 10 - 1)); // not whole pages
  unsigned char *const chunk = h.alloc(20);
  const char *what = nullptr;
  auto const refused = [&](void *at, size_t count) {
    rf_status const status = rf_slab_free_pages(&h.heap, at, count, RF_HERE);
    EXPECT_EQ(1U, faults.count());
    what = faults.last().what;
    EXPECT_EQ(status, faults.take());
    return status;
  };
  EXPECT_EQ(RF_ERR_BAD_POINTER, refused(p, 5));
  EXPECT_STREQ("more pages than the block has", what);
  EXPECT_EQ(RF_ERR_BAD_POINTER, refused(p, SIZE_MAX));
  EXPECT_EQ(RF_ERR_BAD_POINTER, refused(p + 4096, 4));
  EXPECT_STREQ("more pages than the block has", what);
  EXPECT_EQ(RF_ERR_BAD_POINTER, refused(p + 16, 1));
  EXPECT_STREQ("not the start of a live block", what);
  EXPECT_EQ(RF_ERR_BAD_POINTER, refused(q, 1));
  EXPECT_STREQ("part of a block that is no whole pages", what);
  EXPECT_EQ(RF_ERR_BAD_POINTER, refused(q, 31));
  EXPECT_STREQ("more pages than the block has", what);
  EXPECT_EQ(RF_ERR_BAD_POINTER, refused(chunk, 1));
  EXPECT_EQ(RF_ERR_BAD_POINTER, refused(&faults, 1));
  EXPECT_EQ(RF_ERR_INVALID, rf_slab_free_pages(&h.heap, p, 0, RF_HERE));
  EXPECT_EQ(RF_OK, rf_slab_free_pages(&h.heap, q, 30, RF_HERE)) << "but as a whole";
  EXPECT_EQ(RF_OK, rf_slab_free_pages(&h.heap, p, 4, RF_HERE));
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, refused(p, 4));
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, refused(p + 4096, 1));
}

// The pages of the longer zone still say that they are members of what begins where it did.
TEST(SlabPages, OnceOfAZoneAreNotThoseOfAShorterOneInItsPlace) {
  Faults faults;
  Heap h(64 * 1024, 128);
  size_t const all = stats(h.a).largest_free / 128;
  ASSERT_EQ(RF_OK, rf_free(h.a, h.alloc(120))) << "a chunk of a zone of four pages";
  void *const whole = rf_slab_alloc_pages(&h.heap, all, RF_HERE);
  ASSERT_EQ(RF_OK, rf_free(h.a, whole));
  unsigned char *const chunk = h.alloc(16);
  ASSERT_EQ(whole, chunk) << "of a zone of one page";
  auto *const pages = static_cast<unsigned char *>(rf_slab_alloc_pages(&h.heap, 3, RF_HERE));
  ASSERT_EQ(chunk + 128, pages);
  EXPECT_EQ(RF_ERR_BAD_POINTER, rf_free(h.a, pages + 128));
  EXPECT_STREQ("pointer into a block", faults.last().what);
  EXPECT_EQ(RF_OK, rf_free(h.a, pages));
  EXPECT_EQ(RF_OK, rf_free(h.a, chunk));
}

} // namespace
} // namespace ringfence::testing
