/* Ends with threads: that end the process, wait, allocate or are cancelled. */
#define _GNU_SOURCE
#include "process.h"

#include <limits.h>
#include <link.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void *from_a_thread(void *argument) {
  exit(5);
  return argument;
}

static void *go_on(void *argument) {
  usleep(10000);
  return argument;
}

static void *allocate_until_cancelled(void *argument) {
  for (;;) {
    free(malloc(10));
    pthread_testcancel();
  }
  return argument;
}

/* Some of them while their first allocation is being served. */
static void cancel_threads(void) {
  for (int i = 0; i < 200; i++) {
    pthread_t t;
    pthread_create(&t, NULL, allocate_until_cancelled, NULL);
    usleep(i % 4 * 100);
    pthread_cancel(t);
    pthread_join(t, NULL);
  }
}

static volatile int rounds;
static void *volatile kept_by_thread;

static int allocate_with_the_loader_s_lock(struct dl_phdr_info *info, size_t size, void *argument) {
  (void)info;
  (void)size;
  (void)argument;
  free(malloc(50));
  return 0;
}

static void *ask_the_loader(void *argument) {
  for (;; rounds++) {
    dl_iterate_phdr(allocate_with_the_loader_s_lock, NULL);
  }
  return argument;
}

static void start_asking_the_loader(void) {
  pthread_t t;
  for (int i = 0; i < 3; i++) {
    pthread_create(&t, NULL, ask_the_loader, NULL);
  }
  while (rounds == 0) {
    usleep(100);
  }
}

static volatile int waiting;

static void *wait_for_nothing(void *by_poll) {
  struct timespec const long_enough = {100, 0};
  __atomic_add_fetch(&waiting, 1, __ATOMIC_RELAXED);
  if (by_poll != NULL) {
    (void)poll(NULL, 0, 100000);
  } else {
    (void)nanosleep(&long_enough, NULL);
  }
  _exit(55);
}

/* Threads that the end of the process must not wake. */
static void start_waiting(void) {
  enum { EACH = 4 };
  pthread_t t;
  for (int i = 0; i < 2 * EACH; i++) {
    pthread_create(&t, NULL, wait_for_nothing, i < EACH ? NULL : &waiting);
  }
  while (waiting < 2 * EACH) {
    usleep(100);
  }
  usleep(2000);
}

/* True where all children ended as they wanted to. */
static int end_children(void) {
  int status = 0;
  for (int i = 0; i < 20 && status == 0; i++) {
    pid_t const pid = fork();
    if (pid == 0) {
      exit(0);
    }
    waitpid(pid, &status, 0);
  }
  return status == 0;
}

static volatile size_t too_much = (size_t)-1 / 2 + 1; /* for any malloc */

/* The block is in a list of its thread then, which glibc walks when the thread ends. */
static void *damage_list_of_thread(void *unused) {
  void *const block = malloc(24);
  free(block);
  *(volatile unsigned char *)block ^= 1; /* the list's next one */
  return unused;
}

/* Threads whose first request comes from a destructor that is called for the last time, as from a signal handler behind
 * all destructors: nobody is told of their end. Their stacks are so large that the C library keeps none of them. */
static pthread_key_t again;
static _Thread_local unsigned calls;

static void allocate_in_the_last_call(void *value) {
  if (++calls < PTHREAD_DESTRUCTOR_ITERATIONS) {
    pthread_setspecific(again, value);
  } else {
    kept_by_thread = malloc(10);
  }
}

static void *set_key(void *value) {
  pthread_setspecific(again, value);
  return NULL;
}

static void *allocate(void *unused) {
  free(kept_by_thread);
  kept_by_thread = NULL;
  return unused;
}

static void run_to_its_end_on(size_t bytes, void *(*body)(void *), void *argument) {
  pthread_attr_t attributes;
  pthread_t t;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, bytes);
  pthread_create(&t, &attributes, body, argument);
  pthread_join(t, NULL);
  pthread_attr_destroy(&attributes);
}

static int after_threads_that_allocated_last_of_all(char **argv) {
  pthread_key_create(&again, allocate_in_the_last_call);
  for (int i = 0; i < 3; i++) {
    run_to_its_end_on((size_t)64 << 20, set_key, argv);
    run_to_its_end_on((size_t)64 << 10, allocate, NULL);
  }
  return 3;
}

static void run_to_its_end(void *(*body)(void *)) {
  pthread_t t;
  pthread_create(&t, NULL, body, NULL);
  pthread_join(t, NULL);
}

static int in_a_thread(char **argv) {
  run_to_its_end(from_a_thread);
  return 2;
}

static int by_pthread_exit(char **argv) {
  pthread_t t;
  pthread_create(&t, NULL, go_on, NULL);
  pthread_exit(NULL);
}

static int after_a_thread_with_damage(char **argv) {
  run_to_its_end(damage_list_of_thread);
  return 2;
}

static int after_a_refused_request_and_a_thread_with_damage(char **argv) {
  free(malloc(too_much));
  return after_a_thread_with_damage(argv);
}

static int after_cancelling_threads(char **argv) {
  cancel_threads();
  return 3;
}

static int while_the_loader_is_asked(char **argv) {
  start_asking_the_loader();
  return 3;
}

static int after_children_while_the_loader_is_asked(char **argv) {
  fflush(stdout);
  start_asking_the_loader();
  return end_children() ? 3 : 1;
}

static int while_threads_wait(char **argv) {
  start_waiting();
  return 3;
}

const way process_threads[] = {
    {"thread", in_a_thread},
    {"pthread_exit", by_pthread_exit},
    {"thread_end", after_a_thread_with_damage},
    {"rejected_then_thread_end", after_a_refused_request_and_a_thread_with_damage},
    {"cancelled", after_cancelling_threads},
    {"loader", while_the_loader_is_asked},
    {"loader_fork", after_children_while_the_loader_is_asked},
    {"waiting", while_threads_wait},
    {"last_of_all", after_threads_that_allocated_last_of_all},
    {NULL, NULL},
};
