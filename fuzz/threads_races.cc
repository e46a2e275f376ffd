// Data races between virtual threads: two accesses to one byte, one of them a write and one of them plain, that no
// lock, event or atomic operation puts in order. Found in every run that makes both, whichever comes first.
//
// Algorithm: vector clocks (Mattern; Flanagan and Freund, FastTrack). Each thread has a clock for each; a release keeps
// the releaser's with the lock, event or atomic variable, an acquire takes it over. For each eight bytes the table has
// the time and bytes of each thread's last accesses. An address whose place is taken by another is forgotten, and what
// two locks or atomic variables with one place release is acquired with either: races may be missed, none is made up.
// Thread-local variables, which virtual threads share an address for, are left out.
#include "threads_races.h"

#include "threads.h"

#include <cerrno>
#include <cstring>

// The counters by which clang tells libFuzzer which code was reached; only in such builds.
extern "C" __attribute__((weak)) const unsigned char __start___sancov_cntrs[]; // NOLINT(bugprone-reserved-identifier)
extern "C" __attribute__((weak)) const unsigned char __stop___sancov_cntrs[];  // NOLINT(bugprone-reserved-identifier)

namespace ringfence::fuzz {
namespace {

constexpr unsigned kThreads = Threads::kMost;
constexpr size_t kPlaces = 1 << 13;

using Clock = uint32_t[kThreads];

struct Access {
  uint32_t time;
  uint8_t bytes; // a bit for each of eight
};

enum Kind { kRead, kWrite, kAtomicRead, kAtomicWrite, kKinds };
const char *const kNames[kKinds] = {"reads", "writes", "reads atomically", "writes atomically"};

struct Cell {
  uintptr_t address; // / 8
  unsigned run;
  Access last[kKinds][kThreads];
};

struct Sync {
  uintptr_t address;
  unsigned run;
  bool shared; // by several addresses
  Clock released;
};

struct Thread {
  Clock now;
  Clock to_acquire; // by relaxed loads, for a fence to come
  Clock fenced;     // by a fence, for relaxed stores to come
};

Thread threads[kThreads];
Cell cells[kPlaces];
Sync syncs[kPlaces];
unsigned this_run;
bool watching;
bool (*left_out)(const volatile void *at);

size_t place_of(uintptr_t number) {
  return static_cast<size_t>(number * UINT64_C(0x9E3779B97F4A7C15) >> 51) & (kPlaces - 1);
}

void join(Clock into, const Clock from) {
  for (unsigned i = 0; i < kThreads; i++) {
    into[i] = into[i] > from[i] ? into[i] : from[i];
  }
}

Sync &sync_of(const volatile void *at) {
  auto const address = reinterpret_cast<uintptr_t>(at);
  Sync &sync = syncs[place_of(address)];
  if (sync.run != this_run) {
    sync = {address, this_run, false, {}};
  }
  sync.shared = sync.shared || sync.address != address;
  return sync;
}

bool conflict(Kind a, Kind b) {
  bool const writes = a == kWrite || a == kAtomicWrite || b == kWrite || b == kAtomicWrite;
  bool const atomic = a >= kAtomicRead && b >= kAtomicRead;
  return writes && !atomic;
}

void compare(const Cell &cell, uint8_t bytes, Kind kind, unsigned me) {
  for (unsigned other = 0; other < kThreads; other++) {
    for (unsigned k = 0; other != me && k < kKinds; k++) {
      Access const &last = cell.last[k][other];
      if (last.time > threads[me].now[other] && (last.bytes & bytes) != 0 && conflict(kind, static_cast<Kind>(k))) {
        threads_fail(
            "data race: it %s %p, which thread %u %s, and nothing puts the two in order", kNames[kind],
            reinterpret_cast<void *>(cell.address * 8 + static_cast<unsigned>(__builtin_ctz(last.bytes & bytes))),
            other, kNames[k]);
      }
    }
  }
}

void note(uintptr_t number, uint8_t bytes, Kind kind, unsigned me) {
  Cell &cell = cells[place_of(number)];
  if (cell.address != number || cell.run != this_run) {
    memset(&cell, 0, sizeof cell);
    cell.address = number;
    cell.run = this_run;
  }
  compare(cell, bytes, kind, me);
  Access &mine = cell.last[kind][me];
  uint32_t const time = threads[me].now[me];
  mine.bytes = mine.time == time ? mine.bytes | bytes : bytes;
  mine.time = time;
}

bool is_counter(const volatile void *at) {
  return at >= __start___sancov_cntrs && at < __stop___sancov_cntrs;
}

// A variable of the one real thread, though reached by a pointer.
bool is_errno(const volatile void *at) {
  return at == &errno;
}

bool is_left_out(const volatile void *at) {
  return Threads::is_own(at) || is_counter(at) || is_errno(at) || (left_out != nullptr && left_out(at));
}

void note_all(const volatile void *at, size_t size, Kind kind) {
  unsigned const me = Threads::current();
  if (!watching || me == kThreads || is_left_out(at)) {
    return;
  }
  auto const start = reinterpret_cast<uintptr_t>(at);
  for (uintptr_t number = start / 8; size != 0 && number <= (start + size - 1) / 8; number++) {
    unsigned const from = number == start / 8 ? start % 8 : 0;
    unsigned const to = number == (start + size - 1) / 8 ? (start + size - 1) % 8 : 7;
    note(number, static_cast<uint8_t>((0xFFU << from) & (0xFFU >> (7 - to))), kind, me);
  }
}

bool acquires(int order) {
  return order == __ATOMIC_ACQUIRE || order == __ATOMIC_CONSUME || order == __ATOMIC_ACQ_REL ||
         order == __ATOMIC_SEQ_CST;
}

bool releases(int order) {
  return order == __ATOMIC_RELEASE || order == __ATOMIC_ACQ_REL || order == __ATOMIC_SEQ_CST;
}

// The clock that a store of this order leaves for its readers.
const uint32_t *left_by(unsigned me, int order) {
  return releases(order) ? threads[me].now : threads[me].fenced;
}

} // namespace

void races_begin(bool watch) {
  watching = watch;
  this_run++;
  memset(threads, 0, sizeof threads);
  for (unsigned i = 0; i < kThreads; i++) {
    threads[i].now[i] = 1;
  }
}

void races_leave_out(bool (*function)(const volatile void *at)) {
  left_out = function;
}

void races_acquire(const void *what) {
  unsigned const me = Threads::current();
  if (watching && me != kThreads) {
    join(threads[me].now, sync_of(what).released);
  }
}

void races_release(const void *what) {
  unsigned const me = Threads::current();
  if (watching && me != kThreads) {
    join(sync_of(what).released, threads[me].now);
    threads[me].now[me]++;
  }
}

} // namespace ringfence::fuzz

