/* Findings about the program's malloc, in the mode of the process. */
#ifndef RINGFENCE_DROPIN_PROCESS_FINDING_H
#define RINGFENCE_DROPIN_PROCESS_FINDING_H

#include "state.h"

#include "checkers/shared/wrapper.h"

/* As rf_finding_begin. */
static inline void rf_process_finding_begin(rf_finding *f, rf_bug bug, rf_access access, const void *address,
                                            const rf_origin *origin) {
  rf_finding_begin(f, bug, access, address, "malloc", rf_mode_name(rf_process.options.mode), origin);
}

static inline void rf_process_report(rf_finding *f) {
  rf_report(rf_process.guard_options.reporter, f);
}

/* The same in a process that dies of a signal: its status is the signal's, and not that of a process that a finding has
 * ended. */
static inline void rf_process_report_dying(rf_finding *f) {
  bool const before = __atomic_exchange_n(&rf_process.ending, true, __ATOMIC_RELAXED);
  rf_process_report(f);
  __atomic_store_n(&rf_process.ending, before, __ATOMIC_RELAXED);
}

#endif /* RINGFENCE_DROPIN_PROCESS_FINDING_H */
