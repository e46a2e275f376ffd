/* Call sites near findings that are open: where the damaged block of each was allocated, in the build that had it last.
 * Processes of that build look at allocations there more often. */
#ifndef RINGFENCE_TOOLS_SERVICE_STEERING_NEAR_H
#define RINGFENCE_TOOLS_SERVICE_STEERING_NEAR_H

#include "tools/service/store/store.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Brings the sites up to date with the findings, some at a time, and notes each step. Within an open transaction. */
void rf_steer_near_step(rf_store *store);

/* True where rf_steer_near_step would do something. */
bool rf_steer_near_is_due(rf_store *store);

#ifdef __cplusplus
}
#endif

#endif
