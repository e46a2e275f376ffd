/* The process: its beginning and its end. */
#ifndef RINGFENCE_DROPIN_LIFECYCLE_H
#define RINGFENCE_DROPIN_LIFECYCLE_H

#include "checkers/shared/origin.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* The beginning, before the program runs. `library`: preloaded, and not linked into the program. */
void rf_process_begin(bool library);

/* The program was left, by exit or by return from main, with `status`: the stack of this thread is in use from `sp`
 * up. */
void rf_process_leaving(uintptr_t sp, int status);

/* The program closes `stream`: if that is standard error and the program was left, a copy is kept for the last
 * findings. Programs of the GNU core utilities do so in their exit handlers. False where the stream was closed before:
 * that is reported as a double free by `origin`, errno is EBADF, and the C library must not be asked. */
bool rf_process_closes(FILE *stream, const rf_origin *origin);

/* The program calls the C library with a stream, of a file or a folder, and no lock is held. False where it was closed
 * before, in mode guard: that is reported as a use after free by `origin`, errno is EBADF, and the C library must not
 * be asked. */
bool rf_process_uses(const void *stream, const rf_origin *origin);

typedef enum rf_process_ending {
  RF_ENDING_EXIT,   /* exit, or return from main: all is checked, leaks as well */
  RF_ENDING_ABRUPT, /* _exit or quick_exit: all but leaks */
  RF_ENDING_EXEC,   /* another program takes over */
  /* a signal that is no fault: blocks are checked as far as a short time and other threads allow */
  RF_ENDING_TERMINATED,
  RF_ENDING_SIGNAL /* a fatal signal: blocks are checked, whatever state they are in */
} rf_process_ending;

/* Does what is to be done when the process ends, once. Returns the status to end with: `status` unless something was
 * found. `status` is the signal's number where one ends the process, and -1 where the status is not known here; of
 * EXEC, -1 where it will fail: a shell tries each folder of PATH. */
int rf_process_end(rf_process_ending ending, int status);

/* It did not end after all: exec failed. */
void rf_process_resume(void);

#endif /* RINGFENCE_DROPIN_LIFECYCLE_H */
