/* simple: blocks are read, found, allocated, freed and resized. */
#include "simple_impl.h"

#include "lib/core/checksum.h"
#include "lib/core/verdict.h"

static const block NO_BLOCK = {0, 0, 0, true};

/* ---- The record ---- */

/* Begins with the arena: the record may be elsewhere than it was made. */
size_t rf_simple_checksum(const rf_simple *heap) {
  size_t sum = rf_checksum_begin(heap->start);
  sum = rf_checksum_add_address(sum, heap->end);
  sum = rf_checksum_add(sum, heap->cells);
  sum = rf_checksum_add(sum, heap->header);
  return rf_checksum_add(sum, heap->shift);
}

/* ---- Headers ---- */

static uint64_t load(const unsigned char *at, unsigned width) {
  uint64_t word = 0;
  for (unsigned i = width; i-- != 0;) {
    word = word << 8 | at[i];
  }
  return word;
}

static void store(unsigned char *at, unsigned width, uint64_t word) {
  for (unsigned i = 0; i < width; i++) {
    at[i] = (unsigned char)(word >> 8 * i);
  }
}

/* The XOR of the bytes of the header of `cell`. */
static unsigned key_of(size_t cell) {
  return (unsigned)(rf_checksum_spread(cell + 1) >> (RF_SIZE_BITS - CHECK_BITS));
}

static void block_write(rf_simple *heap, size_t cell, size_t span, size_t slack, bool used) {
  uint64_t const fields = (uint64_t)span << SPAN_SHIFT | slack << SLACK_SHIFT | (used ? 1U : 0U);
  uint64_t const check = rf_checksum_xor(fields) ^ key_of(cell);
  store(header_at(heap, cell), heap->header, fields | check << (8 * heap->header - CHECK_BITS));
}

bool rf_simple_read(const rf_simple *heap, size_t cell, block *out) {
  uint64_t const word = load(header_at(heap, cell), heap->header);
  if (rf_checksum_xor(word) != key_of(cell)) {
    return false;
  }
  uint64_t const fields = word & ~(UINT64_C(0xFF) << (8 * heap->header - CHECK_BITS));
  uint64_t const span = fields >> SPAN_SHIFT;
  if (span == 0 || span > heap->cells - cell) {
    return false;
  }
  out->cell = cell;
  out->span = (size_t)span;
  out->slack = (size_t)(fields >> SLACK_SHIFT) & SLACK_MASK;
  out->used = (fields & 1U) != 0;
  return out->slack <= room_of(heap, cell, out->span) && (out->used || out->slack == 0);
}

/* ---- Lookup ---- */

/* The block before the one looked for, and the one after it; NO_BLOCK, which is used, where there is none. */
typedef struct neighbours {
  block before;
  block after;
} neighbours;

static rf_status refuse_damage(rf_simple *heap, size_t cell, const rf_site *site) {
  return rf_verdict_refuse(&heap->base, RF_POINTER_CORRUPT, header_at(heap, cell), site);
}

/* Walks to the live block that starts at `target`; *cell is then the header after it, or the damaged one that stopped
 * the walk. */
static rf_verdict walk_to(const rf_simple *heap, size_t target, block *found, neighbours *near, size_t *cell) {
  *near = (neighbours){NO_BLOCK, NO_BLOCK};
  *found = NO_BLOCK;
  do {
    near->before = *found;
    *cell = found->cell + found->span;
    if (!rf_simple_read(heap, *cell, found)) {
      return RF_POINTER_CORRUPT;
    }
  } while (found->cell + found->span <= target);
  if (!found->used) {
    return RF_POINTER_FREE;
  }
  if (found->cell != target) {
    return RF_POINTER_INTERIOR;
  }
  *cell = found->cell + found->span;
  return *cell == heap->cells || rf_simple_read(heap, *cell, &near->after) ? RF_POINTER_OK : RF_POINTER_CORRUPT;
}

