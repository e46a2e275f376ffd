#define _GNU_SOURCE
#include "fatal_signals.h"

#include "checkers/dropin/malloc/malloc_impl.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct placed {
  struct sigaction action;
  bool is_there; /* was installed */
  bool again;
} placed;

static placed handlers[NSIG];

static bool is_default(const struct sigaction *action) {
  return (action->sa_flags & SA_SIGINFO) == 0 && action->sa_handler == SIG_DFL;
}

void rf_handlers_put(int number, const struct sigaction *action, bool again) {
  struct sigaction now;
  if (sigaction(number, NULL, &now) == 0 && is_default(&now) && sigaction(number, action, NULL) == 0) {
    handlers[number] = (placed){*action, true, again};
  }
}

/* Linked in, the program's calls are the C library's own. */
#if RF_DROPIN_LIBRARY

extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char etext[] __attribute__((visibility("hidden")));

int __sigaction(int sig, const struct sigaction *act, struct sigaction *oact);

/* The drop-in's own calls mean what they say. */
static bool is_own_code(uintptr_t caller) {
  return caller - (uintptr_t)__ehdr_start < (uintptr_t)etext - (uintptr_t)__ehdr_start;
}

static const placed *placed_at(int number) {
  return number > 0 && number < NSIG && handlers[number].is_there ? &handlers[number] : NULL;
}

RF_EXPORT int sigaction(int sig, const struct sigaction *act, struct sigaction *oact) {
  const placed *const ours = placed_at(sig);
  if (ours == NULL || is_own_code((uintptr_t)__builtin_return_address(0))) {
    return __sigaction(sig, act, oact);
  }
  bool const again = act != NULL && ours->again && is_default(act);
  int const result = __sigaction(sig, again ? &ours->action : act, oact);
  if (result == 0 && oact != NULL && oact->sa_sigaction == ours->action.sa_sigaction) {
    memset(oact, 0, sizeof *oact);
    oact->sa_handler = SIG_DFL;
  }
  return result;
}

RF_EXPORT sighandler_t signal(int sig, sighandler_t handler) {
  const placed *const ours = placed_at(sig);
  sighandler_t const old = ssignal(sig, handler);
  if (ours == NULL || old == SIG_ERR) {
    return old;
  }
  if (ours->again && handler == SIG_DFL) {
    (void)__sigaction(sig, &ours->action, NULL);
  }
  return (uintptr_t)old == (uintptr_t)ours->action.sa_sigaction ? SIG_DFL : old;
}

#endif
