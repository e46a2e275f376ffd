/* What a trace leaves allocated at its end, by call site. */
#ifndef RINGFENCE_TOOL_LEFTOVER_H
#define RINGFENCE_TOOL_LEFTOVER_H

#include "tools/ringfence/base/stash.h"
#include "tools/trace/trace.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Prints the `most` call sites with the most bytes to standard output, with functions, files and lines where they can be
 * found out, and what all others come to. */
void rf_leftover_print(rf_stash *stash, const trace *t, size_t most);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOL_LEFTOVER_H */
