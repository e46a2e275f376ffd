/* rf_handle_guard: addresses, locks, queries; beginning, end and the table of operations. */
#include "handle_guard_impl.h"

#include "checkers/os/host.h"

/* ---- Addresses and locks ---- */

static void *guard_address(rf_handles *self, rf_handle handle, const rf_site *site) {
  rf_handle_guard *const guard = handle_guard_of(self);
  rf_origin const origin = RF_ORIGIN_HERE(site);
  unsigned char *block;
  handle_header h;
  if (rf_handle_guard_open(guard, handle, RF_ACCESS_UNKNOWN, &block, &h, &origin) != RF_OK) {
    return NULL;
  }
  rf_handle_guard_list_shown(guard, block, &h, &origin);
  return handle_payload(guard, block);
}

static void *guard_lock(rf_handles *self, rf_handle handle, const rf_site *site) {
  rf_handle_guard *const guard = handle_guard_of(self);
  rf_origin const origin = RF_ORIGIN_HERE(site);
  unsigned char *block;
  handle_header h;
  if (rf_handle_guard_open(guard, handle, RF_ACCESS_UNKNOWN, &block, &h, &origin) != RF_OK) {
    return NULL;
  }
  if (h.locks == RF_HANDLE_MOST_LOCKS) {
    rf_handle_guard_report(guard, RF_BUG_BAD_HANDLE, RF_ACCESS_UNKNOWN, handle, block, &h, "locked too often", &origin);
    return NULL;
  }
  if (h.locks == 0) {
    (void)guard->inner->ops->lock(guard->inner, handle, site);
  }
  h.locks++;
  rf_handle_guard_list_shown(guard, block, &h, &origin);
  return handle_payload(guard, block);
}

static rf_status guard_unlock(rf_handles *self, rf_handle handle, const rf_site *site) {
  rf_handle_guard *const guard = handle_guard_of(self);
  rf_origin const origin = RF_ORIGIN_HERE(site);
  unsigned char *block;
  handle_header h;
  rf_status const status = rf_handle_guard_open(guard, handle, RF_ACCESS_UNKNOWN, &block, &h, &origin);
  if (status != RF_OK) {
    return status;
  }
  if (h.locks == 0) {
    rf_handle_guard_report(guard, RF_BUG_UNLOCK, RF_ACCESS_UNKNOWN, handle, block, &h, NULL, &origin);
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
  rf_handle_guard *const guard = handle_guard_of(self);
  rf_origin const origin = RF_ORIGIN_HERE(site);
  unsigned char *block;
  handle_header h;
  return rf_handle_guard_open(guard, handle, RF_ACCESS_UNKNOWN, &block, &h, &origin) == RF_OK ? h.size : 0;
}

static rf_handle guard_find(rf_handles *self, const void *ptr) {
  rf_handle_guard *const guard = handle_guard_of(self);
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
  rf_handle_guard *const guard = handle_guard_of(self);
  rf_origin const origin = RF_ORIGIN_HERE(site);
  if (guard->inner == NULL) {
    (void)rf_handle_guard_report_ended(guard, &origin);
    return 0;
  }
  rf_handle_guard_move_shown(guard, &origin);
  return guard->inner->ops->compact(guard->inner, most, site);
}

static void rename_block(rf_handle_guard *guard, unsigned char *block, handle_header *h, rf_handle handle) {
  h->self = handle;
  h->subject = handle;
  rf_handle_guard_write(guard, block, h);
}

static rf_status guard_swap(rf_handles *self, rf_handle one, rf_handle other) {
  rf_handle_guard *const guard = handle_guard_of(self);
  rf_origin const origin = RF_ORIGIN_HERE(NULL);
  unsigned char *a;
  unsigned char *b;
  handle_header ha;
  handle_header hb;
  rf_status status = rf_handle_guard_open(guard, one, RF_ACCESS_UNKNOWN, &a, &ha, &origin);
  status = status == RF_OK ? rf_handle_guard_open(guard, other, RF_ACCESS_UNKNOWN, &b, &hb, &origin) : status;
  if (status != RF_OK || one == other) {
    return status;
  }
  /* Both on the list, so that both names stay on it. */
  rf_handle_guard_list_shown(guard, a, &ha, &origin);
  (void)rf_handle_guard_read(guard, b, other, &hb);
  rf_handle_guard_list_shown(guard, b, &hb, &origin);
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
  rf_handle_guard *const guard = handle_guard_of(self);
  visit v = {guard, fn, context};
  return guard->inner != NULL ? guard->inner->ops->walk(guard->inner, pass_on, &v) : RF_OK;
}

static rf_status guard_check(rf_handles *self, rf_fault *where) {
  rf_handle_guard *const guard = handle_guard_of(self);
  return guard->inner != NULL ? rf_handle_guard_first_damage(guard, where) : RF_OK;
}

static void guard_usage(rf_handles *self, rf_handle_usage *out) {
  rf_handle_guard *const guard = handle_guard_of(self);
  memset(out, 0, sizeof *out);
  if (guard->inner == NULL) {
    return;
  }
  guard->inner->ops->usage(guard->inner, out);
  size_t const around = guard->prefix + HANDLE_BACK;
  out->used_blocks = guard->counters.blocks;
  size_t const whole = out->largest & ~(guard->align - 1); /* what alloc asks for is a multiple of it */
  out->largest = whole > around ? whole - around : 0;
  out->stats.largest_free = out->largest;
  rf_count_into(&guard->counters, &out->stats);
  out->stats.overhead = out->stats.capacity - out->stats.free_bytes - out->stats.used;
}

static size_t guard_align(const rf_handles *self) {
  return ((const rf_handle_guard *)self)->align;
}

static rf_handles *guard_inner(rf_handles *self) {
  return handle_guard_of(self)->inner;
}

/* ---- The end ---- */

void rf_handle_guard_flush(rf_handle_guard *guard, size_t keep) {
  rf_origin const origin = RF_ORIGIN_HERE(NULL);
  if (guard->inner != NULL) {
    rf_handle_guard_flush_from(guard, keep, &origin);
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
  rf_handle_guard_report(l->guard, RF_BUG_LEAK, RF_ACCESS_UNKNOWN, b->handle, (unsigned char *)b->ptr, &h,
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

/* Gives back what is left: live blocks, and those that were abandoned. */
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
  rf_handle_guard *const guard = handle_guard_of(self);
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
  rf_handle_guard_flush_from(guard, 0, &origin);
  HANDLE_UNPOISON(guard->low, (size_t)(guard->high - guard->low)); /* what damage has kept from being given back */
  give_back(guard);
  guard->inner = NULL;
}

static const rf_handles_ops handle_guard_ops = {
    .name = "handle guard",
    .alloc = rf_handle_guard_op_alloc,
    .free = rf_handle_guard_op_free,
    .resize = rf_handle_guard_op_resize,
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
    rf_track_fill(start, RF_PATTERN_FREED, b->size);
  }
  return true;
}

rf_status rf_handle_guard_init(rf_handle_guard *guard, rf_handles *inner, const rf_handle_guard_options *options) {
  if (guard == NULL || inner == NULL) {
    return RF_ERR_INVALID;
  }
  memset(guard, 0, sizeof *guard);
  guard->base.ops = &handle_guard_ops;
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
