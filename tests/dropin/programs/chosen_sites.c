/* Allocates at two places and reads after free at one of them.
 *
 *     chosen_sites COUNT EVERY
 *
 * COUNT allocations in all, each EVERY-th of them at the bad place. */
#include <stdlib.h>

static volatile int sum;

__attribute__((noinline)) static void good(void) {
  volatile char *const p = malloc(40);
  p[0] = 1;
  free((void *)p);
}

__attribute__((noinline)) static void bad(void) {
  volatile char *const p = malloc(48);
  p[0] = 1;
  free((void *)p);
  sum += p[5];
}

int main(int argc, char **argv) {
  long const count = argc > 1 ? atol(argv[1]) : 0;
  long const every = argc > 2 ? atol(argv[2]) : 1;
  for (long i = 1; i <= count; i++) {
    if (i % every == 0) {
      bad();
    } else {
      good();
    }
  }
  return 0;
}
