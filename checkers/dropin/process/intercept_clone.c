/* Interception of _Fork, clone, and the system calls behind them: children of which handlers of fork are not told. They
 * would have locks that nobody gives back where another thread is inside the heap, as the one of sweep_every may be,
 * would take themselves for their parent, and end unseen. Only in the library.
 *
 * Children that share their parent's memory, its descriptors or the storage of its threads are left alone: what is done
 * for a child would be done to the parent.
 *
 * Threads and signal handlers: as the functions behind. */
#define _GNU_SOURCE /* clone */
#include "intercept_clone.h"

#include "checkers/dropin/heap/cache.h"
#include "checkers/dropin/os/futex.h"
#include "checkers/dropin/os/procfs.h"
#include "checkers/dropin/os/raw_syscall.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/os/forbidden_calls.h"
#include "checkers/os/host.h"
#include "checkers/os/reserve_stack.h"
#include "checkers/page/page_store.h"
#include "fork.h"
#include "intercept.h"
#include "intercept_exec.h"
#include "lib/core/compiler.h"
#include "lifecycle.h"
#include "sanitizer_check.h"

#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>
#if defined(__GLIBC__)
#include <gnu/libc-version.h>
#endif

pid_t _Fork(void);
int __clone(int (*function)(void *), void *stack, int flags, void *argument, ...);

static struct {
  __typeof__(&clone) clone;
  __typeof__(&_Fork) fork; /* NULL: the C library has none */
} theirs;

/* The loader allocates its message where a name is not there: in a malloc of the program's that may not be ready. */
static bool has_fork(void) {
#if defined(__GLIBC__)
  return strverscmp(gnu_get_libc_version(), "2.34") >= 0;
#else
  return true;
#endif
}

void rf_intercept_clone_init(void) {
  theirs.fork = has_fork() ? THEIRS(_Fork) : NULL;
  theirs.clone = THEIRS(clone);
}

static void find_theirs(void) {
  if (RF_UNLIKELY(theirs.clone == NULL)) {
    rf_intercept_clone_init();
  }
}

/* Ends a fork that was prepared: in the child, or in the parent, also where no child was made. */
static void after_fork(bool prepared, long child) {
  if (prepared && child == 0) {
    rf_fork_unnoticed_child();
  } else if (prepared) {
    rf_fork_unnoticed_parent();
  }
}

#define SHARING (CLONE_VM | CLONE_FILES | CLONE_SETTLS)

/* ---- By a system call ---- */

#ifndef SYS_clone3
#define SYS_clone3 435
#endif

/* The first members of the structure that clone3 takes: headers of some C libraries have none. */
typedef struct clone_arguments {
  uint64_t flags;
  uint64_t unused[4]; /* where numbers go, and the signal at the end */
  uint64_t stack;
} clone_arguments;

bool rf_call_forks(long number, const long argument[6]) {
  if (number == SYS_clone) {
    return ((unsigned long)argument[0] & SHARING) == 0 && argument[1] == 0;
  }
  if (number == SYS_clone3) {
    const clone_arguments *const a = (const clone_arguments *)argument[0];
    return rf_host_readable(a, sizeof *a) && (a->flags & SHARING) == 0 && a->stack == 0;
  }
#if defined(SYS_fork)
  return number == SYS_fork;
#else
  return false;
#endif
}

long rf_call_fork(long number, const long argument[6]) {
  bool const prepared = rf_fork_unnoticed_prepare();
  long const child = rf_syscall_errno(number, argument);
  after_fork(prepared, child);
  return child;
}

/* A child of vfork is its parent still; and a program with a sanitizer begins anew by such a call of ours. */
bool rf_call_executes(long number) {
  bool const executes = number == SYS_execve || number == SYS_execveat;
  return executes && rf_sanitizer_name() == NULL && rf_process_now() == rf_process.id;
}

/* Executes a program that is not inspected before; its environment stays as it is. */
long rf_call_execute(long number, const long argument[6]) {
  rf_exec_begin(NULL);
  bool const ignoring = rf_page_signals_ignore(false);
  return rf_exec_failed(NULL, ignoring, (int)rf_syscall_errno(number, argument));
}

/* ---- By the C library ---- */

RF_EXPORT pid_t _Fork(void) {
  find_theirs();
  if (theirs.fork == NULL) {
    return (pid_t)rf_call_fork(SYS_clone, (const long[6]){SIGCHLD});
  }
  bool const prepared = rf_fork_unnoticed_prepare();
  pid_t const child = theirs.fork();
  after_fork(prepared, child);
  return child;
}

typedef struct beginning {
  int (*function)(void *);
  void *argument;
} beginning;

static void count_thread(uint32_t id, void *count) {
  (void)id;
  ++*(unsigned *)count;
}

static bool is_only_thread(void) {
  unsigned threads = 0;
  return !rf_is_forbidden(RF_CALL_OPEN | RF_CALL_OTHERS) && rf_procfs_each_thread(count_thread, &threads) &&
         threads == 1;
}

static bool is_alone(void) {
  return rf_one_thread() || is_only_thread();
}

static bool is_first_thread(void) {
  return !rf_is_forbidden(RF_CALL_GETTID) && rf_raw_syscall(SYS_gettid, (const long[6]){0}) == rf_process.id;
}

/* The C library does not know of threads that clone made, which end so, on stacks that may be small. */
bool rf_call_ends(long number) {
  return number == SYS_exit_group || (number == SYS_exit && is_first_thread() && is_only_thread());
}

static void begin_child(void *unused) {
  (void)unused;
  rf_fork_unnoticed_child();
}

/* The C library ends the thread with what this returns, by a system call: the process with it, where it is alone. The
 * stack is as small as the program likes. `context` is on the stack of who called clone, of which this is a copy. */
static int run_child(void *context) {
  const beginning *const b = context;
  rf_reserve_stack_forked();
  rf_on_reserve_stack(begin_child, NULL);
  int const status = b->function(b->argument);
  return is_alone() ? rf_process_end(RF_ENDING_ABRUPT, status) : status;
}

static int make_child(const beginning *b, void *stack, int flags, void *const more[3]) {
  find_theirs();
  bool const copies = ((unsigned)flags & SHARING) == 0 && b->function != NULL && stack != NULL;
  bool const prepared = copies && rf_fork_unnoticed_prepare();
  if (!prepared) {
    return theirs.clone(b->function, stack, flags, b->argument, more[0], more[1], more[2]);
  }
  int const child = theirs.clone(run_child, stack, flags, (void *)(uintptr_t)b, more[0], more[1], more[2]);
  rf_fork_unnoticed_parent();
  return child;
}

#define CLONE(name)                                                                                                    \
  RF_EXPORT int name(int (*function)(void *), void *stack, int flags, void *argument, ...) {                           \
    void *more[3];                                                                                                     \
    va_list list;                                                                                                      \
    va_start(list, argument);                                                                                          \
    for (unsigned i = 0; i < 3; i++) {                                                                                 \
      more[i] = va_arg(list, void *);                                                                                  \
    }                                                                                                                  \
    va_end(list);                                                                                                      \
    return make_child(&(beginning){function, argument}, stack, flags, more);                                           \
  }

CLONE(clone)
CLONE(__clone)
