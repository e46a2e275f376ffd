/* The members of a finding that follow from its events and those of its parts. */
#ifndef RINGFENCE_TOOLS_SERVICE_INTAKE_RENEW_H
#define RINGFENCE_TOOLS_SERVICE_INTAKE_RENEW_H

#include "tools/service/store/store.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Sets when, and in which builds, the finding was first and last seen, from its counters and those of its parts; where
 * it is a part itself, also of the finding that it belongs to. Within an open transaction, after its counters are
 * written. */
void rf_renew(rf_store *store, int64_t finding);

/* The same for all findings that were seen in the build, whose place in the order has changed. */
void rf_renew_build(rf_store *store, int64_t build);

#ifdef __cplusplus
}
#endif

#endif