using namespace ringfence::fuzz;

void rf_fuzz_read(const volatile void *at, size_t size) {
  note_all(at, size, kRead);
}

void rf_fuzz_write(const volatile void *at, size_t size) {
  note_all(at, size, kWrite);
}

void rf_fuzz_atomic_load(const volatile void *at, size_t size, int order) {
  unsigned const me = Threads::current();
  note_all(at, size, kAtomicRead);
  if (watching && me != kThreads) {
    join(acquires(order) ? threads[me].now : threads[me].to_acquire, sync_of(at).released);
  }
}

void rf_fuzz_atomic_store(const volatile void *at, size_t size, int order) {
  unsigned const me = Threads::current();
  note_all(at, size, kAtomicWrite);
  if (watching && me != kThreads) {
    Sync &sync = sync_of(at);
    if (!sync.shared) {
      memset(sync.released, 0, sizeof(Clock));
    }
    join(sync.released, left_by(me, order));
    threads[me].now[me]++;
  }
}

// Reads and writes at once: what was released there before stays in force.
void rf_fuzz_atomic_change(const volatile void *at, size_t size, int order) {
  unsigned const me = Threads::current();
  rf_fuzz_atomic_load(at, size, order);
  note_all(at, size, kAtomicWrite);
  if (watching && me != kThreads) {
    join(sync_of(at).released, left_by(me, order));
    threads[me].now[me]++;
  }
}

void rf_fuzz_fence(int order) {
  unsigned const me = Threads::current();
  if (!watching || me == kThreads) {
    return;
  }
  if (acquires(order)) {
    join(threads[me].now, threads[me].to_acquire);
  }
  if (releases(order)) {
    memcpy(threads[me].fenced, threads[me].now, sizeof(Clock));
    threads[me].now[me]++; // an access behind the fence is not released by it
  }
}
