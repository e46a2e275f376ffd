/* Frames of snapshots that lack names: gathered for a symbolizer, noted as lacking lines. For symbols.c. */
#ifndef RINGFENCE_TOOLS_SERVICE_SNAPSHOT_FRAMES_H
#define RINGFENCE_TOOLS_SERVICE_SNAPSHOT_FRAMES_H

#include "tools/ringfence/base/arena.h"
#include "tools/ringfence/model/frame.h"
#include "tools/service/store/store.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_frames {
  rf_frame **list;
  size_t count;
  bool useful; /* some event has frames that names may be known of */
} rf_frames;

/* Adds the frame where it has no name and nothing is known of it. True where it has no name. */
bool rf_frames_add(rf_store *store, rf_bump_arena *arena, rf_frame *frame, rf_frames *all);

/* Gathers the frames of some snapshots after number `after`. Returns the number of the last. */
int64_t rf_frames_of_snapshots(rf_store *store, rf_bump_arena *arena, int64_t after, rf_frames *all);

/* Gathers the frames of the build that were looked up before. `build_id` must outlive them. */
void rf_frames_of_build(rf_store *store, rf_bump_arena *arena, const char *build_id, rf_frames *all);

/* Notes the builds that lack lines in snapshots after `after` up to `upto`, and anew in all that lack those of a build.
 * Within a transaction. */
void rf_frames_note(rf_store *store, rf_bump_arena *arena, int64_t after, int64_t upto);
void rf_frames_note_build(rf_store *store, rf_bump_arena *arena, const char *build_id);

#ifdef __cplusplus
}
#endif

#endif
