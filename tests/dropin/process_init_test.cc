// Preparations for the first allocation (checkers/dropin/runtime/init.c): how the heap is configured in each mode, how
// much memory stacks may take, how many cores there are, and that all of it is made once. All functions that they call
// are this test's own.
#define _Static_assert static_assert
extern "C" {
#include "checkers/checked/mode_options.h"
#include "checkers/dropin/heap/cache.h"
#include "checkers/dropin/heap/walk.h"
#include "checkers/dropin/os/pages.h"
#include "checkers/dropin/runtime/init.h"
#include "checkers/dropin/runtime/process_reporter.h"
#include "checkers/dropin/runtime/thread.h"
#include "checkers/dropin/runtime/unmapped.h"
#include "checkers/os/memory_tags.h"
#include "checkers/os/reserve_stack.h"
#include <ringfence/fault.h>
#include <ringfence/port.h>
void __wrap_rf_heap_configure(const rf_heap_options *options);
void __wrap_rf_heap_init(unsigned cores);
bool __wrap_rf_heap_each_range(rf_range_fn visit, void *context);
void __wrap_rf_memory_tags_cover(uintptr_t start, size_t size);
void *__wrap_rf_record_table(size_t size);
rf_status __wrap_rf_stack_depot_init(rf_stack_depot *depot, void *memory, size_t size);
void __wrap_rf_pages_on_refusal(bool (*give)(size_t size));
size_t __wrap_rf_stack_depot_shrink(rf_stack_depot *depot, size_t spare);
void __wrap_rf_record_table_cut(void *table, size_t size);
void __wrap_rf_reserve_stack_init(void *memory);
uint64_t __wrap_rf_port_now_ns(void);
pid_t __wrap_getpid(void);
void __wrap_rf_fault_handler_set(rf_fault_handler handler, void *context);
rf_status __wrap_rf_fault_raise(const rf_fault *fault);
}
#undef _Static_assert

#include "tests/checkers/recorder.h"
#include "tests/dropin/alone.h"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>
#include <string>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

namespace {

using Calls = std::vector<std::string>;

constexpr size_t kMiB = size_t{1} << 20;
constexpr size_t kDepot = (sizeof(void *) > 4 ? 64 : 16) * kMiB;

struct World {
  Calls calls;
  bool reads_now = true; // the options
  rf_heap_options heap = {};
  rlim_t space = RLIM_INFINITY;
  rlim_t data = RLIM_INFINITY;
  bool knows_limits = true;
  bool tags = false;      // are compared
  size_t most = SIZE_MAX; // of a table
  bool (*give_back)(size_t size) = nullptr;
  rf_fault raised = {};
  rf_fault_handler handler = nullptr;
  void (*within)() = nullptr; // called while the heap is made
  unsigned asked = 0;         // the C library, for the time or the process's number
};

World world;
char the_memory;

void call(const std::string &what) {
  world.calls.push_back(what);
}

} // namespace

