/* A process whose handler of SIGTERM leaves it, by _exit or by a jump, and that is sent the signal within its last
 * checks. Its standard error goes through a pipe that its parent reads. The parent sends the signal once a report of
 * damage has begun, and only then lets it go on: the reports do not fit into the pipe. Whoever waits for the parent has
 * all that was told.
 *
 *   handled_at_end _exit|jump        The handler ends the process with 3. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DAMAGED = 12, PIPE_BYTES = 4096 };

static sigjmp_buf start;
static char *volatile blocks[DAMAGED];

static void leave(int number) {
  (void)number;
  _exit(3);
}

static void jump(int number) {
  (void)number;
  siglongjmp(start, 1);
}

static int read_slowly(int from, pid_t child) {
  char text[1000];
  int status = 0;
  ssize_t got = read(from, text, sizeof text);
  if (got > 0 && kill(child, SIGTERM) != 0) {
    return 1;
  }
  for (; got > 0; got = read(from, text, sizeof text)) {
    if (write(STDERR_FILENO, text, (size_t)got) != got) {
      return 1;
    }
  }
  return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static void damage(void) {
  for (int i = 0; i < DAMAGED; i++) {
    blocks[i] = malloc(100);
    blocks[i][100] = 1;
  }
}

static int work(const char *way) {
  struct sigaction action = {.sa_handler = strcmp(way, "jump") == 0 ? jump : leave};
  damage();
  if (sigaction(SIGTERM, &action, NULL) != 0) {
    return 1;
  }
  if (sigsetjmp(start, 1) != 0) {
    return 3;
  }
  exit(0);
}

int main(int argc, char **argv) {
  int ends[2];
  if (argc > 2) {
    return work(argv[2]);
  }
  if (argc != 2 || pipe2(ends, O_CLOEXEC) != 0 || fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES) != PIPE_BYTES) {
    return 1;
  }
  pid_t const child = fork();
  if (child == 0) {
    if (dup2(ends[1], STDERR_FILENO) >= 0) {
      execl("/proc/self/exe", argv[0], "work", argv[1], (char *)NULL);
    }
    _exit(1);
  }
  close(ends[1]);
  _exit(child < 0 ? 1 : read_slowly(ends[0], child));
}
