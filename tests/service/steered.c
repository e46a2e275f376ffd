/* Allocates and frees at a steady pace until its standard input ends, as a service does: the process that tests steer.
 *
 *     steered MICROSECONDS [damage | fork]
 *
 * damage: writes behind a block that stays, which a sweep finds. fork: a child does the same beside it. Prints "ready"
 * when it has begun, and at its end how many blocks it asked for.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char *volatile kept;

static void allocate(void) {
  char *volatile p = malloc(40);
  p[0] = 1;
  free(p);
}

static int has_ended(void) {
  struct pollfd in = {0, POLLIN, 0};
  return poll(&in, 1, 0) != 0;
}

int main(int argc, char **argv) {
  unsigned const pause = argc > 1 ? (unsigned)atoi(argv[1]) : 0;
  unsigned long count = 0;
  pid_t child = -1;
  if (argc > 2 && strcmp(argv[2], "damage") == 0) {
    kept = malloc(10);
    kept[10] = 'x';
  }
  (void)puts("ready");
  (void)fflush(stdout);
  if (argc > 2 && strcmp(argv[2], "fork") == 0) {
    child = fork();
  }
  while (!has_ended()) {
    for (int i = 0; i < (pause == 0 ? 1000 : 1); i++, count++) {
      allocate();
    }
    if (pause != 0) {
      (void)usleep(pause);
    }
  }
  if (child > 0) {
    (void)waitpid(child, NULL, 0);
  }
  (void)printf("%lu\n", count);
  return 0;
}
