/* Signals that are blocked, and stacks for their handlers: masks WHAT. With a way to block all of them: reads a freed
 * block there. `told`, `sent`, `own`, `inherited`: prints what a program that blocks SIGSEGV and SIGBUS sees. `full`,
 * `full_thread`: comes to the end of its stack. `small`: has a fault, and a small stack for handlers. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char *block;
static volatile sig_atomic_t handled;

static void use(void) {
  *(volatile char *)block;
}

static sigset_t all_signals(void) {
  sigset_t all;
  sigfillset(&all);
  return all;
}

/* ---- Ways to block ---- */

static void *in_thread(void *unused) {
  sigset_t const all = all_signals();
  pthread_sigmask(SIG_SETMASK, &all, NULL);
  use();
  return unused;
}

static void run_thread(void *(*function)(void *)) {
  pthread_t thread;
  pthread_create(&thread, NULL, function, NULL);
  pthread_join(thread, NULL);
}

static void by_thread(void) {
  run_thread(in_thread);
}

static void by_main(void) {
  sigset_t const all = all_signals();
  sigprocmask(SIG_BLOCK, &all, NULL);
  use();
}

static void handler(int number) {
  (void)number;
  use();
}

static void by_handler(void) {
  struct sigaction action = {.sa_handler = handler, .sa_mask = all_signals()};
  sigaction(SIGUSR1, &action, NULL);
  raise(SIGUSR1);
}

static void on_timer(union sigval unused) {
  (void)unused;
  use();
  handled = 1;
}

static void wait_for_timer(pthread_attr_t *attributes) {
  struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = on_timer};
  struct itimerspec const soon = {.it_value = {.tv_nsec = 1}};
  timer_t timer;
  event.sigev_notify_attributes = attributes;
  timer_create(CLOCK_MONOTONIC, &event, &timer);
  timer_settime(timer, 0, &soon, NULL);
  while (handled == 0) {
    usleep(100);
  }
}

static void by_timer(void) {
  wait_for_timer(NULL);
}

static void by_timer_as_told(void) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 256 * 1024);
  wait_for_timer(&attributes);
  pthread_attr_destroy(&attributes);
}

static void by_parent(void) {
  char *const arguments[] = {"masks", "heir", NULL};
  sigset_t const all = all_signals();
  sigprocmask(SIG_BLOCK, &all, NULL);
  execv("/proc/self/exe", arguments);
}

/* ---- Stacks ---- */

static int fill_stack(int depth) {
  volatile char frame[1000];
  frame[0] = (char)depth;
  return fill_stack(depth + 1) + frame[0];
}

static void *fill_in_thread(void *unused) {
  free(malloc(1));
  (void)fill_stack(0);
  return unused;
}

static void full_of_thread(void) {
  run_thread(fill_in_thread);
}

static void full_of_main(void) {
  (void)fill_stack(0);
}

static void on_small_stack(void) {
  static char memory[4096];
  stack_t const stack = {.ss_sp = memory, .ss_size = sizeof memory};
  sigaltstack(&stack, NULL);
  *(volatile int *)(uintptr_t)8 = 1;
}

/* ---- What the program sees ---- */

static void print(const char *what, const sigset_t *set) {
  printf("%s:", what);
  for (int i = 1; i < NSIG; i++) {
    if (sigismember(set, i) == 1) {
      printf(" %d", i);
    }
  }
  printf("\n");
}

static void change(const char *what, int how, int first, int second) {
  sigset_t set;
  sigset_t old;
  sigemptyset(&set);
  sigaddset(&set, first);
  sigaddset(&set, second);
  printf("%d ", pthread_sigmask(how, &set, &old));
  print(what, &old);
  printf("%d ", sigprocmask(SIG_BLOCK, NULL, &old));
  print("now", &old);
}

