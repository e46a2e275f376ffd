/* rf_guard: a pointer was handed in that does not start a live block. Tells what it is, and says so. */
#include "guard_impl.h"

#include "checkers/shared/filled_pointer.h"

/* ---- Double free ---- */

/* A header that left the quarantine with its block, and was not overwritten since: without the words that an inner heap
 * uses for itself. False where it is something else. */
RF_NO_SANITIZE static bool read_retired(const rf_guard *guard, const rf_guard_header *h, rf_guard_header *out) {
  *out = *h;
  out->next = NULL;
#if RF_GUARD_THREADS
  out->allocated_by = 0;
  out->released_by = 0;
#else
  out->size = 0;
#endif
  return state_of(out) == STATE_RETIRED && out->checksum == header_checksum(guard, out, h);
}

static rf_status report_double_free(rf_guard *guard, const rf_guard_header *h, const void *ptr, const char *detail,
                                    const rf_origin *origin) {
  rf_finding f;
  rf_guard_finding(guard, &f, RF_BUG_DOUBLE_FREE, RF_ACCESS_FREE, ptr, origin);
  if (h != NULL) {
    rf_guard_finding_block(guard, &f, h);
  }
  f.block = f.address;
  f.offset = 0;
  f.freed = true;
  f.detail = detail;
  rf_report(guard->options.reporter, &f);
  return RF_ERR_NOT_ALLOCATED;
}

static rf_status report_freed(rf_guard *guard, rf_guard_header *h, const rf_origin *origin) {
  (void)rf_guard_report_damage(guard, h, origin); /* what was written after the first free is a bug of its own */
  return report_double_free(guard, h, payload_of(h), NULL, origin);
}

/* ---- Bad free ---- */

static bool is_listed(const rf_guard *guard, const rf_guard_header *h) {
  for (guard_cursor at = rf_guard_first(guard); at.h != NULL; rf_guard_next(guard, &at)) {
    if (at.h == h) {
      return true;
    }
  }
  return false;
}

static rf_status report_interior(rf_guard *guard, const rf_guard_header *h, const void *ptr, const rf_origin *origin) {
  rf_finding f;
  rf_guard_finding(guard, &f, RF_BUG_BAD_FREE, RF_ACCESS_FREE, ptr, origin);
  rf_guard_finding_block(guard, &f, h);
  bool const inside = f.offset >= 0 && (size_t)f.offset < f.size;
  f.cwe = inside ? 761 : f.cwe;
  f.detail = inside ? "the pointer is inside a block" : "the pointer is beside a block";
  rf_report(guard->options.reporter, &f);
  return RF_ERR_BAD_POINTER;
}

static rf_status report_bad_free(rf_guard *guard, const void *ptr, const char *detail, const rf_origin *origin) {
  rf_finding f;
  rf_bug const bug = rf_filled_pointer_is_stale(ptr) ? RF_BUG_USE_AFTER_FREE : RF_BUG_BAD_FREE;
  rf_guard_finding(guard, &f, bug, RF_ACCESS_FREE, ptr, origin);
  f.detail = detail;
  rf_report(guard->options.reporter, &f);
  return RF_ERR_BAD_POINTER;
}

/* A phrase on what is at a pointer to no block. The system knows the heap's memory only as mapped, or as an object. */
static const char *detail_of(const rf_guard *guard, const void *ptr) {
  const char *const source = rf_filled_pointer_source(ptr);
  if (source != NULL) {
    return source;
  }
  bool const in_heap = guard->has_owns && rf_guard_has_memory(guard, ptr, 1);
  return in_heap ? "no block is there, or any more" : rf_host_describe_address(ptr);
}

/* ---- Another allocator's ---- */

