#define _GNU_SOURCE
#include "signals.h"

#include <stddef.h>

static rf_handler handlers[NSIG];

bool rf_signal_is_default(const struct sigaction *action) {
  return (action->sa_flags & SA_SIGINFO) == 0 && action->sa_handler == SIG_DFL;
}

void rf_signals_install(int number, const struct sigaction *action, bool again) {
  struct sigaction now;
  if (sigaction(number, NULL, &now) == 0 && rf_signal_is_default(&now) && sigaction(number, action, NULL) == 0) {
    handlers[number] = (rf_handler){*action, true, again};
  }
}

const rf_handler *rf_handler_of(int number) {
  return number > 0 && number < NSIG && handlers[number].installed ? &handlers[number] : NULL;
}
