// mempool over a port of the test's own, in one thread: interrupts that arrive while something waits, a system that has
// no mutex or event left, and the lock, which must be free whenever somebody else can run.
#include <ringfence/mempool.h>

#include "tests/core/unwatched.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <vector>

namespace {

bool in_interrupt;
bool mutex_available;
bool event_available;
int locked;
int mutexes;   // made and not ended
int events;    // made and not ended
bool too_late; // the block came, but the event had already said that time is up
std::function<void()> while_waiting;
std::function<void()> at_lock;
std::function<void()> at_unlock;

struct FakeEvent {
  bool set;
};

FakeEvent *fake(rf_event *event) {
  return reinterpret_cast<FakeEvent *>(event->opaque);
}

} // namespace

extern "C" {

rf_status rf_mutex_init(rf_mutex *) {
  mutexes += mutex_available ? 1 : 0;
  return mutex_available ? RF_OK : RF_ERR_NO_MEMORY;
}
void rf_mutex_deinit(rf_mutex *) {
  mutexes--;
  EXPECT_EQ(locked, 0);
}
void rf_mutex_lock(rf_mutex *) {
  EXPECT_EQ(locked, 0); // not recursive
  locked++;
  if (at_lock) {
    at_lock();
  }
}
void rf_mutex_unlock(rf_mutex *) {
  EXPECT_EQ(locked, 1);
  if (at_unlock) {
    at_unlock();
  }
  locked--;
}
rf_status rf_event_init(rf_event *event) {
  fake(event)->set = false;
  events += event_available ? 1 : 0;
  return event_available ? RF_OK : RF_ERR_NO_MEMORY;
}
void rf_event_deinit(rf_event *) {
  events--;
}
void rf_event_set(rf_event *event) {
  fake(event)->set = true;
}
rf_status rf_event_wait(rf_event *event, uint32_t timeout_ms) {
  EXPECT_EQ(locked, 0);
  EXPECT_NE(timeout_ms, 0U);
  if (while_waiting) {
    in_interrupt = true;
    while_waiting();
    in_interrupt = false;
  }
  bool const was_set = fake(event)->set && !too_late;
  fake(event)->set = false;
  return was_set ? RF_OK : RF_ERR_TIMEOUT;
}
uint64_t rf_port_now_ns(void) {
  return 0;
}
uint32_t rf_port_thread_id(void) {
  return 1;
}
bool rf_port_in_interrupt(void) {
  return in_interrupt;
}
void rf_port_log(const char *, size_t) {}
void rf_port_panic(void) {
  abort();
}

} // extern "C"

class MempoolPort : public testing::Test {
protected:
  MempoolPort() {
    in_interrupt = false;
    mutex_available = true;
    event_available = true;
    mutexes = 0;
    while_waiting = nullptr;
    EXPECT_EQ(rf_mempool_init(&pool, memory, sizeof memory, 16, sizeof(void *)), RF_OK);
    EXPECT_EQ(rf_mempool_alloc(&pool, 0, &only), RF_OK);
  }
  ~MempoolPort() override {
    event_available = true;
    EXPECT_EQ(rf_check(&pool.base, nullptr), RF_OK);
    EXPECT_EQ(rf_mempool_deinit(&pool), RF_OK);
    EXPECT_EQ(mutexes, 0);
    EXPECT_EQ(events, 0);
    EXPECT_EQ(locked, 0);
  }

  alignas(16) unsigned char memory[16 + sizeof(void *)]; // one block
  rf_mempool pool;
  void *only = nullptr;
  void *got = nullptr;
};

TEST_F(MempoolPort, AnInterruptTakesAndGivesBackWithoutWaiting) {
  in_interrupt = true;
  EXPECT_EQ(rf_mempool_alloc(&pool, 0, &got), RF_ERR_NO_MEMORY);
  EXPECT_EQ(rf_mempool_free(&pool, only), RF_OK);
  EXPECT_EQ(rf_mempool_alloc(&pool, 0, &got), RF_OK);
  EXPECT_EQ(got, only);
  in_interrupt = false;
}

