/* The usual reporter: findings as text, JSON lines or for a serial line, to standard error or a file, then halt or go on.
 *
 * Where Bazel runs a test (TEST_UNDECLARED_OUTPUTS_DIR) and no log is asked for, each finding is appended to
 * ringfence-PID.jsonl in that folder as well. */
#ifndef RINGFENCE_REPORTER_H
#define RINGFENCE_REPORTER_H

#include <ringfence/finding.h>
#include <ringfence/options.h>
#include <ringfence/snapshot.h>
#include <ringfence/suppress.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_log_reporter {
  rf_reporter base;
  rf_options options; /* of these: halt, exitcode, log, format, suppressions, max_findings */
  int fd;             /* -1: standard error */
  uint32_t
      opened_by; /* the process that opened it; 0: nobody yet. A forked child opens its own where %p asks for it. */
  rf_suppressions suppressions;
  bool suppressions_read;
} rf_log_reporter;

/* Makes a reporter as `options` say; the strings options->log and options->suppressions must live as long. The file is opened at the first finding.
 * Each finding is put out by one write, so that several processes may append to one file. Then use &reporter->base. */
void rf_log_reporter_init(rf_log_reporter *reporter, const rf_options *options);

/* Reads the file of the option suppressions, if it was not read yet; what is wrong in it is said on standard error. Done at
 * the first finding unless it is done before, as it must be where the program may change its folder. */
void rf_log_reporter_read_suppressions(rf_log_reporter *reporter);

/* True, and counted, where a rule hides `f`. Function names come from symbol tables here: rules for source files and
 * inlined functions need the command. */
bool rf_log_reporter_suppresses(rf_log_reporter *reporter, const rf_finding *f);

/* Reports `f` without looking at suppressions. */
rf_action rf_log_reporter_put(rf_log_reporter *reporter, const rf_finding *f);

/* Puts a snapshot, or with `before` the difference of two, where the findings go, in their format; names of functions come
 * from symbol tables. False where this thread is reporting something at the moment (signal handlers): try again later. */
bool rf_log_reporter_snapshot(rf_log_reporter *reporter, const rf_snapshot *snapshot, const rf_snapshot *before);

/* Writes the finding as text to `out`, `room` bytes (at least 1), with a NUL behind it and names from symbol tables, for
 * reporters of one's own; what does not fit is left out. Returns the length. Call it from rf_reporter.report alone. */
size_t rf_reporter_text(const rf_finding *f, char *out, size_t room);

/* Puts `text` where the findings go. */
void rf_log_reporter_write(rf_log_reporter *reporter, const char *text, size_t size);

/* The reporter of the process, the base of an rf_log_reporter: what checkers use that are given none. Made at first use from the options of the process
 * (rf_options_default and rf_options_load). Any thread may call it. */
rf_reporter *rf_reporter_default(void);

/* The options that rf_reporter_default was made from. */
const rf_options *rf_options_of_process(void);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_REPORTER_H */
