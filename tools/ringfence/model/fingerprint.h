/* What is the same bug in another run, after the code around it has moved: for baselines and SARIF's partialFingerprints.
 *
 * A fingerprint is made of the kind and the top three functions of the program's own at its place (rf_calls_place); where
 * a function has no name, of its module and offset. Lines, addresses and sizes are left out.
 */
#ifndef RINGFENCE_TOOL_FINGERPRINT_H
#define RINGFENCE_TOOL_FINGERPRINT_H

#include "tools/ringfence/model/call.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Sets fingerprint, 16 hexadecimal digits, and ordinal of `count` records that are symbolised and merged. */
void rf_fingerprint_all(rf_stash *stash, rf_record **records, size_t count);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOL_FINGERPRINT_H */
