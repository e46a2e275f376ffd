/* rf_guard: sweeps, whole or a little at a time. */
#include "guard_impl.h"

/* ---- The whole heap ---- */

static size_t sweep_inner(rf_guard *guard, const rf_origin *origin) {
  rf_fault where = {RF_OK, NULL, NULL, NULL, NULL};
  if (rf_guard_inner_is_whole(guard, &where) || guard->inner_reported) {
    return 0;
  }
  guard->inner_reported = true;
  rf_finding f;
  rf_guard_finding(guard, &f, RF_BUG_METADATA, RF_ACCESS_WRITE, where.ptr, origin);
  rf_guard_blame_before(guard, &f);
  f.detail = where.what != NULL ? where.what : "the allocator's own data contradict themselves";
  rf_report(guard->options.reporter, &f);
  return 1;
}

size_t rf_guard_sweep_from(rf_guard *guard, const rf_origin *origin) {
  origin = rf_origin_or_none(origin);
  size_t count = rf_guard_repair(guard, origin);
  for (guard_cursor at = rf_guard_first(guard); at.h != NULL; rf_guard_next(guard, &at)) {
    count += at.intact ? rf_guard_report_damage(guard, at.h, origin) : 0; /* repair has left none that is not */
  }
  return count + sweep_inner(guard, origin);
}

size_t rf_guard_sweep(rf_guard *guard) {
  rf_origin const origin = RF_ORIGIN_HERE(NULL);
  rf_track_enter();
  size_t const count = rf_guard_sweep_from(guard, &origin);
  rf_track_leave();
  return count;
}

/* ---- A little at a time ---- */

/* Blocks between two looks at the clock. */
#define BLOCKS_AT_ONCE 8U

/* The block at which the last step stopped, if it is still there; else the first one. */
static guard_cursor resume(const rf_guard *guard) {
  guard_cursor at = {guard->swept, true, guard->swept_freed, guard->swept_queue, {NULL, 0}};
  if (at.h != NULL && rf_guard_reachable(guard, payload_of(at.h)) && intact(guard, at.h) &&
      state_of(at.h) == (at.freed ? STATE_FREED : STATE_LIVE)) {
    return at;
  }
  return rf_guard_first(guard);
}

static void keep(rf_guard *guard, guard_cursor at) {
  guard->swept = at.h;
  guard->swept_freed = at.freed;
  guard->swept_queue = at.queue;
}

size_t rf_guard_sweep_step(rf_guard *guard, uint64_t budget_ns) {
  rf_origin const origin = RF_ORIGIN_HERE(NULL);
  uint64_t const begin = rf_port_now_ns();
  guard_cursor at = resume(guard);
  guard_cursor const start = {NULL, false, false, 0, {NULL, 0}};
  size_t count = 0;
  for (unsigned i = 1; at.h != NULL; i++) {
    if (!at.intact) {
      keep(guard, start);
      return count + rf_guard_repair(guard, &origin);
    }
    count += rf_guard_report_damage(guard, at.h, &origin);
    rf_guard_next(guard, &at);
    /* Not before a damaged block, from which no step goes on: each would end there. */
    if (i % BLOCKS_AT_ONCE == 0 && at.intact && rf_port_now_ns() - begin >= budget_ns) {
      break;
    }
  }
  keep(guard, at);
  return count;
}
