/* A record without the line that it was read from: the tree of a line of JSON takes five times the line. */
#ifndef RINGFENCE_TOOLS_MODEL_RECORD_KEPT_H
#define RINGFENCE_TOOLS_MODEL_RECORD_KEPT_H

#include "tools/ringfence/base/string_table.h"
#include "tools/ringfence/model/record.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A copy of `record`, as it was read, that lives in `arena` with all that it names. Its texts are those of `texts`,
 * once for all records; those that are new there live in `arena`, too. */
rf_record *rf_record_kept(rf_bump_arena *arena, rf_string_table *texts, const rf_record *record);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_MODEL_RECORD_KEPT_H */
