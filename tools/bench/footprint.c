/* How much arena a heap needs: the smallest in which a trace succeeds, control data included, over the trace's peak of
 * live requested bytes. One row for each allocator; geometric means over seeds and over traces.
 *
 *     ./bazelw run //tools/bench:footprint
 */
#include "tools/trace/subjects.h"
#include "tools/trace/synthetic.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SEEDS = 5 };

static bool step(rf_allocator *a, const trace_op *op, void **block) {
  switch (op->kind) {
  case TRACE_ALLOC:
    *block = rf_alloc(a, op->size);
    return *block != NULL;
  case TRACE_FREE:
    (void)rf_free(a, *block);
    return true;
  case TRACE_REALLOC: {
    void *const p = rf_realloc(a, *block, op->size);
    *block = p != NULL ? p : *block;
    return p != NULL;
  }
  }
  return false;
}

static bool succeeds(const subject *s, const trace *t, void *arena, size_t size) {
  rf_allocator *const a = s->make(arena, size, t);
  void **const blocks = (void **)calloc(t->ids, sizeof *blocks);
  bool good = a != NULL && blocks != NULL;
  for (size_t i = 0; good && i < t->count; i++) {
    good = step(a, &t->ops[i], &blocks[t->ops[i].id]);
  }
  if (a != NULL) {
    rf_deinit(a);
  }
  free(blocks);
  return good;
}

/* To eight bytes. */
static double footprint(const subject *s, const trace *t) {
  size_t enough = 8 * t->peak;
  size_t low = t->peak / 2;
  void *const arena = malloc(enough);
  if (arena == NULL || !succeeds(s, t, arena, enough)) {
    (void)fprintf(stderr, "%s fails in 8 times the peak\n", s->name);
    exit(1);
  }
  while (enough - low > 8) {
    size_t const middle = low + (enough - low) / 2;
    if (succeeds(s, t, arena, middle)) {
      enough = middle;
    } else {
      low = middle;
    }
  }
  free(arena);
  return (double)enough / (double)t->peak;
}

int main(void) {
  printf("smallest arena over peak of live bytes, %d seeds\n\n| allocator |", SEEDS);
  for (size_t kind = 0; kind < trace_kinds(); kind++) {
    printf(" %s |", trace_name(kind));
  }
  printf(" mean |\n|---|");
  for (size_t kind = 0; kind <= trace_kinds(); kind++) {
    printf("---|");
  }
  printf("\n");
  for (size_t i = 0; i < subject_count; i++) {
    double sum = 0;
    if (!subjects[i].arena || subjects[i].largest != 0) {
      continue; /* no arena, or not for requests of any size */
    }
    printf("| %s |", subjects[i].name);
    for (size_t kind = 0; kind < trace_kinds(); kind++) {
      double logs = 0;
      for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        trace t = trace_make(kind, seed);
        logs += log(footprint(&subjects[i], &t));
        trace_free(&t);
      }
      printf(" %.3f |", exp(logs / SEEDS));
      sum += logs / SEEDS;
    }
    printf(" %.3f |\n", exp(sum / (double)trace_kinds()));
    (void)fflush(stdout);
  }
  return 0;
}
