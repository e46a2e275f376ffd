#include <ringfence/checked.h>

#include <ringfence/port.h>

#include "host.h"

static void log_write(void *context, const char *text, size_t size) {
  (void)context;
  rf_port_log(text, size);
}

static const rf_sink standard_error = {log_write, NULL};

/* ---- The process's store of stacks ---- */

#define DEPOT_BYTES ((size_t)64 * 1024 * 1024)

/* One for all guards: stacks are the same in each. NULL where there is no memory to be had for it. */
static rf_stack_depot *depot_of_process(void) {
  static rf_stack_depot depot;
  static bool tried;
  bool const turn = rf_host_turn_begin();
  if (!tried) {
    tried = true;
    void *const memory = rf_host_map(DEPOT_BYTES);
    if (memory == NULL || rf_stack_depot_init(&depot, memory, DEPOT_BYTES) != RF_OK) {
      depot.buckets = NULL;
    }
  }
  if (turn) {
    rf_host_turn_end();
  }
  return depot.buckets != NULL ? &depot : NULL;
}

/* ---- What is said at verbosity 1 ---- */

static void say_number(const char *name, size_t value) {
  rf_sink_str(&standard_error, name);
  if (value == SIZE_MAX) {
    rf_sink_str(&standard_error, "all");
  } else {
    rf_sink_uint(&standard_error, value);
  }
}

static void say_start(const rf_options *o, const rf_allocator *inner) {
  rf_sink_str(&standard_error, "ringfence: checking ");
  rf_sink_str(&standard_error, inner->ops->name);
  rf_sink_str(&standard_error, o->mode == RF_MODE_OFF ? ": mode off" : ": mode guard");
  if (o->mode == RF_MODE_GUARD) {
    say_number(", quarantine ", o->quarantine);
    say_number(", fill ", o->fill);
    say_number(", stack_depth ", o->stack_depth);
  }
  rf_sink_str(&standard_error, "\n");
}

/* ---- Wrapping ---- */

static rf_status wrap_in_guard(rf_checked *checked, rf_allocator *inner, const rf_options *o, rf_reporter *reporter) {
  rf_guard_options guard;
  rf_guard_options_default(&guard);
  guard.quarantine = o->quarantine;
  guard.fill_alloc = o->fill_alloc;
  guard.fill_free = o->fill;
  guard.move_below = o->move_below;
  guard.stack_depth = o->stack_depth;
  guard.depot = o->stack_depth != 0 ? depot_of_process() : NULL;
  guard.reporter = reporter;
  guard.leaks_at_deinit = o->leaks != RF_LEAKS_NONE;
  guard.sweep_at_deinit = o->sweep;
  return rf_guard_init(&checked->guard, inner, &guard);
}

/* NULL: the process's own. */
static rf_reporter *choose_reporter(rf_checked *checked, const rf_checked_options *options) {
  if (options == NULL) {
    return NULL;
  }
  if (options->reporter != NULL) {
    return options->reporter;
  }
  rf_log_reporter_init(&checked->log, &options->settings);
  return &checked->log.base;
}

rf_allocator *rf_checked_init(rf_checked *checked, rf_allocator *inner, const rf_checked_options *options) {
  const rf_options *const o = options != NULL ? &options->settings : rf_options_of_process();
  if (checked == NULL || inner == NULL) {
    return inner;
  }
  if (o->help) {
    rf_options_help(o, &standard_error);
  }
  if (o->verbosity != 0) {
    say_start(o, inner);
  }
  checked->mode = RF_MODE_OFF;
  if (o->mode != RF_MODE_GUARD || wrap_in_guard(checked, inner, o, choose_reporter(checked, options)) != RF_OK) {
    return inner;
  }
  checked->mode = RF_MODE_GUARD;
  return &checked->guard.base;
}

void rf_checked_deinit(rf_checked *checked) {
  if (checked->mode == RF_MODE_GUARD) {
    rf_allocator *const a = &checked->guard.base;
    checked->mode = RF_MODE_OFF;
    a->ops->deinit(a);
  }
}
