/* The page store: opening and closing pages.
 *
 * Where the kernel has guard markers (Linux 6.13), pages that are closed one by one lie in a space that is readable and
 * writable as a whole; a marker stands on each page that is closed. The mapping stays one, whatever is opened and
 * closed. A space is armed from its start upward, some pages ahead of the blocks; behind that it has no access rights:
 *
 *     | marker | block | marker ........ | block | marker ...... | no rights ........ |
 *                                                                ^ armed
 *
 * Elsewhere, and where the kernel refuses markers (memory that is locked), access rights close pages: each run of them
 * is a mapping of its own.
 *
 * Spaces for the smallest blocks may be closed wherever they have no memory (page_mover.c), until that is given up.
 *
 * Complexity: O(pages), one system call. Threads: any, for different pages; arming under the store's lock.
 */
#include "page_impl.h"

#define ARMED_AT_ONCE 512U
#define LOOKS_ONE_IN 64U

static uint32_t armed(const rf_space *space) {
  return __atomic_load_n(&space->armed, __ATOMIC_ACQUIRE);
}

/* How many of the `size` bytes at `start` lie where markers close pages. */
static size_t marked_part(const rf_space *space, uintptr_t start, size_t size) {
  uintptr_t const end = space->start + (uintptr_t)armed(space) * rf_page_size();
  return start >= end ? 0 : end - start < size ? (size_t)(end - start) : size;
}

static bool is_locked(const rf_space *space) {
  return __atomic_load_n(&space->locked, __ATOMIC_RELAXED);
}

/* ---- Arming ---- */

void rf_page_arm(rf_space *space, uint32_t end) {
  uint32_t const from = space->armed;
  if (!space->marks || end <= from) {
    return;
  }
  uint32_t const rounded = (end + ARMED_AT_ONCE - 1) & ~(uint32_t)(ARMED_AT_ONCE - 1);
  uint32_t const to = rounded < space->pages ? rounded : space->pages;
  void *const start = (void *)(space->start + (uintptr_t)from * rf_page_size());
  size_t const size = (size_t)(to - from) * rf_page_size();
  /* The markers first: at no moment may the program touch what is not a block's. */
  bool const may = rf_page_mappings_are_free() && rf_page_data_is_free();
  if (may && rf_page_mark(start, size) && rf_page_open(start, size)) {
    __atomic_store_n(&space->armed, to, __ATOMIC_RELEASE);
    return;
  }
  (void)rf_page_unmark(start, size);
  space->marks = false;
}

/* ---- Ranges ---- */

/* In locked memory some pages may have been closed by their rights. */
static bool open_marked(const rf_space *space, uintptr_t start, size_t size) {
  return (!is_locked(space) || rf_page_open((void *)start, size)) && rf_page_unmark((void *)start, size);
}

static void close_marked(rf_space *space, uintptr_t start, size_t size) {
  if (!rf_page_mark((void *)start, size)) {
    __atomic_store_n(&space->locked, true, __ATOMIC_RELAXED);
    rf_page_shut((void *)start, size);
  }
}

/* Whether pages that have lost their memory are closed by that. The descriptor is looked at now and then only: a
 * program that closed it, which takes some effort, has it open until then. */
static bool is_closed_without(const rf_space *space) {
  static uint32_t count;
  if (__atomic_fetch_add(&count, 1, __ATOMIC_RELAXED) % LOOKS_ONE_IN == 0) {
    rf_page_mover_look();
  }
  __atomic_thread_fence(__ATOMIC_SEQ_CST); /* the memory is gone before: see rf_page_stop_moving */
  return rf_space_is_moving(space) && rf_page_mover_works();
}

bool rf_page_open_range(rf_space *space, uintptr_t start, size_t size) {
  if (rf_space_is_moving(space) && rf_page_mover_fill(start, size)) {
    return true;
  }
  size_t const marked = marked_part(space, start, size);
  if (marked != 0 && !open_marked(space, start, marked)) {
    return false;
  }
  if (marked == size || rf_page_open((void *)(start + marked), size - marked)) {
    return true;
  }
  if (marked != 0) {
    close_marked(space, start, marked);
  }
  return false;
}

void rf_page_close_range(rf_space *space, uintptr_t start, size_t size) {
  if (rf_space_is_moving(space)) {
    rf_page_mover_empty(start, size);
    if (!is_closed_without(space)) {
      close_marked(space, start, size);
    }
    return;
  }
  size_t const marked = marked_part(space, start, size);
  if (marked != 0) {
    close_marked(space, start, marked);
  }
  if (marked != size) {
    rf_page_close((void *)(start + marked), size - marked);
  }
}

/* ---- Slots ---- */

static size_t open_bytes(const rf_slot *s) {
  return (size_t)s->pages * rf_page_size();
}

bool rf_page_takes_mappings(const rf_slot *s) {
  return !rf_space_is_moving(s->space) && marked_part(s->space, rf_slot_open_start(s), open_bytes(s)) != open_bytes(s);
}

bool rf_page_is_clean(const rf_slot *s) {
  return !s->kept && !is_locked(s->space) && s->space->kind != SPACE_MOVING;
}

bool rf_page_open_slot(rf_slot *s) {
  if (s->pages == 0 || s->filled) {
    return true;
  }
  if (!s->counted && rf_page_takes_mappings(s)) {
    if (!rf_page_mapping_begin()) {
      return false;
    }
    s->counted = true;
  }
  if (rf_page_open_range(s->space, rf_slot_open_start(s), open_bytes(s))) {
    return true;
  }
  rf_page_drop(s);
  return false;
}

void rf_page_drop(rf_slot *s) {
  if (s->pages != 0) {
    rf_page_close_range(s->space, rf_slot_open_start(s), open_bytes(s));
  }
  if (s->counted) {
    rf_page_mapping_end();
  }
  s->counted = false;
  s->kept = false;
}

void rf_page_close_freed(const rf_page_store *store, rf_slot *s) {
  if (store->options.keeps_pages && s->pages == 1 && rf_page_takes_mappings(s)) {
    s->kept = true;
    rf_page_shut((void *)rf_slot_open_start(s), open_bytes(s));
  } else {
    rf_page_drop(s);
  }
}
