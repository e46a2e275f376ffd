/* Scripts: which program runs one. */
#ifndef RINGFENCE_TOOL_SCRIPT_H
#define RINGFENCE_TOOL_SCRIPT_H

#include "tools/ringfence/base/stash.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The interpreter in the first line of the script `path` ("#!/bin/sh" gives "/bin/sh"); through env(1) the program
 * that env will run. NULL where the file does not begin with "#!" or cannot be read. */
const char *rf_script_interpreter(rf_stash *stash, const char *path);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOL_SCRIPT_H */
