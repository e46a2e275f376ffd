/* Blocks that are live at the end of a trace, by call site. */
#ifndef RINGFENCE_TOOLS_CLI_TRACE_LEAKS_H
#define RINGFENCE_TOOLS_CLI_TRACE_LEAKS_H

#include "tools/ringfence/base/arena.h"
#include "tools/trace/trace.h"

/* Prints the `most` call sites with the most bytes to standard output, with functions, files and lines where they can
 * be found, and the sum of all others. */
void rf_trace_leaks_print(rf_bump_arena *arena, const trace *t, size_t most);

#endif /* RINGFENCE_TOOLS_CLI_TRACE_LEAKS_H */
