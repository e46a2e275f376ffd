/* The page store: the memory of freed blocks goes to blocks to come.
 *
 *     free A:  | A ...... gap |  ->  | closed ..... |     the memory of A's page, full of the pattern of slack again,
 *              | hole ....... |  ->  | page ... gap |     waits in a run that is ready for the next block
 *
 * One system call closes the one and opens the other. RF_PAGE_READY runs at most are ready, so that after a peak the
 * memory is given back to the system. A run that is ready is open, though nobody's: no pointer to it was given to the
 * program since the quarantine was done with it, and an overflow from a block ends in the gap behind that.
 *
 * Complexity: O(1). Threads: as page_store.h.
 */
#include "page_impl.h"

#include <string.h>

#define RUN_LENGTH (1 + rf_page_gap(1))

/* ---- A block is freed ---- */

/* With a full quarantine, the block that has waited longest makes room for the one that is freed, and its run
 * serves as it is: no hole is made, joined and split, and runs come round in the order in which they lie. */
static rf_slot *take_oldest(rf_page_store *store) {
  const rf_slot *const s = store->oldest;
  bool const serves =
      s != NULL && s->pages == 1 && s->first == s->run && s->length == RUN_LENGTH && rf_space_is_moving(s->space);
  if (!serves || store->quarantined + (size_t)s->length * rf_page_size() <= store->options.quarantine) {
    return NULL;
  }
  rf_slot *const to = rf_page_unqueue_oldest(store);
  rf_slot_set_state(to, SLOT_MAKING);
  return to;
}

static rf_slot *take_target(rf_page_store *store) {
  rf_slot *to = take_oldest(store);
  if (to == NULL) {
    to = rf_runs_take(store, SPACE_MOVING, RUN_LENGTH);
  }
  if (to == NULL || !rf_space_is_moving(to->space)) {
    if (to != NULL) {
      rf_runs_give(store, to);
    }
    return NULL;
  }
  to->first = to->run;
  to->pages = 1;
  to->filled = false;
  rf_runs_mark(to, true);
  store->ready_count++;
  return to;
}

rf_slot *rf_page_move_target(rf_page_store *store, const rf_slot *s) {
  rf_page_mask mask;
  rf_slot *to = NULL;
  if (!rf_space_is_moving(s->space) || s->pages != 1 || !rf_page_enter(store, &mask)) {
    return NULL;
  }
  if (store->moving && store->ready_count < RF_PAGE_READY) {
    to = take_target(store);
  }
  rf_page_leave(store, &mask);
  return to;
}

bool rf_page_move_memory(rf_slot *to, const rf_slot *s) {
  uintptr_t const page = rf_slot_open_start(to);
  if (!rf_page_mover_move(page, rf_slot_open_start(s))) {
    rf_page_mover_look();
    return false;
  }
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  if (!rf_space_is_moving(s->space)) { /* another thread went over to markers, and passed this block over */
    rf_page_close_range(s->space, rf_slot_open_start(s), rf_page_size());
  }
  memset((void *)(page + (s->block - rf_slot_open_start(s))), RF_PATTERN_REDZONE, s->size);
  return true;
}

void rf_page_move_end(rf_page_store *store, rf_slot *to, bool moved) {
  if (to == NULL) {
    return;
  }
  if (moved) {
    to->filled = true;
    to->next = store->ready;
    store->ready = to;
    return;
  }
  if (!rf_space_is_moving(to->space)) {
    rf_page_close_range(to->space, rf_slot_open_start(to), rf_page_size());
  }
  store->ready_count--;
  rf_runs_mark(to, false);
  rf_runs_give(store, to);
}

rf_slot *rf_page_ready_run(rf_page_store *store) {
  rf_slot *const s = store->ready;
  if (s != NULL) {
    store->ready = s->next;
    store->ready_count--;
  }
  return s;
}
