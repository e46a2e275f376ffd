/* Snapshots: live blocks by call site, and the difference of two snapshots: blocks allocated since then and not freed.
 *
 *     static rf_snapshot_site before_sites[256], after_sites[256];
 *     rf_snapshot before, after;
 *     rf_snapshot_init(&before, "before", before_sites, 256);
 *     rf_snapshot_init(&after, "after", after_sites, 256);
 *     rf_snapshot_take(&before, a, NULL);
 *     handle_requests();
 *     rf_snapshot_take(&after, a, NULL);
 *     rf_snapshot_text(&after, &before, NULL, sink);
 *
 * Algorithm: one walk over the allocator's blocks, their call sites counted in an open hash table in the caller's
 * memory.
 * Complexity: O(blocks), while the table has room. Nothing is allocated.
 *
 * A difference is that of the sums: five blocks freed and six allocated at one call site are one block more. Blocks
 * that a program replaces all the time do not show; growth does.
 *
 * Threads and interrupts: not synchronised, but for what the walked allocator itself does (rf_lock).
 */
#ifndef RINGFENCE_SNAPSHOT_H
#define RINGFENCE_SNAPSHOT_H

#include <ringfence/allocator.h>
#include <ringfence/frames.h>
#include <ringfence/guard.h>
#include <ringfence/reporter.h>
#include <ringfence/sink.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One call site: a slot of the table, empty where `blocks` is 0. */
typedef struct rf_snapshot_site {
  rf_trace allocated;
  size_t blocks;
  size_t bytes;
} rf_snapshot_site;

typedef struct rf_snapshot {
  const char *name;
  const char *allocator; /* of the one that was walked */
  rf_snapshot_site *sites;
  size_t capacity;
  size_t count;  /* call sites */
  size_t blocks; /* all live ones */
  size_t bytes;
  size_t omitted_blocks; /* of these, those of call sites that did not fit */
  size_t omitted_bytes;
  uint64_t time_ns; /* rf_port_now_ns when taken */
} rf_snapshot;

/* Makes an empty snapshot over `capacity` slots at `sites`, which the caller keeps, as the string `name`, as long as
 * the snapshot is used. Few more slots than call sites make it slow, fewer leave some out. */
void rf_snapshot_init(rf_snapshot *snapshot, const char *name, rf_snapshot_site *sites, size_t capacity);

/* Takes it anew: counts the used blocks of `allocator`. `guard` is the guard that it is, or that is beneath it (a
 * lock): then blocks count by the stacks of their allocation. NULL: by the call sites of the walk, which checked builds
 * have. RF_ERR_UNSUPPORTED where the allocator cannot be walked, RF_ERR_CORRUPT where damage ended the walk: what came
 * before is counted. */
rf_status rf_snapshot_take(rf_snapshot *snapshot, rf_allocator *allocator, rf_guard *guard);

/* The same, added to what is counted already: for several allocators in one snapshot. */
rf_status rf_snapshot_count(rf_snapshot *snapshot, rf_allocator *allocator, rf_guard *guard);

/* Counts one block more: for walks of one's own. */
void rf_snapshot_add(rf_snapshot *snapshot, const rf_trace *allocated, size_t bytes);

/* The growth of a call site from `before` (NULL: empty) to `snapshot`. */
typedef struct rf_snapshot_delta {
  const rf_trace *allocated;
  ptrdiff_t blocks;
  ptrdiff_t bytes;
} rf_snapshot_delta;

/* The next call site with a difference: *cursor starts at 0. False after the last. First those of `snapshot`, then
 * those that are in `before` alone. */
bool rf_snapshot_next(const rf_snapshot *snapshot, const rf_snapshot *before, size_t *cursor, rf_snapshot_delta *out);

/* Writes it as a line of JSON (docs/reports.md); with `before`, the difference. `symbolizer` as for rf_report_json.
 * `process` is its id, 0 where there is none. */
void rf_snapshot_json(const rf_snapshot *snapshot, const rf_snapshot *before, uint32_t process,
                      const rf_symbolizer *symbolizer, const rf_sink *sink);

/* Writes it as a table, most bytes first, at most RF_SNAPSHOT_ROWS of them. */
#define RF_SNAPSHOT_ROWS 20
void rf_snapshot_text(const rf_snapshot *snapshot, const rf_snapshot *before, const rf_symbolizer *symbolizer,
                      const rf_sink *sink);

/* Puts a snapshot, or with `before` the difference of two, where the findings go, in their format; names of functions
 * come from symbol tables. False where this thread is reporting something at the moment (signal handlers): try again
 * later. */
bool rf_log_reporter_snapshot(rf_log_reporter *reporter, const rf_snapshot *snapshot, const rf_snapshot *before);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_SNAPSHOT_H */
