/* The operations of rf_handle_guard. */
#include "handle_guard_impl.h"

#include <ringfence/port.h>

#include "checkers/os/host.h"

static rf_handle_guard *self_of(rf_handles *self) {
  return (rf_handle_guard *)self;
}

static handle_place place_of(const rf_origin *origin) {
  return (handle_place){origin->site, origin->caller, rf_port_thread_id()};
}

/* ---- Calls into the inner heap, whose faults are kept ---- */

static rf_status inner_address(rf_handle_guard *guard, rf_handle handle, unsigned char **block) {
  rf_inner_call call;
  rf_inner_call_begin(&call);
  *block = (unsigned char *)guard->inner->ops->address(guard->inner, handle, NULL);
  (void)rf_inner_call_end(&call);
  if (*block != NULL) {
    return RF_OK;
  }
  return call.fault.status != RF_OK ? call.fault.status : RF_ERR_INVALID;
}

/* ---- Findings about a call ---- */

static void say(rf_handle_guard *guard, rf_bug bug, rf_access access, rf_handle handle, unsigned char *block,
                const handle_header *h, const char *detail, const rf_origin *origin) {
  rf_finding f;
  const unsigned char *const payload = block != NULL ? handle_payload(guard, block) : NULL;
  rf_handle_guard_finding(guard, &f, bug, block != NULL ? access : RF_ACCESS_UNKNOWN, payload, origin);
  if (h != NULL) {
    rf_handle_guard_finding_block(&f, h, payload);
  }
  f.argument = handle;
  f.detail = detail;
  rf_report(guard->options.reporter, &f);
}

static rf_status say_ended(rf_handle_guard *guard, const rf_origin *origin) {
  rf_finding f;
  rf_handle_guard_finding(guard, &f, RF_BUG_ENDED, RF_ACCESS_UNKNOWN, guard, origin);
  rf_report(guard->options.reporter, &f);
  return RF_ERR_INVALID;
}

static rf_status say_metadata(rf_handle_guard *guard, const rf_origin *origin) {
  (void)rf_handle_guard_sweep_from(guard, origin);
  return RF_ERR_CORRUPT;
}

/* ---- Opening a handle ---- */

/* A live block: its header and place. Anything else is reported; `access` RF_ACCESS_FREE makes a freed one a double free. */
static rf_status open_block(rf_handle_guard *guard, rf_handle handle, rf_access access, unsigned char **block,
                            handle_header *h, const rf_origin *origin) {
  rf_bug const stale = access == RF_ACCESS_FREE ? RF_BUG_DOUBLE_FREE : RF_BUG_STALE_HANDLE;
  if (guard->inner == NULL) {
    return say_ended(guard, origin);
  }
  switch (inner_address(guard, handle, block)) {
  case RF_OK:
    break;
  case RF_ERR_NOT_ALLOCATED:
    say(guard, stale, access, handle, NULL, NULL, "its block was freed, and has left the quarantine", origin);
    return RF_ERR_NOT_ALLOCATED;
  case RF_ERR_CORRUPT:
    return say_metadata(guard, origin);
  default:
    say(guard, RF_BUG_BAD_HANDLE, access, handle, NULL, NULL, "the heap never gave this handle out", origin);
    return RF_ERR_INVALID;
  }
  if (!rf_handle_guard_read(guard, *block, handle, h)) {
    return say_metadata(guard, origin);
  }
  switch ((handle_state)h->state) {
  case HANDLE_LIVE:
    return RF_OK;
  case HANDLE_FREED:
    say(guard, stale, access, handle, *block, h, NULL, origin);
    return RF_ERR_NOT_ALLOCATED;
  case HANDLE_MOVED:
    say(guard, RF_BUG_BAD_HANDLE, access, handle, NULL, NULL, "the heap never gave this handle out", origin);
    return RF_ERR_INVALID;
  case HANDLE_CONDEMNED:
    break;
  }
  return RF_ERR_CORRUPT; /* reported before */
}

/* ---- Quarantine ---- */

