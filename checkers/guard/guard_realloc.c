/* rf_guard: realloc and resize. */
#include "guard_inner.h"
#include "guard_redzone.h"

/* Resizes the inner block: RF_OK, and its usable bytes in *got. */
static rf_status resize_inner(rf_guard *guard, rf_guard_header *h, size_t total, const rf_origin *origin, size_t *got) {
  rf_allocator *const inner = guard->inner;
  rf_status status = RF_ERR_NO_MEMORY;
  rf_inner_call call;
  track_open(guard, h);
  forget_pages(guard);
  rf_inner_call_begin(&call);
  if (inner->ops->resize != NULL) {
    status = inner->ops->resize(inner, block_of(h), total, origin->site);
  }
  if (status == RF_ERR_UNSUPPORTED) {
    status = RF_ERR_NO_MEMORY;
  }
  size_t const asked = status == RF_OK ? total : total_of(h);
  *got = is_watched(guard) ? asked : inner_usable_size(guard, block_of(h), asked);
  if (status == RF_ERR_NO_MEMORY && total <= *got) {
    status = RF_OK;
  }
  call_end(guard, &call, origin);
  return status;
}

/* `h` is live and checked. Changes nothing unless RF_OK. */
static rf_status resize_here(rf_guard *guard, rf_guard_header *h, size_t size, const rf_origin *origin) {
  size_t const prefix = prefix_of(h);
  size_t const old_size = h->size;
  size_t got;
  if (size > RF_SIZE_LIMIT - RF_GUARD_BACK_MIN - prefix) {
    return RF_ERR_NO_MEMORY;
  }
  rf_status const status = resize_inner(guard, h, prefix + size + RF_GUARD_BACK_MIN, origin, &got);
  if (status != RF_OK) {
    track_closed(guard, h);
    return status;
  }
  h->back = rf_guard_set_size(h, size, prefix, got);
  if (size > old_size) {
    write_new(guard, payload_of(h) + old_size, size - old_size);
  }
  write_checksum(guard, h);
  track_closed(guard, h);
  rf_count_resize(&guard->counters, old_size, size);
  return RF_OK;
}

/* Moves the block; the old one goes into quarantine. NULL, and nothing changed, where there is no memory. */
static void *move(rf_guard *guard, rf_guard_header *old, size_t size, size_t align, const rf_origin *origin) {
  size_t const old_size = old->size;
  size_t const kept = old_size < size ? old_size : size;
  rf_guard_header *const h = rf_guard_make_block(guard, size, align, family_of(old), origin);
  if (h == NULL) {
    return NULL;
  }
  memcpy(payload_of(h), payload_of(old), kept);
  write_new(guard, payload_of(h) + kept, size - kept);
  rf_guard_release(guard, old, origin);
  rf_count_resize(&guard->counters, old_size, size);
  return payload_of(h);
}

/* ---- Entry points ---- */

void *rf_guard_realloc_from(rf_guard *guard, void *ptr, size_t size, size_t align, const rf_origin *origin) {
  origin = rf_origin_or_none(origin);
  if (!rf_guard_is_live(guard, ptr)) {
    (void)rf_guard_bad_free(guard, ptr, origin);
    return NULL;
  }
  rf_guard_header *const h = header_of(ptr);
  bool const may_stay = rf_is_aligned(ptr, align);
  check_redzones(guard, h, origin);
  check_family(guard, h, RF_FAMILY_REALLOC, SIZE_MAX, origin);
  bool const stay_first = may_stay && h->size > guard->options.move_below;
  if (stay_first && resize_here(guard, h, size, origin) == RF_OK) {
    return ptr;
  }
  void *const moved = move(guard, h, size, align, origin);
  if (moved != NULL) {
    return moved;
  }
  /* Once more, too: the quarantine went to make room for the move. */
  if (may_stay && resize_here(guard, h, size, origin) == RF_OK) {
    return ptr;
  }
  guard->counters.failures++;
  return NULL;
}

void *rf_guard_op_realloc(rf_allocator *self, void *ptr, size_t size, size_t align, const rf_site *site) {
  rf_origin const origin = RF_ORIGIN_HERE(site);
  return rf_guard_realloc_from(guard_of(self), ptr, size, align, &origin);
}

rf_status rf_guard_resize_from(rf_guard *guard, void *ptr, size_t size, const rf_origin *origin) {
  if (!rf_guard_is_live(guard, ptr)) {
    return rf_guard_bad_free(guard, ptr, origin);
  }
  rf_guard_header *const h = header_of(ptr);
  check_redzones(guard, h, origin);
  return resize_here(guard, h, size, origin);
}

rf_status rf_guard_op_resize(rf_allocator *self, void *ptr, size_t size, const rf_site *site) {
  rf_origin const origin = RF_ORIGIN_HERE(site);
  return rf_guard_resize_from(guard_of(self), ptr, size, &origin);
}
