/* The usual reporter: findings as text or JSON lines, to standard error or a file, then halt or go on. */
#ifndef RINGFENCE_REPORTER_H
#define RINGFENCE_REPORTER_H

#include <ringfence/finding.h>
#include <ringfence/options.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_log_reporter {
  rf_reporter base;
  rf_options options; /* of these: halt, exitcode, log, format, max_findings */
  int fd;             /* -1: standard error */
  uint32_t
      opened_by; /* the process that opened it; 0: nobody yet. A forked child opens its own where %p asks for it. */
} rf_log_reporter;

/* Makes a reporter as `options` say; the string options->log must live as long. The file is opened at the first finding.
 * Each finding is put out by one write, so that several processes may append to one file. Then use &reporter->base. */
void rf_log_reporter_init(rf_log_reporter *reporter, const rf_options *options);

/* Puts `text` where the findings go. */
void rf_log_reporter_write(rf_log_reporter *reporter, const char *text, size_t size);

/* The reporter of the process: what checkers use that are given none. Made at first use from the options of the process
 * (rf_options_default and rf_options_load). Any thread may call it. */
rf_reporter *rf_reporter_default(void);

/* The options that rf_reporter_default was made from. */
const rf_options *rf_options_of_process(void);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_REPORTER_H */