extern "C" {

rf_process_state rf_process;
rf_reporter rf_process_reporter;

bool rf_process_read_options() {
  call("options");
  return world.reads_now;
}
void rf_process_reporter_init() {
  call("reporter");
}
void rf_thread_init() {
  call("thread");
}
void rf_unmapped_note(const rf_span *) {}
bool rf_unmapped_bad_free(const void *, const rf_origin *) {
  return false;
}

void __wrap_rf_heap_configure(const rf_heap_options *options) {
  call("configure");
  world.heap = *options;
}
void __wrap_rf_heap_init(unsigned cores) {
  call("heap " + std::to_string(cores));
  if (world.within != nullptr) {
    world.within();
  }
}
bool __wrap_rf_heap_each_range(rf_range_fn visit, void *context) {
  return visit(0x1000, 0x3000, context) && visit(0x8000, 0x9000, context);
}
bool faked_tags_on() {
  return world.tags;
}
void __wrap_rf_memory_tags_cover(uintptr_t start, size_t size) {
  call("tags of " + std::to_string(start) + " " + std::to_string(size));
}
void *__wrap_rf_record_table(size_t size) {
  call("table " + std::to_string(size));
  return size <= world.most ? &the_memory : nullptr;
}
rf_status __wrap_rf_stack_depot_init(rf_stack_depot *depot, void *memory, size_t size) {
  EXPECT_EQ(depot, &rf_process.depot);
  EXPECT_EQ(memory, &the_memory);
  call("depot " + std::to_string(size));
  return RF_OK;
}
void __wrap_rf_pages_on_refusal(bool (*give)(size_t size)) {
  world.give_back = give;
}
size_t __wrap_rf_stack_depot_shrink(rf_stack_depot *depot, size_t spare) {
  EXPECT_EQ(depot, &rf_process.depot);
  call("shrink " + std::to_string(spare));
  return 3333;
}
void __wrap_rf_record_table_cut(void *table, size_t size) {
  EXPECT_EQ(table, &the_memory);
  call("cut " + std::to_string(size));
}
void __wrap_rf_reserve_stack_init(void *memory) {
  call(memory == &the_memory ? "reserve" : "no reserve");
}
int __wrap_getrlimit(int resource, struct rlimit *out) {
  out->rlim_cur = resource == RLIMIT_AS ? world.space : resource == RLIMIT_DATA ? world.data : 0;
  return world.knows_limits ? 0 : -1;
}
uint64_t __wrap_rf_port_now_ns() {
  world.asked++;
  return 12345;
}
pid_t __wrap_getpid() {
  world.asked++;
  return 4711;
}
void __wrap_rf_fault_handler_set(rf_fault_handler handler, void *context) {
  EXPECT_EQ(context, nullptr);
  call("handler");
  world.handler = handler;
}
rf_status __wrap_rf_fault_raise(const rf_fault *fault) {
  call("raise");
  world.raised = *fault;
  return fault->status;
}
}

namespace ringfence_test {
namespace {

using ringfence::Recorder;

void in_a_process(const std::function<void()> &test) {
  world = World();
  rf_process = {};
  rf_options_default(&rf_process.options);
  rf_process.options.mode = RF_MODE_GUARD;
  rf_process.options.stack_depth = 9;
  alone(test);
}

// The one call of this name that came.
std::string call_of(const std::string &name) {
  std::string found;
  for (const std::string &each : world.calls) {
    if (each.compare(0, name.size() + 1, name + " ") == 0) {
      EXPECT_EQ(found, "");
      found = each.substr(name.size() + 1);
    }
  }
  return found;
}

std::string cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof set, &set) == 0 ? std::to_string(CPU_COUNT(&set)) : "1";
}

TEST(ProcessInit, MakesEverythingOnceInItsOrder) {
  in_a_process([] {
    rf_process_init();
    EXPECT_EQ(world.calls, (Calls{"options", "reporter", "configure", "table " + std::to_string(kDepot),
                                  "depot " + std::to_string(kDepot), "table " + std::to_string(RF_RESERVE_STACK_BYTES),
                                  "reserve", "configure", "heap " + cores(), "thread"}));
    EXPECT_TRUE(rf_process.ready);
    EXPECT_EQ(rf_process.id, syscall(SYS_getpid));
    world.calls.clear();
    rf_process_init();
    EXPECT_EQ(world.calls, Calls());
  });
}

// The state of a thread as the system tells it: 'S' where it waits.
char state_of(pid_t thread) {
  char text[300] = {};
  std::string const path = "/proc/self/task/" + std::to_string(thread) + "/stat";
  int const fd = open(path.c_str(), O_RDONLY);
  EXPECT_GT(read(fd, text, sizeof text - 1), 0);
  close(fd);
  const char *const behind_name = std::strrchr(text, ')');
  return behind_name != nullptr ? behind_name[2] : '?';
}

