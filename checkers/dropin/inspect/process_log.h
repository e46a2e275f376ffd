/* The process log, a line at the beginning of the process and a line at its end: to the command with summary=1
 * (docs/checkers/dropin.md has the fields), to people with verbosity=1. */
#ifndef RINGFENCE_DROPIN_PROCESS_LOG_H
#define RINGFENCE_DROPIN_PROCESS_LOG_H

#include "leak_check.h"

/* The process was loaded with the library. */
void rf_process_log_begin(void);

/* In the child of a fork: counts from here on. */
void rf_process_log_forked(void);

/* Allocations so far, in a child of fork those of its own. */
uint64_t rf_process_log_allocations(void);

/* The process ends; `leaks` NULL or not checked: nothing is said of them. */
void rf_process_log_end(uint64_t findings, const rf_leak_summary *leaks);

#endif /* RINGFENCE_DROPIN_PROCESS_LOG_H */
