/* Takes lines of spools into the store, in transactions of many.
 *
 * Each event counts once: its id is remembered (seen.h), and the position in a segment is part of the transaction.
 * Threads: one at a time.
 */
#ifndef RINGFENCE_TOOLS_SERVICE_INTAKE_H
#define RINGFENCE_TOOLS_SERVICE_INTAKE_H

#include "tools/service/intake/batch.h"
#include "tools/service/intake/crash_loop.h"
#include "tools/service/intake/known.h"
#include "tools/service/intake/orphans.h"
#include "tools/service/intake/window.h"
#include "tools/service/store/counters.h"
#include "tools/service/store/seen.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Transactions are committed at least after so many lines. */
enum { RF_INTAKE_LINES = 1024, RF_INTAKE_RULES = 16 };

typedef struct rf_intake_rule {
  const char *name; /* of a mode or an environment, or "*" */
  rf_window_rule rule;
} rf_intake_rule;

typedef struct rf_intake_options {
  rf_intake_rule rules[RF_INTAKE_RULES]; /* the strictest that matches counts */
  size_t rule_count;
  bool alerts; /* mark new and reopened findings for an alert */
  bool relay;  /* put records into the table outgoing as well */
} rf_intake_options;

typedef struct rf_intake {
  rf_store *store;
  const rf_intake_options *options;
  rf_seen seen;
  rf_counters counters;
  rf_counters sites; /* of coverage.h */
  rf_batch batch;
  rf_crash_loops loops;
  rf_crash_loops kept_loops; /* as of the last commit */
  rf_orphans orphans;
  rf_known known;           /* with texts in the arena of the batch */
  rf_bump_arena line_arena; /* of one line; its first chunk stays */
  size_t lines;             /* of the open transaction; 0: none is open */
  uint64_t events;          /* taken in since the start, as the next */
  uint64_t twice;
  uint64_t unreadable; /* lines that were no records, or too long */
  uint64_t relayed;    /* records put into outgoing */
} rf_intake;

/* `store` is open for writing; both pointers must outlive `intake`. False with store->error set. */
bool rf_intake_init(rf_intake *intake, rf_store *store, const rf_intake_options *options);
void rf_intake_deinit(rf_intake *intake);

/* Takes one line, without its line feed, into the open transaction, which it begins where there is none. Changes the
 * text where bytes must not be kept; it must stay until the commit. */
void rf_intake_line(rf_intake *intake, char *line, size_t length);

/* Counts something that was lost ("half-written lines", ...), as part of the transaction. */
void rf_intake_loss(rf_intake *intake, const char *reason, int64_t by);

/* Counts repeats that have waited too long for their finding as lost, in a transaction that it commits. False as
 * rf_intake_commit. For callers that have just taken in all that is there: it may have been among that. */
bool rf_intake_expire(rf_intake *intake);

/* True when it is time to commit. */
bool rf_intake_is_full(const rf_intake *intake);

/* Begins the transaction, if none is open: for callers that write something of their own with it. */
void rf_intake_begin(rf_intake *intake);

/* Commits. False, with store->error set and everything since the last commit undone, where that fails. */
bool rf_intake_commit(rf_intake *intake);
void rf_intake_rollback(rf_intake *intake);

#ifdef __cplusplus
}
#endif

#endif
