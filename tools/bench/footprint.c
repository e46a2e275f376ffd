/* How much arena a heap needs: the smallest in which a trace succeeds, control data included, over the trace's peak of
 * live requested bytes. One row for each allocator; geometric means over seeds and over traces.
 *
 *     ./bazelw run //tools/bench:footprint
 */
#include "tools/trace/replay.h"
#include "tools/trace/synthetic.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SEEDS = 5, FACTOR = 8, STEP = 8 };

static double footprint(const subject *s, const trace *t) {
  replay_memory m = replay_memory_make(t, FACTOR * t->peak);
  size_t const bytes = replay_footprint(s, t, &m, STEP);
  if (bytes == 0) {
    (void)fprintf(stderr, "%s fails in %d times the peak\n", s->name, FACTOR);
    exit(1);
  }
  replay_memory_free(t, &m);
  return (double)bytes / (double)t->peak;
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
      printf(" %.3f |", exp(logs / (double)SEEDS));
      sum += logs / (double)SEEDS;
    }
    printf(" %.3f |\n", exp(sum / (double)trace_kinds()));
    (void)fflush(stdout);
  }
  return 0;
}
