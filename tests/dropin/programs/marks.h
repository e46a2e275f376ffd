/* A program of cases says on standard output where in its module it calls what findings should name. */
#ifndef RINGFENCE_TESTS_DROPIN_MARKS_H
#define RINGFENCE_TESTS_DROPIN_MARKS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOINLINE __attribute__((noinline))

/* The loader's own: where this program begins in memory. */
extern const char __executable_start[];

/* Says that a call made a few instructions before or after is the one called `what`. */
NOINLINE static void mark(const char *what) {
  printf("%s %zu\n", what, (size_t)((uintptr_t)__builtin_return_address(0) - (uintptr_t)__executable_start));
  fflush(stdout);
}

NOINLINE static char *make(size_t size) {
  mark("allocated");
  char *const p = malloc(size);
  memset(p, 1, size);
  return p;
}

#endif /* RINGFENCE_TESTS_DROPIN_MARKS_H */
