/* Call sites of coverage that lack names: gathered for the symbolizer of symbols.c. */
#ifndef RINGFENCE_TOOLS_SERVICE_SITE_FRAMES_H
#define RINGFENCE_TOOLS_SERVICE_SITE_FRAMES_H

#include "tools/service/life/snapshot_frames.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Adds those of some sites that were not looked up yet, which count as looked up from then on. False where there are
 * none. */
bool rf_frames_of_sites(rf_store *store, rf_bump_arena *arena, rf_frames *all);

/* The sites of a build are to be looked up again: a file of its symbols came. Within a transaction. */
void rf_frames_renew_sites(rf_store *store, const char *build_id);

#ifdef __cplusplus
}
#endif

#endif
