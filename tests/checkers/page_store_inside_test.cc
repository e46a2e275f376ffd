// The page store inside of itself: calls from signal handlers at every instruction, forks, threads that wait for all of
// its locks.
#include "tests/checkers/page_store_fixture.h"
#include "tests/checkers/single_step.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

namespace ringfence {
namespace {

using PageStoreInside = PageStore;

TEST_F(PageStoreInside, AFreeByTheWrongCallNamesTheBlock) {
  open();
  unsigned char *const p = alloc(10);
  rf_page_block freed;
  EXPECT_EQ(rf_page_store_free(store_, p, RF_FAMILY_NEW, SIZE_MAX, &origin_, &freed), RF_OK);
  std::vector<rf_finding> const found = recorder_.take();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].bug, RF_BUG_DEALLOC_MISMATCH);
  EXPECT_EQ(found[0].address, reinterpret_cast<uintptr_t>(p));
  EXPECT_EQ(found[0].block, reinterpret_cast<uintptr_t>(p));
  EXPECT_EQ(found[0].size, 10U);
}

// A signal handler that interrupted its own thread in there gets nothing new; its frees are counted later, in order.
TEST_F(PageStoreInside, WhoInterruptedItFreesAndDoesWithoutTheRest) {
  open();
  unsigned char *const p = alloc(10);
  unsigned char *const q = alloc(20);
  unsigned char *const r = alloc(30);
  rf_page_mask mask;
  ASSERT_TRUE(rf_page_enter(store_, &mask));
  rf_page_mask nested;
  EXPECT_FALSE(rf_page_enter(store_, &nested));
  EXPECT_EQ(alloc(1), nullptr);
  EXPECT_EQ(rf_page_store_resize(store_, p, 11, &origin_), RF_ERR_NO_MEMORY);
  EXPECT_EQ(free(q), RF_OK);
  EXPECT_EQ(free(p), RF_OK);
  EXPECT_EQ(store_->counters.blocks, 3U);
  EXPECT_EQ(store_->declined, 1U);
  rf_page_leave(store_, &mask);
  (void)peek(q);
  EXPECT_EQ(recorder_.take().size(), 1U) << "closed at once";
  EXPECT_EQ(free(r), RF_OK);
  check(store_);
  EXPECT_EQ(figures().closed_blocks, 3U);
  EXPECT_EQ(store_->oldest->block, reinterpret_cast<uintptr_t>(q));
  EXPECT_EQ(store_->oldest->next->block, reinterpret_cast<uintptr_t>(p));
  EXPECT_EQ(store_->newest->block, reinterpret_cast<uintptr_t>(r));
}

// As in a handler that forks, in which a thread has all locks, one of them twice.
TEST_F(PageStoreInside, WhoInterruptedItMayFork) {
  open();
  unsigned char *const p = alloc(10);
  rf_page_mask mask;
  rf_page_mask nested;
  ASSERT_TRUE(rf_page_enter(store_, &mask));
  rf_page_lock_all();
  EXPECT_FALSE(rf_page_enter(store_, &nested));
  rf_page_unlock_all();
  EXPECT_FALSE(rf_page_enter(store_, &nested)) << "it has the lock yet";
  rf_page_leave(store_, &mask);
  EXPECT_EQ(free(p), RF_OK);
  check(store_);
}

TEST_F(PageStoreInside, WhoHasAllLocksMayCallIt) {
  open();
  rf_page_lock_all();
  unsigned char *const p = alloc(10);
  EXPECT_NE(p, nullptr);
  EXPECT_EQ(free(p), RF_OK);
  EXPECT_EQ(figures().closed_blocks, 1U);
  rf_page_unlock_all();
  check(store_);
  EXPECT_NE(alloc(10), nullptr);
}

