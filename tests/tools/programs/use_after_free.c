/* Writes to the third byte of a freed block; with an argument, before it is freed. */
#include <stdlib.h>

int main(int argc, char **argv) {
  (void)argv;
  char *p = malloc(20); /* allocated */
  char *volatile kept = p;
  if (argc > 1) {
    kept[2] = 'x';
  }
  free(p); /* freed */
  if (argc == 1) {
    kept[2] = 'x';
  }
  return 0;
}
