// memblocks with a mutex: each call is one locked section, and nothing changes outside it. The linker puts this file's
// rf_mutex_lock and rf_mutex_unlock in front of the port's.
#include <ringfence/blockgroup_allocator.h>
#include <ringfence/memblocks_allocator.h>

#include "fault_log.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <string>
#include <utility>

namespace {

size_t bitmap[1];
rf_memblocks pool;
unsigned sections;
unsigned ended_sections;
size_t bits_at_lock;
size_t bits_at_unlock;
void (*after_section)();     // called once the mutex is free
std::function<void()> first; // what another thread does while this one waits for the mutex, once
const rf_counters *counters; // of the adapter
rf_counters counters_at_unlock;

} // namespace

extern "C" {
void __real_rf_mutex_lock(rf_mutex *mutex);
void __wrap_rf_mutex_lock(rf_mutex *mutex);
void __real_rf_mutex_unlock(rf_mutex *mutex);
void __wrap_rf_mutex_unlock(rf_mutex *mutex);

void __wrap_rf_mutex_lock(rf_mutex *mutex) {
  if (first) {
    std::function<void()> const once = std::move(first);
    first = nullptr;
    once();
  }
  __real_rf_mutex_lock(mutex);
  sections++;
  bits_at_lock = bitmap[0];
}

void __wrap_rf_mutex_unlock(rf_mutex *mutex) {
  ended_sections++;
  bits_at_unlock = bitmap[0];
  if (counters != nullptr) {
    counters_at_unlock = *counters;
  }
  __real_rf_mutex_unlock(mutex);
  if (after_section != nullptr) {
    after_section();
  }
}
}

namespace {

// Eight blocks of 16 bytes, the first two taken one by one, the third by the adapter.
class MemblocksLock : public testing::Test {
protected:
  MemblocksLock() {
    counters = &adapter.counters;
    EXPECT_EQ(rf_mutex_init(&mutex), RF_OK);
    EXPECT_EQ(rf_memblocks_init(&pool, buffer, 16, 8, bitmap), RF_OK);
    EXPECT_EQ(rf_memblocks_allocator_init(&adapter, &pool, sizes), RF_OK);
    EXPECT_EQ(rf_memblocks_alloc(&pool, 2, taken), RF_OK);
    p = rf_alloc(&adapter.base, 10);
    rf_memblocks_share(&pool, &mutex);
  }
  ~MemblocksLock() override {
    rf_memblocks_share(&pool, nullptr);
    counters = nullptr;
    rf_mutex_deinit(&mutex);
  }

  void expect_one_section(const char *name, const std::function<void()> &call) { expect_sections(name, 1, call); }

  // Only the last section may change the bits.
  void expect_sections(const char *name, unsigned count, const std::function<void()> &call) {
    SCOPED_TRACE(name);
    size_t const before = bitmap[0];
    sections = 0;
    ended_sections = 0;
    call();
    EXPECT_EQ(sections, count);
    EXPECT_EQ(ended_sections, count);
    EXPECT_EQ(bits_at_lock, before) << "changed before the lock";
    EXPECT_EQ(bits_at_unlock, bitmap[0]) << "changed after the lock";
    EXPECT_EQ(std::memcmp(&counters_at_unlock, counters, sizeof *counters), 0) << "counted after the lock";
  }

