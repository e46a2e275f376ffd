/* Frees a pointer four bytes into a block; with an argument, the block. */
#include <stdlib.h>

static volatile int into = 4;

int main(int argc, char **argv) {
  (void)argv;
  char *p = malloc(16);            /* allocated */
  free(p + (argc > 1 ? 0 : into)); /* noticed */
  return 0;
}
