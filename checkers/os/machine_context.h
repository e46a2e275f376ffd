/* The registers of a thread that a signal stopped. The source that includes this defines _GNU_SOURCE. Internal to
 * checkers/. */
#ifndef RINGFENCE_MACHINE_CONTEXT_H
#define RINGFENCE_MACHINE_CONTEXT_H

#include <stdint.h>
#include <ucontext.h>

/* As the first of rf_access, which floors above know. */
typedef enum rf_machine_access { RF_MACHINE_UNKNOWN, RF_MACHINE_READ, RF_MACHINE_WRITE } rf_machine_access;

/* All zero where the processor is not one of those known here. */
typedef struct rf_machine_context {
  uintptr_t pc;
  uintptr_t frame;          /* the frame pointer */
  rf_machine_access access; /* of a fault */
} rf_machine_context;

static inline rf_machine_context rf_machine_context_of(const ucontext_t *context) {
#if defined(__linux__) && (defined(__x86_64__) || defined(__i386__))
#if defined(__x86_64__)
  enum { PC = REG_RIP, FRAME = REG_RBP };
#else
  enum { PC = REG_EIP, FRAME = REG_EBP };
#endif
  greg_t const written = 2; /* in the error code of a page fault */
  const greg_t *const r = context->uc_mcontext.gregs;
  return (rf_machine_context){(uintptr_t)r[PC], (uintptr_t)r[FRAME],
                              (r[REG_ERR] & written) != 0 ? RF_MACHINE_WRITE : RF_MACHINE_READ};
#elif defined(__linux__) && defined(__aarch64__)
  return (rf_machine_context){(uintptr_t)context->uc_mcontext.pc, (uintptr_t)context->uc_mcontext.regs[29],
                              RF_MACHINE_UNKNOWN};
#else
  (void)context;
  return (rf_machine_context){0, 0, RF_MACHINE_UNKNOWN};
#endif
}

#endif /* RINGFENCE_MACHINE_CONTEXT_H */
