/* The page store's address space: runs of pages, by address in a list per space, holes also by size in lists of their
 * own.
 *
 * Complexity: a hole is found among those of the next larger power of two at once, or among at most TRIES of its own
 * size.
 */
#include "page_impl.h"

#include <ringfence/bits.h>

#if UINTPTR_MAX > UINT32_MAX
#define GAP_LEAST 8U
#define GAP_MOST 256U
#define SPACE_FIRST ((size_t)16 << 20) /* a limit that the program sets later counts all of it */
#define SPACE_MOST ((size_t)4 << 30)
#else
#define GAP_LEAST 1U
#define GAP_MOST 16U
#define SPACE_FIRST ((size_t)4 << 20)
#define SPACE_MOST ((size_t)64 << 20)
#endif
#define TRIES 16U

uint32_t rf_page_gap(uint32_t pages) {
  return pages < GAP_LEAST ? GAP_LEAST : pages > GAP_MOST ? GAP_MOST : pages;
}

/* ---- Holes by size ---- */

static unsigned bin_of(uint32_t length) {
  return rf_log2(length);
}

/* Blocks of many pages lie apart: access rights close them at a price that does not depend on their size. A store of
 * few blocks has one space for all. */
#define SMALL_MOST 32U

rf_space_kind rf_runs_kind(const rf_page_store *store, uint32_t pages) {
  return store->options.slots == 0 && pages > SMALL_MOST ? SPACE_LARGE : SPACE_SMALL;
}

static rf_slot **bin_for(rf_page_store *store, const rf_slot *s) {
  return &store->holes[s->space->kind][bin_of(s->length)];
}

static void add_hole(rf_page_store *store, rf_slot *s) {
  rf_slot **const bin = bin_for(store, s);
  s->previous = NULL;
  s->next = *bin;
  if (*bin != NULL) {
    (*bin)->previous = s;
  }
  *bin = s;
}

static void remove_hole(rf_page_store *store, rf_slot *s) {
  if (s->previous != NULL) {
    s->previous->next = s->next;
  } else {
    *bin_for(store, s) = s->next;
  }
  if (s->next != NULL) {
    s->next->previous = s->previous;
  }
}

static rf_slot *find_hole(const rf_page_store *store, rf_space_kind kind, uint32_t length) {
  rf_slot *const *const holes = store->holes[kind];
  unsigned tries = 0;
  unsigned bin = bin_of(length);
  for (rf_slot *s = holes[bin]; s != NULL && tries < TRIES; s = s->next, tries++) {
    if (s->length >= length) {
      return s;
    }
  }
  while (++bin < RF_PAGE_BINS) {
    if (holes[bin] != NULL) {
      return holes[bin];
    }
  }
  return NULL;
}

/* ---- Slots ---- */

static rf_slot *take_slot(rf_space *space) {
  rf_slot *s = space->spare;
  if (s != NULL) {
    space->spare = s->next;
    return s;
  }
  return space->used < space->capacity ? &space->slots[space->used++] : NULL;
}

static void drop_slot(rf_slot *s) {
  rf_slot_set_state(s, SLOT_SPARE);
  s->next = s->space->spare;
  s->space->spare = s;
}

/* ---- Spaces ---- */

static size_t rounded(size_t size) {
  return (size + rf_page_size() - 1) & ~(rf_page_size() - 1);
}

rf_page_bounds rf_page_all = {UINTPTR_MAX, 0};
static rf_mutex bounds_lock; /* inside that of a store, so nobody has it while a process forks */

/* The bounds grow, and whoever looks meanwhile sees more, never less: the size before the beginning. */
static void include(uintptr_t start, uintptr_t end) {
  rf_mutex_lock(&bounds_lock);
  uintptr_t const low = rf_page_all.low;
  uintptr_t const high = low + rf_page_all.size;
  bool const first = rf_page_all.size == 0;
  uintptr_t const new_low = first || start < low ? start : low;
  uintptr_t const new_high = first || end > high ? end : high;
  __atomic_store_n(&rf_page_all.size, new_high - new_low, __ATOMIC_RELAXED);
  __atomic_store_n(&rf_page_all.low, new_low, __ATOMIC_RELEASE);
  rf_mutex_unlock(&bounds_lock);
}

/* Opened first, which a limit of data may refuse: registered pages have no memory, however they are opened later. */
static bool make_moving(void *start, size_t bytes) {
  if (!rf_page_open(start, bytes)) {
    return false;
  }
  bool const registered = rf_page_mover_register(start, bytes);
  if (!registered) {
    rf_page_close(start, bytes);
  }
  return registered;
}

