/* A process's messages to a collector: its findings, each with who, where and which build, how often each came again,
 * and how it ended (docs/service/format.md). One for each process and each copy of the checkers in it.
 *
 * Nothing is written unless rf_collector_begin was given a folder. Allocates nothing, and but for the end waits for
 * nobody. Hosted systems; on others all functions do nothing. Internal to checkers/.
 */
#ifndef RINGFENCE_COLLECTOR_H
#define RINGFENCE_COLLECTOR_H

#include <ringfence/finding.h>
#include <ringfence/frames.h>
#include <ringfence/sink.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How much of the memory around damage is told. AUTO: the whole in the environments development, ci and test, but for
 * mode sample; else the guards. The values are those of the option `windows`. */
typedef enum rf_collector_windows {
  RF_COLLECTOR_AUTO,
  RF_COLLECTOR_WHOLE,
  RF_COLLECTOR_GUARDS,
  RF_COLLECTOR_NONE
} rf_collector_windows;

/* A text that need not end with a NUL. `at` NULL: not given. */
typedef struct rf_collector_text {
  const char *at;
  size_t length;
} rf_collector_text;

typedef struct rf_collector_options {
  rf_collector_text folder; /* not given: the environment's RINGFENCE_COLLECTOR; "auto", "none" */
  rf_collector_text environment;
  rf_collector_text version;
  rf_collector_text commit;
  rf_collector_text labels; /* k=v,k=v */
  const char *policy;       /* the label of that name; NULL: none */
  rf_collector_windows windows;
  unsigned first;   /* findings of a key that are told in full; further ones are counted */
  const char *mode; /* static */
} rf_collector_options;

/* Begins, unless it has begun; copies the texts. Not for signal handlers. True where this call began, and
 * a collector was named. */
bool rf_collector_begin(const rf_collector_options *options);

/* A finding. Any thread, one at a time (the report lock); one that interrupts another is counted as dropped. */
void rf_collector_put(const rf_finding *f, const rf_symbolizer *symbolizer);

/* Tells of `f` with names from symbol tables, unless another finding is being reported.
 * From rf_reporter.report only. */
void rf_log_reporter_collect(const rf_finding *f);

/* In the child of a fork, whose parent's other thread may have been reporting. Hosted systems only. In reporter.c. */
void rf_log_reporter_forked(void);

/* True where rf_collector_put would tell `f` in full, and needs names for it. */
bool rf_collector_wants_names(const rf_finding *f);

/* True where a collector was named. */
bool rf_collector_is_named(void);

/* Writes a value of JSON, the member `kind` of a record. False: the record is not to be told. The
 * writer leaves out what the buffer has no room for. */
typedef bool (*rf_collector_writer)(rf_sink_buffer *line, const rf_symbolizer *symbolizer, void *context);

/* Tells a record of `kind`, with the seconds that the process has run, and what `write` writes. False where another
 * record is being made, or no place took it: try again later. Any thread, one at a time (the report lock). */
bool rf_collector_record(const char *kind, const rf_symbolizer *symbolizer, rf_collector_writer write, void *context);

/* The same with modules of addresses, and the lock taken. In reporter.c. */
bool rf_log_reporter_collect_record(const char *kind, rf_collector_writer write, void *context);

/* A step that this process took because a running policy asked for it: the rule's number, and what was done. Any
 * thread; not told while something else is. */
void rf_collector_step(uint32_t rule, const char *done);

/* Figures of a run. */
typedef struct rf_collector_run {
  uint64_t duration_ns;
  uint64_t allocations;
  uint64_t bytes;
  uint64_t peak;
  uint64_t findings;
  const char *leaks_unchecked;  /* the reason, or NULL */
  const char *blocks_unchecked; /* the same */
  const char *exit;             /* "status", "signal", "exec", "unknown", "running"; NULL: another copy tells of it */
  int number;                   /* of status and signal */
  bool continued;               /* this process has told of the time before */
} rf_collector_run;

/* The run has ended, or goes on: tells what was only counted, then the run itself. NULL: as known here. Any thread;
 * waits for one that makes a record, a tenth of a second at most. False where nothing could be told. */
bool rf_collector_end(const rf_collector_run *run);

/* In the child of a fork. */
void rf_collector_forked(void);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_COLLECTOR_H */
