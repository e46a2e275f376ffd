/* From one frame to its caller's by a row of .eh_frame, expressions included. */
#include "eh_frame.h"

#if defined(__x86_64__) || defined(__i386__)

#include "eh_reader.h"
#include "lib/core/compiler.h"
#include "stack_walk.h"

/* ---- Expressions ---- */

enum { OPERANDS = 8 };

/* Operations of DWARF 4, 7.7.1: those that real tables have. */
enum {
  OP_ADDR = 0x03,
  OP_DEREF = 0x06,
  OP_CONST1U = 0x08,
  OP_CONST1S,
  OP_CONST2U,
  OP_CONST2S,
  OP_CONST4U,
  OP_CONST4S,
  OP_CONST8U,
  OP_CONST8S,
  OP_CONSTU,
  OP_CONSTS,
  OP_DUP,
  OP_DROP,
  OP_OVER,
  OP_SWAP = 0x16,
  OP_AND = 0x1A,
  OP_MINUS = 0x1C,
  OP_MUL = 0x1E,
  OP_NEG,
  OP_NOT,
  OP_OR,
  OP_PLUS,
  OP_PLUS_UCONST,
  OP_SHL,
  OP_SHR,
  OP_XOR = 0x27,
  OP_EQ = 0x29,
  OP_GE,
  OP_GT,
  OP_LE,
  OP_LT,
  OP_NE,
  OP_LIT0 = 0x30,
  OP_BREG0 = 0x70,
  OP_NOP = 0x96
};

typedef struct evaluation {
  const rf_unwind_registers *registers;
  uintptr_t operands[OPERANDS];
  unsigned depth;
  bool failed;
} evaluation;

static void push(evaluation *e, uintptr_t value) {
  if (e->depth == OPERANDS) {
    e->failed = true;
  } else {
    e->operands[e->depth++] = value;
  }
}

static uintptr_t pop(evaluation *e) {
  if (e->depth == 0) {
    e->failed = true;
    return 0;
  }
  return e->operands[--e->depth];
}

RF_NO_SANITIZE static bool read_word(const rf_unwind_registers *r, uintptr_t at, uintptr_t *value) {
  if (at % sizeof *value != 0 || at < r->low || at >= r->high || r->high - at < sizeof *value) {
    return false;
  }
  /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): it lies on the stack, see above */
  *value = *(const uintptr_t *)at;
  return true;
}

static bool read_register(const rf_unwind_registers *r, uint64_t number, uintptr_t *value) {
  if (number >= RF_REGISTERS || (r->known >> number & 1) == 0) {
    return false;
  }
  *value = r->values[number];
  return true;
}

static void push_register(evaluation *e, unsigned number, int64_t offset) {
  uintptr_t value = 0;
  e->failed = e->failed || !read_register(e->registers, number, &value);
  push(e, value + (uintptr_t)offset);
}

/* False: `op` is none of the constants. */
static bool run_constant(evaluation *e, eh_cursor *c, uint8_t op) {
  static const uint8_t encodings[] = {0, 0, 0x02, 0x0A, 0x03, 0x0B, 0x04, 0x0C, 0x01, 0x09};
  if (op >= OP_LIT0 && op < OP_LIT0 + 32) {
    push(e, op - OP_LIT0);
  } else if (op >= OP_BREG0 && op < OP_BREG0 + 32) {
    push_register(e, op - OP_BREG0, eh_sleb(c));
  } else if (op == OP_CONST1U) {
    push(e, eh_u8(c));
  } else if (op == OP_CONST1S) {
    push(e, (uintptr_t)(intptr_t)(int8_t)eh_u8(c));
  } else if (op > OP_CONST1S && op <= OP_CONSTS) {
    push(e, eh_value(c, encodings[op - OP_CONST1U]));
  } else if (op == OP_ADDR) {
    push(e, eh_value(c, 0));
  } else {
    return false;
  }
  return true;
}

static bool run_unary(evaluation *e, eh_cursor *c, uint8_t op) {
  uintptr_t value;
  switch (op) {
  case OP_DEREF:
    e->failed = e->failed || !read_word(e->registers, pop(e), &value);
    push(e, e->failed ? 0 : value);
    return true;
  case OP_DUP:
    value = pop(e);
    push(e, value);
    push(e, value);
    return true;
  case OP_DROP:
    (void)pop(e);
    return true;
  case OP_NEG:
    push(e, 0 - pop(e));
    return true;
  case OP_NOT:
    push(e, ~pop(e));
    return true;
  case OP_PLUS_UCONST:
    value = pop(e);
    push(e, value + (uintptr_t)eh_uleb(c));
    return true;
  default:
    return op == OP_NOP;
  }
}

static bool compare(uint8_t op, intptr_t a, intptr_t b) {
  switch (op) {
  case OP_EQ:
    return a == b;
  case OP_GE:
    return a >= b;
  case OP_GT:
    return a > b;
  case OP_LE:
    return a <= b;
  case OP_LT:
    return a < b;
  default:
    return a != b;
  }
}

