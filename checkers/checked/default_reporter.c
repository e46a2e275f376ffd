/* The options and the reporter of the process, and what is said of options. */
#include <ringfence/options.h>
#include <ringfence/system.h>

#include "checkers/os/host.h"
#include "checkers/report/log_lines.h"
#include "lib/core/compiler.h"
#include "mode_options.h"

/* ---- Messages ---- */

RF_RARE static void print_help(const rf_options *o) {
  rf_log_lines lines;
  rf_options_help(o, rf_log_lines_init(&lines));
}

RF_RARE static void print_start(const rf_options *o, const char *name) {
  rf_log_lines lines;
  const rf_sink *const out = rf_log_lines_init(&lines);
  rf_sink_str(out, "ringfence: checking ");
  rf_sink_str(out, name);
  rf_sink_str(out, ": mode ");
  rf_sink_str(out, rf_mode_name(o->mode));
  rf_options_print(o, out);
  rf_sink_str(out, "\n");
}

void rf_options_say(const rf_options *o, const char *name) {
  if (o->help) {
    print_help(o);
  }
  if (o->verbosity != 0) {
    print_start(o, name);
  }
}

/* ---- Of the process ---- */

static rf_options options;
static rf_log_reporter reporter;

RF_RARE static void load_options(void) {
  rf_log_lines lines;
  rf_options_default(&options);
  (void)rf_options_load(&options, rf_log_lines_init(&lines));
}

static void make_once(void) {
  static bool made;
  if (__atomic_load_n(&made, __ATOMIC_ACQUIRE)) {
    return;
  }
  bool const locked = rf_host_report_lock();
  if (!made) {
    load_options();
    rf_report_options const report = rf_options_for_reporter(&options);
    rf_log_reporter_init(&reporter, &report);
    rf_log_reporter_read_suppressions(&reporter);
#if RF_HAS_SYSTEM
    rf_options_collect_run(&options);
#endif
    __atomic_store_n(&made, true, __ATOMIC_RELEASE);
  }
  if (locked) {
    rf_host_report_unlock();
  }
}

const rf_options *rf_options_of_process(void) {
  make_once();
  return &options;
}

rf_reporter *rf_reporter_default(void) {
  make_once();
  return &reporter.base;
}
