/* The text by which reports name a bug, across runs and as code around it moves: in baselines, rules of suppressions,
 * SARIF's partialFingerprints and JUnit. It is the group key of its identity (identity.h), 16 hexadecimal digits.
 *
 * Baselines of versions 1 and 2 name bugs by an older one: FNV-1a of the kind and of the program's top three functions
 * at the place of the bug (rf_stack_view_blamed). Those of versions 3 and 4, and suppressions of their time, name them
 * by versions 1 and 2 of the identity. All are kept for them.
 */
#ifndef RINGFENCE_TOOLS_MODEL_FINGERPRINT_H
#define RINGFENCE_TOOLS_MODEL_FINGERPRINT_H

#include "tools/ringfence/model/frame_view.h"
#include "tools/ringfence/model/skip_rules.h"

/* Sets the fingerprints and ordinal of `count` records that are symbolized and merged. `rules` may be
 * NULL: the built-in ones. */
void rf_fingerprint_all(rf_bump_arena *arena, rf_record **records, size_t count, const rf_skip_rules *rules);

#endif /* RINGFENCE_TOOLS_MODEL_FINGERPRINT_H */
