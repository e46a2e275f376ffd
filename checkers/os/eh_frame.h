/* Call frame information: how to find the caller's frame from a place in code, as compilers write it to .eh_frame.
 * Internal to checkers/; x86-64 and i386.
 *
 * No function here allocates, locks or calls the C library for more than copies: all may be called inside malloc, from
 * signal handlers and from several threads at once. They read the module's tables, which the caller knows to be mapped,
 * and of the stack no more than rf_unwind_registers allows.
 */
#ifndef RINGFENCE_EH_FRAME_H
#define RINGFENCE_EH_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Numbers of registers in these tables. */
#if defined(__x86_64__)
enum { RF_REGISTER_BP = 6, RF_REGISTER_SP = 7, RF_REGISTER_PC = 16, RF_REGISTERS = 17 };
#else
enum { RF_REGISTER_BP = 5, RF_REGISTER_SP = 4, RF_REGISTER_PC = 8, RF_REGISTERS = 9 };
#endif

/* A module as it is mapped, and its .eh_frame_hdr. */
typedef struct rf_eh_module {
  uintptr_t start;
  uintptr_t end;
  uintptr_t header; /* 0: it has none */
} rf_eh_module;

/* The place of a register of the caller. */
typedef enum rf_place_kind {
  RF_PLACE_SAME,
  RF_PLACE_UNDEFINED,
  RF_PLACE_AT_CFA,        /* in memory, at CFA + operand */
  RF_PLACE_CFA_PLUS,      /* CFA + operand itself */
  RF_PLACE_AT_REGISTER,   /* the CFA only: a register + operand */
  RF_PLACE_IN_REGISTER,   /* register number `operand` */
  RF_PLACE_AT_EXPRESSION, /* in memory, at the expression's value; the operand is its offset in the module */
  RF_PLACE_BY_EXPRESSION, /* that value itself */
} rf_place_kind;

typedef struct rf_place {
  uint8_t kind;
  uint8_t base; /* of RF_PLACE_AT_REGISTER */
  int32_t operand;
} rf_place;

/* The caller's frame, seen from one instruction. */
typedef struct rf_eh_row {
  rf_place cfa; /* the stack pointer before the call: RF_PLACE_AT_REGISTER or RF_PLACE_BY_EXPRESSION */
  rf_place places[RF_REGISTERS];
  bool is_signal_frame; /* the caller was interrupted: its pc is not a return address */
} rf_eh_row;

/* The row for the instruction at `pc` of `module`. False where the tables have none, or have a form not known here. */
bool rf_eh_frame_row(const rf_eh_module *module, uintptr_t pc, rf_eh_row *row);

/* The start of .eh_frame itself, as the header says; 0 if the module has no header that can be read. */
uintptr_t rf_eh_frame_start(const rf_eh_module *module);

/* Registers of a frame; those not in `known` (bit n: register n) hold nothing. Memory is read in [low, high) alone. */
typedef struct rf_unwind_registers {
  uintptr_t values[RF_REGISTERS];
  uint32_t known;
  uintptr_t low;
  uintptr_t high;
} rf_unwind_registers;

typedef enum rf_unwind_result { RF_UNWIND_STEPPED, RF_UNWIND_END, RF_UNWIND_FAILED } rf_unwind_result;

/* Makes the registers those of the caller. RF_UNWIND_END where `row` says that there is none; RF_UNWIND_FAILED where a
 * register is needed that is not known, or memory outside the bounds. They are then as before. */
rf_unwind_result rf_eh_frame_step(const rf_eh_module *module, const rf_eh_row *row, rf_unwind_registers *registers);

/* True where the expression of `place` is "the word at register `base` + *offset" (with `deref`), or "register `base` +
 * *offset" (without). */
bool rf_eh_frame_is_simple(const rf_eh_module *module, const rf_place *place, unsigned base, bool deref,
                           int32_t *offset);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_EH_FRAME_H */
