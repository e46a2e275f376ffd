/* The drop-in's signal handlers, which a program does not see: to it, the default action is in place where they are. A
 * program that keeps what was there before its own handler, and puts it back, would else keep ours; interpreters
 * (Python) cannot even put back what they did not install. */
#ifndef RINGFENCE_DROPIN_SIGNALS_H
#define RINGFENCE_DROPIN_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

typedef struct rf_handler {
  struct sigaction action;
  bool installed;
  bool again;
} rf_handler;

/* Installs `action` where the default action is in place. With `again`, once more whenever the program asks for the
 * default action: for handlers that end in it. */
void rf_signals_install(int number, const struct sigaction *action, bool again);

/* The handler installed for the signal, or NULL. */
const rf_handler *rf_handler_of(int number);

bool rf_signal_is_default(const struct sigaction *action);

#endif /* RINGFENCE_DROPIN_SIGNALS_H */
