/* Who asked the C library to allocate.
 *
 * getline, asprintf or fopen allocate on behalf of the program, and are built without frame pointers: what is found by
 * following frame pointers lacks the one frame of interest, the program's call. Such requests are therefore unwound by
 * the unwind tables up to the first frame outside the C library; from there on frame pointers serve again.
 *
 * That costs microseconds, so each process does it a limited number of times, and then goes without.
 */
#ifndef RINGFENCE_DROPIN_CALLER_H
#define RINGFENCE_DROPIN_CALLER_H

#include <ringfence/stack.h>
#include <stdbool.h>

#define RF_CALLER_FRAMES 8U

/* A frame as rf_stack_capture follows it: the frame pointer of the caller, and the address to which it returns. */
typedef struct rf_link {
  uintptr_t next;
  uintptr_t returns_to;
} rf_link;

/* An origin, and the frames that it leads through. On the stack of the thread that it is about. */
typedef struct rf_called {
  rf_origin origin;
  rf_link links[RF_CALLER_FRAMES + 1];
} rf_called;

/* Where the C library's code lies; 0: not known. */
extern uintptr_t rf_runtime_start __attribute__((visibility("hidden")));
extern uintptr_t rf_runtime_size __attribute__((visibility("hidden")));

/* Finds the C library: once, at the start. */
void rf_caller_init(void);

const rf_origin *rf_caller_unwind(const rf_origin *origin, rf_called *called);

/* `origin`, or where it came from if that is the C library; the answer may lie in *called. */
static inline const rf_origin *rf_caller_of(const rf_origin *origin, rf_called *called) {
  if (__builtin_expect(origin->caller - rf_runtime_start >= rf_runtime_size, 1)) {
    return origin;
  }
  return rf_caller_unwind(origin, called);
}

#endif /* RINGFENCE_DROPIN_CALLER_H */
