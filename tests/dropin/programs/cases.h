/* A program of cases, each with a bug and without: argv[1] chooses the case, and argv[2] "bad" puts its bug in. */
#ifndef RINGFENCE_TESTS_DROPIN_CASES_H
#define RINGFENCE_TESTS_DROPIN_CASES_H

#include <stdio.h>
#include <string.h>

typedef struct {
  const char *name;
  void (*run)(void);
} test_case;

#define CASE(name)                                                                                                     \
  { #name, name }

static volatile int bad; /* 0 in the good twin */

/* Runs the case and says "end". Returns the program's exit status: 2 where there is no such case. */
static int run_case(const test_case *cases, size_t count, int argc, char **argv) {
  const char *const name = argc > 1 ? argv[1] : "";
  bad = argc > 2 && strcmp(argv[2], "bad") == 0;
  for (size_t i = 0; i < count; i++) {
    if (strcmp(cases[i].name, name) == 0) {
      cases[i].run();
      puts("end");
      return 0;
    }
  }
  return 2;
}

#endif /* RINGFENCE_TESTS_DROPIN_CASES_H */
