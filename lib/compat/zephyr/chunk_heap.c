#include "chunk.h"

#include <ringfence/track.h>
#include <string.h>

/* ---- Writing headers ---- */

static inline void clear_header(uint32_t *w) {
  w[SIZE] = 0;
  w[LEFT] = 0;
}

/* Tells the chunk to the right of `c` that `c` has `size` units. */
RF_INLINE void set_left(rf_zephyr_chunk_heap *heap, chunk c, size_t size) {
  if (c + size != heap->end) {
    words(heap, c)[WORDS * size + LEFT] = (uint32_t)size;
  }
}

/* Makes `c` a free chunk of `size` units. Its record of the chunk to its left stays. */
RF_INLINE void set_free(rf_zephyr_chunk_heap *heap, chunk c, size_t size) {
  words(heap, c)[SIZE] = (uint32_t)size << STATE_BITS;
  set_left(heap, c, size);
}

/* Units of a block of `size` bytes, its header included. */
RF_INLINE size_t units_for(size_t size) {
  return (size + (size == 0 ? 1 : 0) + (size_t)2 * UNIT - 1) / UNIT;
}

/* ---- Free lists; a chunk of one unit has no room for links and is in none ---- */

/* Lets the link to `c` that comes from `previous` lead to `next`. False, and nothing changed, where no link comes from
 * there. */
RF_INLINE bool replace_link(rf_zephyr_chunk_heap *heap, size_t previous, chunk c, size_t next) {
  RF_FORGET_MEMORY(heap->last);
  if (previous < heap->last) {
    if (RF_UNLIKELY(words(heap, previous)[NEXT] != (uint32_t)c)) {
      return false;
    }
    RF_FORGET(previous);
    words(heap, previous)[NEXT] = (uint32_t)next;
    return true;
  }
  if (RF_UNLIKELY(!is_head(previous)) || RF_UNLIKELY(*first_of(heap, previous) != (uint32_t)c)) {
    return false;
  }
  RF_FORGET(previous);
  *first_of(heap, previous) = (uint32_t)next;
  if ((uint32_t)next == NONE) {
    heap->lists ^= bit_of(previous);
  }
  return true;
}

/* Takes `c`, of two units or more, out of its list. False, and nothing changed, where its links are damaged. */
RF_INLINE bool unlink_chunk(rf_zephyr_chunk_heap *heap, chunk c) {
  size_t previous = previous_of(heap, c);
  size_t next = words(heap, c)[NEXT];
  RF_FORGET(previous);
  RF_FORGET(next);
  if (RF_LIKELY(next < heap->last)) {
    if (RF_UNLIKELY(words(heap, next)[PREVIOUS] != (uint32_t)c)) {
      return false;
    }
    RF_FORGET(next);
    if (RF_UNLIKELY(!replace_link(heap, previous, c, next))) {
      return false;
    }
    words(heap, next)[PREVIOUS] = (uint32_t)previous;
    return true;
  }
  return (uint32_t)next == NONE && replace_link(heap, previous, c, NONE);
}

/* Undoes unlink_chunk: the links of `c` itself are as they were. */
static void relink_chunk(rf_zephyr_chunk_heap *heap, chunk c) {
  size_t const previous = previous_of(heap, c);
  uint32_t const next = words(heap, c)[NEXT];
  *link_after(heap, previous) = (uint32_t)c;
  if (next != NONE) {
    words(heap, next)[PREVIOUS] = (uint32_t)c;
  } else if (is_head(previous)) {
    heap->lists ^= bit_of(previous);
  }
}

/* Inserts `c`, of `size` units, two or more. */
RF_INLINE void link_chunk(rf_zephyr_chunk_heap *heap, chunk c, size_t size) {
  size_t list = list_for(size);
  uint32_t *const w = words(heap, c);
  RF_FORGET(list);
  uint32_t const next = heap->first[list];
  w[NEXT] = next;
  RF_FORGET(list);
  heap->first[list] = (uint32_t)c;
  w[PREVIOUS] = head_of(list);
  if (next != NONE) {
    words(heap, next)[PREVIOUS] = (uint32_t)c;
  } else {
    heap->lists ^= bit_of(head_of(list));
  }
}

