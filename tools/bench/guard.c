/* The cost of mode guard of the drop-in for programs that do little but allocate, beside the C library's malloc, an
 * empty shim, and what else is installed.
 *
 *     ./bazelw run //tools/bench:guard               (cost.sh, which runs this)
 *     guard SHIM LIBRARY [--rounds N]
 *     guard --load NAME
 *
 * Blocks are written when they come and read before they go, each byte once, as programs do. All settings in turn,
 * round by round; of the processor time the least counts, of memory the peak of the whole process. Prints Markdown.
 */
#define _GNU_SOURCE /* realpath */
#include "tools/bench/child.h"
#include "tools/bench/requests.h"

#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Blocks that know their size ---- */

typedef struct block {
  size_t size; /* of all */
  unsigned char bytes[];
} block;

static unsigned long read_bytes; /* keeps compilers from leaving the reading out */

static block *make(size_t size) {
  block *const b = malloc(size);
  if (b == NULL) {
    die("malloc");
  }
  b->size = size;
  memset(b->bytes, (int)(size & 0x7F), size - sizeof *b);
  return b;
}

typedef size_t any_word __attribute__((may_alias));

static void drop(block *b) {
  unsigned long sum = 0;
  size_t const words = b != NULL ? (b->size - sizeof *b) / sizeof sum : 0;
  for (size_t i = 0; i < words; i++) {
    sum += ((const any_word *)(const void *)b->bytes)[i]; /* no call: that would be most of the load */
  }
  __atomic_store_n(&read_bytes, sum, __ATOMIC_RELAXED);
  free(b);
}

/* ---- The loads ---- */

enum { SLOTS = 4096, LIVE = 1000000, THREADS = 2 };

static void fixed_small(void) {
  static block *ring[1024];
  for (unsigned i = 0; i < 6000000; i++) {
    block **const place = &ring[i % 1024];
    drop(*place);
    *place = make(32);
  }
}

static void replace_some(block **slots, size_t count, unsigned rounds, uint32_t seed) {
  for (unsigned i = 0; i < rounds; i++) {
    block **const place = &slots[next_random(&seed) % count];
    drop(*place);
    *place = make(power_law(&seed));
  }
}

static void any_order(void) {
  static block *slots[SLOTS];
  replace_some(slots, SLOTS, 4000000, 1);
}

static void many_live(void) {
  block **const blocks = malloc(LIVE * sizeof *blocks);
  uint32_t seed = 1;
  for (size_t i = 0; i < LIVE; i++) {
    blocks[i] = make(16 + next_random(&seed) % 112);
  }
  replace_some(blocks, LIVE, 1000000, 2);
  for (size_t i = 0; i < LIVE; i++) {
    drop(blocks[i]);
  }
  free(blocks);
}

static void growing(void) {
  for (unsigned round = 0; round < 20000; round++) {
    size_t size = 64;
    block *b = make(size);
    for (; size < 65536; size *= 2) {
      b = realloc(b, 2 * size);
      memset((char *)b + size, 1, size);
      b->size = 2 * size;
    }
    drop(b);
  }
}

static void freed_large(void) {
  static block *slots[16];
  for (unsigned i = 0; i < 40000; i++) {
    block **const place = &slots[i % 16];
    drop(*place);
    *place = make((size_t)40000 + i * 7919U % 400000);
  }
}

static void in_threads(void *(*function)(void *), unsigned count, unsigned first) {
  pthread_t threads[THREADS];
  for (unsigned i = 0; i < count; i++) {
    if (pthread_create(&threads[i], NULL, function, (void *)(uintptr_t)(first + i)) != 0) {
      die("pthread_create");
    }
  }
  for (unsigned i = 0; i < count; i++) {
    (void)pthread_join(threads[i], NULL);
  }
}

/* Each thread drops what the other one has left in common places. */
static void *exchange(void *start) {
  static block *slots[SLOTS];
  uint32_t seed = (uint32_t)(uintptr_t)start + 1;
  for (unsigned i = 0; i < 2000000; i++) {
    block *const b = make(power_law(&seed));
    drop(__atomic_exchange_n(&slots[next_random(&seed) % SLOTS], b, __ATOMIC_ACQ_REL));
  }
  return NULL;
}

static void two_threads(void) {
  in_threads(exchange, THREADS, 0);
}

/* A server's: a thread works on its blocks for a while, and hands them on to the thread that follows it. */
static block *handed_on[THREADS][SLOTS];

static void *serve(void *number) {
  uintptr_t const n = (uintptr_t)number;
  replace_some(handed_on[n % THREADS], SLOTS, 20000, (uint32_t)n);
  return NULL;
}

static void server(void) {
  for (unsigned i = 0; i < 100; i++) {
    in_threads(serve, THREADS, THREADS * i);
  }
}

static void *live_shortly(void *unused) {
  block *blocks[500];
  for (size_t i = 0; i < 500; i++) {
    blocks[i] = make(16 + i % 200);
  }
  for (size_t i = 0; i < 500; i++) {
    drop(blocks[i]);
  }
  return unused;
}

static void short_threads(void) {
  for (unsigned i = 0; i < 2500; i++) {
    in_threads(live_shortly, THREADS, 0);
  }
}