static void run_binary(evaluation *e, uint8_t op) {
  uintptr_t const b = pop(e);
  uintptr_t const a = pop(e);
  uintptr_t const bits = sizeof a * 8;
  switch (op) {
  case OP_OVER:
    push(e, a);
    push(e, b);
    push(e, a);
    return;
  case OP_SWAP:
    push(e, b);
    push(e, a);
    return;
  case OP_AND:
    push(e, a & b);
    return;
  case OP_MINUS:
    push(e, a - b);
    return;
  case OP_MUL:
    push(e, a * b);
    return;
  case OP_OR:
    push(e, a | b);
    return;
  case OP_PLUS:
    push(e, a + b);
    return;
  case OP_SHL:
    push(e, b < bits ? a << b : 0);
    return;
  case OP_SHR:
    push(e, b < bits ? a >> b : 0);
    return;
  case OP_XOR:
    push(e, a ^ b);
    return;
  default:
    e->failed = e->failed || op < OP_EQ || op > OP_NE;
    push(e, compare(op, (intptr_t)a, (intptr_t)b) ? 1 : 0);
  }
}

static eh_cursor expression_of(const rf_eh_module *m, const rf_place *place) {
  eh_cursor c = {m->start + (uintptr_t)place->operand, m->end, false};
  uint64_t const size = eh_uleb(&c);
  eh_cursor const start = c;
  eh_skip(&c, size);
  return (eh_cursor){start.at, c.at, c.bad};
}

/* `pushed`: what stands on the stack of operands before; NULL: nothing. */
static bool evaluate(const rf_eh_module *m, const rf_place *place, const rf_unwind_registers *r,
                     const uintptr_t *pushed, uintptr_t *value) {
  evaluation e = {.registers = r};
  eh_cursor c = expression_of(m, place);
  if (pushed != NULL) {
    push(&e, *pushed);
  }
  while (c.at < c.end && !c.bad && !e.failed) {
    uint8_t const op = eh_u8(&c);
    if (!run_constant(&e, &c, op) && !run_unary(&e, &c, op)) {
      run_binary(&e, op);
    }
  }
  *value = pop(&e);
  return !c.bad && !e.failed;
}

bool rf_eh_frame_is_simple(const rf_eh_module *module, const rf_place *place, unsigned base, bool deref,
                           int32_t *offset) {
  eh_cursor c = expression_of(module, place);
  bool const from_base = eh_u8(&c) == OP_BREG0 + base;
  int64_t const by = eh_sleb(&c);
  bool const as_asked = from_base && (!deref || eh_u8(&c) == OP_DEREF);
  *offset = (int32_t)by;
  return as_asked && !c.bad && c.at == c.end && by == (int32_t)by;
}

/* ---- The step ---- */

/* The value that `place` gives register `number`. False: not known. */
static bool value_of(const rf_eh_module *m, const rf_place *place, unsigned number, const rf_unwind_registers *r,
                     uintptr_t cfa, uintptr_t *value) {
  uintptr_t at;
  switch ((rf_place_kind)place->kind) {
  case RF_PLACE_SAME:
    return read_register(r, number, value);
  case RF_PLACE_AT_CFA:
    return read_word(r, cfa + (uintptr_t)(intptr_t)place->operand, value);
  case RF_PLACE_CFA_PLUS:
    *value = cfa + (uintptr_t)(intptr_t)place->operand;
    return true;
  case RF_PLACE_IN_REGISTER:
    return read_register(r, (uint64_t)place->operand, value);
  case RF_PLACE_AT_EXPRESSION:
    return evaluate(m, place, r, &cfa, &at) && read_word(r, at, value);
  case RF_PLACE_BY_EXPRESSION:
    return evaluate(m, place, r, &cfa, value);
  case RF_PLACE_UNDEFINED:
  case RF_PLACE_AT_REGISTER:
    break;
  }
  return false;
}

/* True for registers that hold the caller's values after a call; functions may change the others. */
static bool survives_calls(unsigned number) {
#if defined(__x86_64__)
  return number == 3 || number == RF_REGISTER_BP || (number >= 12 && number <= 15);
#else
  return number == 3 || number >= RF_REGISTER_BP;
#endif
}

RF_COLD rf_unwind_result rf_eh_frame_step(const rf_eh_module *module, const rf_eh_row *row,
                                          rf_unwind_registers *registers) {
  rf_unwind_registers next = *registers;
  uintptr_t cfa;
  if (row->places[RF_REGISTER_PC].kind == RF_PLACE_UNDEFINED) {
    return RF_UNWIND_END;
  }
  if (row->cfa.kind == RF_PLACE_BY_EXPRESSION) {
    if (!evaluate(module, &row->cfa, registers, NULL, &cfa)) {
      return RF_UNWIND_FAILED;
    }
  } else {
    if (!read_register(registers, row->cfa.base, &cfa)) {
      return RF_UNWIND_FAILED;
    }
    cfa += (uintptr_t)(intptr_t)row->cfa.operand;
  }
  next.known = 0;
  for (unsigned i = 0; i < RF_REGISTERS; i++) {
    const rf_place *const place = &row->places[i];
    bool const same = place->kind == RF_PLACE_SAME;
    bool const lost = same && (i == RF_REGISTER_PC || (!row->is_signal_frame && !survives_calls(i)));
    if (same && i == RF_REGISTER_SP) {
      next.values[i] = cfa;
      next.known |= 1U << i;
    } else if (!lost && value_of(module, place, i, registers, cfa, &next.values[i])) {
      next.known |= 1U << i;
    }
  }
  uint32_t const needed = 1U << RF_REGISTER_PC | 1U << RF_REGISTER_SP;
  if ((next.known & needed) != needed) {
    return RF_UNWIND_FAILED;
  }
  *registers = next;
  return RF_UNWIND_STEPPED;
}

#else

/* ISO C wants a declaration in every file. */
typedef int rf_eh_frame_is_not_stepped_here;

#endif