/* A space whose pages are one hole between two that are never anybody's: what runs past either end stops there. */
static rf_space *make_space(rf_page_store *store, rf_space_kind kind, size_t bytes) {
  size_t const pages = bytes / rf_page_size();
  size_t const slots = 2 * pages / (1 + (size_t)GAP_LEAST) + 4;
  size_t const table = rounded(sizeof(rf_space) + slots * sizeof(rf_slot));
  size_t const record_bytes = table + rounded(pages * sizeof(uint32_t));
  unsigned char *const records = (unsigned char *)rf_page_records(record_bytes);
  void *const start = rf_page_reserve(bytes);
  if (records == NULL || start == NULL) {
    rf_page_release(records, record_bytes);
    rf_page_release(start, bytes);
    return NULL;
  }
  rf_space *const space = (rf_space *)(void *)records;
  space->start = (uintptr_t)start;
  space->pages = (uint32_t)pages;
  space->kind = kind;
  space->moving = kind == SPACE_MOVING && make_moving(start, bytes);
  space->marks = kind != SPACE_LARGE && !space->moving && !store->options.shows_pages && rf_page_has_marks();
  space->capacity = (uint32_t)slots;
  space->slots = (rf_slot *)(void *)(records + sizeof(rf_space));
  space->owner = (uint32_t *)(void *)(records + table);
  space->record_bytes = record_bytes;
  rf_slot *const hole = take_slot(space);
  hole->space = space;
  hole->run = GAP_LEAST;
  hole->length = (uint32_t)pages - 2 * GAP_LEAST;
  space->lowest = hole;
  rf_slot_set_state(hole, SLOT_HOLE);
  add_hole(store, hole);
  space->next = store->spaces;
  store->reserved += bytes;
  include(space->start, space->start + bytes);
  __atomic_store_n(&store->spaces, space, __ATOMIC_RELEASE);
  return space;
}

_Static_assert(sizeof(rf_space) % _Alignof(rf_slot) == 0, "slots stand behind the space");

/* The program has to live on what spaces leave of a limit of address space. */
static size_t space_left(const rf_page_store *store) {
  size_t const share = store->options.slots != 0 ? SIZE_MAX : rf_page_space_share() & ~(rf_page_size() - 1);
  return share > store->reserved ? share - store->reserved : 0;
}

/* No more than half of that, down to a mebibyte: the kind of blocks that comes first would leave none to the others. */
static size_t part_of(size_t left) {
  return left > (size_t)2 << 20 ? (left / 2) & ~(rf_page_size() - 1) : left;
}

/* Room for a run of `length` pages. A store of few blocks has one space, which is made to measure. */
static bool grow(rf_page_store *store, rf_space_kind kind, uint32_t length) {
  size_t const needed = ((size_t)length + (size_t)2 * GAP_LEAST) * rf_page_size();
  size_t want = store->next_space[kind] != 0 ? store->next_space[kind] : SPACE_FIRST;
  if (store->options.slots != 0) {
    size_t const largest = rounded(store->options.largest) / rf_page_size();
    size_t const each = largest + rf_page_gap((uint32_t)largest);
    want = (store->options.slots * each + (size_t)2 * GAP_LEAST) * rf_page_size();
    if (store->spaces != NULL) {
      return false;
    }
    if (store->options.space != 0 && want > store->options.space) {
      want = rounded(store->options.space);
    }
  }
  size_t const left = space_left(store);
  if (left < needed) {
    return false;
  }
  size_t const most = part_of(left);
  want = want < most ? want : most;
  for (want = want > needed ? want : needed; make_space(store, kind, want) == NULL;
       want = want / 2 > needed ? want / 2 : needed) {
    if (want == needed) {
      return false;
    }
    want = rounded(want);
  }
  store->next_space[kind] = want < SPACE_MOST / 2 ? rounded(want * 2) : SPACE_MOST;
  return true;
}

bool rf_runs_reserve(rf_page_store *store) {
  return store->spaces != NULL || grow(store, SPACE_SMALL, 1 + GAP_LEAST);
}

/* ---- Taking and giving ---- */

/* The pages of `s` beyond `length` become a hole of their own; without a slot for that the run stays long. */
static void split(rf_page_store *store, rf_slot *s, uint32_t length) {
  rf_slot *const rest = s->length > length ? take_slot(s->space) : NULL;
  if (rest == NULL) {
    return;
  }
  rest->space = s->space;
  rest->run = s->run + length;
  rest->length = s->length - length;
  rest->before = s;
  rest->after = s->after;
  if (s->after != NULL) {
    s->after->before = rest;
  }
  s->after = rest;
  s->length = length;
  rf_slot_set_state(rest, SLOT_HOLE);
  add_hole(store, rest);
}