// A thread that has one may be interrupted by a handler that waits for the caller.
TEST_F(PageStoreInside, AllLocksAreNotWaitedForLong) {
  sigset_t before;
  sigset_t after;
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, nullptr, &before), 0);
  open();
  std::atomic<bool> has{false};
  std::atomic<bool> goes_on{false};
  std::thread other([&] {
    rf_page_mask mask;
    EXPECT_TRUE(rf_page_enter(store_, &mask));
    has = true;
    while (!goes_on) {
      std::this_thread::yield();
    }
    rf_page_leave(store_, &mask);
  });
  while (!has) {
    std::this_thread::yield();
  }
  EXPECT_FALSE(rf_page_try_lock_all());
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, nullptr, &after), 0);
  EXPECT_EQ(sigismember(&after, SIGTERM), sigismember(&before, SIGTERM));
  rf_page_mask registry;
  rf_page_registry_lock(&registry);
  rf_page_registry_unlock(&registry);
  goes_on = true;
  other.join();
  ASSERT_TRUE(rf_page_try_lock_all());
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, nullptr, &after), 0);
  EXPECT_EQ(sigismember(&after, SIGTERM), 1);
  EXPECT_NE(alloc(10), nullptr) << "who has all of them may call it";
  rf_page_unlock_all();
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, nullptr, &after), 0);
  EXPECT_EQ(sigismember(&after, SIGTERM), sigismember(&before, SIGTERM));
  EXPECT_NE(alloc(10), nullptr);
}

// True once the thread waits in the kernel.
bool sleeps(pid_t thread) {
  std::ifstream stat("/proc/self/task/" + std::to_string(thread) + "/stat");
  std::string number;
  std::string name;
  char state = 0;
  stat >> number >> name >> state;
  return state == 'S';
}

TEST_F(PageStoreInside, WhoWaitsForAllLocksLeavesTheMaskOfWhoHasThem) {
  sigset_t before;
  sigset_t after;
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, nullptr, &before), 0);
  open();
  rf_page_lock_all();
  std::atomic<pid_t> thread{0};
  std::thread other([&] {
    sigset_t all;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, nullptr);
    thread = static_cast<pid_t>(syscall(SYS_gettid));
    rf_page_lock_all();
    rf_page_unlock_all();
    sigset_t own;
    (void)pthread_sigmask(SIG_SETMASK, nullptr, &own);
    EXPECT_EQ(sigismember(&own, SIGTERM), 1);
  });
  while (thread == 0 || !sleeps(thread)) {
    std::this_thread::yield();
  }
  rf_page_unlock_all();
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, nullptr, &after), 0);
  other.join();
  EXPECT_EQ(sigismember(&before, SIGTERM), 0);
  EXPECT_EQ(sigismember(&after, SIGTERM), 0) << "it is not the mask of the other thread";
}

#ifdef __x86_64__

struct {
  rf_page_store *store;
  unsigned steps;
  unsigned served;
  unsigned wrong;
} interrupted;

// Between any two instructions: a block of two pages, and its free.
void on_step(int /*signal*/) {
  rf_page_request const request = {2 * page_size(), 1, 0, nullptr, RF_FAMILY_MALLOC, false, nullptr};
  rf_origin const origin = {};
  rf_page_block freed;
  interrupted.steps++;
  void *const p = rf_page_store_alloc(interrupted.store, &request, &origin);
  if (p != nullptr) {
    interrupted.served++;
    bool const well = rf_page_store_free(interrupted.store, p, RF_FAMILY_MALLOC, SIZE_MAX, &origin, &freed) == RF_OK &&
                      freed.ptr == p && freed.size == request.size;
    interrupted.wrong += well ? 0 : 1;
  }
}

using ringfence_test::set_stepping;

// Without a quarantine a freed block's place is the next one's at once.
TEST_F(PageStoreInside, MayBeInterruptedAtEveryInstruction) {
  options_.slots = 0;
  options_.quarantine = 0;
  interrupted = {open(), 0, 0, 0};
  EXPECT_EQ(free(alloc(1)), RF_OK); // what comes once is done
  ASSERT_NE(signal(SIGTRAP, on_step), SIG_ERR);
  rf_page_request const request = {page_size(), 1, 0, nullptr, RF_FAMILY_NEW, false, this};
  rf_page_block freed;
  set_stepping(true);
  void *const p = rf_page_store_alloc(store_, &request, &origin_);
  rf_status const grown = rf_page_store_resize(store_, p, 3 * page_size(), &origin_);
  rf_status const shrunk = rf_page_store_resize(store_, p, page_size(), &origin_);
  rf_status const status = rf_page_store_free(store_, p, RF_FAMILY_NEW, SIZE_MAX, &origin_, &freed);
  set_stepping(false);
  ASSERT_NE(signal(SIGTRAP, SIG_DFL), SIG_ERR);
  EXPECT_TRUE(grown == RF_OK || grown == RF_ERR_NO_MEMORY);
  EXPECT_EQ(shrunk, RF_OK);
  EXPECT_EQ(status, RF_OK);
  EXPECT_EQ(freed.ptr, p);
  EXPECT_EQ(freed.size, page_size());
  EXPECT_EQ(freed.family, RF_FAMILY_NEW);
  EXPECT_EQ(freed.backing, this);
  EXPECT_GT(interrupted.served, 100U);
  EXPECT_LT(interrupted.served, interrupted.steps) << "none where a lock is held";
  EXPECT_EQ(interrupted.wrong, 0U);
  check(store_);
  EXPECT_EQ(figures().counters.blocks, 0U);
  EXPECT_EQ(recorder_.take().size(), 0U);
}

