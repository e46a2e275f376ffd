/* Traces that are made from a seed, the same on every machine. */
#ifndef RINGFENCE_TOOLS_TRACE_SYNTHETIC_H
#define RINGFENCE_TOOLS_TRACE_SYNTHETIC_H

#include "tools/trace/trace.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The number of kinds of traces, and the name of each. */
size_t trace_kinds(void);
const char *trace_name(size_t kind);

/* Makes the trace. Ends the program where memory is short. trace_free gives it back. */
trace trace_make(size_t kind, uint64_t seed);

/* Random sizes from 1 byte to `largest`, small ones more often, with up to `blocks` live: for arenas of any size. */
trace trace_make_random(uint64_t seed, size_t count, size_t blocks, size_t largest);

/* Blocks of every size class in turn, freed so that each free meets two free neighbours of other classes. */
trace trace_make_comb(uint64_t seed, size_t teeth, size_t largest);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_TRACE_SYNTHETIC_H */
