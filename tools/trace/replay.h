/* Replays a trace on an allocator, and measures. */
#ifndef RINGFENCE_TOOLS_TRACE_REPLAY_H
#define RINGFENCE_TOOLS_TRACE_REPLAY_H

#include "tools/trace/subjects.h"
#include "tools/trace/trace.h"

#ifdef __cplusplus
extern "C" {
#endif

#define REPLAY_PEAKS_MOST 16U                 /* the most memory to try, in peaks */
#define REPLAY_ARENA_LEAST ((size_t)64 << 10) /* bytes, for traces that need hardly any */

/* One request. `blocks` has trace.ids elements, NULL at first. False where the allocator refused: nothing changed. */
static inline bool replay_op(rf_allocator *a, const trace_op *op, void **blocks) {
  size_t const align = op->align != 0 ? op->align : RF_ALIGN_DEFAULT;
  void **const block = &blocks[op->id];
  switch (op->kind) {
  case TRACE_ALLOC:
    *block = rf_alloc_at(a, op->size, align, NULL);
    return *block != NULL;
  case TRACE_FREE:
    (void)rf_free_at(a, *block, NULL);
    *block = NULL;
    return true;
  case TRACE_REALLOC: {
    /* A block that there was no memory for is as good as one of no bytes; realloc to none would free. */
    void *const p = rf_realloc_at(a, *block, op->size != 0 ? op->size : 1, align, NULL);
    *block = p != NULL ? p : *block;
    return p != NULL;
  }
  }
  return false;
}

typedef struct replay_memory {
  void **blocks; /* trace.ids of them */
  void *arena;   /* mapped; a page of it costs memory when it is touched */
  size_t arena_size;
} replay_memory;

/* Memory for replays of `t` with arenas of up to `arena_size` bytes. Ends the program where there is none. */
replay_memory replay_memory_make(const trace *t, size_t arena_size);
void replay_memory_free(const trace *t, replay_memory *m);

/* As new for another replay: makes the allocator; NULL where the arena is too small. replay_end frees what is still
 * live where its memory is the system's, and ends it. */
rf_allocator *replay_begin(const subject *s, const trace *t, replay_memory *m, size_t arena_size);
void replay_end(const subject *s, const trace *t, replay_memory *m, rf_allocator *a);

/* How many requests fail; the first one's index is in *first, where there is one. */
size_t replay_failures(const subject *s, const trace *t, replay_memory *m, size_t arena_size, size_t *first);

/* Fills each block with a pattern of its own and looks for it later: false where a block was given out that overlaps
 * another, is misaligned or was changed. */
bool replay_verify(const subject *s, const trace *t, replay_memory *m, size_t arena_size);

typedef struct replay_times {
  double mean_ns;  /* per request, of the fastest of the runs */
  double worst_ns; /* of the slowest request, each at its fastest of all runs; the clock is read around each */
} replay_times;

/* `each` NULL, or room for the time of each request in ns. */
replay_times replay_measure(const subject *s, const trace *t, replay_memory *m, size_t arena_size, unsigned runs,
                            float *each);

typedef struct replay_part {
  size_t count;   /* requests that were made; 0 where the allocator cannot use the arena */
  double mean_ns; /* of them, in processor time */
} replay_part;

/* Replays for up to `seconds` of processor time; 0: to the end. */
replay_part replay_within(const subject *s, const trace *t, replay_memory *m, size_t arena_size, double seconds);

/* The smallest arena, to `step` bytes, in which all requests succeed; 0 where they do not even in all of the memory.
 * `step` 0: 16 bytes or a 1024th of the peak. For a subject without an arena: the most that it took from the system. */
size_t replay_footprint(const subject *s, const trace *t, replay_memory *m, size_t step);

typedef struct replay_fragmentation {
  bool known;    /* the allocator tells its free bytes */
  double at_end; /* 0 … 1: of the free bytes, what is not in the largest free block */
  double most;   /* of samples over the run */
  rf_stats end;
} replay_fragmentation;

replay_fragmentation replay_fragment(const subject *s, const trace *t, replay_memory *m, size_t arena_size);

/* Bytes that are occupied after each of `points` equal parts of the trace, into `out`: requested sizes and overhead,
 * where the memory is the system's what was taken from it. False where the allocator cannot use the arena. */
bool replay_series(const subject *s, const trace *t, replay_memory *m, size_t arena_size, size_t points, size_t *out);

/* The figures of one allocator. */
typedef struct replay_figures {
  bool usable;     /* it can use the arena; else there are no more */
  bool sound;      /* replay_verify */
  size_t replayed; /* requests; fewer than the trace has where the limit ended the replay: then times.mean_ns is of
                      them, and there are no more figures */
  unsigned runs;   /* that times are of */
  replay_times times;
  size_t failed;
  size_t first_failed;
  size_t footprint; /* 0: above the most that was tried */
  replay_fragmentation fragmentation;
} replay_figures;

/* `runs` 0: seven, or fewer, so that all of them end within the limit. `limit`: seconds of processor time for one
 * replay; 0: none. */
replay_figures replay_figures_of(const subject *s, const trace *t, replay_memory *m, size_t arena_size, unsigned runs,
                                 double limit);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_TRACE_REPLAY_H */
