/* Answers to questions about the store, as JSON. The command prints them, HTTP serves them, the page is made from them.
 *
 * Each function writes one JSON object. False with store->error set, where the database fails; an object that names
 * nothing (no such finding) is written as {"error": "..."} and gives true.
 * Times are "2026-11-20T22:00:00.123Z"; ids of findings are numbers.
 */
#ifndef RINGFENCE_TOOLS_SERVICE_QUERY_H
#define RINGFENCE_TOOLS_SERVICE_QUERY_H

#include "checkers/report/json_writer.h"
#include "tools/ringfence/base/arena.h"
#include "tools/service/store/store.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Days of the trend of one finding in a list, and on a page of its own. */
enum { RF_TREND_DAYS = 30, RF_TREND_DAYS_LONG = 90, RF_LIST_MOST = 1000 };

/* A finding is new for so long. */
#define RF_NEW_MS INT64_C(604800000)

typedef struct rf_query {
  rf_store *store;
  rf_bump_arena *arena;
  rf_json_writer w;
} rf_query;

/* The words that a filter may have, with spaces between them. */
#define RF_FILTER_STATES "open new reopened fixed ignored all"
#define RF_FILTER_ORDERS "last first count"
#define RF_FILTER_WATCHED "no yes all"

typedef struct rf_findings_filter {
  const char *state;       /* "open" (with reopened), "new", "reopened", "fixed", "ignored", "all"; NULL: open */
  const char *build;       /* seen in it; NULL: any */
  const char *new_in;      /* seen in it first, or regressed in it; NULL: any */
  const char *environment; /* NULL: any */
  const char *search;      /* words that all must occur; NULL: any */
  const char *order;       /* "last", "first" or "count"; NULL: last */
  int64_t limit;           /* 0: 100 */
  int64_t offset;
} rf_findings_filter;

typedef struct rf_processes_filter {
  const char *program; /* a part of its name; NULL: any */
  const char *host;    /* NULL: any, as the next */
  const char *environment;
  int64_t limit; /* 0: 100 */
  int64_t offset;
} rf_processes_filter;

enum { RF_FILTER_MESSAGE = 300 };

/* Whether the store has heard of the filter's builds and environment: a name that is misspelt would choose nothing, and
 * look like nothing found. False with a message. */
bool rf_query_filter_is_known(rf_store *store, const rf_findings_filter *filter, char message[RF_FILTER_MESSAGE]);

bool rf_query_findings(rf_query *q, const rf_findings_filter *filter);

/* One finding with all that is known; its record is that of `event`, or of its own richest where that is 0. `limit`: of
 * its builds, programs, hosts and so on, 0: 20; "totals" has how many there are. */
bool rf_query_finding(rf_query *q, int64_t id, int64_t event, int64_t limit);

/* Builds, the newest first. `limit` 0: 200. */
bool rf_query_builds(rf_query *q, int64_t limit, int64_t offset);

typedef struct rf_coverage_filter {
  const char *module; /* a part of the path of the modules to list; NULL: any */
  int64_t limit;      /* of programs, and of modules; 0: 200 */
  int64_t offset;     /* in both lists */
} rf_coverage_filter;

/* Coverage of checking: by program, and by module whose calls allocate, those last heard of first. */
bool rf_query_coverage(rf_query *q, const rf_coverage_filter *filter);

typedef struct rf_sites_filter {
  int64_t module;
  const char *watched; /* "no": sites none of whose blocks was watched, "yes": the others, "all"; NULL: no */
  int64_t limit;       /* 0: 200 */
  int64_t offset;
} rf_sites_filter;

/* The call sites of a module, never watched ones first. */
bool rf_query_sites(rf_query *q, const rf_sites_filter *filter);

/* Processes of which snapshots came, those heard of last first, and the highest peaks of programs. */
bool rf_query_processes(rf_query *q, const rf_processes_filter *filter);

/* One process: its snapshots, and one of them whole: `snapshot`, or the last where that is 0; with `against`, which may
 * be of another process, also what each call site has grown since that one. */
bool rf_query_process(rf_query *q, int64_t id, int64_t snapshot, int64_t against);

/* Builds whose frames lack lines, those of most findings first, and the files of symbols that are there. */
bool rf_query_symbols(rf_query *q);

/* The store's own state; `directory` has the spool, NULL: leave that out. */
bool rf_query_status(rf_query *q, const char *directory);

/* Why two findings are one, or are not. */
bool rf_query_why(rf_query *q, int64_t a, int64_t b);

/* The activities after number `after`, oldest first. */
bool rf_query_activity(rf_query *q, int64_t after, int64_t limit);

/* The finding that stands for `id`: itself, or what it was merged into; 0: none such. */
int64_t rf_query_root(rf_store *store, int64_t id);

/* ---- For the parts of this package ---- */

/* The rows to list: `wanted`, where that is 0 or less `standard`; at most RF_LIST_MOST. */
int64_t rf_query_limit(int64_t wanted, int64_t standard);

/* Columns of the row, from `first` on, as members of the open object. `columns` names them with spaces between; a name
 * ends with its kind: "#" a number, "@" a time in ms, "~" hours in seconds, "?" whether it is not 0, "*" a text that is
 * left out where it is null, and nothing: a text. */
void rf_query_put_columns(rf_query *q, sqlite3_stmt *s, int first, const char *columns);

/* All rows as a list of such objects. */
void rf_query_put_rows(rf_query *q, const char *name, sqlite3_stmt *s, const char *columns);

/* The first column of all rows as a list of texts. */
void rf_query_put_texts(rf_query *q, const char *name, sqlite3_stmt *s);

void rf_query_put_time(rf_query *q, const char *name, int64_t ms);
void rf_query_put_real(rf_query *q, const char *name, double value);

/* Events of each of the last `days` days, today last: of rows with a day and a count, and of a finding with its parts.
 * The first of these days, as counters have it. */
void rf_query_put_days(rf_query *q, const char *name, sqlite3_stmt *s, int days);
void rf_query_put_trend(rf_query *q, const char *name, int64_t finding, int days);
int64_t rf_query_first_day(int days);

void rf_query_put_expectation(rf_query *q, int64_t finding);
void rf_query_put_missing(rf_query *q, int64_t most); /* symbols */

/* The snapshot as members "calls", "sites", "sizes" and "map" of the open object. */
struct rf_heap_snapshot;
void rf_query_put_heap(rf_query *q, struct rf_heap_snapshot *s, bool difference);

#ifdef __cplusplus
}
#endif

#endif
