/* Children that no handler of fork is told of: clones WAY WHAT [BLOCKS]. WAY is the call that makes them: _Fork, clone,
 * or a system call (SYS_fork, SYS_clone, clone3). WHAT is what they do and how they end: "none", "damages", "leaks",
 * "crashes", "returns", "_exit"; "leaves": its first thread returns, and another one damages a block later. "refused":
 * none is made, for the system refuses the call, and the parent says why. With BLOCKS live blocks the parent waits a
 * little before each of twenty children. Prints the last child's number, and its status, in hexadecimal. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_clone3
#define SYS_clone3 435
#endif
#define STACK 16384
#define STATUS 7
#define SECONDS 60

pid_t _Fork(void) __attribute__((weak)); /* glibc before 2.34 has none */

static const char *what;
static char *volatile kept;
static char *volatile lost;

static void damage(void) {
  kept = malloc(5);
  kept[5] = 1;
}

static void *damage_later(void *unused) {
  (void)unused;
  usleep(100000);
  damage();
  _exit(STATUS);
}

static int act(void *block) {
  pthread_t thread;
  char *volatile mine = malloc(33);
  mine[0] = *(char *)block;
  if (strcmp(what, "damages") == 0) {
    damage();
  }
  if (strcmp(what, "leaks") == 0) {
    for (int i = 0; i < 10; i++) {
      lost = malloc(77);
    }
    lost = NULL;
  }
  if (strcmp(what, "crashes") == 0) {
    *(volatile int *)0 = 1;
  }
  int const status = mine[0];
  if (strcmp(what, "returns") == 0 ||
      (strcmp(what, "leaves") == 0 && pthread_create(&thread, NULL, damage_later, NULL) == 0)) {
    return status;
  }
  if (strcmp(what, "_exit") == 0) {
    _exit(status);
  }
  free(mine);
  exit(status);
}

static pid_t make(const char *way, char *stack, char *block) {
  int const refused = strcmp(what, "refused") == 0 ? CLONE_SIGHAND : 0; /* of those who share no memory */
  uint64_t wanted[8] = {(uint64_t)refused, 0, 0, 0, SIGCHLD};
  if (strcmp(way, "clone") == 0) {
    return clone(act, stack + STACK, refused | SIGCHLD, block);
  }
  pid_t const child = strcmp(way, "_Fork") == 0       ? (_Fork != NULL ? _Fork() : fork())
                      : strcmp(way, "SYS_clone") == 0 ? syscall(SYS_clone, refused | SIGCHLD, 0, 0, 0, 0)
                      : strcmp(way, "clone3") == 0    ? syscall(SYS_clone3, wanted, sizeof wanted)
#ifdef SYS_fork
                      : strcmp(way, "SYS_fork") == 0 ? syscall(SYS_fork)
#endif
                                                     : -1;
  if (child == 0) {
    _exit(act(block));
  }
  return child;
}

/* A handler runs, and another thread may have memory. */
static void *allocate(void *block) {
  free(malloc(33));
  return block;
}

static volatile sig_atomic_t handled;

static void handle(int number) {
  handled = number;
  free(allocate(malloc(44)));
}

static int go_on(const char *way, int error) {
  pthread_t thread;
  signal(SIGUSR1, handle);
  raise(SIGUSR1);
  if (pthread_create(&thread, NULL, allocate, NULL) == 0) {
    pthread_join(thread, NULL);
  }
  printf("%s: %s%s\n", way, strerror(error), handled == 0 ? ", signals are blocked" : "");
  return 0;
}

int main(int argc, char **argv) {
  int const blocks = argc > 3 ? atoi(argv[3]) : 0;
  char *volatile stack = malloc(STACK);
  char *volatile block = malloc(55);
  int status = 0;
  pid_t child = 0;
  what = argv[2];
  *block = STATUS;
  alarm(SECONDS);
  char **volatile all = calloc(blocks + 1, sizeof *all);
  for (int i = 0; i < blocks; i++) {
    all[i] = malloc(200);
  }
  for (int i = 0; i < (blocks != 0 ? 20 : 1); i++) {
    if (blocks != 0) {
      usleep(3000 + 700 * i);
    }
    child = make(argv[1], stack, block);
    if (child < 0 && strcmp(what, "refused") == 0) {
      return go_on(argv[1], errno);
    }
    if (child < 0) {
      perror(argv[1]);
      return 2;
    }
    waitpid(child, &status, 0);
  }
  printf("%d %x\n", (int)child, status);
  for (int i = 0; i < blocks; i++) {
    free(all[i]);
  }
  free(all);
  free(stack);
  free(block);
  return 0;
}
