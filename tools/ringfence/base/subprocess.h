/* Running another program for its output: a symboliser. */
#ifndef RINGFENCE_TOOLS_BASE_SUBPROCESS_H
#define RINGFENCE_TOOLS_BASE_SUBPROCESS_H

#include "tools/ringfence/base/arena.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Runs `program` with `argv`, `input` on its standard input and nothing preloaded, and gives what it writes to
 * standard output; what it writes to standard error is dropped. NULL where it cannot be run or ends with a status
 * other than 0. */
const char *rf_subprocess_output(rf_bump_arena *arena, const char *program, const char *const *argv, const char *input);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_BASE_SUBPROCESS_H */
