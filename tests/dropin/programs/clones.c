/* Children that no handler of fork is told of: clones WAY WHAT [BLOCKS]. WAY is the call that makes them: _Fork, clone,
 * or a system call (SYS_fork, SYS_clone, clone3). WHAT is what they do and how they end: "none", "damages", "leaks",
 * "crashes", "returns", "_exit". With BLOCKS live blocks the parent waits a little before each of twenty children.
 * Prints the last child's number, and its status, in hexadecimal. */
#define _GNU_SOURCE
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

static int act(void *block) {
  char *volatile mine = malloc(33);
  mine[0] = *(char *)block;
  if (strcmp(what, "damages") == 0) {
    kept = malloc(5);
    kept[5] = 1;
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
  if (strcmp(what, "returns") == 0) {
    return status;
  }
  if (strcmp(what, "_exit") == 0) {
    _exit(status);
  }
  free(mine);
  exit(status);
}

static pid_t make(const char *way, char *stack, char *block) {
  uint64_t wanted[8] = {0, 0, 0, 0, SIGCHLD};
  if (strcmp(way, "clone") == 0) {
    return clone(act, stack + STACK, SIGCHLD, block);
  }
  pid_t const child = strcmp(way, "_Fork") == 0       ? (_Fork != NULL ? _Fork() : fork())
                      : strcmp(way, "SYS_clone") == 0 ? syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)
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
