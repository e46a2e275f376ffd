/* The effect of pools for small blocks on fragmentation: recorded traces on tlsf, and on pool in front of tlsf with as
 * many blocks of 16, 32, 48 and 64 bytes as the trace has at once.
 *
 *     ./bazelw run //tools/bench:pool
 */
#include "load.h"

#include "tools/trace/replay.h"

#include <stdio.h>

enum { SAMPLES = 64 };

typedef struct figures {
  size_t footprint;
  size_t holes;   /* free blocks of the heap, at most in the samples */
  double in_them; /* share of its free bytes that is not in the largest, at most */
} figures;

static bool count_hole(const rf_block *block, void *context) {
  *(size_t *)context += block->used ? 0 : 1;
  return true;
}

/* The heap below the pools: their own free blocks are no holes. */
static void sample(rf_allocator *a, figures *f) {
  size_t holes = 0;
  rf_stats s;
  while (rf_inner(a) != NULL) {
    a = rf_inner(a);
  }
  (void)rf_walk(a, count_hole, &holes);
  rf_stats_get(a, &s);
  double const in_them = s.free_bytes == 0 ? 0 : 1 - (double)s.largest_free / (double)s.free_bytes;
  f->holes = holes > f->holes ? holes : f->holes;
  f->in_them = in_them > f->in_them ? in_them : f->in_them;
}

/* In an arena a quarter larger than the trace's peak on that allocator needs. */
static figures measure(const char *name, const trace *t) {
  const subject *const s = subject_named(name);
  replay_memory m = replay_memory_make(t, 8 * t->peak);
  figures f = {.footprint = replay_footprint(s, t, &m, 0)};
  rf_allocator *const a = replay_begin(s, t, &m, f.footprint + f.footprint / 4);
  size_t const every = t->count / SAMPLES + 1;
  for (size_t i = 0; a != NULL && i < t->count; i++) {
    (void)replay_op(a, &t->ops[i], m.blocks);
    if (i % every == 0) {
      sample(a, &f);
    }
  }
  if (a != NULL) {
    replay_end(s, t, &m, a);
  }
  replay_memory_free(t, &m);
  return f;
}

static double small_share(const trace *t) {
  size_t small = 0;
  size_t all = 0;
  for (size_t i = 0; i < t->count; i++) {
    all += t->ops[i].kind == TRACE_ALLOC ? 1 : 0;
    small += t->ops[i].kind == TRACE_ALLOC && t->ops[i].size <= 64 ? 1 : 0;
  }
  return all == 0 ? 0 : 100 * (double)small / (double)all;
}

static void print_row(const char *path) {
  trace t = load_trace(path, SIZE_MAX);
  figures const without = measure("tlsf", &t);
  figures const with = measure("pool+tlsf", &t);
  printf("| %s | %.0f %% | %zu | %zu | %.1f %% | %.1f %% | %.3f | %.3f |\n", t.name, small_share(&t), without.holes,
         with.holes, 100 * without.in_them, 100 * with.in_them, (double)without.footprint / (double)t.peak,
         (double)with.footprint / (double)t.peak);
  trace_free(&t);
}

int main(int argc, char **argv) {
  printf("| trace | allocations up to 64 bytes | holes, tlsf | holes, pool+tlsf | free bytes in them, tlsf | pool+tlsf "
         "| footprint "
         "over peak, tlsf | pool+tlsf |\n|---|---|---|---|---|---|---|---|\n");
  for (int i = 1; i < argc; i++) {
    print_row(argv[i]);
  }
  return 0;
}
