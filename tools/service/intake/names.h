/* Functions and lines of return addresses, as the store knows them. */
#ifndef RINGFENCE_TOOLS_SERVICE_NAMES_H
#define RINGFENCE_TOOLS_SERVICE_NAMES_H

#include "tools/ringfence/model/record.h"
#include "tools/service/store/store.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The name of an address over all processes: the build-id of its module, else its path; NULL where it has neither. */
const char *rf_names_module(const rf_frame *frame);

/* Sets the sources of a frame that has none and that the store knows. Strings live in `arena`. */
void rf_names_frame(rf_store *store, rf_bump_arena *arena, rf_frame *frame);

/* Sets the sources of the frames of `record` that have none and that the store knows. Strings live in `arena`. */
void rf_names_apply(rf_store *store, rf_bump_arena *arena, rf_record *record);

/* True if the store knows something of the frame, be it that nothing can be found. */
bool rf_names_known(rf_store *store, const rf_frame *frame);

#ifdef __cplusplus
}
#endif

#endif
