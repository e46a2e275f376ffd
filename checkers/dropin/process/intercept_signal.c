/* sigaction and signal, to which the drop-in's handlers are invisible (signals.h). Only in the library: in a program
 * that is linked with the drop-in these are the C library's own. */
#define _GNU_SOURCE
#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/os/export.h"
#include "checkers/dropin/os/libc.h"
#include "checkers/dropin/runtime/signals.h"
#include "checkers/page/page_store.h"

#include <stdint.h>
#include <string.h>

extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char etext[] __attribute__((visibility("hidden")));

/* The drop-in's own calls mean what they say. */
static bool is_own_code(uintptr_t caller) {
  return caller - (uintptr_t)__ehdr_start < (uintptr_t)etext - (uintptr_t)__ehdr_start;
}

static bool is_fault(int sig) {
  return sig == SIGSEGV || sig == SIGBUS;
}

/* The page store stands in front of the program's handlers of faults. */
static void note(int sig) {
  if (is_fault(sig)) {
    rf_page_signals_changed();
    rf_guarded_blocks_handlers_changed();
  }
}

static int change(const rf_handler *ours, int sig, const struct sigaction *act, struct sigaction *oact) {
  bool const again = ours != NULL && act != NULL && ours->again && rf_signal_is_default(act);
  int const result = rf_libc_sigaction(sig, again ? &ours->action : act, oact);
  if (result == 0 && oact != NULL && is_fault(sig)) {
    rf_page_unwrap(sig, oact);
  }
  if (result == 0 && ours != NULL && oact != NULL && oact->sa_sigaction == ours->action.sa_sigaction) {
    memset(oact, 0, sizeof *oact);
    oact->sa_handler = SIG_DFL;
  }
  return result;
}

RF_EXPORT int sigaction(int sig, const struct sigaction *act, struct sigaction *oact) {
  if (is_own_code((uintptr_t)__builtin_return_address(0))) {
    return rf_libc_sigaction(sig, act, oact);
  }
  int const result = change(rf_handler_of(sig), sig, act, oact);
  if (act != NULL) {
    note(sig);
  }
  return result;
}

static sighandler_t unwrapped(int sig, sighandler_t handler) {
  struct sigaction action = {.sa_handler = handler};
  if (is_fault(sig) && handler != SIG_ERR) {
    rf_page_unwrap(sig, &action);
  }
  return action.sa_handler;
}

RF_EXPORT sighandler_t signal(int sig, sighandler_t handler) {
  const rf_handler *const ours = rf_handler_of(sig);
  sighandler_t const old = unwrapped(sig, rf_libc_signal(sig, handler));
  note(sig);
  if (ours == NULL || old == SIG_ERR) {
    return old;
  }
  if (ours->again && handler == SIG_DFL) {
    (void)rf_libc_sigaction(sig, &ours->action, NULL);
  }
  return (uintptr_t)old == (uintptr_t)ours->action.sa_sigaction ? SIG_DFL : old;
}
