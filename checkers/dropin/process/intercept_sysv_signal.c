/* System V's forms of signal. A program in strict C (-std=c11 without _DEFAULT_SOURCE) calls the first of them where it
 * says signal; the C library's call its own sigaction, and would not come to ours.
 *
 * Source: The Open Group, "System Interfaces", Issue 6, for sigset and sigignore; System V Interface Definition for
 * signal, whose handler is called once. */
#define _GNU_SOURCE
#include "checkers/dropin/os/export.h"
#include "intercept_signal.h"
#include "lib/core/compiler.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#ifndef SIG_HOLD
#define SIG_HOLD ((sighandler_t)2)
#endif

RF_EXPORT sighandler_t __sysv_signal(int sig, sighandler_t handler);
RF_EXPORT sighandler_t sysv_signal(int sig, sighandler_t handler);
RF_EXPORT sighandler_t bsd_signal(int sig, sighandler_t handler);
RF_EXPORT sighandler_t sigset(int sig, sighandler_t disposition);
RF_EXPORT int sigignore(int sig);

static sighandler_t change(int sig, sighandler_t handler, int flags) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
  struct sigaction old;
  (void)sigemptyset(&action.sa_mask);
  return rf_intercept_sigaction(sig, &action, &old) == 0 ? old.sa_handler : SIG_ERR;
}

static sighandler_t not_valid(void) {
  errno = EINVAL;
  return SIG_ERR;
}

#if defined(__GLIBC__)

RF_COLD sighandler_t __sysv_signal(int sig, sighandler_t handler) {
  return handler == SIG_ERR ? not_valid() : change(sig, handler, (int)(SA_RESETHAND | SA_NODEFER));
}

#else

/* musl's is signal by another name. */
RF_COLD sighandler_t __sysv_signal(int sig, sighandler_t handler) {
  return signal(sig, handler);
}

#endif

RF_COLD sighandler_t sysv_signal(int sig, sighandler_t handler) {
  return __sysv_signal(sig, handler);
}

RF_COLD sighandler_t bsd_signal(int sig, sighandler_t handler) {
  return signal(sig, handler);
}

/* The handler's signal is blocked while it runs, and comes to it each time. */
RF_COLD sighandler_t sigset(int sig, sighandler_t disposition) {
  sigset_t set;
  sigset_t before;
  struct sigaction now;
  if (sigemptyset(&set) != 0 || sigaddset(&set, sig) != 0) {
    return not_valid();
  }
  bool const hold = disposition == SIG_HOLD;
  sighandler_t const old = !hold                                          ? change(sig, disposition, 0)
                           : rf_intercept_sigaction(sig, NULL, &now) == 0 ? now.sa_handler
                                                                          : SIG_ERR;
  if (old == SIG_ERR || rf_intercept_sigprocmask(hold ? SIG_BLOCK : SIG_UNBLOCK, &set, &before) != 0) {
    return SIG_ERR;
  }
  return sigismember(&before, sig) == 1 ? SIG_HOLD : old;
}

RF_COLD int sigignore(int sig) {
  return change(sig, SIG_IGN, 0) == SIG_ERR ? -1 : 0;
}
