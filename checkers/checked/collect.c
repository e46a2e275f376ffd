/* A program with checked allocators of its own tells a collector of its runs. */
#include "mode_options.h"

#include <ringfence/system.h>

#include "checkers/os/seen_sites.h"
#include "checkers/report/collector.h"

#if RF_HAS_SYSTEM

#include <pthread.h>
#include <stdlib.h>

/* The drop-in defines it, where the program was started with that: it tells of the run. */
extern size_t __ringfence_check_leaks(void) __attribute__((weak));

static void at_exit(void) {
  rf_collector_run const only_counts = {.exit = NULL};
  (void)rf_collector_end(__ringfence_check_leaks != NULL ? &only_counts : NULL);
}

static const char *policy_rules;

void rf_options_name_policy(const char *rules) {
  policy_rules = rules;
}

static rf_collector_options options_of(const rf_options *o) {
  return (rf_collector_options){
      .folder = {o->collector, o->collector_length},
      .environment = {o->environment, o->environment_length},
      .version = {o->build_version, o->build_version_length},
      .commit = {o->build_commit, o->build_commit_length},
      .labels = {o->labels, o->labels_length},
      .policy = policy_rules,
      .windows = (rf_collector_windows)o->windows,
      .first = o->collector_first,
      .mode = rf_mode_name(o->mode),
  };
}

bool rf_options_begin_collector(const rf_options *o) {
  rf_collector_options const options = options_of(o);
  bool const begun = rf_collector_begin(&options);
  if (begun) {
    rf_seen_sites_begin();
  }
  return begun;
}

/* Sites so far are the parent's to tell. */
static void forked(void) {
  rf_collector_forked();
  rf_seen_sites_forget();
}

void rf_options_collect_run(const rf_options *o) {
  if (rf_options_begin_collector(o)) {
    (void)atexit(at_exit);
    (void)pthread_atfork(NULL, NULL, forked);
  }
}

void rf_options_keep_sites(rf_stack_depot *depot) {
  if (depot != NULL && rf_collector_is_named()) {
    depot->added_call = rf_seen_sites_add;
  }
}

#else

bool rf_options_begin_collector(const rf_options *o) {
  (void)o;
  return false;
}

void rf_options_collect_run(const rf_options *o) {
  (void)o;
}

void rf_options_keep_sites(rf_stack_depot *depot) {
  (void)depot;
}

#endif
