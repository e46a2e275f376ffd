#include <ringfence/trace.h>

#include <ringfence/port.h>
#include <string.h>

#include "checkers/os/host.h"
#include "lib/core/pass.h"

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
    .usable_size = rf_pass_usable_size,
    .owns = rf_pass_owns,
    .walk = rf_pass_walk,
    .check = rf_pass_check,
    .stats = rf_pass_stats,
    .reject = rf_pass_reject,
    .inner = tracer_inner,
    .deinit = tracer_deinit,
    .counters = rf_pass_counters,
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
