/* Rules for checked processes, as people set them: what is to hold, for whom, and why.
 *
 * A rule is never changed and never deleted: it is set, and it ends, by `unset` or by time. So its number says in every
 * process and every record which rule is meant.
 */
#ifndef RINGFENCE_TOOLS_SERVICE_STEERING_RULES_H
#define RINGFENCE_TOOLS_SERVICE_STEERING_RULES_H

#include "tools/service/store/store.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
  RF_STEER_MESSAGE = 600,
  RF_STEER_BECAUSE = 300,        /* characters of a reason */
  RF_STEER_ONCE_MS = 600 * 1000, /* so long a sweep or snapshot is asked for */
  RF_STEER_STEPS = 2000          /* kept */
};

/* A request of a user. Texts may be NULL: not given. */
typedef struct rf_steer_request {
  const char *action; /* "set", "unset", "sweep" or "snapshot" */
  int64_t rule;       /* of unset */
  const char *program;
  const char *build;
  const char *environment;
  const char *options; /* of set: "key=value:key=value" */
  const char *because;
} rf_steer_request;

/* Whether it can be done, whatever the store holds; else `message` says why not. */
bool rf_steer_check(const rf_steer_request *request, char message[RF_STEER_MESSAGE]);

/* Does it, in a transaction of its own. `message` tells in a sentence what was done, or why nothing was. */
rf_store_outcome rf_steer_apply(rf_store *store, const rf_steer_request *request, char message[RF_STEER_MESSAGE]);

/* True where a rule that holds for a while only has held that long. */
bool rf_steer_is_overdue(rf_store *store);

/* Ends the rules that hold for a while only. Within an open transaction. */
void rf_steer_expire(rf_store *store);

/* Notes a step. `because` says why. Within an open transaction. */
void rf_steer_note(rf_store *store, int64_t rule, int64_t finding, const char *done, const char *because);

#ifdef __cplusplus
}
#endif

#endif
