/* Findings in the forms of other tools. */
#ifndef RINGFENCE_TOOLS_SERVICE_EXPORT_H
#define RINGFENCE_TOOLS_SERVICE_EXPORT_H

#include "tools/ringfence/model/record.h"
#include "tools/service/query/query.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A finding, with its richest event. */
typedef struct rf_export {
  int64_t id;
  int64_t count;
  const char *state;
  const char *title;
  const char *place;
  const char *key;   /* of its identity, hexadecimal digits */
  rf_record *record; /* named */
  const char *event; /* the record's id */
  const char *time;  /* of the event */
  const char *host;
  const char *program;
  const char *mode;
  const char *environment;
  const char *version;
  const char *commit;
} rf_export;

/* The ids of all findings that the filter names, of its first `limit` where that is not 0; no other bound. NULL if
 * there are none; false with store->error set. Outside of a transaction. */
bool rf_export_list(rf_store *store, rf_bump_arena *arena, const rf_findings_filter *filter, int64_t **ids,
                    size_t *count);

/* Reads these findings into `arena`, without those whose event cannot be read: NULL if there are none; false with
 * store->error set. */
bool rf_export_read(rf_store *store, rf_bump_arena *arena, const int64_t *ids, size_t id_count, rf_export **out,
                    size_t *count);

/* One Sentry envelope for each: an event, whose id is made of the record's, so that what is sent again counts once. */
const char *rf_export_sentry(rf_bump_arena *arena, const rf_export *e);

/* "https://KEY@HOST/PROJECT" as a URL to post envelopes to and a header that goes with them. False where it is no such
 * DSN. */
bool rf_export_dsn(rf_bump_arena *arena, const char *dsn, const char **url, const char **header);

/* All of them as one ExportLogsServiceRequest of OpenTelemetry, in JSON. */
const char *rf_export_otlp(rf_bump_arena *arena, const rf_export *all, size_t count);

#ifdef __cplusplus
}
#endif

#endif
