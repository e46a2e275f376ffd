/* All allocators on the same recorded traces, as tables in markdown: what a request costs, how much memory is needed.
 *
 *     ./bazelw run //tools/bench:compare                  prints them
 *     ./bazelw run //tools/bench:compare -- --update      writes them into docs/comparison.md
 *
 * Each figure is taken in a process of its own, so that none depends on what was measured before.
 *
 *     compare TRACE.rft… [--text FILE]      FILE: lines "name bytes", the code of each allocator
 */
#define _GNU_SOURCE
#include "load.h"
#include "steps.h"

#include "tools/trace/replay.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
  TRACES_MOST = 8,
  REQUESTS_MOST = 10000, /* allocators that walk lists of blocks take minutes for more */
  RUNS_MOST = 15,
  COUNTED = 300,
  COUNTED_LEAST = 5,
  SMALL = 64,
  NODE = 24,
  WHY_BYTES = 96
};

#define BUDGET_STEPS 60000U /* instructions single-stepped for a cell; each takes some 20 microseconds */
#define STEPS_PER_NS 2      /* about, to know beforehand */
#define BUDGET_NS 1e8       /* spent on the times of a cell */
#define PATIENCE_S 45U      /* of processor time, for a cell */
#define FACTOR 8U           /* peaks of memory in which an allocator has to get along */

/* The figures of one allocator on one trace; `why` is not empty where it cannot serve it. */
typedef struct cell {
  char why[WHY_BYTES];
  double ns;
  size_t worst; /* instructions of the worst alloc or free that was counted; 0: not counted */
  size_t footprint;
} cell;

/* ---- A process for each figure ---- */

/* Calls `measure` in a child, which fills in *out. 0, or the signal that ended it: SIGXCPU where it took too long. */
static int apart(void (*measure)(const subject *s, const trace *t, void *out), const subject *s, const trace *t,
                 void *out, size_t size) {
  static const struct rlimit patience = {PATIENCE_S, PATIENCE_S + 1};
  int ends[2];
  int status = 1;
  (void)fflush(NULL);
  if (pipe(ends) != 0) {
    return SIGABRT;
  }
  pid_t const child = fork();
  if (child == 0) {
    (void)close(ends[0]);
    (void)setrlimit(RLIMIT_CPU, &patience);
    measure(s, t, out);
    _exit(write(ends[1], out, size) == (ssize_t)size ? 0 : 1);
  }
  (void)close(ends[1]);
  bool const told = child > 0 && read(ends[0], out, size) == (ssize_t)size;
  (void)close(ends[0]);
  if (child < 0 || waitpid(child, &status, 0) != child || WIFEXITED(status)) {
    return told && status == 0 ? 0 : SIGABRT;
  }
  return WTERMSIG(status);
}

/* ---- Instructions ---- */

typedef struct slow {
  size_t op;
  float ns;
} slow;

static int slowest_first(const void *a, const void *b) {
  const slow *const left = (const slow *)a;
  const slow *const right = (const slow *)b;
  return (left->ns < right->ns) - (left->ns > right->ns);
}

/* Marks the allocations and frees of blocks aligned by default that took longest: the worst is among them. */
static bool *choose(const trace *t, const float *ns) {
  bool *const chosen = (bool *)trace_must(calloc(t->count + 1, sizeof *chosen));
  slow *const order = (slow *)trace_must(calloc(t->count + 1, sizeof *order));
  size_t count = 0;
  for (size_t i = 0; i < t->count; i++) {
    if (t->ops[i].kind != TRACE_REALLOC && t->ops[i].align == 0) {
      order[count++] = (slow){i, ns[i]};
    }
  }
  qsort(order, count, sizeof *order, slowest_first);
  double steps = 0;
  for (size_t i = 0; i < count && i < COUNTED && (i < COUNTED_LEAST || steps < BUDGET_STEPS); i++) {
    chosen[order[i].op] = true;
    steps += STEPS_PER_NS * (double)order[i].ns;
  }
  free(order);
  return chosen;
}

static size_t steps_of(rf_allocator *a, const trace_op *op, void **block) {
  if (op->kind == TRACE_ALLOC) {
    return steps_of_alloc(a, op->size, block);
  }
  size_t const steps = steps_of_free(a, *block);
  *block = NULL;
  return steps;
}

static size_t worst_steps(const subject *s, const trace *t, replay_memory *m, size_t arena, const float *ns) {
  bool *const chosen = choose(t, ns);
  rf_allocator *const a = replay_begin(s, t, m, arena);
  size_t worst = 0;
  bool const able = steps_init();
  for (size_t i = 0; i < t->count; i++) {
    const trace_op *const op = &t->ops[i];
    if (able && chosen[i] && (m->blocks[op->id] != NULL) == (op->kind == TRACE_FREE)) {
      size_t const steps = steps_of(a, op, &m->blocks[op->id]);
      worst = steps > worst ? steps : worst;
    } else {
      (void)replay_op(a, op, m->blocks);
    }
  }
  replay_end(s, t, m, a);
  free(chosen);
  return worst;
}

