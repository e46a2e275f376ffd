#include <ringfence/bits.h>
#include <ringfence/track.h>
#include <ringfence/zephyr/sys/chunk_heap.h>
#include <string.h>

#define UNIT 8U
#define LARGEST ((UINT32_C(1) << RF_ZEPHYR_LISTS) - 1) /* units */

/* A chunk is named by the units from the start to its header. */
typedef uint32_t chunk;

static rf_zephyr_chunk_heap *heap_of(rf_allocator *allocator) {
  return (rf_zephyr_chunk_heap *)(void *)allocator;
}

/* ---- Chunks ---- */

enum { SIZE, LEFT, PREVIOUS, NEXT }; /* words of a chunk; the last two of a free one */

static uint32_t *words(const rf_zephyr_chunk_heap *heap, chunk c) {
  return (uint32_t *)(void *)(heap->start + (size_t)c * UNIT);
}

static uint32_t size_of(const rf_zephyr_chunk_heap *heap, chunk c) {
  return words(heap, c)[SIZE] >> 2;
}

static uint32_t left_of(const rf_zephyr_chunk_heap *heap, chunk c) {
  return words(heap, c)[LEFT] >> 2;
}

static chunk right_of(const rf_zephyr_chunk_heap *heap, chunk c) {
  return c + size_of(heap, c);
}

static unsigned state_of(const rf_zephyr_chunk_heap *heap, chunk c) {
  return (words(heap, c)[SIZE] & 3) | (words(heap, c)[LEFT] & 3) << 2;
}

static bool is_free(const rf_zephyr_chunk_heap *heap, chunk c) {
  return state_of(heap, c) == 0;
}

static void set_state(rf_zephyr_chunk_heap *heap, chunk c, unsigned state) {
  uint32_t *const w = words(heap, c);
  w[SIZE] = (w[SIZE] & ~UINT32_C(3)) | (state & 3);
  w[LEFT] = (w[LEFT] & ~UINT32_C(3)) | state >> 2;
}

/* Writes the size in the header and in that of the chunk to the right. */
static void set_size(rf_zephyr_chunk_heap *heap, chunk c, uint32_t size) {
  uint32_t *const w = words(heap, c);
  w[SIZE] = size << 2 | (w[SIZE] & 3);
  if (c + size < heap->end) {
    uint32_t *const right = words(heap, c + size);
    right[LEFT] = size << 2 | (right[LEFT] & 3);
  }
}

static void *payload_of(const rf_zephyr_chunk_heap *heap, chunk c) {
  return heap->start + (size_t)(c + 1) * UNIT;
}

static size_t room_of(const rf_zephyr_chunk_heap *heap, chunk c) {
  return (size_t)(size_of(heap, c) - 1) * UNIT;
}

static size_t requested(const rf_zephyr_chunk_heap *heap, chunk c) {
  return room_of(heap, c) - (state_of(heap, c) - 1);
}

/* Units of a block of `size` bytes; more than any heap has where that does not fit. */
static uint32_t units_for(size_t size) {
  size_t const units = size / UNIT + (size % UNIT != 0 || size == 0 ? 2 : 1);
  return units <= LARGEST ? (uint32_t)units : LARGEST + 1;
}

static void set_used(rf_zephyr_chunk_heap *heap, chunk c, size_t size) {
  set_state(heap, c, 1 + (unsigned)(room_of(heap, c) - size));
}

/* Whether header and neighbours agree on where chunk `c` begins and ends; `c` is below the end. */
static bool is_whole(const rf_zephyr_chunk_heap *heap, chunk c) {
  uint32_t const size = size_of(heap, c);
  uint32_t const left = left_of(heap, c);
  unsigned const state = state_of(heap, c);
  return size != 0 && size <= heap->end - c && state <= 1 + UNIT && (state == 0 || size > 1) &&
         (c == 0 ? left == 0 : left != 0 && left <= c && size_of(heap, c - left) == left) &&
         (size == heap->end - c || left_of(heap, c + size) == size);
}

/* ---- Free lists: rings; a chunk of one unit has no room for links and is in none ---- */

static unsigned list_for(uint32_t size) {
  return rf_log2(size);
}

