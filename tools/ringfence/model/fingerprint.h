/* Identifies a bug across runs and as code around it moves: for baselines and SARIF's partialFingerprints.
 *
 * Algorithm: FNV-1a of the kind and of the program's top three functions at the place of the bug
 * (rf_stack_view_blamed); of module and offset where a function has no name. Lines, addresses and sizes do not count.
 */
#ifndef RINGFENCE_TOOLS_MODEL_FINGERPRINT_H
#define RINGFENCE_TOOLS_MODEL_FINGERPRINT_H

#include "tools/ringfence/model/frame_view.h"

/* Sets fingerprint (16 hexadecimal digits) and ordinal of `count` records that are symbolized and merged. */
void rf_fingerprint_all(rf_bump_arena *arena, rf_record **records, size_t count);

#endif /* RINGFENCE_TOOLS_MODEL_FINGERPRINT_H */
