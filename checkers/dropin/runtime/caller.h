/* The caller of the C or C++ library that allocates on its behalf.
 *
 * getline, asprintf, fopen or std::string's growing allocate on behalf of the program, and are built without frame
 * pointers: what is found by following frame pointers lacks the one frame of interest, the program's call. Such
 * requests are therefore unwound by the unwind tables up to the first frame outside these libraries; from there on
 * frame pointers serve again.
 *
 * That costs microseconds, so each process does it a limited number of times, and then goes without. If stacks are
 * followed by rules (checkers/os/stack_rules.h), these libraries' frames are like others, and nothing is unwound here.
 */
#ifndef RINGFENCE_DROPIN_CALLER_H
#define RINGFENCE_DROPIN_CALLER_H

#include "checkers/os/stack_rules.h"

#include <ringfence/stack.h>
#include <stdbool.h>

#define RF_CALLER_FRAMES 8U

/* A frame as rf_stack_capture follows it: the frame pointer of the caller, and the address to which it returns. */
typedef struct rf_link {
  uintptr_t next;
  uintptr_t returns_to;
} rf_link;

/* An origin, and the frames that it leads through. On the stack of the thread that it is about. */
typedef struct rf_caller_trace {
  rf_origin origin;
  rf_link links[RF_CALLER_FRAMES + 1];
} rf_caller_trace;

/* The addresses of such a library's code; empty: not known. */
typedef struct rf_runtime {
  uintptr_t start;
  uintptr_t size;
} rf_runtime;

#define RF_RUNTIMES 2U
extern rf_runtime rf_runtimes[RF_RUNTIMES] __attribute__((visibility("hidden")));

/* Sets *out to where the code of the library lies that defines `function`; leaves it where none does. May allocate. */
void rf_runtime_find(const char *function, rf_runtime *out);

/* Finds the libraries: once, at the start. */
void rf_caller_init(void);

/* Constantly false where rules lead through these libraries as through any code. */
static inline bool rf_is_runtime(uintptr_t pc) {
  return !RF_STACK_RULES &&
         (pc - rf_runtimes[0].start < rf_runtimes[0].size || pc - rf_runtimes[1].start < rf_runtimes[1].size);
}

const rf_origin *rf_caller_unwind(const rf_origin *origin, rf_caller_trace *called);

/* `origin`, or where it came from if that is such a library; the answer may lie in *called. */
static inline const rf_origin *rf_caller_of(const rf_origin *origin, rf_caller_trace *called) {
  if (__builtin_expect(!rf_is_runtime(origin->caller), 1)) {
    return origin;
  }
  return rf_caller_unwind(origin, called);
}

#endif /* RINGFENCE_DROPIN_CALLER_H */