/* Whether `c`, a chunk below the end, is free, of a size that its right neighbour confirms, and properly linked. */
static bool is_removable(const rf_zephyr_chunk_heap *heap, chunk c) {
  const uint32_t *const w = words(heap, c);
  uint32_t const size = w[SIZE] >> 2;
  if (((w[SIZE] | w[LEFT]) & 3) != 0 || size == 0 || size > heap->end - c ||
      (size != heap->end - c && left_of(heap, c + size) != size)) {
    return false;
  }
  return size == 1 || (w[NEXT] < heap->end - 1 && w[PREVIOUS] < heap->end - 1 && words(heap, w[NEXT])[PREVIOUS] == c &&
                       words(heap, w[PREVIOUS])[NEXT] == c && (heap->lists >> list_for(size) & 1) != 0);
}

/* `c` is removable. */
static void unlink_chunk(rf_zephyr_chunk_heap *heap, chunk c) {
  unsigned const list = list_for(size_of(heap, c));
  const uint32_t *const w = words(heap, c);
  if (size_of(heap, c) == 1) {
    return;
  }
  if (w[NEXT] == c) {
    heap->lists &= ~(UINT32_C(1) << list);
    return;
  }
  words(heap, w[PREVIOUS])[NEXT] = w[NEXT];
  words(heap, w[NEXT])[PREVIOUS] = w[PREVIOUS];
  heap->first[list] = heap->first[list] == c ? w[NEXT] : heap->first[list];
}

static bool is_linked_back(const rf_zephyr_chunk_heap *heap, chunk c) {
  chunk const previous = words(heap, c)[PREVIOUS];
  return previous < heap->end - 1 && words(heap, previous)[NEXT] == c;
}

/* A list whose first chunk is damaged is begun anew; a check reports the chunks that are lost. */
static void insert(rf_zephyr_chunk_heap *heap, chunk c) {
  uint32_t const size = size_of(heap, c);
  unsigned const list = list_for(size);
  uint32_t *const w = words(heap, c);
  if (size == 1) {
    return;
  }
  if ((heap->lists >> list & 1) == 0 || !is_linked_back(heap, heap->first[list])) {
    heap->lists |= UINT32_C(1) << list;
    heap->first[list] = c;
    w[PREVIOUS] = c;
    w[NEXT] = c;
    return;
  }
  chunk const next = heap->first[list];
  w[NEXT] = next;
  w[PREVIOUS] = words(heap, next)[PREVIOUS];
  words(heap, w[PREVIOUS])[NEXT] = c;
  words(heap, next)[PREVIOUS] = c;
}

/* A chunk of at least `size` units; the end where none was found. */
static chunk find(rf_zephyr_chunk_heap *heap, uint32_t size) {
  if (size > heap->end) {
    return heap->end;
  }
  unsigned const list = list_for(size);
  unsigned tries = (heap->lists >> list & 1) != 0 ? RF_ZEPHYR_ALLOC_LOOPS : 0;
  for (; tries != 0; tries--) {
    chunk const c = heap->first[list];
    chunk const next = words(heap, c)[NEXT];
    if (size_of(heap, c) >= size || next >= heap->end - 1) {
      return c; /* large enough, or damaged, which the caller finds */
    }
    heap->first[list] = next; /* the next request looks at others */
  }
  uint32_t const larger = heap->lists & ~((UINT32_C(2) << list) - 1);
  return larger != 0 ? heap->first[rf_ctz(larger)] : heap->end;
}

/* ---- Splitting and merging ---- */

/* Cuts `c`, in no list, to `size` units; the rest, if any, becomes a free chunk in its list. */
static void cut(rf_zephyr_chunk_heap *heap, chunk c, uint32_t size) {
  uint32_t const rest = size_of(heap, c) - size;
  if (rest != 0) {
    memset(words(heap, c + size), 0, UNIT);
    set_size(heap, c, size);
    set_size(heap, c + size, rest);
    insert(heap, c + size);
  }
}

/* Makes one chunk of `c` and the one to its right, both in no list. The header between is cleared, so that a stale
 * pointer does not pass. */
static void join(rf_zephyr_chunk_heap *heap, chunk c) {
  chunk const right = right_of(heap, c);
  uint32_t const size = size_of(heap, c) + size_of(heap, right);
  memset(words(heap, right), 0, UNIT);
  set_size(heap, c, size);
}

