// Tags of blocks: which tag comes next, and what a fault means. The tags themselves need a processor that has them:
// tools/try_aarch64.sh.
extern "C" {
#include "checkers/dropin/heap/tag_choice.h"
#include "checkers/os/memory_tags.h"
}

#include <gtest/gtest.h>
#include <set>

namespace ringfence {
namespace {

TEST(PointerTags, AreAddedAndRemoved) {
  if (sizeof(uintptr_t) < 8) {
    GTEST_SKIP() << "pointers have no room for tags";
  }
  uintptr_t const address = 0x55112233;
  uintptr_t const pointer = rf_tag_add(address, 11);
  EXPECT_EQ(rf_tag_of(pointer), 11U);
  EXPECT_EQ(rf_tag_of(address), 0U);
  EXPECT_EQ(rf_tag_remove(pointer), address);
  EXPECT_EQ(rf_tag_remove(address), address);
  EXPECT_EQ(rf_tag_round(0), 0U);
  EXPECT_EQ(rf_tag_round(1), 16U);
  EXPECT_EQ(rf_tag_round(16), 16U);
}

TEST(PointerTags, AreRefusedWithAReasonWhereThereAreNone) {
  if (RF_MEMORY_TAGS == 0) {
    EXPECT_STREQ(rf_memory_tags_why_not(), "it needs Linux on an AArch64 processor with the Memory Tagging Extension");
    EXPECT_FALSE(rf_memory_tags_begin(false));
    EXPECT_FALSE(rf_memory_tags_on());
    EXPECT_FALSE(rf_memory_tags_is_fault(9));
    EXPECT_EQ(rf_memory_tags_signal_flag(), 0);
  }
}

TEST(BlockTags, OfNeighboursDifferForEver) {
  for (size_t slot = 0; slot < 100; slot++) {
    unsigned own = rf_block_tag_first(slot);
    for (unsigned i = 0; i < RF_BLOCK_TAGS; i++, own = rf_block_tag_next(own)) {
      unsigned other = rf_block_tag_first(slot + 1);
      for (unsigned j = 0; j < RF_BLOCK_TAGS; j++, other = rf_block_tag_next(other)) {
        EXPECT_NE(own, other) << slot;
      }
    }
  }
}

TEST(BlockTags, OfSevenOwnersInARowDiffer) {
  for (size_t slot = 0; slot < RF_BLOCK_TAGS; slot++) {
    std::set<unsigned> seen;
    unsigned const first = rf_block_tag_first(slot);
    unsigned tag = first;
    for (unsigned i = 0; i < 7; i++) {
      EXPECT_TRUE(seen.insert(tag).second);
      EXPECT_GE(tag, 1U);
      EXPECT_LE(tag, RF_BLOCK_TAGS);
      EXPECT_EQ(rf_block_tag_before(rf_block_tag_next(tag)), tag);
      EXPECT_EQ(rf_block_tag_choose(slot, tag), tag);
      tag = rf_block_tag_next(tag);
    }
    EXPECT_EQ(tag, first);
  }
}

TEST(BlockTags, ThatASlotCannotHaveAreNotTakenOver) {
  for (size_t slot = 0; slot < 2 * RF_BLOCK_TAGS; slot++) {
    unsigned const first = rf_block_tag_first(slot);
    EXPECT_EQ(rf_block_tag_choose(slot, RF_BLOCK_TAG_NONE), first);
    EXPECT_EQ(rf_block_tag_choose(slot, RF_BLOCK_TAG_SHUT), first);
    EXPECT_EQ(rf_block_tag_choose(slot, rf_block_tag_first(slot + 1)), first);
  }
}

rf_tag_verdict judge(unsigned pointer, unsigned memory, bool freed, ptrdiff_t offset) {
  rf_tag_scene const scene = {pointer, memory, freed, offset, 20};
  return rf_tag_judge(&scene);
}

TEST(TagFaults, OfThePresentBlockAreOutOfBounds) {
  EXPECT_EQ(judge(3, 3, false, 32), RF_TAG_OVERFLOW);
  EXPECT_EQ(judge(3, 3, false, 20), RF_TAG_OVERFLOW);
  EXPECT_EQ(judge(3, 3, false, -1), RF_TAG_UNDERFLOW);
}

TEST(TagFaults, OfTheLastOwnerAreUsesAfterFree) {
  EXPECT_EQ(judge(3, 5, true, 0), RF_TAG_AFTER_FREE);
  EXPECT_EQ(judge(3, 5, true, 40), RF_TAG_AFTER_FREE);
  EXPECT_EQ(judge(13, 1, true, 0), RF_TAG_AFTER_FREE);
  EXPECT_EQ(judge(3, 5, false, 0), RF_TAG_AFTER_REUSE);
  EXPECT_EQ(judge(14, 2, false, 4), RF_TAG_AFTER_REUSE);
}

TEST(TagFaults, OfAnotherTagAreLookedForNearby) {
  EXPECT_EQ(judge(4, 5, true, 0), RF_TAG_ANOTHER);
  EXPECT_EQ(judge(4, 5, false, 0), RF_TAG_ANOTHER);
  EXPECT_EQ(judge(4, 5, false, 40), RF_TAG_ANOTHER);
  EXPECT_EQ(judge(9, 5, false, 0), RF_TAG_ANOTHER);
}

TEST(TagFaults, WithoutTheTagAreToldByTheSlot) {
  EXPECT_EQ(judge(RF_BLOCK_TAG_NONE, 5, true, 0), RF_TAG_AFTER_FREE);
  EXPECT_EQ(judge(RF_BLOCK_TAG_NONE, 5, false, 0), RF_TAG_AFTER_REUSE);
  EXPECT_EQ(judge(RF_BLOCK_TAG_NONE, 5, false, 32), RF_TAG_OVERFLOW);
  EXPECT_EQ(judge(RF_BLOCK_TAG_NONE, 5, false, -16), RF_TAG_UNDERFLOW);
}

TEST(TagFaults, OfABlockWithoutBytesAreOverflows) {
  rf_tag_scene const scene = {RF_BLOCK_TAG_SHUT, RF_BLOCK_TAG_SHUT, false, 0, 0};
  EXPECT_EQ(rf_tag_judge(&scene), RF_TAG_OVERFLOW);
}

} // namespace
} // namespace ringfence