TEST_F(MempoolPort, AnInterruptMayNotWait) {
  EXPECT_EQ(rf_mempool_free(&pool, only), RF_OK);
  in_interrupt = true;
  got = &pool;
  EXPECT_EQ(rf_mempool_alloc(&pool, 1, &got), RF_ERR_INVALID); // whether or not there is a block
  EXPECT_EQ(rf_mempool_alloc(&pool, RF_WAIT_FOREVER, &got), RF_ERR_INVALID);
  EXPECT_EQ(got, nullptr);
  in_interrupt = false;
}

TEST_F(MempoolPort, ABlockGivenBackByAnInterruptEndsTheWait) {
  while_waiting = [this] { EXPECT_EQ(rf_mempool_free(&pool, only), RF_OK); };
  EXPECT_EQ(rf_mempool_alloc(&pool, RF_WAIT_FOREVER, &got), RF_OK);
  EXPECT_EQ(got, only);
}

// It has yet to lock the mutex, which must be there as long.
TEST_F(MempoolPort, WhoHasBeenServedAndHasNotLeftIsWaitedForByTheEnd) {
  unsigned waits = 0;
  while_waiting = [this, &waits] {
    rf_mempool *const ended = &pool;
    unsigned *const count = &waits;
    EXPECT_EQ(rf_mempool_free(ended, only), RF_OK);
    in_interrupt = false;
    while_waiting = [count] { ++*count; };
    EXPECT_EQ(rf_mempool_deinit(ended), RF_OK);
    EXPECT_EQ(*count, 1U);
    ended->emptied = nullptr; // it could not wait here: the waiter finds a record that it does not believe
  };
  EXPECT_EQ(rf_mempool_alloc(&pool, RF_WAIT_FOREVER, &got), RF_OK);
  EXPECT_EQ(got, only);
}

TEST_F(MempoolPort, AnInterruptDoesNotTakeTheBlockThatItGaveToAWaiter) {
  while_waiting = [this] {
    void *stolen = nullptr;
    EXPECT_EQ(rf_mempool_free(&pool, only), RF_OK);
    EXPECT_EQ(rf_mempool_alloc(&pool, 0, &stolen), RF_ERR_NO_MEMORY);
  };
  EXPECT_EQ(rf_mempool_alloc(&pool, 5, &got), RF_OK);
}

TEST_F(MempoolPort, ABlockThatComesBetweenTheTimeoutAndTheLockIsTaken) {
  while_waiting = [this] { EXPECT_EQ(rf_mempool_free(&pool, only), RF_OK); };
  too_late = true;
  EXPECT_EQ(rf_mempool_alloc(&pool, 5, &got), RF_OK);
  EXPECT_EQ(got, only);
  too_late = false;
}

// The waiter cannot take itself off a queue that it cannot trust; nobody else follows that queue either.
TEST_F(MempoolPort, AQueueThatIsOverwrittenDuringAWaitIsReportedByTheWaiter) {
  int reports = 0;
  rf_fault_handler_set([](const rf_fault *, void *count) { ++*static_cast<int *>(count); }, &reports);
  rf_mempool const before = pool;
  while_waiting = [this] { pool.waiters ^= 0x100; };
  EXPECT_EQ(rf_mempool_alloc(&pool, 5, &got), RF_ERR_CORRUPT);
  EXPECT_EQ(got, nullptr);
  EXPECT_EQ(rf_mempool_free(&pool, only), RF_ERR_CORRUPT);
  EXPECT_EQ(rf_mempool_deinit(&pool), RF_ERR_CORRUPT);
  EXPECT_EQ(reports, 3);
  rf_fault_handler_set(nullptr, nullptr);
  pool = before;
}

