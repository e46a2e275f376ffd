/* The requests of a trace by call site: those that are live at its end, and all of them as a profile. */
#ifndef RINGFENCE_TOOLS_CLI_TRACE_LEAKS_H
#define RINGFENCE_TOOLS_CLI_TRACE_LEAKS_H

#include "tools/ringfence/model/record.h"
#include "tools/trace/trace.h"

/* Prints the `most` call sites with the most bytes to standard output, with functions, files and lines where they can
 * be found, and the sum of all others. */
void rf_trace_leaks_print(rf_bump_arena *arena, const trace *t, size_t most);

/* A record for each site, whose `allocated` is its stack up to main, with functions and lines where it is `wanted` and
 * they can be found. */
rf_record *rf_trace_origins(rf_bump_arena *arena, const trace *t, const bool *wanted);

/* Writes requests and live blocks by call site to `path`, as pprof reads them. False after a message. */
bool rf_trace_profile_write(rf_bump_arena *arena, const trace *t, const char *path);

#endif /* RINGFENCE_TOOLS_CLI_TRACE_LEAKS_H */
