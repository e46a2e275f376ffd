#include <ringfence/simple.h>

#include "lib/core/checksum.h"
#include "lib/core/verdict.h"
#include <ringfence/track.h>
#include <string.h>

enum { USED_BITS = 1, SLACK_BITS = 5, CHECK_BITS = 8, SLACK_SHIFT = USED_BITS, SPAN_SHIFT = USED_BITS + SLACK_BITS };

#define SLACK_MASK ((1U << SLACK_BITS) - 1U)

/* The slack of a block is less than a cell, plus a header that found no room behind it at the end of the arena. */
_Static_assert(RF_ALIGN_DEFAULT <= 16, "the slack of a block fits its field");

/* A header, read. */
typedef struct block {
  size_t cell;
  size_t span;  /* in cells */
  size_t slack; /* bytes not requested; 0 in free blocks */
  bool used;
} block;

static const block NO_BLOCK = {0, 0, 0, true};

static rf_simple *simple_of(rf_allocator *self) {
  return (rf_simple *)(void *)self;
}

/* ---- The heap's record ---- */

/* Begins with the arena: the record may be elsewhere than it was made. */
static size_t record_checksum(const rf_simple *heap) {
  size_t sum = rf_checksum_begin(heap->start);
  sum = rf_checksum_add_address(sum, heap->end);
  sum = rf_checksum_add(sum, heap->cells);
  sum = rf_checksum_add(sum, heap->header);
  return rf_checksum_add(sum, heap->shift);
}

/* Operations that look at all blocks anyway ask for it. */
static bool is_intact(const rf_simple *heap) {
  return heap->checksum == record_checksum(heap);
}

/* ---- Where things are ---- */

static unsigned char *header_at(const rf_simple *heap, size_t cell) {
  return heap->start + (cell << heap->shift);
}

static unsigned char *payload_at(const rf_simple *heap, size_t cell) {
  return header_at(heap, cell) + heap->header;
}

