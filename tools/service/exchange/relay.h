/* A running collector hands on all that it takes in to another one, of which it is a branch.
 *
 * Algorithm: a record is put into the table `outgoing` by the transaction that takes it in. One child at a time, curl,
 * posts the oldest ones, at most 1 MiB; those that have arrived are deleted. A crash at any point loses nothing: what
 * may have arrived is sent again, and counts once there by its id.
 * Back-off: 1 s, doubled up to a minute. Limits: a child ends with the collector, and after a minute.
 * Threads: one.
 */
#ifndef RINGFENCE_TOOLS_SERVICE_RELAY_H
#define RINGFENCE_TOOLS_SERVICE_RELAY_H

#include "tools/service/intake/intake.h"
#include "tools/service/store/store.h"

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { RF_RELAY_ANSWER = 4096 };

typedef struct rf_relay {
  const char *url;   /* of the other collector; NULL: there is none, and nothing is done */
  const char *token; /* NULL: none */
  int64_t most;      /* bytes that may wait; 0: any */
  pid_t child;       /* 0: none runs */
  int answer;        /* its standard output, read as it comes */
  char text[RF_RELAY_ANSWER];
  size_t length;
  int64_t last; /* number of the last record that it sends */
  int64_t next_try;
  unsigned failures;
  bool complained;
} rf_relay;

/* Looks after the child, and starts the next one where records wait. */
void rf_relay_step(rf_relay *relay, rf_store *store);

/* A descriptor that is readable when rf_relay_step has something to do; -1: none. */
int rf_relay_descriptor(const rf_relay *relay);

/* Drops the records that wait longest where there are more bytes of them than may wait, and counts them as lost. */
void rf_relay_thin(const rf_relay *relay, rf_intake *intake);

/* Sends all that waits, with four tries for each batch. False where records are left. */
bool rf_relay_finish(rf_relay *relay, rf_store *store);

/* Ends the child. */
void rf_relay_end(rf_relay *relay);

#ifdef __cplusplus
}
#endif

#endif
