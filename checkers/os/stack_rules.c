/* The table of rules, what fills it, and frames that no rule fits. */
#define _GNU_SOURCE
#include "stack_rules.h"

#if RF_STACK_RULES

#include "host.h"
#include "reserve_stack.h"
#include "stack_modules.h"
#include "stack_walk.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

#define PAGE 4096U
#define POPULATE_WRITE 23 /* headers may be older than the kernel; older kernels refuse it, which does no harm */

rf_stack_rule_word rf_stack_rule_table[2 * RF_RULES_SETS] __attribute__((aligned(PAGE)));
uint32_t rf_stack_rule_mask = RF_RULES_FIRST - 1;

static uint32_t rules_kept; /* about how many there are */

/* All sets, once the first ones are half full. Their memory comes at once: the next rules would touch each of the
 * pages, which costs more. A rule whose set has changed is found anew. */
static void use_all_sets(void) {
  int const saved = errno;
  (void)madvise(rf_stack_rule_table, sizeof rf_stack_rule_table, POPULATE_WRITE);
  __atomic_store_n(&rf_stack_rule_mask, RF_RULES_SETS - 1, __ATOMIC_RELAXED);
  errno = saved;
}

/* ---- Rules ---- */

static bool is_at_cfa(const rf_place *place, int32_t words) {
  return place->kind == RF_PLACE_AT_CFA && place->operand == -words * (int32_t)sizeof(uintptr_t);
}

/* The words below the CFA at which the caller's frame pointer is; 0: still in the register; -1: neither. */
static int32_t words_to_bp(const rf_place *place) {
  int32_t const word = (int32_t)sizeof(uintptr_t);
  if (place->kind == RF_PLACE_SAME) {
    return 0;
  }
  bool const fits = place->kind == RF_PLACE_AT_CFA && place->operand < 0 && place->operand % word == 0;
  return fits && place->operand / -word <= 0xFF ? place->operand / -word : -1;
}

/* Functions that align their stack to more than the ABI does keep the CFA in a word below the frame pointer. */
static uint32_t rule_behind(const rf_eh_module *m, const rf_eh_row *row) {
  const rf_place *const bp = &row->places[RF_REGISTER_BP];
  int32_t const word = (int32_t)sizeof(uintptr_t);
  int32_t offset;
  int32_t none;
  bool const fits = bp->kind == RF_PLACE_AT_EXPRESSION && is_at_cfa(&row->places[RF_REGISTER_PC], 1) &&
                    rf_eh_frame_is_simple(m, bp, RF_REGISTER_BP, false, &none) && none == 0 &&
                    rf_eh_frame_is_simple(m, &row->cfa, RF_REGISTER_BP, true, &offset);
  return fits && offset < 0 && offset % word == 0 && offset / -word <= 0xFFFF
             ? RF_RULE_OF_N(RF_RULE_BEHIND, offset / -word)
             : RF_RULE_ROW;
}

static uint32_t rule_of(const rf_eh_module *m, const rf_eh_row *row) {
  const rf_place *const cfa = &row->cfa;
  const rf_place *const pc = &row->places[RF_REGISTER_PC];
  int32_t const word = (int32_t)sizeof(uintptr_t);
  if (pc->kind == RF_PLACE_UNDEFINED) {
    return RF_RULE_END;
  }
  if (cfa->kind == RF_PLACE_BY_EXPRESSION && !row->is_signal_frame) {
    return rule_behind(m, row);
  }
  int32_t const bp = words_to_bp(&row->places[RF_REGISTER_BP]);
  int32_t const n = cfa->operand / word;
  bool const from_sp = cfa->base == RF_REGISTER_SP;
  if (row->is_signal_frame || cfa->kind != RF_PLACE_AT_REGISTER || (!from_sp && cfa->base != RF_REGISTER_BP) ||
      !is_at_cfa(pc, 1) || row->places[RF_REGISTER_SP].kind != RF_PLACE_SAME || bp < 0 || cfa->operand % word != 0 ||
      n < 1 || n > 0xFFFF || (from_sp && bp > n)) {
    return RF_RULE_ROW;
  }
  return (uint32_t)bp << 18 | RF_RULE_OF_N(from_sp ? RF_RULE_SP : RF_RULE_BP, n);
}