// Calls the same while the first one is at it, and comes back when the other waits or has begun all over.
void call_at_once() {
  static pthread_t other;
  static pid_t id;
  static bool done;
  auto const run = [](void *) -> void * {
    __atomic_store_n(&id, static_cast<pid_t>(syscall(SYS_gettid)), __ATOMIC_SEQ_CST);
    rf_process_init();
    __atomic_store_n(&done, true, __ATOMIC_SEQ_CST);
    return nullptr;
  };
  size_t const calls = world.calls.size();
  world.within = nullptr;
  ASSERT_EQ(pthread_create(&other, nullptr, run, nullptr), 0);
  pid_t thread = 0;
  do {
    thread = __atomic_load_n(&id, __ATOMIC_SEQ_CST);
    (void)sched_yield();
  } while (thread == 0 || (!__atomic_load_n(&done, __ATOMIC_SEQ_CST) && state_of(thread) != 'S'));
  EXPECT_EQ(world.calls.size(), calls) << "the other one waits";
  EXPECT_EQ(pthread_detach(other), 0);
}

TEST(ProcessInit, ASecondThreadWaitsForTheFirst) {
  in_a_process([] {
    world.within = call_at_once;
    rf_process_init();
    EXPECT_TRUE(rf_process.ready);
  });
}

TEST(ProcessInit, LeavesItsLockOpen) {
  in_a_process([] {
    rf_process_init();
    rf_process.ready = false;
    rf_process_init(); // would wait for ever
    EXPECT_TRUE(rf_process.ready);
  });
}

TEST(ProcessInit, CountsTheCoresThatTheProcessMayUse) {
  in_a_process([] {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    if (sched_setaffinity(0, sizeof one, &one) == 0) {
      rf_process_init();
      EXPECT_EQ(call_of("heap"), "1");
    }
  });
}

// ---- The heap's options ----

TEST(ProcessConfigure, WhatIsCheckedDependsOnTheMode) {
  for (rf_mode const mode : {RF_MODE_OFF, RF_MODE_SAMPLE, RF_MODE_GUARD, RF_MODE_PAGE, RF_MODE_MTE}) {
    in_a_process([mode] {
      bool const checked = mode != RF_MODE_OFF && mode != RF_MODE_SAMPLE;
      rf_process.options.mode = mode;
      rf_process.options.rejected = true;
      rf_process.options.order_seed = 33;
      EXPECT_TRUE(rf_process_configure());
      EXPECT_EQ(rf_process.checked, checked);
      EXPECT_EQ(rf_process.report_rejected, mode != RF_MODE_OFF);
      EXPECT_EQ(world.heap.checked, checked);
      EXPECT_EQ(world.heap.stack_depth, checked ? 9U : 0U);
      EXPECT_EQ(world.heap.depot, checked ? &rf_process.depot : nullptr);
      EXPECT_EQ(world.heap.reporter, &rf_process_reporter);
      EXPECT_EQ(world.heap.order_seed, 33U);
      EXPECT_EQ(world.heap.leaving, rf_unmapped_note);
      EXPECT_EQ(world.heap.left, rf_unmapped_bad_free);
      EXPECT_EQ(rf_process.guard_options.depot, &rf_process.depot);
      EXPECT_EQ(rf_process.guard_options.reporter, &rf_process_reporter);
    });
  }
}

TEST(ProcessConfigure, BlocksThatWereAskedForBeforeHaveTheirTagsCovered) {
  in_a_process([] {
    world.tags = true;
    EXPECT_TRUE(rf_process_configure());
    EXPECT_EQ(world.calls, (Calls{"options", "reporter", "configure", "tags of " + std::to_string(0x1000) + " 8192",
                                  "tags of " + std::to_string(0x8000) + " 4096"}));
  });
}

