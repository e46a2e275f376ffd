/* Files whose paths are not UTF-8, which JSON cannot hold: records have U+FFFD for each invalid byte. */
#ifndef RINGFENCE_TOOLS_SYMBOLS_GARBLED_PATH_H
#define RINGFENCE_TOOLS_SYMBOLS_GARBLED_PATH_H

#include "tools/ringfence/base/arena.h"

/* The first file that the absolute `path` of a record may stand for: `path` itself where it has no U+FFFD or nothing
 * matches. */
const char *rf_garbled_path_find(rf_bump_arena *arena, const char *path);

#endif
