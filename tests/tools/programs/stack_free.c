/* Frees a local variable; with an argument, a block. */
#include <stdlib.h>

int main(int argc, char **argv) {
  (void)argv;
  char local[16] = {0};
  void *volatile p = argc > 1 ? malloc(16) : local;
  free(p); /* noticed */
  return local[0];
}
