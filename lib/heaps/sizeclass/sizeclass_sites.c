/* Statistics per call site, in the caller's table. */
#include "sizeclass_impl.h"

#include <string.h>

static const rf_site other_sites = {"other sites", "", 0};

static bool text_equal(const char *a, const char *b) {
  while (*a != '\0' && *a == *b) {
    a++;
    b++;
  }
  return *a == *b;
}

static bool site_equal(const rf_site *a, const rf_site *b) {
  return a == b || (a != NULL && b != NULL && a->line == b->line && text_equal(a->file, b->file));
}

/* The row for a site, found from its line on; the last where no other is left. */
static size_t site_row(const rf_sizeclass *heap, const rf_site *site) {
  size_t const own = heap->site_rows - 1;
  size_t const from = site == NULL ? 0 : site->line * 31U;
  for (size_t i = 0; i < own; i++) {
    size_t const row = (from + i) % own;
    if (heap->sites[row].allocations == 0 || site_equal(heap->sites[row].site, site)) {
      return row;
    }
  }
  return own;
}

size_t rf_sizeclass_site_choose(const rf_sizeclass *heap, const rf_site *site) {
  return heap->site_rows == 0 ? 0 : site_row(heap, site);
}

void rf_sizeclass_site_count(rf_sizeclass *heap, size_t row, size_t size, const rf_site *site) {
  if (row < heap->site_rows) {
    rf_sizeclass_site *const r = &heap->sites[row];
    if (r->allocations == 0) {
      r->site = row == heap->site_rows - 1 ? &other_sites : site;
    }
    r->allocations++;
    r->blocks++;
    r->bytes += size;
    r->peak = r->peak < r->bytes ? r->bytes : r->peak;
  }
}

void rf_sizeclass_site_uncount(rf_sizeclass *heap, size_t row, size_t size) {
  if (row < heap->site_rows) {
    heap->sites[row].blocks--;
    heap->sites[row].bytes -= size;
  }
}

void rf_sizeclass_site_resize(rf_sizeclass *heap, size_t row, size_t old_size, size_t size) {
  if (row < heap->site_rows) {
    rf_sizeclass_site *const r = &heap->sites[row];
    r->bytes = r->bytes - old_size + size;
    r->peak = r->peak < r->bytes ? r->bytes : r->peak;
  }
}

const rf_site *rf_sizeclass_site_at(const rf_sizeclass *heap, size_t row) {
  return row < heap->site_rows ? heap->sites[row].site : NULL;
}

rf_status rf_sizeclass_track_sites(rf_sizeclass *heap, rf_sizeclass_site *table, size_t rows) {
  if (table == NULL || rows == 0 || rows > RF_SIZECLASS_SITES_MAX) {
    return RF_ERR_INVALID;
  }
  if (!rf_sizeclass_record_intact(heap)) {
    return rf_fault_refuse(&heap->base, RF_ERR_CORRUPT, "heap record overwritten", heap, NULL);
  }
  if (heap->counters.blocks != 0) {
    return RF_ERR_BUSY;
  }
  memset(table, 0, rows * sizeof *table);
  heap->sites = table;
  heap->site_rows = rows;
  heap->checksum = rf_sizeclass_record_checksum(heap);
  return RF_OK;
}