static rf_status report_others(rf_guard *guard, const rf_guard *owner, const void *ptr, const rf_origin *origin) {
  rf_finding f;
  rf_guard_finding(guard, &f, RF_BUG_DEALLOC_MISMATCH, RF_ACCESS_FREE, ptr, origin);
  if (owner != NULL) {
    rf_guard_finding_block(owner, &f, header_of(ptr));
    f.allocation = owner->inner->ops->name;
    f.deallocation = guard->inner->ops->name;
    f.detail = "the block belongs to another allocator";
  } else {
    f.allocation = guard->inner->ops->name;
    f.deallocation = "guard";
    f.detail = "the block was allocated behind the checker's back, from the allocator that it wraps";
  }
  rf_report(guard->options.reporter, &f);
  return RF_ERR_BAD_POINTER;
}

/* ---- Knowledge of the inner allocator ---- */

/* A block of ours in all likelihood, but its header is none any more and no neighbour leads to it: an overflow has gone
 * over several blocks. */
static rf_status report_lost(rf_guard *guard, const rf_guard_header *h, const rf_origin *origin) {
  rf_finding f;
  rf_guard_finding(guard, &f, RF_BUG_METADATA, RF_ACCESS_WRITE, h, origin);
  f.block = (uintptr_t)payload_of(h);
  f.offset = (ptrdiff_t)(f.address - f.block);
  f.detail = "the block's metadata were overwritten";
  rf_guard_finding_header(&f, h);
  rf_report(guard->options.reporter, &f);
  return RF_ERR_CORRUPT;
}

/* Asks an inner allocator that knows its memory and the size of its live blocks about memory in which guard has no
 * block: did it hand the block out itself, or is a block there whose header was lost? RF_OK where neither is so, else
 * the status, reported. Free memory is no evidence of a double free: it may never have been a block. */
static rf_status ask_inner(rf_guard *guard, void *ptr, const rf_origin *origin) {
  rf_allocator *const inner = guard->inner;
  rf_guard_header *const h = header_of(ptr);
  if (!guard->has_owns || inner->ops->usable_size == NULL || !rf_guard_has_memory(guard, ptr, 1)) {
    return RF_OK;
  }
  if (inner->ops->usable_size(inner, ptr) != 0) {
    return report_others(guard, NULL, ptr, origin);
  }
  if (!rf_is_aligned(h, GUARD_ALIGN) || !rf_guard_reachable(guard, ptr)) {
    return RF_OK;
  }
  bool const is_lost = inner->ops->usable_size(inner, h) != 0 || rf_guard_has_lost_blocks(guard);
  return is_lost ? report_lost(guard, h, origin) : RF_OK;
}

/* ---- All together ---- */

/* `ptr` is aligned and the memory before it may be looked at. RF_OK where there never was a block of this guard, as far
 * as its header tells; else the status, reported. */
static rf_status report_known(rf_guard *guard, void *ptr, const rf_origin *origin) {
  rf_guard_header *const h = header_of(ptr);
  rf_guard_header retired;
  if (read_retired(guard, h, &retired)) {
    return report_double_free(guard, &retired, ptr, "the block has left the quarantine", origin);
  }
  if (intact(guard, h)) {
    return state_of(h) == STATE_FREED ? report_freed(guard, h, origin) : RF_ERR_CORRUPT;
  }
  if (is_listed(guard, h)) {
    (void)rf_guard_repair(guard, origin);
    return RF_ERR_CORRUPT;
  }
  return RF_OK;
}

rf_status rf_guard_bad_free(rf_guard *guard, void *ptr, const rf_origin *origin) {
  rf_status status = RF_OK;
  if (rf_is_aligned(ptr, GUARD_ALIGN) && rf_guard_reachable(guard, ptr)) {
    status = report_known(guard, ptr, origin);
  }
  if (status != RF_OK) {
    return status;
  }
  const rf_guard_header *const around = rf_guard_block_around(guard, ptr);
  if (around != NULL) {
    return report_interior(guard, around, ptr, origin);
  }
  const rf_guard *const owner = rf_guard_owner(guard, ptr);
  if (owner != NULL) {
    return report_others(guard, owner, ptr, origin);
  }
  status = ask_inner(guard, ptr, origin);
  return status != RF_OK ? status : report_bad_free(guard, ptr, detail_of(guard, ptr), origin);
}
