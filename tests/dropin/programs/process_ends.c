/* Ends without a signal: returns, calls that end the process, other programs and children. */
#define _GNU_SOURCE
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ringfence/dropin.h>

static int by_return(char **argv) {
  return 3;
}

static int by_exit(char **argv) {
  exit(4);
}

static int by__exit(char **argv) {
  _exit(4);
}

static int by_quick_exit(char **argv) {
  quick_exit(4);
}

static int by_exit_group(char **argv) {
  (void)syscall(SYS_exit_group, 4);
  return 2;
}

/* The end of its only thread. */
static int by_exit_of_all(char **argv) {
  (void)syscall(SYS_exit, 4);
  return 2;
}

static int end_of_thread(void *unused) {
  (void)unused;
  (void)syscall(SYS_exit, 0);
  return 2;
}

/* The C library does not know of the thread, which has main's storage. Main damages a block once it has ended. */
static int after_the_end_of_a_clone(char **argv) {
  static _Alignas(16) char stack[65536];
  static volatile pid_t id = -1;
  static char *volatile p;
  p = malloc(10);
  int const flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
  if (clone(end_of_thread, stack + sizeof stack, flags | CLONE_CHILD_CLEARTID, NULL, NULL, NULL, &id) == -1) {
    return 2;
  }
  while (id != 0) {
    sched_yield();
  }
  p[10] = 1;
  return 3;
}

static int by_abort(char **argv) {
  abort();
}

static int by_exec(char **argv) {
  execlp("sh", "sh", "-c", "exit 8", (char *)NULL);
  return 2;
}

static char *const exit_8[] = {"sh", "-c", "exit 8", NULL};

static int by_exec_call(char **argv) {
  (void)syscall(SYS_execve, "/bin/sh", exit_8, environ);
  return 2;
}

static int by_exec_at_call(char **argv) {
  (void)syscall(SYS_execveat, AT_FDCWD, "/bin/sh", exit_8, environ, 0);
  return 2;
}

static int after_an_exec_of_nothing(char **argv) {
  bool const failed = syscall(SYS_execve, "/nowhere", exit_8, environ) == -1;
  printf("%d", failed ? errno : 0);
  return 3;
}

/* True where a child that does this damage is ended for it. */
static int child_is_ended(void (*damage)(void)) {
  int status = 0;
  pid_t const pid = fork();
  if (pid == 0) {
    damage();
    exit(0);
  }
  waitpid(pid, &status, 0);
  return WEXITSTATUS(status) == 99;
}

static char *volatile kept;

static void overflow(void) {
  kept = malloc(10);
  kept[10] = 1;
}

static void free_twice(void) {
  char *const p = malloc(10);
  free(p);
  free(p);
}

static int after_an_overflow_in_a_child(char **argv) {
  return child_is_ended(overflow) ? 9 : 1;
}

static int after_a_double_free_in_a_child(char **argv) {
  return child_is_ended(free_twice) ? 9 : 1;
}

/* A child that is made after a finding ends as it wants to. */
static int with_a_child_after_an_overflow(char **argv) {
  int status = 0;
  char *const p = malloc(10);
  p[10] = 1;
  free(p);
  pid_t const pid = fork();
  if (pid == 0) {
    exit(4);
  }
  waitpid(pid, &status, 0);
  return WEXITSTATUS(status) == 4 ? 9 : 1;
}

/* As setproctitle does: the environment moves away, and what it was is written over. */
static int after_setting_its_title(char **argv) {
  char *const start = argv[0];
  char *end = start;
  char **const moved = calloc(1000, sizeof *moved);
  for (int i = 0; environ[i] != NULL && i < 999; i++) {
    end = environ[i] + strlen(environ[i]);
    moved[i] = strdup(environ[i]);
  }
  environ = moved;
  memset(start, 0, (size_t)(end - start));
  return 3;
}

static int after_a_sweep(char **argv) {
  printf("%zu\n", __ringfence_sweep != NULL ? __ringfence_sweep() : (size_t)77);
  return 3;
}

static int after_refused_requests(char **argv) {
  void *volatile refused = calloc((size_t)-1 / 2, 16);
  refused = malloc((size_t)-1);
  refused = aligned_alloc(24, 24);
  void *unchanged = NULL;
  int const error = posix_memalign(&unchanged, sizeof(void *) / 2, 24);
  return refused == NULL && unchanged == NULL && error == EINVAL ? 3 : 1;
}

static int after_many_overflows(char **argv) {
  for (int i = 0; i < 5; i++) {
    char *const p = malloc(10);
    p[10] = 1;
    free(p);
  }
  return 3;
}

const way process_ends[] = {
    {"return", by_return},
    {"exit", by_exit},
    {"_exit", by__exit},
    {"quick_exit", by_quick_exit},
    {"exit_group", by_exit_group},
    {"exit_of_all", by_exit_of_all},
    {"clone", after_the_end_of_a_clone},
    {"abort", by_abort},
    {"exec", by_exec},
    {"exec_call", by_exec_call},
    {"exec_at_call", by_exec_at_call},
    {"exec_of_nothing", after_an_exec_of_nothing},
    {"fork", after_an_overflow_in_a_child},
    {"twice_in_fork", after_a_double_free_in_a_child},
    {"overflow_fork", with_a_child_after_an_overflow},
    {"title", after_setting_its_title},
    {"sweep", after_a_sweep},
    {"rejected", after_refused_requests},
    {"many", after_many_overflows},
    {NULL, NULL},
};
