#define _GNU_SOURCE
#include "reserve_stack.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "forbidden_calls.h"

/* Left free above the first frame: a function that it calls may come with arguments on the stack as far as anybody
 * knows. The loader copies as many bytes as a library of LD_AUDIT says from there. */
#define ABOVE ((uintptr_t)4096)

static uintptr_t reserve; /* 0: none */
static bool taken;        /* accessed atomically */

static bool is_on_reserve(void) {
  return (uintptr_t)__builtin_frame_address(0) - reserve < RF_RESERVE_STACK_BYTES;
}

void rf_reserve_stack_init(void *memory) {
  reserve = (uintptr_t)memory;
}

void rf_reserve_stack_forked(void) {
  if (__atomic_load_n(&taken, __ATOMIC_RELAXED) && !is_on_reserve()) {
    __atomic_store_n(&taken, false, __ATOMIC_RELAXED);
  }
}

/* Calls work(argument) with the stack pointer at `top`. A stack that is taken meanwhile leads on to the caller: its
 * frame is found by the frame pointer. */
#if defined(__x86_64__)
__asm__(".text\n"
        ".hidden rf_switch_stack\n"
        ".globl rf_switch_stack\n"
        ".type rf_switch_stack, @function\n"
        "rf_switch_stack:\n"
        ".cfi_startproc\n"
        "pushq %rbp\n"
        ".cfi_def_cfa_offset 16\n"
        ".cfi_offset %rbp, -16\n"
        "movq %rsp, %rbp\n"
        ".cfi_def_cfa_register %rbp\n"
        "movq %rdi, %rsp\n"
        "movq %rdx, %rdi\n"
        "callq *%rsi\n"
        "leave\n"
        ".cfi_def_cfa %rsp, 8\n"
        "ret\n"
        ".cfi_endproc\n"
        ".size rf_switch_stack, .-rf_switch_stack\n");
#elif defined(__i386__)
__asm__(".text\n"
        ".hidden rf_switch_stack\n"
        ".globl rf_switch_stack\n"
        ".type rf_switch_stack, @function\n"
        "rf_switch_stack:\n"
        ".cfi_startproc\n"
        "pushl %ebp\n"
        ".cfi_def_cfa_offset 8\n"
        ".cfi_offset %ebp, -8\n"
        "movl %esp, %ebp\n"
        ".cfi_def_cfa_register %ebp\n"
        "movl 8(%ebp), %eax\n"
        "leal -12(%eax), %esp\n"
        "pushl 16(%ebp)\n"
        "calll *12(%ebp)\n"
        "leave\n"
        ".cfi_def_cfa %esp, 4\n"
        "ret\n"
        ".cfi_endproc\n"
        ".size rf_switch_stack, .-rf_switch_stack\n");
#elif defined(__aarch64__)
__asm__(".text\n"
        ".hidden rf_switch_stack\n"
        ".globl rf_switch_stack\n"
        ".type rf_switch_stack, %function\n"
        "rf_switch_stack:\n"
        ".cfi_startproc\n"
        "stp x29, x30, [sp, #-16]!\n"
        ".cfi_def_cfa_offset 16\n"
        ".cfi_offset x29, -16\n"
        ".cfi_offset x30, -8\n"
        "mov x29, sp\n"
        ".cfi_def_cfa_register x29\n"
        "mov sp, x0\n"
        "mov x0, x2\n"
        "blr x1\n"
        "mov sp, x29\n"
        ".cfi_def_cfa_register sp\n"
        "ldp x29, x30, [sp], #16\n"
        ".cfi_restore x29\n"
        ".cfi_restore x30\n"
        ".cfi_def_cfa_offset 0\n"
        "ret\n"
        ".cfi_endproc\n"
        ".size rf_switch_stack, .-rf_switch_stack\n");
#endif

#if defined(__x86_64__) || defined(__i386__) || defined(__aarch64__)
void rf_switch_stack(uintptr_t top, rf_reserve_work work, void *argument) __attribute__((visibility("hidden")));
#else
static void rf_switch_stack(uintptr_t top, rf_reserve_work work, void *argument) {
  (void)top;
  work(argument);
}
#endif

typedef struct task {
  rf_reserve_work work;
  void *argument;
  stack_t handlers; /* the thread's stack for them, where the caller is on it */
} task;

/* The system would begin at the top of the thread's stack for handlers, since nobody seems to be on it. */
static void work_off_handlers(void *argument) {
  task *const t = (task *)argument;
  stack_t const none = {.ss_flags = SS_DISABLE, .ss_size = t->handlers.ss_size};
  bool const away = sigaltstack(&none, NULL) == 0;
  t->work(t->argument);
  if (away) {
    (void)sigaltstack(&t->handlers, NULL);
  }
}

static void switch_for(rf_reserve_work work, void *argument) {
  task t = {work, argument, {.ss_flags = 0}};
  uintptr_t const top = reserve + RF_RESERVE_STACK_BYTES - ABOVE;
  if (rf_is_forbidden(RF_CALL_OTHERS) || sigaltstack(NULL, &t.handlers) != 0 ||
      (t.handlers.ss_flags & SS_ONSTACK) == 0) {
    rf_switch_stack(top, work, argument);
    return;
  }
  t.handlers.ss_flags &= ~SS_ONSTACK;
  rf_switch_stack(top, work_off_handlers, &t);
}

void rf_on_reserve_stack(rf_reserve_work work, void *argument) {
  if (reserve == 0 || is_on_reserve() || __atomic_exchange_n(&taken, true, __ATOMIC_ACQUIRE)) {
    work(argument);
    return;
  }
  switch_for(work, argument);
  __atomic_store_n(&taken, false, __ATOMIC_RELEASE);
}
