/* The page store: pages that a fault opened, for the program to go on. */
#include "lib/core/compiler.h"
#include "page_impl.h"

#include <string.h>

static void close_page(const rf_page_store *store, uintptr_t page) {
  rf_space *const space = rf_runs_space(store, page);
  if (space != NULL) {
    rf_page_close_range(space, page, rf_page_size());
  }
}

/* Whether it is being made comes first: meanwhile it may become live, but no live one is ever made again. */
static bool is_open_by_right(const rf_page_store *store, uintptr_t page) {
  const rf_slot *const s = rf_runs_slot(store, page);
  return s != NULL && (rf_slot_state_of(s) == SLOT_MAKING || rf_slot_is_live(s)) && page >= rf_slot_open_start(s) &&
         page < rf_slot_open_end(s);
}

void rf_page_reclose(rf_page_store *store) {
  uint32_t const count = __atomic_exchange_n(&store->reopened_count, 0, __ATOMIC_ACQ_REL);
  for (uint32_t i = 0; i < count && i < RF_PAGE_REOPENED; i++) {
    uintptr_t const page = store->reopened[i];
    if (!is_open_by_right(store, page)) {
      close_page(store, page);
    }
  }
}

/* A string whose end is missing ends in the gap: one finding, and not one for each page up to memory that ends the
 * process. */
#define GAP_READS_AS 0

/* One that is missing because the string was freed ends at the last byte of its pages. */
static void fill(const rf_slot *s, uintptr_t page) {
  bool const freed = rf_slot_state_of(s) == SLOT_FREED && page >= rf_slot_open_start(s) && page < rf_slot_open_end(s);
  unsigned char *const p = (unsigned char *)page;
  memset(p, freed ? RF_PATTERN_FREED : GAP_READS_AS, rf_page_size());
  if (freed && page + rf_page_size() == rf_slot_open_end(s)) {
    p[rf_page_size() - 1] = GAP_READS_AS;
  }
}

static void note(rf_page_store *store, uintptr_t page) {
  uint32_t const index = __atomic_fetch_add(&store->reopened_count, 1, __ATOMIC_ACQ_REL);
  uintptr_t *const place = &store->reopened[index % RF_PAGE_REOPENED];
  uintptr_t const old = *place;
  *place = page;
  if (index >= RF_PAGE_REOPENED && old != page && !is_open_by_right(store, old)) {
    close_page(store, old);
  }
}

RF_COLD bool rf_page_reopen(rf_page_store *store, const rf_slot *s, uintptr_t address) {
  uintptr_t const page = address & ~(uintptr_t)(rf_page_size() - 1);
  bool const other = is_open_by_right(store, page); /* a block's by now, with contents of its own */
  bool const open = other || rf_page_open_range(s->space, page, rf_page_size());
  if (open && !other) {
    fill(s, page);
    note(store, page);
  }
  return open;
}
