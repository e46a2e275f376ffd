/* Allocates at two places and reads after free at one of them.
 *
 *     chosen_sites COUNT EVERY [threads]
 *
 * COUNT allocations in all, each EVERY-th of them at the bad place. Threads: each in one of its own, all at one place.
 */
#include <pthread.h>
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

static void *one(void *is_bad) {
  volatile char *const p = malloc(56);
  p[0] = 1;
  free((void *)p);
  sum += is_bad != NULL ? p[5] : 0;
  return NULL;
}

static int in_threads(long count, long every) {
  for (long i = 1; i <= count; i++) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, one, i % every == 0 ? &thread : NULL) != 0) {
      return 1;
    }
    pthread_join(thread, NULL);
  }
  return 0;
}

int main(int argc, char **argv) {
  long const count = argc > 1 ? atol(argv[1]) : 0;
  long const every = argc > 2 ? atol(argv[2]) : 1;
  if (argc > 3) {
    return in_threads(count, every);
  }
  for (long i = 1; i <= count; i++) {
    if (i % every == 0) {
      bad();
    } else {
      good();
    }
  }
  return 0;
}
