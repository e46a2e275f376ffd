/* One line of a spool: who wrote it, and what (docs/service/format.md). */
#ifndef RINGFENCE_TOOLS_SERVICE_ENVELOPE_H
#define RINGFENCE_TOOLS_SERVICE_ENVELOPE_H

#include "tools/ringfence/base/json.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A longer line is counted and skipped. */
enum { RF_LINE_MOST = 256 * 1024, RF_FORMAT_VERSION = 1 };

typedef enum rf_line_kind {
  RF_LINE_FINDING,
  RF_LINE_SUMMARY,
  RF_LINE_REPEAT,
  RF_LINE_SNAPSHOT,
  RF_LINE_STEP,
  RF_LINE_OTHER,     /* of a kind or version that this program does not know: kept as it is */
  RF_LINE_UNREADABLE /* no JSON object */
} rf_line_kind;

/* Strings live in the arena; none is NULL. */
typedef struct rf_envelope {
  rf_line_kind kind;
  const char *record;  /* the kind as written */
  const char *id;      /* "" where the writer gave none */
  const char *process; /* the id without its last part: all records of a process have it, and no other's */
  int64_t time;        /* ms since 1970, never after `now` */
  const char *host;
  const char *program; /* without the folders of a build's sandbox */
  int64_t pid;
  const char *mode;
  const char *environment;
  const char *version;
  const char *commit;
  const char *build_id;
  const rf_json *labels; /* an object, or NULL */
  int64_t count;         /* 1 or more */
  int64_t dropped;
  const char *of;          /* of a repeat: the id of the first */
  const rf_json *finding;  /* of a finding: the object within */
  const rf_json *snapshot; /* of a snapshot: the same */
  const rf_json *sites;    /* of a summary: a list, or NULL */
  double seconds;          /* of a summary and a snapshot: how long the process has run */
  int64_t allocations;     /* of a summary, as the next */
  int64_t peak;
  const char *exit;
  int64_t findings;
  int64_t sites_dropped;
  int64_t rule; /* of a step, as the next */
  const char *done;
  bool running;   /* a summary of a process that goes on */
  bool continued; /* a summary before this one counts the process */
  bool killed;    /* the process ended by a signal or in an unknown way */
} rf_envelope;

/* Reads `line`, `length` bytes without its line feed. `now` in ms: a later time, as of a clock that stepped, and one
 * before 2001, as of a clock that was never set, are taken as now. */
rf_envelope rf_envelope_read(rf_bump_arena *arena, const char *line, size_t length, int64_t now);

enum { RF_LABELS_MOST = 8 };

/* The highest number that is taken from a record: doubles hold all up to here. */
#define RF_NUMBER_MOST (INT64_C(1) << 53)

/* The most that one record counts: the sums of all that ever come stay numbers of 64 bits. */
#define RF_COUNT_MOST ((int64_t)UINT32_MAX)

/* The labels that count, as "name=text": the first of `labels`, an object or NULL, that are texts, numbers or the like.
 * Returns their number. */
size_t rf_envelope_labels(rf_bump_arena *arena, const rf_json *labels, const char *out[RF_LABELS_MOST]);

/* Milliseconds since 1970 of "2026-11-20T22:00:00.123456Z" or, with an offset in place of the Z, of
 * "2026-11-20T23:00:00+01:00", as git and others write it; below 0 where `text` is no such time. */
int64_t rf_time_read(const char *text);

#ifdef __cplusplus
}
#endif

#endif
