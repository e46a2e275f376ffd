/* What the processes of a run wrote while they ran: one file for each, with JSON lines (docs/checkers/dropin.md). */
#ifndef RINGFENCE_TOOLS_MODEL_RUN_H
#define RINGFENCE_TOOLS_MODEL_RUN_H

#include "tools/ringfence/model/record.h"
#include "tools/ringfence/model/snapshot.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_process {
  uint32_t id;
  const char *program;  /* that it ran last; NULL where it did not say */
  uint64_t allocations; /* sums over the programs that it ran */
  uint64_t bytes;
  uint64_t peak; /* the highest of them */
  uint64_t findings;
  struct {
    uint64_t allocations;
    uint64_t bytes;
    uint64_t findings;
  } last;                      /* what its last summary added to these */
  uint64_t unlisted;           /* lost blocks that are no findings, because their code has no names (--leaks) */
  const char *leaks_unchecked; /* why it did not look for leaks; NULL where it did, or was not to */
  bool ended;                  /* has said what it did */
  bool running; /* still runs, or did when that was looked up; else, where it has not `ended`, it was killed */
} rf_process;

/* What the processes themselves hid: a rule of --suppressions, and how often. */
typedef struct rf_used_rule {
  const char *rule; /* "leak:foo" */
  uint64_t count;
  uint64_t bytes;
} rf_used_rule;

typedef struct rf_run {
  rf_process *processes;
  size_t process_count;
  rf_record **records;
  size_t record_count;
  rf_snapshot_table **snapshots; /* in the order of their files */
  size_t snapshot_count;
  rf_used_rule *rules;
  size_t rule_count;
  const rf_json *told; /* what `check` said of a whole run, the last one; NULL where it did not */
  const char *mode;    /* of the processes; NULL where there are none */
  size_t damaged;      /* lines that are not what the library writes: a full disk, a killed process */
  int64_t written;     /* when the newest of the files was, in seconds since 1970; 0: not known */
} rf_run;

/* Reads all files of `folder`; the records are in order of time. */
rf_run rf_run_read(rf_bump_arena *arena, const char *folder);

/* Adds one line of JSON, or a record that was read otherwise. */
void rf_run_add_line(rf_run *run, rf_bump_arena *arena, const char *text, size_t length);
void rf_run_add_record(rf_run *run, rf_bump_arena *arena, rf_record *record);

/* Counts uses of a rule. */
void rf_run_add_rule(rf_run *run, rf_bump_arena *arena, const char *rule, uint64_t count, uint64_t bytes);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_MODEL_RUN_H */
