/* Chooses an allocator, its arena and pools of small blocks for the use that traces recorded, one trace for each device
 * or run.
 *
 * Algorithm: classes of pools are a partition of the block sizes up to a bound into at most so many ranges, by dynamic
 * programming over the most blocks of each range that are live at once; each partition is then replayed in front of a
 * heap, and so is a part of its counts. An arena is found by replaying: the smallest one with which as many traces as
 * asked for have no failure.
 */
#ifndef RINGFENCE_TOOLS_TRACE_TUNE_H
#define RINGFENCE_TOOLS_TRACE_TUNE_H

#include "tools/trace/replay.h"
#include "tools/trace/subjects.h"
#include "tools/trace/trace.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tune_set {
  const trace *traces; /* of each, peak * REPLAY_PEAKS_MOST fits twice into a size_t */
  size_t count;        /* at least one */
  size_t enough;       /* of them must have no failure: 1 to count */
  double limit;        /* seconds of processor time for one replay of one of them; 0: none */
  /* Called before each choice of pools is tried, from 1 to `all`; NULL: not wanted. */
  void (*progress)(unsigned number, unsigned all);
} tune_set;

typedef struct tune_result {
  const subject *heap;
  rf_pool_class classes[RF_POOL_CLASSES_MAX];
  unsigned class_count; /* 0: no pools */
  size_t arena;         /* bytes, the pools' included; 0: the heap cannot serve enough of the traces */
  size_t total;         /* the same, and the allocator's own variables */
  size_t failed_traces; /* in such an arena */
  size_t failed_requests;
  double mean_ns; /* of a request over all traces, at the fastest of a few runs */
  bool slow;      /* the limit ended the first replay, which mean_ns is of; there is no arena */
} tune_result;

/* The heap alone. Ends the program where memory is short, as all of these do. */
tune_result tune_bare(const tune_set *set, const subject *heap);

/* The pools that save most memory in front of the heap, at most `most` classes (up to RF_POOL_CLASSES_MAX);
 * `bare` where none do. */
tune_result tune_pools(const tune_set *set, const tune_result *bare, unsigned most);

/* The same pools in front of another heap. */
tune_result tune_heap(const tune_set *set, const tune_result *pools, const subject *heap);

/* Fills in mean_ns. */
void tune_measure(const tune_set *set, tune_result *r);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_TRACE_TUNE_H */