/* In the place that is free, else in the first, whose rule moves to the second. */
static void keep(uintptr_t pc, uint32_t rule) {
  uint64_t const word = (uint64_t)(pc >> RF_RULES_FIRST_BITS) << RF_RULE_BITS | rule;
  if (word >> RF_RULE_BITS != pc >> RF_RULES_FIRST_BITS) {
    return; /* an address of more than 47 bits */
  }
  if (__atomic_add_fetch(&rules_kept, 1, __ATOMIC_RELAXED) == RF_RULES_FIRST) {
    use_all_sets();
  }
  rf_stack_rule_word *const set = rf_stack_rule_set(pc);
  uint64_t const first = __atomic_load_n(&set[0], __ATOMIC_RELAXED);
  if (first != 0) {
    __atomic_store_n(&set[1], first, __ATOMIC_RELAXED);
  }
  __atomic_store_n(&set[0], word, __ATOMIC_RELAXED);
}

void rf_stack_rule_learn(uintptr_t pc, uintptr_t size) {
  if (size % sizeof size == 0 && size != 0 && size / sizeof size <= RF_RULE_N(UINT32_MAX)) {
    keep(pc, RF_RULE_OF_N(RF_RULE_SP, size / sizeof size));
  }
}

static void forget_rules(void) {
  uint32_t const next = __atomic_load_n(&rf_stack_generation, __ATOMIC_RELAXED) + 1;
  __atomic_store_n(&rf_stack_generation, next != 0 && next != UINT32_MAX ? next : 1, __ATOMIC_RELEASE);
  for (size_t i = 0; i < 2 * (size_t)RF_RULES_SETS; i++) {
    if (__atomic_load_n(&rf_stack_rule_table[i], __ATOMIC_RELAXED) != 0) {
      __atomic_store_n(&rf_stack_rule_table[i], 0, __ATOMIC_RELAXED);
    }
  }
}

typedef struct rule_search {
  uintptr_t pc;
  uint32_t rule; /* out */
} rule_search;

static void find_rule(void *context) {
  rule_search *const s = (rule_search *)context;
  rf_eh_module m;
  rf_eh_row row;
  if (!rf_stack_module_of(s->pc - 1, &m)) {
    return;
  }
  s->rule = rf_eh_frame_row(&m, s->pc - 1, &row) ? rule_of(&m, &row) : RF_RULE_POINTERS;
  rf_module_note const note = rf_stack_module_note(&m);
  if (note == RF_MODULE_REPLACES) {
    forget_rules();
  }
  if (note != RF_MODULE_BUSY) {
    keep(s->pc, s->rule);
  }
}

/* To read the tables takes more of the stack than all else that a request for memory does. */
uint32_t rf_stack_rule_find(uintptr_t pc) {
  rule_search search = {pc, RF_RULE_UNKNOWN};
  rf_on_reserve_stack(find_rule, &search);
  return search.rule;
}

void rf_stack_rules_forget(void) {
  rf_stack_modules_forget(); /* first: a rule that is found meanwhile is of modules as they are now */
  forget_rules();
}

/* ---- Frames that no rule fits ---- */

/* Below the stack pointer, where signals leave what a function has there; tables refer to a register that it just took
 * from there. */
#if defined(__x86_64__)
#define RED_ZONE 128U
#else
#define RED_ZONE 0U
#endif

/* A signal may have come on another stack than the one that it interrupted. */
static bool settle(rf_rules_frame *to, const rf_rules_frame *from, bool is_signal_frame) {
  uintptr_t const sp = to->registers.values[RF_REGISTER_SP];
  uintptr_t low;
  to->returned = !is_signal_frame;
  to->registers.low = sp;
  if (to->registers.values[RF_REGISTER_PC] < RF_PC_LEAST || sp % sizeof sp != 0) {
    return false;
  }
  if (is_signal_frame) {
    bool const bounded = rf_host_stack((const void *)sp, &low, &to->registers.high);
    to->registers.low = bounded && sp - low > RED_ZONE ? sp - RED_ZONE : low;
    return bounded;
  }
  return sp > from->registers.values[RF_REGISTER_SP] && sp <= to->registers.high;
}

typedef struct step {
  rf_rules_frame *frame;
  rf_unwind_result result; /* out */
} step;

