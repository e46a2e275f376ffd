/* One build may lie in several files, as in a folder of the build and, stripped, where it is installed: the file that
 * has lines serves all findings of the build, whichever came first. For symbols.c. Threads: one.
 */
#ifndef RINGFENCE_TOOLS_SERVICE_BETTER_FILE_H
#define RINGFENCE_TOOLS_SERVICE_BETTER_FILE_H

#include "tools/ringfence/model/frame.h"
#include "tools/service/store/store.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* True where the store has names of the frame but no line, and its file was not asked for them yet. */
bool rf_better_file_is_new(rf_store *store, const rf_frame *frame);

/* The file `path` of the build answered for one of its addresses; `lines`: it has lines. To be called before the answer
 * is stored, within a transaction. */
void rf_better_file_note(rf_store *store, const char *build_id, const char *path, bool lines);

/* A build of which findings lack lines that another file has: fills both texts, which have `room` bytes each. False
 * where there is none. */
bool rf_better_file_next(rf_store *store, char *build_id, char *path, size_t room);

/* The findings of the build have been looked at. Within a transaction. */
void rf_better_file_done(rf_store *store, const char *build_id);

#ifdef __cplusplus
}
#endif

#endif
