// mlockall (checkers/dropin/process/intercept_mlockall.c), as it is where the drop-in is linked in: which pieces of the
// map are locked, and what the program is told. The system, the map and the drop-in's own memory are this test's.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/inspect/own_memory.h"
#include "checkers/dropin/malloc/forward.h"
#include "checkers/dropin/os/pages.h"
#include "checkers/dropin/runtime/own_cache.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/os/forbidden_calls.h"
#include "checkers/os/maps.h"
#include "checkers/page/page_store.h"
int __wrap_mlockall(int flags);
long __wrap_syscall(long number, ...);
bool __wrap_rf_maps_each(bool (*visit)(const rf_map *map, void *context), void *context);
bool __wrap_rf_lock_blocks(unsigned ms);
void __wrap_rf_unlock_blocks(void);
size_t __wrap_rf_pages_round(size_t n);
void *__wrap_rf_pages_map(size_t size, size_t align, size_t room);
void __wrap_rf_pages_unmap(void *start, size_t size);
}
#undef _Static_assert

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <gtest/gtest.h>
#include <string>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <utility>
#include <vector>

namespace ringfence_test {
namespace {

using Ranges = std::vector<std::pair<uintptr_t, uintptr_t>>;

constexpr uintptr_t kPage = 4096;
constexpr int kOnFault = 4;

struct System {
  Ranges maps = {{0x10000, 0x14000}, {0x20000, 0x28000}, {0x30000, 0x31000}};
  Ranges own;
  bool has_maps = true;
  bool has_memory = true;
  int mapped = 0; // pieces of memory
  bool has_room = true;
  bool stands_still = true;
  std::function<int(long, uintptr_t)> refuse = [](long, uintptr_t) { return 0; }; // the error of a call
  std::vector<std::string> calls;
};

System the_system;

std::string name_of(long number) {
  switch (number) {
  case SYS_mlock:
    return "ask";
  case SYS_mlock2:
    return "lock";
  case SYS_munlock:
    return "unlock";
  case SYS_msync:
    return "look at";
  case SYS_mlockall:
    return "all";
  default:
    return "?";
  }
}

std::string hex(uintptr_t n) {
  char text[32];
  snprintf(text, sizeof text, "%zx", static_cast<size_t>(n));
  return text;
}

} // namespace
} // namespace ringfence_test

using namespace ringfence_test;

extern "C" {

rf_forward_state rf_forward;

long __wrap_syscall(long number, ...) {
  va_list list;
  va_start(list, number);
  auto const first = va_arg(list, uintptr_t);
  std::string call = name_of(number) + " " + hex(number == SYS_mlockall ? first & 0xFFFFFFFF : first);
  if (number == SYS_mlock2 || number == SYS_munlock || number == SYS_msync) {
    call += "+" + hex(va_arg(list, size_t));
  }
  call += number == SYS_mlock2 && va_arg(list, unsigned) == 1 ? " on fault" : "";
  va_end(list);
  the_system.calls.push_back(call);
  int const error = the_system.refuse(number, first);
  errno = error != 0 ? error : errno;
  return error != 0 ? -1 : 0;
}

bool __wrap_rf_maps_each(bool (*visit)(const rf_map *map, void *context), void *context) {
  for (const auto &[start, end] : the_system.maps) {
    rf_map map = {};
    map.start = start;
    map.end = end;
    map.name = "";
    if (!visit(&map, context)) {
      break;
    }
  }
  return the_system.has_maps;
}

bool __wrap_rf_lock_blocks(unsigned) {
  the_system.calls.emplace_back("stop");
  return the_system.stands_still;
}

void __wrap_rf_unlock_blocks() {
  the_system.calls.emplace_back("go on");
}

size_t rf_own_memory_count() {
  return the_system.own.size();
}

bool rf_own_memory_add(rf_ranges *out) {
  for (const auto &[start, end] : the_system.own) {
    if (out->count == out->capacity) {
      return false;
    }
    out->list[out->count++] = {start, end};
  }
  return the_system.has_room && out->list != nullptr;
}

bool rf_ranges_add(rf_ranges *ranges, uintptr_t start, uintptr_t end) {
  EXPECT_LT(ranges->count, ranges->capacity);
  ranges->list[ranges->count++] = {start, end};
  return true;
}

void rf_ranges_sort(rf_ranges *ranges) {
  std::sort(ranges->list, ranges->list + ranges->count,
            [](const rf_range &a, const rf_range &b) { return a.start < b.start; });
}

size_t __wrap_rf_pages_round(size_t n) {
  return (n + kPage - 1) & ~(kPage - 1);
}

void *__wrap_rf_pages_map(size_t size, size_t, size_t) {
  the_system.calls.emplace_back("map");
  the_system.mapped += the_system.has_memory ? 1 : 0;
  return the_system.has_memory ? std::calloc(1, size) : nullptr;
}

void __wrap_rf_pages_unmap(void *start, size_t) {
  the_system.calls.emplace_back("unmap");
  the_system.mapped--;
  std::free(start);
}
}

