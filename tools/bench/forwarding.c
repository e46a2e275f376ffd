/* The cost of the drop-in where it hands requests on: loops that do little but allocate, with the C library's malloc
 * alone, behind an empty shim, and behind libringfence.so in modes off and sample; and the start of a small program.
 *
 *     ./bazelw run //tools/bench:forwarding          (cost.sh, which runs this)
 *     forwarding SHIM LIBRARY COMMAND [--rounds N] [--starts N]
 *     forwarding --loop NAME
 *
 * All settings in turn, round by round; of the processor time of a loop the least counts, of the time of a start the
 * median, of memory the peak of the whole process. Prints Markdown.
 */
#define _GNU_SOURCE /* realpath */
#include "tools/bench/child.h"
#include "tools/bench/median.h"
#include "tools/bench/requests.h"

#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- The loops ---- */

enum { SLOTS = 4096, THREADS = 2 };

/* The first and the last byte, as a program would. */
static void *touched(void *block, size_t size) {
  if (block == NULL) {
    die("malloc");
  }
  char *const bytes = block;
  bytes[0] = 1;
  bytes[size - 1] = 1;
  return block;
}

static void small_pairs(void) {
  for (unsigned i = 0; i < 5000000; i++) {
    free(touched(malloc(32), 32));
  }
}

static void random_order(void) {
  static char *slots[SLOTS];
  uint32_t seed = 1;
  for (unsigned i = 0; i < 3000000; i++) {
    char **const slot = &slots[next_random(&seed) % SLOTS];
    size_t const size = power_law(&seed);
    free(*slot);
    *slot = touched(malloc(size), size);
  }
}

static void lists(void) {
  typedef struct node {
    struct node *next;
    long value[3];
  } node;
  for (unsigned round = 0; round < 100; round++) {
    node *first = NULL;
    for (unsigned i = 0; i < 20000; i++) {
      node *const made = (node *)touched(malloc(sizeof(node)), sizeof(node));
      made->next = first;
      first = made;
    }
    while (first != NULL) {
      node *const next = first->next;
      free(first);
      first = next;
    }
  }
}

static void growing(void) {
  for (unsigned round = 0; round < 600000; round++) {
    char *block = NULL;
    for (size_t size = 16; size <= 32768; size *= 2) {
      block = touched(realloc(block, size), size);
    }
    free(block);
  }
}

static void zeroed(void) {
  for (unsigned i = 0; i < 3000000; i++) {
    size_t const size = 24 + i % 400;
    free(touched(calloc(1, size), size));
  }
}

static void large(void) {
  for (unsigned i = 0; i < 2000000; i++) {
    size_t const size = (size_t)100000 + i % 50000;
    free(touched(malloc(size), size));
  }
}

/* Each thread frees what the other one has left in common slots. */
static void *exchange(void *start) {
  static char *slots[SLOTS];
  uint32_t seed = (uint32_t)(uintptr_t)start;
  for (unsigned i = 0; i < 1000000; i++) {
    size_t const size = power_law(&seed);
    free(__atomic_exchange_n(&slots[next_random(&seed) % SLOTS], touched(malloc(size), size), __ATOMIC_ACQ_REL));
  }
  return NULL;
}

static void in_threads(void *(*function)(void *), unsigned count) {
  pthread_t threads[THREADS];
  for (unsigned i = 0; i < count; i++) {
    if (pthread_create(&threads[i], NULL, function, (void *)(uintptr_t)(i + 1)) != 0) {
      die("pthread_create");
    }
  }
  for (unsigned i = 0; i < count; i++) {
    (void)pthread_join(threads[i], NULL);
  }
}

static void threads(void) {
  in_threads(exchange, THREADS);
}

static void *live_shortly(void *unused) {
  char *blocks[200];
  for (size_t i = 0; i < 200; i++) {
    blocks[i] = touched(malloc(16 + i), 16 + i);
  }
  for (size_t i = 0; i < 200; i++) {
    free(blocks[i]);
  }
  return unused;
}

static void short_threads(void) {
  for (unsigned i = 0; i < 2500; i++) {
    in_threads(live_shortly, THREADS);
  }
}

static const named_load loops[] = {
    {"a small block, freed at once", small_pairs},
    {"sizes by a power law, in no order", random_order},
    {"lists of 20,000 nodes", lists},
    {"blocks that double", growing},
    {"calloc", zeroed},
    {"blocks of 100 KB and more", large},
    {"two threads that free each other's", threads},
    {"200 blocks in each of 5000 threads", short_threads},
};

#define LOOPS (sizeof loops / sizeof loops[0])

/* ---- Running them ---- */

typedef struct setting {
  const char *name;
  const char *library; /* to preload, or NULL */
  const char *options;
  const char *command; /* before the program's own, with "check --", or NULL */
} setting;

static child_usage run(const setting *s, const char *const *arguments, char *text, size_t size) {
  const char *argv[12] = {s->command, "check", "--"};
  size_t count = s->command != NULL ? 3 : 0;
  while (*arguments != NULL && count < 11) {
    argv[count++] = *arguments++;
  }
  argv[count] = NULL;
  return run_child(s->name, s->library, s->options, argv, text, size);
}

/* ---- Tables ---- */

enum { BARE, SHIM, OFF, SAMPLE, SETTINGS };

typedef struct row {
  double seconds[SETTINGS];
  long kibibytes[SETTINGS];
} row;

