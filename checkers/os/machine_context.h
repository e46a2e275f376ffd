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

#endif /* RINGFENCE_MACHINE_CONTEXT_H */
