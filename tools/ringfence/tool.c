#include "tools/ringfence/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* A file, not a pipe: the tool may read and write in any order without either side waiting for the other. */
static int file_with(const char *input) {
  int const fd = memfd_create("ringfence-input", MFD_CLOEXEC);
  if (fd < 0) {
    return -1;
  }
  size_t const size = strlen(input);
  size_t done = 0;
  while (done < size) {
    ssize_t const n = write(fd, input + done, size - done);
    if (n <= 0) {
      (void)close(fd);
      return -1;
    }
    done += (size_t)n;
  }
  (void)lseek(fd, 0, SEEK_SET);
  return fd;
}

static _Noreturn void become(const char *program, const char *const *argv, int input, int output) {
  int const null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  (void)unsetenv("LD_PRELOAD");
  (void)dup2(input, STDIN_FILENO);
  (void)dup2(output, STDOUT_FILENO);
  (void)dup2(null, STDERR_FILENO);
  (void)execv(program, (char *const *)argv);
  _exit(127);
}

static const char *read_all(rf_stash *stash, int fd) {
  size_t room = (size_t)64 * 1024;
  size_t length = 0;
  char *text = (char *)malloc(room);
  while (text != NULL) {
    ssize_t const n = read(fd, text + length, room - length);
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n <= 0) {
      break;
    }
    length += (size_t)n;
    if (length == room) {
      room *= 2;
      char *const larger = (char *)realloc(text, room);
      if (larger == NULL) {
        free(text);
      }
      text = larger;
    }
  }
  const char *const result = text == NULL ? NULL : rf_stash_text(stash, text, length);
  free(text);
  return result;
}

const char *rf_tool_run(rf_stash *stash, const char *program, const char *const *argv, const char *input) {
  int output[2];
  int const fd = file_with(input);
  if (fd < 0) {
    return NULL;
  }
  if (pipe2(output, O_CLOEXEC) != 0) {
    (void)close(fd);
    return NULL;
  }
  pid_t const pid = fork();
  if (pid == 0) {
    become(program, argv, fd, output[1]);
  }
  (void)close(fd);
  (void)close(output[1]);
  const char *const text = pid < 0 ? NULL : read_all(stash, output[0]);
  (void)close(output[0]);
  int status = -1;
  while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? text : NULL;
}
