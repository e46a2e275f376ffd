/* The record, cells and headers of simple, for its sources. Not a public header. */
#ifndef RINGFENCE_SIMPLE_IMPL_H
#define RINGFENCE_SIMPLE_IMPL_H

#include <ringfence/simple.h>
#include <ringfence/track.h>

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

static inline rf_simple *simple_of(rf_allocator *self) {
  return (rf_simple *)(void *)self;
}

/* ---- The heap's record ---- */

/* simple_block.c: of what stays the same of the record. */
size_t rf_simple_checksum(const rf_simple *heap);

/* Operations that look at all blocks anyway ask for it. */
static inline bool is_intact(const rf_simple *heap) {
  return heap->checksum == rf_simple_checksum(heap);
}

/* ---- Where things are ---- */

static inline unsigned char *header_at(const rf_simple *heap, size_t cell) {
  return heap->start + (cell << heap->shift);
}

static inline unsigned char *payload_at(const rf_simple *heap, size_t cell) {
  return header_at(heap, cell) + heap->header;
}

/* Bytes that a block of `span` cells at `cell` offers. */
static inline size_t room_of(const rf_simple *heap, size_t cell, size_t span) {
  const unsigned char *const after = cell + span == heap->cells ? heap->end : header_at(heap, cell + span);
  return (size_t)(after - payload_at(heap, cell));
}

static inline size_t size_of(const rf_simple *heap, const block *b) {
  /* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): callers have found the block */
  return room_of(heap, b->cell, b->span) - b->slack;
}

/* Cells that become a block: a free block, or a block being resized with its free neighbours. */
typedef struct region {
  size_t cell;
  size_t span;
  size_t free_blocks; /* that it is made of */
} region;

/* ---- simple_block.c ---- */

/* False where the header of `cell` cannot be one. */
bool rf_simple_read(const rf_simple *heap, size_t cell, block *out);

/* Makes one free block of the region. */
void rf_simple_release(rf_simple *heap, const region *r);

void *rf_simple_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site);
rf_status rf_simple_free(rf_allocator *self, void *ptr, const rf_site *site);
void *rf_simple_realloc(rf_allocator *self, void *ptr, size_t size, size_t align, const rf_site *site);
rf_status rf_simple_resize(rf_allocator *self, void *ptr, size_t size, const rf_site *site);
size_t rf_simple_usable_size(rf_allocator *self, const void *ptr);

/* ---- simple_view.c: looking ---- */

rf_status rf_simple_walk(rf_allocator *self, rf_walk_fn visit, void *context);
rf_status rf_simple_check(rf_allocator *self, rf_fault *where);
void rf_simple_stats(rf_allocator *self, rf_stats *out);

#endif /* RINGFENCE_SIMPLE_IMPL_H */
