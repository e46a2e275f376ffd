// Frees of the drop-in's heap that are wrong (checkers/dropin/heap/wrong_call.c): of which block they tell.
#include "tests/dropin/recorded_heap.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace ringfence_test {
namespace {

TEST(DropinFindings, OfADoubleFreeComeAfterWhatWasWrittenSince) {
  with_heap([](Heap &heap) {
    unsigned char *const p = heap.make(40);
    EXPECT_TRUE(heap.free(p));
    p[5] = 'x';
    EXPECT_FALSE(heap.free(p));
    std::vector<rf_finding> const found = heap.recorder.take();
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(found[0].bug, RF_BUG_USE_AFTER_FREE);
    EXPECT_EQ(found[1].bug, RF_BUG_DOUBLE_FREE);
  });
}

// Two threads free it at once, and the one that lost sees what another allocation made of it.
TEST(DropinFindings, OfADoubleFreeAreOfAFreedBlockWhateverLivesThere) {
  with_heap([](Heap &heap) {
    for (size_t const size : {0, 40}) {
      rf_check_bad_free(heap.make(size), &no_origin);
      std::vector<rf_finding> const found = heap.recorder.take();
      ASSERT_EQ(found.size(), 1U);
      EXPECT_EQ(found[0].bug, RF_BUG_DOUBLE_FREE);
      EXPECT_TRUE(found[0].freed) << size;
    }
  });
}

// Two threads free a large one at once, and its memory has gone when the one that lost looks what is there.
TEST(DropinFindings, OfAFreeWhereABlockWasAreAskedOfWhoRemembersIt) {
  static const void *asked;
  static bool knows;
  with_heap([](Heap &heap) {
    static char beside[64];
    rf_heap_options_now.left = [](const void *ptr, const rf_origin *) {
      asked = ptr;
      return knows;
    };
    for (bool const known : {true, false}) {
      knows = known;
      asked = nullptr;
      EXPECT_FALSE(heap.free(beside));
      EXPECT_EQ(asked, beside);
      EXPECT_EQ(heap.recorder.take().size(), known ? 0U : 1U) << "who remembers it has told";
    }
    asked = nullptr;
    unsigned char *const p = heap.make(40);
    EXPECT_FALSE(heap.free(p + 1));
    EXPECT_EQ(heap.recorder.take().size(), 1U);
    EXPECT_EQ(asked, nullptr) << "a block is there";
  });
}

const char *const kBeside = "the pointer is beside a block";
const char *const kBetween = "the pointer is beside a block, and 16 bytes before the next one";

// A free of `offset` bytes from the start of `block`, in no block, is told of that block.
void expect_beside(Heap &heap, unsigned char *block, ptrdiff_t offset, const char *detail) {
  rf_view const v = heap.view(block);
  EXPECT_FALSE(heap.free(block + offset));
  std::vector<rf_finding> const found = heap.recorder.take();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].bug, RF_BUG_BAD_FREE);
  EXPECT_EQ(found[0].block, reinterpret_cast<uintptr_t>(block));
  EXPECT_EQ(found[0].size, v.size);
  EXPECT_EQ(found[0].offset, offset);
  EXPECT_EQ(found[0].freed, rf_slot_state_of(v.slot) == RF_SLOT_FREED);
  EXPECT_STREQ(found[0].detail, detail);
}

// The bytes before the first block of a span are no other block's.
TEST(DropinFindings, OfAFreeInTheBytesBeforeABlockNameIt) {
  for (size_t const size : {1, 40, 64, 1000, 30000, 100000, 2000000}) {
    with_heap([&](Heap &heap) {
      unsigned char *p = heap.make(size);
      while (heap.view(p).index != 0) {
        p = heap.make(size);
      }
      for (bool const freed : {false, true}) {
        SCOPED_TRACE(testing::Message() << size << (freed ? " freed" : " live"));
        ASSERT_TRUE(!freed || heap.free(p));
        for (ptrdiff_t const before : {1, 8, 16, 32, 64}) {
          expect_beside(heap, p, -before, kBeside);
        }
      }
    });
  }
}

// Two blocks whose slots lie one behind the other.
std::pair<unsigned char *, unsigned char *> neighbours(Heap &heap, size_t size) {
  std::vector<unsigned char *> blocks(64);
  std::generate(blocks.begin(), blocks.end(), [&] { return heap.make(size); });
  std::sort(blocks.begin(), blocks.end());
  auto const low =
      std::adjacent_find(blocks.begin(), blocks.end(), [&](const unsigned char *a, const unsigned char *b) {
        return a + heap.view(a).span->slot_size == b;
      });
  EXPECT_NE(low, blocks.end());
  return {*low, *(low + 1)};
}

