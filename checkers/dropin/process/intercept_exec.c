/* Interception of exec, posix_spawn, system and popen. A process that becomes another program is checked and reported
 * first, but not a child between fork and exec. The command is told of programs that cannot be checked. Only in the
 * library: a program that is linked with the drop-in loses its last line by an exec. */
#define _GNU_SOURCE
#include "intercept_exec.h"

#include "checkers/dropin/inspect/process_log.h"
#include "checkers/dropin/malloc/trace_hook.h"
#include "checkers/dropin/os/export.h"
#include "checkers/dropin/os/futex.h"
#include "checkers/dropin/os/libc.h"
#include "checkers/dropin/os/real.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/os/proc_self.h"
#include "checkers/os/reserve_stack.h"
#include "checkers/page/page_store.h"
#include "exec_target.h"
#include "intercept_transfer.h"
#include "lib/core/compiler.h"
#include "lifecycle.h"

#include <alloca.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

typedef int (*path_function)(const char *path, char *const argv[], char *const envp[]);
typedef int (*file_function)(int fd, char *const argv[], char *const envp[]);
typedef int (*at_function)(int fd, const char *path, char *const argv[], char *const envp[], int flags);
typedef int (*spawn_function)(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
                              const posix_spawnattr_t *attributes, char *const argv[], char *const envp[]);

/* In a block: `envp` as `target` needs it, on the caller's stack. */
#define FIT_ENVIRONMENT(target, envp)                                                                                  \
  if ((target).other_preload) {                                                                                        \
    char **const changed = alloca(rf_exec_target_entries(envp) * sizeof *changed);                                     \
    rf_exec_target_environment(&(target), envp, changed, alloca(rf_exec_target_preload_size(&(target), envp)));        \
    (envp) = changed;                                                                                                  \
  }

void rf_exec_begin(const char *file) {
  rf_tracing_end();
  if (!rf_process.forked) {
    (void)rf_process_end(RF_ENDING_EXEC, file == NULL || access(file, X_OK) == 0 ? 0 : -1);
  }
}

/* The new program's name, arguments and environment: the system reads them, and fails where they are closed. */
static void look(int error, const char *file, char *const argv[], char *const envp[], const rf_origin *origin) {
  char *const name[] = {(char *)(uintptr_t)file, NULL};
  if (WATCHING && error == EFAULT && !rf_transfer_look_strings(name, origin) &&
      !rf_transfer_look_strings(argv, origin)) {
    (void)rf_transfer_look_strings(envp, origin);
  }
}

/* After what ignored faults for the sake of another program. */
static void watch_again(bool ignoring) {
  if (ignoring) {
    rf_page_signals_ignored();
  }
}

/* A line of the log, and the description of a target alone, are larger than some stacks. A child of vfork, which would
 * not give back what is its parent's as well, stays on its own. `work` is RF_RARE: its memory would be on the stack of
 * the caller, inlined there. */
static void with_room(rf_reserve_work work, void *context) {
  if (rf_process_now() == rf_process.id) {
    rf_on_reserve_stack(work, context);
  } else {
    work(context);
  }
}

static void tell_resumed(void *unused) {
  (void)unused;
  rf_process_log_resumed();
}

int rf_exec_failed(const char *unchecked, bool ignoring, int result) {
  int const saved = errno;
  watch_again(ignoring);
  rf_process_resume();
  if (unchecked != NULL) {
    with_room(tell_resumed, NULL);
  }
  errno = saved;
  return result;
}

/* Another program, and what is known of it. */
typedef struct becoming {
  const char *file;
  bool search;
  char *const *envp;
  pid_t process;         /* whose it is, where that is told */
  const char *unchecked; /* as of the target */
  bool other_preload;
  uint64_t time_ns;
} becoming;

static void find_target(becoming *b, rf_exec_target *target) {
  rf_exec_target_find(b->file, b->search, b->envp, target);
  b->unchecked = target->unchecked;
  b->other_preload = target->other_preload;
  b->time_ns = target->time_ns;
}

RF_RARE static void prepare(void *context) {
  rf_exec_target target;
  find_target(context, &target);
  rf_exec_begin(target.file);
  if (target.unchecked != NULL) {
    rf_process_log_unchecked(rf_process_now(), target.file, target.unchecked, target.time_ns);
  }
}

RF_RARE static void look_ahead(void *context) {
  rf_exec_target target;
  find_target(context, &target);
}

