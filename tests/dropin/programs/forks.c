/* Children of a process with many live blocks: forks COUNT how-it-ends [bad]. Prints the nanoseconds of the quickest of
 * ten children, or with "bad" lets one child write behind a block of its parent's. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char **blocks;

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static int status_of_child(int abrupt, char *victim) {
  int status = 0;
  pid_t const child = fork();
  if (child == 0) {
    if (victim != NULL) {
      victim[24] = 1;
    }
    if (abrupt) {
      _exit(0);
    }
    exit(0);
  }
  waitpid(child, &status, 0);
  return WEXITSTATUS(status);
}

int main(int argc, char **argv) {
  size_t const count = argc > 2 ? strtoul(argv[1], NULL, 10) : 0;
  int const abrupt = argc > 2 && strcmp(argv[2], "_exit") == 0;
  uint64_t least = UINT64_MAX;
  blocks = malloc((count + 1) * sizeof *blocks);
  for (size_t i = 0; i < count; i++) {
    blocks[i] = malloc(24);
    memset(blocks[i], 1, 24);
  }
  if (argc > 3) {
    return status_of_child(abrupt, blocks[count - 1]);
  }
  for (int i = 0; i < 10; i++) {
    uint64_t const begin = now_ns();
    if (status_of_child(abrupt, NULL) != 0) {
      return 1;
    }
    uint64_t const took = now_ns() - begin;
    least = took < least ? took : least;
  }
  printf("%llu\n", (unsigned long long)least);
  return 0;
}
