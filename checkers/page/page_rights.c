/* The page store: blocks from whose pages the program has taken access rights. */
#define _GNU_SOURCE
#include "page_impl.h"

#include "checkers/os/host.h"
#include "checkers/os/open_again.h"

/* Only the program's own calls count: the store's come while a block is not live. */
static bool restrict_page(const rf_page_store *store, uintptr_t page, bool emptied) {
  rf_slot *const s = rf_runs_slot(store, page);
  if (s != NULL && rf_slot_state_of(s) == SLOT_LIVE) {
    if (emptied) {
      __atomic_store_n(&s->emptied, true, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&s->restricted, true, __ATOMIC_RELAXED);
    return true;
  }
  return false;
}

static bool restrict_pages(const rf_page_store *store, const void *start, size_t size, bool emptied) {
  bool any = false;
  uintptr_t const first = (uintptr_t)start;
  uintptr_t const last = size != 0 ? first + size - 1 : first;
  const rf_space *space = __atomic_load_n(&store->spaces, __ATOMIC_ACQUIRE);
  for (; space != NULL; space = space->next) {
    uintptr_t const end = space->start + (uintptr_t)space->pages * rf_page_size();
    for (uintptr_t at = first > space->start ? first : space->start; at < end && at <= last; at += rf_page_size()) {
      any = restrict_page(store, at, emptied) || any;
    }
  }
  return any;
}

bool rf_page_store_restricted(const rf_page_store *store, const void *start, size_t size) {
  return restrict_pages(store, start, size, false);
}

bool rf_page_store_emptied(const rf_page_store *store, const void *start, size_t size) {
  return restrict_pages(store, start, size, true);
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
