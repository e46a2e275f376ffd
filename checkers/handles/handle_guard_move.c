/* rf_handle_guard: the quarantine, and blocks that move. */
#include "handle_guard_impl.h"

/* ---- Quarantine ---- */

static void release_oldest(rf_handle_guard *guard, const rf_origin *origin) {
  rf_handles *const inner = guard->inner;
  rf_handle const handle = guard->oldest;
  unsigned char *block;
  handle_header h;
  bool reaches_end;
  if (rf_handle_guard_inner_address(guard, handle, &block) != RF_OK ||
      !rf_handle_guard_read(guard, block, handle, &h) || (h.state != HANDLE_FREED && h.state != HANDLE_MOVED)) {
    (void)rf_handle_guard_report_metadata(guard, origin);
    guard->oldest = RF_HANDLE_NULL; /* what follows the damaged link is lost */
    guard->newest = RF_HANDLE_NULL;
    guard->quarantined = 0;
    return;
  }
  guard->oldest = h.next;
  guard->newest = h.next != RF_HANDLE_NULL ? guard->newest : RF_HANDLE_NULL;
  guard->quarantined -= handle_total(guard, h.size);
  (void)rf_handle_guard_inspect(guard, block, &h, origin, &reaches_end);
  HANDLE_UNPOISON(handle_payload(guard, block), h.size);
  (void)inner->ops->unlock(inner, handle, origin->site);
  (void)inner->ops->free(inner, handle, origin->site);
}

void rf_handle_guard_flush_from(rf_handle_guard *guard, size_t keep, const rf_origin *origin) {
  while (guard->oldest != RF_HANDLE_NULL && guard->quarantined > keep) {
    release_oldest(guard, origin);
  }
}

/* The block `h`, freed or left, at `block`: filled, pinned where it is, and watched for a while. */
void rf_handle_guard_enqueue(rf_handle_guard *guard, unsigned char *block, handle_header *h, const rf_origin *origin) {
  rf_handles *const inner = guard->inner;
  unsigned char *last;
  handle_header newest;
  memset(handle_payload(guard, block), RF_PATTERN_FREED, h->size);
  h->next = RF_HANDLE_NULL;
  h->listed = 0;
  rf_handle_guard_write(guard, block, h);
  (void)inner->ops->lock(inner, h->self, origin->site);
  HANDLE_POISON(handle_payload(guard, block), h->size);
  if (guard->newest != RF_HANDLE_NULL && rf_handle_guard_inner_address(guard, guard->newest, &last) == RF_OK &&
      rf_handle_guard_read(guard, last, guard->newest, &newest)) {
    newest.next = h->self;
    rf_handle_guard_write(guard, last, &newest);
  } else {
    guard->oldest = h->self;
    guard->quarantined = 0;
  }
  guard->newest = h->self;
  guard->quarantined += handle_total(guard, h->size);
  rf_handle_guard_flush_from(guard, guard->options.quarantine, origin);
}

/* ---- Shown blocks ---- */

void rf_handle_guard_list_shown(rf_handle_guard *guard, unsigned char *block, handle_header *h,
                                const rf_origin *origin) {
  h->shown = handle_call_of(origin);
  if (h->listed == 0) {
    h->listed = 1;
    h->next = guard->shown;
    guard->shown = h->self;
  }
  rf_handle_guard_write(guard, block, h);
}

/* Takes `h` off the list; its header is the caller's to write. */
void rf_handle_guard_unlist(rf_handle_guard *guard, handle_header *h) {
  rf_handle *at = &guard->shown;
  rf_handle before = RF_HANDLE_NULL;
  unsigned char *block = NULL;
  handle_header other;
  if (h->listed == 0) {
    return;
  }
  h->listed = 0;
  while (*at != RF_HANDLE_NULL && *at != h->self) {
    before = *at;
    if (rf_handle_guard_inner_address(guard, before, &block) != RF_OK ||
        !rf_handle_guard_read(guard, block, before, &other)) {
      *at = RF_HANDLE_NULL; /* the rest is lost; what is lost does not move */
      return;
    }
    at = &other.next;
  }
  if (*at == h->self) {
    *at = h->next;
    if (before != RF_HANDLE_NULL) {
      rf_handle_guard_write(guard, block, &other);
    }
  }
}

