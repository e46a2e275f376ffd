/* One webhook or command on each new and reopened finding, once for each environment.
 *
 * Runs one at a time, curl or a shell, with 30 seconds to live. A child that watches over it ends its process group at
 * that time, and when the collector ends, also by SIGKILL. A failed alert is tried again after 1, 2, 4 ... minutes and
 * given up after the fifth failure.
 * Threads: one.
 */
#ifndef RINGFENCE_TOOLS_SERVICE_ALERTS_H
#define RINGFENCE_TOOLS_SERVICE_ALERTS_H

#include "tools/service/store/store.h"

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_alerts {
  const char *webhook; /* a URL that takes a JSON object by POST; NULL: none */
  const char *command; /* for /bin/sh, with the JSON as its standard input; NULL: none */
  const char *url;     /* of the page, for links */
  pid_t child;         /* the one that watches; 0: none runs */
  int64_t activity;    /* that the child tells */
  int64_t next_try;
  int failures;
} rf_alerts;

/* Looks after the child, starts the next one. To be called every second or so. */
void rf_alerts_step(rf_alerts *alerts, rf_store *store);

/* Ends the child. */
void rf_alerts_end(rf_alerts *alerts);

#ifdef __cplusplus
}
#endif

#endif
