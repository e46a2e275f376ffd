/* Mode mte: faults of tags become findings. */
#define _GNU_SOURCE /* ucontext's registers */
#include "mte_impl.h"

#if RF_MEMORY_TAGS

#include "checkers/os/machine_context.h"
#include "checkers/page/page_store.h"
#include "checkers/shared/told_places.h"

#include <signal.h>

static bool begun; /* here, not by the drop-in */

const char *rf_mte_why_not(void) {
  return rf_memory_tags_on() && !begun ? "the process has the drop-in's tags" : rf_memory_tags_why_not();
}

bool rf_mte_begin(void) {
  if (!begun && rf_mte_why_not() == NULL) {
    begun = rf_memory_tags_begin(false);
  }
  return begun;
}

static RF_THREAD_LOCAL bool unchecked; /* since a finding */
static RF_THREAD_LOCAL bool joined;

uint64_t rf_mte_enter(void) {
  if (!joined) {
    joined = true;
    rf_memory_tags_join();
  }
  uint64_t const before = rf_memory_tags_pause();
  uint64_t const checked = unchecked ? 0 : before;
  unchecked = false;
  return checked;
}

/* An address inside a live block is a use after free: the pointer belongs to an earlier block there. */
static rf_bug bug_of(const rf_finding *f) {
  return f->offset < 0                  ? RF_BUG_BUFFER_UNDERFLOW
         : (size_t)f->offset >= f->size ? RF_BUG_BUFFER_OVERFLOW
                                        : RF_BUG_USE_AFTER_FREE;
}

static const char *detail_of(const rf_finding *f) {
  bool const inside = f->bug == RF_BUG_USE_AFTER_FREE;
  return inside && !f->freed ? "the memory has another owner by now"
         : inside            ? "the block is in quarantine"
         : f->freed          ? "the block nearest to it was freed"
                             : NULL;
}

/* `h`: the block that it is about, or NULL. */
static void report_near(const rf_guard *guard, const rf_guard_header *h, const void *address,
                        const rf_machine_context *m) {
  rf_finding f;
  rf_origin const origin = {NULL, m->pc, (const void *)m->frame};
  rf_guard_finding(guard, &f, RF_BUG_USE_AFTER_FREE, (rf_access)m->access, address, &origin);
  f.detail = "no block is there any more";
  rf_finding_at_instruction(&f);
  if (h != NULL) {
    rf_guard_finding_block(guard, &f, h);
    f.bug = bug_of(&f);
    f.detail = detail_of(&f);
    if (address >= (const void *)block_of(h) && address < (const void *)end_of(h)) {
      rf_guard_finding_window(guard, &f, h, (const unsigned char *)address);
    }
  }
  f.cwe = rf_bug_cwe(f.bug, f.access);
  rf_report(guard->options.reporter, &f);
}

/* False: no guard's memory is there. */
static bool report(const siginfo_t *info, const ucontext_t *context) {
  static rf_told_places told;
  const rf_guard_header *h;
  uintptr_t const pointer = (uintptr_t)info->si_addr;
  const void *const address = (const void *)rf_tag_remove(pointer);
  rf_machine_context const m = rf_machine_context_of(context);
  const rf_guard *const guard = rf_guard_nearest_tagged(address, rf_tag_of(pointer), &h);
  if (guard == NULL) {
    return false;
  }
  if (!rf_told_before(&told, m.pc, h != NULL ? (uintptr_t)h / RF_TAG_GRANULE ^ h->allocated : 0)) {
    report_near(guard, h, address, &m);
  }
  return true;
}

/* Emulators take over the override from the end of the handler, not from the context: it is left on. */
static bool settle(const void *siginfo, void *context) {
  const siginfo_t *const info = siginfo;
  if (!rf_memory_tags_is_fault(info->si_code) || rf_memory_tags_is_late_fault(info->si_code)) {
    return false;
  }
  uint64_t const before = rf_memory_tags_pause();
  if (!report(info, context)) {
    rf_memory_tags_resume(before);
    return false;
  }
  unchecked = true; /* the access would only fail again */
  ((ucontext_t *)context)->uc_mcontext.pstate |= RF_TAG_CHECK_OVERRIDDEN;
  return true;
}

void rf_mte_watch(void) {
  if (begun) {
    rf_page_settle_also(settle);
  }
}

#else

const char *rf_mte_why_not(void) {
  return RF_MEMORY_TAGS_NEED;
}

void rf_mte_watch(void) {}

#endif