/* Finds the live block that starts at `ptr`. *at is what a fault would be about: the damaged header, or `ptr`. */
static rf_verdict find(const rf_simple *heap, const void *ptr, block *found, neighbours *near, const void **at) {
  uintptr_t const address = (uintptr_t)ptr;
  uintptr_t const first = (uintptr_t)heap->start + heap->header;
  *at = ptr;
  if (address < first || address >= (uintptr_t)heap->end) {
    return RF_POINTER_FOREIGN;
  }
  size_t const target = (size_t)(address - first) >> heap->shift;
  if (first + ((uintptr_t)target << heap->shift) != address) {
    return RF_POINTER_MISALIGNED;
  }
  size_t cell;
  rf_verdict const verdict = walk_to(heap, target, found, near, &cell);
  *at = verdict == RF_POINTER_CORRUPT ? header_at(heap, cell) : ptr;
  return verdict;
}

/* The same; a verdict against the pointer is reported. */
static rf_status find_or_refuse(rf_simple *heap, const void *ptr, block *found, neighbours *near, const rf_site *site) {
  const void *at;
  rf_verdict const verdict = find(heap, ptr, found, near, &at);
  return rf_verdict_refuse(&heap->base, verdict, at, site);
}

/* ---- Allocating and freeing cells ---- */

/* True where `size` bytes at a multiple of `align` fit the region, behind *gap of its cells. */
static bool fits(const rf_simple *heap, const region *r, size_t size, size_t align, size_t *gap) {
  size_t const room = room_of(heap, r->cell, r->span);
  size_t const skip = rf_align_gap(payload_at(heap, r->cell), align);
  *gap = skip >> heap->shift;
  return skip < room && size <= room - skip;
}

/* Makes a used block of the region, after `gap` cells that stay free as what is left behind it does. The size fits. */
static void *carve(rf_simple *heap, const region *r, size_t gap, size_t size) {
  size_t const cell = r->cell + gap;
  size_t const most = r->span - gap;
  size_t const needed = ((heap->header + size - 1) >> heap->shift) + 1;
  size_t const span = needed < most ? needed : most;
  heap->free_blocks -= r->free_blocks;
  if (gap != 0) {
    block_write(heap, r->cell, gap, 0, false);
    heap->free_blocks++;
  }
  block_write(heap, cell, span, room_of(heap, cell, span) - size, true);
  if (span < most) {
    block_write(heap, cell + span, most - span, 0, false);
    heap->free_blocks++;
  }
  if (heap->first_free >= r->cell) {
    heap->first_free = gap != 0 ? r->cell : cell + span;
  }
  return payload_at(heap, cell);
}

void rf_simple_release(rf_simple *heap, const region *r) {
  block_write(heap, r->cell, r->span, 0, false);
  heap->free_blocks += 1 - r->free_blocks;
  if (heap->first_free > r->cell) {
    heap->first_free = r->cell;
  }
}

/* The block and its free neighbours: on the right, and on the left too if `both`. */
static region region_around(const block *b, const neighbours *near, bool both) {
  region r = {b->cell, b->span, 0};
  /* NOLINTNEXTLINE(clang-analyzer-core.uninitialized.Branch): callers have found them with the block */
  if (!near->after.used) {
    r.span += near->after.span;
    r.free_blocks++;
  }
  if (both && !near->before.used) {
    r.cell = near->before.cell;
    r.span += near->before.span;
    r.free_blocks++;
  }
  return r;
}

/* Uncounted. */
static void *first_fit(rf_simple *heap, size_t size, size_t align, const rf_site *site) {
  block b;
  for (size_t cell = heap->first_free; cell < heap->cells; cell += b.span) {
    if (!rf_simple_read(heap, cell, &b)) {
      (void)refuse_damage(heap, cell, site);
      return NULL;
    }
    region const r = {b.cell, b.span, 1};
    size_t gap;
    if (!b.used && fits(heap, &r, size, align, &gap)) {
      return carve(heap, &r, gap, size);
    }
  }
  return NULL;
}

/* ---- Operations ---- */

