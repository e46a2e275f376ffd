/* Decisions about findings. */
#ifndef RINGFENCE_TOOLS_SERVICE_TRIAGE_H
#define RINGFENCE_TOOLS_SERVICE_TRIAGE_H

#include "tools/service/life/decision.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_triage {
  const char *action; /* "fix", "ignore", "reopen", "merge" or "split" */
  int64_t id;
  int64_t other; /* of merge: what goes into `id` */
  /* For fix the commit or build, NULL for "in the next build"; for ignore the reason; for split the rule, "events:7,9",
   * "undo", or NULL to undo a merge. */
  const char *text;
} rf_triage;

enum { RF_TRIAGE_TEXT = 500 };

/* Whether it can be done, whatever the store holds; else `message` says why not. */
bool rf_triage_check(const rf_triage *t, char message[RF_TRIAGE_MESSAGE]);

/* Does it, in a transaction of its own. `message` tells in a sentence what was done, or why nothing was. */
rf_store_outcome rf_triage_apply(rf_store *store, const rf_triage *t, char message[RF_TRIAGE_MESSAGE]);

#ifdef __cplusplus
}
#endif

#endif
