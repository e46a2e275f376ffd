/* Built with -fsanitize=address: its malloc is AddressSanitizer's. `sanitized wrong` steps outside a block. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
  volatile char *const p = malloc(10);
  size_t const at = argc > 1 && strcmp(argv[1], "wrong") == 0 ? 10 : 9;
  p[at] = 1;
  free((char *)p);
  printf("%d arguments, preload %s\n", argc, getenv("RINGFENCE_OPTIONS") != NULL ? "and options" : "without options");
  return 0;
}