void *rf_simple_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_simple *const heap = simple_of(self);
  void *const p = first_fit(heap, size, align, site);
  if (p == NULL) {
    heap->counters.failures++;
  } else {
    rf_count_alloc(&heap->counters, size);
  }
  return p;
}

rf_status rf_simple_free(rf_allocator *self, void *ptr, const rf_site *site) {
  rf_simple *const heap = simple_of(self);
  block b;
  neighbours near;
  rf_status const status = find_or_refuse(heap, ptr, &b, &near, site);
  if (status == RF_OK) {
    region const r = region_around(&b, &near, true);
    rf_count_free(&heap->counters, size_of(heap, &b));
    rf_simple_release(heap, &r);
  }
  return status;
}

/* The owner may have written all of its usable size, not only the requested bytes. */
static size_t bytes_to_keep(const rf_simple *heap, const block *b, size_t new_size) {
  size_t const room = room_of(heap, b->cell, b->span);
  return room < new_size ? room : new_size;
}

/* Allocates, copies, frees the old cells. The neighbours cannot have changed: the block would have grown into a free
 * one that is large enough. */
static void *move_elsewhere(rf_simple *heap, const block *b, const neighbours *near, size_t size, size_t align,
                            const rf_site *site) {
  void *const moved = first_fit(heap, size, align, site);
  if (moved != NULL) {
    region const old = region_around(b, near, true);
    rf_track_copy(moved, payload_at(heap, b->cell), bytes_to_keep(heap, b, size));
    rf_simple_release(heap, &old);
  }
  return moved;
}

/* Resizes block `b`, moving it only as far as necessary. NULL, with nothing changed, where it cannot be. */
static void *reshape(rf_simple *heap, const block *b, const neighbours *near, size_t size, size_t align,
                     const rf_site *site) {
  size_t gap;
  region const right = region_around(b, near, false);
  if (fits(heap, &right, size, align, &gap) && gap == 0) {
    return carve(heap, &right, 0, size);
  }
  region const both = region_around(b, near, true);
  if (!fits(heap, &both, size, align, &gap)) {
    return move_elsewhere(heap, b, near, size, align, site);
  }
  /* The payload goes first: the headers that carve writes may lie in it. */
  rf_track_copy(payload_at(heap, both.cell + gap), payload_at(heap, b->cell), bytes_to_keep(heap, b, size));
  return carve(heap, &both, gap, size);
}

void *rf_simple_realloc(rf_allocator *self, void *ptr, size_t size, size_t align, const rf_site *site) {
  rf_simple *const heap = simple_of(self);
  block b;
  neighbours near;
  if (find_or_refuse(heap, ptr, &b, &near, site) != RF_OK) {
    return NULL;
  }
  size_t const old_size = size_of(heap, &b);
  void *const p = reshape(heap, &b, &near, size, align, site);
  if (p == NULL) {
    heap->counters.failures++;
  } else {
    rf_count_resize(&heap->counters, old_size, size);
  }
  return p;
}

rf_status rf_simple_resize(rf_allocator *self, void *ptr, size_t size, const rf_site *site) {
  rf_simple *const heap = simple_of(self);
  block b;
  neighbours near;
  size_t gap;
  rf_status const status = find_or_refuse(heap, ptr, &b, &near, site);
  if (status != RF_OK) {
    return status;
  }
  region const right = region_around(&b, &near, false);
  if (!fits(heap, &right, size, 1, &gap)) {
    return RF_ERR_NO_MEMORY;
  }
  rf_count_resize(&heap->counters, size_of(heap, &b), size);
  (void)carve(heap, &right, 0, size);
  return RF_OK;
}

size_t rf_simple_usable_size(rf_allocator *self, const void *ptr) {
  const rf_simple *const heap = simple_of(self);
  block b;
  neighbours near;
  const void *at;
  return find(heap, ptr, &b, &near, &at) == RF_POINTER_OK ? room_of(heap, b.cell, b.span) : 0;
}
