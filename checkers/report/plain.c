/* The reporter of checkers that are given none: small, since a board links it with each checker. */
#include <ringfence/finding.h>

#include <ringfence/port.h>
#include <ringfence/sink.h>

#include "lib/core/compiler.h"

static void write_log(void *context, const char *text, size_t size) {
  (void)context;
  rf_port_log(text, size);
}

static const rf_sink port_log = {write_log, NULL};

static void number(const char *before, uint64_t value) {
  rf_sink_str(&port_log, before);
  rf_sink_uint(&port_log, value);
}

static void address(const char *before, uint64_t value) {
  rf_sink_str(&port_log, before);
  rf_sink_hex(&port_log, value, 1);
}

RF_COLD static void trace(const char *before, const rf_trace *t) {
  if (t->site == NULL && t->depth == 0) {
    return;
  }
  rf_sink_str(&port_log, before);
  if (t->site != NULL) {
    rf_sink_str(&port_log, " ");
    rf_sink_str(&port_log, t->site->function);
    rf_sink_str(&port_log, " ");
    rf_sink_str(&port_log, t->site->file);
    number(":", t->site->line);
  }
  for (unsigned i = 0; i < t->depth; i++) {
    address(" ", t->frames[i]);
  }
  rf_sink_str(&port_log, "\n");
}

static void access_line(const rf_finding *f) {
  if (f->access == RF_ACCESS_READ || f->access == RF_ACCESS_WRITE) {
    rf_sink_str(&port_log, f->access == RF_ACCESS_READ ? "READ" : "WRITE");
    if (f->access_size != 0) {
      number(" of size ", f->access_size);
    }
    address(" at ", f->address);
    number(" by thread T", f->found.thread == f->process ? 0 : f->found.thread);
    rf_sink_str(&port_log, "\n");
  }
}

static void block(const rf_finding *f) {
  size_t distance;
  const char *const relation = rf_finding_relation(f, &distance);
  if (f->block != 0) {
    number("  ", distance);
    rf_sink_str(&port_log, " bytes ");
    rf_sink_str(&port_log, relation);
    number(" ", f->size);
    address("-byte region at ", f->block);
    rf_sink_str(&port_log, "\n");
  }
}

RF_COLD static rf_action report(rf_reporter *self, const rf_finding *f) {
  (void)self;
  number("==", f->process);
  rf_sink_str(&port_log, "==ERROR: Ringfence: ");
  rf_sink_str(&port_log, rf_bug_name(f->bug));
  address(" on address ", f->address);
  rf_sink_str(&port_log, "\n");
  access_line(f);
  block(f);
  trace("  found:", &f->found);
  trace("  allocated:", &f->allocated);
  trace("  freed:", &f->released);
  return RF_ACTION_HALT;
}

RF_COLD rf_reporter *rf_reporter_plain(void) {
  static rf_reporter plain = {report, NULL, RF_EXITCODE_DEFAULT, 0};
  return &plain;
}
