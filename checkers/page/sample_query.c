/* rf_sample: queries, the walk and checks, which show sampled blocks in place of those that back them. */
#include "sample_impl.h"

size_t rf_sample_usable_size(rf_allocator *self, const void *ptr) {
  rf_sample *const sample = sample_of(self);
  rf_page_block block;
  if (sample_has_pages(sample, ptr)) {
    return rf_page_store_find(sample->store, ptr, &block) ? block.size : 0;
  }
  return sample_is_backing(sample, ptr) ? 0 : rf_usable_size(sample->inner, ptr);
}

bool rf_sample_owns(rf_allocator *self, const void *ptr) {
  const rf_sample *const sample = sample_of(self);
  return sample_has_pages(sample, ptr) || rf_owns(sample->inner, ptr);
}

typedef struct walk {
  rf_sample *sample;
  rf_walk_fn visit;
  void *context;
} walk;

/* Shows the sampled block in place of its backing block. */
static bool visit_inner(const rf_block *block, void *context) {
  const walk *const w = (const walk *)context;
  rf_block shown = *block;
  rf_page_block sampled;
  if (block->used && rf_page_store_backed_by(w->sample->store, block->ptr, &sampled)) {
    shown.ptr = sampled.ptr;
    shown.overhead += block->size - sampled.size;
    shown.size = sampled.size;
    shown.site = sampled.site;
  }
  return w->visit(&shown, w->context);
}

rf_status rf_sample_walk(rf_allocator *self, rf_walk_fn visit, void *context) {
  rf_sample *const sample = sample_of(self);
  walk w = {sample, visit, context};
  return rf_walk(sample->inner, visit_inner, &w);
}

rf_status rf_sample_check(rf_allocator *self, rf_fault *where) {
  rf_sample *const sample = sample_of(self);
  if (rf_page_store_damaged(sample->store, where)) {
    where->allocator = self;
    return RF_ERR_CORRUPT;
  }
  return rf_check(sample->inner, where);
}

void rf_sample_stats(rf_allocator *self, rf_stats *out) {
  rf_stats_get(sample_of(self)->inner, out);
}

void rf_sample_counters(rf_allocator *self, rf_counters *out) {
  rf_counters_get(sample_of(self)->inner, out);
}

rf_allocator *rf_sample_inner(rf_allocator *self) {
  return sample_of(self)->inner;
}

bool rf_sample_has(rf_sample *sample, const void *ptr) {
  rf_page_block block;
  return sample_has_pages(sample, ptr) && rf_page_store_find(sample->store, ptr, &block);
}

size_t rf_sample_sweep(rf_sample *sample) {
  rf_origin const origin = RF_ORIGIN_HERE(NULL);
  return rf_page_store_sweep(sample->store, 0, &origin);
}
