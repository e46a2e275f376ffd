/* Becomes a daemon, reads the file in its first argument until its end, and overflows a block. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static volatile size_t size = 8;

int main(int argc, char **argv) {
  char byte;
  if (argc < 2 || daemon(1, 0) != 0) {
    return 2;
  }
  int const file = open(argv[1], O_RDONLY);
  while (read(file, &byte, 1) > 0) {
  }
  (void)close(file);
  char *p = malloc(size);
  p[size] = 'x';
  free(p);
  return 0;
}
