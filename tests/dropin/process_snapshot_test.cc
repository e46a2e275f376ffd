// Snapshots of the whole process (checkers/dropin/inspect/process_snapshot.c): what they hold while they count, what
// they count and tell, and how often a signal's is tried. Heap, pages and reporter are this test's own.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/inspect/heap_dump.h"
#include "checkers/dropin/inspect/process_log.h"
#include "checkers/dropin/inspect/process_snapshot.h"
#include "checkers/dropin/inspect/snapshot_record.h"
#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/os/pages.h"
#include "checkers/dropin/runtime/own_cache.h"
#include "checkers/dropin/runtime/process_reporter.h"
#include "checkers/dropin/runtime/signals.h"
#include "checkers/dropin/runtime/steering.h"
size_t __ringfence_snapshot(const char *name);
}
#undef _Static_assert

#include "tests/dropin/alone.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <ringfence/port.h>
#include <string>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

using ringfence_test::alone;
using Calls = std::vector<std::string>;

struct World {
  Calls calls;
  std::vector<std::pair<uintptr_t, size_t>> heap;
  std::vector<std::pair<uintptr_t, size_t>> paged;
  std::vector<std::pair<uintptr_t, size_t>> recorded;
  std::string told; // of each snapshot: its name, a slash and that before it
  rf_snapshot last = {};
  std::string last_name;
  struct sigaction action = {};
  int signal = 0;
  unsigned refusals = 0; // of the locks, yet to come
  unsigned timers = 0;
  unsigned settings = 0;
  bool has_table = true;
  bool has_stack = true; // of a block on pages
  bool can_tell = true;
  bool is_named = false;
  std::function<void()> in_walk;
};

World world;
char the_store;

} // namespace

extern "C" {

rf_guarded_blocks_state rf_guarded_blocks;
rf_process_state rf_process;
rf_steering rf_steering_now;

bool rf_lock_blocks(unsigned ms) {
  world.calls.push_back("lock " + std::to_string(ms));
  errno = 4321;
  if (world.refusals != 0) {
    world.refusals--;
    return false;
  }
  return true;
}

void rf_unlock_blocks() {
  world.calls.emplace_back("unlock");
}

void rf_heap_walk(bool (*visit)(const rf_view *view, void *context), void *context) {
  rf_slot slot = {};
  rf_view view = {};
  world.calls.emplace_back("walk");
  if (world.in_walk) {
    world.in_walk();
  }
  for (auto const &[at, size] : world.heap) {
    slot.allocated = static_cast<uint32_t>(at);
    slot.allocated_by = 7;
    view.slot = &slot;
    view.size = size;
    view.payload = reinterpret_cast<unsigned char *>(at);
    EXPECT_TRUE(visit(&view, context));
  }
}

void rf_check_trace(uint32_t stack, uint16_t thread, rf_trace *out) {
  EXPECT_EQ(thread, 7);
  *out = {};
  out->depth = 1;
  out->frames[0] = stack;
}

void rf_page_store_each(rf_page_store *, bool (*visit)(const rf_page_block *block, void *context), void *context) {
  world.calls.emplace_back("walk pages");
  for (auto const &[at, size] : world.paged) {
    rf_page_block const block = {reinterpret_cast<void *>(at), size, RF_FAMILY_MALLOC, 0, nullptr, nullptr};
    EXPECT_TRUE(visit(&block, context));
  }
}

bool rf_page_store_allocated(rf_page_store *, const void *ptr, rf_trace *out) {
  memset(out, 0x5A, sizeof *out);
  out->depth = 1;
  out->frames[0] = reinterpret_cast<uintptr_t>(ptr);
  out->site = nullptr;
  return world.has_stack;
}

void *rf_record_table(size_t size) {
  return world.has_table ? calloc(1, size) : nullptr;
}

void rf_snapshot_record_begin(size_t sites) {
  world.recorded.clear();
  world.calls.push_back("record " + std::to_string(sites));
}

void rf_snapshot_record_add(uintptr_t address, size_t size) {
  world.recorded.emplace_back(address, size);
}

void rf_snapshot_record_tell(const rf_snapshot *) {
  world.calls.emplace_back("tell record");
}

bool rf_process_report_snapshot(const rf_snapshot *snapshot, const rf_snapshot *before) {
  world.last = *snapshot;
  world.last_name = snapshot->name;
  world.told += std::string(snapshot->name) + "/" + (before == nullptr ? "" : before->name) + " ";
  return world.can_tell;
}

void rf_process_log_running() {
  world.calls.emplace_back("running");
}

int rf_dump_signal_number(rf_dump_signal choice) {
  return choice == RF_DUMP_SIGUSR2 ? SIGUSR2 : 0;
}

void rf_signals_install(int number, const struct sigaction *action, bool again) {
  EXPECT_FALSE(again);
  world.signal = number;
  world.action = *action;
}

// The linker puts these in front of those of //checkers and of the C library.
bool __wrap_rf_collector_is_named();
bool __wrap_rf_collector_is_named() {
  return world.is_named;
}

long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...) {
  va_list arguments;
  va_start(arguments, number);
  if (number == SYS_timer_create) {
    EXPECT_EQ(va_arg(arguments, long), CLOCK_MONOTONIC);
    auto const *const event = va_arg(arguments, const sigevent *);
    EXPECT_EQ(event->sigev_notify, SIGEV_SIGNAL);
    EXPECT_EQ(event->sigev_signo, SIGUSR2);
    *va_arg(arguments, int *) = 33;
    world.timers++;
  } else if (number == SYS_timer_settime) {
    EXPECT_EQ(va_arg(arguments, int), 33);
    EXPECT_EQ(va_arg(arguments, int), 0);
    auto const *const times = va_arg(arguments, const long *);
    EXPECT_EQ(times[0] + times[1] + times[2], 0); // once
    EXPECT_EQ(times[3], 10000000);
    world.settings++;
  }
  va_end(arguments);
  errno = 4321;
  return 0;
}
}

