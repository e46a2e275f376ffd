/* The entry of the program, and the ways in which a process ends or becomes another one: what the library takes hold of beside
 * malloc. Not part of programs that are linked with the drop-in, whose C library may be static.
 *
 * Knowing where the stack ended when the program was left keeps the leak scan from reading what lies below, where lost
 * blocks' addresses linger. */
#define _GNU_SOURCE
#include "front.h"
#include "next.h"
#include "process.h"

#include <alloca.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef int (*main_function)(int argc, char **argv, char **environment);
typedef int (*start_function)(main_function main, int argc, char **argv, void (*init)(void), void (*fini)(void),
                              void (*loader_fini)(void), void *stack_end);

RF_EXPORT int __libc_start_main(main_function main, int argc, char **argv, void (*init)(void), void (*fini)(void),
                                void (*loader_fini)(void), void *stack_end);
RF_EXPORT _Noreturn void exit(int status);
RF_EXPORT _Noreturn void _exit(int status);
RF_EXPORT _Noreturn void _Exit(int status);
RF_EXPORT int execve(const char *path, char *const argv[], char *const environment[]);
RF_EXPORT int execv(const char *path, char *const argv[]);
RF_EXPORT int execvp(const char *file, char *const argv[]);
RF_EXPORT int execvpe(const char *file, char *const argv[], char *const environment[]);
RF_EXPORT int fexecve(int file, char *const argv[], char *const environment[]);
RF_EXPORT int execl(const char *path, const char *first, ...);
RF_EXPORT int execlp(const char *file, const char *first, ...);
RF_EXPORT int execle(const char *path, const char *first, ...);

/* The C library's function of that name. */
#define NEXT(type, name) ((type)rf_next(name))

/* ---- Entry ---- */

static main_function program_main;

/* What main left on the stack is no longer anybody's. */
static int run_main(int argc, char **argv, char **environment) {
  int const status = program_main(argc, argv, environment);
  rf_process_leaving((uintptr_t)__builtin_frame_address(0));
  return status;
}

int __libc_start_main(main_function main, int argc, char **argv, void (*init)(void), void (*fini)(void),
                      void (*loader_fini)(void), void *stack_end) {
  program_main = main;
  return NEXT(start_function, "__libc_start_main")(run_main, argc, argv, init, fini, loader_fini, stack_end);
}

/* ---- exit ---- */

/* The frame of this function lies below its caller's, with the registers that the caller saved. */
__attribute__((noinline)) static _Noreturn void leave(int status) {
  rf_process_leaving((uintptr_t)__builtin_frame_address(0));
  NEXT(void (*)(int), "exit")(status);
  __builtin_unreachable();
}

/* The program's frames are still there when it calls exit, and what they hold in registers counts as held. */
void exit(int status) {
  __builtin_unwind_init();
  leave(status);
}

void _exit(int status) {
  int const code = rf_process_end(RF_ENDING_ABRUPT, status);
  for (;;) {
    (void)syscall(SYS_exit_group, code);
  }
}

void _Exit(int status) {
  _exit(status);
}

/* ---- exec: a child between fork and exec is nobody's end ---- */

static void before_exec(void) {
  if (!rf_process.forked) {
    (void)rf_process_end(RF_ENDING_EXEC, 0);
  }
}

static int failed(int result) {
  int const saved = errno;
  rf_process_resume();
  errno = saved;
  return result;
}

int execve(const char *path, char *const argv[], char *const environment[]) {
  typedef int (*function)(const char *, char *const[], char *const[]);
  before_exec();
  return failed(NEXT(function, "execve")(path, argv, environment));
}

int execv(const char *path, char *const argv[]) {
  return execve(path, argv, environ);
}

int execvpe(const char *file, char *const argv[], char *const environment[]) {
  typedef int (*function)(const char *, char *const[], char *const[]);
  before_exec();
  return failed(NEXT(function, "execvpe")(file, argv, environment));
}

int execvp(const char *file, char *const argv[]) {
  return execvpe(file, argv, environ);
}

int fexecve(int file, char *const argv[], char *const environment[]) {
  typedef int (*function)(int, char *const[], char *const[]);
  before_exec();
  return failed(NEXT(function, "fexecve")(file, argv, environment));
}

/* Counts the arguments of execl and its like, the NULL at the end included. */
static size_t count_arguments(const char *first, va_list list) {
  size_t count = 1;
  for (const char *argument = first; argument != NULL; argument = va_arg(list, const char *)) {
    count++;
  }
  return count;
}

static void fill_arguments(char **argv, size_t count, const char *first, va_list list) {
  const char *argument = first;
  for (size_t i = 0; i < count; i++) {
    argv[i] = (char *)(uintptr_t)argument;
    argument = i + 1 < count ? va_arg(list, const char *) : NULL;
  }
}

/* The arguments behind `first` as an array on the caller's stack: memory may not be allocated in a child of vfork. */
#define GATHER(argv, first)                                                                                            \
  va_list list;                                                                                                        \
  va_start(list, first);                                                                                               \
  size_t const count = count_arguments(first, list);                                                                   \
  va_end(list);                                                                                                        \
  char **const argv = alloca(count * sizeof *argv);                                                                    \
  va_start(list, first);                                                                                               \
  fill_arguments(argv, count, first, list)

int execl(const char *path, const char *first, ...) {
  GATHER(argv, first);
  va_end(list);
  return execve(path, argv, environ);
}

int execlp(const char *file, const char *first, ...) {
  GATHER(argv, first);
  va_end(list);
  return execvpe(file, argv, environ);
}

int execle(const char *path, const char *first, ...) {
  GATHER(argv, first);
  char *const *const environment = va_arg(list, char *const *);
  va_end(list);
  return execve(path, argv, environment);
}
