/* Call sites of a snapshot in the form that a collector takes (docs/service/format.md): those with the most bytes
 * first, each frame and each module written out once and named by its number from then on, as many as fit.
 *
 * Overhead: 128 KiB of the caller's for the frames, of which a small snapshot touches little. Allocates nothing; usable
 * in signal handlers as far as the symbolizer is. Internal to checkers/ and tools/.
 */
#ifndef RINGFENCE_SNAPSHOT_SITES_H
#define RINGFENCE_SNAPSHOT_SITES_H

#include "checkers/report/json_writer.h"

#include <ringfence/snapshot.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RF_SNAPSHOT_FRAMES 8192U /* a power of two; at most three quarters are used */
#define RF_SNAPSHOT_MODULES 64U

/* A frame that was written: `pc` is its return address, or that of the rf_site; 0: a free slot. */
typedef struct rf_snapshot_frame {
  uintptr_t pc;
  uint32_t number;
} rf_snapshot_frame;

/* Starts as zeros, but for the first two. */
typedef struct rf_snapshot_sites {
  rf_sink_buffer *out;
  const rf_symbolizer *symbolizer;
  rf_json_writer *json;
  uint32_t frame_count;
  uint32_t module_count;
  uint32_t added_count; /* frames of the site that is being written */
  uint16_t added[RF_TRACE_DEPTH + 1];
  uint64_t modules[RF_SNAPSHOT_MODULES]; /* checksums of path and build-id */
  rf_snapshot_frame frames[RF_SNAPSHOT_FRAMES];
} rf_snapshot_sites;

/* Writes the members "sites", with the `count` sites in the order given, "omitted_blocks" and "omitted_bytes": those
 * given and those of the sites that did not fit. `json` writes to w->out. */
void rf_snapshot_sites_write(rf_snapshot_sites *w, rf_json_writer *json, const rf_snapshot_site *const *sites,
                             size_t count, size_t omitted_blocks, size_t omitted_bytes);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_SNAPSHOT_SITES_H */
