/* Prints where blocks of one size lie, in units of 16 bytes behind the lowest: the first ones, and some after many came
 * and went. In between, blocks of random sizes keep their contents. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCKS = 24, SIZE = 40, SLOTS = 200, ROUNDS = 60000 };

static void print_places(const char *name) {
  char *blocks[BLOCKS];
  uintptr_t lowest = UINTPTR_MAX;
  for (int i = 0; i < BLOCKS; i++) {
    blocks[i] = malloc(SIZE);
    lowest = (uintptr_t)blocks[i] < lowest ? (uintptr_t)blocks[i] : lowest;
  }
  printf("%s:", name);
  for (int i = 0; i < BLOCKS; i++) {
    printf(" %u", (unsigned)(((uintptr_t)blocks[i] - lowest) / 16));
    free(blocks[i]);
  }
  putchar('\n');
}

static int is_whole(const unsigned char *block) {
  for (unsigned i = 1; block != NULL && i < block[0]; i++) {
    if (block[i] != block[0]) {
      return 0;
    }
  }
  return 1;
}

int main(void) {
  static char buffer[4096];
  static unsigned char *slots[SLOTS];
  uint32_t seed = 1;
  int whole = 1;
  setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
  print_places("first");
  for (int i = 0; i < ROUNDS; i++) {
    seed = seed * 1664525U + 1013904223U;
    unsigned char **const slot = &slots[(seed >> 8) % SLOTS];
    unsigned const size = 1 + (seed >> 16) % 200;
    whole = whole && is_whole(*slot);
    free(*slot);
    *slot = malloc(size);
    memset(*slot, (int)size, size);
  }
  for (int i = 0; i < SLOTS; i++) {
    whole = whole && is_whole(slots[i]);
    free(slots[i]);
  }
  print_places("later");
  puts(whole ? "whole" : "damaged");
  return 0;
}
