/* Asks for more elements than there are addresses; with an argument, for four. */
#include <stdint.h>
#include <stdlib.h>

static volatile size_t many = SIZE_MAX / 2;

int main(int argc, char **argv) {
  (void)argv;
  free(calloc(argc > 1 ? 4 : many, sizeof(int))); /* noticed */
  return 0;
}
