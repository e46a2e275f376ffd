/* Whether a signal comes again by itself. Internal to checkers/; Linux. */
#ifndef RINGFENCE_SIGNAL_CAUSE_H
#define RINGFENCE_SIGNAL_CAUSE_H

#include "memory_tags.h"

#include <signal.h>
#include <stdbool.h>

/* False where the instruction that raised the signal runs again once its handler returns. True where it was sent, where
 * the processor told of an earlier instruction, and where the system tells no cause: that may be an address that the
 * processor does not have, but also another signal, for whose handler the stack has no room. */
static inline bool rf_signal_comes_once(int number, const siginfo_t *info) {
  return info->si_code <= 0 || info->si_code == SI_KERNEL ||
         (number == SIGSEGV && rf_memory_tags_is_late_fault(info->si_code));
}

#endif /* RINGFENCE_SIGNAL_CAUSE_H */