/* ---- Moving ---- */

/* A raw inner block; what is in quarantine goes before anybody is asked for memory. */
rf_handle rf_handle_guard_alloc_inner(rf_handle_guard *guard, size_t total, unsigned flags, const rf_origin *origin) {
  rf_handles *const inner = guard->inner;
  unsigned const stay = flags & RF_HANDLE_STAY;
  rf_handle handle = inner->ops->alloc(inner, total, RF_HANDLE_NO_ZERO | RF_HANDLE_TRY | stay, origin->site);
  if (handle == RF_HANDLE_NULL && guard->oldest != RF_HANDLE_NULL) {
    rf_handle_guard_flush_from(guard, 0, origin);
    handle = inner->ops->alloc(inner, total, RF_HANDLE_NO_ZERO | RF_HANDLE_TRY | stay, origin->site);
  }
  if (handle == RF_HANDLE_NULL && (flags & RF_HANDLE_TRY) == 0) {
    handle = inner->ops->alloc(inner, total, RF_HANDLE_NO_ZERO | stay, origin->site);
  }
  return handle;
}

/* Puts the live block `h` in a new place with room for `size` bytes, under the same handle; the old place goes into
 * quarantine. False, and nothing changed, where there is no room. *block and *h are then those of the new place. */
bool rf_handle_guard_relocate(rf_handle_guard *guard, unsigned char **block, handle_header *h, size_t size,
                              unsigned flags, const rf_origin *origin) {
  rf_handles *const inner = guard->inner;
  rf_handle const handle = h->self;
  unsigned char *to;
  bool reaches_end;
  rf_handle const other = rf_handle_guard_alloc_inner(guard, handle_total(guard, size), flags, origin);
  if (other == RF_HANDLE_NULL) {
    return false;
  }
  /* Compaction may have moved it just now, and the callback for shortness may have done anything. */
  if (rf_handle_guard_inner_address(guard, handle, block) != RF_OK ||
      rf_handle_guard_inner_address(guard, other, &to) != RF_OK || !rf_handle_guard_read(guard, *block, handle, h) ||
      h->state != HANDLE_LIVE || h->locks != 0) {
    (void)inner->ops->free(inner, other, origin->site);
    return false;
  }
  (void)rf_handle_guard_inspect(guard, *block, h, origin, &reaches_end);
  rf_handle_guard_unlist(guard, h);
  handle_header left = *h;
  size_t const kept = h->size < size ? h->size : size;
  memcpy(handle_payload(guard, to), handle_payload(guard, *block), kept);
  memset(handle_payload(guard, to) + kept, 0, size - kept);
  h->size = size;
  rf_handle_guard_write(guard, to, h);
  rf_handle_guard_write_redzones(guard, to, h);
  (void)inner->ops->swap(inner, handle, other);
  left.self = other;
  left.state = HANDLE_MOVED;
  left.released = left.shown;
  rf_handle_guard_enqueue(guard, *block, &left, origin);
  *block = to;
  return true;
}

/* Every block whose address was given out, and is not locked, moves. */
void rf_handle_guard_move_shown(rf_handle_guard *guard, const rf_origin *origin) {
  rf_handle handle = guard->shown;
  while (guard->options.move && handle != RF_HANDLE_NULL) {
    unsigned char *block;
    handle_header h;
    if (rf_handle_guard_inner_address(guard, handle, &block) != RF_OK ||
        !rf_handle_guard_read(guard, block, handle, &h)) {
      guard->shown = RF_HANDLE_NULL;
      (void)rf_handle_guard_report_metadata(guard, origin);
      return;
    }
    rf_handle const next = h.next;
    if (h.locks == 0) {
      (void)rf_handle_guard_relocate(guard, &block, &h, h.size, RF_HANDLE_TRY, origin);
    }
    handle = next;
  }
}