RF_INLINE void insert(rf_zephyr_chunk_heap *heap, chunk c, size_t size) {
  if (size > 1) {
    link_chunk(heap, c, size);
  }
}

/* ---- Finding ---- */

/* A list whose first chunk has at least `size` units, unless it is damaged; RF_ZEPHYR_LISTS where none was found. */
RF_INLINE size_t find(const rf_zephyr_chunk_heap *heap, size_t size) {
  if (RF_UNLIKELY(size > heap->end)) {
    return RF_ZEPHYR_LISTS;
  }
  size_t const list = list_for(size);
  uint32_t const c = heap->first[list];
  if (c != NONE && words(heap, c)[SIZE] >> STATE_BITS >= size) {
    return list;
  }
  uint64_t const larger = heap->lists >> head_of(list) % 64 >> 1;
  return larger != 0 ? list + 1 + lowest_bit(larger) : RF_ZEPHYR_LISTS;
}

/* ---- Alloc ---- */

static const char OVERWRITTEN[] = "header or links of a chunk were overwritten";

static rf_status damaged(rf_zephyr_chunk_heap *heap, const void *ptr, const rf_site *site) {
  return rf_fault_refuse(&heap->base, RF_ERR_CORRUPT, OVERWRITTEN, ptr, site);
}

RF_RARE static void *refuse_alloc(rf_zephyr_chunk_heap *heap, chunk c, const rf_site *site) {
  if (c == NONE) {
    heap->counters.failures++;
  } else {
    (void)damaged(heap, payload_of(heap, c), site);
  }
  return NULL;
}

/* Makes a live block of `size` bytes of the first `units` of `c`, which is in no list and has `whole` units; the rest,
 * if any, becomes a free chunk in its list. */
RF_INLINE void *commit(rf_zephyr_chunk_heap *heap, chunk c, size_t whole, size_t units, size_t size) {
  uint32_t *const w = words(heap, c);
  if (units != whole) {
    w[WORDS * units + LEFT] = (uint32_t)units;
    set_free(heap, c + units, whole - units);
    insert(heap, c + units, whole - units);
  }
  w[SIZE] = (uint32_t)(units << STATE_BITS | ((units - 1) * UNIT - size + 1));
  rf_count_alloc(&heap->counters, size);
  return w + WORDS;
}

static size_t gap_of(const rf_zephyr_chunk_heap *heap, chunk c, size_t align) {
  return rf_align_gap(payload_of(heap, c), align) / UNIT;
}

/* As find, with room for the alignment: the first chunk that would do may lie well, else one with room for any gap. */
static size_t find_aligned(rf_zephyr_chunk_heap *heap, size_t units, size_t align) {
  size_t const list = find(heap, units);
  size_t const padding = align / UNIT - 1;
  if (list == RF_ZEPHYR_LISTS || gap_of(heap, heap->first[list], align) + units <= size_of(heap, heap->first[list])) {
    return list;
  }
  return padding < heap->end ? find(heap, units + padding) : RF_ZEPHYR_LISTS;
}

/* Takes the first chunk out of `list`. False, and nothing changed, where it is not free, whole and large enough. */
RF_INLINE bool take(rf_zephyr_chunk_heap *heap, size_t list, size_t units) {
  chunk const c = heap->first[list];
  const uint32_t *const w = words(heap, c);
  size_t const size = size_of(heap, c);
  uint32_t const next = w[NEXT];
  if (RF_UNLIKELY(!is_free(heap, c) || size < units || !is_sized(heap, c, size) || w[PREVIOUS] != head_of(list) ||
                  !is_next(heap, c, next))) {
    return false;
  }
  heap->first[list] = next;
  if (next != NONE) {
    words(heap, next)[PREVIOUS] = head_of(list);
  } else {
    heap->lists ^= bit_of(head_of(list));
  }
  return true;
}

/* The units of a chunk before its payload at `align` stay free. */
RF_RARE static void *alloc_aligned(rf_zephyr_chunk_heap *heap, size_t size, size_t align, const rf_site *site) {
  size_t const units = units_for(size);
  size_t const list = find_aligned(heap, units, align);
  chunk const c = list != RF_ZEPHYR_LISTS ? heap->first[list] : NONE;
  size_t const gap = c != NONE ? gap_of(heap, c, align) : 0;
  if (c == NONE || !take(heap, list, gap + units)) {
    return refuse_alloc(heap, c, site);
  }
  size_t const whole = size_of(heap, c);
  if (gap != 0) {
    set_free(heap, c + gap, whole - gap);
    set_free(heap, c, gap);
    insert(heap, c, gap);
  }
  return commit(heap, c + gap, whole - gap, units, size);
}

