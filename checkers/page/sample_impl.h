/* rf_sample: declarations that its sources share. Internal to checkers/page. */
#ifndef RINGFENCE_SAMPLE_IMPL_H
#define RINGFENCE_SAMPLE_IMPL_H

#include <ringfence/sample.h>

#include "checkers/shared/wrapper.h"
#include "page_store.h"

static inline rf_sample *sample_of(rf_allocator *self) {
  return (rf_sample *)self;
}

static inline bool sample_has_pages(const rf_sample *sample, const void *ptr) {
  return (uintptr_t)ptr - sample->start < sample->bytes;
}

static inline bool sample_is_backing(const rf_sample *sample, const void *ptr) {
  rf_page_block block;
  return rf_page_store_backed_by(sample->store, ptr, &block);
}

/* ---- sample.c ---- */

void *rf_sample_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site);
rf_status rf_sample_free(rf_allocator *self, void *ptr, const rf_site *site);
void *rf_sample_realloc(rf_allocator *self, void *ptr, size_t size, size_t align, const rf_site *site);
rf_status rf_sample_resize(rf_allocator *self, void *ptr, size_t size, const rf_site *site);
void rf_sample_reject(rf_allocator *self, rf_reject why, size_t size, size_t detail, const rf_site *site);
/* From now on, what inner allocators refuse is a finding. */
void rf_sample_watch_refusals(void);
/* Gives a block to the inner allocator, whose refusal is a finding. */
rf_status rf_sample_free_inner(const rf_sample *sample, void *ptr, const rf_origin *origin);

/* ---- sample_query.c ---- */

size_t rf_sample_usable_size(rf_allocator *self, const void *ptr);
bool rf_sample_owns(rf_allocator *self, const void *ptr);
rf_status rf_sample_walk(rf_allocator *self, rf_walk_fn visit, void *context);
rf_status rf_sample_check(rf_allocator *self, rf_fault *where);
void rf_sample_stats(rf_allocator *self, rf_stats *out);
void rf_sample_counters(rf_allocator *self, rf_counters *out);
rf_allocator *rf_sample_inner(rf_allocator *self);

#endif /* RINGFENCE_SAMPLE_IMPL_H */
