/* Targets without files have no collector of their own: their findings go over a serial line. */
#include "collector.h"

bool rf_collector_begin(const rf_collector_options *options) {
  (void)options;
  return false;
}

void rf_collector_put(const rf_finding *f, const rf_symbolizer *symbolizer) {
  (void)f;
  (void)symbolizer;
}

bool rf_collector_wants_names(const rf_finding *f) {
  (void)f;
  return false;
}

bool rf_collector_is_named(void) {
  return false;
}

bool rf_collector_record(const char *kind, const rf_symbolizer *symbolizer, rf_collector_writer write, void *context) {
  (void)kind;
  (void)symbolizer;
  (void)write;
  (void)context;
  return false;
}

void rf_collector_step(uint32_t rule, const char *done) {
  (void)rule;
  (void)done;
}

bool rf_collector_end(const rf_collector_run *run) {
  (void)run;
  return false;
}

void rf_collector_forked(void) {}
