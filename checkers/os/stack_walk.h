/* Following frame pointers, a frame at a time; stacks for debuggers. Internal to checkers/. */
#ifndef RINGFENCE_STACK_WALK_H
#define RINGFENCE_STACK_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/core/compiler.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A frame of code with frame pointers: the caller's frame pointer, then the return address. A larger step leads to
 * other data that looks like a frame. */
#define RF_STEP_MOST ((uintptr_t)256 * 1024)
/* No code lies below this address. */
#define RF_PC_LEAST 4096U

/* The layout of a depot's stacks, for tools/gdb/ringfence.py. The first number changes with the meaning of the rest. */
extern const uintptr_t rf_stack_depot_debugger[];

/* Moves *frame, which lies on a stack that ends at `high`, to the frame of the caller, and sets *pc to its return
 * address. False, and nothing changed, where no frame is there. Frames are read as words, over the objects that
 * AddressSanitizer knows there. */
RF_NO_SANITIZE static inline bool rf_stack_step(uintptr_t *frame, uintptr_t high, uintptr_t *pc) {
  uintptr_t const next = ((const uintptr_t *)*frame)[0];
  /* At the top of the address space a sum would wrap to 0. */
  if (next <= *frame || next - *frame > RF_STEP_MOST || next % sizeof(uintptr_t) != 0 ||
      next > high - 2 * sizeof(uintptr_t)) {
    return false;
  }
  uintptr_t const found = ((const uintptr_t *)next)[1];
  if (found < RF_PC_LEAST) {
    return false;
  }
  *frame = next;
  *pc = found;
  return true;
}

/* True where a call that returns to `pc` is under way in this thread; *frame is then as in rf_origin, or NULL where it
 * is not known. As exact as rf_stack_capture_slow; without an unwinder, searches the nearby stack for the word, so that
 * a caller must not have it there. */
bool rf_stack_returns_to(uintptr_t pc, const void **frame);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_STACK_WALK_H */
