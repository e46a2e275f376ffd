#include <ringfence/blockgroup.h>

#include "fault_log.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

// A group of pools of 4, 4 and 2 blocks of 16, 32 and 64 bytes; `config` is the index of the pool, plus 1; 100 names a
// pool that is no member.
class Blockgroup : public testing::Test {
protected:
  Blockgroup() {
    EXPECT_EQ(rf_memblocks_init(&pools[0], buffers[0], 16, 4, &bitmaps[0]), RF_OK);
    EXPECT_EQ(rf_memblocks_init(&pools[1], buffers[1], 32, 4, &bitmaps[1]), RF_OK);
    EXPECT_EQ(rf_memblocks_init(&pools[2], buffers[2], 64, 2, &bitmaps[2]), RF_OK);
    EXPECT_EQ(rf_blockgroup_init(&group, by_index), RF_OK);
    for (int i = 0; i < 3; i++) {
      EXPECT_EQ(rf_blockgroup_add(&group, &members[i], &pools[i]), RF_OK);
    }
  }
  ~Blockgroup() override { EXPECT_EQ(rf_blockgroup_check(&group, nullptr), RF_OK); }

  static rf_memblocks *by_index(rf_blockgroup *group, void *config) {
    static rf_memblocks stranger;
    auto i = reinterpret_cast<uintptr_t>(config);
    if (i == 100) {
      return &stranger;
    }
    const rf_blockgroup_member *m = i == 0 ? nullptr : group->first;
    while (m != nullptr && --i != 0) {
      m = m->next;
    }
    return m != nullptr ? m->blocks : nullptr;
  }
  static void *pool(uintptr_t i) { return reinterpret_cast<void *>(i + 1); }

  void *take(uintptr_t i) {
    void *block = nullptr;
    EXPECT_EQ(rf_blockgroup_alloc(&group, pool(i), 1, &block, nullptr), RF_OK);
    return block;
  }
  // Blocks taken of each pool: "1 0 2".
  std::string taken() const {
    return std::to_string(pools[0].used) + " " + std::to_string(pools[1].used) + " " + std::to_string(pools[2].used);
  }

  alignas(64) unsigned char buffers[3][128];
  size_t bitmaps[3];
  rf_memblocks pools[3];
  rf_blockgroup_member members[3];
  rf_blockgroup group;
  FaultLog faults;
};

TEST_F(Blockgroup, AllocatesFromTheChosenPoolAndTellsItsBlockSize) {
  void *out[2];
  size_t size = 0;
  ASSERT_EQ(rf_blockgroup_alloc(&group, pool(1), 2, out, &size), RF_OK);
  EXPECT_EQ(size, 32U);
  EXPECT_EQ(out[0], buffers[1]);
  EXPECT_EQ(taken(), "0 2 0");
  ASSERT_EQ(rf_blockgroup_alloc_contiguous(&group, pool(2), 2, out, &size), RF_OK);
  EXPECT_EQ(size, 64U);
  EXPECT_EQ(out[0], buffers[2]);
  EXPECT_EQ(rf_blockgroup_alloc_contiguous(&group, pool(0), 4, out, nullptr), RF_OK);
}

TEST_F(Blockgroup, AsksTheChoiceFunctionOnly) {
  void *out[5];
  EXPECT_EQ(rf_blockgroup_alloc(&group, pool(0), 5, out, nullptr), RF_ERR_NO_MEMORY);
  EXPECT_EQ(taken(), "0 0 0");
}

TEST_F(Blockgroup, WhereNoMemberIsChosenTheRequestIsInvalid) {
  void *out[1];
  size_t size = 7;
  EXPECT_EQ(rf_blockgroup_alloc(&group, pool(3), 1, out, &size), RF_ERR_INVALID);
  EXPECT_EQ(rf_blockgroup_alloc(&group, nullptr, 1, out, &size), RF_ERR_INVALID);
  EXPECT_EQ(size, 7U);
  EXPECT_EQ(rf_blockgroup_alloc(&group, pool(99), 1, out, nullptr), RF_ERR_INVALID);
  EXPECT_EQ(rf_blockgroup_alloc_contiguous(&group, pool(99), 1, out, nullptr), RF_ERR_INVALID);
}

