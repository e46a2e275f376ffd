// Virtual threads: up to four, on one real thread. The input chooses which one runs next, at each access to memory,
// lock, event and atomic operation of the code under test, so that every run can be repeated.
//
// The code under test is compiled with -fsanitize=thread and linked, in place of that sanitizer's library, with
// threads_hooks.c, which calls rf_fuzz_point before each access, and with threads_port.cc in place of lib/port. Code
// that is not compiled so, as a harness, runs undisturbed between two calls. Nothing of this is in other builds.
//
// Found here: data races (threads_races.cc), deadlocks, lost wake-ups (a thread waits and nobody is left to wake it),
// a thread that locks what it holds, unlocks what it does not hold, ends with a lock held or never ends, and the use of
// an event that has ended.
#ifndef RINGFENCE_FUZZ_THREADS_H
#define RINGFENCE_FUZZ_THREADS_H

#include <ringfence/fuzz/reader.h>

#include <cstddef>
#include <cstdint>

extern "C" {
// Before each access. Switches to another thread when the chosen number of accesses was made.
extern int64_t rf_fuzz_points_left;
void rf_fuzz_switch(void);

// From now on schedules differ from those of the inputs, by this number: where it is even, a little; 0: not. Which
// access an input names depends on the compiler, so replays try what lies around it, and others.
void rf_fuzz_nudge(uint32_t number);
}

namespace ringfence::fuzz {

class Threads {
public:
  static constexpr unsigned kMost = 4;

  using Main = void (*)(void *context, unsigned thread);
  // Called where no thread can run: true where that is right and `context` has changed it; false: it is a finding.
  using Stuck = bool (*)(void *context);

  // The process's only one while it lives.
  explicit Threads(Reader schedule);
  ~Threads();
  Threads(const Threads &) = delete;
  Threads &operator=(const Threads &) = delete;

  // A variable with a value for each thread, as `__thread` has it. Before run; at most 4.
  void own(void *variable, size_t size);

  // Data races are no findings. Before run.
  void ignore_races();

  // Runs `count` threads to their ends. Aborts on a finding.
  void run(unsigned count, Main main, Stuck stuck, void *context);

  // The running thread, from 0; kMost outside of run and in `stuck`.
  static unsigned current();
  // True in a variable that each thread has for itself.
  static bool is_own(const volatile void *at);
  // True where the thread waits for an event.
  static bool waits(unsigned thread);
  // Another thread runs, if the input wants.
  static void yield();
};

// A violation by the running thread: prints it and aborts.
[[noreturn]] void threads_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

} // namespace ringfence::fuzz

#endif // RINGFENCE_FUZZ_THREADS_H
