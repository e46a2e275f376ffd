/* The baseline: known findings, so that only new ones count. A text file for version control:
 *
 *     # comment
 *     51f0c6d1a8e0b3f2 1:3 memory-leak read_config src/config.c
 *
 * Each line: a fingerprint, how many distinct findings have it, for leaks their blocks, and for readers the kind and
 * the place. More blocks than that are a new finding: several leaks may have one place. Version 1 had no
 * blocks; versions 1 to 4 had other fingerprints (fingerprint.h). All are read, version 5 is written.
 */
#ifndef RINGFENCE_TOOLS_MODEL_BASELINE_H
#define RINGFENCE_TOOLS_MODEL_BASELINE_H

#include "tools/ringfence/model/record.h"

#include <ringfence/sink.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_baseline_entry {
  const char *fingerprint;
  uint64_t count;
  uint64_t blocks; /* of leaks; 0: any number */
  uint64_t met;    /* findings in this run */
  uint64_t blocks_met;
} rf_baseline_entry;

typedef struct rf_baseline {
  unsigned version;
  rf_baseline_entry *entries;
  size_t count;
} rf_baseline;

/* Reads `path`; counts of one fingerprint add up. False after a message where it cannot be read or is not a
 * baseline. */
bool rf_baseline_read(rf_baseline *out, rf_bump_arena *arena, const char *path);

/* Parses `text`, the contents of `path`, which has a NUL after its `length` bytes and is overwritten. Returns NULL, or
 * an error message. */
const char *rf_baseline_parse(rf_baseline *out, rf_bump_arena *arena, const char *path, char *text, size_t length);

/* Sets `known` of the records that are in the baseline, and `known_blocks` of leaks that have grown. Returns the
 * number of known ones. */
size_t rf_baseline_apply(rf_baseline *baseline, rf_record **records, size_t count);

/* The number of findings in the baseline that were not found: fixed, or not reached this time. */
uint64_t rf_baseline_unmet(const rf_baseline *baseline);

/* Writes a baseline of all of `records`. */
void rf_baseline_put(rf_bump_arena *arena, rf_record *const *records, size_t count, const rf_sink *sink);

/* Writes it to the file `path`. False after a message. */
bool rf_baseline_write(rf_bump_arena *arena, const char *path, rf_record *const *records, size_t count);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_MODEL_BASELINE_H */
