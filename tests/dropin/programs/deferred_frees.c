/* A signal handler that interrupted free frees many blocks: none is lost, and a second free of one is found. */
#define _GNU_SOURCE
#include "expect.h"

#include <ringfence/dropin.h>
#include <signal.h>
#include <string.h>

enum { BLOCKS = 20000, ROUNDS = 3, FREED_TWICE = 700 };

static char *blocks[BLOCKS];
static int findings;
static int double_frees;
static int armed;

static void handler(int number) {
  (void)number;
  for (size_t i = 0; i < BLOCKS; i++) {
    char *const p = blocks[i];
    blocks[i] = NULL;
    free(p);
    if (i == FREED_TWICE) {
      free(p);
    }
  }
}

/* Called in the middle of the free that is wrong. */
static void on_finding(const char *text, size_t length, void *context) {
  (void)context;
  findings++;
  double_frees += memmem(text, length, "double-free", 11) != NULL;
  if (armed) {
    armed = 0;
    raise(SIGUSR1);
  }
}

__attribute__((noinline)) static void run_round(void) {
  for (size_t i = 0; i < BLOCKS; i++) {
    blocks[i] = malloc(40);
    memset(blocks[i], 1, 40);
  }
  char *const p = malloc(10);
  free(p);
  armed = 1;
  free(p);
  EXPECT(armed == 0);
  free(malloc(8));
}

int main(void) {
  signal(SIGUSR1, handler);
  __ringfence_on_finding(on_finding, NULL);
  for (int i = 1; i <= ROUNDS; i++) {
    run_round();
    EXPECT(double_frees == 2 * i);
  }
  EXPECT(__ringfence_check_leaks() == 0);
  EXPECT(findings == double_frees);
  return expect_done();
}
