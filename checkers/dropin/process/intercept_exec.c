/* Interception of exec: a process that becomes another program is checked and reported first, but not a child between
 * fork and exec. Only in the library: a program that is linked with the drop-in loses its last line by an exec. */
#define _GNU_SOURCE
#include "checkers/dropin/malloc/trace_hook.h"
#include "checkers/dropin/os/export.h"
#include "checkers/dropin/os/real.h"
#include "checkers/dropin/runtime/state.h"
#include "lifecycle.h"

#include <alloca.h>
#include <errno.h>
#include <stdarg.h>
#include <unistd.h>

typedef int (*path_function)(const char *path, char *const argv[], char *const envp[]);
typedef int (*file_function)(int fd, char *const argv[], char *const envp[]);

static void before_exec(void) {
  rf_tracing_end();
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

RF_EXPORT int execve(const char *path, char *const argv[], char *const envp[]) {
  before_exec();
  return failed(((path_function)rf_real("execve"))(path, argv, envp));
}

RF_EXPORT int execv(const char *path, char *const argv[]) {
  return execve(path, argv, environ);
}

RF_EXPORT int execvpe(const char *file, char *const argv[], char *const envp[]) {
  before_exec();
  return failed(((path_function)rf_real("execvpe"))(file, argv, envp));
}

RF_EXPORT int execvp(const char *file, char *const argv[]) {
  return execvpe(file, argv, environ);
}

RF_EXPORT int fexecve(int fd, char *const argv[], char *const envp[]) {
  before_exec();
  return failed(((file_function)rf_real("fexecve"))(fd, argv, envp));
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
