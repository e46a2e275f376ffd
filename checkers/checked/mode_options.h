/* The options of each checker, out of the options of all. The reporter and the depot are the caller's to fill in.
 * Internal to checkers/. */
#ifndef RINGFENCE_MODE_OPTIONS_H
#define RINGFENCE_MODE_OPTIONS_H

#include <ringfence/guard.h>
#include <ringfence/handle_guard.h>
#include <ringfence/options.h>
#include <ringfence/page.h>
#include <ringfence/sample.h>

#ifdef __cplusplus
extern "C" {
#endif

rf_guard_options rf_options_for_guard(const rf_options *options);
rf_page_options rf_options_for_page(const rf_options *options);
rf_sample_options rf_options_for_sample(const rf_options *options);
rf_handle_guard_options rf_options_for_handles(const rf_options *options);

/* Begins to tell the collector that the options or the environment name (checkers/report/collector.h), once for the
 * process, and to keep call sites for it. Not for signal handlers. True where there is one and this call began. The
 * second one also tells of the run at exit; both do nothing on boards. */
bool rf_options_begin_collector(const rf_options *options);
void rf_options_collect_run(const rf_options *options);

/* From now on stacks that are new to `depot` tell the collector of their call sites (checkers/os/seen_sites.h), where
 * one is named. Does nothing on boards. */
void rf_options_keep_sites(rf_stack_depot *depot);

/* The rules of a policy that the options of the process come from ("3,7", static; NULL: none), for the collector.
 * Before it is begun. Hosted systems only. */
void rf_options_name_policy(const char *rules);

/* Applies what __ringfence_default_options returns; the first half of rf_options_load, which says more. */
unsigned rf_options_load_program(rf_options *options, const rf_sink *warnings);

/* The mode whose options a mode has, and whose checks pools get in it: guard for those that go further. */
static inline rf_mode rf_mode_base(rf_mode mode) {
  return mode == RF_MODE_ASAN || mode == RF_MODE_MTE ? RF_MODE_GUARD : mode;
}

/* Checking of `name` begins: prints, on standard error, the list of options (`help`) and the mode (`verbosity`). */
void rf_options_say(const rf_options *options, const char *name);

/* Writes ", key value" for each option that the checker of options->mode takes. */
void rf_options_print(const rf_options *options, const rf_sink *sink);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_MODE_OPTIONS_H */
