/* A snapshot of live blocks by call site, as the record of a spool has it (docs/service/format.md).
 *
 * The reader takes what hostile processes write: numbers are bounded, indices are checked, what is beyond a limit is
 * left out and counted as such. Strings live in the arena that the JSON lives in.
 */
#ifndef RINGFENCE_TOOLS_SERVICE_HEAP_SNAPSHOT_H
#define RINGFENCE_TOOLS_SERVICE_HEAP_SNAPSHOT_H

#include "tools/ringfence/base/arena.h"
#include "tools/ringfence/base/json.h"
#include "tools/ringfence/model/frame.h"

#include <ringfence/frames.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  RF_HEAP_SITES = 8192,
  RF_HEAP_FRAMES = 16384,
  RF_HEAP_DEPTH = RF_TRACE_DEPTH,
  RF_HEAP_SIZES = 66,
  RF_HEAP_CELLS = 4096
};

typedef struct rf_heap_site {
  int64_t bytes; /* in a difference: of the later snapshot, as the next */
  int64_t blocks;
  int64_t more_bytes; /* in a difference: growth since the earlier one */
  int64_t more_blocks;
  uint32_t *stack; /* indices of frames, innermost first */
  uint32_t depth;
} rf_heap_site;

typedef struct rf_heap_size {
  int64_t least; /* blocks of this size up to twice of it */
  int64_t blocks;
  int64_t bytes;
} rf_heap_size;

/* Adjacent cells of memory. */
typedef struct rf_heap_part {
  const char *address;
  int64_t *live; /* bytes of each cell */
  size_t count;
} rf_heap_part;

typedef struct rf_heap_snapshot {
  const char *name;
  const char *allocator;
  int64_t blocks;
  int64_t bytes;
  int64_t peak;     /* 0: not known, as the next */
  int64_t resident; /* bytes of memory that the process has */
  int64_t omitted_blocks;
  int64_t omitted_bytes;
  rf_frame *frames;
  size_t frame_count;
  rf_heap_site *sites; /* most bytes first */
  size_t site_count;
  rf_heap_size *sizes;
  size_t size_count;
  int64_t cell; /* bytes; 0: there is no map */
  rf_heap_part *parts;
  size_t part_count;
} rf_heap_snapshot;

/* Reads the member "snapshot" of a record; NULL where it is none. */
rf_heap_snapshot *rf_heap_snapshot_read(rf_bump_arena *arena, const rf_json *object);

/* Sets the growth of each site of `later` since `earlier`; sites that only `earlier` has are added, with nothing live.
 * Sites are then in order of growth. Frames are the same where module and offset are, or where neither has one,
 * function, file and line. */
void rf_heap_snapshot_since(rf_bump_arena *arena, const rf_heap_snapshot *earlier, rf_heap_snapshot *later);

#ifdef __cplusplus
}
#endif

#endif
