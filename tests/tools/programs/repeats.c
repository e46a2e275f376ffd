/* Overflows a block at one place three times, and at another once. */
#include <stdlib.h>

static volatile size_t size = 8;

static void spoil(void) {
  char *p = malloc(size);
  p[size] = 'x';
  free(p);
}

int main(void) {
  for (int i = 0; i < 3; i++) {
    spoil();
  }
  char *p = malloc(size);
  p[size] = 'x';
  free(p);
  return 5;
}
