/* Profiles as pprof reads them (go tool pprof, Pyroscope, Parca): blocks and bytes by call site.
 *
 * The form is profile.proto's message Profile, in a gzip file. Names are in it: no reader needs the programs.
 */
#ifndef RINGFENCE_TOOLS_RENDER_PPROF_H
#define RINGFENCE_TOOLS_RENDER_PPROF_H

#include "tools/ringfence/base/sinks.h"
#include "tools/ringfence/base/string_table.h"
#include "tools/ringfence/model/record.h"
#include "tools/ringfence/model/snapshot.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The meaning of one number of each sample: "inuse_space" in "bytes". */
typedef struct rf_pprof_type {
  const char *name;
  const char *unit;
} rf_pprof_type;

typedef struct rf_pprof {
  rf_bump_arena *arena;
  const rf_pprof_type *types;
  size_t type_count;
  rf_string_table strings;
  rf_string_table functions; /* by name and file; ids count from 1, as those of the next two */
  rf_string_table locations;
  rf_string_table mappings;
  rf_text_sink out;
} rf_pprof;

/* `types` must outlive it. The last one is what readers show first. */
void rf_pprof_init(rf_pprof *p, rf_bump_arena *arena, const rf_pprof_type *types, size_t type_count);

/* Adds a sample: the call stack of record->allocated, and a value for each type. */
void rf_pprof_add(rf_pprof *p, const rf_record *record, const int64_t *values);

/* Writes the file. `time_ns` since 1970; 0: unknown. */
void rf_pprof_put(rf_pprof *p, int64_t time_ns, const rf_sink *sink);

/* The live blocks of the last snapshot of each process and allocator. Readers compare two files themselves. */
void rf_pprof_snapshots(rf_bump_arena *arena, rf_snapshot_table *const *tables, size_t count, int64_t time_ns,
                        const rf_sink *sink);

#ifdef __cplusplus
}
#endif

#endif