static row measure(const setting *settings, const char *loop, unsigned rounds) {
  char text[64];
  const char *const arguments[] = {"/proc/self/exe", "--loop", loop, NULL};
  row r;
  for (size_t s = 0; s < SETTINGS; s++) {
    r.seconds[s] = HUGE_VAL;
    r.kibibytes[s] = 0;
  }
  for (unsigned i = 0; i < rounds; i++) {
    for (size_t s = 0; s < SETTINGS; s++) {
      long const peak = run(&settings[s], arguments, text, sizeof text).kibibytes;
      r.seconds[s] = fmin(r.seconds[s], strtod(text, NULL));
      r.kibibytes[s] = peak > r.kibibytes[s] ? peak : r.kibibytes[s];
    }
  }
  return r;
}

static void print_means(const row *rows) {
  size_t const count = LOOPS;
  double logs[5] = {0};
  for (size_t i = 0; i < LOOPS; i++) {
    const row *const r = &rows[i];
    logs[0] += log(r->seconds[SHIM] / r->seconds[BARE]);
    logs[1] += log(r->seconds[OFF] / r->seconds[BARE]);
    logs[2] += log(r->seconds[SAMPLE] / r->seconds[BARE]);
    logs[3] += log(r->seconds[OFF] / r->seconds[SHIM]);
    logs[4] += log(r->seconds[SAMPLE] / r->seconds[SHIM]);
  }
  printf("| geometric mean |");
  for (size_t i = 0; i < 5; i++) {
    printf(" %s%.3f |", i == 0 ? "| " : "", exp(logs[i] / (double)count));
  }
  printf(" |\n");
}

static void print_loops(const setting *settings, unsigned rounds) {
  static row rows[LOOPS];
  printf("| loop | glibc, s | shim | off | sample | off / shim | sample / shim | peak KiB more, sample |\n"
         "|---|---|---|---|---|---|---|---|\n");
  for (size_t i = 0; i < LOOPS; i++) {
    rows[i] = measure(settings, loops[i].name, rounds);
    const row *const r = &rows[i];
    printf("| %s | %.3f | %.3f | %.3f | %.3f | %.3f | %.3f | %ld |\n", loops[i].name, r->seconds[BARE],
           r->seconds[SHIM] / r->seconds[BARE], r->seconds[OFF] / r->seconds[BARE],
           r->seconds[SAMPLE] / r->seconds[BARE], r->seconds[OFF] / r->seconds[SHIM],
           r->seconds[SAMPLE] / r->seconds[SHIM], r->kibibytes[SAMPLE] - r->kibibytes[BARE]);
    (void)fflush(stdout);
  }
  print_means(rows);
}

#define STARTS_MOST 1000U

/* Milliseconds. */
static void print_starts(const setting *settings, size_t count, unsigned starts) {
  static double times[8][STARTS_MOST];
  const char *const arguments[] = {"bash", "-c", "true", NULL};
  for (unsigned i = 0; i < starts; i++) {
    for (size_t s = 0; s < count; s++) {
      times[s][i] = run(&settings[s], arguments, NULL, 0).wall * 1e3;
    }
  }
  printf("\n| `bash -c true` | median of %u, ms | more | least |\n|---|---|---|---|\n", starts);
  for (size_t s = 0; s < count; s++) {
    double const middle = median(times[s], starts);
    printf("| %s | %.2f | %+.2f | %.2f |\n", settings[s].name, middle, middle - times[0][starts / 2], times[s][0]);
  }
}

static unsigned number(const char *text, unsigned most) {
  unsigned long const n = text != NULL ? strtoul(text, NULL, 10) : 0;
  if (n < 1 || n > most) {
    fprintf(stderr, "forwarding: a number from 1 to %u is missing\n", most);
    exit(2);
  }
  return (unsigned)n;
}

int main(int argc, char **argv) {
  unsigned rounds = 9;
  unsigned starts = 200;
  char paths[3][PATH_MAX];
  if (argc == 3 && strcmp(argv[1], "--loop") == 0) {
    return run_named_load(loops, LOOPS, argv[2]);
  }
  for (int i = 4; i < argc; i += 2) {
    *(strcmp(argv[i], "--starts") == 0 ? &starts : &rounds) = number(argv[i + 1], STARTS_MOST);
  }
  for (int i = 0; i < 3; i++) {
    if (argc < 4 || realpath(argv[i + 1], paths[i]) == NULL) {
      die("usage: forwarding SHIM LIBRARY COMMAND [--rounds N] [--starts N]");
    }
  }
  const setting of_loops[SETTINGS] = {
      [BARE] = {.name = "glibc"},
      [SHIM] = {.name = "shim", .library = paths[0], .options = ""},
      [OFF] = {.name = "off", .library = paths[1], .options = "mode=off"},
      [SAMPLE] = {.name = "sample", .library = paths[1], .options = "mode=sample"},
  };
  const setting of_starts[] = {
      of_loops[BARE],
      of_loops[SHIM],
      of_loops[OFF],
      of_loops[SAMPLE],
      {.name = "guard", .library = paths[1], .options = "mode=guard"},
      {.name = "`ringfence check`, guard", .command = paths[2]},
  };
  print_loops(of_loops, rounds);
  print_starts(of_starts, sizeof of_starts / sizeof of_starts[0], starts);
  return 0;
}
