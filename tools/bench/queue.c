/* The cost of the modes where one thread allocates and another frees: a queue holds 1024 blocks at most, which are put
 * and taken 64 at a time, so that the threads rarely wait for each other.
 *
 *     ./bazelw run //tools/bench:queue               (cost.sh, which runs this)
 *     queue LIBRARY [--rounds N] [--beside LIBRARY]
 *     queue --load
 *
 * All settings in turn, round by round; the least processor time of each counts, and the least time that went by.
 * --beside adds mode page of another build of the library, such as an older one. Prints Markdown.
 */
#define _GNU_SOURCE /* realpath */
#include "tools/bench/child.h"
#include "tools/bench/requests.h"

#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AT_ONCE = 64, ROUNDS = 8000, BLOCKS = ROUNDS * AT_ONCE, PLACES = 1024 / AT_ONCE };

/* ---- The load ---- */

typedef struct batch {
  void *blocks[AT_ONCE];
} batch;

static struct {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  batch places[PLACES];
  unsigned put;
  unsigned taken;
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void put(const batch *b) {
  (void)pthread_mutex_lock(&queue.lock);
  while (queue.put - queue.taken == PLACES) {
    (void)pthread_cond_wait(&queue.changed, &queue.lock);
  }
  queue.places[queue.put++ % PLACES] = *b;
  (void)pthread_cond_signal(&queue.changed);
  (void)pthread_mutex_unlock(&queue.lock);
}

static batch take(void) {
  (void)pthread_mutex_lock(&queue.lock);
  while (queue.put == queue.taken) {
    (void)pthread_cond_wait(&queue.changed, &queue.lock);
  }
  batch const b = queue.places[queue.taken++ % PLACES];
  (void)pthread_cond_signal(&queue.changed);
  (void)pthread_mutex_unlock(&queue.lock);
  return b;
}

static void *produce(void *unused) {
  uint32_t seed = 1;
  for (unsigned i = 0; i < ROUNDS; i++) {
    batch b;
    for (unsigned k = 0; k < AT_ONCE; k++) {
      size_t const size = 16 + next_random(&seed) % 200;
      b.blocks[k] = malloc(size);
      if (b.blocks[k] == NULL) {
        die("malloc");
      }
      memset(b.blocks[k], (int)(size & 0x7F), size);
    }
    put(&b);
  }
  return unused;
}

static int run_load(void) {
  pthread_t producer;
  if (pthread_create(&producer, NULL, produce, NULL) != 0) {
    die("pthread_create");
  }
  for (unsigned i = 0; i < ROUNDS; i++) {
    batch const b = take();
    for (unsigned k = 0; k < AT_ONCE; k++) {
      free(b.blocks[k]);
    }
  }
  (void)pthread_join(producer, NULL);
  return 0;
}

/* ---- Running it ---- */

typedef struct setting {
  const char *name;
  const char *library; /* to preload, or NULL */
  const char *options;
} setting;

static child_usage run(const setting *s) {
  const char *const arguments[] = {"/proc/self/exe", "--load", NULL};
  return run_child(s->name, s->library, s->options, arguments, NULL, 0);
}

/* ---- The table ---- */

enum { GLIBC, GUARD, PAGE, BESIDE, SETTINGS };

static void print_table(const setting *settings, size_t count, unsigned rounds) {
  child_usage least[SETTINGS];
  for (size_t s = 0; s < count; s++) {
    least[s] = (child_usage){HUGE_VAL, HUGE_VAL, 0};
  }
  for (unsigned i = 0; i < rounds; i++) {
    for (size_t s = 0; s < count; s++) {
      child_usage const r = run(&settings[s]);
      least[s] = (child_usage){fmin(least[s].processor, r.processor), fmin(least[s].wall, r.wall), 0};
    }
  }
  printf("| %d blocks through a queue | processor time, s | beside glibc | time that went by, s | beside glibc |\n"
         "|---|---|---|---|---|\n",
         BLOCKS);
  for (size_t s = 0; s < count; s++) {
    printf("| %s | %.3f | %.1f | %.3f | %.1f |\n", settings[s].name, least[s].processor,
           least[s].processor / least[GLIBC].processor, least[s].wall, least[s].wall / least[GLIBC].wall);
  }
}

int main(int argc, char **argv) {
  static const char kUsage[] = "usage: queue LIBRARY [--rounds N] [--beside LIBRARY]";
  char paths[2][PATH_MAX];
  setting settings[SETTINGS] = {
      [GLIBC] = {"glibc", NULL, ""},
      [GUARD] = {"guard", paths[0], "mode=guard"},
      [PAGE] = {"page", paths[0], "mode=page"},
      [BESIDE] = {"page of the other build", paths[1], "mode=page"},
  };
  size_t count = BESIDE;
  unsigned rounds = 5;
  if (argc == 2 && strcmp(argv[1], "--load") == 0) {
    return run_load();
  }
  if (argc < 2 || argc % 2 != 0 || realpath(argv[1], paths[0]) == NULL) {
    die(kUsage);
  }
  for (int i = 2; i < argc; i += 2) {
    long long const number = strtoll(argv[i + 1], NULL, 10);
    if (strcmp(argv[i], "--rounds") == 0 && number > 0 && number < UINT_MAX) {
      rounds = (unsigned)number;
    } else if (strcmp(argv[i], "--beside") == 0 && realpath(argv[i + 1], paths[1]) != NULL) {
      count = SETTINGS;
    } else {
      die(kUsage);
    }
  }
  print_table(settings, count, rounds);
  return 0;
}
