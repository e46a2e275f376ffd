/* The freed block that a stale pointer was read from. The code that read it had the block's address, and mostly has it
 * still: in a register that calls keep or in its frame. A guess, made where that is the address of one freed block. */
#ifndef RINGFENCE_DROPIN_HELD_BLOCK_H
#define RINGFENCE_DROPIN_HELD_BLOCK_H

#include "checkers/dropin/heap/check.h"

typedef struct rf_held_block {
  rf_view view;
  uintptr_t address; /* the lowest one in the block that is held; 0: none is */
  bool several;      /* of other blocks as well: none is meant */
} rf_held_block;

/* The block that the code has which a signal stopped. `context`: the signal's ucontext_t. False: there is not one, or
 * there are several. Async-signal-safe. */
bool rf_held_block_at_fault(const void *context, rf_held_block *out);

/* The same of the program's code whose call of malloc's functions has `origin`. Takes some KiB of stack, and follows
 * the stack by unwind tables. Any thread; not in a signal handler of a fault. */
bool rf_held_block_at_call(const rf_origin *origin, rf_held_block *out);

#endif /* RINGFENCE_DROPIN_HELD_BLOCK_H */
