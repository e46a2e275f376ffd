#include "tools/ringfence/base/subprocess.h"

#include "tools/ringfence/base/read_file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

int rf_subprocess_input(const char *text, size_t size) {
  int const fd = memfd_create("ringfence-input", MFD_CLOEXEC);
  if (fd < 0) {
    return -1;
  }
  size_t done = 0;
  while (done < size) {
    ssize_t const n = write(fd, text + done, size - done);
    if (n <= 0) {
      int const saved = errno;
      (void)close(fd);
      errno = saved;
      return -1;
    }
    done += (size_t)n;
  }
  (void)lseek(fd, 0, SEEK_SET);
  return fd;
}

/* It ends with its parent: nobody would read what it says. */
static _Noreturn void become(pid_t parent, const char *program, const char *const *argv, int input, int output) {
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) {
    _exit(127);
  }
  int const null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  (void)unsetenv("LD_PRELOAD");
  (void)setenv("RINGFENCE_HELPER", "1", 1); /* where this command is checked itself, its helpers do not count */
  (void)dup2(input, STDIN_FILENO);
  (void)dup2(output, STDOUT_FILENO);
  (void)dup2(null, STDERR_FILENO);
  (void)execv(program, (char *const *)argv);
  _exit(127);
}

const char *rf_subprocess_output(rf_bump_arena *arena, const char *program, const char *const *argv,
                                 const char *input) {
  int output[2];
  int const fd = rf_subprocess_input(input, strlen(input));
  if (fd < 0) {
    return NULL;
  }
  if (pipe2(output, O_CLOEXEC) != 0) {
    (void)close(fd);
    return NULL;
  }
  pid_t const parent = getpid();
  pid_t const pid = fork();
  if (pid == 0) {
    become(parent, program, argv, fd, output[1]);
  }
  (void)close(fd);
  (void)close(output[1]);
  size_t length = 0;
  const char *const text = pid < 0 ? NULL : rf_read_all(arena, output[0], &length);
  (void)close(output[0]);
  int status = -1;
  while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? text : NULL;
}
