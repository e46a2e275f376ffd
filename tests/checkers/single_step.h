// Stops this thread after each instruction, by SIGTRAP: for tests of what a signal may interrupt. On x86-64.
#ifndef RINGFENCE_TESTS_CHECKERS_SINGLE_STEP_H
#define RINGFENCE_TESTS_CHECKERS_SINGLE_STEP_H

#if defined(__x86_64__)

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

} // namespace ringfence_test

#endif

#endif // RINGFENCE_TESTS_CHECKERS_SINGLE_STEP_H
