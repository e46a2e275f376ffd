/* rf_sample: beginning and end. */
#include "sample_impl.h"

#include <string.h>

#include "checkers/os/host.h"
#include "sample_pick.h"

/* ---- End ---- */

static void report_ended(rf_allocator *self, const void *ptr, const rf_origin *origin) {
  const rf_sample *const sample = sample_of(self);
  rf_finding f;
  rf_finding_begin(&f, RF_BUG_ENDED, RF_ACCESS_UNKNOWN, ptr, sample->inner->ops->name, "sample", origin);
  rf_report(sample->options.reporter, &f);
}

static const rf_refusing_ops ended_ops = {
    .ops =
        {
            .name = "sample",
            .alloc = rf_refused_alloc,
            .free = rf_refused_free,
            .realloc = rf_refused_realloc,
            .stats = rf_sample_stats,
            .inner = rf_sample_inner,
        },
    .report = report_ended,
    .status = RF_ERR_DELETED,
};

static bool give_back(const rf_page_block *block, void *context) {
  rf_sample *const sample = (rf_sample *)context;
  rf_origin const origin = RF_ORIGIN_HERE(NULL);
  (void)rf_sample_free_inner(sample, block->backing, &origin);
  return true;
}

static void sample_deinit(rf_allocator *self) {
  rf_sample *const sample = sample_of(self);
  rf_origin const origin = RF_ORIGIN_HERE(NULL);
  (void)rf_page_store_sweep(sample->store, 0, &origin);
  rf_page_store_each(sample->store, give_back, sample);
  rf_page_store_close(sample->store);
  sample->base.ops = &ended_ops.ops;
}

/* ---- Beginning ---- */

static rf_status open_store(rf_sample *sample) {
  const rf_sample_options *const o = &sample->options;
  rf_page_store_options const store = {
      .allocator = sample->inner->ops->name,
      .mode = "sample",
      .reporter = o->reporter,
      .depot = o->depot,
      .stack_depth = o->stack_depth,
      .side = o->side,
      .quarantine = SIZE_MAX,
      .fill_alloc = 0,
      .slots = o->slots,
      .largest = o->largest,
      .shows_pages = o->slots <= RF_SAMPLE_KEEPS,
      .keeps_pages = o->slots <= RF_SAMPLE_KEEPS,
      .fallback = "further ones are not sampled",
      .owner = &sample->base,
      .backing = true,
  };
  uintptr_t end;
  sample->store = rf_page_store_open(&store);
  if (sample->store == NULL) {
    return RF_ERR_NO_MEMORY;
  }
  if (!rf_page_store_reserve(sample->store) || !rf_page_store_space(sample->store, 0, &sample->start, &end)) {
    rf_page_store_close(sample->store);
    return RF_ERR_NO_MEMORY;
  }
  sample->bytes = end - sample->start;
  rf_page_backing const backing = rf_page_store_backing(sample->store);
  sample->backing_tags = backing.tags;
  sample->backing_mask = backing.mask;
  return RF_OK;
}

static const rf_allocator_ops sample_ops = {
    .name = "sample",
    .alloc = rf_sample_alloc,
    .free = rf_sample_free,
    .realloc = rf_sample_realloc,
    .resize = rf_sample_resize,
    .usable_size = rf_sample_usable_size,
    .owns = rf_sample_owns,
    .walk = rf_sample_walk,
    .check = rf_sample_check,
    .stats = rf_sample_stats,
    .reject = rf_sample_reject,
    .inner = rf_sample_inner,
    .deinit = sample_deinit,
    .counters = rf_sample_counters,
};

rf_status rf_sample_init(rf_sample *sample, rf_allocator *inner, const rf_sample_options *options) {
  static uint32_t numbers;
  if (sample == NULL || inner == NULL ||
      (options != NULL && (options->rate == 0 || options->rate > RF_SAMPLE_RATE_MOST || options->slots == 0))) {
    return RF_ERR_INVALID;
  }
  if (rf_page_store_why_not() != NULL) {
    return RF_ERR_UNSUPPORTED;
  }
  memset(sample, 0, sizeof *sample);
  sample->inner = inner;
  if (options != NULL) {
    sample->options = *options;
  } else {
    rf_sample_options_default(&sample->options);
  }
  if (sample->options.reporter == NULL) {
    sample->options.reporter = rf_reporter_plain();
  }
  if (sample->options.seed == 0) {
    sample->options.seed = rf_host_secret();
  }
  sample->number = __atomic_add_fetch(&numbers, 1, __ATOMIC_RELAXED);
  rf_status const status = open_store(sample);
  if (status != RF_OK) {
    return status;
  }
  rf_page_fork_register();
  rf_sample_watch_refusals();
  sample->base.ops = &sample_ops;
  return RF_OK;
}
