/* The layout of a stack: where its frames were found, so that the same stack is known again by comparing words.
 * Internal to checkers/.
 *
 * From one return address follows where the next one is, by a rule that belongs to it: so far from the stack pointer,
 * or from the frame pointer. If all return addresses are at the same distances from the first frame as before, and
 * wherever a frame pointer mattered it has the same value, seen from there, each step must lead to the same place. A
 * stack that ended where a word is no return address ends there as long as that word is the same.
 *
 * The function that calls main is entered once, so that from there on the frames are always the same: no word above the
 * return address into it is compared.
 */
#ifndef RINGFENCE_STACK_LAYOUT_H
#define RINGFENCE_STACK_LAYOUT_H

#include <ringfence/frames.h>
#include <ringfence/stack.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A word that a step depended on. Slots are counted in words from the first frame. */
typedef struct rf_stack_check {
  uint32_t slot;
  int32_t value; /* in words from the first frame; with RF_CHECK_ABSOLUTE in the slot the word itself */
} rf_stack_check;

#define RF_CHECK_ABSOLUTE 0x80000000U

typedef struct rf_stack_layout {
  bool fixed;      /* the stack follows from the rest; else the rest is of no use */
  bool ended;      /* by a rule, not at the depth asked for */
  bool frees;      /* the call frees; set by whoever asked for the layout, as is the next */
  bool sited;      /* the first word is none of the stack's */
  unsigned asked;  /* the depth asked for */
  unsigned rooted; /* so many frames lead to the function that calls main; 0: they do not, or that is not known */
  unsigned checks;
  uint32_t slots[RF_TRACE_DEPTH]; /* of the return addresses; each above the one before */
  rf_stack_check check[RF_TRACE_DEPTH];
} rf_stack_layout;

/* The code of the function that calls main: [start, end). */
void rf_stack_set_root(uintptr_t start, uintptr_t end);

/* As rf_stack_capture, `max` at most RF_TRACE_DEPTH; also says where the frames were. */
unsigned rf_stack_capture_laid_out(const rf_origin *origin, uintptr_t *frames, unsigned max, rf_stack_layout *layout);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_STACK_LAYOUT_H */
