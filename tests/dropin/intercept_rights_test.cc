// mprotect, pkey_mprotect, madvise (checkers/dropin/process/intercept_rights.c), as where the drop-in is linked in: the
// call is the system's, and the heap and the store of pages are told of rights that were taken, and of pages that
// children do not get. All of them are this test's own.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/heap/rights.h"
#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/runtime/own_cache.h"
bool __wrap_rf_heap_restricted(const void *start, size_t size);
bool __wrap_rf_page_store_restricted(const rf_page_store *store, const void *start, size_t size);
rf_cache *__wrap_rf_enter_slow(void);
void __wrap_rf_leave_slow(rf_cache *cache);
bool __wrap_rf_heap_lies_in(const void *start, size_t size);
int __wrap_rf_page_store_unseen(rf_page_store *store, const void *start, size_t size, int (*change)(void *),
                                void *context);
bool __wrap_rf_heap_emptied(const void *start, size_t size);
bool __wrap_rf_page_store_emptied(const rf_page_store *store, const void *start, size_t size);
bool __wrap_rf_heap_is_restricted(const void *address);
bool __wrap_rf_page_store_is_restricted(const rf_page_store *store, const void *address);
uintptr_t __wrap_rf_heap_large_end(const void *address);
uintptr_t __wrap_rf_page_store_block_end(const rf_page_store *store, const void *address);
int __wrap_mprotect(void *start, size_t size, int rights);
int __wrap_pkey_mprotect(void *start, size_t size, int rights, int key);
int __wrap_madvise(void *start, size_t size, int advice);
}
#undef _Static_assert

#include <algorithm>
#include <cstdarg>
#include <gtest/gtest.h>
#include <iterator>
#include <string>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <utility>
#include <vector>

namespace {

using Calls = std::vector<std::string>;

Calls calls;
long result;
bool in_heap;
bool in_store;
bool is_restricted;
bool has_cache = true;
Calls around; // the calls of the system
rf_cache the_cache;
uintptr_t end_in_heap;
uintptr_t end_in_store;
char the_store;
constexpr size_t kPage = 4096;
alignas(kPage) char memory[3 * kPage];

std::string of(const void *start, size_t size) {
  return (start == memory ? " memory " : " other ") + std::to_string(size);
}

} // namespace

extern "C" {

rf_guarded_blocks_state rf_guarded_blocks;

long __wrap_syscall(long number, ...) {
  va_list list;
  va_start(list, number);
  const void *const start = va_arg(list, void *);
  size_t const size = va_arg(list, size_t);
  int const third = va_arg(list, int);
  std::string const fourth = number == SYS_pkey_mprotect ? " " + std::to_string(va_arg(list, int)) : "";
  va_end(list);
  calls.push_back(std::to_string(number) + of(start, size) + " " + std::to_string(third) + fourth);
  around.emplace_back("call");
  return result;
}

rf_cache *__wrap_rf_enter_slow(void) {
  around.emplace_back("enter");
  return has_cache ? &the_cache : nullptr;
}

void __wrap_rf_leave_slow(rf_cache *cache) {
  around.emplace_back(cache == &the_cache ? "leave" : "leave another");
}

bool __wrap_rf_heap_lies_in(const void *start, size_t size) {
  return in_heap && start == memory && size == 48;
}

int __wrap_rf_page_store_unseen(rf_page_store *store, const void *start, size_t size, int (*change)(void *),
                                void *context) {
  around.emplace_back((store == reinterpret_cast<rf_page_store *>(&the_store) ? "store" : "no store") +
                      of(start, size));
  int const answer = change(context);
  around.emplace_back("go on");
  return answer;
}

bool __wrap_rf_heap_restricted(const void *start, size_t size) {
  calls.push_back("heap" + of(start, size));
  return in_heap;
}

bool __wrap_rf_page_store_restricted(const rf_page_store *store, const void *start, size_t size) {
  calls.push_back((store == reinterpret_cast<rf_page_store *>(&the_store) ? "store" : "no store") + of(start, size));
  return in_store;
}

bool __wrap_rf_heap_emptied(const void *start, size_t size) {
  calls.push_back("heap emptied" + of(start, size));
  return in_heap;
}

bool __wrap_rf_page_store_emptied(const rf_page_store *store, const void *start, size_t size) {
  calls.push_back((store == reinterpret_cast<rf_page_store *>(&the_store) ? "store emptied" : "no store") +
                  of(start, size));
  return in_store;
}

bool __wrap_rf_heap_is_restricted(const void *address) {
  return address == memory && is_restricted;
}

bool __wrap_rf_page_store_is_restricted(const rf_page_store *store, const void *address) {
  return store == nullptr && address == nullptr;
}

uintptr_t __wrap_rf_heap_large_end(const void *address) {
  return address == memory && !is_restricted ? end_in_heap : 0;
}

uintptr_t __wrap_rf_page_store_block_end(const rf_page_store *store, const void *address) {
  return store == reinterpret_cast<rf_page_store *>(&the_store) && address == memory ? end_in_store : 0;
}
}

