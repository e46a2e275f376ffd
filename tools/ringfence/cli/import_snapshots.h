/* Snapshots in the JSON lines of the library and of `ringfence check`, in the form of a collector's spool. */
#ifndef RINGFENCE_TOOLS_CLI_IMPORT_SNAPSHOTS_H
#define RINGFENCE_TOOLS_CLI_IMPORT_SNAPSHOTS_H

#include "tools/ringfence/base/arena.h"

#include <stdint.h>

typedef struct rf_imported_snapshot {
  uint32_t process;
  const char *program; /* NULL: the lines do not say */
  const char *mode;    /* the same */
  const char *json;    /* the member "snapshot" of a record */
} rf_imported_snapshot;

/* Reads lines. Returns the snapshots, in their order, and sets *count: differences are left out, since the collector
 * makes them. */
rf_imported_snapshot *rf_import_snapshots(rf_bump_arena *arena, const char *text, size_t length, size_t *count);

#endif /* RINGFENCE_TOOLS_CLI_IMPORT_SNAPSHOTS_H */
