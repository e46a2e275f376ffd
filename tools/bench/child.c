#define _GNU_SOURCE /* wait4 */
#include "tools/bench/child.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

_Noreturn void die(const char *what) {
  fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
  exit(1);
}

double clock_seconds(clockid_t clock) {
  struct timespec t;
  (void)clock_gettime(clock, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int run_named_load(const named_load *loads, size_t count, const char *name) {
  for (size_t i = 0; i < count; i++) {
    if (strcmp(name, loads[i].name) == 0) {
      double const begin = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
      loads[i].run();
      printf("%.9f\n", clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - begin);
      return 0;
    }
  }
  return 2;
}

static double seconds_of(struct timeval t) {
  return (double)t.tv_sec + (double)t.tv_usec * 1e-6;
}

/* `output`: the end of a pipe, or -1. */
static void become(const char *library, const char *options, const char *const *arguments, int output) {
  if (output < 0) {
    output = open("/dev/null", O_WRONLY | O_CLOEXEC);
    (void)dup2(output, STDERR_FILENO);
  }
  (void)dup2(output, STDOUT_FILENO);
  if (library != NULL) {
    (void)setenv("LD_PRELOAD", library, 1);
  }
  if (options != NULL) {
    (void)setenv("RINGFENCE_OPTIONS", options, 1);
  }
  (void)execvp(arguments[0], (char *const *)(uintptr_t)arguments);
  _exit(127);
}

static void read_all(int fd, char *text, size_t size) {
  size_t length = 0;
  for (ssize_t got; length < size - 1 && (got = read(fd, text + length, size - 1 - length)) > 0;) {
    length += (size_t)got;
  }
  text[length] = '\0';
}

child_usage run_child(const char *name, const char *library, const char *options, const char *const *arguments,
                      char *text, size_t size) {
  int ends[2] = {-1, -1};
  struct rusage usage;
  int status = 0;
  if (text != NULL && pipe2(ends, O_CLOEXEC) != 0) {
    die("pipe");
  }
  double const begin = clock_seconds(CLOCK_MONOTONIC);
  pid_t const child = fork();
  if (child == 0) {
    become(library, options, arguments, ends[1]);
  }
  if (text != NULL) {
    (void)close(ends[1]);
    read_all(ends[0], text, size);
    (void)close(ends[0]);
  }
  if (child < 0 || wait4(child, &status, 0, &usage) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    die(name);
  }
  return (child_usage){seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime), clock_seconds(CLOCK_MONOTONIC) - begin,
                       usage.ru_maxrss};
}
