/* Children that are made by a system call, of which the C library's handlers of fork are not told; ends by one; other
 * programs that take over by one. */
#ifndef RINGFENCE_DROPIN_INTERCEPT_CLONE_H
#define RINGFENCE_DROPIN_INTERCEPT_CLONE_H

#include <stdbool.h>

/* True if the call makes a child that goes on where it returns, with a copy of the memory. */
bool rf_call_forks(long number, const long argument[6]);

/* Such a call, with its result and errno. Returns twice. */
long rf_call_fork(long number, const long argument[6]);

/* True if the call ends the process: with its only thread, too. */
bool rf_call_ends(long number);

/* True if the call makes the process another program. */
bool rf_call_executes(long number);

/* Such a call, with its result and errno where it fails. */
long rf_call_execute(long number, const long argument[6]);

/* Finds the C library's functions. */
void rf_intercept_clone_init(void);

#endif /* RINGFENCE_DROPIN_INTERCEPT_CLONE_H */
