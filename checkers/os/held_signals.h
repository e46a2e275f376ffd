/* Signals that wait while a thread has a lock, for which their handlers might wait. */
#ifndef RINGFENCE_CHECKERS_HELD_SIGNALS_H
#define RINGFENCE_CHECKERS_HELD_SIGNALS_H

#include <signal.h>
#include <stddef.h>

#include "forbidden_calls.h"

/* Signals that the processor raises, abort among them: where one is blocked when it comes, the process ends. */
#define RF_FAULT_SIGNALS SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS

/* All signals but those. */
static inline void rf_all_but_faults(sigset_t *set) {
  static const int faults[] = {RF_FAULT_SIGNALS};
  (void)sigfillset(set);
  for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
    (void)sigdelset(set, faults[i]);
  }
}

/* Holds all but faults back in this thread, and sets *before. Those that the program has blocked stay blocked, faults
 * among them: one that was sent may wait. Does nothing, as the second one, where a sandbox forbids the call. */
static inline void rf_signals_hold_back(sigset_t *before) {
  sigset_t held;
  (void)sigemptyset(before);
  if (!rf_is_forbidden(RF_CALL_SIGNAL_MASK)) {
    rf_all_but_faults(&held);
    (void)pthread_sigmask(SIG_BLOCK, &held, before);
  }
}

static inline void rf_signals_let_through(const sigset_t *before) {
  if (!rf_is_forbidden(RF_CALL_SIGNAL_MASK)) {
    (void)pthread_sigmask(SIG_SETMASK, before, NULL);
  }
}

#endif /* RINGFENCE_CHECKERS_HELD_SIGNALS_H */
