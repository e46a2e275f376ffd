/* Stopping the other threads of the process for a moment, to look at memory that does not change.
 *
 * Each thread is sent the signal that the C library keeps for itself (33, by which it makes setuid apply to all
 * threads). Programs cannot block it, need not know of it, and debuggers pass it on; unlike ptrace it needs no
 * permission and works in containers and under a debugger. Most system calls that it interrupts are restarted. The
 * kernel stores the thread's registers on the thread's own stack, where the scan then finds them.
 */
#ifndef RINGFENCE_DROPIN_STOP_THE_WORLD_H
#define RINGFENCE_DROPIN_STOP_THE_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct rf_stopped_thread {
  uint32_t id;
  uint32_t state; /* private to stop_the_world.c; accessed atomically */
  uintptr_t sp;   /* from here up its stack is in use, registers included; 0: it had ended */
  uintptr_t own; /* its rf_current_thread: its own storage, which the C library puts above its stack; 0: it had ended */
} rf_stopped_thread;

typedef struct rf_stopped {
  rf_stopped_thread *threads;
  size_t capacity;
  size_t count;
} rf_stopped;

/* Stops all threads but the caller, within `ms` milliseconds. `threads` is room for `capacity` of them that must stay
 * mapped for ever. NULL: they stop until rf_resume_the_world. Else they run, and the answer is a static phrase that
 * says why: there are too many, or one could not be stopped (it is stopped already, or in the kernel for long). Not
 * for use by two threads at once. */
const char *rf_stop_the_world(rf_stopped *stopped, unsigned ms);

void rf_resume_the_world(rf_stopped *stopped);

#endif /* RINGFENCE_DROPIN_STOP_THE_WORLD_H */