// In slots of 80 bytes: told of the nearer one, or of that before which a header would be there. The end of a block is
// that block's, unless it alone is freed.
TEST(DropinFindings, OfAFreeBetweenTwoBlocksNameTheOneThatIsMeant) {
  struct {
    size_t size;
    ptrdiff_t before; // the upper one
    bool upper;
    const char *detail;
  } const rows[] = {
      {64, 1, true, kBeside},    {64, 8, true, kBeside},   {64, 9, false, kBeside},  {64, 15, false, kBeside},
      {64, 16, false, kBetween}, {63, 16, true, kBeside},  {63, 17, false, kBeside}, {50, 15, true, kBeside},
      {50, 16, true, kBeside},   {50, 17, false, kBeside}, {50, 30, false, kBeside},
  };
  for (auto const &row : rows) {
    for (char const *freed : {"none", "lower", "upper", "both"}) {
      with_heap([&](Heap &heap) {
        auto const [low, high] = neighbours(heap, row.size);
        bool const is_low = *freed == 'l' || *freed == 'b';
        bool const is_high = *freed == 'u' || *freed == 'b';
        ASSERT_EQ(high - low, 80);
        ASSERT_TRUE((!is_low || heap.free(low)) && (!is_high || heap.free(high)));
        SCOPED_TRACE(testing::Message() << row.size << ", " << row.before << " before, freed: " << freed);
        bool const at_stale_end = row.detail == kBetween && is_low && !is_high;
        bool const upper = row.upper || at_stale_end;
        expect_beside(heap, upper ? high : low, upper ? -row.before : 80 - row.before,
                      at_stale_end ? kBeside : row.detail);
      });
    }
  }
}

TEST(DropinFindings, OfAFreeBehindASlotThatIsNoBlockYetNameTheNextOneWhereNear) {
  with_heap([](Heap &heap) {
    auto const [low, high] = neighbours(heap, 100);
    heap.view(low).slot->traits = rf_traits(RF_SLOT_NEW, RF_FAMILY_MALLOC, RF_DEFAULT_ALIGN_LOG2, 0);
    expect_beside(heap, high, -16, kBeside);
    expect_beside(heap, high, -64, kBeside);
    EXPECT_FALSE(heap.free(high - 65));
    std::vector<rf_finding> const found = heap.recorder.take();
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].block, 0U);
    EXPECT_STREQ(found[0].detail, "no block is there, or any more");
  });
}

// A pointer that is read right before or behind an array of pointers is made of guard bytes.
TEST(DropinFindings, OfAFreeOfAPointerOutOfGuardBytesSaySo) {
  with_heap([](Heap &heap) {
    auto **const list = reinterpret_cast<unsigned char **>(heap.make(4 * sizeof(void *)));
    for (int const at : {-1, 4}) {
      EXPECT_FALSE(heap.free(list[at]));
      std::vector<rf_finding> const found = heap.recorder.take();
      ASSERT_EQ(found.size(), 1U);
      EXPECT_EQ(found[0].bug, RF_BUG_BAD_FREE);
      EXPECT_STREQ(found[0].detail, "the pointer was read from the guard bytes beside a block, which are 0xfd");
    }
  });
}

// By the short way and by the long one; a size above the block's as well as one below.
TEST(DropinFindings, OfAFreeWithAnotherSizeAreToldWhicheverIsMore) {
  for (size_t const most : {RF_FAST_MOST, size_t{1024}, size_t{0}}) {
    with_heap([most](Heap &heap) {
      rf_heap_options_now.fast_most = most;
      for (size_t const size : {40, 700, 1500, 4079, 40000}) {
        for (size_t const named : {size - 1, size + 1, size - 30, size_t{0}, size}) {
          unsigned char *const p = heap.make(size);
          EXPECT_TRUE(rf_cache_free(heap.cache, p, RF_FAMILY_MALLOC, named, &no_origin));
          std::vector<rf_finding> const found = heap.recorder.take();
          EXPECT_EQ(found.size(), named == size ? 0U : 1U) << size << ' ' << named;
        }
      }
    });
  }
}

rf_status refused_with;
const void *refused_ptr;

void refused(rf_status status, const void *ptr, const rf_origin * /*origin*/) {
  refused_with = status;
  refused_ptr = ptr;
}

TEST(DropinFindings, AreStatusesWhereNothingIsChecked) {
  heap_alone([] {
    rf_heap_options options = rf_heap_options_of(nullptr);
    options.refused = refused;
    rf_heap_configure(&options);
    Heap const heap;
    unsigned char *const p = heap.make(40);
    EXPECT_FALSE(heap.free(p + 1));
    EXPECT_EQ(refused_with, RF_ERR_BAD_POINTER);
    EXPECT_EQ(refused_ptr, p + 1);
    EXPECT_TRUE(heap.free(p));
    EXPECT_FALSE(heap.free(p));
    EXPECT_EQ(refused_with, RF_ERR_NOT_ALLOCATED);
    EXPECT_EQ(refused_ptr, p);
    // A slot has as many bytes as its block where there is no guard.
    EXPECT_EQ(heap.view(heap.make(32)).span->slot_size, 32U);
  });
}

} // namespace
} // namespace ringfence_test
