/* Damages a block that it never frees, and then has nothing to do but wait to be found out. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int main(int argc, char **argv) {
  static char *volatile blocks[2000];
  struct timespec const pause = {0, 10000000};
  int const bad = argc > 1 && strcmp(argv[1], "bad") == 0;
  for (int i = 0; i < 2000; i++) {
    blocks[i] = malloc(24);
    memset(blocks[i], 1, 24);
  }
  blocks[1234][24 - !bad] = 2;
  if (bad) {
    for (int i = 0; i < 2000; i++) {
      (void)nanosleep(&pause, NULL);
    }
  } else {
    (void)nanosleep(&pause, NULL);
  }
  puts("end");
  return 0;
}