/* ---- A cell ---- */

static void measure_cell(const subject *s, const trace *t, void *out) {
  cell *const c = (cell *)out;
  replay_memory m = replay_memory_make(t, FACTOR * t->peak);
  size_t const footprint = replay_footprint(s, t, &m, 0);
  if (footprint == 0 && s->arena) {
    (void)snprintf(c->why, sizeof c->why, "n/a: fails in %u times the peak", FACTOR);
    return;
  }
  size_t arena = 2 * t->peak > footprint + footprint / 4 ? 2 * t->peak : footprint + footprint / 4;
  arena = arena > m.arena_size ? m.arena_size : arena;
  if (!replay_verify(s, t, &m, arena)) {
    (void)snprintf(c->why, sizeof c->why, "wrong: blocks overlap");
    return;
  }
  float *const each = (float *)calloc(t->count + 1, sizeof *each);
  c->ns = replay_measure(s, t, &m, arena, 1, each).mean_ns;
  double const runs = BUDGET_NS / (2 * c->ns * (double)t->count);
  if (runs > 1) {
    c->ns = replay_measure(s, t, &m, arena, runs > (double)RUNS_MOST ? RUNS_MOST : (unsigned)runs, each).mean_ns;
  }
  c->worst = worst_steps(s, t, &m, arena, each);
  c->footprint = footprint;
  free(each);
  replay_memory_free(t, &m);
}

static size_t largest_request(const trace *t) {
  size_t largest = 0;
  for (size_t i = 0; i < t->count; i++) {
    largest = t->ops[i].size > largest ? t->ops[i].size : largest;
  }
  return largest;
}

static cell cell_of(const subject *s, const trace *t) {
  cell c = {.why = ""};
  size_t const largest = largest_request(t);
  if (s->largest != 0 && largest > s->largest) {
    (void)snprintf(c.why, sizeof c.why, "n/a: a size of %zu > %zu", largest, s->largest);
  } else {
    int const ended_by = apart(measure_cell, s, t, &c, sizeof c);
    if (ended_by != 0) {
      (void)snprintf(c.why, sizeof c.why, ended_by == SIGXCPU ? "n/a: takes minutes" : "wrong: it crashed");
    }
  }
  (void)fprintf(stderr, "%s on %s: %s%.0f ns\n", s->name, t->name, c.why, c.ns);
  return c;
}

/* ---- Overhead of a block ---- */

/* `count` blocks of NODE bytes, one after the other. */
static trace nodes(size_t count) {
  trace t = {.name = "nodes", .ids = count, .peak = count * NODE};
  for (size_t i = 0; i < count; i++) {
    trace_op const op = {.kind = TRACE_ALLOC, .id = i, .size = NODE};
    trace_add(&t, &op);
  }
  return t;
}

/* The memory of one more block, by the footprints of few and of many. */
static void measure_overhead(const subject *s, const trace *t, void *out) {
  enum { FEW = 500, MANY = 4500 };
  trace few = nodes(FEW);
  trace many = nodes(MANY);
  replay_memory m = replay_memory_make(&many, FACTOR * many.peak);
  size_t const footprint_few = replay_footprint(s, &few, &m, 0);
  size_t const footprint_many = replay_footprint(s, &many, &m, 0);
  (void)t;
  *(double *)out = (double)(footprint_many - footprint_few) / (double)(MANY - FEW) - (double)NODE;
}

/* ---- Tables ---- */

typedef struct table {
  trace traces[TRACES_MOST];
  size_t trace_count;
  cell cells[32][TRACES_MOST];
  double overhead[32];
  const char *text; /* path, or NULL */
} table;

static double ns_of(const cell *c, const trace *t) {
  (void)t;
  return c->ns;
}

static double footprint_of(const cell *c, const trace *t) {
  return (double)c->footprint / (double)t->peak;
}

static double worst_of(const cell *c, const trace *t) {
  (void)t;
  return (double)c->worst;
}

static void print_head(const table *b) {
  printf("| allocator |");
  for (size_t i = 0; i < b->trace_count; i++) {
    printf(" %s |", b->traces[i].name);
  }
  printf("\n|---|");
  for (size_t i = 0; i < b->trace_count; i++) {
    printf("---|");
  }
  printf("\n");
}

static void print_table(const table *b, const char *title, int decimals, double (*value)(const cell *, const trace *)) {
  printf("\n## %s\n\n", title);
  print_head(b);
  for (size_t s = 0; s < subject_count; s++) {
    printf("| %s |", subjects[s].name);
    for (size_t i = 0; i < b->trace_count; i++) {
      const cell *const c = &b->cells[s][i];
      if (c->why[0] != '\0') {
        printf(" %s |", c->why);
      } else {
        printf(" %.*f |", decimals, value(c, &b->traces[i]));
      }
    }
    printf("\n");
  }
}

