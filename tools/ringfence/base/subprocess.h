/* Running another program, a symbolizer, for its output. */
#ifndef RINGFENCE_TOOLS_BASE_SUBPROCESS_H
#define RINGFENCE_TOOLS_BASE_SUBPROCESS_H

#include "tools/ringfence/base/arena.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A file in memory with `size` bytes of `text`, at its start and closed on exec: not a pipe, so that a program may read
 * and write in any order without a deadlock, and not on a disk, which may be full. The caller closes it; -1 where there
 * is no memory. */
int rf_subprocess_input(const char *text, size_t size);

/* Runs `program` with `argv`, with `input` as its standard input and without LD_PRELOAD. Returns its standard output;
 * drops its standard error. It is killed where the calling thread ends before it. NULL where it cannot be run or ends
 * with a status other than 0. */
const char *rf_subprocess_output(rf_bump_arena *arena, const char *program, const char *const *argv, const char *input);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_BASE_SUBPROCESS_H */
