/* The baseline: findings that a team knows of, so that it fails on new ones only. A text file for version control:
 *
 *     # comment
 *     51f0c6d1a8e0b3f2 1 memory-leak read_config src/config.c
 *
 * fingerprint, how many distinct findings have it, and for people the kind and the place.
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
  uint64_t met; /* in this run */
} rf_baseline_entry;

typedef struct rf_baseline {
  rf_baseline_entry *entries;
  size_t count;
} rf_baseline;

/* Reads `path`. False after a message where it cannot be read or is no baseline. Counts of one fingerprint add up. */
bool rf_baseline_read(rf_baseline *out, rf_bump_arena *arena, const char *path);

/* The same of `text`, which is read from `path` and has a NUL behind its `length` bytes. It is written to. Returns NULL, or
 * what is wrong. */
const char *rf_baseline_parse(rf_baseline *out, rf_bump_arena *arena, const char *path, char *text, size_t length);

/* Sets `known` of records that the baseline has. Returns how many these are. */
size_t rf_baseline_apply(rf_baseline *baseline, rf_record **records, size_t count);

/* How many findings of the baseline were not met: fixed, or not reached this time. */
uint64_t rf_baseline_unmet(const rf_baseline *baseline);

/* Writes the baseline in which all of `records` are known. */
void rf_baseline_put(rf_bump_arena *arena, rf_record *const *records, size_t count, const rf_sink *sink);

/* The same to the file `path`. False after a message. */
bool rf_baseline_write(rf_bump_arena *arena, const char *path, rf_record *const *records, size_t count);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_MODEL_BASELINE_H */