struct {
  const rf_slot *slot;
  unsigned freed;
  unsigned swept;
  unsigned wrong;
} watched;

// Another thread that faults there, or frees the block, relies on two things: a closed page belongs to a freed block
// whose release is on record, and no free gets a block that a sweep looks at.
void look_at_the_slot(int /*signal*/) {
  rf_slot_state const state = rf_slot_state_of(watched.slot);
  if (state == SLOT_FREED) {
    watched.freed++;
    watched.wrong += watched.slot->released.caller == 77 ? 0 : 1;
  } else {
    watched.wrong += rf_host_readable(reinterpret_cast<const void *>(rf_slot_open_start(watched.slot)), 1) ? 0 : 1;
  }
  watched.swept += state == SLOT_SWEPT ? 1 : 0;
}

TEST_F(PageStoreInside, ABlockIsKnownAsFreedBeforeItIsClosed) {
  options_.slots = 0;
  open();
  EXPECT_EQ(free(alloc(1)), RF_OK); // what comes once is done
  unsigned char *const p = alloc(10);
  watched = {rf_page_live_at(store_, p), 0, 0, 0};
  ASSERT_NE(watched.slot, nullptr);
  origin_.caller = 77;
  ASSERT_NE(signal(SIGTRAP, look_at_the_slot), SIG_ERR);
  set_stepping(true);
  rf_status const status = free(p);
  set_stepping(false);
  ASSERT_NE(signal(SIGTRAP, SIG_DFL), SIG_ERR);
  EXPECT_EQ(status, RF_OK);
  EXPECT_GT(watched.freed, 0U);
  EXPECT_EQ(watched.wrong, 0U);
}

TEST_F(PageStoreInside, ABlockThatIsLookedAtIsHeldByTheSweep) {
  open();
  unsigned char *const p = alloc(10);
  watched = {rf_page_live_at(store_, p), 0, 0, 0};
  ASSERT_NE(watched.slot, nullptr);
  ASSERT_NE(signal(SIGTRAP, look_at_the_slot), SIG_ERR);
  set_stepping(true);
  size_t const found = rf_page_store_sweep(store_, 0, &origin_);
  set_stepping(false);
  ASSERT_NE(signal(SIGTRAP, SIG_DFL), SIG_ERR);
  EXPECT_EQ(found, 0U);
  EXPECT_GT(watched.swept, 0U);
  EXPECT_EQ(watched.wrong, 0U);
  EXPECT_EQ(free(p), RF_OK);
}

struct {
  const void *known;
  unsigned steps;
  unsigned wrong;
} bounded;

void look_whether_it_may_be(int /*signal*/) {
  bounded.steps++;
  bounded.wrong += rf_page_may_be(bounded.known) ? 0 : 1;
}

// Another space lies below those before: at no moment is the last byte of all outside of their bounds.
TEST_F(PageStoreInside, ItsBoundsHoldEveryBlockWhileTheyGrow) {
  open();
  ASSERT_NE(alloc(1), nullptr);
  options_.slots = 0;
  open();
  bounded = {reinterpret_cast<void *>(rf_page_all.low + rf_page_all.size - 1), 0, 0};
  uintptr_t const low = rf_page_all.low;
  ASSERT_NE(signal(SIGTRAP, look_whether_it_may_be), SIG_ERR);
  set_stepping(true);
  bool const made = rf_page_store_reserve(store_);
  set_stepping(false);
  ASSERT_NE(signal(SIGTRAP, SIG_DFL), SIG_ERR);
  EXPECT_TRUE(made);
  EXPECT_LT(rf_page_all.low, low) << "else nothing was tried";
  EXPECT_GT(bounded.steps, 100U);
  EXPECT_EQ(bounded.wrong, 0U);
}

struct {
  rf_page_store *store;
  void *block;
  std::vector<size_t> sizes; // by serial
} changing;