static void *chunk_heap_alloc(rf_allocator *allocator, size_t size, size_t align, const rf_site *site) {
  rf_zephyr_chunk_heap *const heap = heap_of(allocator);
  if (RF_UNLIKELY(align > UNIT)) {
    return alloc_aligned(heap, size, align, site);
  }
  size_t const units = units_for(size);
  size_t const list = find(heap, units);
  if (RF_UNLIKELY(list == RF_ZEPHYR_LISTS)) {
    return refuse_alloc(heap, NONE, site);
  }
  chunk const c = heap->first[list];
  if (RF_UNLIKELY(!take(heap, list, units))) {
    return refuse_alloc(heap, c, site);
  }
  return commit(heap, c, size_of(heap, c), units, size);
}

static bool chunk_heap_owns(rf_allocator *allocator, const void *ptr) {
  const rf_zephyr_chunk_heap *const heap = heap_of(allocator);
  return (uintptr_t)ptr - (uintptr_t)heap->start < heap->end * UNIT;
}

/* ---- Live blocks ---- */

/* The chunk of a live block, or why `ptr` is none. */
static rf_status find_block(rf_zephyr_chunk_heap *heap, const void *ptr, chunk *c, const char **what) {
  size_t const offset = (uintptr_t)ptr - (uintptr_t)heap->start;
  *what = "not a block of this heap";
  if (!chunk_heap_owns(&heap->base, ptr) || offset % UNIT != 0 || offset == 0) {
    return RF_ERR_BAD_POINTER;
  }
  *c = offset / UNIT - 1;
  if (!is_whole(heap, *c)) {
    return RF_ERR_BAD_POINTER;
  }
  if (is_free(heap, *c)) {
    *what = "pointer to free memory";
    return RF_ERR_NOT_ALLOCATED;
  }
  *what = OVERWRITTEN;
  return is_block(heap, *c) ? RF_OK : RF_ERR_CORRUPT;
}

static size_t chunk_heap_usable_size(rf_allocator *allocator, const void *ptr) {
  const char *what;
  chunk c = 0;
  return find_block(heap_of(allocator), ptr, &c, &what) == RF_OK ? room_of(heap_of(allocator), c) : 0;
}

/* ---- Free ---- */

/* The chunk whose payload begins at `ptr`; beyond any heap's end where `ptr` is before the heap or not aligned. */
RF_INLINE size_t place_of(const rf_zephyr_chunk_heap *heap, const void *ptr) {
  size_t const offset = (uintptr_t)ptr - ((uintptr_t)heap->start + UNIT);
  return offset >> 3 | offset << (RF_SIZE_BITS - 3);
}

RF_RARE static rf_status refuse_free(rf_zephyr_chunk_heap *heap, const void *ptr, const rf_site *site) {
  const char *what;
  chunk c;
  rf_status const status = find_block(heap, ptr, &c, &what);
  return status != RF_OK ? rf_fault_refuse(&heap->base, status, what, ptr, site) : damaged(heap, ptr, site);
}

/* The same of the payload of `c`. */
RF_RARE static rf_status refuse_chunk(rf_zephyr_chunk_heap *heap, chunk c, const rf_site *site) {
  return refuse_free(heap, payload_of(heap, c), site);
}

/* The same where `c` was counted as free. */
RF_RARE static rf_status refuse_counted(rf_zephyr_chunk_heap *heap, chunk c, const rf_site *site) {
  heap->counters.used += requested(heap, c);
  heap->counters.blocks++;
  return refuse_chunk(heap, c, site);
}

/* The same where the chunk behind `c` is damaged: the free chunk before, at `begin`, is out of its list. */
RF_RARE static rf_status refuse_merge(rf_zephyr_chunk_heap *heap, chunk c, chunk begin, const rf_site *site) {
  if (c - begin > 1) {
    relink_chunk(heap, begin);
  }
  return refuse_counted(heap, c, site);
}

