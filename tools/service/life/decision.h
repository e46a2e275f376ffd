/* Steps that several decisions about findings share. All within an open transaction. */
#ifndef RINGFENCE_TOOLS_SERVICE_LIFE_DECISION_H
#define RINGFENCE_TOOLS_SERVICE_LIFE_DECISION_H

#include "tools/service/store/store.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { RF_TRIAGE_MESSAGE = 400 };

/* Copies the reason `why` to `message`, and returns false. */
bool rf_decision_refuse(char message[RF_TRIAGE_MESSAGE], const char *why);

/* Adds a line to the finding's history: `kind` is a word for what was done, `text` its object. */
void rf_decision_note(rf_store *store, int64_t finding, const char *kind, const char *text);

/* Makes `other` a part of `id`. Both are findings that are no parts. Where `id` is fixed and `other` was seen in a
 * build that has the fix since, `id` is reopened. */
void rf_decision_join(rf_store *store, int64_t id, int64_t other);

#ifdef __cplusplus
}
#endif

#endif
