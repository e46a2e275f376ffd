/* Functions and lines of return addresses, as the store knows them. */
#ifndef RINGFENCE_TOOLS_SERVICE_NAMES_H
#define RINGFENCE_TOOLS_SERVICE_NAMES_H

#include "tools/ringfence/model/record.h"
#include "tools/service/store/store.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What an address is known by over all processes, beside its offset: the build-id of its module. Without one it is the
 * module's path and the function that the process names, as a file that was built anew has other code there. NULL where
 * it has neither. */
const char *rf_names_module(rf_bump_arena *arena, const rf_frame *frame);

/* True where the frame's module has no build-id: only its path tells which file it was. */
bool rf_names_by_path(const rf_frame *frame);

/* False where its module has no build-id, and its sources are those of another function than the process names: they
 * are of a file that was built anew. */
bool rf_names_agree(rf_bump_arena *arena, const rf_frame *frame);

/* Sets the sources of a frame that has none and that the store knows. Strings live in `arena`. */
void rf_names_frame(rf_store *store, rf_bump_arena *arena, rf_frame *frame);

/* Sets the sources of the frames of `record` that have none and that the store knows. Strings live in `arena`. */
void rf_names_apply(rf_store *store, rf_bump_arena *arena, rf_record *record);

/* True if the store knows something of the frame, be it that nothing can be found. */
bool rf_names_known(rf_store *store, rf_bump_arena *arena, const rf_frame *frame);

#ifdef __cplusplus
}
#endif

#endif