/* As it was when somebody looked ahead, but for the name of its file. */
RF_RARE static void tell_unchecked(void *context) {
  const becoming *const b = context;
  rf_exec_target target;
  rf_exec_target_find(b->file, b->search, b->envp, &target);
  rf_process_log_unchecked(b->process, target.file, b->unchecked, b->time_ns);
}

static int execute(const becoming *b, char *const argv[], char *const envp[]) {
  path_function const theirs = (path_function)rf_real(b->search ? "execvpe" : "execve");
  bool const ignoring = rf_page_signals_ignore(false);
  return rf_exec_failed(b->unchecked, ignoring, theirs(b->file, argv, envp));
}

RF_COLD __attribute__((noinline)) static int execute_with_other_preload(const becoming *b, char *const argv[]) {
  rf_exec_target target;
  char *const *envp = b->envp;
  rf_exec_target_find(b->file, b->search, envp, &target);
  FIT_ENVIRONMENT(target, envp)
  return execute(b, argv, envp);
}

static int become(const char *file, bool search, char *const argv[], char *const envp[], const rf_origin *origin) {
  becoming b = {.file = file, .search = search, .envp = envp};
  with_room(prepare, &b);
  int const result = b.other_preload ? execute_with_other_preload(&b, argv) : execute(&b, argv, envp);
  look(errno, file, argv, envp, origin);
  return result;
}

#define BECOME(file, search, argv, envp)                                                                               \
  rf_origin const origin = RF_CALLER;                                                                                  \
  return become(file, search, argv, envp, &origin)

RF_EXPORT int execve(const char *path, char *const argv[], char *const envp[]) {
  BECOME(path, false, argv, envp);
}

RF_EXPORT int execv(const char *path, char *const argv[]) {
  BECOME(path, false, argv, environ);
}

RF_EXPORT int execvpe(const char *file, char *const argv[], char *const envp[]) {
  BECOME(file, true, argv, envp);
}

RF_EXPORT int execvp(const char *file, char *const argv[]) {
  BECOME(file, true, argv, environ);
}

/* A file in an open folder, or the one that is open itself. */
typedef struct open_file {
  int fd;
  bool by_path;     /* the call is execveat, not fexecve, which has the first alone */
  const char *path; /* in the folder; "": the file itself */
  int flags;
} open_file;

static int call_open(const open_file *f, char *const argv[], char *const envp[]) {
  if (!f->by_path) {
    return ((file_function)rf_real("fexecve"))(f->fd, argv, envp);
  }
  at_function const theirs = (at_function)rf_real("execveat");
  if (theirs == NULL) { /* before glibc 2.34, and musl */
    errno = ENOSYS;
    return -1;
  }
  return theirs(f->fd, f->path, argv, envp, f->flags);
}

static int execute_open(const becoming *b, const open_file *f, char *const argv[], char *const envp[]) {
  bool const ignoring = rf_page_signals_ignore(false);
  return rf_exec_failed(b->unchecked, ignoring, call_open(f, argv, envp));
}

RF_COLD __attribute__((noinline)) static int execute_open_with_other_preload(const becoming *b, const open_file *f,
                                                                             char *const argv[]) {
  rf_exec_target target;
  char *const *envp = b->envp;
  rf_exec_target_find(b->file, false, envp, &target);
  FIT_ENVIRONMENT(target, envp)
  return execute_open(b, f, argv, envp);
}

/* `name`: a path of it that the file system knows. */
static int become_open(const char *name, const open_file *f, char *const argv[], char *const envp[],
                       const rf_origin *origin) {
  becoming b = {.file = name, .search = false, .envp = envp};
  with_room(prepare, &b);
  int const result = b.other_preload ? execute_open_with_other_preload(&b, f, argv) : execute_open(&b, f, argv, envp);
  look(errno, name, argv, envp, origin);
  return result;
}

#define OPEN_NAME_SIZE (sizeof RF_PROC_THREAD "fd/-2147483648/")

RF_COLD RF_EXPORT int fexecve(int fd, char *const argv[], char *const envp[]) {
  char name[OPEN_NAME_SIZE];
  (void)snprintf(name, sizeof name, "%s%d", RF_PROC_PATH("fd/"), fd);
  rf_origin const origin = RF_CALLER;
  return become_open(name, &(open_file){fd, false, NULL, 0}, argv, envp, &origin);
}

int execveat(int fd, const char *path, char *const argv[], char *const envp[], int flags); /* not every C library's */

