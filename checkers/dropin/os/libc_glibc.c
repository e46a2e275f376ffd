#define _GNU_SOURCE
#include "libc.h"

#include "real.h"

int __sigaction(int number, const struct sigaction *action, struct sigaction *old);

int rf_libc_sigaction(int number, const struct sigaction *action, struct sigaction *old) {
  return __sigaction(number, action, old);
}

sighandler_t rf_libc_signal(int number, sighandler_t handler) {
  return ssignal(number, handler);
}

void *rf_libc_private(const char *name) {
  return rf_real(name);
}
