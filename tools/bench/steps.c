#define _GNU_SOURCE
#include "steps.h"

#if defined(__x86_64__) && defined(__linux__)

#include <signal.h>
#include <ucontext.h>

static uintptr_t entry;       /* of the function that is counted */
static uintptr_t entry_stack; /* stack pointer there; 0: not entered yet */
static bool returned;
static size_t counted;

/* Runs before each instruction while the trap flag is set. */
static void on_trap(int number, siginfo_t *info, void *context) {
  const greg_t *const registers = ((const ucontext_t *)context)->uc_mcontext.gregs;
  uintptr_t const stack = (uintptr_t)registers[REG_RSP];
  (void)number;
  (void)info;
  if (entry_stack == 0 && (uintptr_t)registers[REG_RIP] == entry) {
    entry_stack = stack;
  }
  returned = returned || (entry_stack != 0 && stack > entry_stack);
  counted += entry_stack != 0 && !returned ? 1 : 0;
}

bool steps_init(void) {
  struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
  return sigemptyset(&action.sa_mask) == 0 && sigaction(SIGTRAP, &action, NULL) == 0;
}

void steps_begin(uintptr_t entry_point) {
  entry = entry_point;
  entry_stack = 0;
  returned = false;
  counted = 0;
  __asm__ volatile("sub $128, %%rsp\n\tpushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\tadd $128, %%rsp" ::: "cc", "memory");
}

size_t steps_end(void) {
  __asm__ volatile("sub $128, %%rsp\n\tpushfq\n\tandq $~0x100, (%%rsp)\n\tpopfq\n\tadd $128, %%rsp" ::: "cc", "memory");
  return counted;
}

#else

bool steps_init(void) {
  return false;
}

void steps_begin(uintptr_t entry_point) {
  (void)entry_point;
}

size_t steps_end(void) {
  return 0;
}

#endif

static __attribute__((noinline)) void *user_alloc(rf_allocator *a, size_t size) {
  return rf_alloc(a, size);
}

static __attribute__((noinline)) rf_status user_free(rf_allocator *a, void *p) {
  return rf_free(a, p);
}

size_t steps_of_alloc(rf_allocator *a, size_t size, void **out) {
  steps_begin((uintptr_t)user_alloc);
  *out = user_alloc(a, size);
  return steps_end();
}

size_t steps_of_free(rf_allocator *a, void *p) {
  steps_begin((uintptr_t)user_free);
  (void)user_free(a, p);
  return steps_end();
}
