/* Making few findings of many: what is the same bug becomes one with a count. */
#ifndef RINGFENCE_TOOLS_MODEL_MERGE_H
#define RINGFENCE_TOOLS_MODEL_MERGE_H

#include "tools/ringfence/model/record.h"

#ifdef __cplusplus
extern "C" {
#endif

/* True for frames that say nothing of where the program went wrong: those of an allocator or of the C library. */
bool rf_is_plumbing(const rf_frame *frame);

/* Of the `count` records, keeps the first of each kind, allocator and place at the front, with how often and in how
 * many processes it was found; bytes and blocks of leaks add up. Returns how many these are. The place is the top three
 * frames that are no plumbing, by function and line where rf_symbolize found these, else by module and offset: of the
 * allocation where the damage was seen after the fact, else of the call that was found wrong (rf_finding_place). */
size_t rf_merge(rf_bump_arena *arena, rf_record **records, size_t count);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_MODEL_MERGE_H */
