/* System V's forms of signal, the first of which a program in strict C calls where it says signal.
 *
 *   strict_signals fault       sets the default action for SIGSEGV, and ends by it.
 *   strict_signals damage      sets a handler of SIGTERM, and the default action again; damages a block; ends by it.
 *   strict_signals handled     the handler of SIGTERM, set by sigset, ends the process with 5. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* By its own name it is deprecated. */
sighandler_t set_signal(int number, sighandler_t disposition) __asm__("sigset");

static char *volatile block;

static void leave(int number) {
  (void)number;
  _exit(5);
}

int main(int argc, char **argv) {
  const char *const what = argc > 1 ? argv[1] : "";
  block = malloc(10);
  if (strcmp(what, "fault") == 0) {
    if (sysv_signal(SIGSEGV, leave) != SIG_DFL || sysv_signal(SIGSEGV, SIG_DFL) != leave) {
      return 1;
    }
    free(block);
    block = NULL;
    block[0] = 1;
  } else if (strcmp(what, "damage") == 0) {
    if (sysv_signal(SIGTERM, leave) != SIG_DFL || sysv_signal(SIGTERM, SIG_DFL) != leave) {
      return 1;
    }
    block[10] = 1;
    (void)raise(SIGTERM);
  } else {
    if (set_signal(SIGTERM, leave) != SIG_DFL || set_signal(SIGTERM, leave) != leave) {
      return 1;
    }
    (void)raise(SIGTERM);
  }
  return 2;
}