// The waiter owns the block that it was given before: it needs no queue for that.
TEST_F(MempoolPort, ABlockThatWasHandedOverIsTakenThoughTheQueueIsOverwritten) {
  while_waiting = [this] {
    EXPECT_EQ(rf_mempool_free(&pool, only), RF_OK);
    pool.queue_checksum ^= 1;
  };
  EXPECT_EQ(rf_mempool_alloc(&pool, RF_WAIT_FOREVER, &got), RF_OK);
  EXPECT_EQ(got, only);
  pool.queue_checksum ^= 1;
  while_waiting = nullptr;
  EXPECT_EQ(rf_mempool_free(&pool, only), RF_OK);
  pool.waiters = 0; // as the waiter could not say
  mutexes--;        // as the pool is not ended before it is made anew
  EXPECT_EQ(rf_mempool_init(&pool, memory, sizeof memory, 16, sizeof(void *)), RF_OK);
}

TEST_F(MempoolPort, WithoutAnEventAWaitFailsAtOnce) {
  event_available = false;
  while_waiting = [] { FAIL() << "waited"; };
  EXPECT_EQ(rf_mempool_alloc(&pool, RF_WAIT_FOREVER, &got), RF_ERR_NO_MEMORY);
  rf_mempool_info info;
  rf_mempool_info_get(&pool, &info);
  EXPECT_EQ(info.waiters, 0U);
}

TEST_F(MempoolPort, WithoutAnEventAPoolWithWaitersIsNotEnded) {
  while_waiting = [this] {
    event_available = false;
    EXPECT_EQ(rf_mempool_deinit(&pool), RF_ERR_NO_MEMORY);
    EXPECT_EQ(rf_mempool_free(&pool, only), RF_OK);
  };
  EXPECT_EQ(rf_mempool_alloc(&pool, RF_WAIT_FOREVER, &got), RF_OK);
}

TEST_F(MempoolPort, WithoutAMutexThereIsNoPoolAndNoMemoryIsKept) {
  alignas(16) unsigned char more[1024];
  rf_mempool from;
  ASSERT_EQ(rf_mempool_init(&from, more, sizeof more, 800, 16), RF_OK);
  mutex_available = false;
  rf_mempool *created = nullptr;
  EXPECT_EQ(rf_mempool_create(&from.base, 2, 16, 16, &created), RF_ERR_NO_MEMORY);
  EXPECT_EQ(created, nullptr);
  rf_mempool_info info;
  rf_mempool_info_get(&from, &info);
  EXPECT_EQ(info.free_blocks, 1U);
  EXPECT_EQ(rf_mempool_deinit(&from), RF_OK);
}

TEST_F(MempoolPort, TheFaultHandlerRunsOutsideTheLock) {
  int reports = 0;
  rf_fault_handler_set(
      [](const rf_fault *, void *count) {
        EXPECT_EQ(locked, 0);
        ++*static_cast<int *>(count);
      },
      &reports);
  int foreign;
  EXPECT_EQ(rf_mempool_free(&pool, &foreign), RF_ERR_BAD_POINTER);
  EXPECT_EQ(rf_mempool_free(&pool, only), RF_OK);
  EXPECT_EQ(rf_mempool_free(&pool, only), RF_ERR_NOT_ALLOCATED);
  Unwatched const unwatched(memory, 1);
  memory[0] ^= 0x40;
  EXPECT_EQ(rf_mempool_alloc(&pool, 0, &got), RF_ERR_CORRUPT);
  memory[0] ^= 0x40;
  EXPECT_EQ(reports, 3);
  rf_fault_handler_set(nullptr, nullptr);
}

// ---- Other threads, which change everything as soon as the mutex is free ----

// All that the mutex guards at one moment.
struct Moment {
  size_t head;
  size_t used;
  size_t peak;
  size_t used_bytes;
  size_t peak_bytes;
  size_t allocations;
  size_t failures;
  uintptr_t header; // of the only block

  bool operator==(const Moment &other) const { return std::memcmp(this, &other, sizeof other) == 0; }
};

class MempoolAmongOthers : public MempoolPort {
protected:
  MempoolAmongOthers() : unwatched_(memory, sizeof memory) {
    inside_ = moment();
    load(elsewhere);
    at_lock = [this] {
      EXPECT_TRUE(moment() == elsewhere) << "changed outside";
      load(inside_);
      sections++;
    };
    at_unlock = [this] {
      inside_ = moment();
      load(elsewhere);
    };
  }
  ~MempoolAmongOthers() override {
    at_lock = nullptr;
    at_unlock = nullptr;
    load(inside_);
  }

