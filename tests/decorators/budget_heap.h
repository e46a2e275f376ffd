// The heap below the decorator in the tests of oom: it has a budget of bytes that a test can raise, and fails when that
// is spent.
#ifndef RINGFENCE_TESTS_DECORATORS_BUDGET_HEAP_H
#define RINGFENCE_TESTS_DECORATORS_BUDGET_HEAP_H

#include <ringfence/allocator.h>

#include <atomic>
#include <cstdlib>

namespace ringfence {

struct Budget {
  rf_allocator base;
  size_t left;
  std::atomic<size_t> allocs; // threads count here at the same time
  size_t reallocs;
  size_t rejects;
};

struct Header {
  size_t size;
  size_t pad;
};

inline Budget *budget_of(rf_allocator *self) {
  return reinterpret_cast<Budget *>(self);
}

inline void *budget_alloc(rf_allocator *self, size_t size, size_t, const rf_site *) {
  Budget *const b = budget_of(self);
  b->allocs++;
  if (size > b->left) {
    return nullptr;
  }
  auto *const h = static_cast<Header *>(std::malloc(sizeof(Header) + size));
  b->left -= size;
  h->size = size;
  return h + 1;
}

inline rf_status budget_free(rf_allocator *self, void *ptr, const rf_site *) {
  Header *const h = static_cast<Header *>(ptr) - 1;
  budget_of(self)->left += h->size;
  std::free(h);
  return RF_OK;
}

inline void *budget_realloc(rf_allocator *self, void *ptr, size_t size, size_t align, const rf_site *site) {
  budget_of(self)->reallocs++;
  return rf_realloc_move(self, ptr, (static_cast<Header *>(ptr) - 1)->size, size, align, site);
}

inline size_t budget_usable(rf_allocator *, const void *ptr) {
  return (static_cast<const Header *>(ptr) - 1)->size;
}

inline void budget_stats(rf_allocator *self, rf_stats *out) {
  *out = rf_stats{};
  out->free_bytes = budget_of(self)->left;
}

inline void budget_reject(rf_allocator *self, rf_reject, size_t, size_t, const rf_site *) {
  budget_of(self)->rejects++;
}

inline const rf_allocator_ops *budget_ops() {
  static const rf_allocator_ops ops = [] {
    rf_allocator_ops o{};
    o.name = "budget";
    o.alloc = budget_alloc;
    o.free = budget_free;
    o.realloc = budget_realloc;
    o.usable_size = budget_usable;
    o.stats = budget_stats;
    o.reject = budget_reject;
    return o;
  }();
  return &ops;
}

} // namespace ringfence

#endif // RINGFENCE_TESTS_DECORATORS_BUDGET_HEAP_H
