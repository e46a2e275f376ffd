/* How to find the caller's frame, for each place in code that a call returns to. Internal to checkers/.
 *
 * Most of what .eh_frame says of such a place fits into 26 bits. A table keeps that by return address, as one word of
 * address and rule, so that readers need no lock; a miss searches .eh_frame. The lower bits of the address follow from
 * the place in the table: as many as the first sets tell apart, which are all that programs of little code touch.
 *
 *     word: | address >> 9 | m (8) | n (16) | kind (2) |
 *
 * Nothing here allocates, waits or holds a lock that another caller waits for: all of it may be called inside malloc,
 * in signal handlers, and from several threads at once. Linux on x86-64 and i386; elsewhere there are no rules.
 */
#ifndef RINGFENCE_STACK_RULES_H
#define RINGFENCE_STACK_RULES_H

#include "eh_frame.h"
#include "stack_modules.h"

#include "lib/core/compiler.h"

#include <ringfence/stack.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Kinds. Sizes are in words; the return address is in the word below the CFA. */
enum {
  RF_RULE_SP,      /* CFA = stack pointer + n */
  RF_RULE_BP,      /* CFA = frame pointer + n */
  RF_RULE_SPECIAL, /* n: one of those below */
  RF_RULE_BEHIND,  /* CFA = the word at frame pointer - n; the caller's frame pointer is at the frame pointer */
  RF_RULE_KIND = 3
};
/* The m of the first two: where it is not 0, the caller's frame pointer is at CFA - m. */
#define RF_RULE_N(rule) ((rule) >> 2 & 0xFFFF)
#define RF_RULE_M(rule) ((rule) >> 18 & 0xFF)
#define RF_RULE_OF_N(kind, n) ((uint32_t)(n) << 2 | (kind))

#define RF_RULE_END RF_RULE_OF_N(RF_RULE_SPECIAL, 1)      /* nobody called */
#define RF_RULE_POINTERS RF_RULE_OF_N(RF_RULE_SPECIAL, 2) /* no table tells: frame pointers */
#define RF_RULE_UNKNOWN RF_RULE_OF_N(RF_RULE_SPECIAL, 3)  /* the same, of code of no module: may change at any time */
#define RF_RULE_ROW RF_RULE_OF_N(RF_RULE_SPECIAL, 4)      /* more than fits: rf_stack_rules_step */

/* Advances whenever code was replaced by other code: what was learnt of stacks before holds no longer. Never 0. */
extern uint32_t rf_stack_generation;

#if RF_STACK_RULES

#define RF_RULES_SETS_BITS 13U
#define RF_RULES_SETS (1U << RF_RULES_SETS_BITS)
#define RF_RULES_FIRST_BITS 9U
#define RF_RULES_FIRST (1U << RF_RULES_FIRST_BITS)
#define RF_RULE_BITS 26U

typedef uint64_t rf_stack_rule_word RF_ATOMIC_64;

/* Accessed atomically, as is the next: how many sets are in use, less one; it grows once. */
extern rf_stack_rule_word rf_stack_rule_table[2 * RF_RULES_SETS];
extern uint32_t rf_stack_rule_mask;

/* The rule for a call that returns to `pc`, not from the table. */
uint32_t rf_stack_rule_find(uintptr_t pc);

static inline rf_stack_rule_word *rf_stack_rule_set(uintptr_t pc) {
  uint32_t const mask = __atomic_load_n(&rf_stack_rule_mask, __ATOMIC_RELAXED);
  return &rf_stack_rule_table[2 * ((pc ^ pc >> RF_RULES_SETS_BITS) & mask)];
}

static inline uint32_t rf_stack_rule(uintptr_t pc) {
  const rf_stack_rule_word *const set = rf_stack_rule_set(pc);
  uint64_t const first = __atomic_load_n(&set[0], __ATOMIC_RELAXED);
  if (__builtin_expect(first >> RF_RULE_BITS == pc >> RF_RULES_FIRST_BITS, 1)) {
    return (uint32_t)first & ((1U << RF_RULE_BITS) - 1);
  }
  uint64_t const second = __atomic_load_n(&set[1], __ATOMIC_RELAXED);
  if (second >> RF_RULE_BITS == pc >> RF_RULES_FIRST_BITS) {
    return (uint32_t)second & ((1U << RF_RULE_BITS) - 1);
  }
  return rf_stack_rule_find(pc);
}

/* Makes the rule for a call that returns to `pc` known without its table: the frame of the code there ends `size` bytes
 * above the stack pointer of its calls, and saves no frame pointer. Of no module that may be unloaded. */
void rf_stack_rule_learn(uintptr_t pc, uintptr_t size);

/* A frame by whatever .eh_frame says. `returned`: the pc is a return address, not where a signal interrupted. */
typedef struct rf_rules_frame {
  rf_unwind_registers registers;
  bool returned;
} rf_rules_frame;

/* To the caller's frame. RF_UNWIND_FAILED also where no table tells, or the next frame is not above this one. */
rf_unwind_result rf_stack_rules_step(rf_rules_frame *frame);

/* As rf_stack_capture, from this function's own registers on through the checker's frames, so that no register is
 * unknown; 0 where the origin is not met. Costs microseconds. */
unsigned rf_stack_rules_capture(const rf_origin *origin, uintptr_t *frames, unsigned max);

/* Forgets all rules: to be called when a module was unloaded. */
void rf_stack_rules_forget(void);

#else

static inline uint32_t rf_stack_rule(uintptr_t pc) {
  (void)pc;
  return RF_RULE_POINTERS;
}

static inline void rf_stack_rules_forget(void) {}

#endif

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_STACK_RULES_H */
