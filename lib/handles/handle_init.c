/* A handle heap begins and ends: how its memory is divided, and its operations. */
#include "handle_impl.h"
#include "handle_view.h"

#include <ringfence/track.h>

#include <string.h>

/* ---- How the memory is divided ---- */

static size_t at_most(size_t n, size_t most) {
  return n < most ? n : most;
}

/* How much of `size` bytes is left for blocks beside a table of places of `stride` bytes, one per `average` bytes and
 * three more. */
static size_t data_share(size_t size, size_t stride, size_t average) {
  size_t const fixed = 3 * stride;
  if (size <= fixed) {
    return 0;
  }
  size_t const rest = size - fixed;
  size_t const unit = average + stride;
  return rest / unit * average + at_most(rest % unit, average - 1);
}

/* Sets index_width and blocks. `memory` is what there is for both, or for blocks alone where the table is elsewhere. */
static void choose_blocks(rf_handle_heap *heap, size_t memory, const rf_handle_options *o) {
  size_t const average = o->average_block != 0 ? o->average_block : RF_HANDLE_AVERAGE_DEFAULT;
  for (heap->index_width = 1; heap->index_width <= 2; heap->index_width++) {
    size_t const stride = rf_handle_stride(heap);
    size_t const share = o->table != NULL ? memory : data_share(memory, stride, average);
    heap->blocks = o->max_blocks != 0 ? o->max_blocks : at_most(2 + share / average, RF_HANDLE_MOST_BLOCKS);
    if (o->table != NULL) {
      size_t const places = o->table_size / stride;
      heap->blocks = at_most(heap->blocks, places != 0 ? places - 1 : 0);
    }
    if (heap->blocks < 256) {
      return;
    }
  }
  heap->index_width = 2;
}

static bool sensible(const void *arena, size_t size, const rf_handle_options *o) {
  return arena != NULL && size <= RF_SIZE_LIMIT && rf_is_pow2(o->align) && o->align <= 32768 &&
         o->max_blocks <= RF_HANDLE_MOST_BLOCKS && o->average_block <= RF_SIZE_LIMIT / 2;
}

/* Divides the arena; false where there is no room for a block and its place. */
static bool divide(rf_handle_heap *heap, unsigned char *arena, size_t size, const rf_handle_options *o) {
  heap->align = o->align;
  heap->capacity = size;
  heap->offset_width = size >> 16 == 0 ? 2 : size >> 16 >> 16 == 0 ? 4 : 8;
  choose_blocks(heap, size, o);
  size_t const table = (heap->blocks + 1) * rf_handle_stride(heap);
  size_t const inside = o->table == NULL ? table : 0;
  if (heap->blocks == 0 || inside > size) {
    return false;
  }
  heap->table = o->table == NULL ? arena : (unsigned char *)o->table;
  size_t const gap = rf_align_gap(arena + inside, o->align);
  if (gap > size - inside) {
    return false;
  }
  heap->data = arena + inside + gap;
  heap->size = rf_round_down(size - inside - gap, o->align);
  return heap->size != 0;
}

static void clear_table(rf_handle_heap *heap) {
  rf_handle_entry const end = {.live = true};
  rf_handle_entry const vacant = {.live = false};
  rf_handle_store(heap, 0, &end);
  for (size_t i = 1; i <= heap->blocks; i++) {
    rf_handle_store(heap, i, &vacant);
  }
}

/* ---- Operations ---- */

static size_t heap_align(const rf_handles *self) {
  return ((const rf_handle_heap *)self)->align;
}

static rf_handles *heap_inner(rf_handles *self) {
  (void)self;
  return NULL;
}

static void heap_deinit(rf_handles *self) {
  rf_handle_heap *const heap = handle_heap_of(self);
  if (rf_handle_intact(heap) && heap->blocks != 0) {
    rf_track_arena_end(heap->data, heap->size);
    memset(heap->table, 0, (heap->blocks + 1) * rf_handle_stride(heap));
  }
  memset((unsigned char *)heap + sizeof heap->base, 0, sizeof *heap - sizeof heap->base);
  heap->checksum = rf_handle_record_checksum(heap); /* a sound heap without a place: everything is refused */
  rf_handle_update_checksum(heap);
}

static const rf_handles_ops heap_ops = {
    .name = "handle",
    .alloc = rf_handle_heap_alloc,
    .free = rf_handle_heap_free,
    .resize = rf_handle_heap_resize,
    .address = rf_handle_heap_address,
    .lock = rf_handle_heap_lock,
    .unlock = rf_handle_heap_unlock,
    .size = rf_handle_heap_size,
    .find = rf_handle_heap_find,
    .compact = rf_handle_heap_compact,
    .swap = rf_handle_heap_swap,
    .walk = rf_handle_heap_walk,
    .check = rf_handle_heap_check,
    .usage = rf_handle_heap_usage,
    .align = heap_align,
    .inner = heap_inner,
    .deinit = heap_deinit,
};

/* ---- The beginning ---- */

rf_status rf_handle_heap_init(rf_handle_heap *heap, void *arena, size_t size, const rf_handle_options *options) {
  rf_handle_options const defaults = {.align = 0};
  rf_handle_options o = options != NULL ? *options : defaults;
  rf_handle_heap made;
  o.align = o.align != 0 ? o.align : RF_HANDLE_ALIGN_DEFAULT;
  memset(&made, 0, sizeof made);
  if (heap == NULL || !sensible(arena, size, &o) || !divide(&made, (unsigned char *)arena, size, &o)) {
    return RF_ERR_INVALID;
  }
  made.base.ops = &heap_ops;
  made.lowest = 1;
  *heap = made;
  clear_table(heap);
  heap->checksum = rf_handle_record_checksum(heap);
  rf_handle_update_checksum(heap);
  rf_track_arena(heap->data, heap->size);
  return RF_OK;
}

void rf_handle_heap_on_short(rf_handle_heap *heap, rf_handle_short_fn fn, void *context) {
  if (!rf_handle_intact(heap)) {
    (void)rf_handle_refuse_damaged(heap, NULL);
    return;
  }
  heap->on_short = fn;
  heap->short_context = context;
  heap->checksum = rf_handle_record_checksum(heap);
}