TEST_F(Blockgroup, OfNoBlocksDoesNothingAndSucceeds) {
  size_t size = 7;
  EXPECT_EQ(rf_blockgroup_alloc(&group, pool(9), 0, nullptr, &size), RF_OK);
  EXPECT_EQ(size, 0U);
  EXPECT_EQ(rf_blockgroup_alloc(&group, pool(9), 0, nullptr, nullptr), RF_OK);
  void *run = &size;
  size = 7;
  EXPECT_EQ(rf_blockgroup_alloc_contiguous(&group, pool(9), 0, &run, &size), RF_OK);
  EXPECT_EQ(run, nullptr);
  EXPECT_EQ(size, 0U);
  EXPECT_EQ(rf_blockgroup_free(&group, 0, nullptr), RF_OK);
  EXPECT_EQ(rf_blockgroup_free_contiguous(&group, nullptr, 0), RF_OK);
  EXPECT_TRUE(faults.empty());
}

TEST_F(Blockgroup, RefusesNullAndCountsBeyondAllMembers) {
  void *out[1] = {take(0)};
  EXPECT_EQ(rf_blockgroup_alloc(&group, pool(0), 1, nullptr, nullptr), RF_ERR_INVALID);
  EXPECT_EQ(rf_blockgroup_alloc_contiguous(&group, pool(0), 1, nullptr, nullptr), RF_ERR_INVALID);
  EXPECT_EQ(rf_blockgroup_free(&group, 1, nullptr), RF_ERR_INVALID);
  EXPECT_EQ(rf_blockgroup_free(&group, 11, out), RF_ERR_INVALID);
  EXPECT_EQ(rf_blockgroup_init(nullptr, by_index), RF_ERR_INVALID);
  EXPECT_EQ(rf_blockgroup_init(&group, nullptr), RF_ERR_INVALID);
  EXPECT_EQ(rf_blockgroup_add(&group, &members[0], nullptr), RF_ERR_INVALID);
  EXPECT_EQ(rf_blockgroup_add(&group, nullptr, &pools[0]), RF_ERR_INVALID);
  EXPECT_EQ(rf_blockgroup_add(nullptr, &members[0], &pools[0]), RF_ERR_INVALID);
}

TEST_F(Blockgroup, FreesABatchOfOnePool) {
  void *out[3];
  ASSERT_EQ(rf_blockgroup_alloc(&group, pool(1), 3, out, nullptr), RF_OK);
  EXPECT_EQ(rf_blockgroup_free(&group, 3, out), RF_OK);
  EXPECT_EQ(taken(), "0 0 0");
}

TEST_F(Blockgroup, FreesABatchThatSpansPools) {
  void *batch[] = {take(2), take(0), take(1), take(0)};
  EXPECT_EQ(taken(), "2 1 1");
  EXPECT_EQ(rf_blockgroup_free(&group, 4, batch), RF_OK);
  EXPECT_EQ(taken(), "0 0 0");
}

