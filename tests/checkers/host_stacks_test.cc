// Stacks and unwinding (checkers/os/host_stacks.c) where the map, the limits, the thread's own record and the unwinder
// are this test's own: which bounds a stack has, how often the map is read, and what a fault in the unwinder leaves.
#include <pthread.h>

extern "C" {
#include "checkers/os/host.h"
#include "checkers/os/maps.h"
bool __wrap_rf_host_readable(const void *start, size_t size);
bool __wrap_rf_maps_each(bool (*visit)(const rf_map *map, void *context), void *context);
unsigned long __wrap_getauxval(unsigned long type);
pthread_t __wrap_pthread_self(void);
}
#include "checkers/os/forbidden_calls.h"

#include <gtest/gtest.h>

#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <unwind.h>

#include <csignal>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

namespace {

constexpr uintptr_t kPage = 4096;
constexpr uintptr_t kMiB = uintptr_t{1} << 20;
constexpr uintptr_t kAt = uintptr_t{64} * kMiB * 16;

struct Mapping {
  uintptr_t start;
  uintptr_t end;
  const char *name;
};

struct World {
  std::vector<Mapping> maps;
  unsigned reads = 0;  // of the map
  unsigned visits = 0; // of its lines
  uintptr_t thread = 0;
  uintptr_t random = 0;
  bool readable = true;
  std::vector<std::string> asked; // start and size of what must be readable
  rlim_t limit = RLIM_INFINITY;
  bool has_limit = true;
  std::vector<uintptr_t> stack; // for the unwinder
  size_t read = 0;
  std::function<void()> within; // after the second frame
};

World world;
bool plays; // else the system's own

} // namespace

extern "C" {

bool __real_rf_host_readable(const void *start, size_t size);
bool __wrap_rf_host_readable(const void *start, size_t size) {
  if (!plays) {
    return __real_rf_host_readable(start, size);
  }
  world.asked.push_back(std::to_string(reinterpret_cast<uintptr_t>(start)) + " " + std::to_string(size));
  return world.readable;
}

bool __wrap_rf_maps_each(bool (*visit)(const rf_map *map, void *context), void *context) {
  world.reads++;
  for (const Mapping &each : world.maps) {
    rf_map map = {};
    map.start = each.start;
    map.end = each.end;
    map.name = each.name;
    map.name_length = std::strlen(each.name);
    world.visits++;
    if (!visit(&map, context)) {
      break;
    }
  }
  return true;
}

unsigned long __real_getauxval(unsigned long type);
unsigned long __wrap_getauxval(unsigned long type) {
  return plays && type == AT_RANDOM ? world.random : __real_getauxval(type);
}

pthread_t __real_pthread_self();
pthread_t __wrap_pthread_self() {
  return plays ? static_cast<pthread_t>(world.thread) : __real_pthread_self();
}

int __wrap_getrlimit(int resource, struct rlimit *out) {
  out->rlim_cur = resource == RLIMIT_STACK ? world.limit : 0;
  return world.has_limit ? 0 : -1;
}

_Unwind_Reason_Code __wrap__Unwind_Backtrace(_Unwind_Trace_Fn step, void *argument) {
  for (world.read = 0; world.read < world.stack.size();) {
    world.read++;
    if (step(nullptr, argument) != _URC_NO_REASON) {
      break;
    }
    if (world.read == 2 && world.within) {
      world.within();
    }
  }
  return _URC_END_OF_STACK;
}

_Unwind_Word __wrap__Unwind_GetIP(_Unwind_Context *) {
  return world.stack[world.read - 1];
}
}

