/* What guard mode costs per request: the same traces on tlsf under a lock, bare and with the guard in between.
 *
 *     ./bazelw run //tools/bench:guard [-- --runs N]
 *
 *     bare     lock -> tlsf
 *     guard    lock -> guard -> tlsf, without stacks
 *     stacks   the same with stacks of up to 12 return addresses
 *
 * Nanoseconds per request: each trace is replayed by all three in turn, again and again, and the fastest replay of each
 * counts. Instructions per request: of the last requests of one replay, stepped one by one (x86-64 Linux). Bytes per
 * block: what blocks of 32 bytes take from tlsf, beyond what was asked for. Prints Markdown tables.
 */
#define _GNU_SOURCE /* MAP_ANONYMOUS, MAP_NORESERVE */
#include "steps.h"

#include "tools/trace/synthetic.h"

#include <math.h>
#include <ringfence/guard.h>
#include <ringfence/lock.h>
#include <ringfence/tlsf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { DEPTH = 12, STEPPED = 100, STACK_SETS = 3 };
enum { BARE, GUARD, STACKS, SUBJECTS };

#define ARENA_BYTES ((size_t)64 << 20)
#define DEPOT_BYTES ((size_t)4 << 20)

static const char *const names[SUBJECTS] = {"bare", "guard", "stacks"};

typedef struct subject {
  rf_tlsf heap;
  rf_guard guard;
  rf_lock lock;
  rf_stack_depot depot;
  void *arena;
  void *depot_memory;
} subject;

static void die(const char *what) {
  (void)fprintf(stderr, "guard: %s\n", what);
  exit(1);
}

static void *must_map(size_t size) {
  void *const p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) {
    die("out of memory");
  }
  return p;
}

/* The allocator that the trace goes to. */
static rf_allocator *begin(subject *s, unsigned which) {
  rf_allocator *inner = &s->heap.base;
  s->arena = must_map(ARENA_BYTES);
  s->depot_memory = must_map(DEPOT_BYTES);
  rf_status status = rf_tlsf_init(&s->heap, s->arena, ARENA_BYTES);
  if (which != BARE && status == RF_OK) {
    rf_guard_options options;
    rf_guard_options_default(&options);
    options.stack_depth = which == STACKS ? DEPTH : 0;
    options.depot = which == STACKS ? &s->depot : NULL;
    status = rf_stack_depot_init(&s->depot, s->depot_memory, DEPOT_BYTES);
    status = status == RF_OK ? rf_guard_init(&s->guard, inner, &options) : status;
    inner = &s->guard.base;
  }
  if (status != RF_OK || rf_lock_init(&s->lock, inner) != RF_OK) {
    die("an allocator cannot be made");
  }
  return &s->lock.base;
}

static void end(subject *s) {
  rf_deinit(&s->lock.base);
  (void)munmap(s->arena, ARENA_BYTES);
  (void)munmap(s->depot_memory, DEPOT_BYTES);
}

/* ---- The program ---- */

typedef void *(*act)(rf_allocator *a, void *block, const trace_op *op);

static __attribute__((noinline)) void *request(rf_allocator *a, void *block, const trace_op *op) {
  switch (op->kind) {
  case TRACE_ALLOC:
    return rf_alloc(a, op->size);
  case TRACE_FREE:
    (void)rf_free(a, block);
    return NULL;
  case TRACE_REALLOC:
    return rf_realloc(a, block, op->size);
  }
  return NULL;
}

/* Requests come from some way down, by three paths, so that there are stacks to take. Not tail calls. */
#define NEST(name, next)                                                                                               \
  static __attribute__((noinline)) void *name(rf_allocator *a, void *block, const trace_op *op) {                      \
    void *volatile result = next(a, block, op);                                                                        \
    return result;                                                                                                     \
  }
NEST(nest_1, request)
NEST(nest_2, nest_1)
NEST(nest_3, nest_2)
NEST(nest_4, nest_3)
NEST(nest_5, nest_4)
NEST(nest_6, nest_5)
NEST(nest_7, nest_6)
NEST(nest_8, nest_7)

static const act paths[STACK_SETS] = {nest_4, nest_6, nest_8};

static void play(rf_allocator *a, const trace *t, void **blocks, size_t from, size_t to) {
  for (size_t i = from; i < to; i++) {
    const trace_op *const op = &t->ops[i];
    blocks[op->id] = paths[op->id % STACK_SETS](a, blocks[op->id], op);
  }
}

static void free_all(rf_allocator *a, const trace *t, void **blocks) {
  for (size_t id = 0; id < t->ids; id++) {
    (void)rf_free(a, blocks[id]);
    blocks[id] = NULL;
  }
}

/* ---- Measures ---- */

