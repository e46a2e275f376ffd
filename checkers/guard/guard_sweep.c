/* rf_guard: sweeping a little at a time. */
#include "guard_impl.h"

#include <ringfence/port.h>

/* Blocks between two looks at the clock. */
#define BLOCKS_AT_ONCE 8U

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

size_t rf_guard_sweep_step(rf_guard *guard, uint64_t budget_ns) {
  rf_origin const origin = {NULL, (uintptr_t)__builtin_return_address(0), __builtin_frame_address(0)};
  uint64_t const begin = rf_port_now_ns();
  guard_cursor at = resume(guard);
  guard_cursor const start = {NULL, false, false, 0};
  size_t count = 0;
  for (unsigned i = 1; at.h != NULL; i++) {
    if (!at.intact) {
      keep(guard, start);
      return count + rf_guard_mend(guard, &origin);
    }
    count += rf_guard_report_damage(guard, at.h, &origin);
    rf_guard_next(guard, &at);
    if (i % BLOCKS_AT_ONCE == 0 && rf_port_now_ns() - begin >= budget_ns) {
      break;
    }
  }
  keep(guard, at);
  return count;
}