rf_slot *rf_runs_take(rf_page_store *store, rf_space_kind kind, uint32_t length) {
  rf_slot *s = find_hole(store, kind, length);
  /* All of a space whose pages move is open, and counts as data: within a limit that came later, no more are made. */
  if (s == NULL && kind == SPACE_MOVING && !rf_page_data_is_free()) {
    return rf_runs_take(store, SPACE_SMALL, length);
  }
  if (s == NULL && grow(store, kind, length)) {
    s = find_hole(store, kind, length);
  }
  if (s == NULL) {
    return NULL;
  }
  remove_hole(store, s);
  rf_slot_set_state(s, SLOT_MAKING);
  split(store, s, length);
  rf_page_arm(s->space, s->run + s->length);
  return s;
}

/* `s` takes in `next`, the hole that follows it. */
static void join(rf_slot *s, rf_slot *next) {
  s->length += next->length;
  s->after = next->after;
  if (next->after != NULL) {
    next->after->before = s;
  }
  drop_slot(next);
}

static bool is_hole(const rf_slot *s) {
  return s != NULL && rf_slot_state_of(s) == SLOT_HOLE;
}

bool rf_runs_extend(rf_page_store *store, rf_slot *s, uint32_t length, uint32_t wish) {
  if (length <= s->length) {
    return true;
  }
  if (!is_hole(s->after) || s->length + s->after->length < length) {
    return false;
  }
  remove_hole(store, s->after);
  join(s, s->after);
  split(store, s, wish > length ? wish : length);
  rf_page_arm(s->space, s->run + s->length);
  return true;
}

void rf_runs_give(rf_page_store *store, rf_slot *s) {
  rf_slot_set_state(s, SLOT_HOLE);
  if (is_hole(s->after)) {
    remove_hole(store, s->after);
    join(s, s->after);
  }
  if (is_hole(s->before)) {
    rf_slot *const before = s->before;
    remove_hole(store, before);
    join(before, s);
    s = before;
  }
  add_hole(store, s);
}

/* ---- The owner of a page ---- */

void rf_runs_mark(rf_slot *s, bool mine) {
  uint32_t const number = mine ? (uint32_t)(s - s->space->slots) + 1 : 0;
  uint32_t const count = s->pages != 0 ? s->pages : 1; /* a block of no bytes has a closed page to its name */
  for (uint32_t i = 0; i < count; i++) {
    __atomic_store_n(&s->space->owner[s->first + i], number, __ATOMIC_RELEASE);
  }
}

rf_space *rf_runs_space(const rf_page_store *store, uintptr_t address) {
  for (rf_space *s = __atomic_load_n(&store->spaces, __ATOMIC_ACQUIRE); s != NULL; s = s->next) {
    if (address - s->start < (uintptr_t)s->pages * rf_page_size()) {
      return s;
    }
  }
  return NULL;
}

static rf_slot *owner_at(const rf_space *space, uint32_t page) {
  uint32_t const number = __atomic_load_n(&space->owner[page], __ATOMIC_ACQUIRE);
  return number != 0 ? &space->slots[number - 1] : NULL;
}

rf_slot *rf_runs_slot(const rf_page_store *store, uintptr_t address) {
  const rf_space *const space = rf_runs_space(store, address);
  return space != NULL ? owner_at(space, (uint32_t)((address - space->start) / rf_page_size())) : NULL;
}

static rf_slot *search(const rf_space *space, uint32_t page, bool up, uint32_t most) {
  for (uint32_t i = 0; i < most; i++) {
    if (up ? page + 1 >= space->pages : page == 0) {
      return NULL;
    }
    page = up ? page + 1 : page - 1;
    rf_slot *const s = owner_at(space, page);
    if (s != NULL) {
      return s;
    }
  }
  return NULL;
}

rf_slot *rf_runs_nearest(const rf_page_store *store, uintptr_t address, uint32_t most) {
  const rf_space *const space = rf_runs_space(store, address);
  if (space == NULL) {
    return NULL;
  }
  uint32_t const page = (uint32_t)((address - space->start) / rf_page_size());
  rf_slot *const below = search(space, page, false, most);
  rf_slot *const above = search(space, page, true, most);
  if (below == NULL || above == NULL) {
    return below != NULL ? below : above;
  }
  return address - (below->block + below->size) < above->block - address ? below : above;
}
