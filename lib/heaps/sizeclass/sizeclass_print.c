#include "sizeclass_impl.h"

/* Numbers in columns. */
static void put_number(const rf_sink *sink, size_t value, unsigned width) {
  unsigned digits = 1;
  for (size_t rest = value / 10; rest != 0; rest /= 10) {
    digits++;
  }
  for (; digits < width; digits++) {
    rf_sink_char(sink, ' ');
  }
  rf_sink_uint(sink, value);
}

static void put_site(const rf_sink *sink, const rf_site *site) {
  if (site == NULL) {
    rf_sink_str(sink, "unknown site");
    return;
  }
  rf_sink_str(sink, site->file);
  if (site->line != 0) {
    rf_sink_char(sink, ':');
    rf_sink_uint(sink, site->line);
  }
}

static void print_classes(const rf_sizeclass *heap, const rf_sink *sink) {
  rf_sink_str(sink, "   size    live    free\n");
  for (unsigned q = 0; q < RF_SIZECLASS_COUNT; q++) {
    if (heap->live[q] != 0 || heap->queued[q] != 0) {
      put_number(sink, (size_t)RF_SIZECLASS_SMALLEST << q, 7);
      put_number(sink, heap->live[q], 8);
      put_number(sink, heap->queued[q], 8);
      rf_sink_char(sink, '\n');
    }
  }
  rf_sink_str(sink, "  other");
  put_number(sink, heap->large_blocks, 8);
  rf_sink_str(sink, "       -\n");
}

static void print_sites(const rf_sizeclass *heap, const rf_sink *sink) {
  rf_sink_str(sink, " blocks   bytes    peak  allocations\n");
  for (size_t i = 0; i < heap->site_rows; i++) {
    const rf_sizeclass_site *const row = &heap->sites[i];
    if (row->allocations != 0) {
      put_number(sink, row->blocks, 7);
      put_number(sink, row->bytes, 8);
      put_number(sink, row->peak, 8);
      put_number(sink, row->allocations, 13);
      rf_sink_str(sink, "  ");
      put_site(sink, row->site);
      rf_sink_char(sink, '\n');
    }
  }
}

void rf_sizeclass_print(rf_sizeclass *heap, const rf_sink *sink) {
  if (!rf_sizeclass_record_intact(heap)) {
    rf_sink_str(sink, "sizeclass: heap record overwritten\n");
    return;
  }
  rf_sink_str(sink, "sizeclass: ");
  rf_sink_uint(sink, heap->carved);
  rf_sink_str(sink, " of ");
  rf_sink_uint(sink, heap->size);
  rf_sink_str(sink, " bytes carved, ");
  rf_sink_uint(sink, heap->large_bytes);
  rf_sink_str(sink, " from the fallback\n");
  print_classes(heap, sink);
  if (heap->site_rows != 0) {
    print_sites(heap, sink);
  }
}

typedef struct listing {
  const rf_sink *sink;
  size_t count;
} listing;

static bool print_block(const rf_block *block, void *context) {
  listing *const l = (listing *)context;
  if (block->used) {
    l->count++;
    rf_sink_str(l->sink, "live: ");
    rf_sink_uint(l->sink, block->size);
    rf_sink_str(l->sink, " bytes at ");
    rf_sink_ptr(l->sink, block->ptr);
    rf_sink_str(l->sink, ", ");
    put_site(l->sink, block->site);
    rf_sink_char(l->sink, '\n');
  }
  return true;
}

size_t rf_sizeclass_print_live(rf_sizeclass *heap, const rf_sink *sink) {
  listing l = {sink, 0};
  (void)rf_walk(&heap->base, print_block, &l);
  return l.count;
}
