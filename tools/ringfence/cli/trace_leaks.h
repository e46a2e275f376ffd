/* What a trace leaves allocated at its end, by call site. */
#ifndef RINGFENCE_TOOLS_CLI_TRACE_LEAKS_H
#define RINGFENCE_TOOLS_CLI_TRACE_LEAKS_H

#include "tools/ringfence/base/arena.h"
#include "tools/trace/trace.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Prints the `most` call sites with the most bytes to standard output, with functions, files and lines where they can be
 * found out, and what all others come to. */
void rf_trace_leaks_print(rf_bump_arena *arena, const trace *t, size_t most);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_CLI_TRACE_LEAKS_H */
