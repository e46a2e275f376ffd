/* A library that is preloaded behind ours, whose write forks once, with FORKS_WHEN_WRITTEN in the environment: the
 * child has its memory dumped, too. */
#define _GNU_SOURCE
#include <ringfence/dropin.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static bool has_forked;

static void fork_and_dump(void) {
  int status;
  pid_t const id = fork();
  if (id == 0) {
    ringfence_dump();
    _exit(0);
  }
  if (waitpid(id, &status, 0) != id || status != 0) {
    abort();
  }
}

ssize_t write(int file, const void *bytes, size_t size) {
  if (!has_forked && file == STDERR_FILENO && getenv("FORKS_WHEN_WRITTEN") != NULL) {
    has_forked = true;
    fork_and_dump();
  }
  return syscall(SYS_write, file, bytes, size);
}
