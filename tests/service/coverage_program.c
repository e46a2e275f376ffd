/* Allocates at call sites with names, N times each: the program whose coverage tests look at.
 *
 *     coverage_program N [fork | threads | many | on]
 *
 * fork: a child allocates at one more. threads: eight do the same at once. many: at 4,000 sites once. on: until it is
 * killed, and at the one more, too. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SITE __attribute__((noinline)) static

static int times;

SITE void *make_buffer(void) {
  char *volatile p = malloc(40);
  return p;
}

SITE void *make_array(void) {
  char *volatile p = calloc(3, 16);
  return p;
}

SITE void *make_copy(void) {
  char *volatile p = strdup("a text");
  return p;
}

SITE void *make_larger(void *old) {
  char *volatile p = realloc(old, 4000);
  return p;
}

SITE void make_late(void) {
  char *volatile p = malloc(24);
  free(p);
}

static void *work(void *unused) {
  for (int i = 0; i < times; i++) {
    free(make_array());
    free(make_copy());
    free(make_larger(make_buffer()));
  }
  return unused;
}

static void fork_late(void) {
  pid_t const child = fork();
  if (child == 0) {
    for (int i = 0; i < times; i++) {
      make_late();
    }
    exit(0);
  }
  (void)waitpid(child, NULL, 0);
}

static void go_on(void) {
  for (;;) {
    (void)work(NULL);
    make_late();
    (void)usleep(1000);
  }
}

static void run_threads(void) {
  pthread_t threads[8];
  for (int i = 0; i < 8; i++) {
    (void)pthread_create(&threads[i], NULL, work, NULL);
  }
  for (int i = 0; i < 8; i++) {
    (void)pthread_join(threads[i], NULL);
  }
}

#define ONE                                                                                                            \
  p = malloc(1);                                                                                                       \
  free(p);
#define TEN ONE ONE ONE ONE ONE ONE ONE ONE ONE ONE
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
#define THOUSAND HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED

static void allocate_everywhere(void) {
  char *volatile p;
  THOUSAND THOUSAND THOUSAND THOUSAND
}

int main(int argc, char **argv) {
  const char *const also = argc > 2 ? argv[2] : "";
  times = argc > 1 ? atoi(argv[1]) : 1;
  if (strcmp(also, "many") == 0) {
    allocate_everywhere();
  } else if (strcmp(also, "threads") == 0) {
    run_threads();
  } else if (strcmp(also, "on") == 0) {
    go_on();
  } else {
    (void)work(NULL);
  }
  if (strcmp(also, "fork") == 0) {
    fork_late();
  }
  return 0;
}
