/* One webhook or command on each new and reopened finding, once for each environment.
 *
 * Runs one at a time, curl or a shell, with 30 seconds to live; one starts in each step, so that the receiver is not
 * flooded: chat services refuse more than some one a second. A child that watches over it ends its process group at
 * that time, and when the collector ends, also by SIGKILL. A failed alert is tried again after 1, 2, 4 and 8 minutes
 * and given up after the fifth failure; others go on meanwhile. After three failures in a row nobody seems to be there:
 * one alert is tried after 1, 2, 4, 8, 8 ... minutes, until one arrives. A restart forgets failures, but no alert.
 * Threads: one.
 */
#ifndef RINGFENCE_TOOLS_SERVICE_ALERTS_H
#define RINGFENCE_TOOLS_SERVICE_ALERTS_H

#include "tools/service/store/store.h"

#include <stdbool.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { RF_ALERTS_FAILED = 64 };

/* An alert that failed. */
typedef struct rf_alert_failed {
  int64_t activity; /* 0: the place is free */
  int64_t next_try; /* of rf_store_steady */
  int failures;
} rf_alert_failed;

typedef struct rf_alerts {
  const char *webhook; /* a URL that takes a JSON object by POST; NULL: none */
  const char *command; /* for /bin/sh, with the JSON as its standard input; NULL: none */
  const char *url;     /* of the page, for links */
  pid_t child;         /* the one that watches; 0: none runs */
  int64_t activity;    /* that the child tells */
  int64_t outcome;     /* of it, which the store does not have so far; 0: none */
  int64_t next_try;    /* of any alert */
  int in_a_row;        /* failures since one arrived */
  bool at_once;        /* no names come in that an alert should wait for */
  rf_alert_failed failed[RF_ALERTS_FAILED];
} rf_alerts;

/* Looks after the child, starts the next one. To be called every second or so. */
void rf_alerts_step(rf_alerts *alerts, rf_store *store);

/* Sends all that wait, each tried once, and waits for the last. False where some are left for the next time. */
bool rf_alerts_finish(rf_alerts *alerts, rf_store *store);

/* Ends the child. */
void rf_alerts_end(rf_alerts *alerts);

#ifdef __cplusplus
}
#endif

#endif
