/* The signals of timers wait while a fault is settled and reported: handlers that are slower than their timer, and that
 * it may interrupt, would fill the stack that the report runs on. Internal to checkers/; Linux. */
#ifndef RINGFENCE_TIMER_SIGNALS_H
#define RINGFENCE_TIMER_SIGNALS_H

#include <signal.h>
#include <stddef.h>

static const int rf_timer_signals[] = {SIGALRM, SIGVTALRM, SIGPROF};

#define RF_TIMER_SIGNALS (sizeof rf_timer_signals / sizeof *rf_timer_signals)

/* To the mask of the handler for faults. */
static inline void rf_timer_signals_add(sigset_t *mask) {
  for (size_t i = 0; i < RF_TIMER_SIGNALS; i++) {
    (void)sigaddset(mask, rf_timer_signals[i]);
  }
}

#endif /* RINGFENCE_TIMER_SIGNALS_H */
