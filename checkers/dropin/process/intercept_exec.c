/* Interception of exec, posix_spawn, system and popen. A process that becomes another program is checked and reported
 * first, but not a child between fork and exec. The command is told of programs that cannot be checked. Only in the
 * library: a program that is linked with the drop-in loses its last line by an exec. */
#define _GNU_SOURCE
#include "checkers/dropin/inspect/process_log.h"
#include "checkers/dropin/malloc/trace_hook.h"
#include "checkers/dropin/os/export.h"
#include "checkers/dropin/os/real.h"
#include "checkers/dropin/runtime/state.h"
#include "exec_target.h"
#include "lifecycle.h"

#include <alloca.h>
#include <errno.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef int (*path_function)(const char *path, char *const argv[], char *const envp[]);
typedef int (*file_function)(int fd, char *const argv[], char *const envp[]);
typedef int (*spawn_function)(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
                              const posix_spawnattr_t *attributes, char *const argv[], char *const envp[]);

/* In a block: `envp` as `target` needs it, on the caller's stack. */
#define FIT_ENVIRONMENT(target, envp)                                                                                  \
  if ((target).other_preload) {                                                                                        \
    char **const changed = alloca(rf_exec_target_entries(envp) * sizeof *changed);                                     \
    rf_exec_target_environment(&(target), envp, changed, alloca(rf_exec_target_preload_size(&(target), envp)));        \
    (envp) = changed;                                                                                                  \
  }

static void before_exec(const rf_exec_target *target) {
  rf_tracing_end();
  if (!rf_process.forked) {
    (void)rf_process_end(RF_ENDING_EXEC, access(target->file, X_OK) == 0 ? 0 : -1);
  }
  if (target->unchecked != NULL) {
    rf_process_log_unchecked(getpid(), target->file, target->unchecked, target->time_ns);
  }
}

static int failed(const rf_exec_target *target, int result) {
  int const saved = errno;
  rf_process_resume();
  if (target->unchecked != NULL) {
    rf_process_log_resumed();
  }
  errno = saved;
  return result;
}

RF_EXPORT int execve(const char *path, char *const argv[], char *const envp[]) {
  rf_exec_target target;
  rf_exec_target_find(path, false, envp, &target);
  FIT_ENVIRONMENT(target, envp)
  before_exec(&target);
  return failed(&target, ((path_function)rf_real("execve"))(path, argv, envp));
}

RF_EXPORT int execv(const char *path, char *const argv[]) {
  return execve(path, argv, environ);
}

RF_EXPORT int execvpe(const char *file, char *const argv[], char *const envp[]) {
  rf_exec_target target;
  rf_exec_target_find(file, true, envp, &target);
  FIT_ENVIRONMENT(target, envp)
  before_exec(&target);
  return failed(&target, ((path_function)rf_real("execvpe"))(file, argv, envp));
}

RF_EXPORT int execvp(const char *file, char *const argv[]) {
  return execvpe(file, argv, environ);
}

RF_EXPORT int fexecve(int fd, char *const argv[], char *const envp[]) {
  rf_exec_target target;
  char file[sizeof "/proc/self/fd/-2147483648"];
  (void)snprintf(file, sizeof file, "/proc/self/fd/%d", fd);
  rf_exec_target_find(file, false, envp, &target);
  FIT_ENVIRONMENT(target, envp)
  before_exec(&target);
  return failed(&target, ((file_function)rf_real("fexecve"))(fd, argv, envp));
}

/* Counts the arguments of execl and its like, the NULL at the end included. */
static size_t count_arguments(const char *first, va_list *list) {
  size_t count = 1;
  for (const char *argument = first; argument != NULL; argument = va_arg(*list, const char *)) {
    count++;
  }
  return count;
}

static void fill_arguments(char **argv, size_t count, const char *first, va_list *list) {
  const char *argument = first;
  for (size_t i = 0; i < count; i++) {
    argv[i] = (char *)(uintptr_t)argument;
    argument = i + 1 < count ? va_arg(*list, const char *) : NULL;
  }
}

/* The arguments behind `first` as an array on the caller's stack: memory may not be allocated in a child of vfork. */
#define GATHER(first)                                                                                                  \
  va_list list;                                                                                                        \
  va_start(list, first);                                                                                               \
  size_t const count = count_arguments(first, &list);                                                                  \
  va_end(list);                                                                                                        \
  char **const argv = alloca(count * sizeof *argv);                                                                    \
  va_start(list, first);                                                                                               \
  fill_arguments(argv, count, first, &list)

RF_EXPORT int execl(const char *path, const char *arg, ...) {
  GATHER(arg);
  va_end(list);
  return execve(path, argv, environ);
}

RF_EXPORT int execlp(const char *file, const char *arg, ...) {
  GATHER(arg);
  va_end(list);
  return execvpe(file, argv, environ);
}

RF_EXPORT int execle(const char *path, const char *arg, ...) {
  GATHER(arg);
  char *const *const envp = va_arg(list, char *const *);
  va_end(list);
  return execve(path, argv, envp);
}

/* ---- posix_spawn ---- */

/* The child's own memory ends in the C library: the parent, who knows its number, says what became of it. */
static int spawned(const rf_exec_target *target, int result, pid_t child) {
  if (result == 0 && target->unchecked != NULL) {
    rf_process_log_unchecked(child, target->file, target->unchecked, target->time_ns);
  }
  return result;
}

#define SPAWN(name, search)                                                                                            \
  RF_EXPORT int name(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,                          \
                     const posix_spawnattr_t *attributes, char *const argv[], char *const envp[]) {                    \
    rf_exec_target target;                                                                                             \
    pid_t child = 0;                                                                                                   \
    pid_t *const out = pid != NULL ? pid : &child;                                                                     \
    rf_exec_target_find(file, search, envp, &target);                                                                  \
    FIT_ENVIRONMENT(target, envp)                                                                                      \
    int const result = ((spawn_function)rf_real(#name))(out, file, actions, attributes, argv, envp);                   \
    return spawned(&target, result, *out);                                                                             \
  }

SPAWN(posix_spawn, false)
SPAWN(posix_spawnp, true)

/* ---- Commands for the shell ---- */

#define SHELL "/bin/sh"

typedef int (*system_function)(const char *command);
typedef FILE *(*popen_function)(const char *command, const char *modes);

/* The C library starts the shell by calls of its own, with the program's environment, in which the library of another
 * width cannot be named. */
static void before_shell(void) {
  rf_exec_target target;
  rf_exec_target_find(SHELL, false, environ, &target);
  const char *const unchecked = target.unchecked != NULL ? target.unchecked : target.width;
  if (unchecked != NULL) {
    rf_process_log_unchecked(getpid(), target.file, unchecked, target.time_ns);
  }
}

RF_EXPORT int system(const char *command) {
  if (command != NULL) {
    before_shell();
  }
  return ((system_function)rf_real("system"))(command);
}

RF_EXPORT FILE *popen(const char *command, const char *modes) {
  before_shell();
  return ((popen_function)rf_real("popen"))(command, modes);
}
