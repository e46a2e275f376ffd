/* Running another program, a symbolizer, for its output. */
#ifndef RINGFENCE_TOOLS_BASE_SUBPROCESS_H
#define RINGFENCE_TOOLS_BASE_SUBPROCESS_H

#include "tools/ringfence/base/arena.h"

/* Runs `program` with `argv`, with `input` as its standard input and without LD_PRELOAD. Returns its standard output;
 * drops its standard error. NULL where it cannot be run or ends with a status other than 0. */
const char *rf_subprocess_output(rf_bump_arena *arena, const char *program, const char *const *argv, const char *input);

#endif /* RINGFENCE_TOOLS_BASE_SUBPROCESS_H */
