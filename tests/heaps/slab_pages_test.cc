// Pages of slab: from which run they are taken, how they merge, grow, shrink and are given back in parts.
#include "tests/heaps/slab_fixture.h"

#include <cstdlib>
#include <vector>

namespace ringfence::testing {
namespace {

TEST(SlabPages, ServeWhatNoClassDoes) {
  Heap h(4 * kMiB);
  unsigned char *const p = h.alloc(RF_SLAB_LARGEST_CHUNK + 1);
  EXPECT_TRUE(rf_is_aligned(p, 4096));
  EXPECT_EQ(5 * 4096U, rf_usable_size(h.a, p));
}

TEST(SlabPages, AreTakenFromTheShortestRunThatIsLongEnough) {
  Heap h(4 * kMiB, 4096);
  std::vector<void *> runs;
  std::vector<size_t> const lengths = {40, 10, 20, 11, 30, 15, 12, 10};
  for (size_t const length : lengths) {
    runs.push_back(rf_slab_alloc_pages(&h.heap, length, RF_HERE));
    ASSERT_NE(nullptr, rf_slab_alloc_pages(&h.heap, 1, RF_HERE)); // apart
  }
  for (size_t i = 0; i < lengths.size(); i++) {
    EXPECT_EQ(RF_OK, rf_free(h.a, runs[i]));
  }
  EXPECT_EQ(RF_OK, rf_check(h.a, nullptr));
  EXPECT_EQ(runs[6], rf_slab_alloc_pages(&h.heap, 12, RF_HERE));
  EXPECT_EQ(runs[5], rf_slab_alloc_pages(&h.heap, 13, RF_HERE));
  EXPECT_EQ(runs[3], rf_slab_alloc_pages(&h.heap, 11, RF_HERE));
  EXPECT_EQ(runs[2], rf_slab_alloc_pages(&h.heap, 16, RF_HERE));
  EXPECT_EQ(runs[4], rf_slab_alloc_pages(&h.heap, 26, RF_HERE));
  EXPECT_EQ(RF_OK, rf_check(h.a, nullptr));
}

// Runs of one to twelve pages, apart from each other; free are those that a test frees.
class Runs {
public:
  Runs() {
    for (size_t length = 1; length <= kLongest; length++) {
      at[length] = rf_slab_alloc_pages(&h.heap, length, RF_HERE);
      EXPECT_NE(nullptr, rf_slab_alloc_pages(&h.heap, 1, RF_HERE));
    }
    while (rf_slab_alloc_pages(&h.heap, 1, RF_HERE) != nullptr) {
    }
  }
  // The shortest that is long enough is taken, whatever is asked for.
  void expect_best(const std::vector<size_t> &freed) {
    for (size_t const length : freed) {
      EXPECT_EQ(RF_OK, rf_free(h.a, at[length]));
    }
    for (size_t wanted = 1; wanted <= kLongest; wanted++) {
      size_t best = 0;
      for (size_t const length : freed) {
        best = length >= wanted && (best == 0 || length < best) ? length : best;
      }
      void *const p = rf_slab_alloc_pages(&h.heap, wanted, RF_HERE);
      EXPECT_EQ(at[best], p) << wanted << " of " << freed[0] << ", " << freed[1] << " and " << freed[2];
      EXPECT_EQ(RF_OK, rf_free(h.a, p));
    }
  }
  static constexpr size_t kLongest = 12;

private:
  Heap h{26 * 1024, 256};
  void *at[kLongest + 1] = {};
};

TEST(SlabPages, AreTakenFromTheShortestOfAnyRunsInAnyOrder) {
  for (size_t a = 1; a <= Runs::kLongest; a++) {
    for (size_t b = 1; b <= Runs::kLongest; b++) {
      for (size_t c = 1; c <= Runs::kLongest; c++) {
        if (a != b && b != c && c != a) {
          Runs().expect_best({a, b, c});
        }
      }
    }
  }
}

// The first run in the branch of longer ones is 13 pages long; that of 12 is below it, on its far side.
TEST(SlabPages, AreFoundOnEitherSideOfABranch) {
  Heap h(34 * 256, 256);
  ASSERT_EQ(31U, h.heap.count);
  std::vector<void *> runs;
  for (size_t const length : {1, 2, 13, 12}) {
    if (!runs.empty()) {
      ASSERT_NE(nullptr, rf_slab_alloc_pages(&h.heap, 1, RF_HERE)); // apart
    }
    runs.push_back(rf_slab_alloc_pages(&h.heap, length, RF_HERE));
    ASSERT_NE(nullptr, runs.back());
  }
  for (void *const run : runs) {
    EXPECT_EQ(RF_OK, rf_free(h.a, run));
  }
  EXPECT_EQ(runs[3], rf_slab_alloc_pages(&h.heap, 5, RF_HERE));
}

// The run of 12 is in a branch that the search has passed when it meets that of 10.
TEST(SlabPages, AreFoundInABranchPassedBeforeAShorterRun) {
  Heap h(60 * 4096, 4096);
  std::vector<void *> runs;
  for (size_t const length : {2, 3, 4, 8, 9, 12, 10}) {
    runs.push_back(rf_slab_alloc_pages(&h.heap, length, RF_HERE));
    ASSERT_NE(nullptr, runs.back());
    ASSERT_NE(nullptr, rf_slab_alloc_pages(&h.heap, 1, RF_HERE)); // apart
  }
  while (rf_slab_alloc_pages(&h.heap, 1, RF_HERE) != nullptr) {
  }
  for (void *const run : runs) {
    EXPECT_EQ(RF_OK, rf_free(h.a, run));
  }
  EXPECT_EQ(runs[5], rf_slab_alloc_pages(&h.heap, 11, RF_HERE));
}

// The four pages in front were free once, together; now the first two are free, and the others a block.
TEST(SlabPages, DoNotMergeWithWhatWasFreeBeforeABlock) {
  Heap h(kMiB, 4096);
  auto *const four = static_cast<unsigned char *>(rf_slab_alloc_pages(&h.heap, 4, RF_HERE));
  void *const behind = rf_slab_alloc_pages(&h.heap, 1, RF_HERE);
  ASSERT_EQ(four + 4 * 4096, behind);
  EXPECT_EQ(RF_OK, rf_free(h.a, four));
  EXPECT_EQ(four, rf_slab_alloc_pages(&h.heap, 4, RF_HERE));
  EXPECT_EQ(RF_OK, rf_slab_free_pages(&h.heap, four, 2, RF_HERE));
  EXPECT_EQ(RF_OK, rf_free(h.a, behind));
  EXPECT_EQ(RF_OK, rf_check(h.a, nullptr));
  EXPECT_EQ(2 * 4096U, rf_usable_size(h.a, four + 2 * 4096));
}

TEST(SlabPages, MergeInWhateverOrderTheyAreFreed) {
  for (unsigned order = 0; order < 24; order++) {
    Heap h(kMiB, 1024);
    std::vector<void *> runs;
    for (size_t const length : {3, 1, 5, 2, 2, 7, 1, 4}) {
      runs.push_back(rf_slab_alloc_pages(&h.heap, length, RF_HERE));
    }
    srand(order);
    while (!runs.empty()) {
      size_t const pick = static_cast<size_t>(rand()) % runs.size();
      EXPECT_EQ(RF_OK, rf_free(h.a, runs[pick])) << "order " << order;
      EXPECT_EQ(RF_OK, rf_check(h.a, nullptr));
      runs.erase(runs.begin() + static_cast<std::ptrdiff_t>(pick));
    }
    h.expect_as_after_init();
  }
}

TEST(SlabPages, OfABlockGrowAndShrinkInPlace) {
  Heap h(kMiB, 1024);
  auto *const p = static_cast<unsigned char *>(rf_slab_alloc_pages(&h.heap, 20, RF_HERE));
  void *const wall = rf_slab_alloc_pages(&h.heap, 1, RF_HERE);
  EXPECT_EQ(p, rf_realloc(h.a, p, 11 * 1024 - 5));
  EXPECT_EQ(11 * 1024U, rf_usable_size(h.a, p));
  EXPECT_EQ(p, rf_realloc(h.a, p, 20 * 1024));
  EXPECT_EQ(RF_ERR_NO_MEMORY, rf_resize(h.a, p, 20 * 1024 + 1));
  EXPECT_EQ(RF_OK, rf_free(h.a, wall));
  EXPECT_EQ(RF_OK, rf_resize(h.a, p, 20 * 1024 + 1));
  EXPECT_EQ(RF_ERR_NO_MEMORY, rf_resize(h.a, p, kMiB));
  EXPECT_EQ(RF_ERR_NO_MEMORY, rf_resize(h.a, p, RF_SIZE_LIMIT));
  EXPECT_EQ(RF_OK, rf_free(h.a, p));
  h.expect_as_after_init();
}

TEST(SlabPages, OfABlockGrowOverAnEmptyZone) {
  Heap h(kMiB, 1024);
  void *const p = rf_slab_alloc_pages(&h.heap, 4, RF_HERE);
  EXPECT_EQ(RF_OK, rf_free(h.a, h.alloc(64))); // behind it
  EXPECT_EQ(1U, h.kept());
  EXPECT_EQ(RF_OK, rf_resize(h.a, p, 8 * 1024));
  EXPECT_EQ(0U, h.kept());
}

TEST(SlabPages, ServeAnyAlignment) {
  Heap h(4 * kMiB);
  for (size_t align = 1; align <= kMiB; align *= 2) {
    for (size_t const size : {0, 1, 100, 5000, 70000}) {
      unsigned char *const p = h.alloc(size, align);
      EXPECT_TRUE(rf_is_aligned(p, align));
      EXPECT_EQ(RF_OK, rf_free(h.a, p));
    }
  }
  EXPECT_EQ(nullptr, rf_aligned_alloc(h.a, size_t{1} << (sizeof(size_t) * 8 - 1), 1));
  EXPECT_EQ(nullptr, rf_aligned_alloc(h.a, 8 * kMiB, RF_SIZE_LIMIT));
  h.expect_as_after_init();
}

// A run that is just as long as the pages and the one that the alignment may skip.
TEST(SlabPages, ServeAnAlignmentFromTheShortestRunThatIsSure) {
  Heap h(256 * 1024, 4096);
  size_t const all = stats(h.a).largest_free / 4096;
  unsigned char *const rest = static_cast<unsigned char *>(rf_slab_alloc_pages(&h.heap, all - 6, RF_HERE));
  ASSERT_EQ(6U * 4096, stats(h.a).largest_free);
  unsigned char *const p = h.alloc(5 * 4096, 8192);
  EXPECT_TRUE(rf_is_aligned(p, 8192));
  EXPECT_EQ(RF_OK, rf_free(h.a, p));
  EXPECT_EQ(RF_OK, rf_free(h.a, rest));
}

#if SIZE_MAX > UINT32_MAX
TEST(SlabPages, AreNeverSoManyThatTheirNumberWraps) {
  Heap h(256 * 1024, 4096);
  unsigned char *const p = h.alloc(50000);
  for (size_t const more : {size_t{0}, size_t{1}, size_t{13}}) {
    EXPECT_EQ(RF_ERR_NO_MEMORY, rf_resize(h.a, p, ((size_t{1} << 32) + more) * 4096));
  }
  EXPECT_EQ(50000U, walk(h.a)[0].size);
  EXPECT_EQ(RF_OK, rf_free(h.a, p));
}
#endif

TEST(SlabPages, AreCountedAsWhole) {
  Heap h(kMiB, 4096);
  EXPECT_EQ(4096U, rf_slab_page_size(&h.heap));
  auto *const p = static_cast<unsigned char *>(rf_slab_alloc_pages(&h.heap, 3, RF_HERE));
  EXPECT_TRUE(rf_is_aligned(p, 4096));
  EXPECT_EQ(3 * 4096U, stats(h.a).used);
  EXPECT_EQ(RF_OK, rf_slab_free_pages(&h.heap, p, 3, RF_HERE));
  EXPECT_EQ(nullptr, rf_slab_alloc_pages(&h.heap, 0, RF_HERE));
  EXPECT_EQ(nullptr, rf_slab_alloc_pages(&h.heap, SIZE_MAX, RF_HERE));
  EXPECT_EQ(nullptr, rf_slab_alloc_pages(&h.heap, SIZE_MAX / 4096, RF_HERE));
  EXPECT_EQ(nullptr, rf_slab_alloc_pages(&h.heap, 1000, RF_HERE));
  EXPECT_EQ(1U, stats(h.a).failures) << "the last alone was well-formed";
  h.expect_as_after_init();
}

TEST(SlabPages, OfABlockAreGivenBackInParts) {
  Heap h(kMiB, 4096);
  auto *const p = static_cast<unsigned char *>(rf_slab_alloc_pages(&h.heap, 10, RF_HERE));
  EXPECT_EQ(RF_OK, rf_slab_free_pages(&h.heap, p, 2, RF_HERE)) << "the first";
  EXPECT_EQ(RF_OK, rf_slab_free_pages(&h.heap, p + 9 * 4096, 1, RF_HERE)) << "the last";
  EXPECT_EQ(RF_OK, rf_slab_free_pages(&h.heap, p + 5 * 4096, 2, RF_HERE)) << "in the middle";
  EXPECT_EQ(RF_OK, rf_check(h.a, nullptr));
  rf_stats const s = stats(h.a);
  EXPECT_EQ(5 * 4096U, s.used);
  EXPECT_EQ(2U, s.blocks);
  EXPECT_EQ(1U, s.allocations) << "two blocks of one allocation, and check allows that";
  EXPECT_EQ(3 * 4096U, rf_usable_size(h.a, p + 2 * 4096));
  EXPECT_EQ(RF_OK, rf_free(h.a, p + 2 * 4096));
  EXPECT_EQ(RF_OK, rf_slab_free_pages(&h.heap, p + 7 * 4096, 2, RF_HERE));
  EXPECT_EQ(RF_OK, rf_slab_free_pages(&h.heap, nullptr, 2, RF_HERE));
  h.expect_as_after_init();
}

} // namespace
} // namespace ringfence::testing