namespace ringfence_test {
namespace {

// The steps after the system's call.
Calls after(long number, const std::string &arguments) {
  EXPECT_EQ(calls.at(0), std::to_string(number) + " memory 48 " + arguments);
  calls.erase(calls.begin());
  return calls;
}

Calls calls_of(int rights) {
  calls.clear();
  EXPECT_EQ(__wrap_mprotect(memory, 48, rights), result);
  return after(SYS_mprotect, std::to_string(rights));
}

Calls calls_of_key(int rights, int key) {
  calls.clear();
  EXPECT_EQ(__wrap_pkey_mprotect(memory, 48, rights, key), result);
  return after(SYS_pkey_mprotect, std::to_string(rights) + " " + std::to_string(key));
}

Calls calls_of_advice(int advice) {
  calls.clear();
  EXPECT_EQ(__wrap_madvise(memory, 48, advice), result);
  return calls;
}

const Calls kBothAreTold = {"heap memory 48", "store memory 48"};

TEST(InterceptRights, TheHeapAndTheStoreAreToldOfRightsThatAreTaken) {
  rf_guarded_blocks.store = reinterpret_cast<rf_page_store *>(&the_store);
  result = 0;
  for (int const rights : {PROT_NONE, PROT_READ, PROT_WRITE, PROT_READ | PROT_EXEC, PROT_WRITE | PROT_EXEC}) {
    EXPECT_EQ(calls_of(rights), kBothAreTold) << rights;
  }
}

TEST(InterceptRights, AKeyMayTakeThemAtAnyMoment) {
  rf_guarded_blocks.store = reinterpret_cast<rf_page_store *>(&the_store);
  result = 0;
  EXPECT_EQ(calls_of_key(PROT_READ | PROT_WRITE, 1), kBothAreTold);
  EXPECT_EQ(calls_of_key(PROT_READ, 0), kBothAreTold);
  EXPECT_EQ(calls_of_key(PROT_NONE, -1), kBothAreTold);
  EXPECT_EQ(calls_of_key(PROT_READ | PROT_WRITE, 0), Calls());
  EXPECT_EQ(calls_of_key(PROT_READ | PROT_WRITE, -1), Calls());
}

Calls system_is_asked(int advice) {
  return {std::to_string(SYS_madvise) + " memory 48 " + std::to_string(advice)};
}

TEST(InterceptRights, BlocksAreNotKeptFromChildren) {
  rf_guarded_blocks.store = reinterpret_cast<rf_page_store *>(&the_store);
  result = 0;
  for (auto const &[heap, store] : {std::pair(true, false), std::pair(false, true)}) {
    in_heap = heap;
    in_store = store;
    EXPECT_EQ(calls_of_advice(MADV_DONTFORK), kBothAreTold) << "the system is not asked";
  }
  in_heap = in_store = false;
  Calls then_asked = kBothAreTold;
  then_asked.push_back(system_is_asked(MADV_DONTFORK).front());
  EXPECT_EQ(calls_of_advice(MADV_DONTFORK), then_asked);
}

TEST(InterceptRights, OtherAdviceIsTheSystems) {
  rf_guarded_blocks.store = reinterpret_cast<rf_page_store *>(&the_store);
  in_heap = true;
  for (int const answer : {0, -1}) {
    result = answer;
    for (int const advice : {MADV_DOFORK, MADV_DONTNEED, MADV_KEEPONFORK}) {
      EXPECT_EQ(calls_of_advice(advice), system_is_asked(advice));
    }
  }
  in_heap = false;
}

constexpr int kGuardInstall = 102; // MADV_GUARD_INSTALL

// By children, or when the guard is taken away.
TEST(InterceptRights, PagesThatAreFoundEmptyLaterAreToldOf) {
  rf_guarded_blocks.store = reinterpret_cast<rf_page_store *>(&the_store);
  for (int const advice : {MADV_WIPEONFORK, kGuardInstall}) {
    Calls then_told = system_is_asked(advice);
    result = -1;
    EXPECT_EQ(calls_of_advice(advice), then_told);
    result = 0;
    then_told.insert(then_told.end(), {"heap emptied memory 48", "store emptied memory 48"});
    EXPECT_EQ(calls_of_advice(advice), then_told);
  }
}

// ---- A block that ends within the last of the pages that are emptied ----

class Emptied : public testing::Test {
protected:
  Emptied() {
    rf_guarded_blocks.store = reinterpret_cast<rf_page_store *>(&the_store);
    result = 0;
    std::fill(std::begin(memory), std::end(memory), 7);
  }
  ~Emptied() override {
    end_in_heap = end_in_store = 0;
    is_restricted = false;
  }

  static uintptr_t at(size_t offset) { return reinterpret_cast<uintptr_t>(memory) + offset; }