static double now_ns(void) {
  struct timespec t;
  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double time_replay(rf_allocator *a, const trace *t, void **blocks) {
  double const before = now_ns();
  play(a, t, blocks, 0, t->count);
  double const ns = (now_ns() - before) / (double)t->count;
  free_all(a, t, blocks);
  return ns;
}

/* What the path to `request` costs is the program's own. */
static double count_instructions(rf_allocator *a, const trace *t, void **blocks) {
  size_t const first = t->count > STEPPED ? t->count - STEPPED : 0;
  size_t total = 0;
  play(a, t, blocks, 0, first);
  for (size_t i = first; i < t->count; i++) {
    const trace_op *const op = &t->ops[i];
    steps_begin((uintptr_t)request);
    blocks[op->id] = paths[op->id % STACK_SETS](a, blocks[op->id], op);
    total += steps_end();
  }
  free_all(a, t, blocks);
  return (double)total / (double)(t->count - first);
}

typedef struct figures {
  double ns[SUBJECTS];
  double instructions[SUBJECTS];
} figures;

static figures measure(const trace *t, unsigned runs, bool steps) {
  static subject subjects[SUBJECTS];
  rf_allocator *allocators[SUBJECTS];
  figures f;
  void **const blocks = (void **)calloc(t->ids, sizeof *blocks);
  if (blocks == NULL) {
    die("out of memory");
  }
  for (unsigned s = 0; s < SUBJECTS; s++) {
    allocators[s] = begin(&subjects[s], s);
    f.ns[s] = INFINITY;
    f.instructions[s] = NAN;
  }
  for (unsigned run = 0; run < runs; run++) {
    for (unsigned s = 0; s < SUBJECTS; s++) {
      f.ns[s] = fmin(f.ns[s], time_replay(allocators[s], t, blocks));
    }
  }
  for (unsigned s = 0; s < SUBJECTS; s++) {
    if (steps) {
      f.instructions[s] = count_instructions(allocators[s], t, blocks);
    }
    end(&subjects[s]);
  }
  free((void *)blocks);
  return f;
}

/* ---- Tables ---- */

static void print_head(const char *unit) {
  printf("\n| %s per request | bare | guard | ratio | with stacks | ratio |\n|---|---|---|---|---|---|\n", unit);
}

static void print_row(const char *name, const double *v) {
  printf("| %s | %.0f | %.0f | %.2f | %.0f | %.2f |\n", name, v[BARE], v[GUARD], v[GUARD] / v[BARE], v[STACKS],
         v[STACKS] / v[BARE]);
}

static void print_table(const char *unit, const trace *traces, double (*rows)[SUBJECTS], size_t count) {
  double means[SUBJECTS] = {0};
  print_head(unit);
  for (size_t i = 0; i < count; i++) {
    print_row(traces[i].name, rows[i]);
    for (unsigned s = 0; s < SUBJECTS; s++) {
      means[s] += log(rows[i][s]) / (double)count;
    }
  }
  for (unsigned s = 0; s < SUBJECTS; s++) {
    means[s] = exp(means[s]);
  }
  print_row("geometric mean", means);
}

static void print_bytes(void) {
  enum { BLOCKS = 1000, BYTES = 32 };
  static subject s;
  for (unsigned which = BARE; which < SUBJECTS; which++) {
    rf_stats before;
    rf_stats after;
    rf_allocator *const a = begin(&s, which);
    rf_stats_get(&s.heap.base, &before);
    for (size_t i = 0; i < BLOCKS; i++) {
      (void)rf_alloc(a, BYTES);
    }
    rf_stats_get(&s.heap.base, &after);
    printf("%s%s %.1f", which == BARE ? "\nbytes per block beyond 32: " : ", ", names[which],
           (double)(before.free_bytes - after.free_bytes) / BLOCKS - BYTES);
    end(&s);
  }
  printf("\n");
}

int main(int argc, char **argv) {
  enum { TRACES_MAX = 16 };
  static trace traces[TRACES_MAX];
  static double ns[TRACES_MAX][SUBJECTS];
  static double instructions[TRACES_MAX][SUBJECTS];
  bool const steps = steps_init();
  size_t const count = trace_kinds() < TRACES_MAX ? trace_kinds() : TRACES_MAX;
  unsigned runs = 200;
  char *rest = NULL;
  unsigned long const asked = argc == 3 && strcmp(argv[1], "--runs") == 0 ? strtoul(argv[2], &rest, 10) : 0;
  if (asked > 0 && asked < 1000000 && *rest == '\0') {
    runs = (unsigned)asked;
  } else if (argc != 1) {
    (void)fprintf(stderr, "usage: guard [--runs N]\n");
    return 2;
  }
  for (size_t i = 0; i < count; i++) {
    traces[i] = trace_make(i, 1);
    figures const f = measure(&traces[i], runs, steps);
    memcpy(ns[i], f.ns, sizeof f.ns);
    memcpy(instructions[i], f.instructions, sizeof f.instructions);
  }
  print_table("nanoseconds", traces, ns, count);
  if (steps) {
    print_table("instructions", traces, instructions, count);
  }
  print_bytes();
  for (size_t i = 0; i < count; i++) {
    trace_free(&traces[i]);
  }
  return 0;
}
