/* Asks for an alignment of 24 bytes; with an argument, of 32. */
#include <stdlib.h>

static volatile size_t alignment = 24;

int main(int argc, char **argv) {
  void *p = NULL;
  (void)argv;
  if (posix_memalign(&p, argc > 1 ? 32 : alignment, 64) == 0) { /* noticed */
    free(p);
  }
  return 0;
}