  alignas(16) unsigned char buffer[8 * 16];
  size_t sizes[8];
  void *taken[2];
  void *out[2];
  void *p;
  rf_mutex mutex;
  rf_memblocks_allocator adapter;
};

TEST_F(MemblocksLock, EachCallIsOneLockedSection) {
  rf_stats s;
  expect_one_section("alloc", [&] { EXPECT_EQ(rf_memblocks_alloc(&pool, 1, out), RF_OK); });
  expect_one_section("free", [&] { EXPECT_EQ(rf_memblocks_free(&pool, 1, out), RF_OK); });
  expect_one_section("alloc_contiguous", [&] { EXPECT_EQ(rf_memblocks_alloc_contiguous(&pool, 2, out), RF_OK); });
  expect_one_section("free_contiguous", [&] { EXPECT_EQ(rf_memblocks_free_contiguous(&pool, out[0], 2), RF_OK); });
  expect_one_section("claim", [&] { EXPECT_EQ(rf_memblocks_claim(&pool, buffer + 64, 2), RF_OK); });
  expect_one_section("is_region_free", [&] { EXPECT_FALSE(rf_memblocks_is_region_free(&pool, buffer, 1)); });
  expect_one_section("stats", [&] { rf_memblocks_stats(&pool, &s); });
  expect_one_section("reset_peak", [&] { rf_memblocks_reset_peak(&pool); });
  expect_one_section("check", [&] { EXPECT_EQ(rf_memblocks_check(&pool, nullptr), RF_OK); });
}

TEST_F(MemblocksLock, AnEndedPoolLocksNothing) {
  rf_stats s;
  rf_memblocks_deinit(&pool);
  sections = 0;
  rf_memblocks_stats(&pool, &s);
  EXPECT_EQ(sections, 0U) << "the mutex is the caller's again";
  EXPECT_EQ(s.capacity, 0U);
}

TEST_F(MemblocksLock, EachCallThatFailsIsOneLockedSection) {
  expect_one_section("alloc", [&] { EXPECT_EQ(rf_memblocks_alloc(&pool, 6, out), RF_ERR_NO_MEMORY); });
  expect_one_section("claim", [&] { EXPECT_EQ(rf_memblocks_claim(&pool, buffer, 1), RF_ERR_NO_MEMORY); });
}

TEST_F(MemblocksLock, EachCallOfTheAdapterIsOneLockedSection) {
  rf_stats s;
  expect_one_section("alloc", [&] { out[0] = rf_alloc(&adapter.base, 20); });
  expect_one_section("resize", [&] { EXPECT_EQ(rf_resize(&adapter.base, out[0], 40), RF_OK); });
  expect_one_section("usable_size", [&] { EXPECT_EQ(rf_usable_size(&adapter.base, out[0]), 48U); });
  expect_one_section("free", [&] { EXPECT_EQ(rf_free(&adapter.base, out[0]), RF_OK); });
  expect_one_section("check", [&] { EXPECT_EQ(rf_check(&adapter.base, nullptr), RF_OK); });
  expect_one_section("stats", [&] { rf_stats_get(&adapter.base, &s); });
  rf_counters c;
  expect_one_section("counters", [&] { rf_counters_get(&adapter.base, &c); });
  EXPECT_EQ(std::memcmp(&c, counters, sizeof c), 0);
}

// The mutex of such a pool may be anywhere.
TEST_F(MemblocksLock, NothingIsCountedAndNoLockTakenWhereTheRecordWasOverwritten) {
  rf_counters c = {1, 1, 1, 1, 1, 1};
  rf_counters const none = {};
  pool.checksum ^= 1;
  sections = 0;
  rf_counters_get(&adapter.base, &c);
  pool.checksum ^= 1;
  EXPECT_EQ(sections, 0U);
  EXPECT_EQ(std::memcmp(&c, &none, sizeof c), 0);
}

// They may call the pool.
TEST_F(MemblocksLock, ListenersAreToldOfTheAdaptersCallsOutsideTheLock) {
  static unsigned told;
  auto const tell = [](rf_memblocks *, void *, size_t, void *) { told += sections == ended_sections ? 1 : 10; };
  rf_memblocks_listener listener = {tell, tell, nullptr, nullptr};
  rf_memblocks_listen(&pool, &listener);
  sections = ended_sections = told = 0;
  out[0] = rf_alloc(&adapter.base, 20);
  EXPECT_EQ(told, 1U);
  EXPECT_EQ(rf_free(&adapter.base, out[0]), RF_OK);
  EXPECT_EQ(told, 2U);
  rf_memblocks_unlisten(&pool, &listener);
}

TEST_F(MemblocksLock, EachCallOfTheAdapterThatFailsIsOneLockedSection) {
  rf_allocator *const a = &adapter.base;
  FaultLog faults;
  expect_one_section("alloc", [&] { EXPECT_EQ(rf_alloc(a, sizeof buffer), nullptr); });
  expect_one_section("usable_size", [&] { EXPECT_EQ(rf_usable_size(a, buffer + 1), 0U); });
  expect_one_section("resize", [&] { EXPECT_EQ(rf_resize(a, p, sizeof buffer), RF_ERR_NO_MEMORY); });
  expect_one_section("resize of no block", [&] { EXPECT_EQ(rf_resize(a, buffer + 1, 1), RF_ERR_BAD_POINTER); });
  expect_one_section("free of no block", [&] { EXPECT_EQ(rf_free(a, buffer + 1), RF_ERR_BAD_POINTER); });
  size_t const size = sizes[2];
  sizes[2] = 65; // more blocks than are taken
  expect_one_section("check", [&] { EXPECT_EQ(rf_check(a, nullptr), RF_ERR_CORRUPT); });
  expect_one_section("free", [&] { EXPECT_EQ(rf_free(a, p), RF_ERR_CORRUPT); });
  sizes[2] = size;
}

// True inside a locked section, with the bits that it found.
bool is_inside() {
  return sections == ended_sections + 1 && bits_at_lock == bitmap[0];
}

TEST_F(MemblocksLock, AWalkOfTheAdapterVisitsInsideOneLockedSection) {
  unsigned inside = 0;
  rf_walk_fn const visit = [](const rf_block *, void *count) {
    *static_cast<unsigned *>(count) += is_inside() ? 1 : 0;
    return true;
  };
  expect_one_section("walk", [&] { EXPECT_EQ(rf_walk(&adapter.base, visit, &inside), RF_OK); });
  EXPECT_GE(inside, 3U);
}

size_t blocks_of(rf_allocator *a) {
  size_t count = 0;
  rf_walk_fn const visit = [](const rf_block *block, void *sum) {
    *static_cast<size_t *>(sum) += block->used ? 1 : 0;
    return true;
  };
  EXPECT_EQ(rf_walk(a, visit, &count), RF_OK);
  return count;
}

// Nothing that another thread may change is read before the mutex is this one's.
TEST_F(MemblocksLock, CallsOfTheAdapterAnswerByWhatAThreadBeforeThemLeft) {
  rf_allocator *const a = &adapter.base;
  FaultLog faults;
  rf_stats s;
  rf_counters c;
  auto const other_frees = [&] { EXPECT_EQ(rf_free(a, p), RF_OK); };
  auto const other_takes = [&] { p = rf_alloc(a, 20); };
  first = other_frees;
  EXPECT_EQ(rf_usable_size(a, p), 0U);
  first = other_takes;
  rf_stats_get(a, &s);
  EXPECT_EQ(s.blocks, 1U);
  EXPECT_EQ(s.used, 20U);
  first = other_frees;
  rf_counters_get(a, &c);
  EXPECT_EQ(c.blocks, 0U);
  size_t const before = blocks_of(a);
  first = other_takes;
  EXPECT_EQ(blocks_of(a), before + 1);
  first = other_frees;
  EXPECT_EQ(rf_resize(a, p, 10), RF_ERR_NOT_ALLOCATED);
  p = rf_alloc(a, 20);
  first = other_frees;
  EXPECT_EQ(rf_free(a, p), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(faults.count(), 2U);
  first = [&] { p = rf_alloc(a, static_cast<size_t>(6) * 16); };
  EXPECT_EQ(rf_alloc(a, 1), nullptr) << "the other has the last blocks";
  EXPECT_NE(p, nullptr);
  EXPECT_EQ(rf_check(a, nullptr), RF_OK);
  EXPECT_FALSE(first) << "each call has locked the mutex";
}

// A pool of a group, whose adapter looks for the block in a section of its own first.
TEST_F(MemblocksLock, CallsOfAGroupLookAndChangeInsideLockedSectionsOfEachPool) {
  rf_blockgroup group;
  rf_blockgroup_member member;
  rf_blockgroup_allocator heap;
  size_t table[8];
  EXPECT_EQ(rf_blockgroup_init(&group, [](rf_blockgroup *, void *) -> rf_memblocks * { return &pool; }), RF_OK);
  EXPECT_EQ(rf_blockgroup_add(&group, &member, &pool), RF_OK);
  EXPECT_EQ(rf_blockgroup_allocator_init(&heap, &group, table), RF_OK);
  rf_allocator *const a = &heap.base;
  rf_stats s;
  unsigned visits = 0;
  rf_walk_fn const visit = [](const rf_block *, void *count) {
    ++*static_cast<unsigned *>(count);
    return is_inside();
  };
  expect_one_section("stats", [&] { rf_stats_get(a, &s); });
  EXPECT_EQ(s.capacity, sizeof buffer);
  expect_one_section("alloc", [&] { out[0] = rf_alloc(a, 10); });
  expect_one_section("walk", [&] { EXPECT_EQ(rf_walk(a, visit, &visits), RF_OK); });
  EXPECT_EQ(visits, 8U);
  expect_sections("free", 2, [&] { EXPECT_EQ(rf_free(a, out[0]), RF_OK); });
  expect_sections("check", 2, [&] { EXPECT_EQ(rf_check(a, nullptr), RF_OK); });
}

// Another thread frees the block itself after the adapter has found it.
TEST_F(MemblocksLock, ABlockThatWasFreedSinceItWasFoundIsADoubleFree) {
  rf_blockgroup group;
  rf_blockgroup_member member;
  rf_blockgroup_allocator heap;
  size_t table[8];
  FaultLog faults;
  EXPECT_EQ(rf_blockgroup_init(&group, [](rf_blockgroup *, void *) -> rf_memblocks * { return &pool; }), RF_OK);
  EXPECT_EQ(rf_blockgroup_add(&group, &member, &pool), RF_OK);
  EXPECT_EQ(rf_blockgroup_allocator_init(&heap, &group, table), RF_OK);
  static void *block;
  block = rf_alloc(&heap.base, 10);
  after_section = [] {
    after_section = nullptr;
    EXPECT_EQ(rf_memblocks_free(&pool, 1, &block), RF_OK);
  };
  EXPECT_EQ(rf_free(&heap.base, block), RF_ERR_NOT_ALLOCATED);
  EXPECT_EQ(after_section, nullptr);
  unsigned free_blocks = 0;
  rf_walk_fn const visit = [](const rf_block *b, void *count) {
    *static_cast<unsigned *>(count) += !b->used && b->size == 16 ? 1 : 0;
    return true;
  };
  EXPECT_EQ(rf_walk(&heap.base, visit, &free_blocks), RF_OK);
  EXPECT_EQ(free_blocks, 5U) << "of which all bytes are free";
}

TEST_F(MemblocksLock, AFreeOfTwoPoolsBlocksIsOneLockedSectionOfBoth) {
  rf_blockgroup group;
  rf_blockgroup_member members[2];
  size_t other_bitmap[1];
  alignas(16) unsigned char other_buffer[4 * 32];
  rf_mutex other_mutex;
  rf_memblocks other;
  bool const in_order = reinterpret_cast<uintptr_t>(&mutex) < reinterpret_cast<uintptr_t>(&other_mutex);
  EXPECT_EQ(rf_mutex_init(&other_mutex), RF_OK);
  EXPECT_EQ(rf_memblocks_init(&other, other_buffer, 32, 4, other_bitmap), RF_OK);
  rf_memblocks_share(&other, &other_mutex);
  EXPECT_EQ(rf_blockgroup_init(&group, [](rf_blockgroup *, void *) -> rf_memblocks * { return nullptr; }), RF_OK);
  EXPECT_EQ(rf_blockgroup_add(&group, &members[0], in_order ? &other : &pool), RF_OK); // the higher mutex first
  EXPECT_EQ(rf_blockgroup_add(&group, &members[1], in_order ? &pool : &other), RF_OK);
  void *blocks[2] = {taken[0], nullptr};
  EXPECT_EQ(rf_memblocks_alloc(&other, 1, &blocks[1]), RF_OK);
  size_t const before = bitmap[0];
  sections = 0;
  EXPECT_EQ(rf_blockgroup_free(&group, 2, blocks), RF_OK);
  EXPECT_EQ(sections, 2U);
  EXPECT_EQ(bits_at_lock, before);
  EXPECT_NE(bitmap[0], before);
  EXPECT_EQ(bits_at_unlock, bitmap[0]);
  rf_mutex_deinit(&other_mutex);
}

// Another thread takes a block before it.
TEST_F(MemblocksLock, ThePeakIsSetAnewToWhatIsTakenInside) {
  first = [this] { EXPECT_EQ(rf_memblocks_alloc(&pool, 1, out), RF_OK); };
  rf_memblocks_reset_peak(&pool);
  rf_stats s;
  rf_memblocks_stats(&pool, &s);
  EXPECT_EQ(s.blocks, 4U);
  EXPECT_EQ(s.peak_blocks, 4U);
  EXPECT_EQ(rf_memblocks_check(&pool, nullptr), RF_OK);
}

} // namespace
