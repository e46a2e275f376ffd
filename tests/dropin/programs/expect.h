/* Checks for the programs that run under the drop-in: they must not use a test library that allocates in its own
 * way. */
#ifndef RINGFENCE_TESTS_DROPIN_EXPECT_H
#define RINGFENCE_TESTS_DROPIN_EXPECT_H

#include <stdio.h>
#include <stdlib.h>

static int failures;

/* Says what did not hold, and goes on. */
#define EXPECT(condition) ((condition) ? (void)0 : expect_failed(#condition, __FILE__, __LINE__))

static void expect_failed(const char *condition, const char *file, int line) {
  printf("%s:%d: %s\n", file, line, condition);
  failures++;
}

/* The program's exit status. */
static int expect_done(void) {
  if (failures == 0) {
    puts("ok");
  }
  return failures == 0 ? 0 : 1;
}

#endif /* RINGFENCE_TESTS_DROPIN_EXPECT_H */
