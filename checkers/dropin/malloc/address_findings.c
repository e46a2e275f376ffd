#include "address_findings.h"

#include "checkers/dropin/heap/check.h"
#include "checkers/dropin/heap/threads.h"
#include "checkers/dropin/runtime/libc_abort.h"
#include "checkers/dropin/runtime/own_cache.h"
#include "checkers/dropin/runtime/process_finding.h"
#include "checkers/dropin/runtime/tag_pause.h"
#include "guarded_blocks.h"

#include <stdbool.h>
#include <stdint.h>

#include "checkers/os/host.h"
#include "checkers/os/memory_tags.h"
#include "lib/core/compiler.h"

/* The block that was freed at `ptr`, or that it lies in, becomes the finding's. */
static void tell_of_block(rf_finding *f, const void *ptr) {
  rf_view view;
  rf_cache *const cache = rf_span_holding((uintptr_t)ptr) != NULL ? rf_enter() : NULL;
  if (cache == NULL) {
    rf_guarded_blocks_tell_of(ptr, f);
    return;
  }
  if (rf_view_at((uintptr_t)ptr, &view) &&
      (ptr == view.payload || (uintptr_t)ptr - (uintptr_t)view.payload < view.size)) {
    rf_check_about(f, &view);
  }
  rf_leave(cache);
}

RF_COLD size_t rf_report_no_block(const void *ptr, const rf_origin *origin) {
  rf_finding f;
  rf_process_finding_begin(&f, RF_BUG_BAD_USABLE_SIZE, RF_ACCESS_UNKNOWN, ptr, origin);
  tell_of_block(&f, ptr);
  f.detail = "malloc_usable_size was asked of a pointer that is no live block";
  rf_process_report(&f);
  return 0;
}

/* ---- Writes that are stopped ---- */

#define STOPPED "_FORTIFY_SOURCE stopped a write that is longer than its destination"

static void report_before_abort(rf_finding *f) {
  rf_process_report_dying(f);
  rf_libc_abort_is_told();
}

/* Among the frames of the calls that this thread is in. */
static bool is_on_stack(uintptr_t address) {
  const void *const frame = __builtin_frame_address(0);
  uintptr_t low;
  uintptr_t high;
  return rf_host_stack(frame, &low, &high) && address >= (uintptr_t)frame && address < high;
}

/* The compiler may know of a part of the block alone, as of a member. */
static rf_bug bug_of(const rf_finding *f, uintptr_t to) {
  if (f->block == 0) {
    return is_on_stack(to) ? RF_BUG_STACK_OVERFLOW : RF_BUG_STOPPED_OVERFLOW;
  }
  if (f->freed) {
    return RF_BUG_USE_AFTER_FREE;
  }
  return f->address - f->block >= f->size ? RF_BUG_BUFFER_OVERFLOW : RF_BUG_STOPPED_OVERFLOW;
}

RF_COLD void rf_report_stopped_write(const void *to, size_t size, size_t room, const rf_origin *origin) {
  rf_finding f;
  const char *const plain = (const char *)rf_tag_remove((uintptr_t)to);
  uint64_t const checks = rf_tag_pause();
  rf_process_finding_begin(&f, RF_BUG_STOPPED_OVERFLOW, RF_ACCESS_WRITE, plain + room, origin);
  tell_of_block(&f, plain);
  rf_tag_resume(checks);
  f.bug = bug_of(&f, (uintptr_t)plain);
  f.cwe = rf_bug_cwe(f.bug, f.access);
  f.at_access = true;
  f.access_size = size - room;
  f.detail = STOPPED;
  report_before_abort(&f);
}

RF_COLD void rf_report_stopped(rf_bug bug, const rf_origin *origin) {
  rf_finding f;
  rf_process_finding_begin(&f, bug, RF_ACCESS_WRITE, NULL, origin);
  f.detail =
      bug == RF_BUG_STACK_OVERFLOW ? "the stack protector found an object on the stack written past its end" : STOPPED;
  report_before_abort(&f);
}
