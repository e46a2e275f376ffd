/* Asks for -16 bytes; with an argument, for 16. */
#include <stdlib.h>

static volatile int length = 16;

int main(int argc, char **argv) {
  (void)argv;
  free(malloc((size_t)(argc > 1 ? length : -length))); /* noticed */
  return 0;
}
