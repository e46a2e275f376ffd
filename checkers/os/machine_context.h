/* The registers of a thread that a signal stopped. The source that includes this defines _GNU_SOURCE. Internal to
 * checkers/. */
#ifndef RINGFENCE_MACHINE_CONTEXT_H
#define RINGFENCE_MACHINE_CONTEXT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

#include "host.h"

/* As the first of rf_access, which floors above know. */
typedef enum rf_machine_access { RF_MACHINE_UNKNOWN, RF_MACHINE_READ, RF_MACHINE_WRITE } rf_machine_access;

/* All zero where the processor is not one of those known here. */
typedef struct rf_machine_context {
  uintptr_t pc;
  uintptr_t frame;          /* the frame pointer; 0 where it is no address on the stack: code without one */
  uintptr_t stack;          /* the stack pointer */
  rf_machine_access access; /* of a fault */
  unsigned exception;       /* x86: the number of the processor's last one; else 0 */
} rf_machine_context;

/* The access of a fault on AArch64, by the exception's syndrome, one of the records that Linux puts behind the
 * registers: | magic | size | data |, the last one with size 0. Emulators may leave it out. */
static inline rf_machine_access rf_machine_access_of(const unsigned char *records, size_t size) {
  enum { SYNDROME = 0x45535201, CLASS_SHIFT = 26, DATA_ABORT = 0x24, WRITTEN = 1 << 6 };
  const unsigned char *at = records;
  const unsigned char *const end = records + size;
  while (end - at >= 16) {
    uint32_t head[2];
    uint64_t syndrome;
    memcpy(head, at, sizeof head);
    memcpy(&syndrome, at + sizeof head, sizeof syndrome);
    if (head[0] == SYNDROME && (syndrome >> CLASS_SHIFT & 0x3E) == DATA_ABORT) {
      return (syndrome & WRITTEN) != 0 ? RF_MACHINE_WRITE : RF_MACHINE_READ;
    }
    if (head[1] < sizeof head || head[1] > (uint32_t)(end - at)) {
      break;
    }
    at += head[1];
  }
  return RF_MACHINE_UNKNOWN;
}

/* `frame`, if it is on the same stack as the frames from `stack` on. */
static inline uintptr_t rf_machine_frame(uintptr_t frame, uintptr_t stack) {
  return frame >= stack && frame - stack < rf_host_stack_above((const void *)stack) ? frame : 0;
}

static inline rf_machine_context rf_machine_context_of(const ucontext_t *context) {
#if defined(__linux__) && (defined(__x86_64__) || defined(__i386__))
#if defined(__x86_64__)
  enum { PC = REG_RIP, FRAME = REG_RBP, STACK = REG_RSP };
#else
  enum { PC = REG_EIP, FRAME = REG_EBP, STACK = REG_ESP };
#endif
  greg_t const written = 2; /* in the error code of a page fault */
  const greg_t *const r = context->uc_mcontext.gregs;
  uintptr_t const stack = (uintptr_t)r[STACK];
  return (rf_machine_context){(uintptr_t)r[PC], rf_machine_frame((uintptr_t)r[FRAME], stack), stack,
                              (r[REG_ERR] & written) != 0 ? RF_MACHINE_WRITE : RF_MACHINE_READ,
                              (unsigned)r[REG_TRAPNO]};
#elif defined(__linux__) && defined(__aarch64__)
  return (rf_machine_context){
      (uintptr_t)context->uc_mcontext.pc,
      rf_machine_frame((uintptr_t)context->uc_mcontext.regs[29], (uintptr_t)context->uc_mcontext.sp),
      (uintptr_t)context->uc_mcontext.sp,
      rf_machine_access_of(context->uc_mcontext.__reserved, sizeof context->uc_mcontext.__reserved), 0};
#else
  (void)context;
  return (rf_machine_context){0, 0, 0, RF_MACHINE_UNKNOWN, 0};
#endif
}

#define RF_MACHINE_REGISTERS 32U

/* The general registers, of which calls keep the first ones. */
typedef struct rf_machine_registers {
  uintptr_t word[RF_MACHINE_REGISTERS];
  unsigned kept;
  unsigned count; /* 0 where the processor is not one of those known here */
} rf_machine_registers;

static inline rf_machine_registers rf_machine_registers_of(const ucontext_t *context) {
  rf_machine_registers out;
  memset(&out, 0, sizeof out);
#if defined(__linux__) && defined(__x86_64__)
  static const unsigned char order[] = {REG_RBX, REG_RBP, REG_R12, REG_R13, REG_R14, REG_R15, REG_RAX, REG_RCX,
                                        REG_RDX, REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11};
  enum { KEPT = 6 };
#elif defined(__linux__) && defined(__i386__)
  static const unsigned char order[] = {REG_EBX, REG_EBP, REG_ESI, REG_EDI, REG_EAX, REG_ECX, REG_EDX};
  enum { KEPT = 4 };
#elif defined(__linux__) && defined(__aarch64__)
  static const unsigned char order[] = {19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 0,  1,  2,  3, 4,
                                        5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18};
  enum { KEPT = 10 };
#else
  (void)context;
#endif
#if defined(__linux__) && (defined(__x86_64__) || defined(__i386__) || defined(__aarch64__))
  out.kept = KEPT;
  out.count = sizeof order;
  for (unsigned i = 0; i < sizeof order; i++) {
#if defined(__aarch64__)
    out.word[i] = (uintptr_t)context->uc_mcontext.regs[order[i]];
#else
    out.word[i] = (uintptr_t)context->uc_mcontext.gregs[order[i]];
#endif
  }
#endif
  return out;
}

#endif /* RINGFENCE_MACHINE_CONTEXT_H */