namespace {

void with_process(const std::function<void()> &test) {
  alone([&test] {
    world = World();
    world.heap = {{0x1000, 100}, {0x2000, 200}};
    world.paged = {{0x3000, 3000}};
    rf_process.checked = true;
    rf_process.options.format = RF_FORMAT_JSON;
    rf_guarded_blocks.store = reinterpret_cast<rf_page_store *>(&the_store);
    test();
  });
}

TEST(ProcessSnapshot, CountsEverythingWhileOthersWait) {
  with_process([] {
    EXPECT_EQ(__ringfence_snapshot("one"), 3300U);
    EXPECT_EQ(world.calls, (Calls{"lock 1000", "record 4096", "walk", "walk pages", "unlock", "tell record"}));
    EXPECT_EQ(world.recorded,
              (std::vector<std::pair<uintptr_t, size_t>>{{0x1000, 100}, {0x2000, 200}, {0x3000, 3000}}));
    EXPECT_EQ(world.told, "one/ ");
    EXPECT_EQ(world.last.blocks, 3U);
    EXPECT_EQ(world.last.count, 3U);
    EXPECT_EQ(world.last.capacity, 4096U);
    EXPECT_STREQ(world.last.allocator, "malloc");
    rf_guarded_blocks.store = nullptr;
    world.calls.clear();
    EXPECT_EQ(__ringfence_snapshot(nullptr), 300U);
    EXPECT_EQ(world.calls, (Calls{"lock 1000", "record 4096", "walk", "unlock", "tell record"}));
    EXPECT_EQ(world.told, "one/ snapshot/ ");
  });
}

// By a signal that comes meanwhile, as by another thread.
TEST(ProcessSnapshot, IsTakenByOneAtATime) {
  with_process([] {
    world.in_walk = [] { rf_process_snapshot_regular("inner"); };
    EXPECT_EQ(__ringfence_snapshot("outer"), 3300U);
    EXPECT_EQ(world.told, "outer/ ");
    EXPECT_EQ(std::count(world.calls.begin(), world.calls.end(), "walk"), 1);
  });
}

// A thread that is not in a child has the lock, and will not give it back.
TEST(ProcessSnapshot, AChildOfOneThatWasBeingTakenTakesItsOwn) {
  with_process([] {
    world.in_walk = [] {
      alone([] {
        world.in_walk = nullptr;
        rf_process_snapshot_forked();
        EXPECT_EQ(__ringfence_snapshot("child"), 3300U);
        EXPECT_EQ(world.told, "child/ ");
      });
    };
    EXPECT_EQ(__ringfence_snapshot("parent"), 3300U);
    EXPECT_EQ(world.told, "parent/ ");
  });
}

TEST(ProcessSnapshot, HasTheTimeAtWhichItWasTaken) {
  with_process([] {
    uint64_t before = rf_port_now_ns();
    for (const char *const name : {"one", "two", "three"}) {
      EXPECT_EQ(__ringfence_snapshot(name), 3300U);
      EXPECT_GE(world.last.time_ns, before);
      before = rf_port_now_ns();
      EXPECT_LE(world.last.time_ns, before);
    }
  });
}

TEST(ProcessSnapshot, ForPeopleTheDifferenceIsToldToo) {
  with_process([] {
    rf_process.options.format = RF_FORMAT_TEXT;
    for (const char *const name : {"one", "two", "three"}) {
      EXPECT_EQ(__ringfence_snapshot(name), 3300U);
    }
    EXPECT_EQ(world.told, "one/ two/ two/one three/ three/two ");
    world.told.clear();
    world.can_tell = false;
    EXPECT_EQ(__ringfence_snapshot("four"), 0U);
    EXPECT_EQ(world.told, "four/ ");
  });
}

TEST(ProcessSnapshot, ABlockWithoutAStackIsCountedWithoutOne) {
  with_process([] {
    world.heap.clear();
    world.has_stack = false;
    EXPECT_EQ(__ringfence_snapshot("one"), 3000U);
    ASSERT_EQ(world.last.count, 1U);
    for (size_t i = 0; i < world.last.capacity; i++) {
      EXPECT_EQ(world.last.sites[i].allocated.depth, 0U);
    }
  });
}

TEST(ProcessSnapshot, ALongNameIsCut) {
  with_process([] {
    std::string const name(100, 'n');
    EXPECT_EQ(__ringfence_snapshot(name.c_str()), 3300U);
    EXPECT_EQ(world.last_name, name.substr(0, 63));
    EXPECT_EQ(__ringfence_snapshot("short"), 3300U);
    EXPECT_EQ(__ringfence_snapshot("a"), 3300U); // where the long one was
    EXPECT_EQ(world.last_name, "a");
  });
}

TEST(ProcessSnapshot, IsNoneWhereItCannotBeTaken) {
  with_process([] {
    world.refusals = 1;
    errno = 77;
    EXPECT_EQ(__ringfence_snapshot("one"), 0U);
    EXPECT_EQ(errno, 77);
    EXPECT_EQ(world.calls, Calls{"lock 1000"});
    EXPECT_EQ(world.told, "");
    EXPECT_EQ(__ringfence_snapshot("two"), 3300U);
    EXPECT_EQ(world.told, "two/ ");
    rf_process.checked = false;
    EXPECT_EQ(__ringfence_snapshot("three"), 0U);
    EXPECT_EQ(world.told, "two/ ");
  });
  with_process([] {
    world.has_table = false;
    EXPECT_EQ(__ringfence_snapshot("one"), 0U);
    world.has_table = true;
    EXPECT_EQ(__ringfence_snapshot("two"), 3300U);
    EXPECT_EQ(world.told, "two/ ");
  });
}

TEST(ProcessSnapshot, FromTimeToTimeGoesToTheCollectorWhereThereIsOne) {
  with_process([] {
    rf_process_snapshot_regular("regular");
    EXPECT_EQ(world.told, "regular/ ");
    EXPECT_EQ(world.calls.front(), "lock 1");
    EXPECT_EQ(world.calls.back(), "running");
    world.is_named = true;
    world.calls.clear();
    rf_process_snapshot_regular("regular");
    EXPECT_EQ(world.told, "regular/ ");
    EXPECT_EQ(world.calls[world.calls.size() - 2], "tell record");
    rf_process.checked = false;
    world.calls.clear();
    rf_process_snapshot_regular("regular");
    EXPECT_EQ(world.calls, Calls{"running"});
  });
}

TEST(ProcessSnapshot, OfASignalIsTriedUntilNobodyIsInside) {
  with_process([] {
    rf_process.options.snapshot_signal = RF_DUMP_SIGUSR2;
    rf_process_snapshot_init();
    EXPECT_EQ(world.signal, SIGUSR2);
    EXPECT_EQ(world.action.sa_flags, SA_RESTART | SA_ONSTACK);
    world.refusals = 2;
    for (int i = 0; i < 3; i++) {
      errno = 77;
      world.action.sa_handler(SIGUSR2);
      EXPECT_EQ(errno, 77);
    }
    EXPECT_EQ(world.calls.front(), "lock 1");
    EXPECT_EQ(world.told, "signal 1/ ");
    EXPECT_EQ(world.timers, 1U); // one for all
    EXPECT_EQ(world.settings, 2U);
    world.action.sa_handler(SIGUSR2);
    EXPECT_EQ(world.told, "signal 1/ signal 2/ ");
    alone([] { // a child has no timer
      world.refusals = 1;
      world.action.sa_handler(SIGUSR2);
      EXPECT_EQ(world.timers, 2U);
    });
  });
}

TEST(ProcessSnapshot, OfASignalIsGivenUpInTheEnd) {
  with_process([] {
    rf_process.options.snapshot_signal = RF_DUMP_SIGUSR2;
    rf_process_snapshot_init();
    for (int again = 0; again < 2; again++) { // each time after as many
      testing::internal::CaptureStderr();
      world.refusals = 500;
      world.settings = 0;
      for (int i = 0; i < 500; i++) {
        world.action.sa_handler(SIGUSR2);
      }
      EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
      EXPECT_EQ(world.settings, 500U);
      testing::internal::CaptureStderr();
      world.refusals = 1;
      world.action.sa_handler(SIGUSR2);
      EXPECT_EQ(world.settings, 500U);
      EXPECT_EQ(testing::internal::GetCapturedStderr(),
                "ringfence: no snapshot: at each attempt a thread was inside an allocation function\n");
    }
    world.refusals = 499;
    for (int i = 0; i < 500; i++) {
      world.action.sa_handler(SIGUSR2);
    }
    EXPECT_EQ(world.told, "signal 1/ ");
    testing::internal::CaptureStderr();
    world.refusals = 500; // again as many
    for (int i = 0; i < 500; i++) {
      world.action.sa_handler(SIGUSR2);
    }
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  });
}

TEST(ProcessSnapshot, NoSignalIsTakenWhereNobodyAsks) {
  with_process([] {
    rf_process_snapshot_init();
    EXPECT_EQ(world.signal, 0);
    rf_process.options.snapshot_signal = RF_DUMP_SIGUSR2;
    rf_process.checked = false;
    rf_process_snapshot_init();
    EXPECT_EQ(world.signal, 0);
  });
}

TEST(ProcessSnapshot, AWishForThemThatAModeCannotServeIsAnswered) {
  struct {
    bool checked, named, policy;
    uint32_t every, own;
    rf_mode mode;
    bool warns;
  } const cases[] = {
      {false, false, false, 5, 0, RF_MODE_SAMPLE, true}, {false, false, false, 0, 0, RF_MODE_SAMPLE, false},
      {true, false, false, 5, 0, RF_MODE_GUARD, false},  {false, true, false, 5, 0, RF_MODE_SAMPLE, false},
      {false, true, false, 5, 0, RF_MODE_OFF, true},     {false, false, true, 5, 0, RF_MODE_SAMPLE, false},
      {false, false, true, 5, 5, RF_MODE_SAMPLE, true},
  };
  for (auto const &c : cases) {
    with_process([&c] {
      rf_process.checked = c.checked;
      rf_process.options.snapshot_every = c.every;
      rf_process.options.mode = c.mode;
      world.is_named = c.named;
      strcpy(rf_steering_now.rules, c.policy ? "3" : "");
      rf_steering_now.own.snapshot_every = c.own;
      testing::internal::CaptureStderr();
      rf_process_snapshot_warn();
      std::string const mode = c.mode == RF_MODE_OFF ? "off" : "sample";
      EXPECT_EQ(testing::internal::GetCapturedStderr(),
                c.warns ? "ringfence: snapshot_every: mode " + mode +
                              " takes no snapshots, since it does not know all live blocks: use mode guard or page\n"
                        : "");
    });
  }
}

} // namespace
