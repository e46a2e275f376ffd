/* Merging findings of one bug into one with a count. */
#ifndef RINGFENCE_TOOLS_MODEL_MERGE_H
#define RINGFENCE_TOOLS_MODEL_MERGE_H

#include "tools/ringfence/model/record.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Merges records of one bug (identity.h) at one place. Keeps the first of each at the front, with the number of times
 * and of processes in which it was found; bytes and blocks of leaks add up. Returns the number kept. The place is the
 * lines of the functions by which the bug is known, or module and offset where lines are not known: one function may
 * have the same kind of bug on two lines, and a report shows both, with one fingerprint.
 *
 * Among several runs of one program, the first that found a place counts, or the first that did so at the
 * instruction. */
size_t rf_merge(rf_record **records, size_t count);

/* Equal for records that are merged. */
const char *rf_merge_key(rf_bump_arena *arena, const rf_record *record);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_MODEL_MERGE_H */