TEST_F(Blockgroup, FreesARunAtItsOwner) {
  void *run = nullptr;
  ASSERT_EQ(rf_blockgroup_alloc_contiguous(&group, pool(1), 3, &run, nullptr), RF_OK);
  EXPECT_EQ(rf_blockgroup_free_contiguous(&group, run, 3), RF_OK);
  EXPECT_EQ(rf_blockgroup_free_contiguous(&group, run, 1), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(rf_blockgroup_free_contiguous(&group, &run, 1), RF_ERR_BAD_POINTER);
  EXPECT_EQ(faults.count(), 2U);
}

// A batch with one bad pointer, at each place, among blocks of one pool or of several.
TEST_F(Blockgroup, OneBadPointerAndNothingIsFreed) {
  void *a = take(0);
  void *b = take(1);
  void *c = take(1);
  int foreign;
  struct {
    void *bad;
    rf_status status;
  } const cases[] = {{&foreign, RF_ERR_BAD_POINTER},       {nullptr, RF_ERR_BAD_POINTER},
                     {buffers[1] + 1, RF_ERR_BAD_POINTER}, {buffers[0] + 8, RF_ERR_BAD_POINTER},
                     {buffers[2], RF_ERR_NOT_ALLOCATED},   {buffers[1] + 96, RF_ERR_NOT_ALLOCATED}};
  for (std::vector<void *> const &good : {std::vector<void *>{a, b, c}, std::vector<void *>{b, c}}) {
    for (auto const &test : cases) {
      for (size_t at = 0; at <= good.size(); at++) {
        std::vector<void *> batch = good;
        batch.insert(batch.begin() + static_cast<ptrdiff_t>(at), test.bad);
        faults.clear();
        EXPECT_EQ(rf_blockgroup_free(&group, batch.size(), batch.data()), test.status);
        ASSERT_EQ(faults.count(), 1U);
        EXPECT_EQ(faults.last().ptr, test.bad);
        EXPECT_EQ(taken(), "1 2 0");
      }
    }
  }
}

TEST_F(Blockgroup, ABlockNamedTwiceInASpanningBatchFreesNothing) {
  void *a = take(0);
  void *batch[] = {a, take(1), a};
  EXPECT_EQ(rf_blockgroup_free(&group, 3, batch), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(taken(), "1 1 0");
}

TEST_F(Blockgroup, QuietAnswersByStatusAlone) {
  int foreign;
  void *batch[] = {&foreign};
  group.quiet = true;
  EXPECT_EQ(rf_blockgroup_free(&group, 1, batch), RF_ERR_BAD_POINTER);
  EXPECT_EQ(rf_blockgroup_free_contiguous(&group, &foreign, 1), RF_ERR_BAD_POINTER);
  EXPECT_TRUE(faults.empty());
}

TEST_F(Blockgroup, FindsTheOwnerOfAnAddress) {
  EXPECT_EQ(rf_blockgroup_owner(&group, buffers[1] + 5), &pools[1]);
  EXPECT_EQ(rf_blockgroup_owner(&group, buffers[0] + 64), nullptr);
  EXPECT_EQ(rf_blockgroup_owner(&group, nullptr), nullptr);
}

TEST_F(Blockgroup, APoolIsAddedOnceAndMayLeave) {
  rf_blockgroup_member again;
  EXPECT_EQ(rf_blockgroup_add(&group, &again, &pools[1]), RF_ERR_BUSY);
  void *block = take(1);
  EXPECT_EQ(rf_blockgroup_remove(&group, &members[1]), RF_OK);
  EXPECT_EQ(rf_blockgroup_remove(&group, &members[1]), RF_ERR_INVALID);
  EXPECT_EQ(rf_blockgroup_free(&group, 1, &block), RF_ERR_BAD_POINTER);
  EXPECT_EQ(rf_blockgroup_add(&group, &members[1], &pools[1]), RF_OK);
  EXPECT_EQ(rf_blockgroup_free(&group, 1, &block), RF_OK);
}

TEST_F(Blockgroup, AfterDeinitHasNoMembers) {
  rf_blockgroup_deinit(&group);
  rf_blockgroup_deinit(&group);
  void *out[1];
  EXPECT_EQ(rf_blockgroup_alloc(&group, pool(0), 1, out, nullptr), RF_ERR_INVALID);
}

TEST_F(Blockgroup, CheckFindsTheDamagedMember) {
  bitmaps[1] ^= 1;
  rf_fault where;
  EXPECT_EQ(rf_blockgroup_check(&group, &where), RF_ERR_CORRUPT);
  bitmaps[1] ^= 1;
}

TEST_F(Blockgroup, ASpanningFreeThatMeetsAnImpossibleCountIsReportedEvenWhenQuiet) {
  void *batch[] = {take(0), take(1)};
  group.quiet = true;
  pools[1].used = 0;
  EXPECT_EQ(rf_blockgroup_free(&group, 2, batch), RF_ERR_CORRUPT);
  EXPECT_EQ(faults.count(), 1U);
  pools[1].used = 1;
  EXPECT_EQ(taken(), "1 1 0");
}

// Each byte of the records of group, members and pools in turn: what is told by check is refused by every call, and
// what is not is a figure.
TEST_F(Blockgroup, DamageToAnyByteOfTheRecordsIsToldAndNotFollowed) {
  void *const live = take(1);
  struct Record {
    void *start;
    size_t size;
    size_t harmless_from; // fields from here on are figures, or the caller's
    size_t harmless_to;
  } const records[] = {
      {&group, sizeof group, offsetof(rf_blockgroup, quiet), offsetof(rf_blockgroup, checksum)},
      {&members[0], sizeof members[0], 0, 0},
      {&members[2], sizeof members[2], 0, 0},
      {&pools[1], offsetof(rf_memblocks, quiet), 0, 0},
  };
  for (Record const &record : records) {
    auto *const bytes = static_cast<unsigned char *>(record.start);
    for (size_t i = 0; i < record.size; i++) {
      if (i >= record.harmless_from && i < record.harmless_to) {
        continue;
      }
      for (int flip : {0x01, 0x10, 0x80, 0xFF}) {
        bytes[i] ^= static_cast<unsigned char>(flip);
        rf_fault where;
        EXPECT_EQ(rf_blockgroup_check(&group, &where), RF_ERR_CORRUPT) << i;
        EXPECT_EQ(where.ptr, record.start);
        void *blocks[2] = {live, live};
        rf_blockgroup_member extra;
        EXPECT_EQ(rf_blockgroup_alloc(&group, pool(0), 1, blocks, nullptr), RF_ERR_CORRUPT);
        EXPECT_EQ(rf_blockgroup_alloc_contiguous(&group, pool(0), 1, blocks, nullptr), RF_ERR_CORRUPT);
        EXPECT_EQ(rf_blockgroup_free(&group, 2, blocks), RF_ERR_CORRUPT);
        EXPECT_EQ(rf_blockgroup_free_contiguous(&group, live, 1), RF_ERR_CORRUPT);
        EXPECT_EQ(rf_blockgroup_owner(&group, live), nullptr);
        EXPECT_EQ(rf_blockgroup_add(&group, &extra, &pools[0]), RF_ERR_CORRUPT);
        EXPECT_EQ(rf_blockgroup_remove(&group, &members[0]), RF_ERR_CORRUPT);
        bytes[i] ^= static_cast<unsigned char>(flip);
      }
    }
  }
  EXPECT_EQ(taken(), "0 1 0");
}

// A group tells of refused frees unless it is set to be quiet, whatever its memory held before.
TEST(BlockgroupMade, IsNotQuiet) {
  rf_blockgroup group;
  memset(&group, 1, sizeof group);
  ASSERT_EQ(rf_blockgroup_init(&group, [](rf_blockgroup *, void *) -> rf_memblocks * { return nullptr; }), RF_OK);
  EXPECT_FALSE(group.quiet);
}

// ---- Any number of members ----

TEST(BlockgroupMany, HasNoLimitOfMembers) {
  constexpr size_t kMembers = 300;
  struct Part {
    unsigned char buffer[64];
    size_t bitmap;
    rf_memblocks blocks;
    rf_blockgroup_member member;
  };
  auto parts = std::make_unique<Part[]>(kMembers);
  rf_blockgroup group;
  ASSERT_EQ(
      rf_blockgroup_init(&group, [](rf_blockgroup *, void *config) { return static_cast<rf_memblocks *>(config); }),
      RF_OK);
  std::vector<void *> blocks(kMembers);
  for (size_t i = 0; i < kMembers; i++) {
    ASSERT_EQ(rf_memblocks_init(&parts[i].blocks, parts[i].buffer, 32, 2, &parts[i].bitmap), RF_OK);
    ASSERT_EQ(rf_blockgroup_add(&group, &parts[i].member, &parts[i].blocks), RF_OK);
    ASSERT_EQ(rf_blockgroup_alloc(&group, &parts[i].blocks, 1, &blocks[i], nullptr), RF_OK);
  }
  EXPECT_EQ(rf_blockgroup_free(&group, kMembers, blocks.data()), RF_OK);
  for (size_t i = 0; i < kMembers; i++) {
    EXPECT_EQ(parts[i].blocks.used, 0U);
  }
}

// ---- Threads ----

// Two pools share a mutex, the third has its own, and one of them is in two groups of opposite order: spanning frees
// from both groups at once neither deadlock nor lose a block.
TEST_F(Blockgroup, SpanningFreesOfSeveralThreadsLockInOneOrder) {
  rf_mutex mutexes[2];
  ASSERT_EQ(rf_mutex_init(&mutexes[0]), RF_OK);
  ASSERT_EQ(rf_mutex_init(&mutexes[1]), RF_OK);
  rf_memblocks_share(&pools[0], &mutexes[0]);
  rf_memblocks_share(&pools[1], &mutexes[0]);
  rf_memblocks_share(&pools[2], &mutexes[1]);
  rf_blockgroup reversed;
  rf_blockgroup_member reversed_members[2];
  ASSERT_EQ(rf_blockgroup_init(&reversed, by_index), RF_OK);
  ASSERT_EQ(rf_blockgroup_add(&reversed, &reversed_members[0], &pools[2]), RF_OK);
  ASSERT_EQ(rf_blockgroup_add(&reversed, &reversed_members[1], &pools[0]), RF_OK);
  auto work = [](rf_blockgroup *g, uintptr_t first, uintptr_t second) {
    for (int round = 0; round < 2000; round++) {
      void *batch[2];
      if (rf_blockgroup_alloc(g, pool(first), 1, &batch[0], nullptr) != RF_OK) {
        continue;
      }
      if (rf_blockgroup_alloc(g, pool(second), 1, &batch[1], nullptr) != RF_OK) {
        ASSERT_EQ(rf_blockgroup_free(g, 1, batch), RF_OK);
        continue;
      }
      ASSERT_EQ(rf_blockgroup_free(g, 2, batch), RF_OK);
    }
  };
  std::thread threads[] = {std::thread(work, &group, 0, 2), std::thread(work, &reversed, 0, 1),
                           std::thread(work, &group, 2, 1)};
  for (std::thread &t : threads) {
    t.join();
  }
  EXPECT_EQ(taken(), "0 0 0");
  for (rf_memblocks &p : pools) {
    rf_memblocks_share(&p, nullptr);
  }
  rf_mutex_deinit(&mutexes[0]);
  rf_mutex_deinit(&mutexes[1]);
}

TEST_F(Blockgroup, ListenersOfEachPoolHearASpanningFree) {
  struct Heard {
    rf_memblocks *pool;
    void *ptr;
    size_t bytes;
    size_t calls;
  } heard[2] = {};
  rf_memblocks_listener listeners[2];
  for (int i = 0; i < 2; i++) {
    listeners[i] = {nullptr,
                    [](rf_memblocks *pool, void *ptr, size_t bytes, void *out) {
                      auto *const h = static_cast<Heard *>(out);
                      *h = {pool, ptr, bytes, h->calls + 1};
                    },
                    &heard[i], nullptr};
    rf_memblocks_listen(&pools[i], &listeners[i]);
  }
  void *batch[] = {take(0), take(1)};
  ASSERT_EQ(rf_blockgroup_free(&group, 2, batch), RF_OK);
  for (int i = 0; i < 2; i++) {
    EXPECT_EQ(heard[i].calls, 1U);
    EXPECT_EQ(heard[i].pool, &pools[i]);
    EXPECT_EQ(heard[i].ptr, batch[i]);
    EXPECT_EQ(heard[i].bytes, pools[i].block_size);
  }
}

TEST_F(Blockgroup, APoolThatLeavesTheMiddleLeavesTheOthers) {
  EXPECT_EQ(rf_blockgroup_remove(&group, &members[1]), RF_OK);
  EXPECT_EQ(rf_blockgroup_owner(&group, buffers[0]), &pools[0]);
  EXPECT_EQ(rf_blockgroup_owner(&group, buffers[1]), nullptr);
  EXPECT_EQ(rf_blockgroup_owner(&group, buffers[2]), &pools[2]);
}

// Its place would lead to itself, and every later call would go round.
TEST_F(Blockgroup, AMemberIsInOnceWhateverItsPool) {
  rf_memblocks other;
  alignas(16) unsigned char buffer[64];
  size_t bitmap;
  ASSERT_EQ(rf_memblocks_init(&other, buffer, 16, 4, &bitmap), RF_OK);
  for (rf_blockgroup_member &member : members) {
    EXPECT_EQ(rf_blockgroup_add(&group, &member, &other), RF_ERR_BUSY);
  }
  for (size_t i = 0; i < 3; i++) {
    EXPECT_EQ(rf_blockgroup_owner(&group, buffers[i]), &pools[i]);
  }
}

TEST_F(Blockgroup, AllBlocksOfAllPoolsAreFreedAtOnce) {
  std::vector<void *> batch;
  size_t const counts[] = {4, 4, 2};
  for (uintptr_t i = 0; i < 3; i++) {
    for (size_t n = 0; n < counts[i]; n++) {
      batch.push_back(take(i));
    }
  }
  EXPECT_EQ(rf_blockgroup_free(&group, batch.size(), batch.data()), RF_OK);
  EXPECT_EQ(taken(), "0 0 0");
}

TEST_F(Blockgroup, ARequestThatFailsLeavesTheBlockSizeAlone) {
  void *out[5];
  size_t size = 7;
  EXPECT_EQ(rf_blockgroup_alloc(&group, pool(0), 5, out, &size), RF_ERR_NO_MEMORY);
  EXPECT_EQ(rf_blockgroup_alloc_contiguous(&group, pool(0), 5, out, &size), RF_ERR_NO_MEMORY);
  EXPECT_EQ(size, 7U);
}
