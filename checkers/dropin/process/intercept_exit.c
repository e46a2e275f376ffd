/* Interception of the program's entry and of its exits.
 *
 * Knowing where the stack ended when the program was left keeps the leak scan from reading what lies below, where the
 * addresses of lost blocks linger. */
#define _GNU_SOURCE
#include "checkers/dropin/runtime/state.h"
#include "checkers/os/stack_layout.h"
#include "checkers/os/stack_rules.h"
#include "intercept.h"
#include "lifecycle.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef int (*main_function)(int argc, char **argv, char **environment);

#if !RF_DROPIN_LIBRARY
_Noreturn void __real_exit(int status);
int __real_fclose(FILE *stream);
int __wrap_fclose(FILE *stream);
int __real___libc_start_main(main_function main, int argc, char **argv, void (*init)(void), void (*fini)(void),
                             void (*loader_fini)(void), void *stack_end);
#endif

RF_EXPORT int OURS(__libc_start_main)(main_function main, int argc, char **argv, void (*init)(void), void (*fini)(void),
                                      void (*loader_fini)(void), void *stack_end);
RF_EXPORT _Noreturn void OURS(exit)(int status);
RF_EXPORT _Noreturn void OURS(_exit)(int status);
RF_EXPORT _Noreturn void OURS(_Exit)(int status);

/* ---- Entry ---- */

/* In a section of its own, so that its frames can be told from the program's. */
#define ENTRY __attribute__((noinline, section("rf_entry")))
extern const char __start_rf_entry[] __attribute__((visibility("hidden")));
extern const char __stop_rf_entry[] __attribute__((visibility("hidden")));

#if defined(__GNUC__) && !defined(__clang__)
#define FRAMELESS __attribute__((optimize("omit-frame-pointer"), noclone))
#else
#define FRAMELESS
#endif

/* May be called with a stack that is not aligned. */
#if defined(__x86_64__) || defined(__i386__)
#define AT_ANY_STACK __attribute__((noinline, force_align_arg_pointer))
#else
#define AT_ANY_STACK __attribute__((noinline))
#endif

static main_function program_main;
static uintptr_t main_stack; /* where the stack of main ends */

/* The stack below, where main's frame was, holds no roots of blocks any more. Where there was no main, learn_rule has
 * run, and nothing is left. */
ENTRY FRAMELESS AT_ANY_STACK static int leave_main(int status) {
  if (program_main == NULL) {
    return status;
  }
  rf_process_leaving(main_stack, status);
  THEIRS(exit)(status);
  __builtin_unreachable();
}

/* The root of all stacks of main's thread, which are known without it (stack_layout.h). It has no frame pointer, since
 * each stack would depend on the one that main saves. Once main has returned, it asks nothing of the registers, as the
 * C library does not: Free Pascal's programs halt by a jump to where main would return, from any depth. */
ENTRY FRAMELESS static int run_main(int argc, char **argv, char **environment) {
  main_stack = (uintptr_t)__builtin_dwarf_cfa();
  return leave_main(program_main(argc, argv, environment));
}

#if RF_STACK_RULES && defined(__x86_64__) && !defined(__clang__) /* run_main saves no register there */

/* In the place of main, once: learns where a call of run_main's returns to, and how large its frame is. The first stack
 * of each process would need that from this library's tables, which few processes read otherwise. */
static int learn_rule(int argc, char **argv, char **environment) {
  (void)argc;
  (void)argv;
  (void)environment;
  rf_stack_rule_learn((uintptr_t)__builtin_return_address(0), main_stack - (uintptr_t)__builtin_dwarf_cfa());
  program_main = NULL;
  return 0;
}

static void know_run_main(void) {
  program_main = learn_rule;
  (void)run_main(0, NULL, NULL);
}

#else

static void know_run_main(void) {}

#endif

ENTRY int OURS(__libc_start_main)(main_function main, int argc, char **argv, void (*init)(void), void (*fini)(void),
                                  void (*loader_fini)(void), void *stack_end) {
  know_run_main();
  program_main = main;
  rf_process.entry_start = (uintptr_t)__start_rf_entry;
  rf_process.entry_end = (uintptr_t)__stop_rf_entry;
  rf_stack_set_root(rf_process.entry_start, rf_process.entry_end);
  return THEIRS(__libc_start_main)(run_main, argc, argv, init, fini, loader_fini, stack_end);
}

/* ---- Exits ---- */

/* The frame of this function lies below its caller's, with the registers that the caller saved. */
__attribute__((noinline)) static _Noreturn void leave(int status) {
  rf_process_leaving((uintptr_t)__builtin_frame_address(0), status);
  THEIRS(exit)(status);
  __builtin_unreachable();
}

/* The program's frames are still there when it calls exit, and what they hold in registers counts as held. */
void OURS(exit)(int status) {
  __builtin_unwind_init();
  leave(status);
}

void OURS(_exit)(int status) {
  int const code = rf_process_end(RF_ENDING_ABRUPT, status);
  for (;;) {
    (void)syscall(SYS_exit_group, code);
  }
}

void OURS(_Exit)(int status) {
  OURS(_exit)(status);
}

#if !RF_DROPIN_LIBRARY
int __wrap_fclose(FILE *stream) {
  rf_origin const origin = RF_CALLER;
  return rf_process_closes(stream, &origin) ? __real_fclose(stream) : EOF;
}
#endif
