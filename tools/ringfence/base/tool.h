/* Running another program for its output: a symboliser. */
#ifndef RINGFENCE_TOOL_TOOL_H
#define RINGFENCE_TOOL_TOOL_H

#include "tools/ringfence/base/stash.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Runs `program` with `argv`, `input` on its standard input and nothing preloaded, and gives what it writes to
 * standard output; what it writes to standard error is dropped. NULL where it cannot be run or ends with a status
 * other than 0. */
const char *rf_tool_run(rf_stash *stash, const char *program, const char *const *argv, const char *input);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOL_TOOL_H */
