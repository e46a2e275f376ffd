/* A private folder for what the library writes while the program runs. */
#ifndef RINGFENCE_TOOL_SCRATCH_H
#define RINGFENCE_TOOL_SCRATCH_H

#include "tools/ringfence/base/stash.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Makes a new folder, for this user only, in TMPDIR, or where that cannot be used in the system's places for such.
 * Returns its absolute path, which is free of characters that mean something in RINGFENCE_OPTIONS and LD_PRELOAD;
 * NULL after a message. */
const char *rf_scratch_make(rf_stash *stash);

/* Removes the folder and the files in it. */
void rf_scratch_remove(rf_stash *stash, const char *folder);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOL_SCRATCH_H */
