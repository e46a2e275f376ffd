/* Around what makes the process another program, by the C library's functions or by a system call. */
#ifndef RINGFENCE_DROPIN_INTERCEPT_EXEC_H
#define RINGFENCE_DROPIN_INTERCEPT_EXEC_H

#include <stdbool.h>

/* Before it: the process is checked, and its trace is complete so far. `file`: of the program, which says whether it
 * can be executed at all; NULL where that is not known. */
void rf_exec_begin(const char *file);

/* After it has failed; returns `result`, with the errno of the failure. `unchecked`: why the other program would not
 * have been checked, where that was told; else NULL. `ignoring`: what rf_page_signals_ignore returned. */
int rf_exec_failed(const char *unchecked, bool ignoring, int result);

#endif /* RINGFENCE_DROPIN_INTERCEPT_EXEC_H */