static void told(void) {
  struct sigaction action = {.sa_handler = handler, .sa_mask = all_signals()};
  change("block", SIG_BLOCK, SIGSEGV, SIGUSR1);
  change("block more", SIG_BLOCK, SIGBUS, SIGUSR2);
  change("unblock", SIG_UNBLOCK, SIGSEGV, SIGUSR2);
  change("set", SIG_SETMASK, SIGSEGV, SIGHUP);
  change("no such way", 77, SIGSEGV, SIGHUP);
  sigset_t set = all_signals();
  sigprocmask(SIG_SETMASK, &set, NULL);
  change("set again", SIG_SETMASK, SIGBUS, SIGBUS);
  sigaction(SIGUSR1, &action, NULL);
  sigaction(SIGUSR1, NULL, &action);
  print("of the handler", &action.sa_mask);
}

static void count(int number) {
  handled = handled + 1;
  printf("handled %d\n", number);
}

/* Signals that are sent while they are blocked wait. */
static void sent(bool own) {
  struct timespec const no_time = {0, 0};
  sigset_t set;
  sigset_t waiting;
  sigemptyset(&set);
  sigaddset(&set, SIGSEGV);
  sigaddset(&set, SIGBUS);
  if (own) {
    signal(SIGSEGV, count);
  }
  sigprocmask(SIG_BLOCK, &set, NULL);
  raise(SIGSEGV);
  kill(getpid(), SIGBUS);
  sigpending(&waiting);
  print("waiting", &waiting);
  printf("handled %d, got %d\n", handled, sigtimedwait(&set, NULL, &no_time));
  sigprocmask(SIG_UNBLOCK, &set, NULL); /* ends it, if one still waits */
  printf("handled %d\n", handled);
}

static void sent_to_default(void) {
  sent(false);
}

static void sent_to_own(void) {
  sent(true);
}

static void *show_mask(void *allocates) {
  struct timespec const moment = {0, 10000000};
  sigset_t now;
  sigset_t waiting;
  if (allocates != NULL) {
    free(malloc(10));
  }
  pthread_sigmask(SIG_BLOCK, NULL, &now);
  print("inherited", &now);
  kill(getpid(), SIGSEGV);
  sigemptyset(&waiting);
  sigaddset(&waiting, SIGSEGV);
  sigaddset(&waiting, SIGBUS);
  printf("got %d\n", sigtimedwait(&waiting, NULL, &moment));
  return NULL;
}

/* A thread begins with the mask of the one that creates it. */
static void inherited(void) {
  pthread_t thread;
  sigset_t const set = all_signals();
  sigset_t now;
  sigprocmask(SIG_SETMASK, &set, NULL);
  kill(getpid(), SIGSEGV); /* waits for the first of them */
  for (int i = 0; i < 2; i++) {
    pthread_create(&thread, NULL, show_mask, i == 0 ? NULL : &thread);
    pthread_join(thread, NULL);
  }
  pthread_sigmask(SIG_BLOCK, NULL, &now);
  print("still", &now);
}

static const struct {
  const char *name;
  void (*run)(void);
} cases[] = {{"thread", by_thread},
             {"main", by_main},
             {"handler", by_handler},
             {"timer", by_timer},
             {"timer_as_told", by_timer_as_told},
             {"parent", by_parent},
             {"heir", use},
             {"told", told},
             {"sent", sent_to_default},
             {"own", sent_to_own},
             {"inherited", inherited},
             {"full", full_of_main},
             {"full_thread", full_of_thread},
             {"small", on_small_stack}};

int main(int count_of, char **arguments) {
  setvbuf(stdout, NULL, _IONBF, 0);
  block = malloc(64);
  memset(block, 1, 64);
  if (count_of < 3) {
    free(block);
  }
  for (size_t i = 0; count_of > 1 && i < sizeof cases / sizeof cases[0]; i++) {
    if (strcmp(cases[i].name, arguments[1]) == 0) {
      cases[i].run();
    }
  }
  return 0;
}
