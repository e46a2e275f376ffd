/* Reading the recorded traces that benchmarks replay. */
#ifndef RINGFENCE_TOOLS_BENCH_LOAD_H
#define RINGFENCE_TOOLS_BENCH_LOAD_H

#include "tools/trace/trace.h"

/* Reads the first `most` requests of a trace and names it after its file; ends the program after a message where it
 * cannot be read. */
trace load_trace(const char *path, size_t most);

#endif