/* Whether the heap ends at `right`, or a chunk begins there that says `size` units of the one before it. */
RF_INLINE bool is_border(rf_zephyr_chunk_heap *heap, chunk right, size_t size) {
  RF_FORGET_MEMORY(heap->end);
  if (RF_LIKELY(right < heap->end)) {
    if (RF_UNLIKELY(words(heap, right)[LEFT] != (uint32_t)size)) {
      return false;
    }
  } else {
    RF_FORGET_MEMORY(heap->end);
    if (RF_UNLIKELY(right != heap->end)) {
      return false;
    }
  }
  return true;
}

/* Counts `c` as free and finds the chunk behind. False, and nothing changed, where `c` is no block or the two
 * disagree. */
RF_INLINE bool count_out(rf_zephyr_chunk_heap *heap, chunk c, chunk *behind) {
  RF_FORGET_MEMORY(heap->end);
  size_t const header = words(heap, c)[SIZE];
  size_t const size = header >> STATE_BITS;
  size_t const state = header & STATE;
  *behind = c + size;
  if (RF_UNLIKELY(state - 1 > UNIT) || RF_UNLIKELY(size < 2) || RF_UNLIKELY(!is_border(heap, *behind, size))) {
    return false;
  }
  size_t bytes = size * UNIT - (UNIT - 1);
  RF_FORGET(bytes);
  bytes -= state;
  RF_FORGET(bytes);
  rf_count_free(&heap->counters, bytes);
  return true;
}

/* Merges `c`, whose units end at `behind`, with the chunk to its left where that is free: `begin` is that then, and out
 * of its list. False, and nothing changed, where the two disagree or a link is damaged. */
RF_INLINE bool merge_left(rf_zephyr_chunk_heap *heap, chunk c, chunk behind, chunk *begin) {
  size_t left = left_of(heap, c);
  RF_FORGET(left);
  *begin = c;
  if (RF_UNLIKELY(left == 0)) {
    return c == 0 && behind != 0;
  }
  if (RF_UNLIKELY(left > c)) {
    return false;
  }
  *begin = c - left;
  left <<= STATE_BITS;
  RF_FORGET(left);
  if (RF_LIKELY(words(heap, *begin)[SIZE] == (uint32_t)left)) { /* free */
    RF_FORGET(*begin);
    return left == 1 << STATE_BITS || unlink_chunk(heap, *begin);
  }
  bool const live = (words(heap, *begin)[SIZE] ^ (uint32_t)left) <= STATE;
  *begin = c;
  return live;
}

/* Moves `behind` over the chunk there if that is free, and takes it out of its list. False, and nothing changed, where
 * it is damaged. */
RF_INLINE bool merge_right(rf_zephyr_chunk_heap *heap, chunk *behind) {
  chunk const c = *behind;
  RF_FORGET_MEMORY(heap->end);
  if (RF_UNLIKELY(c == heap->end)) {
    return true;
  }
  size_t more = words(heap, c)[SIZE];
  RF_FORGET(more);
  if ((more & STATE) != 0) {
    return RF_LIKELY(is_live(heap, c));
  }
  more >>= STATE_BITS;
  chunk next = c + more;
  RF_FORGET(next);
  if (RF_UNLIKELY(!is_border(heap, next, more)) || (more != 1 && RF_UNLIKELY(!unlink_chunk(heap, c)))) {
    return false;
  }
  *behind = next;
  words(heap, c)[SIZE] = 0;
  return true;
}

/* Merges with free neighbours. The sizes between are cleared, so that a stale pointer does not pass. The worst case is
 * counted in instructions: RF_FORGET and RF_FORGET_MEMORY leave no values to save in registers. */
