/* The identity of an event, in the form that the store keeps. */
#ifndef RINGFENCE_TOOLS_SERVICE_IDENTITY_H
#define RINGFENCE_TOOLS_SERVICE_IDENTITY_H

#include "tools/ringfence/model/record.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_event_keys {
  int64_t algorithm;
  int64_t group; /* equal: one finding */
  int64_t access;
  int64_t allocation;
  int64_t release; /* 0, as the two before: no such stack */
} rf_event_keys;

rf_event_keys rf_event_keys_of(rf_bump_arena *arena, const rf_record *record);

#ifdef __cplusplus
}
#endif

#endif
