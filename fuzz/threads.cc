#include "threads.h"

#include "threads_port.h"
#include "threads_races.h"

#include <ringfence/fuzz/memory.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ucontext.h>

#if RF_FUZZ_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

int64_t rf_fuzz_points_left = INT64_MAX;

namespace ringfence::fuzz {
namespace {

constexpr size_t kStack = size_t{256} << 10;
constexpr size_t kOwned = 4;       // variables
constexpr size_t kOwnedBytes = 64; // in sum
constexpr int64_t kSlice = 20000;  // accesses, where the input has no more choices: for threads that wait for others
constexpr int64_t kMostAccesses = 100000000; // then the threads never end

enum class Does { kRun, kWaitForLock, kWaitForEvent, kEnded };

struct Fiber {
  ucontext_t context;
  Does does;
  const void *awaited;
  bool timed;
  bool timed_out;
  unsigned held; // locks
  unsigned char owned[kOwnedBytes];
  alignas(16) unsigned char stack[kStack];
};

struct Owned {
  void *variable;
  size_t size;
};

Fiber fibers[Threads::kMost];
ucontext_t home;
unsigned fiber_count;
unsigned running = Threads::kMost;
Reader choices(nullptr, 0);
uint32_t nudge;  // of all runs; 0: none
uint32_t nudges; // state of the generator that it begins
int64_t accesses;
Owned owned[kOwned];
size_t owned_count;
unsigned char owned_at_home[kOwnedBytes];
Threads::Main body;
bool watches_races;
void *body_context;
#if RF_FUZZ_ASAN
const void *home_stack;
size_t home_size;
#endif

// ---- Switching ----

void keep_owned(unsigned char *at) {
  for (size_t i = 0; i < owned_count; at += owned[i++].size) {
    memcpy(at, owned[i].variable, owned[i].size);
  }
}

void put_owned(const unsigned char *at) {
  for (size_t i = 0; i < owned_count; at += owned[i++].size) {
    memcpy(owned[i].variable, at, owned[i].size);
  }
}

#if RF_FUZZ_ASAN
void leave_stack(void **kept, const void *stack, size_t size) {
  __sanitizer_start_switch_fiber(kept, stack, size);
}
void arrive(void *kept, const void **from, size_t *size) {
  __sanitizer_finish_switch_fiber(kept, from, size);
}
#endif

void to_home(bool for_good) {
  Fiber &me = fibers[running];
#if RF_FUZZ_ASAN
  void *kept = nullptr;
  leave_stack(for_good ? nullptr : &kept, home_stack, home_size);
#endif
  (void)for_good;
  swapcontext(&me.context, &home);
#if RF_FUZZ_ASAN
  arrive(kept, nullptr, nullptr);
#endif
}

void start_fiber() {
#if RF_FUZZ_ASAN
  arrive(nullptr, &home_stack, &home_size);
#endif
  body(body_context, running);
  if (fibers[running].held != 0) {
    threads_fail("it ends with %u locks held", fibers[running].held);
  }
  fibers[running].does = Does::kEnded;
  to_home(true);
}

uint32_t draw() {
  nudges = nudges * 1664525 + 1013904223;
  return nudges >> 16;
}

// The input's; with an odd nudge any other, as many as it has.
unsigned next_choice() {
  bool const others = nudge % 2 != 0 && !choices.empty();
  unsigned const choice = choices.u8();
  return others ? draw() % 256 : choice;
}

// With an even nudge one slice in four is a little longer or shorter.
int64_t nudged(int64_t slice) {
  if (nudge == 0 || nudge % 2 != 0 || draw() % 4 != 0) {
    return slice;
  }
  return std::max<int64_t>(1, slice + static_cast<int64_t>(draw() % 8) - 3);
}

// How many accesses until the next choice.
int64_t choose_slice() {
  if (choices.empty()) {
    return kSlice;
  }
  int64_t const choice = next_choice();
  int64_t const low = choice % 64;
  return nudged(choice < 0xC0 ? 1 + low * low / 64 : (choice - 0xBF) * 32); // small ones are likelier
}

void run_fiber(unsigned thread) {
  Fiber &next = fibers[thread];
  if (accesses > kMostAccesses) {
    threads_fail("thread %u and others never end", thread);
  }
  running = thread;
  keep_owned(owned_at_home);
  put_owned(next.owned);
  int64_t const slice = choose_slice();
  rf_fuzz_points_left = slice;
#if RF_FUZZ_ASAN
  void *kept = nullptr;
  leave_stack(&kept, next.stack, sizeof next.stack);
#endif
  swapcontext(&home, &next.context);
#if RF_FUZZ_ASAN
  arrive(kept, nullptr, nullptr);
#endif
  accesses += slice - rf_fuzz_points_left + 1;
  rf_fuzz_points_left = INT64_MAX;
  keep_owned(next.owned);
  put_owned(owned_at_home);
  running = Threads::kMost;
}

// ---- Choosing ----

// The threads that can run; with those whose wait may end by its timeout.
size_t candidates(unsigned *out, bool with_timed) {
  size_t count = 0;
  for (unsigned i = 0; i < fiber_count; i++) {
    bool const waits_in_time = with_timed && fibers[i].does == Does::kWaitForEvent && fibers[i].timed;
    if (fibers[i].does == Does::kRun || waits_in_time) {
      out[count++] = i;
    }
  }
  return count;
}

// kMost: nobody can run.
unsigned choose_next(unsigned last) {
  unsigned next[Threads::kMost];
  bool const in_turn = choices.empty();
  unsigned const choice = next_choice();
  bool const clock_runs = choice >= 0xE0;
  size_t count = candidates(next, clock_runs);
  if (count == 0) {
    count = candidates(next, true);
  }
  if (count == 0) {
    return Threads::kMost;
  }
  unsigned chosen = next[choice % count];
  for (size_t i = 0; in_turn && i < count; i++) {
    if (next[i] > last) {
      chosen = next[i];
      break;
    }
  }
  Fiber &fiber = fibers[chosen];
  fiber.timed_out = fiber.does == Does::kWaitForEvent;
  fiber.does = Does::kRun;
  return chosen;
}

bool all_ended() {
  for (unsigned i = 0; i < fiber_count; i++) {
    if (fibers[i].does != Does::kEnded) {
      return false;
    }
  }
  return true;
}

void print_threads() {
  for (unsigned i = 0; i < fiber_count; i++) {
    static const char *const kDoes[] = {"runs", "waits for the lock", "waits for the event", "has ended"};
    Fiber const &fiber = fibers[i];
    bool const waits = fiber.does == Does::kWaitForLock || fiber.does == Does::kWaitForEvent;
    fprintf(stderr, "  thread %u %s", i, kDoes[static_cast<int>(fiber.does)]);
    fprintf(stderr, waits ? " %p\n" : "\n", fiber.awaited);
  }
}

// The running thread waits until `awaited` changes. False where its time has elapsed before.
bool wait_for(Does how, const void *awaited, bool timed) {
  Fiber &me = fibers[running];
  me.does = how;
  me.awaited = awaited;
  me.timed = timed;
  me.timed_out = false;
  to_home(false);
  return !me.timed_out;
}

void wake(Does how, const void *awaited) {
  for (unsigned i = 0; i < fiber_count; i++) {
    if (fibers[i].does == how && fibers[i].awaited == awaited) {
      fibers[i].does = Does::kRun;
    }
  }
}

} // namespace

void threads_fail(const char *format, ...) {
  va_list arguments;
  fflush(stdout);
  fprintf(stderr, "fuzz: threads: operation of thread %u\n  threads: ", running);
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  print_threads();
  abort();
}

// ---- Running ----

Threads::Threads(Reader schedule) {
  choices = schedule;
  nudges = nudge * 0x9E3779B9U;
  accesses = 0;
  owned_count = 0;
  fiber_count = 0;
  watches_races = true;
}

Threads::~Threads() {
  fiber_count = 0;
}

void Threads::own(void *variable, size_t size) {
  owned[owned_count++] = {variable, size};
}

bool Threads::is_own(const volatile void *at) {
  auto const address = reinterpret_cast<uintptr_t>(at);
  for (size_t i = 0; i < owned_count; i++) {
    if (address - reinterpret_cast<uintptr_t>(owned[i].variable) < owned[i].size) {
      return true;
    }
  }
  return false;
}

void Threads::ignore_races() {
  watches_races = false;
}

void Threads::run(unsigned count, Main main, Stuck stuck, void *context) {
  body = main;
  body_context = context;
  races_begin(watches_races);
  fiber_count = count;
  for (unsigned i = 0; i < count; i++) {
    Fiber &fiber = fibers[i];
    fiber.does = Does::kRun;
    fiber.held = 0;
    memset(fiber.owned, 0, sizeof fiber.owned);
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack;
    fiber.context.uc_stack.ss_size = sizeof fiber.stack;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, start_fiber, 0);
  }
  unsigned last = count - 1;
  while (!all_ended()) {
    unsigned const next = choose_next(last);
    if (next != kMost) {
      run_fiber(next);
      last = next;
    } else if (!stuck(context)) {
      threads_fail("deadlock, or a lost wake-up: nobody can run");
    }
  }
}

