/* The handle heap: its calls, but those for another size. */
#include "handle_impl.h"

#include <ringfence/track.h>

#include <string.h>

#define GENERATIONS 0x7FFFU

/* ---- Refusals ---- */

static rf_status refuse(rf_status status, const char *what, const void *at, const rf_site *site) {
  return rf_fault_refuse(NULL, status, what, at, site);
}

rf_status rf_handle_refuse_damaged(const rf_handle_heap *heap, const rf_site *site) {
  return refuse(RF_ERR_CORRUPT, "handle heap: its table or record was overwritten", heap, site);
}

/* A handle as the pointer that a fault carries. */
static const void *as_pointer(rf_handle handle) {
  return (const void *)(uintptr_t)handle;
}

/* ---- Handles ---- */

static rf_handle handle_of(size_t index, const rf_handle_entry *e) {
  return (rf_handle)(e->generation << 16 | index);
}

rf_status rf_handle_resolve(const rf_handle_heap *heap, rf_handle handle, size_t *index, rf_handle_entry *e) {
  unsigned const generation = handle >> 16;
  *index = handle & 0xFFFFU;
  if (!rf_handle_intact(heap)) {
    return RF_ERR_CORRUPT;
  }
  if (*index == 0 || *index > heap->blocks || generation > GENERATIONS) {
    return RF_ERR_INVALID;
  }
  if (!rf_handle_load(heap, *index, e)) {
    return RF_ERR_CORRUPT;
  }
  if (e->live && e->generation == generation && e->locks != HANDLE_HELD) {
    return RF_OK;
  }
  return generation < e->generation ? RF_ERR_NOT_ALLOCATED : RF_ERR_INVALID;
}

rf_status rf_handle_known(const rf_handle_heap *heap, rf_handle handle, size_t *index, rf_handle_entry *e,
                          const rf_site *site) {
  rf_status const status = rf_handle_resolve(heap, handle, index, e);
  if (status == RF_ERR_CORRUPT) {
    (void)rf_handle_refuse_damaged(heap, site);
  } else if (status == RF_ERR_NOT_ALLOCATED) {
    (void)refuse(status, "stale handle: its block was freed", as_pointer(handle), site);
  } else if (status != RF_OK) {
    (void)refuse(status, "not a handle of this heap", as_pointer(handle), site);
  }
  return status;
}

/* ---- Allocation ---- */

/* The lowest place that is free; RF_ERR_NO_MEMORY where none is. */
static rf_status free_place(rf_handle_heap *heap, size_t *index, rf_handle_entry *e) {
  if (heap->counters.blocks >= heap->blocks) {
    return RF_ERR_NO_MEMORY;
  }
  for (*index = heap->lowest; *index <= heap->blocks; ++*index) {
    if (!rf_handle_load(heap, *index, e)) {
      return RF_ERR_CORRUPT;
    }
    if (!e->live) {
      heap->lowest = *index;
      return RF_OK;
    }
  }
  return RF_ERR_CORRUPT;
}

static rf_status try_take(rf_handle_heap *heap, size_t size, size_t align, unsigned flags, unsigned locks,
                          size_t *index) {
  rf_handle_entry e;
  rf_handle_gap gap;
  size_t at;
  size_t const extent = rf_handle_extent(heap, size);
  rf_status status = free_place(heap, index, &e);
  if (status == RF_OK) {
    status = rf_handle_find_gap(heap, extent, align, &gap, &at);
  }
  if (status == RF_ERR_NO_MEMORY && heap->counters.blocks < heap->blocks && (flags & RF_HANDLE_STAY) == 0) {
    status = rf_handle_compact_for(heap, extent, align, &gap, &at);
  }
  if (status == RF_OK && !rf_handle_are_neighbours(heap, gap.before, gap.after)) {
    status = RF_ERR_CORRUPT;
  }
  if (status != RF_OK) {
    return status;
  }
  e.offset = at;
  e.size = size;
  e.live = true;
  e.locks = locks;
  e.next = 0;
  e.prev = 0;
  rf_handle_store(heap, *index, &e);
  rf_handle_link(heap, gap.before, *index, gap.after);
  heap->occupied += extent;
  heap->peak_occupied = heap->peak_occupied < heap->occupied ? heap->occupied : heap->peak_occupied;
  heap->locked += locks != 0 ? 1 : 0;
  heap->lowest = *index + 1;
  heap->recent = *index; /* so that it can be given back where damage keeps others from being found */
  rf_count_alloc(&heap->counters, size);
  return RF_OK;
}

bool rf_handle_ask(rf_handle_heap *heap, unsigned attempt, size_t size) {
  if (heap->on_short == NULL || heap->asking != 0 || attempt > RF_HANDLE_SHORT_ATTEMPTS) {
    return false;
  }
  heap->asking = 1;
  rf_handle_update_checksum(heap);
  bool const again = heap->on_short(heap->short_context, attempt, size);
  heap->asking = 0;
  return again && rf_handle_intact(heap);
}

