/* Reads a block after its free. */
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
  volatile char *const p = malloc(40);
  int const bad = argc > 1 && strcmp(argv[1], "bad") == 0;
  memset((void *)p, 0, 40);
  if (bad) {
    free((void *)p);
  }
  int const read = p[5];
  if (!bad) {
    free((void *)p);
  }
  return read;
}
