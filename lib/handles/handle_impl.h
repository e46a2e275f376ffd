/* Steps that the sources of the handle heap share: handle.c (the calls), handle_resize.c, handle_init.c,
 * handle_table.c (the table), handle_compaction.c (holes and compaction), handle_view.c (walk, check, figures),
 * handle_allocator.c. Not a public header. */
#ifndef RINGFENCE_HANDLE_IMPL_H
#define RINGFENCE_HANDLE_IMPL_H

#include "lib/core/checksum.h"
#include <ringfence/handle.h>
#include <ringfence/layout.h>

/* In place of a count of locks: held by its pointer (handle_allocator.h), for good. */
#define HANDLE_HELD 255U
_Static_assert(RF_HANDLE_MOST_LOCKS < HANDLE_HELD, "told apart");

/* A place of the table, unpacked. */
typedef struct rf_handle_entry {
  size_t offset;
  size_t size; /* requested */
  size_t next;
  size_t prev;
  unsigned generation;
  unsigned locks;
  bool live; /* the first place is, too */
} rf_handle_entry;

/* A gap, of any size, 0 too, between two blocks that follow each other: `before` ends at `start`, `after` begins at
 * `end`. Either may be place 0: the arena's begin and end. */
typedef struct rf_handle_gap {
  size_t before;
  size_t after;
  size_t start;
  size_t end;
  rf_handle_entry after_entry; /* of `after`, where that is not 0 */
} rf_handle_gap;

static inline rf_handle_heap *handle_heap_of(rf_handles *self) {
  return (rf_handle_heap *)self;
}

/* ---- The table ---- */

size_t rf_handle_stride(const rf_handle_heap *heap);

/* False where the place is damaged: its checksum, or a field that leads out of arena or table. `index` may be any
 * number. */
bool rf_handle_load(const rf_handle_heap *heap, size_t index, rf_handle_entry *out);
void rf_handle_store(rf_handle_heap *heap, size_t index, const rf_handle_entry *entry);

/* False where one of the two is damaged, or they do not agree that nothing is between them. 0 is either end's place. */
bool rf_handle_are_neighbours(const rf_handle_heap *heap, size_t before, size_t after);

/* True where both neighbours of block `index`, which is `e`, know it as theirs. */
bool rf_handle_is_linked(const rf_handle_heap *heap, size_t index, const rf_handle_entry *e);

/* Links a stored block in between two neighbours, takes it out again. unlink is false, and nothing changed, where its
 * neighbours do not agree that they are. */
void rf_handle_link(rf_handle_heap *heap, size_t before, size_t index, size_t after);
bool rf_handle_unlink(rf_handle_heap *heap, size_t index);

/* The gap behind block `before`, and the one after that (not from the last). False where what is there contradicts
 * itself. */
bool rf_handle_gap_after(const rf_handle_heap *heap, size_t before, rf_handle_gap *gap);
bool rf_handle_next_gap(const rf_handle_heap *heap, rf_handle_gap *gap);

/* ---- The record ---- */

size_t rf_handle_record_checksum(const rf_handle_heap *heap);
size_t rf_handle_state_checksum(const rf_handle_heap *heap);

static inline bool rf_handle_intact(const rf_handle_heap *heap) {
  return heap->checksum == rf_handle_record_checksum(heap);
}

/* After any change of a field under it. */
static inline void rf_handle_update_checksum(rf_handle_heap *heap) {
  heap->state_checksum = rf_handle_state_checksum(heap);
}

/* ---- Sizes ---- */

/* Bytes of the arena that a block of `size` bytes takes; `size` is at most RF_SIZE_LIMIT. */
static inline size_t rf_handle_extent(const rf_handle_heap *heap, size_t size) {
  size_t const rounded = (size + (heap->align - 1)) & ~(heap->align - 1);
  return rounded != 0 ? rounded : heap->align;
}

static inline unsigned char *rf_handle_at(const rf_handle_heap *heap, size_t offset) {
  return heap->data + offset;
}

