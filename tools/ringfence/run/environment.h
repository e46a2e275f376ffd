/* The environment of the program: the user's, with the library preloaded and its options set. */
#ifndef RINGFENCE_TOOLS_RUN_ENVIRONMENT_H
#define RINGFENCE_TOOLS_RUN_ENVIRONMENT_H

#include "tools/ringfence/base/arena.h"

#include <ringfence/options.h>
#include <stdbool.h>

/* The options of a program that the command starts, where nobody says otherwise. Those of the drop-in malloc
 * (checkers/dropin/runtime/state.c) are among them, which a test compares. */
rf_options rf_environment_defaults(void);

/* The options of the program's library: the user's RINGFENCE_OPTIONS, then `passed` (the command line's), then those
 * that make each process write its findings to a file of its own in `folder`. Sets *effective to the result. */
const char *rf_environment_options(rf_bump_arena *arena, const char *passed, const char *folder, rf_options *effective);

/* A copy of this process's environment, NULL at the end, with RINGFENCE_OPTIONS set to `options` and, unless `library`
 * is NULL, that file first in LD_PRELOAD. Unless `pools`, with those variables as well that are not there and have
 * programs ask malloc for each block (pools.h). If its path has a space, colon or dollar sign, which LD_PRELOAD cannot
 * hold, a link in `folder` stands for it. */
char **rf_environment_make(rf_bump_arena *arena, const char *library, const char *options, const char *folder,
                           bool pools);

#endif /* RINGFENCE_TOOLS_RUN_ENVIRONMENT_H */
