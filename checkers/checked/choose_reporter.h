/* The reporter of a checker that options make. Internal to checkers/. */
#ifndef RINGFENCE_CHOOSE_REPORTER_H
#define RINGFENCE_CHOOSE_REPORTER_H

#include <ringfence/checked.h>
#include <ringfence/system.h>

#include "checkers/checked/mode_options.h"

/* `log` is the caller's memory for a reporter by `options`; where they name one, or are NULL, it has no file, so that
 * rf_log_reporter_close closes none. */
static inline rf_reporter *rf_choose_reporter(rf_log_reporter *log, const rf_checked_options *options) {
  log->fd = -1;
  if (options == NULL) {
    return rf_reporter_default();
  }
  if (options->reporter != NULL) {
    return options->reporter;
  }
  rf_report_options const report = rf_options_for_reporter(&options->settings);
#if RF_HAS_SYSTEM
  rf_options_collect_run(&options->settings);
#endif
  rf_log_reporter_init(log, &report);
  return &log->base;
}

#endif /* RINGFENCE_CHOOSE_REPORTER_H */