/* Sets *at to the start in [start, end) of a block of `extent` bytes at a multiple of `align`; false if none fits. */
bool rf_handle_fits(const rf_handle_heap *heap, size_t start, size_t end, size_t extent, size_t align, size_t *at);

/* ---- Room ---- */

/* The first gap that has room, and where in it. RF_ERR_NO_MEMORY; RF_ERR_CORRUPT. */
rf_status rf_handle_find_gap(rf_handle_heap *heap, size_t extent, size_t align, rf_handle_gap *gap, size_t *at);

/* The same after sliding blocks together between two locked ones where that makes room. */
rf_status rf_handle_compact_for(rf_handle_heap *heap, size_t extent, size_t align, rf_handle_gap *gap, size_t *at);

/* Gathers free memory of its neighbourhood behind block `index`, which may slide down: until the gap there would let it
 * grow to `extent`. RF_ERR_NO_MEMORY, nothing moved, where that cannot be. */
rf_status rf_handle_gather(rf_handle_heap *heap, size_t index, size_t extent);

/* The largest size that alloc would serve at a multiple of `align`, if it had a place for it. */
size_t rf_handle_largest(const rf_handle_heap *heap, size_t align);

/* Slides blocks down, `most` bytes in sum at most; *moved is how many. */
rf_status rf_handle_slide_all(rf_handle_heap *heap, size_t most, size_t *moved);

/* The memory behind block `index` is free now. */
void rf_handle_hole_behind(rf_handle_heap *heap, size_t index);

/* ---- Handles ---- */

/* RF_OK, and the block's place and entry; or why the handle names none. */
rf_status rf_handle_resolve(const rf_handle_heap *heap, rf_handle handle, size_t *index, rf_handle_entry *e);

/* The same, and reported. */
rf_status rf_handle_known(const rf_handle_heap *heap, rf_handle handle, size_t *index, rf_handle_entry *e,
                          const rf_site *site);

/* Reports that table or record are damaged. Returns RF_ERR_CORRUPT. */
rf_status rf_handle_refuse_damaged(const rf_handle_heap *heap, const rf_site *site);

/* Asks for memory to be freed; true where it is worth another try. */
bool rf_handle_ask(rf_handle_heap *heap, unsigned attempt, size_t size);

/* ---- Operations, in handle.c and handle_resize.c ---- */

rf_handle rf_handle_heap_alloc(rf_handles *self, size_t size, unsigned flags, const rf_site *site);
rf_status rf_handle_heap_free(rf_handles *self, rf_handle handle, const rf_site *site);
rf_status rf_handle_heap_resize(rf_handles *self, rf_handle handle, size_t size, const rf_site *site);
void *rf_handle_heap_address(rf_handles *self, rf_handle handle, const rf_site *site);
void *rf_handle_heap_lock(rf_handles *self, rf_handle handle, const rf_site *site);
rf_status rf_handle_heap_unlock(rf_handles *self, rf_handle handle, const rf_site *site);
size_t rf_handle_heap_size(rf_handles *self, rf_handle handle, const rf_site *site);
rf_handle rf_handle_heap_find(rf_handles *self, const void *ptr);
size_t rf_handle_heap_compact(rf_handles *self, size_t most, const rf_site *site);
rf_status rf_handle_heap_swap(rf_handles *self, rf_handle one, rf_handle other);

/* ---- The calls behind both interfaces ---- */

/* A new block, also of size 0: its place in *index. `align` at least that of the heap. */
rf_status rf_handle_take(rf_handle_heap *heap, size_t size, size_t align, unsigned flags, unsigned locks,
                         size_t *index);
rf_status rf_handle_drop(rf_handle_heap *heap, size_t index);

/* The block keeps its place; RF_ERR_NO_MEMORY where it cannot grow there. */
rf_status rf_handle_resize_here(rf_handle_heap *heap, size_t index, size_t size);

/* The block that starts at `ptr`, by any interface; 0: none does. */
size_t rf_handle_find_index(rf_handle_heap *heap, const void *ptr);

/* The first contradiction, or NULL; *at is where. */
const char *rf_handle_damage(const rf_handle_heap *heap, const void **at);

#endif /* RINGFENCE_HANDLE_IMPL_H */
