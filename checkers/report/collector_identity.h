/* The sender of a record: the parts of it that are the same for all of a process. Internal to checkers/. */
#ifndef RINGFENCE_COLLECTOR_IDENTITY_H
#define RINGFENCE_COLLECTOR_IDENTITY_H

#include <ringfence/sink.h>
#include <stdbool.h>
#include <stdint.h>

#include "collector.h"

#ifdef __cplusplus
extern "C" {
#endif

#define RF_COLLECTOR_FIELDS ((size_t)6144)
#define RF_BAZEL_TEST "TEST_TARGET" /* a variable that Bazel sets for each test */

typedef struct rf_collector_identity {
  char boot[37]; /* of the machine, or "0" */
  uint32_t process;
  uint64_t start_ns;                /* since boot: when this copy of the checkers began in this process */
  bool development;                 /* the environment is development, ci or test */
  char fields[RF_COLLECTOR_FIELDS]; /* members of JSON: host, program, mode, environment, build, labels */
} rf_collector_identity;

/* Reads what the system and the environment tell. Not for signal handlers. */
void rf_collector_identity_init(rf_collector_identity *id, const rf_collector_options *options);

/* Sets process and start to those of the caller: an id of such a process is no other's. */
void rf_collector_identity_renew(rf_collector_identity *id);

/* Writes the time of day as "2026-11-20T22:00:00.123456Z". */
void rf_collector_put_time(const rf_sink *sink);

/* Writes the id of record `sequence`: "BOOT-PID-START-SEQUENCE". */
void rf_collector_put_id(const rf_collector_identity *id, uint64_t sequence, const rf_sink *sink);

/* Copies the option where it is given, else the variable of the environment, into `out`, which gets a NUL at its end; a
 * text with no room in `room` bytes is cut. Returns `out`, or NULL where the text is empty. */
const char *rf_collector_text_of(char *out, size_t room, rf_collector_text option, const char *variable);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_COLLECTOR_IDENTITY_H */
