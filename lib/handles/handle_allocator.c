#include <ringfence/handle_allocator.h>

#include "handle_impl.h"

#include <ringfence/track.h>

#include <string.h>

static rf_handle_allocator *adapter_of(rf_allocator *self) {
  return (rf_handle_allocator *)self;
}

static size_t seal_of(const rf_handle_allocator *a) {
  return rf_checksum_add_address(rf_checksum_begin(a), a->heap);
}

/* Whether the records are such that their addresses may be followed. */
static bool intact(const rf_handle_allocator *a) {
  return a->seal == seal_of(a) && rf_handle_intact(a->heap);
}

static rf_status broken(rf_handle_allocator *a, const rf_site *site) {
  return rf_fault_refuse(&a->base, RF_ERR_CORRUPT, "record or table was overwritten", a, site);
}

/* ---- Allocation ---- */

static void *adapter_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_handle_allocator *const a = adapter_of(self);
  rf_handle_entry e;
  size_t index;
  if (!intact(a)) {
    (void)broken(a, site);
    return NULL;
  }
  rf_status const status = rf_handle_take(a->heap, size, align, 0, HANDLE_HELD, &index);
  if (status == RF_ERR_CORRUPT) {
    (void)broken(a, site);
  }
  if (status != RF_OK || !rf_handle_load(a->heap, index, &e)) {
    a->counters.failures++;
    return NULL;
  }
  rf_count_alloc(&a->counters, size);
  rf_track_alloc(rf_handle_at(a->heap, e.offset), size);
  return rf_handle_at(a->heap, e.offset);
}

/* ---- A pointer ---- */

static bool inside_of_data(const rf_handle_heap *heap, const void *ptr) {
  return (uintptr_t)ptr - (uintptr_t)heap->data < heap->size;
}

/* What an address in the arena is that starts no block; RF_ERR_CORRUPT where that cannot be told. */
static const char *explain(const rf_handle_heap *heap, const void *ptr, rf_status *status) {
  size_t const offset = (size_t)((uintptr_t)ptr - (uintptr_t)heap->data);
  rf_handle_gap gap;
  bool sound = rf_handle_gap_after(heap, 0, &gap);
  while (sound && gap.after != 0 && gap.end <= offset) {
    sound = rf_handle_next_gap(heap, &gap);
  }
  if (!sound) {
    *status = RF_ERR_CORRUPT;
    return "table was overwritten";
  }
  bool const in_block = offset < gap.start;
  *status = in_block ? RF_ERR_BAD_POINTER : RF_ERR_NOT_ALLOCATED;
  return in_block ? "pointer into a block" : "double free";
}

/* NULL and *index where `ptr` is a block of the adapter; else why not, and *status. */
static const char *find(rf_handle_allocator *a, const void *ptr, size_t *index, rf_handle_entry *e, rf_status *status) {
  rf_handle_heap *const heap = a->heap;
  *status = RF_ERR_BAD_POINTER;
  if (!inside_of_data(heap, ptr)) {
    return "pointer from elsewhere";
  }
  if (!rf_is_aligned(ptr, heap->align)) {
    return "misaligned pointer";
  }
  *index = rf_handle_find_index(heap, ptr);
  if (*index == 0) {
    return explain(heap, ptr, status);
  }
  if (!rf_handle_load(heap, *index, e) || e->locks != HANDLE_HELD) {
    return "the block belongs to a handle";
  }
  *status = RF_OK;
  return NULL;
}

static rf_status adapter_free(rf_allocator *self, void *ptr, const rf_site *site) {
  rf_handle_allocator *const a = adapter_of(self);
  rf_handle_entry e = {.size = 0};
  size_t index = 0;
  rf_status status;
  if (!intact(a)) {
    return broken(a, site);
  }
  const char *const what = find(a, ptr, &index, &e, &status);
  if (what != NULL) {
    return rf_fault_refuse(self, status, what, ptr, site);
  }
  if (rf_handle_drop(a->heap, index) != RF_OK) {
    return broken(a, site);
  }
  rf_count_free(&a->counters, e.size);
  return RF_OK;
}

static rf_status adapter_resize(rf_allocator *self, void *ptr, size_t size, const rf_site *site) {
  rf_handle_allocator *const a = adapter_of(self);
  rf_handle_entry e = {.size = 0};
  size_t index = 0;
  rf_status status;
  if (!intact(a)) {
    return broken(a, site);
  }
  const char *const what = find(a, ptr, &index, &e, &status);
  if (what != NULL) {
    return rf_fault_refuse(self, status, what, ptr, site);
  }
  status = rf_handle_resize_here(a->heap, index, size);
  if (status == RF_ERR_CORRUPT) {
    return broken(a, site);
  }
  if (status == RF_OK) {
    rf_count_resize(&a->counters, e.size, size);
  }
  return status;
}

