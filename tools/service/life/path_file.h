/* Files of modules without a build-id: one that was built anew lies at the same path, and has other names. */
#ifndef RINGFENCE_TOOLS_SERVICE_PATH_FILE_H
#define RINGFENCE_TOOLS_SERVICE_PATH_FILE_H

#include "tools/ringfence/model/frame.h"
#include "tools/service/store/store.h"

#include "tools/ringfence/base/arena.h"

#ifdef __cplusplus
extern "C" {
#endif

/* True where the frame's module has no build-id, and its file is there and is not the one that names were noted of. */
bool rf_path_file_has_changed(rf_store *store, rf_bump_arena *arena, const rf_frame *frame);

/* Notes that names of the file at `path` have been looked up; nothing where it is gone. Within a transaction. */
void rf_path_file_note(rf_store *store, rf_bump_arena *arena, const char *path);

#ifdef __cplusplus
}
#endif

#endif