static bool has_free_right(const rf_zephyr_chunk_heap *heap, chunk c) {
  chunk const right = right_of(heap, c);
  return right < heap->end && is_free(heap, right);
}

static bool has_free_left(const rf_zephyr_chunk_heap *heap, chunk c) {
  return c != 0 && is_free(heap, c - left_of(heap, c));
}

/* Whether the free neighbours of `c` can be merged with it. */
static bool is_mergeable(const rf_zephyr_chunk_heap *heap, chunk c) {
  return (!has_free_right(heap, c) || is_removable(heap, right_of(heap, c))) &&
         (!has_free_left(heap, c) || is_removable(heap, c - left_of(heap, c)));
}

/* Frees `c`, mergeable. */
static void release(rf_zephyr_chunk_heap *heap, chunk c) {
  set_state(heap, c, 0);
  if (has_free_right(heap, c)) {
    unlink_chunk(heap, right_of(heap, c));
    join(heap, c);
  }
  if (has_free_left(heap, c)) {
    c -= left_of(heap, c);
    unlink_chunk(heap, c);
    join(heap, c);
  }
  insert(heap, c);
}

/* ---- Operations ---- */

static rf_status damaged(rf_zephyr_chunk_heap *heap, const void *ptr, const rf_site *site) {
  return rf_fault_refuse(&heap->base, RF_ERR_CORRUPT, "header or links of a chunk were overwritten", ptr, site);
}

static uint32_t gap_of(const rf_zephyr_chunk_heap *heap, chunk c, size_t align) {
  return (uint32_t)(rf_align_gap(payload_of(heap, c), align) / UNIT);
}

/* As find, with room for the alignment: the first chunk that would do may lie well, else one with room for any gap. */
static chunk find_aligned(rf_zephyr_chunk_heap *heap, uint32_t size, size_t align) {
  chunk const c = find(heap, size);
  size_t const padding = align > UNIT ? align / UNIT - 1 : 0;
  if (c == heap->end || gap_of(heap, c, align) + size <= size_of(heap, c)) {
    return c;
  }
  return padding < heap->end ? find(heap, size + (uint32_t)padding) : heap->end;
}

/* Frees the units of `c`, in no list, before its payload at `align`; returns the rest. */
static chunk cut_front(rf_zephyr_chunk_heap *heap, chunk c, size_t align) {
  uint32_t const gap = gap_of(heap, c, align);
  if (gap == 0) {
    return c;
  }
  uint32_t const rest = size_of(heap, c) - gap;
  memset(words(heap, c + gap), 0, UNIT);
  set_size(heap, c, gap);
  set_size(heap, c + gap, rest);
  insert(heap, c);
  return c + gap;
}

static void *chunk_heap_alloc(rf_allocator *allocator, size_t size, size_t align, const rf_site *site) {
  rf_zephyr_chunk_heap *const heap = heap_of(allocator);
  uint32_t const units = units_for(size);
  chunk c = find_aligned(heap, units, align);
  if (c == heap->end) {
    heap->counters.failures++;
    return NULL;
  }
  if (!is_removable(heap, c)) {
    (void)damaged(heap, payload_of(heap, c), site);
    return NULL;
  }
  unlink_chunk(heap, c);
  c = cut_front(heap, c, align);
  cut(heap, c, units);
  set_used(heap, c, size);
  rf_count_alloc(&heap->counters, size);
  return payload_of(heap, c);
}

static bool chunk_heap_owns(rf_allocator *allocator, const void *ptr) {
  const rf_zephyr_chunk_heap *const heap = heap_of(allocator);
  return (uintptr_t)ptr - (uintptr_t)heap->start < (size_t)heap->end * UNIT;
}

/* The chunk of a live block, or why `ptr` is none. */
static rf_status find_block(rf_zephyr_chunk_heap *heap, const void *ptr, chunk *c, const char **what) {
  size_t const offset = (uintptr_t)ptr - (uintptr_t)heap->start;
  *what = "not a block of this heap";
  if (!chunk_heap_owns(&heap->base, ptr) || offset % UNIT != 0 || offset == 0) {
    return RF_ERR_BAD_POINTER;
  }
  *c = (chunk)(offset / UNIT) - 1;
  if (!is_whole(heap, *c)) {
    return RF_ERR_BAD_POINTER;
  }
  *what = "pointer to free memory";
  return is_free(heap, *c) ? RF_ERR_NOT_ALLOCATED : RF_OK;
}

