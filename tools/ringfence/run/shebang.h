/* The interpreter of a script. */
#ifndef RINGFENCE_TOOLS_RUN_SHEBANG_H
#define RINGFENCE_TOOLS_RUN_SHEBANG_H

#include "tools/ringfence/base/arena.h"

/* The interpreter in the first line of the script `path` ("#!/bin/sh" gives "/bin/sh"); through env(1) the program
 * that env will run. NULL where the file does not begin with "#!" or cannot be read. */
const char *rf_shebang_interpreter(rf_bump_arena *arena, const char *path);

#endif /* RINGFENCE_TOOLS_RUN_SHEBANG_H */
