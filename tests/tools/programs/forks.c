/* Overflows a block in a child process, and itself does nothing wrong. Ends with the child's status. */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile size_t size = 8;

int main(void) {
  free(malloc(size));
  pid_t const pid = fork();
  if (pid == 0) {
    char *p = malloc(size); /* allocated */
    p[size] = 'x';
    free(p);
    exit(0);
  }
  int status = 0;
  (void)waitpid(pid, &status, 0);
  return WEXITSTATUS(status);
}
