/* Writes one byte past the end of a block; with an argument, none. */
#include <stdlib.h>
#include <string.h>

static volatile size_t size = 13;

int main(int argc, char **argv) {
  (void)argv;
  char *p = malloc(size); /* allocated */
  memset(p, 'x', argc > 1 ? size : size + 1);
  free(p); /* noticed */
  return 0;
}
