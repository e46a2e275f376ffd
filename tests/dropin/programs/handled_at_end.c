/* A process whose handler of SIGTERM leaves it, by _exit or by a jump, and that is sent the signal within its last
 * checks. Its standard error goes through a pipe that its child reads. The child sends the signal once a report of
 * damage has begun, and only then lets it go on: the reports do not fit into the pipe.
 *
 *   handled_at_end _exit|jump        The handler ends the process with 3. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
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

static int read_slowly(int from, pid_t parent) {
  char text[1000];
  ssize_t got = read(from, text, sizeof text);
  if (got > 0 && kill(parent, SIGTERM) != 0) {
    return 1;
  }
  for (; got > 0; got = read(from, text, sizeof text)) {
    if (write(STDERR_FILENO, text, (size_t)got) != got) {
      return 1;
    }
  }
  return 0;
}

static void damage(void) {
  for (int i = 0; i < DAMAGED; i++) {
    blocks[i] = malloc(100);
    blocks[i][100] = 1;
  }
}

int main(int argc, char **argv) {
  int ends[2];
  struct sigaction action = {.sa_handler = argc > 1 && strcmp(argv[1], "jump") == 0 ? jump : leave};
  pid_t const parent = getpid();
  if (pipe(ends) != 0 || fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES) != PIPE_BYTES) {
    return 1;
  }
  pid_t const child = fork(); /* before there is damage that it might find */
  if (child == 0) {
    close(ends[1]);
    _exit(read_slowly(ends[0], parent));
  }
  damage();
  if (child < 0 || dup2(ends[1], STDERR_FILENO) < 0 || close(ends[0]) != 0 || close(ends[1]) != 0 ||
      sigaction(SIGTERM, &action, NULL) != 0) {
    return 1;
  }
  if (sigsetjmp(start, 1) != 0) {
    return 3;
  }
  exit(0);
}
