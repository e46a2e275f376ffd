/* The records of a run: JSON lines that its processes wrote, one file each (docs/checkers/dropin.md). */
#ifndef RINGFENCE_TOOLS_MODEL_RUN_H
#define RINGFENCE_TOOLS_MODEL_RUN_H

#include "tools/ringfence/base/string_table.h"
#include "tools/ringfence/model/record.h"
#include "tools/ringfence/model/snapshot.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_process {
  uint32_t id;
  const char *program;  /* the last one that it ran, or NULL */
  uint64_t allocations; /* sums over the programs that it ran */
  uint64_t bytes;
  uint64_t peak; /* the highest of them */
  uint64_t findings;
  uint64_t unpaged; /* blocks that mode page checked as mode guard does */
  struct {
    uint64_t allocations;
    uint64_t bytes;
    uint64_t findings;
    uint64_t unpaged;
  } last;            /* its last summary's part of the above */
  uint64_t unlisted; /* leaked blocks that are no findings, their code is the system's or has no names (--leaks) */
  uint64_t called;   /* of these, lost in libraries of the system that the user's code called */
  const char *leaks_unchecked;  /* the reason where it could not look for leaks, else NULL */
  const char *blocks_unchecked; /* the reason where it could not check all blocks when a signal ended it, else NULL */
  uint64_t started_ns;          /* when the last of its programs began */
  bool ended;                   /* has written its summary */
  bool handed_on;               /* its figures are of sampled blocks alone: others are those of the malloc behind */
  bool running;                 /* outlives the program; a process that has neither ended nor is running was killed */
} rf_process;

/* A program that a checked process started, and that could not be checked. */
typedef struct rf_unchecked {
  uint32_t process;
  const char *program;
  const char *because; /* "static" */
  uint64_t time_ns;
} rf_unchecked;

/* A rule of --suppressions, and what it hid. */
typedef struct rf_used_rule {
  const char *rule; /* "leak:foo" */
  uint64_t count;
  uint64_t bytes;
} rf_used_rule;

/* A bug of one process, by records of a collector's spool (docs/service/format.md). */
typedef struct rf_spooled {
  rf_record *record; /* NULL: none was met so far */
  uint64_t waiting;  /* further findings, told of before that */
} rf_spooled;

/* How many findings an input has by its lines of type "run", and by its records. */
typedef struct rf_told {
  uint64_t findings;
  uint64_t records;
} rf_told;

typedef struct rf_run {
  const char *input; /* the file that lines come from; NULL: all of a folder of `check` */
  rf_process *processes;
  size_t process_count;
  rf_string_table ids; /* of the processes, at the same indices */
  rf_unchecked *unchecked;
  size_t unchecked_count;
  const char *unchecked_because; /* "2 static, 1 setuid or setgid"; NULL: none */
  rf_record **records;
  size_t record_count;
  rf_spooled *spooled;
  rf_string_table spool_ids;     /* of these, at the same indices */
  rf_string_table texts;         /* of the records, each once */
  rf_snapshot_table **snapshots; /* in the order of their files */
  size_t snapshot_count;
  rf_used_rule *rules;
  size_t rule_count;
  rf_string_table rule_names;
  const rf_json **runs; /* lines of type "run", in which `check` summed up runs */
  size_t run_count;
  rf_told *told;
  size_t told_count;
  rf_string_table inputs; /* of these, at the same indices */
  const char *mode;       /* of the processes; NULL where there are none */
  size_t damaged;         /* lines that cannot be read: the disk was full, or the process was killed */
  size_t unread;          /* of these, findings by how they begin */
  size_t lost;            /* processes with findings that their files did not take */
  int64_t written;        /* time of the newest file, in seconds since 1970; 0: unknown */
} rf_run;

/* Reads all files of `folder`; the records are in order of time. */
rf_run rf_run_read(rf_bump_arena *arena, const char *folder);

/* The start of the first object of the library's in the text; NULL where there is none. Within a text of such an object
 * the quotes would be escaped. */
const char *rf_run_find_object(const char *text, size_t length);

/* Adds a line of JSON, or a record that was read in another form. Behind an object that breaks off, as where a process
 * was killed while it wrote, another process's may follow in the same line: that is added as well. */
void rf_run_add_line(rf_run *run, rf_bump_arena *arena, const char *text, size_t length);
void rf_run_add_record(rf_run *run, rf_bump_arena *arena, rf_record *record);

/* True for a line that is a record of a collector's spool. */
bool rf_run_is_spooled(const char *text, size_t length);

/* Adds such a record: a finding, or further ones of it. Those of other kinds tell of findings that were dropped. */
void rf_run_add_spooled(rf_run *run, rf_bump_arena *arena, const char *text, size_t length);

/* Counts uses of a rule. */
void rf_run_add_rule(rf_run *run, rf_bump_arena *arena, const char *rule, uint64_t count, uint64_t bytes);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_MODEL_RUN_H */
