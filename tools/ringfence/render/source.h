/* Lines of source code, for reports to show beside a place. */
#ifndef RINGFENCE_TOOLS_RENDER_SOURCE_H
#define RINGFENCE_TOOLS_RENDER_SOURCE_H

#include "tools/ringfence/model/frame_view.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_source_file rf_source_file;

enum { RF_SOURCE_BUCKETS = 1024 };

/* Files that were read, or could not be. */
typedef struct rf_sources {
  rf_source_file *files[RF_SOURCE_BUCKETS]; /* by a hash of their paths */
  const char *directory;                    /* only files in it are shown; NULL: none */
  int64_t before;                           /* only as they were before this time, in seconds since 1970; 0: whenever */
} rf_sources;

/* The line that `call` stands for, without its line feed; NULL where it is not known, or not to be shown: records come from
 * anywhere, so what they name must lie in `directory`; a file that changed after the module was made, or after
 * `before`, has other lines. */
const char *rf_source_text(rf_sources *sources, rf_bump_arena *arena, const rf_frame_view *call);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_RENDER_SOURCE_H */