static void go_on(void *context) {
  step *const s = (step *)context;
  rf_rules_frame *const frame = s->frame;
  uintptr_t const pc = frame->registers.values[RF_REGISTER_PC] - (frame->returned ? 1 : 0);
  rf_rules_frame next = *frame;
  rf_eh_module m;
  rf_eh_row row;
  if (!rf_stack_module_of(pc, &m) || !rf_eh_frame_row(&m, pc, &row)) {
    return;
  }
  rf_unwind_result const result = rf_eh_frame_step(&m, &row, &next.registers);
  if (result != RF_UNWIND_STEPPED || settle(&next, frame, row.is_signal_frame)) {
    *frame = next;
    s->result = result;
  }
}

rf_unwind_result rf_stack_rules_step(rf_rules_frame *frame) {
  step s = {frame, RF_UNWIND_FAILED};
  rf_on_reserve_stack(go_on, &s);
  return s.result;
}

/* The registers that calls preserve, and the place itself. */
#if defined(__x86_64__)
#define READ_REGISTERS(values)                                                                                         \
  __asm__ volatile("leaq 0(%%rip), %%rax\n\t"                                                                          \
                   "movq %%rax, 128(%0)\n\t"                                                                           \
                   "movq %%rbx, 24(%0)\n\t"                                                                            \
                   "movq %%rbp, 48(%0)\n\t"                                                                            \
                   "movq %%rsp, 56(%0)\n\t"                                                                            \
                   "movq %%r12, 96(%0)\n\t"                                                                            \
                   "movq %%r13, 104(%0)\n\t"                                                                           \
                   "movq %%r14, 112(%0)\n\t"                                                                           \
                   "movq %%r15, 120(%0)"                                                                               \
                   :                                                                                                   \
                   : "r"(values)                                                                                       \
                   : "rax", "memory")
#define READ_KNOWN 0x1F0C8U
#else
#define READ_REGISTERS(values)                                                                                         \
  __asm__ volatile("call 1f\n"                                                                                         \
                   "1:\tpopl 32(%0)\n\t"                                                                               \
                   "movl %%ebx, 12(%0)\n\t"                                                                            \
                   "movl %%esp, 16(%0)\n\t"                                                                            \
                   "movl %%ebp, 20(%0)\n\t"                                                                            \
                   "movl %%esi, 24(%0)\n\t"                                                                            \
                   "movl %%edi, 28(%0)"                                                                                \
                   :                                                                                                   \
                   : "r"(values)                                                                                       \
                   : "memory")
#define READ_KNOWN 0x1F8U
#endif

#define OWN_FRAMES 32U /* of the checker, at most */

typedef struct capture {
  rf_rules_frame frame; /* of this function's caller, later of the last one that was found */
  const rf_origin *origin;
  uintptr_t *frames;
  unsigned max;
  unsigned count; /* out */
} capture;

static void capture_from(void *context) {
  capture *const c = (capture *)context;
  const uintptr_t *const values = c->frame.registers.values;
  uintptr_t const sp = (uintptr_t)c->origin->frame + 2 * sizeof sp;
  for (unsigned i = 0; values[RF_REGISTER_PC] != c->origin->caller || values[RF_REGISTER_SP] < sp; i++) {
    if (i == OWN_FRAMES || rf_stack_rules_step(&c->frame) != RF_UNWIND_STEPPED) {
      return;
    }
  }
  do {
    c->frames[c->count++] = values[RF_REGISTER_PC];
  } while (c->count < c->max && rf_stack_rules_step(&c->frame) == RF_UNWIND_STEPPED);
}

/* All steps on the stack in reserve: to go there and back may take system calls. */
__attribute__((noinline)) unsigned rf_stack_rules_capture(const rf_origin *origin, uintptr_t *frames, unsigned max) {
  capture c = {{.registers.known = READ_KNOWN}, origin, frames, max, 0};
  rf_unwind_registers *const registers = &c.frame.registers;
  READ_REGISTERS(registers->values);
  if (rf_host_stack((const void *)registers->values[RF_REGISTER_SP], &registers->low, &registers->high)) {
    rf_on_reserve_stack(capture_from, &c);
  }
  return c.count;
}

#else

/* ISO C wants a declaration in every file. */
typedef int rf_stack_rules_are_not_known_here;

#endif
