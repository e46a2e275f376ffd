/* A private folder for the library's files while the program runs. */
#ifndef RINGFENCE_TOOLS_RUN_TEMPDIR_H
#define RINGFENCE_TOOLS_RUN_TEMPDIR_H

#include "tools/ringfence/base/arena.h"

/* Makes a new folder, for this user only, in TMPDIR or else in /tmp, /var/tmp or /dev/shm. Returns its absolute path,
 * free of characters that are special in RINGFENCE_OPTIONS and LD_PRELOAD; NULL after a message. */
const char *rf_tempdir_make(rf_bump_arena *arena);

/* Removes the folder and everything in it. */
void rf_tempdir_remove(const char *folder);

#endif /* RINGFENCE_TOOLS_RUN_TEMPDIR_H */
