/* Copies standard input to standard output through a block, and its arguments to standard error. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv) {
  size_t const size = 65536;
  char *p = malloc(size);
  ssize_t n;
  while ((n = read(STDIN_FILENO, p, size)) > 0) {
    if (write(STDOUT_FILENO, p, (size_t)n) != n) {
      return 1;
    }
  }
  free(p);
  for (int i = 1; i < argc; i++) {
    fprintf(stderr, "[%s]", argv[i]);
  }
  return n == 0 ? 0 : 2;
}