RF_COLD RF_EXPORT int execveat(int fd, const char *path, char *const argv[], char *const envp[], int flags) {
  const char *name = path;
  if (fd != AT_FDCWD && rf_exec_target_can_read(path) && path[0] != '/') {
    size_t const room = OPEN_NAME_SIZE + strlen(path);
    char *const made = alloca(room);
    (void)snprintf(made, room, "%s%d%s%s", RF_PROC_PATH("fd/"), fd, path[0] != '\0' ? "/" : "", path);
    name = made;
  }
  rf_origin const origin = RF_CALLER;
  return become_open(name, &(open_file){fd, true, path, flags}, argv, envp, &origin);
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

RF_COLD RF_EXPORT int execl(const char *path, const char *arg, ...) {
  GATHER(arg);
  va_end(list);
  BECOME(path, false, argv, environ);
}

RF_COLD RF_EXPORT int execlp(const char *file, const char *arg, ...) {
  GATHER(arg);
  va_end(list);
  BECOME(file, true, argv, environ);
}

RF_COLD RF_EXPORT int execle(const char *path, const char *arg, ...) {
  GATHER(arg);
  char *const *const envp = va_arg(list, char *const *);
  va_end(list);
  BECOME(path, false, argv, envp);
}

/* ---- posix_spawn ----
 *
 * Ignored faults: the C library starts the child by calls of its own, with what the system has for this process at that
 * moment. So this process is without our handler until the child runs, which is only done where no other thread could
 * have a fault meanwhile. */

/* Threads that have ended do not count. The system counts those that there are as it counts folders in their folder. */
static bool is_alone(void) {
  struct stat threads;
  int const saved = errno;
  bool const alone = rf_one_thread() || (stat(RF_PROC_PROCESS "task", &threads) == 0 && threads.st_nlink == 3);
  errno = saved;
  return alone;
}

static bool hands_ignoring_over(void) {
  return rf_page_signals_stand_before_ignoring() && is_alone();
}

static bool ignore_for_child(void) {
  return hands_ignoring_over() && rf_page_signals_ignore(true);
}

typedef struct spawning {
  spawn_function theirs;
  pid_t *pid;
  const char *file;
  bool search;
  const posix_spawn_file_actions_t *actions;
  const posix_spawnattr_t *attributes;
  char *const *argv;
  char *const *envp;
} spawning;

static int start(const spawning *s) {
  bool const ignoring = ignore_for_child();
  int const result =
      s->theirs == NULL ? ENOSYS : s->theirs(s->pid, s->file, s->actions, s->attributes, s->argv, s->envp);
  watch_again(ignoring);
  return result;
}

RF_COLD __attribute__((noinline)) static int start_with_other_preload(const spawning *s) {
  rf_exec_target target;
  spawning fitted = *s;
  rf_exec_target_find(s->file, s->search, s->envp, &target);
  FIT_ENVIRONMENT(target, fitted.envp)
  return start(&fitted);
}

/* The child's own memory ends in the C library: the parent, who knows its number, says what became of it. */
static int spawn(const spawning *s, const rf_origin *origin) {
  becoming b = {.file = s->file, .search = s->search, .envp = s->envp};
  with_room(look_ahead, &b);
  int const result = b.other_preload ? start_with_other_preload(s) : start(s);
  look(result, s->file, s->argv, s->envp, origin);
  if (result == 0 && b.unchecked != NULL) {
    b.process = *s->pid;
    with_room(tell_unchecked, &b);
  }
  return result;
}

#define SPAWN(name, search)                                                                                            \
  RF_EXPORT int name(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,                          \
                     const posix_spawnattr_t *attributes, char *const argv[], char *const envp[]) {                    \
    pid_t child = 0;                                                                                                   \
    pid_t *const out = pid != NULL ? pid : &child;                                                                     \
    rf_origin const origin = RF_CALLER;                                                                                \
    spawn_function const theirs = (spawn_function)rf_real(#name);                                                      \
    return spawn(&(spawning){theirs, out, file, search, actions, attributes, argv, envp}, &origin);                    \
  }

SPAWN(posix_spawn, false)
SPAWN(posix_spawnp, true)

/* ---- Commands for the shell ----
 *
 * The C library starts the shell by calls of its own, with the program's environment. A shell that needs another
 * library, or none, is started otherwise, as is one that is to ignore faults: the C library's system returns only when
 * the shell has ended. */

#define SHELL "/bin/sh"

typedef int (*system_function)(const char *command);
typedef FILE *(*popen_function)(const char *command, const char *modes);

static becoming find_shell(void) {
  becoming shell = {.file = SHELL, .search = false, .envp = environ};
  with_room(look_ahead, &shell);
  if (shell.unchecked != NULL) {
    shell.process = rf_process_now();
    with_room(tell_unchecked, &shell);
  }
  return shell;
}

static int spawn_shell(const char *command, const sigset_t *mask, const sigset_t *defaults, bool other_preload,
                       pid_t *child) { /* NOLINT(readability-non-const-parameter): it is written to */
  char *const argv[] = {(char[]){"sh"}, (char[]){"-c"}, (char *)(uintptr_t)command, NULL};
  posix_spawnattr_t attributes;
  int result = posix_spawnattr_init(&attributes);
  if (result != 0) {
    return result;
  }
  (void)posix_spawnattr_setsigmask(&attributes, mask);
  (void)posix_spawnattr_setsigdefault(&attributes, defaults);
  (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  spawn_function const theirs = (spawn_function)rf_real("posix_spawn");
  spawning const shell = {theirs, child, SHELL, false, NULL, &attributes, argv, environ};
  result = other_preload ? start_with_other_preload(&shell) : start(&shell);
  (void)posix_spawnattr_destroy(&attributes);
  return result;
}

static int wait_for(pid_t child) {
  int status = -1;
  pid_t got;
  do {
    got = waitpid(child, &status, 0);
  } while (got < 0 && errno == EINTR);
  return got == child ? status : -1;
}

/* As POSIX has system: SIGINT and SIGQUIT are ignored meanwhile, SIGCHLD waits. */
static int run_shell(const char *command, bool other_preload) {
  static const int ignored[] = {SIGINT, SIGQUIT};
  struct sigaction const ignore = {.sa_handler = SIG_IGN};
  struct sigaction before[2];
  sigset_t blocked;
  sigset_t mask;
  sigset_t defaults;
  pid_t child;
  (void)sigemptyset(&defaults);
  (void)sigemptyset(&blocked);
  (void)sigaddset(&blocked, SIGCHLD);
  (void)pthread_sigmask(SIG_BLOCK, &blocked, &mask);
  for (unsigned i = 0; i < 2; i++) {
    (void)rf_libc_sigaction(ignored[i], &ignore, &before[i]);
    if (before[i].sa_handler != SIG_IGN) {
      (void)sigaddset(&defaults, ignored[i]);
    }
  }
  int const error = spawn_shell(command, &mask, &defaults, other_preload, &child);
  int const status = error == 0 ? wait_for(child) : -1;
  for (unsigned i = 0; i < 2; i++) {
    (void)rf_libc_sigaction(ignored[i], &before[i], NULL);
  }
  (void)pthread_sigmask(SIG_SETMASK, &mask, NULL);
  errno = error != 0 ? error : errno;
  return status;
}

/* The command is read when the shell begins: of what fails then there is but a status, or another error. */
static void look_at_command(const char *command, const rf_origin *origin) {
  char *const list[] = {(char *)(uintptr_t)command, NULL};
  (void)rf_transfer_look_strings(list, origin);
}

#define NOT_BEGUN (127 << 8)

RF_COLD RF_EXPORT int system(const char *command) {
  bool const other_preload = command != NULL && find_shell().other_preload;
  bool const by_us = other_preload || (command != NULL && hands_ignoring_over());
  int const status = by_us ? run_shell(command, other_preload) : ((system_function)rf_real("system"))(command);
  if (WATCHING && (status == NOT_BEGUN || (status == -1 && errno == EFAULT))) {
    rf_origin const origin = RF_CALLER;
    look_at_command(command, &origin);
  }
  return status;
}

static FILE *start_shell(const char *command, const char *modes) {
  popen_function const theirs = (popen_function)rf_real("popen");
  bool const ignoring = ignore_for_child();
  FILE *const stream = theirs(command, modes);
  watch_again(ignoring);
  return stream;
}

/* The stream knows its child, so the C library must start it: with another environment for that moment. */
RF_COLD __attribute__((noinline)) static FILE *start_shell_with_other_preload(const char *command, const char *modes) {
  rf_exec_target shell;
  char **const before = environ;
  char *const *envp = environ;
  rf_exec_target_find(SHELL, false, envp, &shell);
  FIT_ENVIRONMENT(shell, envp)
  environ = (char **)(uintptr_t)envp;
  FILE *const stream = start_shell(command, modes);
  environ = before;
  return stream;
}

RF_EXPORT FILE *popen(const char *command, const char *modes) {
  FILE *const stream =
      find_shell().other_preload ? start_shell_with_other_preload(command, modes) : start_shell(command, modes);
  if (WATCHING && stream == NULL) {
    rf_origin const origin = RF_CALLER;
    look_at_command(command, &origin);
  }
  return stream;
}
