/* Frees a block twice; with an argument, once. */
#include <stdlib.h>

int main(int argc, char **argv) {
  (void)argv;
  char *p = malloc(10); /* allocated */
  void *volatile again = argc > 1 ? NULL : p;
  free(p);     /* freed */
  free(again); /* noticed */
  return 0;
}
