/* The keys of an event that comes in, whose functions may be but those of a table of symbols: code that the compiler
 * inlined bears the name of the function around it there, so that bugs of two functions look like one.
 *
 * If there is a finding with these very keys, they hold. Else what the store knows of the frames is applied; and
 * functions of frames that are still to be looked up (life/symbols.h) do not count, but their module and offset do, as
 * in stripped programs: a finding of its own, which joins that of the bug as soon as its frames are named.
 */
#ifndef RINGFENCE_TOOLS_SERVICE_NAMED_KEYS_H
#define RINGFENCE_TOOLS_SERVICE_NAMED_KEYS_H

#include "tools/service/intake/batch.h"

#ifdef __cplusplus
extern "C" {
#endif

/* May set sources of the record's frames, in `arena`. */
rf_event_keys rf_named_keys(rf_batch *batch, rf_bump_arena *arena, rf_record *record);

#ifdef __cplusplus
}
#endif

#endif
