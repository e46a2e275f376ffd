#define _GNU_SOURCE /* ucontext's registers */
#include "tag_fault.h"

#include "checkers/dropin/heap/block_tags.h"
#include "checkers/os/machine_context.h"
#include "checkers/page/page_store.h"
#include "checkers/shared/told_places.h"
#include "checkers/shared/wrapper.h"
#include "state.h"
#include "tag_pause.h"

#include <signal.h>

/* False: no block is known for it. */
static bool report(const siginfo_t *info, const ucontext_t *context) {
  static rf_told_places told;
  rf_finding f;
  rf_view view;
  rf_bug bug;
  const char *detail;
  uintptr_t const pointer = (uintptr_t)info->si_addr;
  uintptr_t const address = rf_tag_remove(pointer);
  rf_machine_context const m = rf_machine_context_of(context);
  rf_origin const origin = {NULL, m.pc, (const void *)m.frame};
  if (!rf_block_tag_explain(address, rf_tag_of(pointer), &view, &bug, &detail)) {
    return false;
  }
  if (rf_told_before(&told, m.pc, view.slot->allocated)) {
    return true;
  }
  rf_finding_begin(&f, bug, (rf_access)m.access, (const void *)address, "malloc", rf_mode_name(RF_MODE_MTE), &origin);
  rf_check_about(&f, &view);
  f.detail = detail;
  rf_finding_at_instruction(&f);
  rf_report(rf_process.guard_options.reporter, &f);
  return true;
}

/* The thread is not checked until its next request: the access would only fail again. */
static void go_on(ucontext_t *context) {
#if RF_MEMORY_TAGS
  rf_current_thread.unchecked = true;
  context->uc_mcontext.pstate |= RF_TAG_CHECK_OVERRIDDEN;
#else
  (void)context;
#endif
}

/* Emulators take over the override from the end of the handler, not from the context: it is left on. */
static bool settle(const void *siginfo, void *context) {
  const siginfo_t *const info = siginfo;
  if (!rf_memory_tags_is_fault(info->si_code) || rf_memory_tags_is_late_fault(info->si_code)) {
    return false;
  }
  uint64_t const checks = rf_memory_tags_pause();
  bool const told = report(info, context);
  if (told) {
    go_on(context);
  } else {
    rf_memory_tags_resume(checks);
  }
  return told;
}

void rf_tag_faults_watch(void) {
  rf_page_settle_also(settle);
}
