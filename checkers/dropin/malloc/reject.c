#include "reject.h"

#include "checkers/dropin/runtime/state.h"

#include <errno.h>

#include "checkers/shared/wrapper.h"

static void report(rf_reject why, size_t size, size_t detail, const rf_origin *origin) {
  rf_finding f;
  if (rf_process.checked || rf_process.options.mode == RF_MODE_SAMPLE) {
    rf_finding_begin_rejected(&f, why, size, detail, "malloc", rf_process.checked ? "guard" : "sample", origin);
    rf_report(rf_process.guard_options.reporter, &f);
  }
}

void *rf_malloc_reject(rf_reject why, size_t size, size_t detail, int error, const rf_origin *origin) {
  if (rf_process.report_rejected) {
    report(why, size, detail, origin);
  }
  errno = error;
  return NULL;
}
