#include "sizeclass_impl.h"

#include <string.h>

/* The used block at `ptr`, or why there is none; reports nothing. */
static rf_status find(rf_sizeclass *heap, const void *ptr, found *out) {
  if (!rf_sizeclass_record_intact(heap)) {
    return RF_ERR_CORRUPT;
  }
  return in_buffer(heap, ptr) ? rf_sizeclass_find_in_buffer(heap, ptr, out)
                              : rf_sizeclass_find_in_fallback(heap, ptr, out);
}

/* Counts nothing but the site; damage is reported. */
static void *serve(rf_sizeclass *heap, size_t size, size_t align, const rf_site *site) {
  size_t const unit = align > RF_ALIGN_DEFAULT ? align : RF_ALIGN_DEFAULT;
  if (!rf_sizeclass_record_intact(heap)) {
    (void)rf_fault_refuse(&heap->base, RF_ERR_CORRUPT, "heap record overwritten", heap, site);
    return NULL;
  }
  size_t const row = rf_sizeclass_site_choose(heap, site);
  void *p = rf_sizeclass_serve_class(heap, size, unit, row, site);
  if (p == NULL) {
    p = rf_sizeclass_serve_fallback(heap, size, unit, row, site);
  }
  if (p != NULL) {
    rf_sizeclass_site_count(heap, row, size, site);
  }
  return p;
}

static void failed(rf_sizeclass *heap, size_t size) {
  heap->counters.failures++;
  if (heap->notifier != NULL) {
    heap->notifier(heap->notifier_context, size);
  }
}

static void *sizeclass_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_sizeclass *const heap = sizeclass_of(self);
  void *const p = serve(heap, size, align, site);
  if (p == NULL) {
    failed(heap, size);
  } else {
    rf_count_alloc(&heap->counters, size);
  }
  return p;
}

static rf_status release(rf_sizeclass *heap, const found *f, const rf_site *site) {
  size_t const row = row_of(f->h);
  if (f->at == NULL) {
    rf_sizeclass_release_class(heap, f);
  } else {
    rf_status const status = rf_sizeclass_release_fallback(heap, f, site);
    if (status != RF_OK) {
      return status;
    }
  }
  rf_sizeclass_site_uncount(heap, row, f->requested);
  return RF_OK;
}

static rf_status sizeclass_free(rf_allocator *self, void *ptr, const rf_site *site) {
  rf_sizeclass *const heap = sizeclass_of(self);
  found f;
  rf_status status = find(heap, ptr, &f);
  if (status != RF_OK) {
    return rf_sizeclass_refuse(heap, status, ptr, site);
  }
  status = release(heap, &f, site);
  if (status == RF_OK) {
    rf_count_free(&heap->counters, f.requested);
    if (heap->counters.blocks == heap->large_blocks) {
      rf_sizeclass_uncarve(heap);
    }
  }
  return status;
}

/* Gives the block another size where it is. */
static bool reshape(rf_sizeclass *heap, const found *f, size_t size, const rf_site *site) {
  if (f->at != NULL) {
    if (!rf_sizeclass_reshape_fallback(heap, f, size, site)) {
      return false;
    }
  } else if (size <= f->room) {
    rf_sizeclass_header_set(heap, f->h, row_of(f->h) << SIZE_BITS | size, f->h->flags);
  } else {
    return false;
  }
  rf_sizeclass_site_resize(heap, row_of(f->h), f->requested, size);
  rf_count_resize(&heap->counters, f->requested, size);
  return true;
}

static rf_status sizeclass_resize(rf_allocator *self, void *ptr, size_t size, const rf_site *site) {
  rf_sizeclass *const heap = sizeclass_of(self);
  found f;
  rf_status const status = find(heap, ptr, &f);
  if (status != RF_OK) {
    return rf_sizeclass_refuse(heap, status, ptr, site);
  }
  return reshape(heap, &f, size, site) ? RF_OK : RF_ERR_NO_MEMORY;
}

static void *sizeclass_realloc(rf_allocator *self, void *ptr, size_t size, size_t align, const rf_site *site) {
  rf_sizeclass *const heap = sizeclass_of(self);
  found f;
  rf_status const status = find(heap, ptr, &f);
  if (status != RF_OK) {
    (void)rf_sizeclass_refuse(heap, status, ptr, site);
    return NULL;
  }
  if (rf_is_aligned(ptr, align) && reshape(heap, &f, size, site)) {
    return ptr;
  }
  void *const moved = serve(heap, size, align, site);
  if (moved == NULL) {
    failed(heap, size);
    return NULL;
  }
  rf_track_copy(moved, ptr, f.room < size ? f.room : size);
  rf_counters const before = heap->counters;
  rf_count_alloc(&heap->counters, size);
  if (sizeclass_free(self, ptr, site) != RF_OK) {
    (void)sizeclass_free(self, moved, site);
    heap->counters = before;
    return NULL;
  }
  return moved;
}

static size_t sizeclass_usable_size(rf_allocator *self, const void *ptr) {
  found f;
  return find(sizeclass_of(self), ptr, &f) == RF_OK ? f.room : 0;
}