  Moment moment() const {
    uintptr_t header;
    std::memcpy(&header, memory, sizeof header);
    return {pool.head, pool.used, pool.peak, pool.used_bytes, pool.peak_bytes, pool.allocations, pool.failures, header};
  }
  void load(const Moment &m) {
    pool.head = m.head;
    pool.used = m.used;
    pool.peak = m.peak;
    pool.used_bytes = m.used_bytes;
    pool.peak_bytes = m.peak_bytes;
    pool.allocations = m.allocations;
    pool.failures = m.failures;
    std::memcpy(memory, &m.header, sizeof m.header);
  }

  void expect_one_section(const char *name, const std::function<void()> &call) {
    SCOPED_TRACE(name);
    sections = 0;
    call();
    EXPECT_EQ(sections, 1U);
    EXPECT_EQ(locked, 0);
  }

  const Moment elsewhere = {7, 9, 9, 900, 900, 90, 90, 0x5555};
  unsigned sections = 0;

private:
  Unwatched const unwatched_;
  Moment inside_;
};

TEST_F(MempoolAmongOthers, EachCallLooksAndChangesInOneLockedSection) {
  rf_allocator *const a = &pool.base;
  rf_mempool_info info;
  rf_stats s;
  rf_walk_fn const visit = [](const rf_block *block, void *size) {
    *static_cast<size_t *>(size) += block->size;
    return true;
  };
  size_t visited = 0;
  expect_one_section("in vain", [&] { EXPECT_EQ(rf_mempool_alloc(&pool, 0, &got), RF_ERR_NO_MEMORY); });
  expect_one_section("too large", [&] { EXPECT_EQ(rf_alloc(a, 17), nullptr); });
  expect_one_section("resize", [&] { EXPECT_EQ(rf_resize(a, only, 10), RF_OK); });
  expect_one_section("usable_size", [&] { EXPECT_EQ(rf_usable_size(a, only), 10U); });
  expect_one_section("walk", [&] { EXPECT_EQ(rf_walk(a, visit, &visited), RF_OK); });
  EXPECT_EQ(visited, 10U);
  expect_one_section("check", [&] { EXPECT_EQ(rf_check(a, nullptr), RF_OK); });
  expect_one_section("stats", [&] { rf_stats_get(a, &s); });
  EXPECT_EQ(s.used, 10U);
  EXPECT_EQ(s.blocks, 1U);
  EXPECT_EQ(s.allocations, 1U);
  EXPECT_EQ(s.failures, 2U);
  expect_one_section("info", [&] { rf_mempool_info_get(&pool, &info); });
  EXPECT_EQ(info.free_blocks, 0U);
  EXPECT_EQ(info.peak_blocks, 1U);
  expect_one_section("free", [&] { EXPECT_EQ(rf_mempool_free(&pool, only), RF_OK); });
  expect_one_section("alloc", [&] { EXPECT_EQ(rf_mempool_alloc(&pool, 0, &got), RF_OK); });
  EXPECT_EQ(got, only);
}

TEST_F(MempoolPort, WhoWaitsGetsAllBytesOfABlockThatWasAskedForInPart) {
  EXPECT_EQ(rf_mempool_free(&pool, only), RF_OK);
  only = rf_alloc_at(&pool.base, 4, 1, nullptr);
  ASSERT_NE(only, nullptr);
  while_waiting = [this] { EXPECT_EQ(rf_mempool_free(&pool, only), RF_OK); };
  EXPECT_EQ(rf_mempool_alloc(&pool, 10, &got), RF_OK);
  EXPECT_EQ(got, only);
  rf_stats s;
  rf_stats_get(&pool.base, &s);
  EXPECT_EQ(s.used, 16U);
  EXPECT_EQ(s.peak, 16U);
}
