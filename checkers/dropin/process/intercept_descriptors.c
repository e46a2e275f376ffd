/* Interception of calls by which a program closes descriptors that it does not know of: in mode page the store of
 * blocks keeps one (checkers/page/page_mover.c). Only in the library. */
#define _GNU_SOURCE /* closefrom */
#include "intercept_files.h"

#include "checkers/page/page_store.h"
#include "intercept.h"

#include <errno.h>
#include <limits.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Not every C library has them, and programs use what a library brings. */
int close_range(unsigned first, unsigned last, int flags);
void closefrom(int first);

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

static __typeof__(&close) their_close;

void rf_intercept_descriptors_init(void) {
  their_close = THEIRS(close);
}

void rf_intercept_descriptors_end(void) {
  their_close = NULL;
}

/* As if it were not there. */
RF_EXPORT int close(int fd) {
  if (rf_page_store_keeps_descriptor(fd)) {
    errno = EBADF;
    return -1;
  }
  return their_close != NULL ? their_close(fd) : (int)syscall(SYS_close, fd);
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
