/* Ends by signals, handled and not, and handlers as programs set them. */
#define _GNU_SOURCE
#include "process.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void null_access(void) {
  *(volatile int *)(uintptr_t)8 = 1;
}

static void in_a_handler(int number) {
  (void)number;
  _exit(6);
}

static void own_handler(int number) {
  (void)number;
  printf("handled\n");
  exit(7);
}

static void raise_again(int number) {
  raise(number);
}

static void take_long(int number) {
  struct timespec const time = {0, 2000000};
  (void)number;
  nanosleep(&time, NULL);
}

/* A handler that its signal interrupts each time, until the stack has no room for another one. */
static void fill_stack(void (*handler)(int number)) {
  struct itimerval const often = {{0, 100}, {0, 100}};
  struct rlimit const small = {512 * 1024, 512 * 1024};
  struct sigaction action = {.sa_handler = handler, .sa_flags = SA_NODEFER};
  setrlimit(RLIMIT_STACK, &small);
  sigaction(SIGALRM, &action, NULL);
  setitimer(ITIMER_REAL, &often, NULL);
  for (;;) {
    pause();
  }
}

/* As crash reporters do: it calls what was there before it, or falls back on the default where nothing was. */
static struct sigaction before;

static void chained_handler(int number, siginfo_t *info, void *context) {
  static volatile sig_atomic_t calls;
  if (++calls > 10) {
    _exit(1); /* the signal should have ended the process */
  }
  if ((before.sa_flags & SA_SIGINFO) != 0) {
    before.sa_sigaction(number, info, context);
  } else {
    signal(number, SIG_DFL);
  }
}

static void chain(void) {
  struct sigaction action = {.sa_sigaction = chained_handler, .sa_flags = SA_SIGINFO};
  sigaction(SIGSEGV, &action, &before);
  free(malloc(10));
}

/* As interpreters do: what was there before is looked at, and put back. */
static int default_seen(int number) {
  struct sigaction old;
  int const seen = sigaction(number, NULL, &old) == 0 && old.sa_handler == SIG_DFL && old.sa_flags == 0 &&
                   signal(number, own_handler) == SIG_DFL && signal(number, SIG_DFL) == own_handler;
  return seen && sigaction(number, NULL, &old) == 0 && old.sa_handler == SIG_DFL;
}

void ignore_aborts(void) {
  sigset_t set;
  signal(SIGABRT, own_handler);
  sigemptyset(&set);
  sigaddset(&set, SIGABRT);
  sigprocmask(SIG_BLOCK, &set, NULL);
}

static int by_a_null_pointer(char **argv) {
  null_access();
  return 2;
}

static int in_a_handler_that_raises_again(char **argv) {
  fill_stack(raise_again);
  return 2;
}

static int in_a_slow_handler(char **argv) {
  fill_stack(take_long);
  return 2;
}

static int by_raising_segv(char **argv) {
  raise(SIGSEGV);
  return 2;
}

static int by_a_number(char **argv) {
  raise(atoi(argv[1] + strlen("signal")));
  return 0; /* it was ignored */
}

static int in_a_program_with_sigterm_blocked(char **argv) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigprocmask(SIG_BLOCK, &set, NULL);
  execl("/proc/self/exe", "process", "signal15", (char *)NULL);
  return 2;
}

static int asleep(char **argv) {
  sleep(60);
  return 2;
}

static int in_a_handler_of_its_own(char **argv) {
  signal(SIGUSR1, in_a_handler);
  raise(SIGUSR1);
  return 2;
}

static int in_a_handler_of_segv(char **argv) {
  signal(SIGSEGV, own_handler);
  null_access();
  return 2;
}

static int in_a_chain_of_handlers(char **argv) {
  chain();
  null_access();
  return 2;
}

static int after_a_look_at_defaults(char **argv) {
  return default_seen(SIGUSR1) && default_seen(SIGSEGV) && default_seen(SIGABRT) && default_seen(SIGTERM) &&
                 default_seen(SIGINT)
             ? 3
             : 1;
}

/* ---- Ignored faults, and programs that are to take them over ---- */

static bool ignores(int number) {
  struct sigaction now;
  return sigaction(number, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) == 0 && now.sa_handler == SIG_IGN;
}

static int ignoring_faults(char **argv) {
  if (!ignores(SIGSEGV) || !ignores(SIGBUS)) {
    return 4;
  }
  raise(SIGSEGV);
  raise(SIGBUS);
  return 3;
}

/* The environment as it is, and a command for the shell. */
extern char **environ;
static char told[4096];

