/* Rules, sites and steps of steering, as JSON. */
#ifndef RINGFENCE_TOOLS_SERVICE_STEERING_QUERY_H
#define RINGFENCE_TOOLS_SERVICE_STEERING_QUERY_H

#include "tools/service/query/query.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { RF_STEER_STEPS_SHOWN = 100 };

/* The rules that hold, the call sites near findings, and the last steps with their reasons, newest first: `limit` of
 * them, 0: RF_STEER_STEPS_SHOWN. */
bool rf_query_steering(rf_query *q, int64_t limit);

#ifdef __cplusplus
}
#endif

#endif