rf_status rf_handle_take(rf_handle_heap *heap, size_t size, size_t align, unsigned flags, unsigned locks,
                         size_t *index) {
  rf_status status = RF_ERR_NO_MEMORY;
  unsigned attempt = 0;
  bool const quiet = (flags & RF_HANDLE_TRY) != 0;
  if (size > heap->size || align > RF_SIZE_LIMIT / 2) {
    heap->counters.failures += quiet ? 0 : 1; /* nobody can help */
    rf_handle_update_checksum(heap);
    return status;
  }
  do {
    status = try_take(heap, size, align, flags, locks, index);
    attempt++;
  } while (status == RF_ERR_NO_MEMORY && !quiet && rf_handle_ask(heap, attempt, size));
  heap->counters.failures += status == RF_OK || quiet ? 0 : 1;
  rf_handle_update_checksum(heap);
  return status;
}

rf_handle rf_handle_heap_alloc(rf_handles *self, size_t size, unsigned flags, const rf_site *site) {
  rf_handle_heap *const heap = handle_heap_of(self);
  size_t index;
  rf_handle_entry e;
  if (size == 0 || size > RF_SIZE_LIMIT) {
    return RF_HANDLE_NULL;
  }
  if (!rf_handle_intact(heap)) {
    (void)rf_handle_refuse_damaged(heap, site);
    return RF_HANDLE_NULL;
  }
  rf_status const status = rf_handle_take(heap, size, heap->align, flags, 0, &index);
  if (status == RF_ERR_CORRUPT) {
    (void)rf_handle_refuse_damaged(heap, site);
  }
  if (status != RF_OK || !rf_handle_load(heap, index, &e)) {
    return RF_HANDLE_NULL;
  }
  rf_track_alloc(rf_handle_at(heap, e.offset), size);
  if ((flags & RF_HANDLE_NO_ZERO) == 0) {
    memset(rf_handle_at(heap, e.offset), 0, size);
  }
  return handle_of(index, &e);
}

/* ---- Freeing ---- */

rf_status rf_handle_drop(rf_handle_heap *heap, size_t index) {
  rf_handle_entry e;
  if (!rf_handle_load(heap, index, &e) || !rf_handle_unlink(heap, index)) {
    return RF_ERR_CORRUPT;
  }
  size_t const extent = rf_handle_extent(heap, e.size);
  if (heap->packed == index) {
    heap->packed = e.prev;
  } else {
    rf_handle_hole_behind(heap, e.prev);
  }
  rf_track_fill(rf_handle_at(heap, e.offset), RF_HANDLE_FILL_FREE, extent);
  rf_track_free(rf_handle_at(heap, e.offset), extent);
  rf_handle_entry const gone = {.generation = (e.generation + 1) & GENERATIONS};
  rf_handle_store(heap, index, &gone);
  heap->occupied -= extent;
  heap->locked -= e.locks != 0 ? 1 : 0;
  heap->lowest = index < heap->lowest ? index : heap->lowest;
  rf_count_free(&heap->counters, e.size);
  rf_handle_update_checksum(heap);
  return RF_OK;
}

rf_status rf_handle_heap_free(rf_handles *self, rf_handle handle, const rf_site *site) {
  rf_handle_heap *const heap = handle_heap_of(self);
  size_t index;
  rf_handle_entry e;
  rf_status const status = rf_handle_known(heap, handle, &index, &e, site);
  if (status != RF_OK) {
    return status;
  }
  if (e.locks != 0) {
    return refuse(RF_ERR_BUSY, "free of a locked block", as_pointer(handle), site);
  }
  return rf_handle_drop(heap, index) == RF_OK ? RF_OK : rf_handle_refuse_damaged(heap, site);
}

/* ---- Addresses and locks ---- */

void *rf_handle_heap_address(rf_handles *self, rf_handle handle, const rf_site *site) {
  rf_handle_heap *const heap = handle_heap_of(self);
  size_t index;
  rf_handle_entry e;
  return rf_handle_known(heap, handle, &index, &e, site) == RF_OK ? rf_handle_at(heap, e.offset) : NULL;
}

void *rf_handle_heap_lock(rf_handles *self, rf_handle handle, const rf_site *site) {
  rf_handle_heap *const heap = handle_heap_of(self);
  size_t index;
  rf_handle_entry e;
  if (rf_handle_known(heap, handle, &index, &e, site) != RF_OK) {
    return NULL;
  }
  if (e.locks == RF_HANDLE_MOST_LOCKS) {
    (void)refuse(RF_ERR_INVALID, "locked too often", as_pointer(handle), site);
    return NULL;
  }
  heap->locked += e.locks == 0 ? 1 : 0;
  heap->recent = index;
  e.locks++;
  rf_handle_store(heap, index, &e);
  rf_handle_update_checksum(heap);
  return rf_handle_at(heap, e.offset);
}