static void ignore_faults(const char *file) {
  signal(SIGSEGV, SIG_IGN);
  signal(SIGBUS, SIG_IGN);
  free(malloc(100));
  (void)snprintf(told, sizeof told, "'%s' ignoring", file);
}

static int status_of(pid_t child) {
  int status;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : 5;
}

static int with_faults_ignored_by_exec(char **argv) {
  ignore_faults(argv[0]);
  execl(argv[0], argv[0], "ignoring", (char *)NULL);
  return 2;
}

static int with_faults_ignored_by_an_open_file(char **argv) {
  char *const arguments[] = {argv[0], (char[]){"ignoring"}, NULL};
  int const file = open(argv[0], O_RDONLY | O_CLOEXEC);
  ignore_faults(argv[0]);
  fexecve(file, arguments, environ);
  return 2;
}

static int with_faults_ignored_in_a_vfork(char **argv) {
  ignore_faults(argv[0]);
  pid_t const child = vfork();
  if (child == 0) {
    execl(argv[0], argv[0], "ignoring", (char *)NULL);
    _exit(2);
  }
  int const status = status_of(child);
  return ignores(SIGSEGV) && ignores(SIGBUS) ? status : 6;
}

static int spawn(char **argv, const posix_spawnattr_t *attributes) {
  char *const arguments[] = {argv[0], (char[]){"ignoring"}, NULL};
  pid_t child;
  ignore_faults(argv[0]);
  return posix_spawn(&child, argv[0], NULL, attributes, arguments, environ) == 0 ? status_of(child) : 2;
}

static int with_faults_ignored_by_spawn(char **argv) {
  return spawn(argv, NULL);
}

static int with_faults_not_ignored_by_spawn(char **argv) {
  posix_spawnattr_t attributes;
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGBUS);
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setsigdefault(&attributes, &set);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  return spawn(argv, &attributes);
}

static void *nothing(void *argument) {
  return argument;
}

/* The system counts a thread for a moment after it was joined. */
static int with_faults_ignored_by_spawn_after_a_thread(char **argv) {
  struct stat threads;
  pthread_t thread;
  pthread_create(&thread, NULL, nothing, NULL);
  pthread_join(thread, NULL);
  while (stat("/proc/self/task", &threads) == 0 && threads.st_nlink != 3) {
    sched_yield();
  }
  return spawn(argv, NULL);
}

static int with_faults_ignored_by_system(char **argv) {
  ignore_faults(argv[0]);
  int const status = system(told);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 5;
}

static int with_faults_ignored_by_popen(char **argv) {
  ignore_faults(argv[0]);
  FILE *const stream = popen(told, "w");
  int const status = stream != NULL ? pclose(stream) : -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 5;
}

/* A closed page is noticed as before. */
static int touch_freed(void) {
  char *volatile block = malloc(100);
  free(block);
  return block[10] == 1 ? 8 : 7;
}

static int in_vain_with_faults_ignored(char **argv) {
  char *const arguments[] = {argv[0], NULL};
  pid_t child;
  ignore_faults(argv[0]);
  if (strcmp(argv[1], "ignore_vain_exec") == 0) {
    execl("/missing", "missing", (char *)NULL);
  } else if (strcmp(argv[1], "ignore_vain_spawn") == 0) {
    (void)posix_spawn(&child, "/missing", NULL, NULL, arguments, environ);
  } else {
    (void)system("true");
  }
  return touch_freed();
}

const way process_signals[] = {
    {"segv", by_a_null_pointer},
    {"raised_again", in_a_handler_that_raises_again},
    {"slow_handler", in_a_slow_handler},
    {"raise_segv", by_raising_segv},
    {"signal*", by_a_number},
    {"blocked", in_a_program_with_sigterm_blocked},
    {"sleep", asleep},
    {"handler", in_a_handler_of_its_own},
    {"own_segv", in_a_handler_of_segv},
    {"chained_segv", in_a_chain_of_handlers},
    {"defaults", after_a_look_at_defaults},
    {"ignoring", ignoring_faults},
    {"ignore_exec", with_faults_ignored_by_exec},
    {"ignore_file", with_faults_ignored_by_an_open_file},
    {"ignore_vfork", with_faults_ignored_in_a_vfork},
    {"ignore_spawn", with_faults_ignored_by_spawn},
    {"ignore_thread", with_faults_ignored_by_spawn_after_a_thread},
    {"ignore_default", with_faults_not_ignored_by_spawn},
    {"ignore_system", with_faults_ignored_by_system},
    {"ignore_popen", with_faults_ignored_by_popen},
    {"ignore_vain_*", in_vain_with_faults_ignored},
    {NULL, NULL},
};
