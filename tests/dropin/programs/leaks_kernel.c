/* Blocks whose pointers the kernel alone has: in its tables, queues and signals. */
#define _GNU_SOURCE
#include "leaks.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/msg.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void use_as_the_signal_stack(void) {
  stack_t const stack = {.ss_sp = malloc(65536), .ss_size = 65536};
  sigaltstack(&stack, NULL);
}

static void *use_a_signal_stack(void *argument) {
  use_as_the_signal_stack();
  wipe();
  await_start();
  return wait_for_ever(argument);
}

static void kept_as_the_signal_stack(void) {
  use_as_the_signal_stack();
}

static void kept_as_a_thread_s_signal_stack(void) {
  start(use_a_signal_stack);
}

static void kept_by_epoll(void) {
  int const watcher = epoll_create1(0);
  for (unsigned i = 0; i < 300; i++) {
    int ends[2] = {-1, -1};
    struct epoll_event event = {.events = EPOLLIN, .data = {.u64 = 0}};
    if (pipe(ends) != 0) {
      break;
    }
    event.data.ptr = make_node(NULL, make_node(NULL, NULL));
    epoll_ctl(watcher, EPOLL_CTL_ADD, ends[0], &event);
    close(ends[1]);
  }
}

/* Nothing tells of timers in kernels that cannot restore a process. */
static void kept_by_a_timer(void) {
  timer_t timer;
  if (access("/proc/self/timers", R_OK) == 0) {
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    event.sigev_value.sival_ptr = make_node(NULL, NULL);
    timer_create(CLOCK_MONOTONIC, &event, &timer);
  }
}

static int ends[2];

static void kept_in_a_pipe(void) {
  node *const n = make_node(NULL, NULL);
  if (pipe(ends) == 0) {
    (void)!write(ends[1], "ab", 2); /* at no multiple of the pointer's size */
    (void)!write(ends[1], &n, sizeof n);
  }
}

static void kept_in_a_socket(void) {
  node *const n = make_node(NULL, NULL);
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0) {
    (void)!write(ends[1], &n, sizeof n);
  }
}

/* They wait until the signal is let in. */
static union sigval blocked_signal_with_a_node(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_BLOCK, &set, NULL);
  return (union sigval){.sival_ptr = make_node(NULL, make_node(NULL, NULL))};
}

static void kept_by_a_signal(void) {
  sigqueue(getpid(), SIGUSR1, blocked_signal_with_a_node());
}

#ifdef __GLIBC__ /* musl has no pthread_sigqueue */
static void kept_by_a_thread_s_signal(void) {
  pthread_sigqueue(pthread_self(), SIGUSR1, blocked_signal_with_a_node());
}
#endif

static void kept_in_a_queue(void) {
  struct {
    long type;
    node *n;
  } message = {1, make_node(NULL, NULL)};
  int const queue = msgget(IPC_PRIVATE, 0600);
  msgsnd(queue, &message, sizeof message.n, 0);
  msgctl(queue, IPC_RMID, NULL);
  message.n = NULL;
}

const test_case blocks_kept_by_the_kernel[] = {
    {"kept_as_the_signal_stack", kept_as_the_signal_stack},
    {"kept_as_a_thread_s_signal_stack", kept_as_a_thread_s_signal_stack},
    {"kept_by_epoll", kept_by_epoll},
    {"kept_by_a_timer", kept_by_a_timer},
    {"kept_in_a_pipe", kept_in_a_pipe},
    {"kept_in_a_socket", kept_in_a_socket},
    {"kept_by_a_signal", kept_by_a_signal},
#ifdef __GLIBC__
    {"kept_by_a_thread_s_signal", kept_by_a_thread_s_signal},
#endif
    {"kept_in_a_queue", kept_in_a_queue},
    {NULL, NULL},
};
