/* Reads a block after its free; or a string whose end is missing, to the byte behind its block and on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int read_a_string_without_end(void) {
  char *volatile const p = malloc(64);
  memset(p, 'a', 64);
  puts(strlen(p) == 64 ? "ends behind the block" : "goes on");
  free(p);
  return 0;
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "string") == 0) {
    return read_a_string_without_end();
  }
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
