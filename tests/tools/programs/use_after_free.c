/* Writes to the third byte of a freed block; with an argument, before it is freed; with two, after a block of the same
 * size was allocated, which may lie where the first one was. */
#include <stdlib.h>

static char *volatile again;

int main(int argc, char **argv) {
  (void)argv;
  char *p = malloc(20); /* allocated */
  char *volatile kept = p;
  if (argc == 2) {
    kept[2] = 'x';
  }
  free(p); /* freed */
  if (argc > 2) {
    again = malloc(20);
  }
  if (argc != 2) {
    kept[2] = 'x';
  }
  return 0;
}
