// dropin_threads: two to four virtual threads (threads.h) use the heap of the drop-in, each with a cache of its own, as
// checkers/dropin/runtime/own_cache.h has it: remote frees, threads that end with full caches, sweeps, walks and forks.
// The first byte of the input chooses the options, and how many threads share a heap.
#include "checkers/dropin/heap/testing/by_threads.h"
#include "finding_log.h"
#include "threads_model.h"
#include "threads_port.h"
#include "threads_races.h"

#include <ctime>

// ---- The system below the heap, for virtual threads ----

extern "C" {
uint32_t *rf_virtual_heaps_held(void);
int rf_virtual_nanosleep(const struct timespec *time, struct timespec *left);
int rf_virtual_clock_gettime(clockid_t clock, struct timespec *now);

// In place of checkers/dropin/os/futex.c.
struct rf_futex {
  uint32_t state;
};
void rf_futex_lock_slow(rf_futex *lock);
bool rf_futex_lock_within(rf_futex *lock, unsigned ms);
void rf_futex_wake(rf_futex *lock);
extern __thread bool rf_futex_waits; // which nothing here asks for

extern char __libc_single_threaded; // NOLINT(bugprone-reserved-identifier)
}

namespace {

// Left out of the search for races: guards are compared while neighbours, with the same bytes, write them, and the
// description of a block that two threads free.
bool is_misused;

bool is_left_out(const volatile void *at) {
  return is_misused || rf_dropin_threads_has(at);
}

uint32_t held[ringfence::fuzz::Threads::kMost + 1];
ringfence::fuzz::FindingLog finding_log;

} // namespace

__thread bool rf_futex_waits;

uint32_t *rf_virtual_heaps_held() {
  return &held[ringfence::fuzz::Threads::current()];
}

int rf_virtual_nanosleep(const struct timespec *, struct timespec *) {
  ringfence::fuzz::Threads::yield();
  return 0;
}

// Stands still: who waits for others, waits for ever.
int rf_virtual_clock_gettime(clockid_t, struct timespec *now) {
  *now = {1, 0};
  return 0;
}

void rf_futex_lock_slow(rf_futex *lock) {
  rf_fuzz_point();
  while (__atomic_exchange_n(&lock->state, 2, __ATOMIC_ACQUIRE) != 0) {
    (void)ringfence::fuzz::virtual_sleep(lock, false);
  }
  ringfence::fuzz::races_acquire(lock);
}

bool rf_futex_lock_within(rf_futex *lock, unsigned) {
  rf_fuzz_point();
  while (__atomic_exchange_n(&lock->state, 2, __ATOMIC_ACQUIRE) != 0) {
    if (!ringfence::fuzz::virtual_sleep(lock, true)) {
      return false;
    }
  }
  ringfence::fuzz::races_acquire(lock);
  return true;
}

void rf_futex_wake(rf_futex *lock) {
  ringfence::fuzz::virtual_wake(lock);
  rf_fuzz_point();
}

namespace ringfence::fuzz {
namespace {

class DropinHeap : public SharedHeap {
public:
  explicit DropinHeap(bool checked) : checked_(checked) {}
  void *alloc(size_t size, size_t align, unsigned flags) override {
    return rf_dropin_threads_alloc(me(), size, align, zeroes(flags));
  }
  bool zeroes(unsigned flags) const override { return (flags & 1) != 0; }
  // Most are small; some are large blocks with a mapping each.
  size_t size_of(size_t size) const override {
    static constexpr size_t kWithOwnMapping = (size_t{1} << 20) + 1;
    return size % 61 == 7   ? size * 200
           : size % 61 == 8 ? kWithOwnMapping + size
           : size % 5 == 1  ? size
                            : 1 + size % 200;
  }
  bool free(void *ptr, size_t) override { return rf_dropin_threads_free(me(), ptr); }
  bool reallocs() const override { return true; }
  void *realloc(void *ptr, size_t, size_t size) override { return rf_dropin_threads_realloc(me(), ptr, size); }
  bool refuses_twice() const override { return true; }
  bool refuses_realloc_twice() const override { return true; }
  void misuse_begins() override {
    is_misused = true;
    told_before_ = finding_log.count();
  }
  void misuse_ends(size_t refused) override {
    is_misused = false;
    if (checked_ && finding_log.count() - told_before_ < refused) {
      threads_fail("%zu calls were refused, %zu told", refused, finding_log.count() - told_before_);
    }
  }
  size_t usable_size(void *ptr, size_t) override { return rf_dropin_threads_size(me(), ptr); }

  void look(unsigned choice) override {
    switch (choice % 4) {
    case 0: // as if the thread had ended and another one begun
      thread_ends();
      Threads::yield();
      thread_begins();
      break;
    case 1:
      rf_dropin_threads_flush(me());
      break;
    default:
      if (rf_dropin_threads_sweep() != 0) {
        threads_fail("a sweep of an intact heap found damage");
      }
      break;
    }
  }

  void thread_begins() override { rf_dropin_threads_begin(me()); }
  void thread_ends() override { rf_dropin_threads_end(me()); }

  // From outside of all threads: with a cache of its own for the frees between the two calls.
  void finish(const Expected &expected) override {
    rf_counters const c = rf_dropin_threads_counters();
    if (c.blocks != expected.blocks || c.used != expected.bytes) {
      threads_fail("statistics: %zu blocks, %zu bytes; not %zu, %zu", c.blocks, c.used, expected.blocks,
                   expected.bytes);
    }
    if (!finishing_) {
      thread_begins();
      finishing_ = true;
      return;
    }
    look(1);
    look(2);
    thread_ends();
  }

private:
  static unsigned me() { return Threads::current(); }
  bool const checked_;
  size_t told_before_ = 0;
  bool finishing_ = false;
};

// True where the heap is checked.
bool set_up(size_t choice) {
  static const size_t kAmounts[] = {0, 64, 1024, SIZE_MAX};
  static const unsigned kHeaps[] = {1, 2, Threads::kMost};
  rf_guard_options o;
  rf_guard_options_default(&o);
  o.quarantine = choice / 4 % 4 == 3 ? 1 << 16 : kAmounts[choice / 4 % 4];
  o.fill_alloc = kAmounts[choice / 16 % 4];
  o.fill_free = kAmounts[choice / 64 % 4];
  o.move_below = 4096 * (choice % 2);
  o.reporter = finding_log.reporter();
  finding_log.clear();
  bool const checked = choice % 4 != 0;
  rf_dropin_threads_options(checked ? &o : nullptr, kHeaps[choice % 3]);
  return checked;
}

} // namespace
} // namespace ringfence::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace ringfence::fuzz;
  Reader input(data, size);
  __libc_single_threaded = 0; // virtual threads are several
  bool const checked = set_up(input.u8());
  is_misused = false;
  ringfence::fuzz::races_leave_out(is_left_out);
  DropinHeap heap(checked);
  run_threads(heap, input);
  return 0;
}
