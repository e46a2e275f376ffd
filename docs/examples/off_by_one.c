#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *copy(const char *text) {
  char *p = malloc(strlen(text)); /* one byte short: the NUL has no room */
  return strcpy(p, text);
}

int main(void) {
  char *name = copy("Ringfence");
  fprintf(stderr, "Hello, %s\n", name);
  free(name);
  return 0;
}
