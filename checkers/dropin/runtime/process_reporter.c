#define _GNU_SOURCE
#include "process_reporter.h"

#include "checkers/dropin/os/cxx_runtime.h"
#include "checkers/dropin/os/export.h"
#include "checkers/os/host.h"
#include "checkers/os/reserve_stack.h"
#include "checkers/os/uncancelled.h"
#include "checkers/report/collector.h"
#include "lib/core/compiler.h"
#include "output.h"
#include "site_choice.h"

#include <errno.h>
#include <ringfence/dropin.h>
#include <string.h>
#include <unistd.h>

#define FINDING_BYTES 16384 /* of a finding as text */

rf_reporter rf_process_reporter;

/* ---- C++ runtimes of their own ---- */

static bool is_operator(const char *function) {
  return function != NULL && strncmp(function, "operator", 8) == 0;
}

static bool called_from_own_runtime(const rf_trace *trace) {
  return trace->depth != 0 && rf_cxx_runtime_is_private(trace->frames[0]);
}

/* new of one module and delete of another, where one of the two goes by malloc or free because its C++ runtime is its
 * own. */
static bool is_no_mismatch(const rf_finding *f) {
  if (f->bug != RF_BUG_DEALLOC_MISMATCH || is_operator(f->allocation) == is_operator(f->deallocation)) {
    return false;
  }
  return called_from_own_runtime(is_operator(f->allocation) ? &f->found : &f->allocated);
}

/* ---- Findings for the program itself ---- */

static struct {
  void (*call)(const char *text, size_t length, void *context);
  void *context;
  char text[FINDING_BYTES];
} callback;

RF_COLD RF_EXPORT void __ringfence_on_finding(void (*call)(const char *text, size_t length, void *context),
                                              void *context) {
  callback.context = context;
  __atomic_store_n(&callback.call, call, __ATOMIC_RELEASE);
}

/* A child is on its own. */
bool rf_process_reports_to_program(void) {
  return __atomic_load_n(&callback.call, __ATOMIC_ACQUIRE) != NULL && rf_process_now() == rf_process.id &&
         !rf_process.forked;
}

static bool told_to_callback(const rf_finding *f) {
  void (*const call)(const char *, size_t, void *) = __atomic_load_n(&callback.call, __ATOMIC_ACQUIRE);
  if (call == NULL || !rf_process_reports_to_program()) {
    return false;
  }
  rf_log_reporter_collect(f);
  call(callback.text, rf_reporter_text(f, callback.text, sizeof callback.text), callback.context);
  return true;
}

/* ---- The reporter ---- */

typedef struct putting {
  const rf_finding *finding;
  rf_action action;
} putting;

/* At the end of the process all that is wrong is reported, then it ends with the code of a halted one. */
RF_COLD static void put_out(void *context) {
  putting *const p = context;
  rf_output_open();
  rf_process.log.lost = false;
  p->action = rf_log_reporter_put(&rf_process.log, p->finding);
  rf_output_close();
  if (rf_process.log.lost && !rf_bug_is_crash(p->finding->bug)) { /* of a crash the status tells */
    rf_output_mark_loss();
  }
  __atomic_fetch_add(&rf_process.findings, 1, __ATOMIC_RELAXED);
  if (__atomic_load_n(&rf_process.ending, __ATOMIC_RELAXED)) {
    p->action = RF_ACTION_CONTINUE;
  }
  if (p->action == RF_ACTION_HALT) {
    rf_process.ended = rf_process.ended || rf_process_now() == rf_process.id;
    if (rf_process.halting != NULL) {
      rf_process.halting();
    }
  }
}

/* A child of vfork ends by its finding. The parent goes on in this memory, as if there had been none. */
RF_COLD static void leave_to_parent(rf_reporter *self) {
  self->sequence--;
  __atomic_fetch_sub(&rf_process.findings, 1, __ATOMIC_RELAXED);
  rf_host_report_lock_reset();
}

static rf_action put(const rf_finding *f) {
  putting p = {f, RF_ACTION_CONTINUE};
  rf_on_reserve_stack(put_out, &p);
  return p.action;
}

static rf_action tell(rf_reporter *self, const rf_finding *f) {
  int const saved = errno;
  int const cancellation = rf_uncancelled_begin();
  rf_action action = RF_ACTION_CONTINUE;
  if (is_no_mismatch(f) || rf_log_reporter_suppresses(&rf_process.log, f)) {
    self->sequence--;
  } else if (!told_to_callback(f)) {
    action = put(f);
    rf_site_found_near(&f->allocated);
    if (action == RF_ACTION_HALT && rf_process_now() != rf_process.id) {
      leave_to_parent(self);
    }
  }
  rf_uncancelled_end(cancellation);
  errno = saved;
  return action;
}

static void remove_entry(rf_trace *trace) {
  trace->depth = rf_process_without_entry(trace->frames, trace->depth);
}

/* In mode page a guard refuses what is no block at all, and that has no mode but the process's. In mode mte all
 * findings are the process's. */
RF_COLD static rf_action report(rf_reporter *self, const rf_finding *f) {
  rf_finding own = *f;
  rf_mode const mode = rf_process.options.mode;
  if ((f->block == 0 && mode == RF_MODE_PAGE) || mode == RF_MODE_MTE) {
    own.mode = rf_mode_name(mode);
  }
  remove_entry(&own.found);
  remove_entry(&own.allocated);
  remove_entry(&own.released);
  return tell(self, &own);
}

void rf_process_reporter_init(void) {
  rf_report_options const options = rf_options_for_reporter(&rf_process.options);
  rf_log_reporter_init(&rf_process.log, &options);
  rf_process_reporter.report = report;
  rf_process_reporter.exitcode = rf_process.log.base.exitcode;
}

RF_COLD bool rf_process_report_snapshot(const rf_snapshot *snapshot, const rf_snapshot *before) {
  rf_output_open();
  bool const done = rf_log_reporter_snapshot(&rf_process.log, snapshot, before);
  rf_output_close();
  return done;
}
