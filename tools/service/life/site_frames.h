/* Call sites of coverage that lack names: gathered for the symbolizer of symbols.c. */
#ifndef RINGFENCE_TOOLS_SERVICE_SITE_FRAMES_H
#define RINGFENCE_TOOLS_SERVICE_SITE_FRAMES_H

#include "tools/service/life/snapshot_frames.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Sites that are being looked up. Starts as zeros. */
typedef struct rf_looked_sites {
  rf_bump_arena arena;
  struct rf_looked_site *list;
  size_t count;
} rf_looked_sites;

/* Adds the frames of some sites that were not looked up yet, and notes these in `sites`. False where there are none. */
bool rf_frames_of_sites(rf_store *store, rf_bump_arena *arena, rf_looked_sites *sites, rf_frames *all);

/* They have been looked up, and are forgotten here. Within a transaction. */
void rf_frames_end_sites(rf_store *store, rf_looked_sites *sites);

void rf_frames_forget_sites(rf_looked_sites *sites);

/* The sites of a build are to be looked up again: a file of its symbols came. Within a transaction. */
void rf_frames_renew_sites(rf_store *store, const char *build_id);

#ifdef __cplusplus
}
#endif

#endif
