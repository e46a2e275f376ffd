#include <ringfence/checked.h>

#include "checkers/os/host.h"
#include "checkers/page/page_store.h"
#include "checkers/report/log_lines.h"
#include "choose_reporter.h"
#include "lib/core/compiler.h"
#include "mode_options.h"

/* ---- The process's store of stacks ---- */

#define DEPOT_BYTES ((size_t)64 * 1024 * 1024)

/* One for all guards, which share most stacks. NULL where the system has no memory for it. */
static rf_stack_depot *depot_of_process(void) {
  static rf_stack_depot depot;
  static bool tried;
  bool const locked = rf_host_report_lock();
  if (!tried) {
    tried = true;
    void *const memory = rf_host_map(DEPOT_BYTES);
    if (memory == NULL || rf_stack_depot_init(&depot, memory, DEPOT_BYTES) != RF_OK) {
      depot.buckets = NULL;
    }
  }
  if (depot.buckets != NULL && depot.added_call == NULL) {
    rf_options_keep_sites(&depot); /* the options of this allocator may be the first that name a collector */
  }
  if (locked) {
    rf_host_report_unlock();
  }
  return depot.buckets != NULL ? &depot : NULL;
}

/* ---- Messages ---- */

static const char *why_not(rf_mode wanted, rf_status status) {
  if (status == RF_ERR_INVALID) {
    return "its sample_rate or sample_slots is not allowed";
  }
  return wanted == RF_MODE_ASAN  ? "it needs a build with AddressSanitizer"
         : wanted == RF_MODE_MTE ? rf_mte_why_not()
                                 : rf_page_store_why_not();
}

RF_RARE static void print_fallback(rf_mode wanted, rf_mode instead, rf_status status) {
  static uint32_t said[RF_MODE_MTE + 1]; /* RISC-V has no atomic bytes */
  if (__atomic_exchange_n(&said[wanted], 1, __ATOMIC_RELAXED) != 0) {
    return;
  }
  const char *const why = why_not(wanted, status);
  rf_log_lines lines;
  const rf_sink *const out = rf_log_lines_init(&lines);
  rf_sink_str(out, "ringfence: mode ");
  rf_sink_str(out, rf_mode_name(wanted));
  rf_sink_str(out, " is not available (");
  rf_sink_str(out, why != NULL ? why : "the system has no memory for it");
  rf_sink_str(out, "); using mode ");
  rf_sink_str(out, rf_mode_name(instead));
  rf_sink_str(out, "\n");
}

/* ---- Wrapping ---- */

static rf_stack_depot *depot_for(unsigned stack_depth) {
  return stack_depth != 0 ? depot_of_process() : NULL;
}

static rf_guard_options guard_options(const rf_options *o, rf_reporter *reporter) {
  rf_guard_options guard = rf_options_for_guard(o);
  guard.depot = depot_for(guard.stack_depth);
  guard.reporter = reporter;
  return guard;
}

static rf_status wrap_in_guard(rf_checked *checked, rf_allocator *inner, const rf_options *o, rf_reporter *reporter) {
  rf_guard_options const guard = guard_options(o, reporter);
  return rf_guard_init(&checked->guard, inner, &guard);
}

static rf_status wrap_in_asan(rf_checked *checked, rf_allocator *inner, const rf_options *o, rf_reporter *reporter) {
  rf_guard_options const guard = guard_options(o, reporter);
  return rf_asan_init(&checked->guard, inner, &guard);
}

static rf_status wrap_in_mte(rf_checked *checked, rf_allocator *inner, const rf_options *o, rf_reporter *reporter) {
  rf_guard_options const guard = guard_options(o, reporter);
  return rf_mte_init(&checked->guard, inner, &guard);
}

static rf_status wrap_in_page(rf_checked *checked, rf_allocator *inner, const rf_options *o, rf_reporter *reporter) {
  rf_page_options page = rf_options_for_page(o);
  page.depot = depot_for(page.stack_depth);
  page.reporter = reporter;
  page.guarded.depot = page.depot;
  return rf_page_init(&checked->page, inner, &page);
}

static rf_status wrap_in_sample(rf_checked *checked, rf_allocator *inner, const rf_options *o, rf_reporter *reporter) {
  rf_sample_options sample = rf_options_for_sample(o);
  sample.depot = depot_for(sample.stack_depth);
  sample.reporter = reporter;
  return rf_sample_init(&checked->sample, inner, &sample);
}

