/* Allocates and frees blocks of 16 to 143 bytes at four places, so many times, and prints the processor time that took:
 * the load of steer_bench.py. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PLACE(name)                                                                                                    \
  __attribute__((noinline)) static char *name(size_t size) {                                                           \
    char *const p = malloc(size);                                                                                      \
    p[0] = 1;                                                                                                          \
    return p;                                                                                                          \
  }

PLACE(first)
PLACE(second)
PLACE(third)
PLACE(fourth)

int main(int argc, char **argv) {
  static char *(*const places[4])(size_t) = {first, second, third, fourth};
  static char *live[256];
  long const count = argc > 1 ? atol(argv[1]) : 0;
  struct timespec begin;
  struct timespec end;
  uint32_t random = 1;
  (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
  for (long i = 0; i < count; i++) {
    random = random * 1664525 + 1013904223;
    free(live[random >> 24]);
    live[random >> 24] = places[random >> 22 & 3](16 + (random >> 15 & 127));
  }
  (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
  (void)printf("%.6f\n", (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9);
  return 0;
}