unsigned Threads::current() {
  return running;
}

bool Threads::waits(unsigned thread) {
  return fibers[thread].does == Does::kWaitForEvent;
}

void Threads::yield() {
  if (running != kMost) {
    to_home(false);
  }
}

// ---- For the port ----

void virtual_lock(uint64_t *holder, unsigned me) {
  rf_fuzz_point();
  while (*holder != 0) {
    if (*holder == me + 1) {
      threads_fail("it locks the lock %p, which it holds", static_cast<void *>(holder));
    }
    if (me == Threads::kMost) {
      threads_fail("the lock %p is held by thread %u for ever", static_cast<void *>(holder),
                   static_cast<unsigned>(*holder - 1));
    }
    (void)wait_for(Does::kWaitForLock, holder, false);
  }
  *holder = me + 1;
  races_acquire(holder);
  fibers[me % Threads::kMost].held += me != Threads::kMost ? 1 : 0;
}

void virtual_unlock(uint64_t *holder, unsigned me) {
  if (*holder != me + 1) {
    threads_fail("it unlocks the lock %p, which it does not hold", static_cast<void *>(holder));
  }
  races_release(holder);
  *holder = 0;
  fibers[me % Threads::kMost].held -= me != Threads::kMost ? 1 : 0;
  wake(Does::kWaitForLock, holder);
  rf_fuzz_point();
}

void virtual_set(uint64_t *is_set) {
  rf_fuzz_point();
  races_release(is_set);
  *is_set = 1;
  wake(Does::kWaitForEvent, is_set);
  rf_fuzz_point();
}

bool virtual_sleep(const void *address, bool timed) {
  if (running == Threads::kMost) {
    threads_fail("nobody is left to wake who waits for %p", address);
  }
  return wait_for(Does::kWaitForEvent, address, timed);
}

void virtual_wake(const void *address) {
  wake(Does::kWaitForEvent, address);
}

bool virtual_wait(uint64_t *is_set, bool may_wait, bool timed) {
  rf_fuzz_point();
  while (*is_set == 0) {
    if (!may_wait || !wait_for(Does::kWaitForEvent, is_set, timed)) {
      break;
    }
  }
  bool const was_set = *is_set != 0;
  races_acquire(is_set);
  *is_set = 0;
  return was_set;
}

} // namespace ringfence::fuzz

void rf_fuzz_nudge(uint32_t number) {
  ringfence::fuzz::nudge = number;
}

void rf_fuzz_switch() {
  ringfence::fuzz::Threads::yield();
}
