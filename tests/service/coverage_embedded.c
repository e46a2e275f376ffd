/* A program whose own heap is checked, without the drop-in: allocates at call sites with names, N times each.
 *
 *     coverage_embedded N [fork]
 *
 * fork: a child allocates at one more. */
#include <ringfence/checked.h>
#include <ringfence/tlsf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SITE __attribute__((noinline)) static

static rf_allocator *heap;

SITE void *own_small(void) {
  void *volatile p = rf_alloc(heap, 40);
  return p;
}

SITE void *own_large(void) {
  void *volatile p = rf_alloc(heap, 4000);
  return p;
}

SITE void *own_late(void) {
  void *volatile p = rf_alloc(heap, 24);
  return p;
}

static void repeat(void *(*make)(void), int times) {
  for (int i = 0; i < times; i++) {
    rf_free(heap, make());
  }
}

int main(int argc, char **argv) {
  static char arena[1 << 20];
  static rf_tlsf tlsf;
  static rf_checked checked;
  int const times = argc > 1 ? atoi(argv[1]) : 1;
  if (rf_tlsf_init(&tlsf, arena, sizeof arena) != RF_OK) {
    return 2;
  }
  heap = rf_checked_init(&checked, &tlsf.base, NULL);
  repeat(own_small, times);
  repeat(own_large, times);
  if (argc > 2 && strcmp(argv[2], "fork") == 0) {
    int status = 1;
    pid_t const child = fork();
    if (child == 0) {
      repeat(own_late, times);
      exit(0);
    }
    return waitpid(child, &status, 0) == child && status == 0 ? 0 : 2;
  }
  return 0;
}