/* Bytes that a block of `span` cells at `cell` offers. */
static size_t room_of(const rf_simple *heap, size_t cell, size_t span) {
  const unsigned char *const after = cell + span == heap->cells ? heap->end : header_at(heap, cell + span);
  return (size_t)(after - payload_at(heap, cell));
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

/* False where the header of `cell` cannot be one. */
static bool block_read(const rf_simple *heap, size_t cell, block *out) {
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

static size_t size_of(const rf_simple *heap, const block *b) {
  /* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): callers have found the block */
  return room_of(heap, b->cell, b->span) - b->slack;
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
    if (!block_read(heap, *cell, found)) {
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
  return *cell == heap->cells || block_read(heap, *cell, &near->after) ? RF_POINTER_OK : RF_POINTER_CORRUPT;
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

/* Cells that become a block: a free block, or a block being resized with its free neighbours. */
typedef struct region {
  size_t cell;
  size_t span;
  size_t free_blocks; /* that it is made of */
} region;

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

/* Makes one free block of the region. */
static void release(rf_simple *heap, const region *r) {
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
    if (!block_read(heap, cell, &b)) {
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

static void *simple_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_simple *const heap = simple_of(self);
  void *const p = first_fit(heap, size, align, site);
  if (p == NULL) {
    heap->counters.failures++;
  } else {
    rf_count_alloc(&heap->counters, size);
  }
  return p;
}

static rf_status simple_free(rf_allocator *self, void *ptr, const rf_site *site) {
  rf_simple *const heap = simple_of(self);
  block b;
  neighbours near;
  rf_status const status = find_or_refuse(heap, ptr, &b, &near, site);
  if (status == RF_OK) {
    region const r = region_around(&b, &near, true);
    rf_count_free(&heap->counters, size_of(heap, &b));
    release(heap, &r);
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
    release(heap, &old);
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

static void *simple_realloc(rf_allocator *self, void *ptr, size_t size, size_t align, const rf_site *site) {
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

static rf_status simple_resize(rf_allocator *self, void *ptr, size_t size, const rf_site *site) {
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

static size_t simple_usable_size(rf_allocator *self, const void *ptr) {
  const rf_simple *const heap = simple_of(self);
  block b;
  neighbours near;
  const void *at;
  return find(heap, ptr, &b, &near, &at) == RF_POINTER_OK ? room_of(heap, b.cell, b.span) : 0;
}

static bool simple_owns(rf_allocator *self, const void *ptr) {
  const rf_simple *const heap = simple_of(self);
  return (uintptr_t)ptr >= (uintptr_t)heap->start && (uintptr_t)ptr < (uintptr_t)heap->end;
}

static rf_status simple_walk(rf_allocator *self, rf_walk_fn visit, void *context) {
  const rf_simple *const heap = simple_of(self);
  block b;
  if (!is_intact(heap)) {
    return RF_ERR_CORRUPT;
  }
  for (size_t cell = 0; cell < heap->cells; cell += b.span) {
    if (!block_read(heap, cell, &b)) {
      return RF_ERR_CORRUPT;
    }
    size_t const size = size_of(heap, &b);
    rf_block const seen = {
        payload_at(heap, cell), size, heap->header + room_of(heap, cell, b.span) - size, b.used, NULL,
    };
    if (!visit(&seen, context)) {
      break;
    }
  }
  return RF_OK;
}

static rf_status damaged(rf_simple *heap, const void *at, const char *what, rf_fault *where) {
  rf_fault const fault = {RF_ERR_CORRUPT, what, &heap->base, at, NULL};
  *where = fault;
  return RF_ERR_CORRUPT;
}

/* Sums over all blocks, to be compared with the counters. */
typedef struct sums {
  size_t used;
  size_t blocks;
  size_t free_blocks;
} sums;

static bool add_up(const rf_simple *heap, const sums *found) {
  const rf_counters *const counted = &heap->counters;
  return found->used == counted->used && found->blocks == counted->blocks && found->free_blocks == heap->free_blocks &&
         counted->peak >= found->used && counted->peak_blocks >= found->blocks &&
         counted->allocations >= counted->peak_blocks;
}

static rf_status simple_check(rf_allocator *self, rf_fault *where) {
  rf_simple *const heap = simple_of(self);
  sums found = {0, 0, 0};
  bool hint_seen = heap->first_free == heap->cells;
  block b = NO_BLOCK;
  if (!is_intact(heap)) {
    return damaged(heap, heap, "damaged heap record", where);
  }
  for (size_t cell = 0; cell < heap->cells; cell += b.span) {
    bool const after_free = !b.used;
    if (!block_read(heap, cell, &b)) {
      return damaged(heap, header_at(heap, cell), "damaged block header", where);
    }
    if (after_free && !b.used) {
      return damaged(heap, header_at(heap, cell), "two free blocks side by side", where);
    }
    if (!b.used && cell < heap->first_free) {
      return damaged(heap, header_at(heap, cell), "free block where none should be", where);
    }
    hint_seen = hint_seen || cell == heap->first_free;
    found.used += b.used ? size_of(heap, &b) : 0;
    found.blocks += b.used ? 1 : 0;
    found.free_blocks += b.used ? 0 : 1;
  }
  return hint_seen && add_up(heap, &found)
             ? RF_OK
             : damaged(heap, heap->start, "blocks do not add up to what was counted", where);
}

static bool add_free(const rf_block *b, void *context) {
  rf_stats *const out = (rf_stats *)context;
  if (!b->used) {
    out->free_bytes += b->size;
    out->largest_free = out->largest_free < b->size ? b->size : out->largest_free;
  }
  return true;
}

static void simple_stats(rf_allocator *self, rf_stats *out) {
  const rf_simple *const heap = simple_of(self);
  memset(out, 0, sizeof *out);
  if (!is_intact(heap)) {
    return;
  }
  rf_count_into(&heap->counters, out);
  out->capacity = (size_t)(heap->end - heap->start);
  (void)simple_walk(self, add_free, out);
  out->overhead = out->capacity - out->used - out->free_bytes;
}

static void simple_counters(rf_allocator *self, rf_counters *out) {
  *out = simple_of(self)->counters;
}

/* An ended heap has no cells: it serves nothing and owns nothing. */
static void simple_deinit(rf_allocator *self) {
  rf_simple *const heap = simple_of(self);
  const rf_allocator_ops *const ops = heap->base.ops;
  if (RF_TRACK && is_intact(heap)) {
    rf_track_arena_end(heap->start, (size_t)(heap->end - heap->start));
  }
  memset(heap, 0, sizeof *heap);
  heap->base.ops = ops;
  heap->checksum = record_checksum(heap);
}

static const rf_allocator_ops simple_ops = {
    .name = "simple",
    .alloc = simple_alloc,
    .free = simple_free,
    .realloc = simple_realloc,
    .resize = simple_resize,
    .usable_size = simple_usable_size,
    .owns = simple_owns,
    .walk = simple_walk,
    .check = simple_check,
    .stats = simple_stats,
    .deinit = simple_deinit,
    .counters = simple_counters,
};

/* ---- Init ---- */

/* A cell holds a header and as much again, so that a block of one cell has a payload. */
static unsigned shift_for(unsigned header) {
  size_t const least = header > 4 ? 16 : 8;
  unsigned shift = 3;
  while ((size_t)1 << shift < RF_ALIGN_DEFAULT || (size_t)1 << shift < least) {
    shift++;
  }
  return shift;
}

/* True where headers of that many bytes can count the cells of `size` bytes, with the one that is cut short. */
static bool header_suits(unsigned header, size_t size) {
  return (uint64_t)(size >> shift_for(header)) + 1 < UINT64_C(1) << (8 * header - CHECK_BITS - SPAN_SHIFT);
}

static unsigned header_for(size_t size) {
  return header_suits(3, size) ? 3 : header_suits(4, size) ? 4 : 8;
}

static rf_status init(rf_simple *heap, void *arena, size_t size, unsigned header) {
  unsigned const shift = shift_for(header);
  size_t const skip = rf_align_gap((unsigned char *)arena + header, (size_t)1 << shift);
  if (size <= skip || size - skip <= header) {
    return RF_ERR_INVALID;
  }
  size_t const rest = (size - skip) & (((size_t)1 << shift) - 1);
  memset(heap, 0, sizeof *heap);
  heap->base.ops = rf_track_ops(&simple_ops);
  heap->header = header;
  heap->shift = shift;
  heap->start = (unsigned char *)arena + skip;
  heap->end = (unsigned char *)arena + size;
  /* A last cell that has no room for a payload belongs to the block before it. */
  heap->cells = ((size - skip) >> shift) + (rest > header ? 1 : 0);
  heap->checksum = record_checksum(heap);
  region const all = {0, heap->cells, 0};
  release(heap, &all);
  rf_track_arena(heap->start, (size_t)(heap->end - heap->start));
  return RF_OK;
}

static bool valid(const rf_simple *heap, const void *arena, size_t size) {
  return heap != NULL && arena != NULL && size <= RF_SIZE_LIMIT && (uintptr_t)arena <= UINTPTR_MAX - size;
}

rf_status rf_simple_init(rf_simple *heap, void *arena, size_t size) {
  return valid(heap, arena, size) ? init(heap, arena, size, header_for(size)) : RF_ERR_INVALID;
}
