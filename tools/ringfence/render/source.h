/* Lines of source code, for reports to show beside a place. */
#ifndef RINGFENCE_TOOLS_RENDER_SOURCE_H
#define RINGFENCE_TOOLS_RENDER_SOURCE_H

#include "tools/ringfence/base/string_table.h"
#include "tools/ringfence/model/frame_view.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_source_file rf_source_file;

/* Files that were read or tried. */
typedef struct rf_sources {
  rf_bump_arena *arena;  /* for their contents */
  rf_string_table paths; /* as records have them */
  rf_source_file *files; /* at the same indices */
  const char *directory; /* only files in it are shown, hidden ones left out; NULL: none */
  const char *without;   /* a folder whose files are not shown, wherever it is; NULL: none */
  int64_t before;        /* only files that are older, in seconds since 1970; 0: any */
} rf_sources;

/* The line of code of `call`, without its line feed; NULL where it is unknown or must not be shown. Records come from
 * anywhere, so only files in `directory` are read, and none whose name, or that of a folder on the way, begins with a
 * dot; a file that changed after the module was made, or after `before`, has other lines. */
const char *rf_source_text(rf_sources *sources, rf_bump_arena *arena, const rf_frame_view *call);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_RENDER_SOURCE_H */
