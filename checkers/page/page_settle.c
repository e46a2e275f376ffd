/* The page store: spaces whose memory moves become spaces with markers, and are registered again in a child of fork.
 *
 * Complexity: O(runs) and a system call for each row of closed pages. Threads: under the lock; others may open or close
 * pages that they have to themselves.
 */
#include "lib/core/compiler.h"
#include "page_impl.h"

static bool has_memory(const rf_slot *s) {
  return rf_slot_state_of(s) == SLOT_MAKING || rf_slot_is_live(s);
}

/* The first page behind all runs that were ever used. */
static uint32_t top_of(const rf_space *space) {
  uint32_t top = 0;
  for (const rf_slot *s = space->lowest; s != NULL; s = s->after) {
    top = rf_slot_state_of(s) == SLOT_HOLE ? top : s->run + s->length;
  }
  return top;
}

static void close_pages(rf_space *space, uint32_t from, uint32_t to) {
  if (from < to) {
    rf_page_close_range(space, space->start + (uintptr_t)from * rf_page_size(), (size_t)(to - from) * rf_page_size());
  }
}

/* Pages that are opened or closed meanwhile are so by threads that have them to themselves: those that are being closed
 * are closed twice, those that are being opened are passed over. */
static void stop_moving(rf_space *space) {
  uint32_t const top = top_of(space);
  uint32_t from = 0;
  space->marks = true;
  __atomic_store_n(&space->armed, top, __ATOMIC_RELEASE);
  __atomic_store_n(&space->moving, false, __ATOMIC_RELEASE);
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  rf_page_shut((void *)(space->start + (uintptr_t)top * rf_page_size()), (size_t)(space->pages - top) * rf_page_size());
  for (const rf_slot *s = space->lowest; s != NULL && s->run < top; s = s->after) {
    if (has_memory(s)) {
      close_pages(space, from, s->first);
      from = s->first + s->pages;
    }
  }
  close_pages(space, from, top);
}

RF_COLD void rf_page_stop_moving(rf_page_store *store) {
  store->moving = false;
  for (rf_space *space = store->spaces; space != NULL; space = space->next) {
    if (rf_space_is_moving(space)) {
      stop_moving(space);
    }
  }
}

bool rf_page_register_again(const rf_page_store *store) {
  bool registered = true;
  for (const rf_space *space = store->spaces; space != NULL && registered; space = space->next) {
    registered = !rf_space_is_moving(space) ||
                 rf_page_mover_register((void *)space->start, (size_t)space->pages * rf_page_size());
  }
  return registered;
}
