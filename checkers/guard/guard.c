/* rf_guard: beginning, end, and the table of operations. */
#include "guard_inner.h"

static const rf_allocator_ops guard_ops;

/* ---- Rejected requests ---- */

static void guard_reject(rf_allocator *self, rf_reject why, size_t size, size_t detail, const rf_site *site) {
  rf_origin const origin = RF_ORIGIN_HERE(site);
  rf_guard_reject_from(guard_of(self), why, size, detail, &origin);
}

void rf_guard_reject_from(rf_guard *guard, rf_reject why, size_t size, size_t detail, const rf_origin *origin) {
  rf_finding f;
  origin = rf_origin_or_none(origin);
  rf_finding_begin_rejected(&f, why, size, detail, guard->inner->ops->name, mode_of(guard), origin);
  rf_report(guard->options.reporter, &f);
  (void)rf_reject_at(guard->inner, why, size, detail, origin->site);
}

/* ---- Beginning and end ---- */

void rf_guard_options_default(rf_guard_options *out) {
  bool const hosted = RF_GUARD_THREADS != 0;
  *out = (rf_guard_options){
      .quarantine = hosted ? (size_t)512 * 1024 : 1024,
      .fill_alloc = hosted ? 4096 : 64,
      .fill_free = hosted ? (size_t)64 * 1024 : SIZE_MAX,
      .move_below = hosted ? 4096 : 0,
      .stack_depth = 0,
      .depot = NULL,
      .reporter = NULL,
      .leaks_at_deinit = false,
      .sweep_at_deinit = true,
      .watched = false,
      .tagged = false,
  };
}

/* A decorator has `owns` even where an allocator below it has none: for the blocks that it has from there, as pool for
 * large ones, its answer is false. */
static bool knows_its_memory(rf_allocator *allocator) {
  while (allocator != NULL && allocator->ops->owns != NULL) {
    allocator = rf_inner(allocator);
  }
  return allocator == NULL;
}

rf_status rf_guard_init(rf_guard *guard, rf_allocator *inner, const rf_guard_options *options) {
  if (guard == NULL || inner == NULL) {
    return RF_ERR_INVALID;
  }
  memset(guard, 0, sizeof *guard);
  guard->base.ops = rf_track_mute_ops(&guard_ops);
  guard->inner = inner;
  if (options != NULL) {
    guard->options = *options;
  } else {
    rf_guard_options_default(&guard->options);
  }
  if (guard->options.reporter == NULL) {
    guard->options.reporter = rf_reporter_plain();
  }
  guard->options.tagged = false;
  guard->has_owns = knows_its_memory(inner);
  guard->secret = rf_host_secret();
  forget_pages(guard); /* epoch 0 is none */
  guard->live.next = &guard->live;
  guard->live.u.prev = &guard->live;
  rf_guard_register(guard);
  return RF_OK;
}

static void retire_live_blocks(rf_guard *guard) {
  rf_guard_header *h = guard->live.next;
  guard->live.next = &guard->live;
  guard->live.u.prev = &guard->live;
  while (h != &guard->live && rf_guard_sound(guard, h, STATE_LIVE)) { /* once, of two in one place */
    rf_guard_header *const next = h->next;
    rf_guard_retire(guard, h, checksum_parts(guard, h, h), RF_NO_ORIGIN);
    h = next;
  }
}

/* ---- After the end ---- */

static void report_ended(rf_allocator *self, const void *ptr, const rf_origin *origin) {
  const rf_guard *const guard = guard_of(self);
  rf_finding f;
  rf_guard_finding(guard, &f, RF_BUG_ENDED, RF_ACCESS_UNKNOWN, ptr, origin);
  rf_report(guard->options.reporter, &f);
}

static void ended_stats(rf_allocator *self, rf_stats *out) {
  memset(out, 0, sizeof *out);
  rf_count_into(&guard_of(self)->counters, out);
}

static const rf_refusing_ops ended_ops = {
    .ops =
        {
            .name = "guard",
            .alloc = rf_refused_alloc,
            .free = rf_refused_free,
            .realloc = rf_refused_realloc,
            .stats = ended_stats,
            .inner = rf_guard_op_inner,
        },
    .report = report_ended,
    .status = RF_ERR_DELETED,
};

static void guard_deinit(rf_allocator *self) {
  rf_guard *const guard = guard_of(self);
  rf_origin const origin = RF_ORIGIN_HERE(NULL);
  (void)rf_guard_repair(guard, &origin); /* what follows goes through all blocks */
  if (guard->options.sweep_at_deinit) {
    (void)rf_guard_sweep_from(guard, &origin);
  }
  if (guard->options.leaks_at_deinit) {
    (void)rf_guard_report_live(guard);
  }
  rf_guard_flush_from(guard, 0, &origin);
  retire_live_blocks(guard);
  rf_guard_unregister(guard);
  guard->base.ops = &ended_ops.ops;
}

static const rf_allocator_ops guard_ops = {
    .name = "guard",
    .alloc = rf_guard_op_alloc,
    .free = rf_guard_op_free,
    .realloc = rf_guard_op_realloc,
    .resize = rf_guard_op_resize,
    .usable_size = rf_guard_op_usable_size,
    .owns = rf_guard_op_owns,
    .walk = rf_guard_op_walk,
    .check = rf_guard_op_check,
    .stats = rf_guard_op_stats,
    .reject = guard_reject,
    .inner = rf_guard_op_inner,
    .deinit = guard_deinit,
    .counters = rf_guard_op_counters,
};
