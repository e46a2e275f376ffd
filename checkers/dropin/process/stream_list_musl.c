/* musl tells nobody its lock, but only a flush of all streams waits for streams while it holds it: each has a lock of
 * ours around it. The flush at the end of the process is musl's own: start_musl.c takes our lock before. */
#define _GNU_SOURCE
#include "stream_list.h"

#include "checkers/dropin/os/futex.h"
#include "checkers/dropin/os/libc.h"
#include "intercept.h"
#include "lib/core/compiler.h"

#include <stdio.h>

static rf_futex flushes;

/* A signal handler, or a stream of the program's own functions, may flush or fork while its thread flushes. Set before
 * the lock is taken and cleared after it is given back, for a handler in between. */
static RF_THREAD_LOCAL bool inside;

bool rf_stream_list_lock(void) {
  if (inside || rf_one_thread()) {
    return false;
  }
  inside = true;
  rf_futex_lock(&flushes);
  return true;
}

void rf_stream_list_unlock(void) {
  rf_futex_unlock(&flushes);
  inside = false;
}

void rf_stream_list_reset(void) {
  flushes = (rf_futex){0};
  inside = false;
}

static int flush(FILE *stream) {
  if (stream != NULL) {
    return rf_libc_fflush(stream);
  }
  bool const locked = rf_stream_list_lock();
  int const result = rf_libc_fflush(NULL);
  if (locked) {
    rf_stream_list_unlock();
  }
  return result;
}

RF_EXPORT int fflush(FILE *stream) {
  return flush(stream);
}

RF_EXPORT int fflush_unlocked(FILE *stream) {
  return flush(stream);
}
