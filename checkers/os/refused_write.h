/* A write that the system refuses may come with a signal: SIGPIPE, where a pipe has no reader, and SIGXFSZ, where a
 * file may not grow. Between these two calls the thread has both blocked, and the second one takes back what came with
 * the write. The port's posix.c does the same for the log. */
#ifndef RINGFENCE_CHECKERS_REFUSED_WRITE_H
#define RINGFENCE_CHECKERS_REFUSED_WRITE_H

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>

typedef struct rf_refused_write {
  sigset_t mask; /* as it was */
  sigset_t waiting;
} rf_refused_write;

/* Takes the signal that came with a write; true where it waits no more. One that is ignored waits as well while it is
 * blocked. */
static inline bool rf_refused_write_take(int sent, bool may_take) {
  struct timespec const at_once = {0, 0};
  sigset_t refusal;
  int taken = -1;
  (void)sigemptyset(&refusal);
  (void)sigaddset(&refusal, sent);
  do {
    errno = EPERM;
    taken = may_take ? sigtimedwait(&refusal, NULL, &at_once) : -1;
  } while (taken == -1 && errno == EINTR);
  return taken == sent || errno == EAGAIN;
}

/* Only a signal that was blocked before can wait. `may_take`: the process may ask which signals wait, and take them; a
 * sandbox may forbid that. */
static inline void rf_refused_write_begin(rf_refused_write *w, bool may_take) {
  sigset_t refusals;
  (void)sigemptyset(&refusals);
  (void)sigaddset(&refusals, SIGPIPE);
  (void)sigaddset(&refusals, SIGXFSZ);
  (void)pthread_sigmask(SIG_BLOCK, &refusals, &w->mask);
  (void)sigemptyset(&w->waiting);
  if (may_take && (sigismember(&w->mask, SIGPIPE) == 1 || sigismember(&w->mask, SIGXFSZ) == 1)) {
    (void)sigpending(&w->waiting);
  }
}

/* `sent` is the signal that came with the write, or 0. Where it cannot be taken it stays blocked, for it would end the
 * program. */
static inline void rf_refused_write_end(rf_refused_write *w, int sent, bool may_take) {
  if (sent != 0 && sigismember(&w->waiting, sent) == 0 && !rf_refused_write_take(sent, may_take)) {
    (void)sigaddset(&w->mask, sent);
  }
  (void)pthread_sigmask(SIG_SETMASK, &w->mask, NULL);
}

#endif /* RINGFENCE_CHECKERS_REFUSED_WRITE_H */