  // The calls, and how many bytes from the third page's start on are zero.
  static std::pair<Calls, long> empty(size_t size, int advice = MADV_DONTNEED) {
    calls.clear();
    EXPECT_EQ(__wrap_madvise(memory, size, advice), result);
    const char *const last = memory + 2 * kPage;
    return {calls, std::find_if(last, last + kPage, [](char c) { return c != 0; }) - last};
  }

  static Calls asked(size_t size, int advice = MADV_DONTNEED) {
    return {std::to_string(SYS_madvise) + " memory " + std::to_string(size) + " " + std::to_string(advice)};
  }
};

constexpr int kDontNeedLocked = 24; // older headers lack it

TEST_F(Emptied, TheGuardBytesBehindTheBlockStay) {
  for (uintptr_t *const end : {&end_in_heap, &end_in_store}) {
    *end = at(2 * kPage + 100);
    for (int const advice : {MADV_DONTNEED, kDontNeedLocked}) {
      EXPECT_EQ(empty(2 * kPage + 100, advice), std::pair(asked(2 * kPage, advice), 100L));
      EXPECT_EQ(memory[2 * kPage - 1], 7) << "the system's affair";
      std::fill(std::begin(memory), std::end(memory), 7);
    }
    EXPECT_EQ(empty(3 * kPage, MADV_FREE), std::pair(asked(2 * kPage, MADV_FREE), 0L)) << "may stay as it is";
    *end = at(100);
    EXPECT_EQ(empty(100), std::pair(Calls(), 0L));
    EXPECT_EQ(std::count(memory, memory + 100, 0), 100);
    *end = 0;
  }
}

TEST_F(Emptied, NothingIsClearedWhereTheSystemRefuses) {
  end_in_heap = at(2 * kPage + 100);
  result = -1;
  EXPECT_EQ(empty(3 * kPage), std::pair(asked(2 * kPage), 0L));
}

TEST_F(Emptied, AllIsTheSystemsWhereThePagesEndElsewhere) {
  EXPECT_EQ(empty(3 * kPage), std::pair(asked(3 * kPage), 0L)) << "no block";
  for (size_t const end : {3 * kPage, kPage + 100, 3 * kPage + 100}) {
    end_in_heap = at(end);
    EXPECT_EQ(empty(3 * kPage), std::pair(asked(3 * kPage), 0L)) << end;
  }
}

TEST_F(Emptied, PagesThatMayNotBeWrittenToAreToldOf) {
  end_in_heap = at(2 * kPage + 100);
  is_restricted = true;
  Calls then_told = asked(3 * kPage);
  then_told.insert(then_told.end(), {"heap emptied memory 12288", "store emptied memory 12288"});
  EXPECT_EQ(empty(3 * kPage), std::pair(then_told, 0L));
  result = -1;
  EXPECT_EQ(empty(3 * kPage), std::pair(asked(3 * kPage), 0L));
}

// A check that reads such pages meanwhile would end the process.
TEST(InterceptRights, NobodyLooksAtBlocksWhileRightsAreTaken) {
  auto const is_around = [](const Calls &expected) {
    for (int const answer : {0, -1}) {
      result = answer;
      around.clear();
      (void)calls_of(PROT_NONE);
      EXPECT_EQ(around, expected);
      around.clear();
      (void)calls_of_key(PROT_READ | PROT_WRITE, 1);
      EXPECT_EQ(around, expected);
      around.clear();
      (void)calls_of_advice(102);
      EXPECT_EQ(around, expected);
    }
  };
  rf_guarded_blocks.store = reinterpret_cast<rf_page_store *>(&the_store);
  in_heap = true;
  is_around({"enter", "call", "leave"});
  has_cache = false;
  is_around({"enter", "call"});
  has_cache = true;
  in_heap = false;
  is_around({"store memory 48", "call", "go on"});
  rf_guarded_blocks.store = nullptr;
  is_around({"call"});
}

TEST(InterceptRights, NobodyIsToldWhereBothRightsStay) {
  rf_guarded_blocks.store = reinterpret_cast<rf_page_store *>(&the_store);
  result = 0;
  EXPECT_EQ(calls_of(PROT_READ | PROT_WRITE), Calls());
  EXPECT_EQ(calls_of(PROT_READ | PROT_WRITE | PROT_EXEC), Calls());
}

TEST(InterceptRights, NobodyIsToldWhereTheSystemRefuses) {
  rf_guarded_blocks.store = reinterpret_cast<rf_page_store *>(&the_store);
  result = -1;
  EXPECT_EQ(calls_of(PROT_NONE), Calls());
  EXPECT_EQ(calls_of_key(PROT_NONE, 1), Calls());
}

TEST(InterceptRights, WithoutAStoreTheHeapAloneIsTold) {
  rf_guarded_blocks.store = nullptr;
  result = 0;
  EXPECT_EQ(calls_of(PROT_NONE), Calls{"heap memory 48"});
}

} // namespace
} // namespace ringfence_test
