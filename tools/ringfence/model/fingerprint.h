/* What is the same bug in another run, after the code around it has moved: for baselines and SARIF's partialFingerprints.
 *
 * A fingerprint is made of the kind and the top three functions of the program's own at its place (rf_stack_view_blamed); where
 * a function has no name, of its module and offset. Lines, addresses and sizes are left out.
 */
#ifndef RINGFENCE_TOOLS_MODEL_FINGERPRINT_H
#define RINGFENCE_TOOLS_MODEL_FINGERPRINT_H

#include "tools/ringfence/model/frame_view.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Sets fingerprint, 16 hexadecimal digits, and ordinal of `count` records that are symbolised and merged. */
void rf_fingerprint_all(rf_bump_arena *arena, rf_record **records, size_t count);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_MODEL_FINGERPRINT_H */
