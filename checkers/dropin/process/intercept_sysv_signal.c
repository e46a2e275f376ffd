/* System V's forms of signal and of masks, and BSD's masks. A program in strict C (-std=c11 without _DEFAULT_SOURCE)
 * calls the first of them where it says signal; the C library's call its own sigaction and sigprocmask, and would not
 * come to ours.
 *
 * Source: The Open Group, "System Interfaces", Issue 6, for sigset, sighold, sigrelse and sigignore; System V Interface
 * Definition for signal, whose handler is called once; 4.2BSD for sigblock and sigsetmask. */
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
RF_EXPORT int sighold(int sig);
RF_EXPORT int sigrelse(int sig);
RF_EXPORT int sigblock(int mask);
RF_EXPORT int sigsetmask(int mask);

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

/* The set of this signal alone; false where there is none such. */
static bool make_set(int sig, sigset_t *set) {
  return sigemptyset(set) == 0 && sigaddset(set, sig) == 0;
}

/* The handler's signal is blocked while it runs, and comes to it each time. */
RF_COLD sighandler_t sigset(int sig, sighandler_t disposition) {
  sigset_t set;
  sigset_t before;
  struct sigaction now;
  if (!make_set(sig, &set)) {
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

static int mask_one(int how, int sig) {
  sigset_t set;
  return make_set(sig, &set) ? rf_intercept_sigprocmask(how, &set, NULL) : -1;
}

RF_COLD int sighold(int sig) {
  return mask_one(SIG_BLOCK, sig);
}

RF_COLD int sigrelse(int sig) {
  return mask_one(SIG_UNBLOCK, sig);
}

/* BSD's sets are of the first 32 signals, the last of which is the C library's own. */
#define BSD_SIGNALS 31

static int mask_many(int how, int mask) {
  sigset_t set;
  sigset_t old;
  unsigned before = 0;
  (void)sigemptyset(&set);
  for (int sig = 1; sig <= BSD_SIGNALS; sig++) {
    if (((unsigned)mask >> (sig - 1) & 1) != 0) {
      (void)sigaddset(&set, sig);
    }
  }
  if (rf_intercept_sigprocmask(how, &set, &old) != 0) {
    return -1;
  }
  for (int sig = 1; sig <= BSD_SIGNALS; sig++) {
    before |= (unsigned)(sigismember(&old, sig) == 1) << (sig - 1);
  }
  return (int)before;
}

RF_COLD int sigblock(int mask) {
  return mask_many(SIG_BLOCK, mask);
}

RF_COLD int sigsetmask(int mask) {
  return mask_many(SIG_SETMASK, mask);
}
