/* The process log, a line at the beginning of the process and a line at its end: to the command with summary=1
 * (docs/checkers/dropin.md has the fields), to people with verbosity=1. */
#ifndef RINGFENCE_DROPIN_PROCESS_LOG_H
#define RINGFENCE_DROPIN_PROCESS_LOG_H

#include "leak_check.h"

#include <sys/types.h>

/* The process was loaded with the library. */
void rf_process_log_begin(void);

/* In the child of a fork: counts from here on. */
void rf_process_log_forked(void);

/* How the process ends. */
typedef struct rf_process_exit {
  const char *kind; /* "status", "signal", "exec", "unknown"; NULL: it will not, exec fails */
  int number;       /* the status, or that of the signal */
} rf_process_exit;

/* The process ends; `leaks` NULL or not checked: nothing is said of them. `unchecked`: why not all blocks were looked
 * at, or NULL. A collector is told as well. */
void rf_process_log_end(uint64_t findings, const rf_leak_summary *leaks, const char *unchecked,
                        const rf_process_exit *exit);

/* The process goes on: tells a collector of the run so far. Any thread; not told while another one does. */
void rf_process_log_running(void);

/* `process` becomes the program `other` after `time_ns`, and cannot be checked then; NULL: it stays the program that it
 * is. Allocates nothing, as the next one. */
void rf_process_log_unchecked(pid_t process, const char *other, const char *why, uint64_t time_ns);

/* This process did not become another program after all. */
void rf_process_log_resumed(void);

/* Allocations so far, in a child of fork those of its own. */
uint64_t rf_process_log_allocations(void);

/* The most bytes that were live at once. */
uint64_t rf_process_log_peak(void);

#endif /* RINGFENCE_DROPIN_PROCESS_LOG_H */
