#include "tools/service/intake/crash_loop.h"

static rf_crash_loop *find(rf_crash_loops *all, int64_t finding, int64_t program) {
  rf_crash_loop *oldest = &all->list[0];
  for (size_t i = 0; i < RF_CRASH_LOOPS; i++) {
    rf_crash_loop *const loop = &all->list[i];
    if (loop->finding == finding && loop->program == program) {
      return loop;
    }
    if (loop->finding == 0 || (oldest->finding != 0 && loop->last < oldest->last)) {
      oldest = loop;
    }
  }
  *oldest = (rf_crash_loop){.finding = 0};
  return oldest;
}

bool rf_crash_loops_add(rf_crash_loops *all, int64_t finding, int64_t program, int64_t pid, int64_t time) {
  rf_crash_loop *const loop = find(all, finding, program);
  int64_t const pause = time > loop->last ? time - loop->last : loop->last - time; /* records may come in any order */
  if (loop->finding == 0 || pause > RF_CRASH_LOOP_PAUSE_MS) {
    *loop = (rf_crash_loop){.finding = finding, .program = program, .began = time, .last = time};
  } else if (loop->pid == pid) {
    return false;
  }
  loop->pid = pid;
  loop->last = time > loop->last ? time : loop->last;
  loop->processes++;
  loop->changed = loop->processes >= RF_CRASH_LOOP_PROCESSES;
  return loop->processes == RF_CRASH_LOOP_PROCESSES;
}

void rf_crash_loops_write(rf_crash_loops *all, rf_store *store) {
  for (size_t i = 0; i < RF_CRASH_LOOPS; i++) {
    rf_crash_loop *const loop = &all->list[i];
    if (loop->changed) {
      loop->changed = false;
      rf_store_run(store,
                   "INSERT OR REPLACE INTO crash_loop(finding, program, began, last, processes) VALUES(?,?,?,?,?)",
                   "iiiii", loop->finding, loop->program, loop->began, loop->last, loop->processes);
    }
  }
}
