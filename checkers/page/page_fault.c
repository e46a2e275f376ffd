/* The page store: a fault becomes a finding. */
#include "page_impl.h"

#include "checkers/os/host.h"
#include "lib/core/compiler.h"

/* Sets *bug by where the address lies relative to the block; false where the block's state makes it no error. */
RF_COLD static bool classify(const rf_slot *s, uintptr_t address, rf_bug *bug) {
  rf_slot_state const state = rf_slot_state_of(s);
  bool const freed = state == SLOT_FREED;
  bool const open = address >= rf_slot_open_start(s) && address < rf_slot_open_end(s);
  if (state == SLOT_SPARE || state == SLOT_HOLE) {
    return false;
  }
  if (open && !freed) {
    return false; /* the page is open: another thread was faster, or it is the kernel that has nothing to give */
  }
  /* All pages of a freed block are freed: vector instructions of strlen and its like begin before the block. */
  *bug = open ? RF_BUG_USE_AFTER_FREE : address < s->block ? RF_BUG_BUFFER_UNDERFLOW : RF_BUG_BUFFER_OVERFLOW;
  return true;
}

static void begin(const rf_page_store *store, const rf_slot *s, rf_bug bug, uintptr_t address, rf_access access,
                  const rf_origin *origin, rf_finding *f) {
  rf_page_finding(store, f, bug, access, (const void *)address, origin);
  rf_page_finding_block(store, f, s);
  f->at_access = true;
}

/* True of a read of a page's first byte with no block near it. A program that reads a whole mapping meets closed pages
 * so. */
static bool reads_all(const rf_finding *f) {
  uintptr_t const end = f->block + f->size;
  bool const far = (f->bug == RF_BUG_BUFFER_UNDERFLOW && f->block - f->address >= rf_page_size()) ||
                   (f->bug == RF_BUG_BUFFER_OVERFLOW && f->address - end >= rf_page_size());
  return far && f->access == RF_ACCESS_READ && f->address % rf_page_size() == 0;
}

static const char *detail_of(const rf_page_store *store, const rf_finding *f) {
  if (store->ended) {
    return "the allocator was ended";
  }
  return store->options.read_all != NULL && reads_all(f) ? store->options.read_all : store->options.note;
}

RF_COLD static void report(const rf_page_store *store, const rf_slot *s, rf_bug bug, uintptr_t address,
                           rf_access access, const rf_origin *origin) {
  rf_finding f;
  begin(store, s, bug, address, access, origin, &f);
  f.detail = detail_of(store, &f);
  rf_finding_at_instruction(&f);
  rf_report(store->options.reporter, &f);
}

#define REPEATS_MOST 64U

/* A thread does not repeat an instruction for ever that the page is not to blame for. */
static bool may_repeat(uintptr_t address) {
  static RF_THREAD_LOCAL uintptr_t last;
  static RF_THREAD_LOCAL unsigned count;
  count = address == last ? count + 1 : 0;
  last = address;
  return count < REPEATS_MOST;
}

/* The page is that of a block which has become live since the fault, by another thread, or is about to: the instruction
 * is done again. Where closed pages have no memory, one that is live may have none either: the program has given it
 * back. */
static bool opens_again(const rf_slot *s, uintptr_t address) {
  uintptr_t const page = address & ~(uintptr_t)(rf_page_size() - 1);
  rf_slot_state const state = rf_slot_state_of(s);
  if ((state != SLOT_MAKING && !rf_slot_is_live(s)) || rf_page_is_restricted(s)) {
    return false;
  }
  if (rf_space_is_moving(s->space) || state == SLOT_MAKING) {
    return rf_page_open_range(s->space, page, rf_page_size());
  }
  return may_repeat(address) && rf_host_readable((const void *)page, 1);
}

/* Under the lock: another thread closes no page that is being filled. */
static bool reopen(rf_page_store *store, const rf_slot *s, uintptr_t address) {
  rf_page_mask mask;
  rf_page_store_lock_as_it_is(store, &mask);
  bool const open = rf_page_reopen(store, s, address);
  rf_page_store_unlock(store, &mask);
  return open;
}

bool rf_page_fault(uintptr_t address, rf_access access, uintptr_t pc, const void *frame) {
  rf_origin const origin = {NULL, pc, frame};
  for (rf_page_store *store = rf_page_stores(); store != NULL; store = store->other) {
    if (!rf_page_store_in_use(store) || rf_runs_space(store, address) == NULL) {
      continue;
    }
    rf_bug bug = RF_BUG_COUNT;
    const rf_slot *s = rf_runs_slot(store, address);
    s = s != NULL ? s : rf_runs_nearest(store, address, UINT32_MAX);
    if (s == NULL || !classify(s, address, &bug)) {
      return s != NULL && opens_again(s, address);
    }
    report(store, s, bug, address, access, &origin);
    return reopen(store, s, address);
  }
  return false;
}

/* ---- Transfers: calls for which the system was to touch the memory ---- */

static bool is_closed(const rf_page_store *store, uintptr_t address) {
  const rf_slot *const s = rf_runs_slot(store, address);
  rf_slot_state const state = s != NULL ? rf_slot_state_of(s) : SLOT_HOLE;
  bool const open = state != SLOT_HOLE && address >= rf_slot_open_start(s) && address < rf_slot_open_end(s);
  return !open || state == SLOT_FREED;
}

bool rf_page_store_report_transfer(const rf_page_store *store, const void *start, size_t look, size_t size,
                                   rf_access access, const rf_origin *origin) {
  uintptr_t at = (uintptr_t)start;
  const rf_space *const space = rf_page_may_be(start) ? rf_runs_space(store, at) : NULL;
  if (space == NULL) {
    return false;
  }
  uintptr_t const rest = space->start + (uintptr_t)space->pages * rf_page_size() - at;
  uintptr_t const end = at + (look < rest ? look : rest);
  while (at < end && !is_closed(store, at)) {
    at = (at | (rf_page_size() - 1)) + 1;
  }
  rf_bug bug = RF_BUG_COUNT;
  const rf_slot *s = at < end ? rf_runs_slot(store, at) : NULL;
  s = s == NULL && at < end ? rf_runs_nearest(store, at, UINT32_MAX) : s;
  if (s == NULL || !classify(s, at, &bug)) {
    return false;
  }
  rf_finding f;
  begin(store, s, bug, at, access, origin, &f);
  f.access_size = size != 0 ? size - (size_t)(at - (uintptr_t)start) : 0;
  f.detail = "found at the call that was to access it";
  rf_report(store->options.reporter, &f);
  return true;
}
