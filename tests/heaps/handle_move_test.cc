// Blocks of a handle heap that move: by realloc, by bounded compaction, by swap; and locked ones, which stay.
#include "tests/heaps/handle_fixture.h"

#include <algorithm>
#include <cstring>
#include <string>

namespace {

using HandleMove = ringfence::testing::Handle;

// ---- Locks ----

TEST_F(HandleMove, ALockedBlockStaysWhileOthersSlideAroundIt) {
  make_apart(100);
  fill({16, 16, 16, 16, 16});
  rf_handle_free(h, 1);
  void *const p = rf_handle_lock(h, 3);
  rf_handle_free(h, 4);
  EXPECT_EQ(rf_handle_compact(h, SIZE_MAX), 32U);
  EXPECT_EQ(map(), "2:16 -16 3:16* 5:16 -36 ");
  EXPECT_EQ(rf_handle_address(h, 3), p);
  EXPECT_EQ(usage().locked, 1U);
  EXPECT_EQ(rf_handle_unlock(h, 3), RF_OK);
  EXPECT_EQ(rf_handle_compact(h, SIZE_MAX), 32U);
  EXPECT_EQ(map(), "2:16 3:16 5:16 -52 ");
}

TEST_F(HandleMove, LocksNestAndAreCounted) {
  fill({10});
  for (unsigned i = 0; i < RF_HANDLE_MOST_LOCKS; i++) {
    ASSERT_NE(rf_handle_lock(h, 1), nullptr);
  }
  EXPECT_EQ(rf_handle_lock(h, 1), nullptr);
  EXPECT_EQ(faults.take(), RF_ERR_INVALID);
  for (unsigned i = 0; i < RF_HANDLE_MOST_LOCKS; i++) {
    EXPECT_EQ(usage().locked, 1U);
    ASSERT_EQ(rf_handle_unlock(h, 1), RF_OK);
  }
  EXPECT_EQ(usage().locked, 0U);
  EXPECT_EQ(rf_handle_unlock(h, 1), RF_ERR_INVALID);
  EXPECT_EQ(faults.take(), RF_ERR_INVALID);
}

TEST_F(HandleMove, AFreeOfALockedBlockIsRefused) {
  fill({10});
  rf_handle_lock(h, 1);
  EXPECT_EQ(rf_handle_free(h, 1), RF_ERR_BUSY);
  EXPECT_EQ(faults.take(), RF_ERR_BUSY);
  rf_handle_unlock(h, 1);
  EXPECT_EQ(rf_handle_free(h, 1), RF_OK);
}

TEST_F(HandleMove, ALockedBlockGrowsWhereItIsOrNotAtAll) {
  make_apart(100);
  fill({16, 16});
  rf_handle_lock(h, 1);
  EXPECT_EQ(rf_handle_realloc(h, 1, 17), RF_ERR_BUSY);
  EXPECT_EQ(rf_handle_realloc(h, 1, kArena), RF_ERR_BUSY) << "more than there is";
  EXPECT_EQ(rf_handle_realloc(h, 1, RF_SIZE_LIMIT), RF_ERR_BUSY);
  EXPECT_EQ(rf_handle_realloc(h, 1, 3), RF_OK);
  EXPECT_EQ(map(), "1:3* -12 2:16 -68 ");
  EXPECT_EQ(rf_handle_realloc(h, 1, 16), RF_OK);
  EXPECT_EQ(map(), "1:16* 2:16 -68 ");
}

// ---- Realloc ----

class HandleRealloc : public HandleMove {
protected:
  HandleRealloc() {
    make_apart(100);
    fill({12, 12, 12, 12});
    for (rf_handle a = 1; a <= 4; a++) {
      std::memset(at(a), static_cast<int>('a' + a), 12);
    }
  }
  void expect_contents() {
    for (rf_handle a = 1; a <= 4; a++) {
      if (live[a]) {
        EXPECT_EQ(std::string(reinterpret_cast<char *>(at(a)), 12), std::string(12, static_cast<char>('a' + a)));
      }
    }
  }
  void drop(rf_handle a) {
    live[a] = false;
    ASSERT_EQ(rf_handle_free(h, a), RF_OK);
  }
  bool live[5] = {true, true, true, true, true};
};

TEST_F(HandleRealloc, GrowsInPlaceWhereThereIsAHoleBehind) {
  drop(3);
  EXPECT_EQ(rf_handle_realloc(h, 2, 22), RF_OK);
  EXPECT_EQ(map(), "1:12 2:22 4:12 -52 ");
  EXPECT_EQ(at(2)[21], 0) << "what is new is zeroed";
  expect_contents();
}

TEST_F(HandleRealloc, ZeroesTheSlackThatItGrowsInto) {
  EXPECT_EQ(rf_handle_realloc(h, 2, 9), RF_OK);
  EXPECT_EQ(rf_handle_realloc(h, 2, 12), RF_OK);
  EXPECT_EQ(at(2)[8], 'c');
  EXPECT_EQ(at(2)[9], 0);
  EXPECT_EQ(at(2)[11], 0);
}

TEST_F(HandleRealloc, MovesToAHoleThatIsLargeEnough) {
  EXPECT_EQ(rf_handle_realloc(h, 1, 50), RF_OK);
  EXPECT_EQ(map(), "-12 2:12 3:12 4:12 1:50 ");
  expect_contents();
  EXPECT_EQ(usage().moved_bytes, 12U);
  EXPECT_EQ(usage().compactions, 0U) << "no other block moved";
}

TEST_F(HandleRealloc, GathersTheHolesAroundItBehindIt) {
  drop(1);
  drop(3);
  EXPECT_EQ(rf_handle_realloc(h, 2, 64), RF_OK);
  EXPECT_EQ(map(), "2:64 -24 4:12 ") << "there were 12 below, 12 behind, and 52 at the end";
  expect_contents();
  EXPECT_EQ(rf_handle_realloc(h, 2, 88), RF_OK);
  EXPECT_EQ(map(), "2:88 4:12 ");
  expect_contents();
}

// In front of block 3 is a hole that is just large enough, and no other.
TEST_F(HandleRealloc, MovesToTheHoleRightBeforeIt) {
  make_apart(112);
  fill({12, 40, 20, 40});
  std::memset(at(3), 'x', 20);
  EXPECT_EQ(rf_handle_free(h, 2), RF_OK);
  EXPECT_EQ(rf_handle_realloc(h, 3, 40), RF_OK);
  EXPECT_EQ(map(), "1:12 3:40 -20 4:40 ");
  EXPECT_EQ(std::string(at(3), at(3) + 20), std::string(20, 'x'));
  EXPECT_EQ(rf_handle_check(h, nullptr), RF_OK);
}

// The block behind slides up, and leaves a hole in front of it.
TEST_F(HandleRealloc, MovesTheBlockBehindUpWithItsContents) {
  make_apart(80);
  fill({16, 38});
  std::memset(at(2), 'x', 38);
  EXPECT_EQ(rf_handle_alloc(h, 60), RF_HANDLE_NULL); // looks for the first hole
  EXPECT_EQ(rf_handle_realloc(h, 1, 32), RF_OK);
  EXPECT_EQ(map(), "1:32 -8 2:38 ");
  EXPECT_EQ(std::string(at(2), at(2) + 38), std::string(38, 'x'));
  {
    Unwatched const unwatched(at(1) + 32, 8);
    EXPECT_EQ(std::string(at(1) + 32, at(2)), std::string(8, '\xCC'));
  }
  EXPECT_EQ(usage().moved_bytes, 40U) << "with the two that round its size up";
  EXPECT_EQ(rf_handle_check(h, nullptr), RF_OK);
}

TEST_F(HandleRealloc, LeavesTheBlocksBehindWhereTheHolesBelowAreEnough) {
  make_apart(112);
  fill({24, 40, 16, 12, 20});
  EXPECT_EQ(rf_handle_free(h, 1), RF_OK);
  EXPECT_EQ(rf_handle_free(h, 4), RF_OK);
  EXPECT_EQ(rf_handle_realloc(h, 2, 60), RF_OK);
  EXPECT_EQ(map(), "2:60 -4 3:16 -12 5:20 ");
}

TEST_F(HandleRealloc, TakesEveryByteThatIsFree) {
  EXPECT_EQ(rf_handle_realloc(h, 2, 12 + 52 + 1), RF_ERR_NO_MEMORY);
  EXPECT_EQ(map(), "1:12 2:12 3:12 4:12 -52 ") << "nothing has moved";
  EXPECT_EQ(rf_handle_realloc(h, 2, 12 + 52), RF_OK);
  EXPECT_EQ(map(), "1:12 2:64 3:12 4:12 ");
  expect_contents();
  EXPECT_EQ(usage().free_bytes, 0U);
}

TEST_F(HandleRealloc, MovesPastALockedBlockWhereCompactionMakesRoomThere) {
  drop(3);
  rf_handle_lock(h, 2);
  fill({40});
  EXPECT_EQ(map(), "1:12 2:12* -12 4:12 3:40 -12 ");
  EXPECT_EQ(rf_handle_realloc(h, 1, 24), RF_OK);
  EXPECT_EQ(map(), "-12 2:12* 4:12 3:40 1:24 ");
  expect_contents();
  rf_handle_unlock(h, 2);
}

TEST_F(HandleMove, AnAllocMayBeToldToLeaveAllBlocksWhereTheyAre) {
  make_apart(100);
  fill({20, 20, 20, 40});
  EXPECT_EQ(rf_handle_free(h, 1), RF_OK);
  EXPECT_EQ(rf_handle_free(h, 3), RF_OK);
  EXPECT_EQ(rf_handle_alloc_at(h, 40, RF_HANDLE_STAY, RF_HERE), RF_HANDLE_NULL);
  EXPECT_EQ(map(), "-20 2:20 -20 4:40 ");
  {
    Unwatched const unwatched(arena, 20);
    std::memset(arena, 0x55, 20);
  }
  rf_handle const fits = rf_handle_alloc_at(h, 20, RF_HANDLE_STAY, RF_HERE);
  EXPECT_EQ(fits, 1U + 0x10000U);
  EXPECT_EQ(std::string(at(fits), at(fits) + 20), std::string(20, '\0')) << "zeroed as without";
}

// Blocks 1 and 2 touch, block 4 is behind a hole.
TEST_F(HandleMove, ASwapAcrossTheFirstHoleLeavesItFound) {
  for (bool const second_first : {false, true}) {
    make_apart(100);
    fill({20, 20, 20, 40});
    EXPECT_EQ(rf_handle_free(h, 3), RF_OK);
    EXPECT_EQ(second_first ? rf_handle_swap(h, 2, 4) : rf_handle_swap(h, 4, 2), RF_OK);
    EXPECT_EQ(rf_handle_check(h, nullptr), RF_OK) << second_first;
    EXPECT_NE(rf_handle_alloc(h, 20), RF_HANDLE_NULL);
    EXPECT_EQ(usage().moved_bytes, 0U);
  }
}

// ---- Bounded compaction ----

TEST_F(HandleMove, CompactionMovesNoMoreBytesThanItMay) {
  make_apart(400);
  for (int i = 0; i < 20; i++) {
    fill({20});
  }
  for (rf_handle a = 1; a <= 20; a += 2) {
    rf_handle_free(h, a);
  }
  size_t calls = 0;
  for (size_t moved = 1; moved != 0; calls++) {
    moved = rf_handle_compact(h, 50);
    EXPECT_LE(moved, 50U);
    EXPECT_EQ(rf_handle_check(h, nullptr), RF_OK);
  }
  EXPECT_EQ(calls, 6U) << "two blocks a call, and one that finds nothing to do";
  EXPECT_EQ(usage().largest, 200U);
  EXPECT_EQ(offset(20), 180U);
}

TEST_F(HandleMove, WhereNothingMovesThereWasNoCompaction) {
  fill({20, 20, 20});
  EXPECT_EQ(rf_handle_compact(h, SIZE_MAX), 0U);
  EXPECT_EQ(usage().compactions, 0U);
  rf_handle_free(h, 1);
  EXPECT_EQ(rf_handle_compact(h, SIZE_MAX), 40U);
  EXPECT_EQ(rf_handle_compact(h, SIZE_MAX), 0U);
  EXPECT_EQ(usage().compactions, 1U);
}

TEST_F(HandleMove, ABlockLargerThanTheBoundStays) {
  make_apart(400);
  fill({20, 60, 20, 20});
  rf_handle_free(h, 1);
  rf_handle_free(h, 3);
  EXPECT_EQ(rf_handle_compact(h, 59), 20U);
  EXPECT_EQ(map(), "-20 2:60 4:20 -300 ");
  EXPECT_EQ(rf_handle_compact(h, 59), 0U);
  EXPECT_EQ(rf_handle_compact(h, 80), 80U);
  EXPECT_EQ(map(), "2:60 4:20 -320 ");
}

TEST_F(HandleMove, PlacesThatBlocksMoveAwayFromAreFilledWithCC) {
  Unwatched const unwatched(arena, sizeof arena);
  make_apart(100);
  fill({12, 20});
  std::memset(at(2), 'x', 20);
  unsigned char *const old = at(2);
  rf_handle_free(h, 1);
  rf_handle_compact(h, SIZE_MAX);
  EXPECT_EQ(at(2), old - 12);
  EXPECT_EQ(old[7], 'x');
  EXPECT_TRUE(std::all_of(old + 8, old + 20, [](unsigned char c) { return c == 0xCC; }));
}

// ---- Swap ----

TEST_F(HandleMove, SwapLetsTwoHandlesTradeTheirBlocksHoweverTheyLie) {
  for (rf_handle a = 1; a <= 5; a++) {
    for (rf_handle b = 1; b <= 5; b++) {
      make_apart(200);
      fill({4, 8, 12, 16, 20});
      rf_handle_lock(h, 2);
      void *const pa = rf_handle_address(h, a);
      void *const pb = rf_handle_address(h, b);
      ASSERT_EQ(rf_handle_swap(h, a, b), RF_OK);
      EXPECT_EQ(rf_handle_address(h, a), pb);
      EXPECT_EQ(rf_handle_address(h, b), pa);
      EXPECT_EQ(rf_handle_size(h, a), 4U * b);
      EXPECT_EQ(rf_handle_check(h, nullptr), RF_OK) << a << " and " << b;
    }
  }
  EXPECT_EQ(rf_handle_swap(h, 1, 9), RF_ERR_INVALID);
  EXPECT_EQ(faults.take(), RF_ERR_INVALID);
}

TEST_F(HandleMove, ABoundOnWhatIsMovedIncludesABlockOfThatSize) {
  make_apart(100);
  fill({20, 20});
  rf_handle_free(h, 1);
  EXPECT_EQ(rf_handle_compact(h, 16), 0U);
  EXPECT_EQ(rf_handle_compact(h, 20), 20U);
  EXPECT_EQ(map(), "2:20 -80 ");
}

TEST_F(HandleMove, ABlockMayMoveIntoTheHoleBeforeIt) {
  make_apart(100);
  fill({60, 20, 20});
  rf_handle_free(h, 1);
  rf_handle_lock(h, 3);
  std::memset(at(2), 0x22, 20);
  EXPECT_EQ(rf_handle_realloc(h, 2, 40), RF_OK);
  EXPECT_EQ(map(), "2:40 -40 3:20* ");
  EXPECT_EQ(at(2)[19], 0x22);
  EXPECT_EQ(at(2)[20], 0);
  EXPECT_EQ(rf_handle_check(h, nullptr), RF_OK);
}

// A search for room begins before it from then on.
TEST_F(HandleMove, ARestOfGatheredMemoryIsAHoleThatServes) {
  make_apart(100);
  fill({40, 40});
  EXPECT_EQ(rf_handle_realloc(h, 1, 48), RF_OK);
  EXPECT_EQ(map(), "1:48 -12 2:40 ");
  EXPECT_EQ(rf_handle_check(h, nullptr), RF_OK);
  EXPECT_NE(rf_handle_alloc_at(h, 12, RF_HANDLE_STAY, nullptr), RF_HANDLE_NULL);
  EXPECT_EQ(map(), "1:48 3:12 2:40 ");
}

} // namespace
