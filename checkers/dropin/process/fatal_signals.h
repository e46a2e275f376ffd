/* The end of the process by a signal. */
#ifndef RINGFENCE_DROPIN_FATAL_SIGNALS_H
#define RINGFENCE_DROPIN_FATAL_SIGNALS_H

#include <stdbool.h>

/* Installs the handlers, with `abort_only` that of SIGABRT, where the default action is in place. `check` is called
 * before the process dies. */
void rf_fatal_signals_init(void (*check)(int number), bool abort_only);

/* The same for signals that others send to end the process, where they would: not where they are ignored or blocked,
 * nor in the first process of a system or container, which they do not end. Where `is_late` answers true in a handler,
 * nothing is done. */
void rf_terminating_signals_init(bool (*is_late)(void), void (*check)(int number));

#endif /* RINGFENCE_DROPIN_FATAL_SIGNALS_H */