/* A checker asks about the starts of blocks, at nearly each free. */
static bool sizeclass_owns(rf_allocator *self, const void *ptr) {
  rf_sizeclass *const heap = sizeclass_of(self);
  found f;
  if (!rf_sizeclass_record_intact(heap)) {
    return false;
  }
  if (in_buffer(heap, ptr) || rf_sizeclass_find_in_fallback(heap, ptr, &f) == RF_OK) {
    return true;
  }
  large_walk w;
  rf_sizeclass_large_walk_begin(&w, heap);
  for (const large *p = rf_sizeclass_large_walk_next(&w, heap); p != NULL; p = rf_sizeclass_large_walk_next(&w, heap)) {
    if ((uintptr_t)ptr - (uintptr_t)large_payload(p) < (p->room != 0 ? p->room : 1)) {
      return true;
    }
  }
  return false;
}

/* ---- Beginning and end ---- */

/* Blocks of a buffer that is the caller's again must not pass for blocks of a later heap; behind damage, where headers
 * are not known any more, nothing stays that might be one again. */
static void mark_all_freed(const rf_sizeclass *heap) {
  for (size_t offset = 0; offset < heap->carved;) {
    header *const h = (header *)(void *)(heap->buffer + offset);
    if (!rf_sizeclass_block_intact(heap, h)) {
      memset(h, 0, heap->carved - offset);
      return;
    }
    uint32_t const q = class_of(h);
    offset += HEADER_SIZE + class_size(q);
    if (!is_free(h)) {
      rf_sizeclass_header_set(heap, header_of(user_payload(h)), 0, SECOND | FREED);
      rf_sizeclass_header_set(heap, h, 0, q | FREED);
    }
  }
}

static void empty_record(rf_sizeclass *heap) {
  const rf_allocator_ops *const ops = heap->base.ops;
  memset(heap, 0, sizeof *heap);
  heap->base.ops = ops;
  rf_sizeclass_link_set(heap, &heap->root, NULL);
  heap->checksum = rf_sizeclass_record_checksum(heap);
}

static void sizeclass_deinit(rf_allocator *self) {
  rf_sizeclass *const heap = sizeclass_of(self);
  bool const intact = rf_sizeclass_record_intact(heap);
  if (intact) {
    mark_all_freed(heap);
    rf_track_arena_end(heap->buffer, heap->size);
  }
  if (intact && heap->fallback != NULL) {
    rf_sizeclass_give_all_back(heap);
    if (heap->borrowed != 0) {
      (void)rf_free(heap->fallback, heap->buffer);
    }
  }
  empty_record(heap);
}

static void sizeclass_counters(rf_allocator *self, rf_counters *out) {
  *out = sizeclass_of(self)->counters;
}

static const rf_allocator_ops sizeclass_ops = {
    .name = "sizeclass",
    .alloc = sizeclass_alloc,
    .free = sizeclass_free,
    .realloc = sizeclass_realloc,
    .resize = sizeclass_resize,
    .usable_size = sizeclass_usable_size,
    .owns = sizeclass_owns,
    .walk = rf_sizeclass_walk,
    .check = rf_sizeclass_check,
    .stats = rf_sizeclass_stats,
    .deinit = sizeclass_deinit,
    .counters = sizeclass_counters,
};

/* The start moved up to RF_ALIGN_DEFAULT. False where no block is left room. */
static bool trim(unsigned char **buffer, size_t *size) {
  size_t const gap = rf_align_gap(*buffer, RF_ALIGN_DEFAULT);
  if (*size > RF_SIZE_LIMIT || *size < gap || *size - gap < HEADER_SIZE + RF_SIZECLASS_SMALLEST) {
    return false;
  }
  if (gap != 0) { /* NULL, which stands for a buffer to be borrowed, stays NULL */
    *buffer += gap;
    *size -= gap;
  }
  return true;
}

rf_status rf_sizeclass_init(rf_sizeclass *heap, void *buffer, size_t size, rf_allocator *fallback) {
  unsigned char *memory = (unsigned char *)buffer;
  bool const borrow = buffer == NULL;
  if (borrow && size == 0) {
    size = RF_SIZECLASS_DEFAULT_BUFFER;
  }
  if (heap == NULL || (borrow && fallback == NULL) || !trim(&memory, &size)) {
    return RF_ERR_INVALID;
  }
  if (borrow) {
    memory = (unsigned char *)rf_alloc(fallback, size);
    if (memory == NULL) {
      return RF_ERR_NO_MEMORY;
    }
  }
  memset(heap, 0, sizeof *heap);
  heap->base.ops = rf_track_ops(&sizeclass_ops);
  heap->fallback = fallback;
  heap->buffer = memory;
  heap->size = size;
  heap->borrowed = borrow;
  rf_sizeclass_link_set(heap, &heap->root, NULL);
  heap->checksum = rf_sizeclass_record_checksum(heap);
  rf_track_arena(memory, size);
  return RF_OK;
}

void rf_sizeclass_set_notifier(rf_sizeclass *heap, rf_sizeclass_notifier notifier, void *context) {
  heap->notifier = notifier;
  heap->notifier_context = context;
}
