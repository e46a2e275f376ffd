#include "reject.h"

#include "checkers/dropin/runtime/arena.h"
#include "checkers/dropin/runtime/state.h"

#include <errno.h>

#include "checkers/shared/wrapper.h"

static void report(rf_reject why, size_t size, size_t detail, const rf_origin *origin) {
  rf_arena *const arena = rf_process.checked ? rf_arena_enter() : NULL;
  if (arena != NULL) {
    rf_guard_reject_from(&arena->guard, why, size, detail, origin);
    rf_arena_leave(arena);
  } else if (rf_process.options.mode == RF_MODE_SAMPLE) {
    rf_finding f;
    rf_finding_begin_rejected(&f, why, size, detail, "malloc", "sample", origin);
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
