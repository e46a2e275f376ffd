// Stops this thread after each instruction, by SIGTRAP: for tests of what a signal may interrupt. On x86-64.
#ifndef RINGFENCE_TESTS_CHECKERS_SINGLE_STEP_H
#define RINGFENCE_TESTS_CHECKERS_SINGLE_STEP_H

// ThreadSanitizer puts signals off.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RF_PUTS_SIGNALS_OFF 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define RF_PUTS_SIGNALS_OFF 1
#endif

#if defined(__x86_64__) && !defined(RF_PUTS_SIGNALS_OFF)

#define RF_CAN_STEP 1

#include <ucontext.h>

#include <csignal>
#include <functional>

namespace ringfence_test {

// Sets or clears the flag of this thread; the return from here is the first instruction that is stepped.
inline void set_stepping(bool on) {
  __asm__ volatile("pushfq\n\t"
                   "andq $~0x100, (%%rsp)\n\t"
                   "orq %0, (%%rsp)\n\t"
                   "popfq"
                   :
                   : "r"(on ? 0x100UL : 0UL)
                   : "memory", "cc");
}

// In the handler: the thread goes on without further stops.
inline void end_stepping(void *context) {
  static_cast<ucontext_t *>(context)->uc_mcontext.gregs[REG_EFL] &= ~0x100;
}

struct Interruption {
  unsigned left; // instructions until then
  std::function<void()> call;
};

inline Interruption interruption;

// Runs `run`, and after so many instructions `other`, as a signal's handler or another thread would. False where `run`
// ended before.
template <typename Run>
bool run_with_other_after(unsigned instructions, Run &&run, const std::function<void()> &other) {
  struct sigaction before;
  struct sigaction action = {};
  action.sa_flags = SA_SIGINFO;
  action.sa_sigaction = [](int, siginfo_t *, void *context) {
    if (--interruption.left == 0) {
      end_stepping(context);
      interruption.call();
    }
  };
  interruption = {instructions, other};
  if (sigaction(SIGTRAP, &action, &before) != 0) {
    return false;
  }
  set_stepping(true);
  run();
  set_stepping(false);
  (void)sigaction(SIGTRAP, &before, nullptr);
  return interruption.left == 0;
}

} // namespace ringfence_test

#endif

#endif // RINGFENCE_TESTS_CHECKERS_SINGLE_STEP_H
