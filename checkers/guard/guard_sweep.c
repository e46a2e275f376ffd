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
    count += rf_guard_report_damage(guard, at.h, origin);
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

/* Blocks between two looks at the clock. */
#define BLOCKS_AT_ONCE 8U

typedef enum sweep_end { SWEEP_DONE, SWEEP_LATE, SWEEP_DAMAGED } sweep_end;

/* From `at` on, the live blocks or the freed ones. Stops at a damaged header. */
static sweep_end sweep_until(rf_guard *guard, guard_cursor at, uint64_t end_ns, const rf_origin *origin,
                             size_t *count) {
  bool const freed = at.freed;
  for (unsigned i = 1; at.h != NULL && at.freed == freed; i++) {
    if (!at.intact) {
      return SWEEP_DAMAGED;
    }
    *count += rf_guard_report_damage(guard, at.h, origin);
    rf_guard_next(guard, &at);
    if (i % BLOCKS_AT_ONCE == 0 && rf_port_now_ns() >= end_ns) {
      return SWEEP_LATE;
    }
  }
  return SWEEP_DONE;
}

size_t rf_guard_sweep_within(rf_guard *guard, uint64_t budget_ns, const rf_origin *origin) {
  origin = rf_origin_or_none(origin);
  uint64_t const begin = rf_port_now_ns();
  size_t count = 0;
  sweep_end const freed = sweep_until(guard, rf_guard_first_freed(guard), begin + budget_ns / 2, origin, &count);
  sweep_end const live = freed == SWEEP_DAMAGED
                             ? SWEEP_DAMAGED
                             : sweep_until(guard, rf_guard_first(guard), begin + budget_ns, origin, &count);
  if (live == SWEEP_DAMAGED) {
    return count + rf_guard_sweep_from(guard, origin);
  }
  return count + (freed == SWEEP_DONE && live == SWEEP_DONE ? sweep_inner(guard, origin) : 0);
}

/* ---- A little at a time ---- */

/* Where the last step stopped, if the block there is still what it was; else the beginning. */
static guard_cursor resume(const rf_guard *guard) {
  guard_cursor at = {guard->swept, true, guard->swept_freed, guard->swept_queue};
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

size_t rf_guard_sweep_step_from(rf_guard *guard, uint64_t budget_ns, const rf_origin *origin) {
  origin = rf_origin_or_none(origin);
  uint64_t const begin = rf_port_now_ns();
  guard_cursor at = resume(guard);
  guard_cursor const start = {NULL, false, false, 0};
  size_t count = 0;
  for (unsigned i = 1; at.h != NULL; i++) {
    if (!at.intact) {
      keep(guard, start);
      return count + rf_guard_repair(guard, origin);
    }
    count += rf_guard_report_damage(guard, at.h, origin);
    rf_guard_next(guard, &at);
    if (i % BLOCKS_AT_ONCE == 0 && rf_port_now_ns() - begin >= budget_ns) {
      break;
    }
  }
  keep(guard, at);
  return count;
}

size_t rf_guard_sweep_step(rf_guard *guard, uint64_t budget_ns) {
  rf_origin const origin = RF_ORIGIN_HERE(NULL);
  return rf_guard_sweep_step_from(guard, budget_ns, &origin);
}