namespace ringfence {
namespace {

struct Bounds {
  bool found;
  uintptr_t low;
  uintptr_t high;
};

bool operator==(const Bounds &a, const Bounds &b) {
  return a.found == b.found && a.low == b.low && a.high == b.high;
}

const Bounds kNone = {false, 0, 0};

Bounds stack_at(uintptr_t frame) {
  Bounds b = kNone;
  b.found = rf_host_stack(reinterpret_cast<const void *>(frame), &b.low, &b.high);
  EXPECT_TRUE(!b.found || (rf_host_last_stack.low == b.low && rf_host_last_stack.high == b.high));
  return b;
}

// In a child, so that the bounds that this thread knows of its stacks stay as they are.
void alone(const std::function<void()> &test) {
  pid_t const child = fork();
  if (child == 0) {
    world = World();
    plays = true;
    test();
    plays = false;
    _exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(HostStacks, AStackIsTheMappingOfItsFrame) {
  alone([] {
    world.maps = {
        {kAt, kAt + kMiB, ""}, {kAt + 2 * kMiB, kAt + 3 * kMiB, "/file"}, {kAt + 9 * kMiB, kAt + 10 * kMiB, ""}};
    EXPECT_EQ(stack_at(kAt + 2 * kMiB), (Bounds{true, kAt + 2 * kMiB, kAt + 3 * kMiB}));
    EXPECT_EQ(world.visits, 2U) << "no further";
    EXPECT_EQ(stack_at(kAt + 3 * kMiB - 1), (Bounds{true, kAt + 2 * kMiB, kAt + 3 * kMiB}));
    EXPECT_EQ(world.reads, 1U) << "it is kept";
    EXPECT_EQ(stack_at(kAt + 3 * kMiB), kNone);
    EXPECT_EQ(world.visits, 5U) << "behind it there is none";
    EXPECT_EQ(stack_at(kAt - 1), kNone);
    EXPECT_EQ(world.visits, 6U);
    EXPECT_EQ(stack_at(kAt + 11 * kMiB), kNone);
    EXPECT_EQ(stack_at(kAt), (Bounds{true, kAt, kAt + kMiB}));
  });
}

TEST(HostStacks, AThreadsOwnRecordEndsItsStack) {
  alone([] {
    uintptr_t const end = kAt + 8 * kMiB;
    world.maps = {{kAt, end, ""}};
    world.thread = kAt + 4 * kMiB;
    EXPECT_EQ(stack_at(kAt + kMiB), (Bounds{true, kAt, kAt + 4 * kMiB}));
    EXPECT_EQ(stack_at(kAt + 5 * kMiB), (Bounds{true, kAt, end})) << "that frame is above it";
  });
  alone([] {
    world.maps = {{kAt, kAt + kMiB, ""}};
    world.thread = kAt + 4 * kMiB;
    EXPECT_EQ(stack_at(kAt), (Bounds{true, kAt, kAt + kMiB})) << "it is elsewhere";
  });
}

TEST(HostStacks, TheMainThreadsGrowsDownToItsLimit) {
  struct {
    rlim_t limit;
    bool known;
    uintptr_t size; // of the stack
  } const cases[] = {
      {8 * kMiB, true, 8 * kMiB},        {2 * kMiB, true, 2 * kMiB},    {kMiB, true, 2 * kMiB},
      {RLIM_INFINITY, true, 256 * kMiB}, {8 * kMiB, false, 256 * kMiB}, {300 * kMiB, true, 256 * kMiB},
  };
  for (auto const &each : cases) {
    alone([each] {
      world.limit = each.limit;
      world.has_limit = each.known;
      world.maps = {{kAt - 2 * kMiB, kAt, "[stack]"}};
      EXPECT_EQ(stack_at(kAt - kMiB), (Bounds{true, kAt - each.size, kAt})) << each.limit;
    });
  }
  alone([] {
    world.maps = {{kMiB, 3 * kMiB, "[stack]"}};
    EXPECT_EQ(stack_at(2 * kMiB), (Bounds{true, kMiB, 3 * kMiB})) << "there is not so much below it";
  });
}

// ---- Without the map ----

TEST(HostStacks, WhereTheEndIsNearPagesThatCanBeReadAreTheStack) {
  for (bool const main : {false, true}) {
    alone([main] {
      uintptr_t const end = kAt + kMiB;
      (main ? world.random : world.thread) = end;
      EXPECT_EQ(stack_at(kAt), (Bounds{true, kAt, end}));
      EXPECT_EQ(world.asked, (std::vector<std::string>{std::to_string(kAt) + " " + std::to_string(kMiB)}));
      EXPECT_EQ(world.reads, 0U);
      EXPECT_EQ(stack_at(kAt + 5), (Bounds{true, kAt, end}));
      EXPECT_EQ(stack_at(end), kNone);
      EXPECT_EQ(world.reads, 1U);
    });
  }
}

TEST(HostStacks, DeeperFramesMakeThemMore) {
  alone([] {
    uintptr_t const end = kAt + kMiB;
    world.thread = end;
    EXPECT_EQ(stack_at(end - 10), (Bounds{true, end - kPage, end}));
    EXPECT_EQ(stack_at(end - 3 * kPage + 8), (Bounds{true, end - 3 * kPage, end}));
    EXPECT_EQ(world.asked,
              (std::vector<std::string>{std::to_string(end - kPage) + " " + std::to_string(kPage),
                                        std::to_string(end - 3 * kPage) + " " + std::to_string(2 * kPage)}))
        << "what is known is not asked for again";
    EXPECT_EQ(stack_at(end - 10), (Bounds{true, end - 3 * kPage, end}));
    EXPECT_EQ(world.reads, 0U);
  });
}

TEST(HostStacks, AnEndThatIsFarOrNotReachedIsLookedUp) {
  alone([] {
    world.maps = {{kAt, kAt + 8 * kMiB, ""}};
    world.thread = kAt + kMiB + 1;
    EXPECT_EQ(stack_at(kAt), (Bounds{true, kAt, kAt + kMiB + 1}));
    EXPECT_EQ(world.reads, 1U);
    EXPECT_TRUE(world.asked.empty());
  });
  alone([] {
    world.maps = {{kAt, kAt + 8 * kMiB, ""}};
    world.thread = kAt + kMiB;
    world.readable = false;
    EXPECT_EQ(stack_at(kAt), (Bounds{true, kAt, kAt + kMiB}));
    EXPECT_EQ(world.reads, 1U);
  });
}

// ---- What is kept ----

TEST(HostStacks, FourAreKept) {
  alone([] {
    for (uintptr_t i = 0; i < 5; i++) {
      world.maps.push_back({kAt + i * 2 * kMiB, kAt + (i * 2 + 1) * kMiB, ""});
    }
    for (int round = 0; round < 3; round++) {
      for (uintptr_t i = 0; i < 4; i++) {
        EXPECT_TRUE(stack_at(kAt + i * 2 * kMiB).found);
      }
    }
    EXPECT_EQ(world.reads, 4U);
    EXPECT_TRUE(stack_at(kAt + 8 * kMiB).found);
    EXPECT_TRUE(stack_at(kAt + 2 * kMiB).found);
    EXPECT_EQ(world.reads, 5U);
    EXPECT_TRUE(stack_at(kAt).found) << "the oldest is looked up again";
    EXPECT_EQ(world.reads, 6U);
  });
}

TEST(HostStacks, AThreadOfManyStacksIsLookedUpAThousandTimes) {
  alone([] {
    for (uintptr_t i = 0; i < 5; i++) {
      world.maps.push_back({kAt + i * 2 * kMiB, kAt + (i * 2 + 1) * kMiB, ""});
    }
    for (uintptr_t i = 0; i < 1000; i++) {
      ASSERT_TRUE(stack_at(kAt + i % 5 * 2 * kMiB).found) << i;
    }
    EXPECT_EQ(world.reads, 1000U);
    EXPECT_EQ(stack_at(kAt), kNone);
    EXPECT_EQ(world.reads, 1000U);
    EXPECT_TRUE(stack_at(kAt + 8 * kMiB).found) << "that is kept";
    world.thread = kAt + kMiB;
    EXPECT_EQ(stack_at(kAt), (Bounds{true, kAt, kAt + kMiB})) << "and an end that is near is seen";
  });
}

// ---- Unwinding ----

std::vector<uintptr_t> unwound(unsigned max) {
  uintptr_t frames[8] = {};
  unsigned const count = rf_host_unwind(frames, max);
  return {frames, frames + count};
}

bool is_blocked(int number) {
  sigset_t now;
  EXPECT_EQ(pthread_sigmask(SIG_BLOCK, nullptr, &now), 0);
  return sigismember(&now, number) == 1;
}

void block_faults() {
  sigset_t set;
  (void)sigemptyset(&set);
  (void)sigaddset(&set, SIGSEGV);
  (void)sigaddset(&set, SIGBUS);
  EXPECT_EQ(pthread_sigmask(SIG_BLOCK, &set, nullptr), 0);
}

// ---- The kind of memory at an address ----

TEST(HostStacks, AnAddressIsInTheMappingThatBeginsThereAndNotInOneThatEnds) {
  alone([] {
    world.maps = {{kAt, kAt + kMiB, ""}, {kAt + 2 * kMiB, kAt + 3 * kMiB, ""}};
    auto const describe = [](uintptr_t at) { return rf_host_describe_address(reinterpret_cast<const void *>(at)); };
    for (uintptr_t const at : {kAt, kAt + kMiB - 1, kAt + 2 * kMiB, kAt + 3 * kMiB - 1}) {
      EXPECT_STREQ(describe(at), "the pointer is to mapped memory") << at - kAt;
    }
    for (uintptr_t const at : {kAt - 1, kAt + kMiB, kAt + 2 * kMiB - 1, kAt + 3 * kMiB}) {
      EXPECT_STREQ(describe(at), "there is no memory at the pointer") << at - kAt;
    }
  });
}

TEST(HostUnwind, GoesToTheEndOrAsFarAsThereIsRoom) {
  world = World();
  world.stack = {1, 2, 3, 0, 4};
  EXPECT_EQ(unwound(8), (std::vector<uintptr_t>{1, 2, 3}));
  EXPECT_EQ(unwound(2), (std::vector<uintptr_t>{1, 2}));
  EXPECT_EQ(world.read, 3U);
}

TEST(HostUnwind, AFaultMeanwhileLeavesTheFramesBeforeIt) {
  world = World();
  world.stack = {1, 2, 3};
  bool segv = true;
  bool bus = true;
  block_faults();
  world.within = [&] {
    segv = is_blocked(SIGSEGV);
    bus = is_blocked(SIGBUS);
    rf_host_unwind_fault();
  };
  EXPECT_EQ(unwound(8), (std::vector<uintptr_t>{1, 2}));
  EXPECT_FALSE(segv) << "it has to come";
  EXPECT_FALSE(bus);
  EXPECT_TRUE(is_blocked(SIGSEGV)) << "as before";
  EXPECT_TRUE(is_blocked(SIGBUS));
  rf_host_unwind_fault(); // nobody unwinds: it comes back
  world.within = nullptr;
  EXPECT_EQ(unwound(8), (std::vector<uintptr_t>{1, 2, 3}));
  rf_host_unwind_fault();
}

TEST(HostUnwind, WhereTheMaskMayNotBeAskedForItStays) {
  pid_t const child = fork();
  if (child == 0) {
    world = World();
    world.stack = {1, 2, 3};
    bool segv = false;
    block_faults();
    rf_forbid(RF_CALL_SIGNAL_MASK);
    world.within = [&] { segv = is_blocked(SIGSEGV); };
    EXPECT_EQ(unwound(8), (std::vector<uintptr_t>{1, 2, 3}));
    EXPECT_TRUE(segv);
    _exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

} // namespace
} // namespace ringfence
