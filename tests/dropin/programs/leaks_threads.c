/* Blocks that threads lose or keep: on stacks, in registers, as arguments and results. */
#define _GNU_SOURCE
#include "leaks.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static void *lose_in_a_thread(void *argument) {
  below(one);
  return argument;
}

static void *lose_in_the_first_frame(void *argument) {
  void *volatile kept = malloc(33);
  (void)kept;
  return argument;
}

static void in_the_first_frame_of_an_ended_thread(void) {
  pthread_t t;
  pthread_create(&t, NULL, lose_in_the_first_frame, NULL);
  pthread_join(t, NULL);
}

static _Thread_local void *of_a_thread;

static void *lose_in_thread_local_storage(void *argument) {
  of_a_thread = malloc(33);
  return argument;
}

static void in_an_ended_thread_s_storage(void) {
  pthread_t t;
  pthread_create(&t, NULL, lose_in_thread_local_storage, NULL);
  pthread_join(t, NULL);
}

static void in_an_ended_thread(void) {
  pthread_t t;
  pthread_create(&t, NULL, lose_in_a_thread, NULL);
  pthread_join(t, NULL);
}

static void *give_back_a_block(void *argument) {
  (void)argument;
  return malloc(33);
}

static void as_the_result_of_an_ended_thread(void) {
  pthread_t t;
  pthread_create(&t, NULL, give_back_a_block, NULL);
  pthread_join(t, NULL);
}

/* Such a thread never calls malloc. */
static void *do_nothing(void *argument) {
  return argument != NULL ? NULL : argument;
}

static void as_the_argument_of_an_ended_thread(void) {
  pthread_t t;
  pthread_create(&t, NULL, do_nothing, malloc(33));
  pthread_join(t, NULL);
}

static pthread_mutex_t both_are_there = PTHREAD_MUTEX_INITIALIZER;

static void *wait_and_do_nothing(void *argument) {
  (void)pthread_mutex_lock(&both_are_there);
  (void)pthread_mutex_unlock(&both_are_there);
  return do_nothing(argument);
}

/* Nothing closed lies between the two, so that one line of the memory map has both stacks. */
static void as_the_argument_of_an_ended_thread_below_another(void) {
  pthread_attr_t open_below;
  pthread_t upper;
  pthread_t lower;
  pthread_attr_init(&open_below);
  pthread_attr_setguardsize(&open_below, 0);
  pthread_mutex_lock(&both_are_there);
  pthread_create(&upper, &open_below, wait_and_do_nothing, NULL);
  pthread_create(&lower, NULL, wait_and_do_nothing, malloc(33));
  pthread_mutex_unlock(&both_are_there);
  pthread_join(upper, NULL);
  pthread_join(lower, NULL);
}

static volatile long a_threads_number;

static void *tell_the_number(void *argument) {
  (void)argument;
  a_threads_number = syscall(SYS_gettid);
  return NULL;
}

/* Until the kernel knows the thread no more. */
static void as_the_argument_of_a_detached_thread(void) {
  pthread_t t;
  pthread_create(&t, NULL, tell_the_number, malloc(33));
  pthread_detach(t);
  while (a_threads_number == 0 || syscall(SYS_tgkill, getpid(), a_threads_number, 0) == 0) {
    usleep(1000);
  }
}

void *wait_for_ever(void *argument) {
  (void)argument;
  return pause() != 0 ? NULL : argument;
}

/* Far below the stack pointer of a thread that waits: even the frame of a signal's handler does not reach it. */
static __attribute__((noinline)) void lose_far_below(void) {
  void *volatile far_below[8192];
  far_below[0] = malloc(33);
}

static volatile int losers;

static void *lose_and_wait(void *argument) {
  lose_far_below();
  free(malloc(44)); /* no register has the lost block any more */
  (void)__atomic_fetch_add(&losers, 1, __ATOMIC_RELEASE);
  return wait_for_ever(argument);
}

static void on_stacks_of_waiting_threads(void) {
  pthread_t t;
  pthread_create(&t, NULL, lose_and_wait, NULL);
  pthread_create(&t, NULL, lose_and_wait, NULL);
  while (__atomic_load_n(&losers, __ATOMIC_ACQUIRE) != 2) {
    usleep(1000);
  }
}

/* It may ask for its argument at any time. */
static void kept_as_the_argument_of_a_thread(void) {
  pthread_t t;
  pthread_create(&t, NULL, wait_for_ever, malloc(33));
  usleep(20000);
}

