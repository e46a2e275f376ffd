/* A private folder for what the library writes while the program runs. */
#ifndef RINGFENCE_TOOLS_RUN_TEMPDIR_H
#define RINGFENCE_TOOLS_RUN_TEMPDIR_H

#include "tools/ringfence/base/arena.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Makes a new folder, for this user only, in TMPDIR, or where that cannot be used in the system's places for such.
 * Returns its absolute path, which is free of characters that mean something in RINGFENCE_OPTIONS and LD_PRELOAD;
 * NULL after a message. */
const char *rf_tempdir_make(rf_bump_arena *arena);

/* Removes the folder and the files in it. */
void rf_tempdir_remove(rf_bump_arena *arena, const char *folder);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_RUN_TEMPDIR_H */
