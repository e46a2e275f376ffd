/* The page store: blocks from whose pages the program has taken access rights. */
#define _GNU_SOURCE
#include "page_slack.h"

#include "checkers/os/host.h"
#include "checkers/os/open_again.h"

/* Only the program's own calls count: the store's come while a block is not live. */
static rf_slot *live_on(const rf_page_store *store, uintptr_t page) {
  rf_slot *const s = rf_runs_slot(store, page);
  rf_slot_state const state = s != NULL ? rf_slot_state_of(s) : SLOT_FREED;
  return state == SLOT_LIVE || state == SLOT_SWEPT ? s : NULL;
}

/* The live blocks on the pages, and what is done with each: false, for the rest to be passed over. */
static bool each_live(const rf_page_store *store, const void *start, size_t size, bool (*visit)(rf_slot *s)) {
  bool more = true;
  bool any = false;
  uintptr_t const first = (uintptr_t)start;
  uintptr_t const last = size != 0 ? first + size - 1 : first;
  const rf_space *space = __atomic_load_n(&store->spaces, __ATOMIC_ACQUIRE);
  for (; space != NULL && more; space = space->next) {
    uintptr_t const end = space->start + (uintptr_t)space->pages * rf_page_size();
    uintptr_t at = first > space->start ? first : space->start;
    for (; at < end && at <= last && more; at += rf_page_size()) {
      rf_slot *const s = live_on(store, at);
      more = s == NULL || visit(s);
      any = any || s != NULL;
    }
  }
  return any;
}

static bool stop(rf_slot *s) {
  (void)s;
  return false;
}

static bool restrict_slot(rf_slot *s) {
  __atomic_store_n(&s->restricted, true, __ATOMIC_RELAXED);
  return true;
}

static bool empty_slot(rf_slot *s) {
  __atomic_store_n(&s->emptied, true, __ATOMIC_RELAXED);
  return restrict_slot(s);
}

int rf_page_store_unseen(rf_page_store *store, const void *start, size_t size, int (*change)(void *), void *context) {
  if (!each_live(store, start, size, stop)) {
    return change(context);
  }
  rf_page_mask mask;
  rf_page_store_lock_as_it_is(store, &mask);
  int const answer = change(context);
  rf_page_store_unlock(store, &mask);
  return answer;
}

bool rf_page_store_restricted(const rf_page_store *store, const void *start, size_t size) {
  return each_live(store, start, size, restrict_slot);
}

bool rf_page_store_emptied(const rf_page_store *store, const void *start, size_t size) {
  return each_live(store, start, size, empty_slot);
}

bool rf_page_store_is_restricted(const rf_page_store *store, const void *address) {
  const rf_slot *const s = rf_runs_slot(store, (uintptr_t)address);
  return s != NULL && rf_slot_is_live(s) && rf_page_is_restricted(s);
}

uintptr_t rf_page_store_block_end(const rf_page_store *store, const void *address) {
  const rf_slot *const s = rf_runs_slot(store, (uintptr_t)address);
  bool const in_one =
      s != NULL && rf_slot_is_live(s) && !rf_page_is_restricted(s) && (uintptr_t)address - s->block < s->size;
  return in_one ? s->block + s->size : 0;
}

bool rf_page_is_restricted(const rf_slot *s) {
  return __atomic_load_n(&s->restricted, __ATOMIC_RELAXED);
}

static bool is_emptied(const rf_slot *s) {
  return __atomic_load_n(&s->emptied, __ATOMIC_RELAXED);
}

/* A block of no bytes has none that is open, but the program may have taken the rights of its first one: where a marker
 * closes that, the next block there needs them. */
static size_t pages_with_rights(const rf_slot *s) {
  size_t const index = (rf_slot_open_start(s) - s->space->start) / rf_page_size();
  bool const marked = index < __atomic_load_n(&s->space->armed, __ATOMIC_RELAXED);
  return s->pages == 0 && marked ? 1 : s->pages;
}

void rf_page_return_rights(rf_slot *s) {
  if (!rf_page_is_restricted(s)) {
    return;
  }
  void *const start = (void *)rf_slot_open_start(s);
  size_t const size = pages_with_rights(s) * rf_page_size();
  if (!rf_open_again(start, size)) {
    return;
  }
  if (is_emptied(s)) {
    rf_page_mend_empty_slack(s);
    __atomic_store_n(&s->emptied, false, __ATOMIC_RELAXED);
  }
  __atomic_store_n(&s->restricted, false, __ATOMIC_RELAXED);
}

bool rf_page_can_be_read(const rf_slot *s) {
  return !rf_page_is_restricted(s) ||
         (rf_host_readable((const void *)rf_slot_open_start(s), (size_t)s->pages * rf_page_size()) &&
          !(is_emptied(s) && rf_page_slack_is_empty(s)));
}