namespace ringfence_test {
namespace {

using Calls = std::vector<std::string>;

class InterceptMlockall : public testing::Test {
protected:
  InterceptMlockall() {
    the_system = System();
    rf_process.ready = true;
    rf_forward.now = RF_FORWARD_NOTHING;
    rf_forbidden_calls = 0;
    errno = 77;
  }
  ~InterceptMlockall() override { EXPECT_EQ(the_system.mapped, 0); }

  // The system's calls, without those for the list of the drop-in's own memory.
  static Calls locks() {
    Calls found = the_system.calls;
    found.erase(std::remove_if(found.begin(), found.end(),
                               [](const std::string &call) {
                                 return call == "stop" || call == "go on" || call == "map" || call == "unmap";
                               }),
                found.end());
    return found;
  }
};

TEST_F(InterceptMlockall, LocksEachMapping) {
  EXPECT_EQ(__wrap_mlockall(MCL_CURRENT), 0);
  EXPECT_EQ(errno, 77);
  EXPECT_EQ(the_system.calls,
            (Calls{"ask 0", "stop", "map", "go on", "lock 10000+4000", "lock 20000+8000", "lock 30000+1000", "unmap"}));
}

TEST_F(InterceptMlockall, LocksOnFaultWhereAskedTo) {
  EXPECT_EQ(__wrap_mlockall(MCL_CURRENT | kOnFault), 0);
  EXPECT_EQ(locks(),
            (Calls{"ask 0", "lock 10000+4000 on fault", "lock 20000+8000 on fault", "lock 30000+1000 on fault"}));
}

// Ours may lie at either end of a mapping, within it, and beyond it; its ends may be within a page.
TEST_F(InterceptMlockall, PassesOverWhatIsTheDropInsOwn) {
  the_system.own = {{0x22000, 0x23000}, {0xF000, 0x11000}, {0x26100, 0x26200}, {0x13000, 0x14000}, {0x2F000, 0x32000}};
  EXPECT_EQ(__wrap_mlockall(MCL_CURRENT), 0);
  EXPECT_EQ(locks(), (Calls{"ask 0", "lock 11000+2000", "lock 20000+2000", "lock 23000+3000", "lock 27000+1000"}));
}

TEST_F(InterceptMlockall, LeavesLaterMappingsAloneWhereBlocksAreInOurs) {
  EXPECT_EQ(__wrap_mlockall(MCL_FUTURE), 0);
  EXPECT_EQ(the_system.calls, Calls{"ask 0"});
  EXPECT_EQ(errno, 77);
}

TEST_F(InterceptMlockall, HandsOnWhatIsSaidOfLaterMappingsWhereBlocksAreNot) {
  rf_forward.now = RF_FORWARD_ON;
  EXPECT_EQ(__wrap_mlockall(MCL_FUTURE | kOnFault), 0);
  EXPECT_EQ(the_system.calls, (Calls{"ask 0", "all 6"}));
  the_system.calls.clear();
  the_system.maps = {{0x10000, 0x14000}};
  EXPECT_EQ(__wrap_mlockall(MCL_CURRENT | MCL_FUTURE), 0);
  EXPECT_EQ(locks(), (Calls{"ask 0", "lock 10000+4000", "all 2"}));
  the_system.refuse = [](long number, uintptr_t) { return number == SYS_mlockall ? ENOMEM : 0; };
  EXPECT_EQ(__wrap_mlockall(MCL_FUTURE), -1);
  EXPECT_EQ(errno, ENOMEM);
}

TEST_F(InterceptMlockall, IsRefusedWhoMayLockNothing) {
  the_system.refuse = [](long, uintptr_t) { return EPERM; };
  EXPECT_EQ(__wrap_mlockall(MCL_CURRENT | MCL_FUTURE), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(the_system.calls, Calls{"ask 0"});
}

// As a program has it that may lock so many bytes.
void with_limit(size_t bytes, const std::function<void()> &work) {
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_MEMLOCK, &before), 0);
  rlimit limit = before;
  limit.rlim_cur = bytes;
  ASSERT_EQ(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
  work();
  ASSERT_EQ(setrlimit(RLIMIT_MEMLOCK, &before), 0);
}

// The kernel locks all of it or nothing: what the program had locked before is not unlocked.
TEST_F(InterceptMlockall, IsRefusedAsAWholeBeyondTheLimit) {
  the_system.own = {{0x22000, 0x23000}};
  the_system.refuse = [](long number, uintptr_t at) { return number == SYS_mlock2 && at > 0x40000 ? ENOMEM : 0; };
  with_limit(0xB000, [] {
    EXPECT_EQ(__wrap_mlockall(MCL_CURRENT | MCL_FUTURE), -1);
    EXPECT_EQ(errno, ENOMEM);
    Calls const asked = locks();
    ASSERT_EQ(asked.size(), 2U);
    EXPECT_NE(asked[1].find("+c000 on fault"), std::string::npos) << asked[1];
  });
  the_system.calls.clear();
  with_limit(0xC000, [] { EXPECT_EQ(__wrap_mlockall(MCL_CURRENT), 0); });
  EXPECT_EQ(locks(), (Calls{"ask 0", "lock 10000+4000", "lock 20000+2000", "lock 23000+5000", "lock 30000+1000"}));
}

TEST_F(InterceptMlockall, HasNoLimitWithThePrivilege) {
  with_limit(0x1000, [] { EXPECT_EQ(__wrap_mlockall(MCL_CURRENT), 0); });
  EXPECT_EQ(locks().size(), 5U);
}

// Another thread has taken more meanwhile.
TEST_F(InterceptMlockall, UnlocksNothingWhereAPieceIsRefusedLater) {
  the_system.refuse = [](long number, uintptr_t at) { return number == SYS_mlock2 && at == 0x20000 ? ENOMEM : 0; };
  EXPECT_EQ(__wrap_mlockall(MCL_CURRENT | MCL_FUTURE), -1);
  EXPECT_EQ(errno, ENOMEM);
  EXPECT_EQ(locks(),
            (Calls{"ask 0", "lock 10000+4000", "lock 20000+8000", "lock 20000+8000 on fault", "look at 20000+8000"}));
}

// There are pages that nobody may read, and files that are shorter than their mapping: the kernel's own call locks
// these, too, and says nothing.
TEST_F(InterceptMlockall, GoesOnBehindPagesThatCannotBeHad) {
  bool on_fault = false;
  the_system.refuse = [&on_fault](long number, uintptr_t at) {
    bool const first = number == SYS_mlock2 && at == 0x20000 && !on_fault;
    on_fault = on_fault || first;
    return first ? ENOMEM : 0;
  };
  EXPECT_EQ(__wrap_mlockall(MCL_CURRENT), 0);
  EXPECT_EQ(locks(),
            (Calls{"ask 0", "lock 10000+4000", "lock 20000+8000", "lock 20000+8000 on fault", "lock 30000+1000"}));
}

TEST_F(InterceptMlockall, GoesOnWhereAMappingHasGoneOrHasToWait) {
  the_system.refuse = [](long number, uintptr_t at) { return number != SYS_mlock && at == 0x10000 ? ENOMEM : 0; };
  EXPECT_EQ(__wrap_mlockall(MCL_CURRENT), 0);
  EXPECT_EQ(the_system.calls.at(the_system.calls.size() - 2), "lock 30000+1000");
  the_system.refuse = [](long number, uintptr_t) { return number == SYS_mlock2 ? EAGAIN : 0; };
  EXPECT_EQ(__wrap_mlockall(MCL_CURRENT), 0);
}

// The case in which it cannot be done piece by piece.
TEST_F(InterceptMlockall, IsTheSystemsWhereTheDropInCannotTell) {
  auto const expect_handed_on = [](int flags, const char *why) {
    the_system.calls.clear();
    the_system.refuse = [refuse = the_system.refuse](long number, uintptr_t at) {
      return number == SYS_mlockall ? EDOM : refuse(number, at);
    };
    EXPECT_EQ(__wrap_mlockall(flags), -1) << why;
    EXPECT_EQ(errno, EDOM) << why;
    EXPECT_EQ(the_system.calls.back(), "all " + hex(static_cast<uintptr_t>(flags))) << why;
    the_system = System();
  };
  expect_handed_on(0, "no flags");
  expect_handed_on(kOnFault, "it says how, and not what");
  expect_handed_on(MCL_CURRENT | 8, "unknown");
  rf_process.ready = false;
  expect_handed_on(MCL_CURRENT, "too early");
  rf_process.ready = true;
  rf_forbidden_calls = RF_CALL_SPOOL;
  expect_handed_on(MCL_CURRENT, "a sandbox");
  rf_forbidden_calls = 0;
  the_system.stands_still = false;
  expect_handed_on(MCL_CURRENT, "a thread is inside the heap");
  the_system.has_memory = false;
  expect_handed_on(MCL_CURRENT, "no memory");
  the_system.has_room = false;
  expect_handed_on(MCL_CURRENT, "no room");
  the_system.has_maps = false;
  expect_handed_on(MCL_CURRENT, "no map");
  the_system.refuse = [](long number, uintptr_t) { return number == SYS_mlock2 ? ENOSYS : 0; };
  expect_handed_on(MCL_CURRENT, "a kernel before 4.4");
}

} // namespace
} // namespace ringfence_test
