/* Writes one byte before the start of a block; with an argument, none. */
#include <stdlib.h>

static volatile int before = -1;

int main(int argc, char **argv) {
  (void)argv;
  char *p = malloc(24); /* allocated */
  p[argc > 1 ? 0 : before] = 'x';
  free(p); /* noticed */
  return 0;
}