/* The geometric mean over the recorded traces, which are all but the last; where one cannot be served, why. */
static void print_mean(const table *b, size_t s, int decimals, double (*value)(const cell *, const trace *)) {
  double logs = 0;
  size_t const recorded = b->trace_count - 1;
  for (size_t i = 0; i < recorded; i++) {
    const cell *const c = &b->cells[s][i];
    if (c->why[0] != '\0') {
      printf(" %s (%s) |", c->why, b->traces[i].name);
      return;
    }
    logs += log(value(c, &b->traces[i]));
  }
  printf(" %.*f |", decimals, exp(logs / (double)recorded));
}

static void print_worst(const table *b, size_t s) {
  size_t worst = 0;
  for (size_t i = 0; i < b->trace_count; i++) {
    worst = b->cells[s][i].worst > worst ? b->cells[s][i].worst : worst;
  }
  if (worst == 0) {
    printf(" n/a: not counted on this machine |");
  } else {
    printf(" %zu |", worst);
  }
}

static void print_text_bytes(const table *b, const char *name) {
  char line[128];
  FILE *const file = b->text != NULL ? fopen(b->text, "re") : NULL;
  bool found = false;
  size_t const length = strlen(name);
  while (file != NULL && !found && fgets(line, sizeof line, file) != NULL) {
    found = strncmp(line, name, length) == 0 && line[length] == ' ';
  }
  if (found) {
    line[strcspn(line, "\n")] = '\0';
    printf(" %s |", line + length + 1);
  } else {
    printf(" n/a: the system's |");
  }
  if (file != NULL) {
    (void)fclose(file);
  }
}

static void print_summary(const table *b) {
  printf("## All at a glance\n\n");
  printf("| allocator | ns per request | worst instructions | overhead of a block of %d bytes | footprint over peak | "
         "bytes of "
         ".text |\n|---|---|---|---|---|---|\n",
         NODE);
  for (size_t s = 0; s < subject_count; s++) {
    printf("| %s |", subjects[s].name);
    print_mean(b, s, 1, ns_of);
    print_worst(b, s);
    printf(" %.1f |", b->overhead[s]);
    print_mean(b, s, 3, footprint_of);
    print_text_bytes(b, subjects[s].name);
    printf("\n");
  }
}

static void print_traces(const table *b) {
  printf("\n## The traces\n\n| trace | requests | peak, bytes | peak, blocks | largest request "
         "|\n|---|---|---|---|---|\n");
  for (size_t i = 0; i < b->trace_count; i++) {
    const trace *const t = &b->traces[i];
    printf("| %s | %zu | %zu | %zu | %zu |\n", t->name, t->count, t->peak, t->peak_blocks, largest_request(t));
  }
}

/* ---- Traces ---- */

/* The requests of `t` for up to SMALL bytes, and what becomes of these blocks: for allocators of fixed blocks. */
static trace small_ones(const trace *t) {
  trace out = {.name = "small", .ids = t->ids};
  bool *const in = (bool *)calloc(t->ids + 1, sizeof *in);
  for (size_t i = 0; in != NULL && i < t->count; i++) {
    const trace_op *const op = &t->ops[i];
    in[op->id] = op->kind == TRACE_ALLOC ? op->size <= SMALL : in[op->id];
    if (in[op->id] && op->size <= SMALL) {
      trace_add(&out, op);
    }
  }
  free(in);
  trace_measure(&out);
  return out;
}

int main(int argc, char **argv) {
  static table b;
  if (subject_count > sizeof b.overhead / sizeof b.overhead[0]) {
    return 1;
  }
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--text") == 0 && i + 1 < argc) {
      b.text = argv[++i];
    } else if (b.trace_count + 1 >= TRACES_MOST) {
      return 2;
    } else {
      b.traces[b.trace_count++] = load_trace(argv[i], REQUESTS_MOST);
    }
  }
  if (b.trace_count == 0) {
    (void)fprintf(stderr, "compare: no traces given\n");
    return 2;
  }
  b.traces[b.trace_count] = small_ones(&b.traces[0]);
  b.trace_count++;
  for (size_t s = 0; s < subject_count; s++) {
    for (size_t i = 0; i < b.trace_count; i++) {
      b.cells[s][i] = cell_of(&subjects[s], &b.traces[i]);
    }
    (void)apart(measure_overhead, &subjects[s], NULL, &b.overhead[s], sizeof b.overhead[s]);
  }
  print_summary(&b);
  print_table(&b, "Nanoseconds per request", 1, ns_of);
  print_table(&b, "Instructions of the worst request", 0, worst_of);
  print_table(&b, "Footprint over peak", 3, footprint_of);
  print_traces(&b);
  return 0;
}
