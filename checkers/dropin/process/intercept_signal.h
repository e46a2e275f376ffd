/* The program's sigaction and sigprocmask, for others of its functions that are forms of these. */
#ifndef RINGFENCE_DROPIN_INTERCEPT_SIGNAL_H
#define RINGFENCE_DROPIN_INTERCEPT_SIGNAL_H

#include <signal.h>

int rf_intercept_sigaction(int sig, const struct sigaction *act, struct sigaction *oact);
int rf_intercept_sigprocmask(int how, const sigset_t *set, sigset_t *old);

#endif /* RINGFENCE_DROPIN_INTERCEPT_SIGNAL_H */