// Between any two instructions, unless signals are held back: the block is freed, and its place another one's.
void change(int /*signal*/, siginfo_t * /*info*/, void *context) {
  if (sigismember(&static_cast<ucontext_t *>(context)->uc_sigmask, SIGUSR1) == 1) {
    return;
  }
  rf_origin const origin = {};
  rf_page_block block;
  (void)rf_page_store_free(changing.store, changing.block, RF_FAMILY_MALLOC, SIZE_MAX, &origin, &block);
  size_t const size = (changing.sizes.size() % 3 + 1) * page_size();
  rf_page_request const request = {size, 1, 0, nullptr, RF_FAMILY_MALLOC, false, nullptr};
  changing.block = rf_page_store_alloc(changing.store, &request, &origin);
  changing.sizes.push_back(size);
}

bool is_of_one_block(const rf_page_block *block, void *context) {
  ++*static_cast<unsigned *>(context);
  EXPECT_LT(block->serial, changing.sizes.size());
  EXPECT_EQ(block->size, changing.sizes[block->serial]);
  return true;
}

rf_slot *swept;
uint32_t lot = 1;

// A sweep on another thread looks at the block, or has just let go of it.
void sweep_or_not(int /*signal*/) {
  lot = lot * 1664525 + 1013904223;
  if (rf_slot_state_of(swept) != SLOT_HELD) {
    rf_slot_set_state(swept, lot >> 31 != 0 ? SLOT_SWEPT : SLOT_LIVE);
  }
}

TEST_F(PageStoreInside, ABlockThatIsSweptMeanwhileIsWaitedFor) {
  open();
  unsigned char *const p = alloc(1);
  swept = rf_runs_slot(store_, reinterpret_cast<uintptr_t>(p));
  ASSERT_NE(swept, nullptr);
  ASSERT_NE(signal(SIGTRAP, sweep_or_not), SIG_ERR);
  for (int i = 0; i < 50; i++) {
    set_stepping(true);
    const rf_slot *const held = rf_page_hold(store_, p);
    set_stepping(false);
    EXPECT_EQ(held, swept) << i;
    rf_slot_set_state(swept, SLOT_LIVE);
  }
  ASSERT_NE(signal(SIGTRAP, SIG_DFL), SIG_ERR);
  EXPECT_EQ(free(p), RF_OK);
}

unsigned steps_left;

// Another thread's block is made, and live from some instruction on.
void finish(int /*signal*/) {
  if (steps_left-- == 0) {
    rf_slot_set_state(swept, SLOT_LIVE);
  }
}

TEST_F(PageStoreInside, ABlockThatIsMadeMeanwhileIsNotClosedAgain) {
  open();
  unsigned char *const p = alloc(1);
  swept = rf_runs_slot(store_, reinterpret_cast<uintptr_t>(p));
  ASSERT_NE(swept, nullptr);
  ASSERT_NE(signal(SIGTRAP, finish), SIG_ERR);
  for (unsigned i = 0; i < 200; i++) {
    rf_slot_set_state(swept, SLOT_MAKING);
    store_->reopened[0] = rf_slot_open_start(swept);
    store_->reopened_count = 1; // a fault opened it for the block before
    steps_left = i;
    set_stepping(true);
    rf_page_reclose(store_);
    set_stepping(false);
    EXPECT_TRUE(rf_host_readable(p, 1)) << i;
    rf_slot_set_state(swept, SLOT_LIVE);
  }
  ASSERT_NE(signal(SIGTRAP, SIG_DFL), SIG_ERR);
  EXPECT_EQ(free(p), RF_OK);
}

TEST_F(PageStoreInside, AWalkTellsOfOneBlockAtATime) {
  options_.slots = 0;
  options_.quarantine = 0;
  changing.store = open();
  changing.block = alloc(page_size());
  changing.sizes = {page_size()};
  changing.sizes.reserve(100000);
  struct sigaction action = {};
  action.sa_sigaction = change;
  action.sa_flags = SA_SIGINFO;
  ASSERT_EQ(sigaction(SIGTRAP, &action, nullptr), 0);
  unsigned visited = 0;
  set_stepping(true);
  rf_page_store_each(store_, is_of_one_block, &visited);
  set_stepping(false);
  ASSERT_NE(signal(SIGTRAP, SIG_DFL), SIG_ERR);
  EXPECT_GT(visited, 0U);
  EXPECT_GT(changing.sizes.size(), 50U);
  EXPECT_EQ(free(changing.block), RF_OK);
  check(store_);
}

#endif

} // namespace
} // namespace ringfence
