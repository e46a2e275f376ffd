/* A finding in words, for lists and for the search. */
#ifndef RINGFENCE_TOOLS_SERVICE_DESCRIBE_H
#define RINGFENCE_TOOLS_SERVICE_DESCRIBE_H

#include "tools/service/intake/batch.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Sets bug, level, title, place and search of `f`, in `arena`; `scratch` is used on the way. */
void rf_describe(rf_bump_arena *arena, rf_bump_arena *scratch, const rf_record *record, const char *program,
                 rf_batch_finding *f);

/* How much a record tells: its frames but those of the runtime, their names and lines, its bytes. The richest event of
 * a finding is kept. */
int64_t rf_describe_richness(const rf_record *record);

#ifdef __cplusplus
}
#endif

#endif