static rf_status chunk_heap_free(rf_allocator *allocator, void *ptr, const rf_site *site) {
  rf_zephyr_chunk_heap *const heap = heap_of(allocator);
  const char *what;
  chunk c = 0;
  rf_status const status = find_block(heap, ptr, &c, &what);
  if (status != RF_OK) {
    return rf_fault_refuse(allocator, status, what, ptr, site);
  }
  if (!is_mergeable(heap, c)) {
    return damaged(heap, ptr, site);
  }
  rf_count_free(&heap->counters, requested(heap, c));
  release(heap, c);
  return RF_OK;
}

/* Takes what `c` needs of its right neighbour to have `units`; false where that is not enough. */
static bool grow(rf_zephyr_chunk_heap *heap, chunk c, uint32_t units) {
  if (!has_free_right(heap, c) || size_of(heap, c) + size_of(heap, right_of(heap, c)) < units) {
    return false;
  }
  unlink_chunk(heap, right_of(heap, c));
  join(heap, c);
  cut(heap, c, units);
  return true;
}

static void shrink(rf_zephyr_chunk_heap *heap, chunk c, uint32_t units) {
  if (has_free_right(heap, c)) {
    unlink_chunk(heap, right_of(heap, c));
    join(heap, c);
  }
  cut(heap, c, units);
}

static rf_status chunk_heap_resize(rf_allocator *allocator, void *ptr, size_t size, const rf_site *site) {
  rf_zephyr_chunk_heap *const heap = heap_of(allocator);
  uint32_t const units = units_for(size);
  const char *what;
  chunk c = 0;
  rf_status const status = find_block(heap, ptr, &c, &what);
  if (status != RF_OK) {
    return rf_fault_refuse(allocator, status, what, ptr, site);
  }
  if (!is_mergeable(heap, c)) {
    return damaged(heap, ptr, site);
  }
  size_t const before = requested(heap, c);
  if (units > size_of(heap, c) && !grow(heap, c, units)) {
    return RF_ERR_NO_MEMORY;
  }
  if (units < size_of(heap, c)) {
    shrink(heap, c, units);
  }
  set_used(heap, c, size);
  rf_count_resize(&heap->counters, before, size);
  return RF_OK;
}

static size_t chunk_heap_usable_size(rf_allocator *allocator, const void *ptr) {
  const char *what;
  chunk c = 0;
  return find_block(heap_of(allocator), ptr, &c, &what) == RF_OK ? room_of(heap_of(allocator), c) : 0;
}

static rf_status chunk_heap_walk(rf_allocator *allocator, rf_walk_fn visit, void *context) {
  const rf_zephyr_chunk_heap *const heap = heap_of(allocator);
  for (chunk c = 0; c < heap->end; c = right_of(heap, c)) {
    if (!is_whole(heap, c)) {
      return RF_ERR_CORRUPT;
    }
    bool const used = !is_free(heap, c);
    size_t const size = used ? requested(heap, c) : room_of(heap, c);
    rf_block const block = {payload_of(heap, c), size, (size_t)size_of(heap, c) * UNIT - size, used, NULL};
    if (!visit(&block, context)) {
      break;
    }
  }
  return RF_OK;
}

static void chunk_heap_counters(rf_allocator *allocator, rf_counters *out) {
  *out = heap_of(allocator)->counters;
}

static bool add_free(const rf_block *block, void *context) {
  rf_stats *const out = (rf_stats *)context;
  if (!block->used) {
    out->free_bytes += block->size;
    out->largest_free = out->largest_free < block->size ? block->size : out->largest_free;
  }
  return true;
}

static void chunk_heap_stats(rf_allocator *allocator, rf_stats *out) {
  const rf_zephyr_chunk_heap *const heap = heap_of(allocator);
  memset(out, 0, sizeof *out);
  rf_count_into(&heap->counters, out);
  out->capacity = (size_t)heap->end * UNIT;
  (void)chunk_heap_walk(allocator, add_free, out);
  out->overhead = out->capacity - out->used - out->free_bytes;
}

/* ---- Check ---- */

