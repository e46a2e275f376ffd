/* Any program: `words wrong` writes one byte too far. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
  char *const copy = (char *)malloc(5);
  if (copy == NULL) {
    return 1;
  }
  memcpy(copy, "words", 5);
  if (argc > 1 && strcmp(argv[1], "wrong") == 0) {
    volatile size_t const end = 5;
    copy[end] = '\0';
  }
  printf("%.5s\n", copy);
  free(copy);
  return 0;
}