rf_status rf_handle_heap_unlock(rf_handles *self, rf_handle handle, const rf_site *site) {
  rf_handle_heap *const heap = handle_heap_of(self);
  size_t index;
  rf_handle_entry e;
  rf_status const status = rf_handle_known(heap, handle, &index, &e, site);
  if (status != RF_OK) {
    return status;
  }
  if (e.locks == 0) {
    return refuse(RF_ERR_INVALID, "unlock of a block that is not locked", as_pointer(handle), site);
  }
  e.locks--;
  heap->locked -= e.locks == 0 ? 1 : 0;
  rf_handle_store(heap, index, &e);
  rf_handle_update_checksum(heap);
  return RF_OK;
}

size_t rf_handle_heap_size(rf_handles *self, rf_handle handle, const rf_site *site) {
  size_t index;
  rf_handle_entry e;
  return rf_handle_known(handle_heap_of(self), handle, &index, &e, site) == RF_OK ? e.size : 0;
}

static bool starts_at(const rf_handle_heap *heap, size_t index, const void *ptr) {
  rf_handle_entry e;
  return index != 0 && rf_handle_load(heap, index, &e) && e.live && rf_handle_at(heap, e.offset) == ptr;
}

size_t rf_handle_find_index(rf_handle_heap *heap, const void *ptr) {
  rf_handle_gap gap;
  if (starts_at(heap, heap->recent, ptr)) {
    return heap->recent;
  }
  bool sound = rf_handle_gap_after(heap, 0, &gap);
  while (sound && gap.after != 0 && rf_handle_at(heap, gap.end) != ptr) {
    sound = rf_handle_next_gap(heap, &gap);
  }
  if (!sound || gap.after == 0) {
    return 0;
  }
  heap->recent = gap.after;
  rf_handle_update_checksum(heap);
  return gap.after;
}

rf_handle rf_handle_heap_find(rf_handles *self, const void *ptr) {
  rf_handle_heap *const heap = handle_heap_of(self);
  rf_handle_entry e;
  size_t const index = rf_handle_intact(heap) ? rf_handle_find_index(heap, ptr) : 0;
  bool const named = index != 0 && rf_handle_load(heap, index, &e) && e.locks != HANDLE_HELD;
  return named ? handle_of(index, &e) : RF_HANDLE_NULL;
}

/* ---- The rest ---- */

size_t rf_handle_heap_compact(rf_handles *self, size_t most, const rf_site *site) {
  rf_handle_heap *const heap = handle_heap_of(self);
  size_t moved = 0;
  rf_status const status = rf_handle_intact(heap) ? rf_handle_slide_all(heap, most, &moved) : RF_ERR_CORRUPT;
  if (status != RF_OK) {
    (void)rf_handle_refuse_damaged(heap, site);
    return moved;
  }
  rf_handle_update_checksum(heap);
  return moved;
}

/* Puts `e`, the contents of another place, at `index`, and tells its neighbours. */
static void move_entry(rf_handle_heap *heap, size_t index, rf_handle_entry *e, unsigned generation) {
  e->generation = generation;
  rf_handle_store(heap, index, e);
  rf_handle_link(heap, e->prev, index, e->next);
}

rf_status rf_handle_heap_swap(rf_handles *self, rf_handle one, rf_handle other) {
  rf_handle_heap *const heap = handle_heap_of(self);
  size_t a;
  size_t b;
  rf_handle_entry ea;
  rf_handle_entry eb;
  rf_status status = rf_handle_known(heap, one, &a, &ea, NULL);
  status = status == RF_OK ? rf_handle_known(heap, other, &b, &eb, NULL) : status;
  if (status != RF_OK || a == b) {
    return status;
  }
  unsigned const generation_a = ea.generation;
  unsigned const generation_b = eb.generation;
  if (!rf_handle_is_linked(heap, a, &ea) || !rf_handle_is_linked(heap, b, &eb)) {
    return rf_handle_refuse_damaged(heap, NULL);
  }
  (void)rf_handle_unlink(heap, a);
  (void)rf_handle_unlink(heap, b);
  /* Each block keeps its neighbours, which know it by the other name from now on. */
  if (ea.next == b || eb.next == a) {
    bool const a_first = ea.next == b;
    size_t const before = a_first ? ea.prev : eb.prev;
    size_t const after = a_first ? eb.next : ea.next;
    size_t const first = a_first ? b : a; /* the name of the lower block from now on */
    size_t const second = a_first ? a : b;
    eb.prev = a_first ? first : before;
    eb.next = a_first ? after : second;
    ea.prev = a_first ? before : first;
    ea.next = a_first ? second : after;
  }
  ea.generation = generation_b;
  rf_handle_store(heap, b, &ea);
  move_entry(heap, a, &eb, generation_a);
  move_entry(heap, b, &ea, generation_b);
  heap->packed = heap->packed == a ? b : heap->packed == b ? a : heap->packed;
  rf_handle_update_checksum(heap);
  return RF_OK;
}
