/* Starts another program, by exec or by posix_spawn, or has a bug:
 *
 *   starts exec PROGRAM ARGUMENT... | spawn PROGRAM ARGUMENT... | bad */
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int spawn(char **words) {
  pid_t child;
  int status = -1;
  if (posix_spawn(&child, words[0], NULL, NULL, words, environ) != 0 || waitpid(child, &status, 0) != child) {
    return 8;
  }
  return WEXITSTATUS(status);
}

int main(int argc, char **argv) {
  char *const block = malloc(24);
  if (argc > 1 && strcmp(argv[1], "bad") == 0) {
    block[24] = 1;
  }
  free(block);
  if (argc > 2 && strcmp(argv[1], "exec") == 0) {
    execv(argv[2], argv + 2);
    return 9;
  }
  return argc > 2 && strcmp(argv[1], "spawn") == 0 ? spawn(argv + 2) : 0;
}
