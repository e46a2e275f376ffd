/* Operations of a decorator that the allocator below answers as it is: entries for its table. */
#ifndef RINGFENCE_CORE_PASS_H
#define RINGFENCE_CORE_PASS_H

#include <ringfence/allocator.h>

static inline size_t rf_pass_usable_size(rf_allocator *self, const void *ptr) {
  return rf_usable_size(self->ops->inner(self), ptr);
}

static inline bool rf_pass_owns(rf_allocator *self, const void *ptr) {
  return rf_owns(self->ops->inner(self), ptr);
}

static inline rf_status rf_pass_walk(rf_allocator *self, rf_walk_fn visit, void *context) {
  return rf_walk(self->ops->inner(self), visit, context);
}

static inline rf_status rf_pass_check(rf_allocator *self, rf_fault *where) {
  return rf_check(self->ops->inner(self), where);
}

static inline void rf_pass_stats(rf_allocator *self, rf_stats *out) {
  rf_stats_get(self->ops->inner(self), out);
}

static inline void rf_pass_counters(rf_allocator *self, rf_counters *out) {
  rf_counters_get(self->ops->inner(self), out);
}

static inline void rf_pass_reject(rf_allocator *self, rf_reject why, size_t size, size_t detail, const rf_site *site) {
  (void)rf_reject_at(self->ops->inner(self), why, size, detail, site);
}

#endif /* RINGFENCE_CORE_PASS_H */