typedef struct census {
  size_t used; /* bytes */
  size_t blocks;
  size_t listed; /* free chunks that must be in a list */
  bool adjacent; /* two free chunks touch */
} census;

static census count_chunks(const rf_zephyr_chunk_heap *heap, chunk *bad) {
  census sum = {0};
  bool last_free = false;
  chunk c = 0;
  for (; c < heap->end && is_whole(heap, c); c = right_of(heap, c)) {
    bool const used = !is_free(heap, c);
    sum.used += used ? requested(heap, c) : 0;
    sum.blocks += used ? 1 : 0;
    sum.listed += !used && size_of(heap, c) > 1 ? 1 : 0;
    sum.adjacent = sum.adjacent || (!used && last_free);
    last_free = !used;
  }
  *bad = c;
  return sum;
}

/* Free chunks found in list `list`; more than `most` where it is damaged. */
static size_t count_list(const rf_zephyr_chunk_heap *heap, unsigned list, size_t most) {
  size_t count = 0;
  if ((heap->lists >> list & 1) == 0) {
    return 0;
  }
  chunk c = heap->first[list];
  do {
    if (!is_removable(heap, c) || list_for(size_of(heap, c)) != list) {
      return most + 1;
    }
    count++;
    c = words(heap, c)[NEXT];
  } while (c != heap->first[list] && count <= most);
  return count;
}

static rf_status chunk_heap_check(rf_allocator *allocator, rf_fault *where) {
  const rf_zephyr_chunk_heap *const heap = heap_of(allocator);
  chunk bad;
  census const sum = count_chunks(heap, &bad);
  size_t listed = 0;
  for (unsigned list = 0; bad == heap->end && list < RF_ZEPHYR_LISTS; list++) {
    listed += count_list(heap, list, sum.listed);
  }
  if (bad != heap->end) {
    *where = (rf_fault){RF_ERR_CORRUPT, "header of a chunk was overwritten", allocator, payload_of(heap, bad), NULL};
    return RF_ERR_CORRUPT;
  }
  if (listed != sum.listed || sum.adjacent || sum.used != heap->counters.used || sum.blocks != heap->counters.blocks) {
    *where = (rf_fault){RF_ERR_CORRUPT, "free lists or figures do not match the chunks", allocator, heap->start, NULL};
    return RF_ERR_CORRUPT;
  }
  return RF_OK;
}

/* ---- Init and end ---- */

/* An ended heap has no chunks: it serves nothing and owns nothing. */
static void chunk_heap_deinit(rf_allocator *allocator) {
  rf_zephyr_chunk_heap *const heap = heap_of(allocator);
  const rf_allocator_ops *const ops = heap->base.ops;
  rf_track_arena_end(heap->start, (size_t)heap->end * UNIT);
  memset(heap, 0, sizeof *heap);
  heap->base.ops = ops;
}

static const rf_allocator_ops CHUNK_HEAP_OPS = {
    .name = "sys_heap",
    .alloc = chunk_heap_alloc,
    .free = chunk_heap_free,
    .resize = chunk_heap_resize,
    .usable_size = chunk_heap_usable_size,
    .owns = chunk_heap_owns,
    .walk = chunk_heap_walk,
    .check = chunk_heap_check,
    .stats = chunk_heap_stats,
    .deinit = chunk_heap_deinit,
    .counters = chunk_heap_counters,
};

rf_status rf_zephyr_chunk_heap_init(rf_zephyr_chunk_heap *heap, void *memory, size_t size) {
  size_t const gap = rf_align_gap(memory, UNIT);
  if (heap == NULL || memory == NULL || size > RF_SIZE_LIMIT || (uintptr_t)memory > UINTPTR_MAX - size ||
      size < gap + 2 * UNIT) {
    return RF_ERR_INVALID;
  }
  size_t const units = (size - gap) / UNIT;
  memset(heap, 0, sizeof *heap);
  heap->base.ops = rf_track_ops(&CHUNK_HEAP_OPS);
  heap->start = (unsigned char *)memory + gap;
  heap->end = units <= LARGEST ? (uint32_t)units : LARGEST;
  memset(heap->start, 0, UNIT);
  set_size(heap, 0, heap->end);
  insert(heap, 0);
  rf_track_arena(heap->start, (size_t)heap->end * UNIT);
  return RF_OK;
}