/* Somebody may still ask for it. */
static void kept_as_the_result_of_an_ended_thread(void) {
  pthread_t t;
  pthread_create(&t, NULL, give_back_a_block, NULL);
  usleep(20000);
}

/* The system's files about the process are those of its first thread. */
static void await_end_of_first_thread(void) {
  char byte;
  ssize_t got = 1;
  for (int i = 0; i < 5000 && got > 0; i++) {
    int const maps = open("/proc/self/maps", O_RDONLY);
    got = read(maps, &byte, 1);
    close(maps);
    usleep(1000);
  }
}

static void *lose_alone(void *unused) {
  await_end_of_first_thread();
  below(one);
  wipe();
  exit(0);
  return unused;
}

static void *keep_alone(void *unused) {
  await_end_of_first_thread();
  in_a_global = make_node(make_node(NULL, NULL), NULL);
  exit(0);
  return unused;
}

static void after_the_first_thread(void) {
  pthread_t t;
  pthread_create(&t, NULL, lose_alone, NULL);
  pthread_exit(NULL);
}

static void kept_after_the_first_thread(void) {
  pthread_t t;
  pthread_create(&t, NULL, keep_alone, NULL);
  pthread_exit(NULL);
}

static pthread_barrier_t barrier;

void await_start(void) {
  pthread_barrier_wait(&barrier);
}

static void *hold_on_the_stack(void *argument) {
  void *volatile mine = malloc(33);
  await_start();
  for (;;) {
    pause();
  }
  (void)mine;
  return argument;
}

/* In a loop that uses the pointer and nothing else, it lives in a register. */
static void *hold_in_a_register(void *argument) {
  register unsigned char *mine = malloc(33);
  await_start();
  for (;;) {
    __asm__ volatile("" : "+r"(mine) : : "memory");
  }
  return argument;
}

void start(void *(*body)(void *)) {
  pthread_t t;
  pthread_barrier_init(&barrier, NULL, 2);
  pthread_create(&t, NULL, body, NULL);
  await_start();
}

static void kept_on_a_thread_s_stack(void) {
  start(hold_on_the_stack);
}

static void *free_at_once(void *argument) {
  free(malloc(33));
  return argument;
}

/* By a thread that was given the stack of one that ended. */
static void kept_on_a_stack_that_is_used_again(void) {
  pthread_t t;
  pthread_create(&t, NULL, free_at_once, NULL);
  pthread_join(t, NULL);
  kept_on_a_thread_s_stack();
}

/* The memory is the program's again once the thread has ended. */
static void kept_in_memory_that_was_a_stack(void) {
  size_t const size = 1 << 20;
  pthread_attr_t ours;
  pthread_t t;
  in_mapped_memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  pthread_attr_init(&ours);
  pthread_attr_setstack(&ours, in_mapped_memory, size);
  pthread_create(&t, &ours, free_at_once, NULL);
  pthread_join(t, NULL);
  in_mapped_memory[1000] = malloc(33);
}

static void kept_in_a_thread_s_register(void) {
  start(hold_in_a_register);
}

const test_case blocks_of_threads[] = {
    {"in_an_ended_thread", in_an_ended_thread},
    {"after_the_first_thread", after_the_first_thread},
    {"in_the_first_frame_of_an_ended_thread", in_the_first_frame_of_an_ended_thread},
    {"in_an_ended_thread_s_storage", in_an_ended_thread_s_storage},
    {"as_the_result_of_an_ended_thread", as_the_result_of_an_ended_thread},
    {"as_the_argument_of_an_ended_thread", as_the_argument_of_an_ended_thread},
    {"as_the_argument_of_an_ended_thread_below_another", as_the_argument_of_an_ended_thread_below_another},
    {"as_the_argument_of_a_detached_thread", as_the_argument_of_a_detached_thread},
    {"on_stacks_of_waiting_threads", on_stacks_of_waiting_threads},
    {"kept_as_the_argument_of_a_thread", kept_as_the_argument_of_a_thread},
    {"kept_as_the_result_of_an_ended_thread", kept_as_the_result_of_an_ended_thread},
    {"kept_on_a_stack_that_is_used_again", kept_on_a_stack_that_is_used_again},
    {"kept_in_memory_that_was_a_stack", kept_in_memory_that_was_a_stack},
    {"kept_after_the_first_thread", kept_after_the_first_thread},
    {"kept_on_a_thread_s_stack", kept_on_a_thread_s_stack},
    {"kept_in_a_thread_s_register", kept_in_a_thread_s_register},
    {NULL, NULL},
};