static const named_load loads[] = {
    {"32 bytes, a thousand live", fixed_small},
    {"sizes by a power law, in no order", any_order},
    {"a million live", many_live},
    {"blocks that double, up to 64 KiB", growing},
    {"blocks of 40 to 440 KB", freed_large},
    {"two threads that free each other's", two_threads},
    {"200 threads that hand on 4096 blocks", server},
    {"500 blocks in each of 5000 threads", short_threads},
};

#define LOADS (sizeof loads / sizeof loads[0])

/* ---- Running them ---- */

typedef struct setting {
  const char *name;
  const char *library; /* to preload, or NULL */
  const char *options;
  bool any; /* there is such a library */
} setting;

typedef struct row {
  double seconds;
  long kibibytes;
} row;

static row run(const setting *s, const char *load) {
  const char *const arguments[] = {"/proc/self/exe", "--load", load, NULL};
  char text[64];
  child_usage const usage = run_child(s->name, s->library, s->options, arguments, text, sizeof text);
  return (row){strtod(text, NULL), usage.kibibytes};
}

/* ---- The table ---- */

enum { GLIBC, SHIM, GUARD, CALLERS, JEMALLOC, MIMALLOC, SETTINGS };

static void measure(const setting *settings, const char *load, unsigned rounds, row *out) {
  for (size_t s = 0; s < SETTINGS; s++) {
    out[s] = (row){HUGE_VAL, 0};
  }
  for (unsigned i = 0; i < rounds; i++) {
    for (size_t s = 0; s < SETTINGS; s++) {
      row const r = settings[s].any ? run(&settings[s], load) : out[s];
      out[s].seconds = fmin(out[s].seconds, r.seconds);
      out[s].kibibytes = r.kibibytes > out[s].kibibytes ? r.kibibytes : out[s].kibibytes;
    }
  }
}

static void print_ratio(const setting *s, double ratio) {
  if (s->any) {
    printf(" %.2f |", ratio);
  } else {
    printf(" - |");
  }
}

static void print_table(const setting *settings, unsigned rounds) {
  size_t const count = LOADS;
  double logs[2][SETTINGS] = {{0}};
  printf("| load | glibc, s |");
  for (size_t s = SHIM; s < SETTINGS; s++) {
    printf(" %s |", settings[s].name);
  }
  printf(" glibc, MiB | guard | %s | %s |\n|---|---|---|---|---|---|---|---|---|---|---|\n", settings[JEMALLOC].name,
         settings[MIMALLOC].name);
  for (size_t i = 0; i < LOADS; i++) {
    row r[SETTINGS];
    measure(settings, loads[i].name, rounds, r);
    printf("| %s | %.3f |", loads[i].name, r[GLIBC].seconds);
    for (size_t s = SHIM; s < SETTINGS; s++) {
      print_ratio(&settings[s], r[s].seconds / r[GLIBC].seconds);
      logs[0][s] += log(r[s].seconds / r[GLIBC].seconds) / (double)count;
      logs[1][s] += log((double)r[s].kibibytes / (double)r[GLIBC].kibibytes) / (double)count;
    }
    printf(" %.1f |", (double)r[GLIBC].kibibytes / 1024);
    static const int kMemory[] = {GUARD, JEMALLOC, MIMALLOC};
    for (size_t m = 0; m < 3; m++) {
      print_ratio(&settings[kMemory[m]], (double)r[kMemory[m]].kibibytes / (double)r[GLIBC].kibibytes);
    }
    printf("\n");
    (void)fflush(stdout);
  }
  printf("| geometric mean | |");
  for (size_t s = SHIM; s < SETTINGS; s++) {
    print_ratio(&settings[s], exp(logs[0][s]));
  }
  printf(" |");
  print_ratio(&settings[GUARD], exp(logs[1][GUARD]));
  print_ratio(&settings[JEMALLOC], exp(logs[1][JEMALLOC]));
  print_ratio(&settings[MIMALLOC], exp(logs[1][MIMALLOC]));
  printf("\n");
}

static bool can_preload(const char *library) {
  char command[256];
  (void)snprintf(command, sizeof command, "test -z \"$(LD_PRELOAD=%s /bin/true 2>&1)\"", library);
  return system(command) == 0; /* NOLINT(cert-env33-c) */
}

int main(int argc, char **argv) {
  char paths[2][PATH_MAX];
  if (argc == 3 && strcmp(argv[1], "--load") == 0) {
    return run_named_load(loads, LOADS, argv[2]);
  }
  bool const counted = argc == 5 && strcmp(argv[3], "--rounds") == 0;
  unsigned const rounds = counted ? (unsigned)strtoul(argv[4], NULL, 10) : 5;
  if ((argc != 3 && !counted) || rounds == 0 || realpath(argv[1], paths[0]) == NULL ||
      realpath(argv[2], paths[1]) == NULL) {
    die("usage: guard SHIM LIBRARY [--rounds N]");
  }
  setting settings[SETTINGS] = {
      [GLIBC] = {"glibc", NULL, "", true},
      [SHIM] = {"shim", paths[0], "", true},
      [GUARD] = {"guard", paths[1], "mode=guard", true},
      [CALLERS] = {"guard, callers alone", paths[1], "mode=guard:stack_depth=0", true},
      [JEMALLOC] = {"jemalloc", "libjemalloc.so.2", "", false},
      [MIMALLOC] = {"mimalloc", "libmimalloc.so.2", "", false},
  };
  for (size_t s = JEMALLOC; s < SETTINGS; s++) {
    settings[s].any = can_preload(settings[s].library);
  }
  print_table(settings, rounds);
  return 0;
}
