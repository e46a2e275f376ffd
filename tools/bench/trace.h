/* Traces: the same requests for every allocator that is measured. Made from a seed, the same on every machine. */
#ifndef RINGFENCE_TOOLS_BENCH_TRACE_H
#define RINGFENCE_TOOLS_BENCH_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum trace_kind { TRACE_ALLOC, TRACE_FREE, TRACE_REALLOC } trace_kind;

typedef struct trace_op {
  trace_kind kind;
  size_t id; /* which block: 0 … ids - 1, at most one live block each */
  size_t size;
} trace_op;

typedef struct trace {
  const char *name;
  trace_op *ops;
  size_t count;
  size_t capacity;
  size_t ids;
  size_t peak; /* highest sum of the requested sizes of live blocks */
} trace;

/* How many kinds of traces there are, and what each is called and does. */
size_t trace_kinds(void);
const char *trace_name(size_t kind);
const char *trace_what(size_t kind);

/* Makes the trace. Ends the program where memory is short. trace_free gives it back. */
trace trace_make(size_t kind, uint64_t seed);

/* Random sizes from 1 byte to `largest`, small ones more often, with up to `blocks` live: for arenas of any size. */
trace trace_make_random(uint64_t seed, size_t count, size_t blocks, size_t largest);

/* Blocks of every size class in turn, freed so that each free meets two free neighbours of other classes. */
trace trace_make_comb(uint64_t seed, size_t teeth, size_t largest);

void trace_free(trace *t);

#endif
