/* rf_handle_guard: alloc, free and resize. */
#include "handle_guard_impl.h"

/* ---- Allocation ---- */

static bool is_valid_size(rf_handle_guard *guard, size_t size, const rf_origin *origin) {
  if (size > RF_SIZE_LIMIT) {
    rf_finding f;
    rf_handle_guard_finding(guard, &f, RF_BUG_SIZE_TOO_BIG, RF_ACCESS_UNKNOWN, NULL, origin);
    f.size = size;
    rf_report(guard->options.reporter, &f);
  }
  return size != 0 && size <= RF_SIZE_LIMIT;
}

/* Whether the size with what goes around it is still a size. */
static bool overflows(const rf_handle_guard *guard, size_t size) {
  return size > RF_SIZE_LIMIT - guard->prefix - HANDLE_BACK - guard->align;
}

rf_handle rf_handle_guard_op_alloc(rf_handles *self, size_t size, unsigned flags, const rf_site *site) {
  rf_handle_guard *const guard = handle_guard_of(self);
  rf_origin const origin = RF_ORIGIN_HERE(site);
  unsigned char *block;
  if (guard->inner == NULL) {
    (void)rf_handle_guard_report_ended(guard, &origin);
    return RF_HANDLE_NULL;
  }
  if (!is_valid_size(guard, size, &origin)) {
    return RF_HANDLE_NULL;
  }
  rf_handle const handle = overflows(guard, size)
                               ? RF_HANDLE_NULL
                               : rf_handle_guard_alloc_inner(guard, handle_total(guard, size), flags, &origin);
  if (handle == RF_HANDLE_NULL || rf_handle_guard_inner_address(guard, handle, &block) != RF_OK) {
    guard->counters.failures += (flags & RF_HANDLE_TRY) == 0 ? 1 : 0;
    return RF_HANDLE_NULL;
  }
  HANDLE_UNPOISON(block, handle_total(guard, size)); /* a damaged heap may serve what is still in quarantine */
  handle_header h;
  memset(&h, 0, sizeof h);
  h.allocated = handle_call_of(&origin);
  h.size = size;
  h.self = handle;
  h.subject = handle;
  h.state = HANDLE_LIVE;
  rf_handle_guard_write(guard, block, &h);
  rf_handle_guard_write_redzones(guard, block, &h);
  memset(handle_payload(guard, block), (flags & RF_HANDLE_NO_ZERO) != 0 ? RF_PATTERN_NEW : 0, size);
  rf_count_alloc(&guard->counters, size);
  if ((flags & RF_HANDLE_STAY) == 0) {
    rf_handle_guard_move_shown(guard, &origin); /* not before: it may take the room that `largest` promised */
  }
  return handle;
}

/* ---- Free ---- */

rf_status rf_handle_guard_op_free(rf_handles *self, rf_handle handle, const rf_site *site) {
  rf_handle_guard *const guard = handle_guard_of(self);
  rf_origin const origin = RF_ORIGIN_HERE(site);
  unsigned char *block;
  handle_header h;
  bool reaches_end;
  rf_status const status = rf_handle_guard_open(guard, handle, RF_ACCESS_FREE, &block, &h, &origin);
  if (status != RF_OK) {
    return status;
  }
  if (h.locks != 0) {
    rf_handle_guard_report(guard, RF_BUG_FREE_LOCKED, RF_ACCESS_FREE, handle, block, &h, NULL, &origin);
    return RF_ERR_BUSY;
  }
  (void)rf_handle_guard_inspect(guard, block, &h, &origin, &reaches_end);
  rf_handle_guard_unlist(guard, &h);
  rf_count_free(&guard->counters, h.size);
  h.state = HANDLE_FREED;
  h.released = handle_call_of(&origin);
  rf_handle_guard_enqueue(guard, block, &h, &origin);
  return RF_OK;
}

/* ---- Resize ---- */

/* In the inner block, which stays under its handle, and where it is if it is locked. *old_size is what the block had
 * when it was given the other size: the callback of a heap that is short of memory may have resized it. */
static rf_status resize_inside(rf_handle_guard *guard, unsigned char *block, handle_header *h, size_t size,
                               size_t *old_size, const rf_origin *origin) {
  rf_handles *const inner = guard->inner;
  rf_handle const handle = h->self;
  rf_inner_call call;
  (void)block;
  rf_inner_call_begin(&call);
  rf_status const status = inner->ops->resize(inner, handle, handle_total(guard, size), origin->site);
  (void)rf_inner_call_end(&call);
  if (status != RF_OK) {
    return status;
  }
  if (rf_handle_guard_inner_address(guard, handle, &block) != RF_OK || !rf_handle_guard_read(guard, block, handle, h)) {
    return RF_ERR_CORRUPT;
  }
  *old_size = h->size;
  if (size > h->size) {
    memset(handle_payload(guard, block) + h->size, 0, size - h->size);
  }
  h->size = size;
  rf_handle_guard_write(guard, block, h);
  rf_handle_guard_write_redzones(guard, block, h);
  return RF_OK;
}

rf_status rf_handle_guard_op_resize(rf_handles *self, rf_handle handle, size_t size, const rf_site *site) {
  rf_handle_guard *const guard = handle_guard_of(self);
  rf_origin const origin = RF_ORIGIN_HERE(site);
  unsigned char *block;
  handle_header h;
  bool reaches_end;
  rf_status status = rf_handle_guard_open(guard, handle, RF_ACCESS_UNKNOWN, &block, &h, &origin);
  if (status != RF_OK) {
    return status;
  }
  if (!is_valid_size(guard, size, &origin)) {
    return RF_ERR_INVALID;
  }
  if (overflows(guard, size)) {
    return h.locks != 0 ? RF_ERR_BUSY : RF_ERR_NO_MEMORY;
  }
  (void)rf_handle_guard_inspect(guard, block, &h, &origin, &reaches_end);
  size_t old_size = h.size;
  if (h.locks == 0 && guard->options.move) {
    rf_handle_guard_list_shown(guard, block, &h, &origin);
    rf_handle_guard_move_shown(guard, &origin);
    status = rf_handle_guard_open(guard, handle, RF_ACCESS_UNKNOWN, &block, &h, &origin);
    if (status == RF_OK && rf_handle_guard_relocate(guard, &block, &h, size, RF_HANDLE_TRY, &origin)) {
      rf_count_resize(&guard->counters, old_size, size);
      return RF_OK;
    }
    status = rf_handle_guard_open(guard, handle, RF_ACCESS_UNKNOWN, &block, &h, &origin);
  }
  if (status == RF_OK) {
    status = resize_inside(guard, block, &h, size, &old_size, &origin);
  }
  if (status == RF_OK) {
    rf_count_resize(&guard->counters, old_size, size);
  }
  return status;
}
