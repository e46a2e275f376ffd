/* Signal handlers that allocate, at any moment of the program's own allocating. */
#define _GNU_SOURCE
#include "expect.h"

#include <signal.h>
#include <string.h>
#include <sys/time.h>

enum { SIGNALS = 1500, BLOCKS = 64 };

static volatile sig_atomic_t count;
static char *volatile handed_over; /* from the program to the handler, which frees it */
static char *volatile handed_back;

/* The next signal comes once this one was served, or a slow machine would do nothing else. */
static const struct itimerval soon = {{0, 0}, {0, 100}};

static void handler(int number) {
  (void)number;
  char *p = malloc(40);
  memset(p, 1, 40);
  char *const bigger = realloc(p, 4000);
  free(bigger != NULL ? bigger : p);
  free(calloc(10, 10));
  free(handed_over);
  handed_over = NULL;
  if (handed_back == NULL) {
    handed_back = strdup("from the handler");
  }
  count++;
  if (count < SIGNALS) {
    setitimer(ITIMER_REAL, &soon, NULL);
  }
}

int main(void) {
  char *blocks[BLOCKS] = {NULL};
  unsigned seed = 1;
  struct sigaction action = {.sa_handler = handler};
  sigaction(SIGALRM, &action, NULL);
  setitimer(ITIMER_REAL, &soon, NULL);
  while (count < SIGNALS) {
    seed = seed * 1664525U + 1013904223U;
    size_t const i = (seed >> 8) % BLOCKS;
    size_t const size = (seed >> 16) % 1000 + 1;
    blocks[i] = seed % 2 == 0 ? realloc(blocks[i], size) : (free(blocks[i]), malloc(size));
    EXPECT(blocks[i] != NULL);
    memset(blocks[i], 2, size);
    if (handed_over == NULL) {
      handed_over = malloc(24);
    }
    if (handed_back != NULL) {
      char *const text = handed_back;
      EXPECT(strcmp(text, "from the handler") == 0);
      free(text);
      handed_back = NULL;
    }
  }
  free(handed_over);
  free(handed_back);
  for (size_t i = 0; i < BLOCKS; i++) {
    free(blocks[i]);
  }
  return expect_done();
}
