/* rf_page, the decorator: declarations that its sources share. Internal to checkers/page. */
#ifndef RINGFENCE_PAGE_DECORATOR_H
#define RINGFENCE_PAGE_DECORATOR_H

#include <ringfence/page.h>

#include "checkers/shared/wrapper.h"
#include "page_store.h"

static inline rf_page *page_of(rf_allocator *self) {
  return (rf_page *)self;
}

static inline bool has_pages(const rf_page *page, const void *ptr) {
  return rf_page_store_owns(page->store, ptr);
}

static inline void begin_finding(const rf_page *page, rf_finding *f, rf_bug bug, const void *address,
                                 const rf_origin *origin) {
  rf_finding_begin(f, bug, RF_ACCESS_UNKNOWN, address, page->inner->ops->name, "page", origin);
}

static inline void report_refused(rf_allocator *self, rf_bug bug, const void *ptr, const rf_origin *origin) {
  const rf_page *const page = page_of(self);
  rf_finding f;
  begin_finding(page, &f, bug, ptr, origin);
  rf_report(page->options.reporter, &f);
}

static inline size_t size_of(rf_page *page, const void *ptr) {
  rf_page_block block;
  if (has_pages(page, ptr)) {
    return rf_page_store_find(page->store, ptr, &block) ? block.size : 0;
  }
  return rf_usable_size(&page->guarded.base, ptr);
}

/* ---- page_query.c ---- */

size_t rf_page_usable_size(rf_allocator *self, const void *ptr);
bool rf_page_owns(rf_allocator *self, const void *ptr);
rf_status rf_page_walk(rf_allocator *self, rf_walk_fn visit, void *context);
rf_status rf_page_check(rf_allocator *self, rf_fault *where);
void rf_page_stats(rf_allocator *self, rf_stats *out);
void rf_page_counters(rf_allocator *self, rf_counters *out);
void rf_page_reject(rf_allocator *self, rf_reject why, size_t size, size_t detail, const rf_site *site);
rf_allocator *rf_page_inner(rf_allocator *self);

#endif /* RINGFENCE_PAGE_DECORATOR_H */