static void release_oldest(rf_handle_guard *guard, const rf_origin *origin) {
  rf_handles *const inner = guard->inner;
  rf_handle const handle = guard->oldest;
  unsigned char *block;
  handle_header h;
  bool to_the_end;
  if (inner_address(guard, handle, &block) != RF_OK || !rf_handle_guard_read(guard, block, handle, &h) ||
      (h.state != HANDLE_FREED && h.state != HANDLE_MOVED)) {
    (void)say_metadata(guard, origin);
    guard->oldest = RF_HANDLE_NULL; /* what follows the damaged link is lost */
    guard->newest = RF_HANDLE_NULL;
    guard->quarantined = 0;
    return;
  }
  guard->oldest = h.next;
  guard->newest = h.next != RF_HANDLE_NULL ? guard->newest : RF_HANDLE_NULL;
  guard->quarantined -= handle_total(guard, h.size);
  (void)rf_handle_guard_inspect(guard, block, &h, origin, &to_the_end);
  HANDLE_UNPOISON(handle_payload(guard, block), h.size);
  (void)inner->ops->unlock(inner, handle, origin->site);
  (void)inner->ops->free(inner, handle, origin->site);
}

static void flush(rf_handle_guard *guard, size_t keep, const rf_origin *origin) {
  while (guard->oldest != RF_HANDLE_NULL && guard->quarantined > keep) {
    release_oldest(guard, origin);
  }
}

/* The block `h`, freed or left, at `block`: filled, pinned where it is, and watched for a while. */
static void enqueue(rf_handle_guard *guard, unsigned char *block, handle_header *h, const rf_origin *origin) {
  rf_handles *const inner = guard->inner;
  unsigned char *last;
  handle_header newest;
  memset(handle_payload(guard, block), HANDLE_FILL_FREE, h->size);
  h->next = RF_HANDLE_NULL;
  h->listed = 0;
  rf_handle_guard_write(guard, block, h);
  (void)inner->ops->lock(inner, h->self, origin->site);
  HANDLE_POISON(handle_payload(guard, block), h->size);
  if (guard->newest != RF_HANDLE_NULL && inner_address(guard, guard->newest, &last) == RF_OK &&
      rf_handle_guard_read(guard, last, guard->newest, &newest)) {
    newest.next = h->self;
    rf_handle_guard_write(guard, last, &newest);
  } else {
    guard->oldest = h->self;
    guard->quarantined = 0;
  }
  guard->newest = h->self;
  guard->quarantined += handle_total(guard, h->size);
  flush(guard, guard->options.quarantine, origin);
}

/* ---- Shown blocks ---- */

static void list_shown(rf_handle_guard *guard, unsigned char *block, handle_header *h, const rf_origin *origin) {
  h->shown = place_of(origin);
  if (h->listed == 0) {
    h->listed = 1;
    h->next = guard->shown;
    guard->shown = h->self;
  }
  rf_handle_guard_write(guard, block, h);
}

