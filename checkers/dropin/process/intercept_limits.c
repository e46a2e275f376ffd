/* Interception of calls by which a program closes descriptors that it does not know of, and of those by which it
 * restricts itself. In mode page the store of blocks keeps one descriptor and makes a call that sandboxes do not expect
 * (checkers/page/page_mover.c). Only in the library. */
#define _GNU_SOURCE /* closefrom */
#include "intercept_files.h"

#include "checkers/dropin/malloc/page_time.h"
#include "checkers/dropin/runtime/sandbox.h"
#include "checkers/page/page_store.h"
#include "intercept.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Not every C library has them, and programs use what a library brings. */
int close_range(unsigned first, unsigned last, int flags);
void closefrom(int first);

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

static struct {
  __typeof__(&close) close;
  __typeof__(&prctl) prctl;
} theirs;

void rf_intercept_limits_init(void) {
  theirs.close = THEIRS(close);
  theirs.prctl = THEIRS(prctl);
}

/* ---- Descriptors ---- */

/* As if it were not there. */
RF_EXPORT int close(int fd) {
  if (rf_page_store_keeps_descriptor(fd)) {
    errno = EBADF;
    return -1;
  }
  return theirs.close != NULL ? theirs.close(fd) : (int)syscall(SYS_close, fd);
}

/* The first one from `first` to `last` that the program may not close; 0: none. */
static unsigned kept_in(unsigned first, unsigned last) {
  int const kept = rf_page_store_kept_descriptor();
  return kept > 0 && (unsigned)kept >= first && (unsigned)kept <= last ? (unsigned)kept : 0;
}

static int close_pieces(unsigned first, unsigned last, int flags) {
  unsigned const kept = kept_in(first, last);
  int result = 0;
  if (kept == 0) {
    return (int)syscall(SYS_close_range, first, last, flags);
  }
  if (first < kept) {
    result = (int)syscall(SYS_close_range, first, kept - 1, flags);
  }
  return result == 0 && kept < last ? (int)syscall(SYS_close_range, kept + 1, last, flags) : result;
}

RF_EXPORT int close_range(unsigned first, unsigned last, int flags) {
  return close_pieces(first, last, flags);
}

/* Kernels before 5.9 have no call for it, and nothing is kept there. */
RF_EXPORT void closefrom(int first) {
  unsigned const from = first > 0 ? (unsigned)first : 0;
  if (close_pieces(from, UINT_MAX, 0) != 0) {
    long const most = sysconf(_SC_OPEN_MAX);
    for (long fd = (long)from; fd < most; fd++) {
      (void)close((int)fd);
    }
  }
}

/* ---- Sandboxes ---- */

static int their_prctl(int option, const unsigned long argument[4]) {
  return theirs.prctl != NULL ? theirs.prctl(option, argument[0], argument[1], argument[2], argument[3])
                              : (int)syscall(SYS_prctl, option, argument[0], argument[1], argument[2], argument[3]);
}

static int enter_sandbox(const unsigned long argument[4]) {
  rf_page_signals_keep(true);
  int const result = their_prctl(PR_SET_SECCOMP, argument);
  if (result == 0) {
    rf_sandbox_entered(argument[0], (const void *)argument[1]);
  } else {
    rf_page_signals_keep(false);
  }
  return result;
}

RF_EXPORT int prctl(int option, ...) {
  unsigned long argument[4];
  va_list list;
  va_start(list, option);
  for (unsigned i = 0; i < 4; i++) {
    argument[i] = va_arg(list, unsigned long);
  }
  va_end(list);
  if (option == PR_SET_SECCOMP || option == PR_SET_NO_NEW_PRIVS) {
    rf_page_store_settle();
    rf_page_time_settle();
  }
  if (option == PR_SET_SECCOMP) {
    return enter_sandbox(argument);
  }
  return their_prctl(option, argument);
}