TEST(ProcessConfigure, RequestsThatCannotBeServedAreFindingsIfAskedFor) {
  in_a_process([] {
    rf_process.options.rejected = false;
    EXPECT_TRUE(rf_process_configure());
    EXPECT_FALSE(rf_process.report_rejected);
  });
}

TEST(ProcessConfigure, FaultsOfAHeapThatChecksNothingAreLoggedWhereTheProcessGoesOn) {
  for (rf_mode const mode : {RF_MODE_SAMPLE, RF_MODE_GUARD}) {
    for (bool const halt : {false, true}) {
      in_a_process([mode, halt] {
        rf_process.options.mode = mode;
        rf_process.options.halt = halt;
        EXPECT_TRUE(rf_process_configure());
        EXPECT_EQ(world.handler, mode == RF_MODE_SAMPLE && !halt ? rf_fault_log : nullptr);
      });
    }
  }
}

TEST(ProcessConfigure, OptionsThatCouldNotBeReadYetAreReadLater) {
  in_a_process([] {
    world.reads_now = false;
    EXPECT_FALSE(rf_process_configure());
    EXPECT_EQ(world.calls, (Calls{"options", "reporter", "configure"})) << "the first request cannot wait";
    rf_process_init();
    EXPECT_TRUE(rf_process.ready);
    EXPECT_EQ(world.heap.checked, true) << "the defaults hold";
    world.calls.clear();
    EXPECT_FALSE(rf_process_configure());
    EXPECT_EQ(world.calls, Calls{"options"}) << "nothing is new";
    world.reads_now = true;
    rf_process.options.mode = RF_MODE_OFF;
    EXPECT_TRUE(rf_process_configure());
    EXPECT_FALSE(world.heap.checked);
  });
}

// ---- Frees that a heap refuses that checks nothing ----

TEST(ProcessConfigure, ARefusedFreeIsAFindingInModeSampleAndAFaultInOthers) {
  for (rf_mode const mode : {RF_MODE_OFF, RF_MODE_SAMPLE}) {
    in_a_process([mode] {
      Recorder recorder;
      rf_origin const origin = {};
      rf_process.options.mode = mode;
      EXPECT_TRUE(rf_process_configure());
      rf_process.guard_options.reporter = recorder.reporter();
      world.calls.clear();
      world.heap.refused(RF_ERR_NOT_ALLOCATED, &the_memory, &origin);
      if (mode == RF_MODE_OFF) {
        EXPECT_EQ(world.calls, Calls{"raise"});
        EXPECT_EQ(world.raised.status, RF_ERR_NOT_ALLOCATED);
        EXPECT_EQ(world.raised.ptr, &the_memory);
        EXPECT_EQ(world.raised.allocator, rf_heap_allocator());
        EXPECT_EQ(recorder.count(), 0U);
        return;
      }
      EXPECT_EQ(world.calls, Calls());
      ASSERT_EQ(recorder.count(), 1U);
      EXPECT_EQ(recorder.findings()[0].bug, RF_BUG_DOUBLE_FREE);
      EXPECT_EQ(recorder.findings()[0].address, reinterpret_cast<uintptr_t>(&the_memory));
      EXPECT_STREQ(recorder.findings()[0].allocator, "malloc");
      EXPECT_STREQ(recorder.findings()[0].mode, "sample");
    });
  }
}

// Another library's functions in place of these may allocate.
TEST(ProcessInit, AsksTheCLibraryNeitherForItsNumberNorForTheTime) {
  in_a_process([] {
    rf_process_init();
    EXPECT_TRUE(rf_process.ready);
    EXPECT_EQ(world.asked, 0U);
  });
}

// ---- Memory for stacks ----

