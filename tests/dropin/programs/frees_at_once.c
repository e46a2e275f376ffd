/* Two threads free one block at the same moment, round after round: each time one free is a double free, and the block
 * does not serve two requests afterwards. */
#define _GNU_SOURCE
#include "expect.h"

#include <pthread.h>
#include <ringfence/dropin.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 800, KEPT = 64 };

static const size_t sizes[] = {24, 24, 100, 1000, 40000};
static const size_t aligns[] = {16, 256, 16, 16, 16};
enum { KINDS = sizeof sizes / sizeof sizes[0] };

static void *block;
static int arrived; /* accessed atomically, as is the next: how often a thread came here */
static int double_frees;

static void on_finding(const char *text, size_t length, void *context) {
  (void)context;
  __atomic_fetch_add(&double_frees, memmem(text, length, "double-free", 11) != NULL, __ATOMIC_RELAXED);
}

static void meet(int round) {
  __atomic_fetch_add(&arrived, 1, __ATOMIC_ACQ_REL);
  for (int spins = 0; __atomic_load_n(&arrived, __ATOMIC_ACQUIRE) < 2 * round; spins++) {
    if (spins > 100000) {
      sched_yield(); /* on one processor */
    }
  }
}

static void *other(void *unused) {
  for (int i = 0; i < ROUNDS; i++) {
    meet(2 * i + 1);
    free(__atomic_load_n(&block, __ATOMIC_RELAXED));
    meet(2 * i + 2);
  }
  return unused;
}

/* Blocks that are live at the same time are different ones. */
static void expect_own_blocks(size_t size) {
  char *kept[KEPT];
  for (int i = 0; i < KEPT; i++) {
    kept[i] = malloc(size);
    memset(kept[i], i, size);
  }
  for (int i = 0; i < KEPT; i++) {
    EXPECT(kept[i][0] == i && kept[i][size - 1] == i);
    free(kept[i]);
  }
}

int main(void) {
  pthread_t thread;
  __ringfence_on_finding(on_finding, NULL);
  EXPECT(pthread_create(&thread, NULL, other, NULL) == 0);
  for (int i = 0; i < ROUNDS; i++) {
    __atomic_store_n(&block, aligned_alloc(aligns[i % KINDS], sizes[i % KINDS]), __ATOMIC_RELAXED);
    meet(2 * i + 1);
    free(block);
    meet(2 * i + 2);
    if (i % 100 == 0) {
      expect_own_blocks(sizes[0]);
    }
  }
  pthread_join(thread, NULL);
  EXPECT(double_frees == ROUNDS);
  return expect_done();
}