/* Returns the mode that is in force. */
static rf_mode wrap(rf_checked *checked, rf_allocator *inner, const rf_options *o, rf_reporter *reporter) {
  switch (o->mode) {
  case RF_MODE_OFF:
    return RF_MODE_OFF;
  case RF_MODE_SAMPLE:
    checked->status = wrap_in_sample(checked, inner, o, reporter);
    if (checked->status == RF_OK) {
      return RF_MODE_SAMPLE;
    }
    print_fallback(RF_MODE_SAMPLE, RF_MODE_OFF, checked->status);
    return RF_MODE_OFF;
  case RF_MODE_PAGE:
    checked->status = wrap_in_page(checked, inner, o, reporter);
    if (checked->status == RF_OK) {
      return RF_MODE_PAGE;
    }
    print_fallback(RF_MODE_PAGE, RF_MODE_GUARD, checked->status);
    break;
  case RF_MODE_ASAN:
    checked->status = wrap_in_asan(checked, inner, o, reporter);
    if (checked->status == RF_OK) {
      return RF_MODE_ASAN;
    }
    print_fallback(RF_MODE_ASAN, RF_MODE_GUARD, checked->status);
    break;
  case RF_MODE_MTE:
    checked->status = wrap_in_mte(checked, inner, o, reporter);
    if (checked->status == RF_OK) {
      return RF_MODE_MTE;
    }
    print_fallback(RF_MODE_MTE, RF_MODE_GUARD, checked->status);
    break;
  case RF_MODE_GUARD:
    break;
  }
  return wrap_in_guard(checked, inner, o, reporter) == RF_OK ? RF_MODE_GUARD : RF_MODE_OFF;
}

static rf_allocator *allocator_of(rf_checked *checked, rf_allocator *inner) {
  switch (checked->mode) {
  case RF_MODE_SAMPLE:
    return &checked->sample.base;
  case RF_MODE_GUARD:
  case RF_MODE_ASAN:
  case RF_MODE_MTE:
    return &checked->guard.base;
  case RF_MODE_PAGE:
    return &checked->page.base;
  case RF_MODE_OFF:
    break;
  }
  return inner;
}

rf_allocator *rf_checked_init(rf_checked *checked, rf_allocator *inner, const rf_checked_options *options) {
  const rf_options *const o = options != NULL ? &options->settings : rf_options_of_process();
  if (checked == NULL || inner == NULL) {
    return inner;
  }
  rf_options_say(o, inner->ops->name);
  checked->status = RF_OK;
  checked->mode = wrap(checked, inner, o, rf_choose_reporter(&checked->log, options));
  return allocator_of(checked, inner);
}

size_t rf_checked_sweep(rf_checked *checked, uint32_t budget_us) {
  switch (checked->mode) {
  case RF_MODE_SAMPLE:
    return rf_sample_sweep(&checked->sample);
  case RF_MODE_GUARD:
  case RF_MODE_ASAN:
    return budget_us != 0 ? rf_guard_sweep_step(&checked->guard, (uint64_t)budget_us * 1000)
                          : rf_guard_sweep(&checked->guard);
  case RF_MODE_PAGE:
    return budget_us != 0 ? rf_page_sweep_step(&checked->page, (uint64_t)budget_us * 1000)
                          : rf_page_sweep(&checked->page);
  case RF_MODE_MTE:
    return rf_mte_sweep(&checked->guard, (uint64_t)budget_us * 1000);
  case RF_MODE_OFF:
    break;
  }
  return 0;
}

void rf_checked_flush(rf_checked *checked) {
  switch (checked->mode) {
  case RF_MODE_GUARD:
  case RF_MODE_ASAN:
  case RF_MODE_MTE:
    rf_guard_flush(&checked->guard, 0);
    break;
  case RF_MODE_PAGE:
    rf_guard_flush(&checked->page.guarded, 0); /* those on pages are given back at once */
    break;
  case RF_MODE_SAMPLE: /* so are all of them */
  case RF_MODE_OFF:
    break;
  }
}

void rf_checked_deinit(rf_checked *checked) {
  rf_allocator *const a = allocator_of(checked, NULL);
  checked->mode = RF_MODE_OFF;
  if (a != NULL) {
    a->ops->deinit(a);
    rf_log_reporter_close(&checked->log);
  }
}