TEST(ProcessInit, StacksTakeAShareOfMemoryThatIsScarce) {
  struct {
    rlim_t space;
    rlim_t data;
    bool known;
    size_t bytes;
  } const cases[] = {
      {RLIM_INFINITY, RLIM_INFINITY, true, kDepot}, {64 * kDepot, RLIM_INFINITY, true, kDepot},
      {640 * kMiB, RLIM_INFINITY, true, 10 * kMiB}, {RLIM_INFINITY, 320 * kMiB, true, 5 * kMiB},
      {640 * kMiB, 320 * kMiB, true, 5 * kMiB},     {320 * kMiB, 640 * kMiB, true, 5 * kMiB},
      {640 * kMiB, 320 * kMiB, false, kDepot},
  };
  for (auto const &each : cases) {
    in_a_process([each] {
      world.space = each.space;
      world.data = each.data;
      world.knows_limits = each.known;
      rf_process_init();
      EXPECT_EQ(call_of("depot"), std::to_string(each.bytes));
    });
  }
}

TEST(ProcessInit, StacksTakeWhatTheSystemGives) {
  in_a_process([] {
    world.most = 3 * kMiB;
    rf_process_init();
    EXPECT_EQ(call_of("depot"), std::to_string(2 * kMiB));
    EXPECT_EQ(rf_process.guard_options.depot, &rf_process.depot);
    EXPECT_EQ(world.heap.stack_depth, 9U);
  });
  in_a_process([] {
    world.most = kMiB / 4;
    rf_process_init();
    EXPECT_EQ(call_of("depot"), std::to_string(kMiB / 4)) << "that is the least";
  });
}

TEST(ProcessInit, WithoutMemoryForStacksThereAreNone) {
  in_a_process([] {
    world.most = kMiB / 4 - 1;
    rf_process_init();
    EXPECT_EQ(call_of("depot"), "");
    EXPECT_EQ(world.give_back, nullptr);
    EXPECT_EQ(rf_process.guard_options.depot, nullptr);
    EXPECT_EQ(rf_process.guard_options.stack_depth, 0U);
    EXPECT_EQ(world.heap.depot, nullptr) << "the heap is configured anew";
    EXPECT_EQ(world.heap.stack_depth, 0U);
    EXPECT_EQ(world.heap.checked, true);
    EXPECT_TRUE(rf_process_configure()) << "once more, where the environment was not there before";
    EXPECT_EQ(rf_process.guard_options.depot, nullptr);
    EXPECT_EQ(rf_process.guard_options.stack_depth, 0U);
    EXPECT_EQ(world.heap.depot, nullptr);
    EXPECT_EQ(world.heap.stack_depth, 0U);
  });
}

TEST(ProcessInit, StacksTakeTheLeastWhereTheirShareIsSmaller) {
  in_a_process([] {
    world.space = 8 * kMiB;
    rf_process_init();
    EXPECT_EQ(call_of("depot"), std::to_string(kMiB / 4));
    EXPECT_EQ(rf_process.guard_options.depot, &rf_process.depot);
  });
}

TEST(ProcessInit, WhereFewBlocksHaveStacksTheyTakeLess) {
  for (bool const samples : {false, true}) {
    in_a_process([samples] {
      rf_process.options.mode = samples ? RF_MODE_SAMPLE : RF_MODE_OFF;
      rf_process_init();
      EXPECT_EQ(call_of("depot"), std::to_string((samples ? 16 : 4) * kMiB));
    });
  }
}

TEST(ProcessInit, StacksGiveBackWhatTheyDoNotUseWhereTheSystemRefusesMemory) {
  in_a_process([] {
    rf_process_init();
    ASSERT_NE(world.give_back, nullptr);
    rf_process.depot.capacity = 10 * kMiB;
    rf_process.depot.used = 2 * kMiB;
    world.calls.clear();
    EXPECT_FALSE(world.give_back(7 * kMiB)) << "that would not be enough";
    EXPECT_EQ(world.calls, Calls());
    EXPECT_TRUE(world.give_back(6 * kMiB));
    EXPECT_EQ(world.calls, (Calls{"shrink " + std::to_string(kMiB + kMiB / 4), "cut 3333"}));
  });
}

} // namespace
} // namespace ringfence_test
