#include <ringfence/trace.h>

#include <ringfence/port.h>
#include <string.h>

#include "checkers/os/host.h"

static rf_tracer *tracer_of(rf_allocator *self) {
  return (rf_tracer *)(void *)self;
}

static rf_trace here(const rf_site *site) {
  rf_trace where;
  where.site = site;
  where.depth = 0;
  where.thread = rf_port_thread_id();
  return where;
}

/* ---- Recorded operations ---- */

static void *tracer_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_tracer *const t = tracer_of(self);
  void *const p = rf_alloc_at(t->inner, size, align, site);
  rf_trace const where = here(site);
  rf_trace_writer_alloc(&t->writer, p, size, align, &where, rf_port_now_ns());
  return p;
}

static rf_status tracer_free(rf_allocator *self, void *ptr, const rf_site *site) {
  rf_tracer *const t = tracer_of(self);
  rf_status const status = rf_free_at(t->inner, ptr, site);
  if (status == RF_OK) {
    rf_trace const where = here(site);
    rf_trace_writer_free(&t->writer, ptr, &where, rf_port_now_ns());
  }
  return status;
}

static void resized(rf_tracer *t, void *old, void *ptr, size_t size, size_t align, const rf_site *site) {
  rf_trace const where = here(site);
  size_t block;
  if (rf_trace_writer_take(&t->writer, old, &block)) {
    rf_trace_writer_resized(&t->writer, block, ptr != NULL ? ptr : old, size, align, ptr == NULL, &where,
                            rf_port_now_ns());
  }
}

/* A realloc that gives NULL left the block as it was: size 0 is free's, which the helpers have seen to. */
static void *tracer_realloc(rf_allocator *self, void *ptr, size_t size, size_t align, const rf_site *site) {
  rf_tracer *const t = tracer_of(self);
  void *const p = rf_realloc_at(t->inner, ptr, size, align, site);
  resized(t, ptr, p, size, align, site);
  return p;
}

/* One that fails is not a failure to anybody: the caller may still move the block. */
static rf_status tracer_resize(rf_allocator *self, void *ptr, size_t size, const rf_site *site) {
  rf_tracer *const t = tracer_of(self);
  rf_status const status = rf_resize_at(t->inner, ptr, size, site);
  if (status == RF_OK) {
    resized(t, ptr, ptr, size, RF_ALIGN_DEFAULT, site);
  }
  return status;
}

/* ---- Operations that are not recorded ---- */

static size_t tracer_usable_size(rf_allocator *self, const void *ptr) {
  return rf_usable_size(tracer_of(self)->inner, ptr);
}

static bool tracer_owns(rf_allocator *self, const void *ptr) {
  return rf_owns(tracer_of(self)->inner, ptr);
}

static rf_status tracer_walk(rf_allocator *self, rf_walk_fn visit, void *context) {
  return rf_walk(tracer_of(self)->inner, visit, context);
}

static rf_status tracer_check(rf_allocator *self, rf_fault *where) {
  return rf_check(tracer_of(self)->inner, where);
}

static void tracer_stats(rf_allocator *self, rf_stats *out) {
  rf_stats_get(tracer_of(self)->inner, out);
}

static void tracer_counters(rf_allocator *self, rf_counters *out) {
  rf_counters_get(tracer_of(self)->inner, out);
}

static void tracer_reject(rf_allocator *self, rf_reject why, size_t size, size_t detail, const rf_site *site) {
  (void)rf_reject_at(tracer_of(self)->inner, why, size, detail, site);
}

static rf_allocator *tracer_inner(rf_allocator *self) {
  return tracer_of(self)->inner;
}

static void tracer_deinit(rf_allocator *self) {
  rf_tracer *const t = tracer_of(self);
  if (!t->ended) {
    t->ended = true;
    rf_trace_writer_end(&t->writer);
  }
}

static const rf_allocator_ops tracer_ops = {
    .name = "trace",
    .alloc = tracer_alloc,
    .free = tracer_free,
    .realloc = tracer_realloc,
    .resize = tracer_resize,
    .usable_size = tracer_usable_size,
    .owns = tracer_owns,
    .walk = tracer_walk,
    .check = tracer_check,
    .stats = tracer_stats,
    .reject = tracer_reject,
    .inner = tracer_inner,
    .deinit = tracer_deinit,
    .counters = tracer_counters,
};

rf_status rf_tracer_init(rf_tracer *tracer, rf_allocator *inner, const rf_tracer_options *options) {
  if (tracer == NULL || inner == NULL || options == NULL) {
    return RF_ERR_INVALID;
  }
  memset(tracer, 0, sizeof *tracer);
  rf_trace_writer_options const writer = {
      .sink = options->sink, .memory = options->memory, .size = options->size, .process = rf_host_process()};
  rf_status const status = rf_trace_writer_init(&tracer->writer, &writer);
  if (status == RF_OK) {
    tracer->base.ops = &tracer_ops;
    tracer->inner = inner;
  }
  return status;
}

void rf_tracer_flush(rf_tracer *tracer) {
  rf_trace_writer_flush(&tracer->writer);
}
