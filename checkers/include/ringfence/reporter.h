/* The full reporter: findings as text, JSON lines or for a serial line, to standard error or a file, then halt or go
 * on.
 *
 * If Bazel runs a test (TEST_UNDECLARED_OUTPUTS_DIR) and no log is asked for, each finding is appended to
 * ringfence-PID.jsonl in that folder as well.
 *
 * Memory: static buffers that all reporters share (64 KiB for a text; 256 bytes on boards); rules of suppressions, if
 *   there are any, in pages of the system's. Nothing is allocated.
 * Threads and signal handlers: any, once the reporter was made; one text at a time. A finding that is made while its
 *   own thread reports another one is reported within that one.
 */
#ifndef RINGFENCE_REPORTER_H
#define RINGFENCE_REPORTER_H

#include <ringfence/finding.h>
#include <ringfence/frames.h>
#include <ringfence/sink.h>
#include <ringfence/suppress.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rf_format { RF_FORMAT_TEXT, RF_FORMAT_JSON, RF_FORMAT_SERIAL } rf_format;

typedef struct rf_report_options {
  bool halt;                  /* end the process at the first finding */
  unsigned exitcode;          /* of a process ended so */
  bool abort;                 /* by SIGABRT instead of with an exit code */
  rf_format format;           /* of findings */
  unsigned max_findings;      /* report this many, count the rest; 0: all */
  const char *log;            /* path, %p stands for the process id; NULL: standard error */
  size_t log_length;          /* bytes of `log`, which has no NUL at its end */
  const char *suppressions;   /* path of a file with rules (suppress.h); NULL: none */
  size_t suppressions_length; /* bytes of `suppressions` */
} rf_report_options;

/* Text on standard error, halt at the first finding with RF_EXITCODE_DEFAULT. */
void rf_report_options_default(rf_report_options *out);

typedef struct rf_log_reporter {
  rf_reporter base;
  rf_report_options options;
  int fd;             /* -1: standard error */
  uint32_t opened_by; /* the process that opened it; 0: none yet. A forked child opens its own where %p asks for it. */
  rf_suppressions suppressions;
  bool suppressions_read;
  bool closed;   /* by rf_log_reporter_close */
  uint64_t file; /* which one was opened: a program may have another one under its number now; 0: not known */
  bool lost;     /* the file did not take the record of a finding, of which standard error got a text; stays set */
} rf_log_reporter;

/* Makes a reporter. The strings options->log and options->suppressions must live as long as it does. The file is opened
 * at the first finding. Each finding is put out by one write, so that several processes may append to one file. Then
 * use &reporter->base. */
void rf_log_reporter_init(rf_log_reporter *reporter, const rf_report_options *options);

/* Reads the file of the option suppressions unless it was read before, and writes a warning on standard error for each
 * wrong line. The first finding calls this; a program that changes its folder calls it earlier. */
void rf_log_reporter_read_suppressions(rf_log_reporter *reporter);

/* True, and counted, where a rule hides `f`. Function names come from symbol tables here: rules for source files and
 * inlined functions need the command. */
bool rf_log_reporter_suppresses(rf_log_reporter *reporter, const rf_finding *f);

/* Reports `f` without looking at suppressions. */
rf_action rf_log_reporter_put(rf_log_reporter *reporter, const rf_finding *f);

/* Writes a text other than a finding to `sink`; `symbolizer` names frames, for RF_FORMAT_TEXT with functions. */
typedef void (*rf_log_writer)(void *context, const rf_symbolizer *symbolizer, const rf_sink *sink);

/* Puts the text of `write` where the findings go, between two of them. False, and nothing written, where this thread is
 * reporting something at the moment (signal handlers): try again later. */
bool rf_log_reporter_render(rf_log_reporter *reporter, rf_log_writer write, void *context);

/* Writes the finding as text to `out`, `room` bytes (at least 1), with a NUL behind it and names from symbol tables,
 * for reporters of one's own; the part that does not fit is left out. Returns the length. Call it from
 * rf_reporter.report alone. */
size_t rf_reporter_text(const rf_finding *f, char *out, size_t room);

/* Puts `size` bytes of text where the findings go, by one write, whatever else is being reported. */
void rf_log_reporter_write(rf_log_reporter *reporter, const char *text, size_t size);

/* Closes the file, unless a parent process opened it. The reporter can still be used: from now on the file is opened
 * for each text, which is appended, and closed again. */
void rf_log_reporter_close(rf_log_reporter *reporter);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_REPORTER_H */
