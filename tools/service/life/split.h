/* Splitting one finding into several, and undoing it. */
#ifndef RINGFENCE_TOOLS_SERVICE_LIFE_SPLIT_H
#define RINGFENCE_TOOLS_SERVICE_LIFE_SPLIT_H

#include "tools/service/life/decision.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Whether `how` is one of the words below; else `message` lists them. */
bool rf_split_check(const char *how, char message[RF_TRIAGE_MESSAGE]);

/* By `how`: a rule (rf_split_named), which also holds for events to come; or "events:7,9", the events that leave.
 * Events that are kept move with all that is counted of them; counts of events that are not kept stay.
 * Within an open transaction. False with a sentence in `message` where nothing was done. */
bool rf_split_apply(rf_store *store, int64_t finding, const char *how, char message[RF_TRIAGE_MESSAGE]);

/* Drops the rule and makes all pieces part of `finding` again. */
bool rf_split_undo(rf_store *store, int64_t finding, char message[RF_TRIAGE_MESSAGE]);

#ifdef __cplusplus
}
#endif

#endif
