/* What the processes of a run wrote while they ran: one file for each, with JSON lines (docs/checkers/dropin.md). */
#ifndef RINGFENCE_TOOL_COLLECT_H
#define RINGFENCE_TOOL_COLLECT_H

#include "tools/ringfence/record.h"

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
  bool living; /* still runs, or did when that was looked up; else, where it has not `ended`, it was killed */
} rf_process;

typedef struct rf_run {
  rf_process *processes;
  size_t process_count;
  rf_record **records; /* by time */
  size_t record_count;
  const char *mode; /* of the processes; NULL where there are none */
  size_t damaged;   /* lines that are not what the library writes: a full disk, a killed process */
} rf_run;

/* Reads all files of `folder`. */
rf_run rf_collect(rf_stash *stash, const char *folder);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOL_COLLECT_H */