/* Takes `h` off the list; its header is the caller's to write. */
static void unlist(rf_handle_guard *guard, handle_header *h) {
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
    if (inner_address(guard, before, &block) != RF_OK || !rf_handle_guard_read(guard, block, before, &other)) {
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

/* A raw inner block; what is in quarantine goes before anybody is asked for memory. */
static rf_handle take(rf_handle_guard *guard, size_t total, unsigned flags, const rf_origin *origin) {
  rf_handles *const inner = guard->inner;
  unsigned const stay = flags & RF_HANDLE_STAY;
  rf_handle handle = inner->ops->alloc(inner, total, RF_HANDLE_NO_ZERO | RF_HANDLE_TRY | stay, origin->site);
  if (handle == RF_HANDLE_NULL && guard->oldest != RF_HANDLE_NULL) {
    flush(guard, 0, origin);
    handle = inner->ops->alloc(inner, total, RF_HANDLE_NO_ZERO | RF_HANDLE_TRY | stay, origin->site);
  }
  if (handle == RF_HANDLE_NULL && (flags & RF_HANDLE_TRY) == 0) {
    handle = inner->ops->alloc(inner, total, RF_HANDLE_NO_ZERO | stay, origin->site);
  }
  return handle;
}

/* Puts the live block `h` in a new place with room for `size` bytes, under the same handle; the old place goes into quarantine.
 * False, and nothing changed, where there is no room. *block and *h are then those of the new place. */
static bool relocate(rf_handle_guard *guard, unsigned char **block, handle_header *h, size_t size, unsigned flags,
                     const rf_origin *origin) {
  rf_handles *const inner = guard->inner;
  rf_handle const handle = h->self;
  unsigned char *to;
  bool to_the_end;
  rf_handle const other = take(guard, handle_total(guard, size), flags, origin);
  if (other == RF_HANDLE_NULL) {
    return false;
  }
  /* Compaction may have moved it just now, and the callback for shortness may have done anything. */
  if (inner_address(guard, handle, block) != RF_OK || inner_address(guard, other, &to) != RF_OK ||
      !rf_handle_guard_read(guard, *block, handle, h) || h->state != HANDLE_LIVE || h->locks != 0) {
    (void)inner->ops->free(inner, other, origin->site);
    return false;
  }
  (void)rf_handle_guard_inspect(guard, *block, h, origin, &to_the_end);
  unlist(guard, h);
  handle_header left = *h;
  size_t const kept = h->size < size ? h->size : size;
  memcpy(handle_payload(guard, to), handle_payload(guard, *block), kept);
  memset(handle_payload(guard, to) + kept, 0, size - kept);
  h->size = size;
  rf_handle_guard_write(guard, to, h);
  rf_handle_guard_fence(guard, to, h);
  (void)inner->ops->swap(inner, handle, other);
  left.self = other;
  left.state = HANDLE_MOVED;
  left.released = left.shown;
  enqueue(guard, *block, &left, origin);
  *block = to;
  return true;
}

/* Every block whose address was given out, and is not locked, moves. */
static void move_shown(rf_handle_guard *guard, const rf_origin *origin) {
  rf_handle handle = guard->shown;
  while (guard->options.move && handle != RF_HANDLE_NULL) {
    unsigned char *block;
    handle_header h;
    if (inner_address(guard, handle, &block) != RF_OK || !rf_handle_guard_read(guard, block, handle, &h)) {
      guard->shown = RF_HANDLE_NULL;
      (void)say_metadata(guard, origin);
      return;
    }
    rf_handle const next = h.next;
    if (h.locks == 0) {
      (void)relocate(guard, &block, &h, h.size, RF_HANDLE_TRY, origin);
    }
    handle = next;
  }
}

/* ---- Allocation ---- */

static bool sensible(rf_handle_guard *guard, size_t size, const rf_origin *origin) {
  if (size > RF_SIZE_LIMIT) {
    rf_finding f;
    rf_handle_guard_finding(guard, &f, RF_BUG_SIZE_TOO_BIG, RF_ACCESS_UNKNOWN, NULL, origin);
    f.size = size;
    rf_report(guard->options.reporter, &f);
  }
  return size != 0 && size <= RF_SIZE_LIMIT;
}

/* Whether the size with what goes around it is still a size. */
static bool wraps(const rf_handle_guard *guard, size_t size) {
  return size > RF_SIZE_LIMIT - guard->prefix - HANDLE_BACK - guard->align;
}

static rf_handle guard_alloc(rf_handles *self, size_t size, unsigned flags, const rf_site *site) {
  rf_handle_guard *const guard = self_of(self);
  rf_origin const origin = RF_ORIGIN_HERE(site);
  unsigned char *block;
  if (guard->inner == NULL) {
    (void)say_ended(guard, &origin);
    return RF_HANDLE_NULL;
  }
  if (!sensible(guard, size, &origin)) {
    return RF_HANDLE_NULL;
  }
  if ((flags & RF_HANDLE_STAY) == 0) {
    move_shown(guard, &origin);
  }
  rf_handle const handle = wraps(guard, size) ? RF_HANDLE_NULL : take(guard, handle_total(guard, size), flags, &origin);
  if (handle == RF_HANDLE_NULL || inner_address(guard, handle, &block) != RF_OK) {
    guard->counters.failures += (flags & RF_HANDLE_TRY) == 0 ? 1 : 0;
    return RF_HANDLE_NULL;
  }
  HANDLE_UNPOISON(block, handle_total(guard, size)); /* a damaged heap may serve what is still in quarantine */
  handle_header h;
  memset(&h, 0, sizeof h);
  h.allocated = place_of(&origin);
  h.size = size;
  h.self = handle;
  h.subject = handle;
  h.state = HANDLE_LIVE;
  rf_handle_guard_write(guard, block, &h);
  rf_handle_guard_fence(guard, block, &h);
  memset(handle_payload(guard, block), (flags & RF_HANDLE_NO_ZERO) != 0 ? HANDLE_FILL_RAW : 0, size);
  rf_count_alloc(&guard->counters, size);
  return handle;
}

static rf_status guard_free(rf_handles *self, rf_handle handle, const rf_site *site) {
  rf_handle_guard *const guard = self_of(self);
  rf_origin const origin = RF_ORIGIN_HERE(site);
  unsigned char *block;
  handle_header h;
  bool to_the_end;
  rf_status const status = open_block(guard, handle, RF_ACCESS_FREE, &block, &h, &origin);
  if (status != RF_OK) {
    return status;
  }
  if (h.locks != 0) {
    say(guard, RF_BUG_FREE_LOCKED, RF_ACCESS_FREE, handle, block, &h, NULL, &origin);
    return RF_ERR_BUSY;
  }
  (void)rf_handle_guard_inspect(guard, block, &h, &origin, &to_the_end);
  unlist(guard, &h);
  rf_count_free(&guard->counters, h.size);
  h.state = HANDLE_FREED;
  h.released = place_of(&origin);
  enqueue(guard, block, &h, &origin);
  return RF_OK;
}

/* ---- Another size ---- */

/* In the inner block, which stays under its handle, and where it is if it is locked. */
static rf_status resize_inside(rf_handle_guard *guard, unsigned char *block, handle_header *h, size_t size,
                               const rf_origin *origin) {
  rf_handles *const inner = guard->inner;
  rf_handle const handle = h->self;
  size_t const old_size = h->size;
  rf_inner_call call;
  (void)block;
  rf_inner_call_begin(&call);
  rf_status const status = inner->ops->resize(inner, handle, handle_total(guard, size), origin->site);
  (void)rf_inner_call_end(&call);
  if (status != RF_OK) {
    return status;
  }
  if (inner_address(guard, handle, &block) != RF_OK || !rf_handle_guard_read(guard, block, handle, h)) {
    return RF_ERR_CORRUPT;
  }
  if (size > old_size) {
    memset(handle_payload(guard, block) + old_size, 0, size - old_size);
  }
  h->size = size;
  rf_handle_guard_write(guard, block, h);
  rf_handle_guard_fence(guard, block, h);
  return RF_OK;
}

static rf_status guard_resize(rf_handles *self, rf_handle handle, size_t size, const rf_site *site) {
  rf_handle_guard *const guard = self_of(self);
  rf_origin const origin = RF_ORIGIN_HERE(site);
  unsigned char *block;
  handle_header h;
  bool to_the_end;
  rf_status status = open_block(guard, handle, RF_ACCESS_UNKNOWN, &block, &h, &origin);
  if (status != RF_OK) {
    return status;
  }
  if (!sensible(guard, size, &origin)) {
    return RF_ERR_INVALID;
  }
  if (wraps(guard, size)) {
    return h.locks != 0 ? RF_ERR_BUSY : RF_ERR_NO_MEMORY;
  }
  (void)rf_handle_guard_inspect(guard, block, &h, &origin, &to_the_end);
  size_t const old_size = h.size;
  if (h.locks == 0 && guard->options.move) {
    list_shown(guard, block, &h, &origin);
    move_shown(guard, &origin);
    status = open_block(guard, handle, RF_ACCESS_UNKNOWN, &block, &h, &origin);
    if (status == RF_OK && relocate(guard, &block, &h, size, RF_HANDLE_TRY, &origin)) {
      rf_count_resize(&guard->counters, old_size, size);
      return RF_OK;
    }
    status = open_block(guard, handle, RF_ACCESS_UNKNOWN, &block, &h, &origin);
  }
  if (status == RF_OK) {
    status = resize_inside(guard, block, &h, size, &origin);
  }
  if (status == RF_OK) {
    rf_count_resize(&guard->counters, old_size, size);
  }
  return status;
}

/* ---- Addresses and locks ---- */

static void *guard_address(rf_handles *self, rf_handle handle, const rf_site *site) {
  rf_handle_guard *const guard = self_of(self);
  rf_origin const origin = RF_ORIGIN_HERE(site);
  unsigned char *block;
  handle_header h;
  if (open_block(guard, handle, RF_ACCESS_UNKNOWN, &block, &h, &origin) != RF_OK) {
    return NULL;
  }
  list_shown(guard, block, &h, &origin);
  return handle_payload(guard, block);
}

static void *guard_lock(rf_handles *self, rf_handle handle, const rf_site *site) {
  rf_handle_guard *const guard = self_of(self);
  rf_origin const origin = RF_ORIGIN_HERE(site);
  unsigned char *block;
  handle_header h;
  if (open_block(guard, handle, RF_ACCESS_UNKNOWN, &block, &h, &origin) != RF_OK) {
    return NULL;
  }
  if (h.locks == RF_HANDLE_MOST_LOCKS) {
    say(guard, RF_BUG_BAD_HANDLE, RF_ACCESS_UNKNOWN, handle, block, &h, "locked too often", &origin);
    return NULL;
  }
  if (h.locks == 0) {
    (void)guard->inner->ops->lock(guard->inner, handle, site);
  }
  h.locks++;
  list_shown(guard, block, &h, &origin);
  return handle_payload(guard, block);
}

static rf_status guard_unlock(rf_handles *self, rf_handle handle, const rf_site *site) {
  rf_handle_guard *const guard = self_of(self);
  rf_origin const origin = RF_ORIGIN_HERE(site);
  unsigned char *block;
  handle_header h;
  rf_status const status = open_block(guard, handle, RF_ACCESS_UNKNOWN, &block, &h, &origin);
  if (status != RF_OK) {
    return status;
  }
  if (h.locks == 0) {
    say(guard, RF_BUG_UNLOCK, RF_ACCESS_UNKNOWN, handle, block, &h, NULL, &origin);
    return RF_ERR_INVALID;
  }
  h.locks--;
  rf_handle_guard_write(guard, block, &h);
  if (h.locks == 0) {
    (void)guard->inner->ops->unlock(guard->inner, handle, site);
  }
  return RF_OK;
}

static size_t guard_size(rf_handles *self, rf_handle handle, const rf_site *site) {
  rf_handle_guard *const guard = self_of(self);
  rf_origin const origin = RF_ORIGIN_HERE(site);
  unsigned char *block;
  handle_header h;
  return open_block(guard, handle, RF_ACCESS_UNKNOWN, &block, &h, &origin) == RF_OK ? h.size : 0;
}

static rf_handle guard_find(rf_handles *self, const void *ptr) {
  rf_handle_guard *const guard = self_of(self);
  handle_header h;
  if (guard->inner == NULL || (uintptr_t)ptr <= guard->prefix) {
    return RF_HANDLE_NULL;
  }
  const unsigned char *const block = (const unsigned char *)((uintptr_t)ptr - guard->prefix);
  rf_handle const handle = guard->inner->ops->find(guard->inner, block);
  bool const live =
      handle != RF_HANDLE_NULL && rf_handle_guard_read(guard, block, handle, &h) && h.state == HANDLE_LIVE;
  return live ? handle : RF_HANDLE_NULL;
}

/* ---- The rest ---- */

static size_t guard_compact(rf_handles *self, size_t most, const rf_site *site) {
  rf_handle_guard *const guard = self_of(self);
  rf_origin const origin = RF_ORIGIN_HERE(site);
  if (guard->inner == NULL) {
    (void)say_ended(guard, &origin);
    return 0;
  }
  move_shown(guard, &origin);
  return guard->inner->ops->compact(guard->inner, most, site);
}

static void rename_block(rf_handle_guard *guard, unsigned char *block, handle_header *h, rf_handle handle) {
  h->self = handle;
  h->subject = handle;
  rf_handle_guard_write(guard, block, h);
}

static rf_status guard_swap(rf_handles *self, rf_handle one, rf_handle other) {
  rf_handle_guard *const guard = self_of(self);
  rf_origin const origin = RF_ORIGIN_HERE(NULL);
  unsigned char *a;
  unsigned char *b;
  handle_header ha;
  handle_header hb;
  rf_status status = open_block(guard, one, RF_ACCESS_UNKNOWN, &a, &ha, &origin);
  status = status == RF_OK ? open_block(guard, other, RF_ACCESS_UNKNOWN, &b, &hb, &origin) : status;
  if (status != RF_OK || one == other) {
    return status;
  }
  /* Both on the list, so that both names stay on it. */
  list_shown(guard, a, &ha, &origin);
  (void)rf_handle_guard_read(guard, b, other, &hb);
  list_shown(guard, b, &hb, &origin);
  (void)rf_handle_guard_read(guard, a, one, &ha);
  rf_handle const next = ha.next;
  ha.next = hb.next;
  hb.next = next;
  (void)guard->inner->ops->swap(guard->inner, one, other);
  rename_block(guard, a, &ha, other);
  rename_block(guard, b, &hb, one);
  return RF_OK;
}

typedef struct visit {
  const rf_handle_guard *guard;
  rf_handle_walk_fn fn;
  void *context;
} visit;

static bool pass_on(const rf_handle_block *b, void *context) {
  const visit *const v = (const visit *)context;
  handle_header h;
  rf_handle_block block = *b;
  if (b->handle != RF_HANDLE_NULL) {
    if (!rf_handle_guard_read(v->guard, (const unsigned char *)b->ptr, b->handle, &h) || h.state != HANDLE_LIVE) {
      return true; /* in quarantine, or of no use any more: neither the program's nor free */
    }
    block.ptr = handle_payload(v->guard, (unsigned char *)b->ptr);
    block.overhead = b->overhead + b->size - h.size;
    block.size = h.size;
    block.locks = h.locks;
    block.site = h.allocated.site;
  }
  return v->fn(&block, v->context);
}

static rf_status guard_walk(rf_handles *self, rf_handle_walk_fn fn, void *context) {
  rf_handle_guard *const guard = self_of(self);
  visit v = {guard, fn, context};
  return guard->inner != NULL ? guard->inner->ops->walk(guard->inner, pass_on, &v) : RF_OK;
}

static rf_status guard_check(rf_handles *self, rf_fault *where) {
  rf_handle_guard *const guard = self_of(self);
  return guard->inner != NULL ? rf_handle_guard_first_damage(guard, where) : RF_OK;
}

static void guard_usage(rf_handles *self, rf_handle_usage *out) {
  rf_handle_guard *const guard = self_of(self);
  memset(out, 0, sizeof *out);
  if (guard->inner == NULL) {
    return;
  }
  guard->inner->ops->usage(guard->inner, out);
  size_t const around = guard->prefix + HANDLE_BACK;
  out->used_blocks = guard->counters.blocks;
  out->largest = out->largest > around ? out->largest - around : 0;
  out->stats.largest_free = out->largest;
  rf_count_into(&guard->counters, &out->stats);
  out->stats.overhead = out->stats.capacity - out->stats.free_bytes - out->stats.used;
}

static size_t guard_align(const rf_handles *self) {
  return ((const rf_handle_guard *)self)->align;
}

static rf_handles *guard_inner(rf_handles *self) {
  return self_of(self)->inner;
}

/* ---- The end ---- */

void rf_handle_guard_flush(rf_handle_guard *guard, size_t keep) {
  rf_origin const origin = RF_ORIGIN_HERE(NULL);
  if (guard->inner != NULL) {
    flush(guard, keep, &origin);
  }
}

size_t rf_handle_guard_sweep(rf_handle_guard *guard) {
  rf_origin const origin = RF_ORIGIN_HERE(NULL);
  return guard->inner != NULL ? rf_handle_guard_sweep_from(guard, &origin) : 0;
}

typedef struct leaks {
  rf_handle_guard *guard;
  const rf_origin *origin;
  size_t count;
} leaks;

static bool report_leak(const rf_handle_block *b, void *context) {
  leaks *const l = (leaks *)context;
  handle_header h;
  if (b->handle == RF_HANDLE_NULL || !rf_handle_guard_read(l->guard, (const unsigned char *)b->ptr, b->handle, &h) ||
      h.state != HANDLE_LIVE) {
    return true;
  }
  say(l->guard, RF_BUG_LEAK, RF_ACCESS_UNKNOWN, b->handle, (unsigned char *)b->ptr, &h,
      h.locks != 0 ? "still locked" : NULL, l->origin);
  l->count++;
  return true;
}

static size_t report_live(rf_handle_guard *guard, const rf_origin *origin) {
  leaks l = {guard, origin, 0};
  (void)guard->inner->ops->walk(guard->inner, report_leak, &l);
  return l.count;
}

size_t rf_handle_guard_report_live(rf_handle_guard *guard) {
  rf_origin const origin = RF_ORIGIN_HERE(NULL);
  return guard->inner != NULL ? report_live(guard, &origin) : 0;
}

static bool first_block(const rf_handle_block *b, void *context) {
  *(rf_handle_block *)context = *b;
  return b->handle == RF_HANDLE_NULL;
}

/* Gives back what is left: live blocks, and those that were condemned. */
static void give_back(rf_handle_guard *guard) {
  rf_handles *const inner = guard->inner;
  rf_handle_block b = {RF_HANDLE_NULL, NULL, 0, 0, 0, NULL};
  while (inner->ops->walk(inner, first_block, &b) == RF_OK && b.handle != RF_HANDLE_NULL) {
    for (; b.locks != 0; b.locks--) {
      (void)inner->ops->unlock(inner, b.handle, NULL);
    }
    if (inner->ops->free(inner, b.handle, NULL) != RF_OK) {
      return;
    }
    b.handle = RF_HANDLE_NULL;
  }
}

static void guard_deinit(rf_handles *self) {
  rf_handle_guard *const guard = self_of(self);
  rf_origin const origin = RF_ORIGIN_HERE(NULL);
  if (guard->inner == NULL) {
    return;
  }
  if (guard->options.sweep_at_deinit) {
    (void)rf_handle_guard_sweep_from(guard, &origin);
  }
  if (guard->options.leaks_at_deinit) {
    (void)report_live(guard, &origin);
  }
  flush(guard, 0, &origin);
  HANDLE_UNPOISON(guard->low, (size_t)(guard->high - guard->low)); /* what damage has kept from being given back */
  give_back(guard);
  guard->inner = NULL;
}

static const rf_handles_ops guard_ops = {
    .name = "handle guard",
    .alloc = guard_alloc,
    .free = guard_free,
    .resize = guard_resize,
    .address = guard_address,
    .lock = guard_lock,
    .unlock = guard_unlock,
    .size = guard_size,
    .find = guard_find,
    .compact = guard_compact,
    .swap = guard_swap,
    .walk = guard_walk,
    .check = guard_check,
    .usage = guard_usage,
    .align = guard_align,
    .inner = guard_inner,
    .deinit = guard_deinit,
};

/* ---- Init ---- */

void rf_handle_guard_options_default(rf_handle_guard_options *out) {
  out->quarantine = (size_t)256 * 1024;
  out->move = true;
  out->reporter = NULL;
  out->leaks_at_deinit = true;
  out->sweep_at_deinit = true;
}

static bool fill_hole(const rf_handle_block *b, void *context) {
  rf_handle_guard *const guard = (rf_handle_guard *)context;
  unsigned char *const start = (unsigned char *)b->ptr;
  guard->low = guard->low != NULL ? guard->low : start;
  guard->high = start + b->size + b->overhead;
  if (b->handle == RF_HANDLE_NULL) {
    rf_track_fill(start, HANDLE_FILL_FREE, b->size);
  }
  return true;
}

rf_status rf_handle_guard_init(rf_handle_guard *guard, rf_handles *inner, const rf_handle_guard_options *options) {
  if (guard == NULL || inner == NULL) {
    return RF_ERR_INVALID;
  }
  memset(guard, 0, sizeof *guard);
  guard->base.ops = &guard_ops;
  guard->inner = inner;
  guard->secret = rf_host_secret();
  guard->align = inner->ops->align(inner);
  guard->prefix = (sizeof(handle_header) + HANDLE_FRONT + (guard->align - 1)) & ~(guard->align - 1);
  if (options != NULL) {
    guard->options = *options;
  } else {
    rf_handle_guard_options_default(&guard->options);
  }
  if (guard->options.reporter == NULL) {
    guard->options.reporter = rf_reporter_plain();
  }
  return inner->ops->walk(inner, fill_hole, guard);
}
