/* slab: blocks of whole pages. */
#include "slab_impl.h"

#include <ringfence/track.h>

/* Pages for `size` bytes, one at least. */
static size_t pages_for(const rf_slab *h, size_t size) {
  size_t const page = (size_t)1 << h->page_shift;
  return size == 0 ? 1 : (size + page - 1) >> h->page_shift;
}

static void set_run(const rf_slab *h, record *r, uint32_t pages, size_t size) {
  write_record(r, RUN, pages);
  r->a = (uint32_t)(((size_t)pages << h->page_shift) - size);
  update_checksum(r);
}

void *rf_slab_run_alloc(rf_slab *h, size_t size, size_t align, change *log, const rf_site *site) {
  size_t const pages = pages_for(h, size);
  uint32_t page;
  if (rf_slab_pages_find(h, pages, align, &page, log, site) != RF_OK) {
    return NULL;
  }
  set_run(h, &h->records[page], (uint32_t)pages, size);
  return page_at(h, page);
}

/* The pages behind the block. The zones in reserve go where they may be in the way. */
static rf_status extend(rf_slab *h, const found *f, uint32_t more, const rf_site *site) {
  uint32_t const behind = f->page + length_of(f->r);
  rf_status const status = rf_slab_pages_alloc_at(h, behind, more, site);
  if (status != RF_ERR_NO_MEMORY || !rf_slab_release_reserve(h, site)) {
    return status;
  }
  return rf_slab_pages_alloc_at(h, behind, more, site);
}

rf_status rf_slab_run_resize(rf_slab *h, const found *f, size_t size, const rf_site *site) {
  size_t const pages = pages_for(h, size);
  uint32_t const have = length_of(f->r);
  rf_status status = RF_OK;
  if (pages > h->count) {
    return RF_ERR_NO_MEMORY;
  }
  if (pages > have) {
    status = extend(h, f, (uint32_t)pages - have, site);
  } else if (pages < have && !rf_slab_pages_free(h, f->page + (uint32_t)pages, have - (uint32_t)pages, site)) {
    status = RF_ERR_CORRUPT;
  }
  if (status == RF_OK) {
    set_run(h, f->r, (uint32_t)pages, size);
  }
  return status;
}

/* ---- For those who count in pages ---- */

size_t rf_slab_page_size(const rf_slab *heap) {
  return (size_t)1 << heap->page_shift;
}

static void *alloc_pages(rf_slab *heap, size_t count, const rf_site *site) {
  size_t const page = rf_slab_page_size(heap);
  if (!rf_slab_intact(heap)) {
    (void)rf_slab_damaged(heap, heap, site);
    return NULL;
  }
  if (count == 0 || count > RF_SIZE_LIMIT >> heap->page_shift) {
    return count == 0 ? NULL : rf_reject_at(&heap->base, RF_REJECT_SIZE, count, page, site);
  }
  void *const p = rf_slab_run_alloc(heap, count * page, page, NULL, site);
  if (p == NULL) {
    heap->counters.failures++;
    return NULL;
  }
  rf_count_alloc(&heap->counters, count * page);
  rf_track_alloc(p, count * page);
  return p;
}

void *rf_slab_alloc_pages(rf_slab *heap, size_t count, const rf_site *site) {
  rf_track_enter();
  void *const p = alloc_pages(heap, count, site);
  rf_track_leave();
  return p;
}

/* The block of pages that `page` belongs to, and its first page. Else why there is none. */
static rf_verdict find_run(const rf_slab *h, uint32_t page, record **r, uint32_t *first) {
  *first = page;
  *r = record_of_kind(h, page, RUN);
  if (*r == NULL) {
    *r = rf_slab_page_owner(h, page, first);
  }
  if (*r == NULL) {
    return RF_POINTER_CORRUPT;
  }
  if (kind_of(*r) == FREE) {
    return RF_POINTER_FREE;
  }
  return kind_of(*r) == RUN ? RF_POINTER_OK : RF_POINTER_NO_BLOCK;
}

/* Why `count` pages from `page` on are not those of the run at `first`; NULL where they are. */
static const char *not_its_pages(const record *r, uint32_t first, uint32_t page, size_t count) {
  if (count > length_of(r) - (page - first)) {
    return "more pages than the block has";
  }
  return r->a == 0 || count == length_of(r) ? NULL : "part of a block that is no whole pages";
}

/* Frees pages within a live run; its parts before and behind them live on. */
static rf_status free_part(rf_slab *h, record *r, uint32_t first, uint32_t page, uint32_t count, const rf_site *site) {
  uint32_t const before = page - first;
  uint32_t const behind = length_of(r) - before - count;
  size_t const size = before + behind == 0 ? run_size(h, r) : (size_t)count << h->page_shift;
  if (!rf_slab_pages_free(h, page, count, site)) {
    return RF_ERR_CORRUPT;
  }
  if (before != 0) {
    set_run(h, r, before, (size_t)before << h->page_shift);
  }
  if (behind != 0) {
    set_run(h, &h->records[page + count], behind, (size_t)behind << h->page_shift);
  }
  h->counters.used -= size;
  h->counters.blocks = h->counters.blocks - 1 + (before != 0 ? 1U : 0U) + (behind != 0 ? 1U : 0U);
  if (h->counters.peak_blocks < h->counters.blocks) {
    h->counters.peak_blocks = h->counters.blocks;
  }
  return RF_OK;
}

static rf_status free_pages(rf_slab *heap, void *ptr, size_t count, const rf_site *site) {
  size_t const offset = (size_t)((uintptr_t)ptr - (uintptr_t)heap->pages);
  rf_verdict verdict = RF_POINTER_NO_BLOCK;
  record *r;
  uint32_t first;
  if (!rf_slab_intact(heap)) {
    return rf_slab_damaged(heap, heap, site);
  }
  if (ptr == NULL || count == 0) {
    return ptr == NULL ? RF_OK : RF_ERR_INVALID;
  }
  if (offset >> heap->page_shift < heap->count && (offset & (rf_slab_page_size(heap) - 1)) == 0) {
    uint32_t const page = (uint32_t)(offset >> heap->page_shift);
    verdict = find_run(heap, page, &r, &first);
    if (verdict == RF_POINTER_OK) {
      const char *const what = not_its_pages(r, first, page, count);
      return what == NULL ? free_part(heap, r, first, page, (uint32_t)count, site)
                          : rf_fault_refuse(&heap->base, RF_ERR_BAD_POINTER, what, ptr, site);
    }
  }
  return rf_verdict_refuse(&heap->base, verdict, ptr, site);
}

rf_status rf_slab_free_pages(rf_slab *heap, void *ptr, size_t count, const rf_site *site) {
  rf_track_enter();
  rf_status const status = free_pages(heap, ptr, count, site);
  if (status == RF_OK && ptr != NULL) {
    rf_track_free(ptr, count * rf_slab_page_size(heap));
  }
  rf_track_leave();
  return status;
}