static size_t adapter_usable_size(rf_allocator *self, const void *ptr) {
  rf_handle_allocator *const a = adapter_of(self);
  rf_handle_entry e = {.size = 0};
  size_t index = 0;
  rf_status status;
  if (!intact(a) || find(a, ptr, &index, &e, &status) != NULL) {
    return 0;
  }
  rf_track_reveal(ptr, rf_handle_extent(a->heap, e.size));
  return rf_handle_extent(a->heap, e.size);
}

static bool adapter_owns(rf_allocator *self, const void *ptr) {
  const rf_handle_allocator *const a = adapter_of(self);
  return intact(a) && inside_of_data(a->heap, ptr);
}

/* ---- Looking ---- */

typedef struct visit {
  rf_walk_fn fn;
  void *context;
} visit;

/* Of a hole the part that can be requested: from a multiple of the default alignment on. */
static rf_block free_part(const rf_handle_block *hole) {
  size_t const gap = rf_align_gap(hole->ptr, RF_ALIGN_DEFAULT);
  bool const any = gap < hole->size;
  size_t const skip = any ? gap : hole->size;
  rf_block const b = {(unsigned char *)hole->ptr + (any ? skip : 0), hole->size - skip, skip, false, NULL};
  return b;
}

static bool pass_on(const rf_handle_block *block, void *context) {
  const visit *const v = (const visit *)context;
  rf_block const used = {block->ptr, block->size, block->overhead, true, NULL};
  rf_block const b = block->handle != RF_HANDLE_NULL ? used : free_part(block);
  return v->fn(&b, v->context);
}

static bool add_free(const rf_handle_block *block, void *sum) {
  *(size_t *)sum += block->handle == RF_HANDLE_NULL ? free_part(block).size : 0;
  return true;
}

static rf_status adapter_walk(rf_allocator *self, rf_walk_fn fn, void *context) {
  const rf_handle_allocator *const a = adapter_of(self);
  visit v = {fn, context};
  return intact(a) ? rf_handle_walk(&a->heap->base, pass_on, &v) : RF_ERR_CORRUPT;
}

static rf_status adapter_check(rf_allocator *self, rf_fault *where) {
  const rf_handle_allocator *const a = adapter_of(self);
  const void *at = a;
  const char *const what = intact(a) ? rf_handle_damage(a->heap, &at) : "record was overwritten";
  bool const counted =
      what != NULL || (a->counters.used <= a->heap->counters.used && a->counters.blocks <= a->heap->counters.blocks &&
                       a->counters.used <= a->counters.peak && a->counters.blocks <= a->counters.peak_blocks);
  if (what == NULL && counted) {
    return RF_OK;
  }
  rf_fault const fault = {RF_ERR_CORRUPT, what != NULL ? what : "blocks and figures disagree", self, at, NULL};
  *where = fault;
  return RF_ERR_CORRUPT;
}

static void adapter_stats(rf_allocator *self, rf_stats *out) {
  const rf_handle_allocator *const a = adapter_of(self);
  memset(out, 0, sizeof *out);
  if (!intact(a)) {
    return;
  }
  const rf_handle_heap *const heap = a->heap;
  rf_count_into(&a->counters, out);
  out->capacity = heap->capacity;
  (void)rf_handle_walk(&a->heap->base, add_free, &out->free_bytes);
  out->overhead = out->capacity - out->free_bytes - out->used;
  out->largest_free = heap->counters.blocks < heap->blocks ? rf_handle_largest(heap, RF_ALIGN_DEFAULT) : 0;
}

static void adapter_counters(rf_allocator *self, rf_counters *out) {
  *out = adapter_of(self)->counters;
}

static void adapter_deinit(rf_allocator *self) {
  rf_handle_allocator *const a = adapter_of(self);
  if (a->seal == seal_of(a)) {
    rf_handle_deinit(&a->heap->base);
  }
  memset(&a->counters, 0, sizeof a->counters);
}

static const rf_allocator_ops adapter_ops = {
    .name = "handle",
    .alloc = adapter_alloc,
    .free = adapter_free,
    .resize = adapter_resize,
    .usable_size = adapter_usable_size,
    .owns = adapter_owns,
    .walk = adapter_walk,
    .check = adapter_check,
    .stats = adapter_stats,
    .deinit = adapter_deinit,
    .counters = adapter_counters,
};

rf_status rf_handle_allocator_init(rf_handle_allocator *adapter, rf_handle_heap *heap) {
  if (adapter == NULL || heap == NULL || !rf_handle_intact(heap) || heap->blocks == 0) {
    return RF_ERR_INVALID;
  }
  memset(adapter, 0, sizeof *adapter);
  adapter->base.ops = &adapter_ops;
  adapter->heap = heap;
  adapter->seal = seal_of(adapter);
  return RF_OK;
}