static rf_status chunk_heap_free(rf_allocator *allocator, void *ptr, const rf_site *site) {
  rf_zephyr_chunk_heap *const heap = heap_of(allocator);
  chunk c = place_of(heap, ptr);
  chunk begin;
  chunk behind;
  if (RF_UNLIKELY(c >= heap->end)) {
    return refuse_free(heap, ptr, site);
  }
  RF_FORGET(c);
  if (RF_UNLIKELY(!count_out(heap, c, &behind))) {
    return refuse_chunk(heap, c, site);
  }
  RF_FORGET(c);
  if (RF_UNLIKELY(!merge_left(heap, c, behind, &begin))) {
    return refuse_counted(heap, c, site);
  }
  if (RF_UNLIKELY(!merge_right(heap, &behind))) {
    return refuse_merge(heap, c, begin, site);
  }
  RF_FORGET_MEMORY(heap->end);
  words(heap, c)[SIZE] = 0;
  set_free(heap, begin, behind - begin);
  link_chunk(heap, begin, behind - begin);
  return RF_OK;
}

/* ---- Resize ---- */

static rf_status chunk_heap_resize(rf_allocator *allocator, void *ptr, size_t size, const rf_site *site) {
  rf_zephyr_chunk_heap *const heap = heap_of(allocator);
  size_t const units = units_for(size);
  const char *what;
  chunk c = 0;
  rf_status const status = find_block(heap, ptr, &c, &what);
  if (status != RF_OK) {
    return rf_fault_refuse(allocator, status, what, ptr, site);
  }
  size_t const before = size_of(heap, c);
  size_t const live = requested(heap, c);
  chunk const right = right_of(heap, c);
  size_t room = right != heap->end && !is_live(heap, right) ? size_of(heap, right) : 0;
  if (room != 0 && (!is_sized(heap, right, room) || (room != 1 && !is_linked(heap, right)))) {
    return damaged(heap, ptr, site);
  }
  if (units > before + room) {
    return RF_ERR_NO_MEMORY;
  }
  if (units == before) {
    room = 0;
  } else if (room != 0) {
    (void)(room != 1 && unlink_chunk(heap, right));
    clear_header(words(heap, right));
    set_left(heap, c, before + room);
  }
  rf_counters const counters = heap->counters;
  (void)commit(heap, c, before + room, units, size);
  heap->counters = counters;
  rf_count_resize(&heap->counters, live, size);
  return RF_OK;
}

static void chunk_heap_counters(rf_allocator *allocator, rf_counters *out) {
  *out = heap_of(allocator)->counters;
}

/* ---- Init and end ---- */

/* An ended heap has no chunks: it serves nothing and owns nothing. */
static void chunk_heap_deinit(rf_allocator *allocator) {
  rf_zephyr_chunk_heap *const heap = heap_of(allocator);
  const rf_allocator_ops *const ops = heap->base.ops;
  rf_track_arena_end(heap->start, heap->end * UNIT);
  memset(heap, 0, sizeof *heap);
  memset(heap->first, 0xff, sizeof heap->first);
  heap->base.ops = ops;
}

static const rf_allocator_ops CHUNK_HEAP_OPS = {
    .name = "sys_heap",
    .alloc = chunk_heap_alloc,
    .free = chunk_heap_free,
    .resize = chunk_heap_resize,
    .usable_size = chunk_heap_usable_size,
    .owns = chunk_heap_owns,
    .walk = rf_zephyr_chunk_walk,
    .check = rf_zephyr_chunk_check,
    .stats = rf_zephyr_chunk_stats,
    .deinit = chunk_heap_deinit,
    .counters = chunk_heap_counters,
};

rf_status rf_zephyr_chunk_heap_init(rf_zephyr_chunk_heap *heap, void *memory, size_t size) {
  size_t const gap = rf_align_gap(memory, UNIT);
  if (heap == NULL || memory == NULL || size > RF_SIZE_LIMIT || (uintptr_t)memory > UINTPTR_MAX - size ||
      size < gap + (size_t)2 * UNIT) {
    return RF_ERR_INVALID;
  }
  size_t const units = (size - gap) / UNIT;
  memset(heap, 0, sizeof *heap);
  heap->base.ops = rf_track_ops(&CHUNK_HEAP_OPS);
  heap->start = (unsigned char *)memory + gap;
  heap->end = units <= LARGEST ? units : LARGEST;
  heap->last = heap->end - 1;
  memset(heap->first, 0xff, sizeof heap->first);
  clear_header(words(heap, 0));
  set_free(heap, 0, heap->end);
  insert(heap, 0, heap->end);
  rf_track_arena(heap->start, heap->end * UNIT);
  return RF_OK;
}
