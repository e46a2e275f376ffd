/* Signals that the processor raises, abort among them: where one is blocked when it comes, the process ends. */
#ifndef RINGFENCE_CHECKERS_FAULT_SIGNALS_H
#define RINGFENCE_CHECKERS_FAULT_SIGNALS_H

#include <signal.h>
#include <stddef.h>

#define RF_FAULT_SIGNALS SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS

/* All signals but those. */
static inline void rf_all_but_faults(sigset_t *set) {
  static const int faults[] = {RF_FAULT_SIGNALS};
  (void)sigfillset(set);
  for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
    (void)sigdelset(set, faults[i]);
  }
}

#endif /* RINGFENCE_CHECKERS_FAULT_SIGNALS_H */
