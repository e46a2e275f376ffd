/* The environment of the program: the user's, with the library loaded and told what to do. */
#ifndef RINGFENCE_TOOLS_RUN_ENVIRONMENT_H
#define RINGFENCE_TOOLS_RUN_ENVIRONMENT_H

#include "tools/ringfence/base/arena.h"

#include <ringfence/options.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the program's library is told: the user's RINGFENCE_OPTIONS, then `passed` (the command line's), then that
 * each process writes its findings to a file of its own in `folder`. Fills in *effective with what that comes to. */
const char *rf_environment_options(rf_bump_arena *arena, const char *passed, const char *folder, rf_options *effective);

/* A copy of this process's environment, NULL at the end, with RINGFENCE_OPTIONS set to `options` and, unless
 * `library` is NULL, that file first in LD_PRELOAD. A path with a space, colon or dollar sign in it, which LD_PRELOAD
 * cannot hold, is reached by a link in `folder`. */
char **rf_environment_make(rf_bump_arena *arena, const char *library, const char *options, const char *folder);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_RUN_ENVIRONMENT_H */
