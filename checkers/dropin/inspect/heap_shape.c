#include "heap_shape.h"

#include "checkers/dropin/os/sort.h"

#include <ringfence/bits.h>
#include <string.h>

#define SHIFT_LEAST 16U
#define SHIFT_MOST 40U
#define GAP_MOST 8U /* empty cells that are written as such; after more a new part begins */

void rf_heap_shape_begin(rf_heap_shape *shape) {
  memset(shape->sizes, 0, sizeof shape->sizes);
  memset(shape->cells[shape->table], 0, sizeof shape->cells[0]);
  shape->shift = SHIFT_LEAST;
  shape->used = 0;
}

/* ---- The map ---- */

static void put(rf_heap_shape *shape, uintptr_t at, size_t live) {
  rf_shape_cell *const table = shape->cells[shape->table];
  size_t slot = (size_t)((uint64_t)at * 0x9E3779B97F4A7C15U >> 40) % RF_SHAPE_CELLS;
  while (table[slot].live != 0 && table[slot].at != at) {
    slot = (slot + 1) % RF_SHAPE_CELLS;
  }
  shape->used += table[slot].live == 0;
  table[slot].at = at;
  table[slot].live += live;
}

/* Twice as large cells, in the other table. */
static void coarsen(rf_heap_shape *shape) {
  const rf_shape_cell *const from = shape->cells[shape->table];
  shape->table = 1 - shape->table;
  memset(shape->cells[shape->table], 0, sizeof shape->cells[0]);
  shape->shift++;
  shape->used = 0;
  for (size_t i = 0; i < RF_SHAPE_CELLS; i++) {
    if (from[i].live != 0) {
      put(shape, from[i].at >> 1, from[i].live);
    }
  }
}

void rf_heap_shape_add(rf_heap_shape *shape, uintptr_t address, size_t size) {
  unsigned const row = size == 0 ? 0 : rf_log2(size) + 1;
  shape->sizes[row].blocks++;
  shape->sizes[row].bytes += size;
  while (size != 0) {
    if (shape->used >= (size_t)RF_SHAPE_CELLS / 4 * 3 && shape->shift < SHIFT_MOST) {
      coarsen(shape);
    }
    size_t const room = ((size_t)1 << shape->shift) - (address & (((size_t)1 << shape->shift) - 1));
    size_t const part = size < room ? size : room;
    put(shape, address >> shape->shift, part);
    address += part;
    size -= part;
  }
}

/* ---- Writing ---- */

static void write_sizes(const rf_heap_shape *shape, const rf_sink *sink) {
  bool more = false;
  rf_sink_str(sink, "\"sizes\":[");
  for (size_t i = 0; i < RF_SHAPE_SIZES; i++) {
    if (shape->sizes[i].blocks != 0) {
      rf_sink_str(sink, more ? ",[" : "[");
      rf_sink_uint(sink, i == 0 ? 0 : (uint64_t)1 << (i - 1));
      rf_sink_char(sink, ',');
      rf_sink_uint(sink, shape->sizes[i].blocks);
      rf_sink_char(sink, ',');
      rf_sink_uint(sink, shape->sizes[i].bytes);
      rf_sink_char(sink, ']');
      more = true;
    }
  }
  rf_sink_char(sink, ']');
}

static bool is_below(const void *a, const void *b) {
  return ((const rf_shape_cell *)a)->at < ((const rf_shape_cell *)b)->at;
}

static size_t gather(rf_shape_cell *table) {
  size_t count = 0;
  for (size_t i = 0; i < RF_SHAPE_CELLS; i++) {
    if (table[i].live != 0) {
      table[count++] = table[i];
    }
  }
  rf_sort(table, count, sizeof *table, is_below);
  return count;
}

static void write_part_head(const rf_heap_shape *shape, const rf_sink *sink, uintptr_t at, bool first) {
  rf_sink_str(sink, first ? "[\"" : "]],[\"");
  rf_sink_hex(sink, (uint64_t)at << shape->shift, 1);
  rf_sink_str(sink, "\",[");
}

static void write_cells(const rf_heap_shape *shape, const rf_sink *sink, const rf_shape_cell *cells, size_t count) {
  uintptr_t next = 0;
  for (size_t i = 0; i < count; i++) {
    if (i == 0 || cells[i].at - next > GAP_MOST) {
      write_part_head(shape, sink, cells[i].at, i == 0);
    } else {
      rf_sink_char(sink, ',');
      for (; next < cells[i].at; next++) {
        rf_sink_str(sink, "0,");
      }
    }
    rf_sink_uint(sink, cells[i].live);
    next = cells[i].at + 1;
  }
  rf_sink_str(sink, count != 0 ? "]]" : "");
}

void rf_heap_shape_write(rf_heap_shape *shape, const rf_sink *sink) {
  while (shape->used > RF_SHAPE_CELLS_TOLD && shape->shift < SHIFT_MOST) {
    coarsen(shape);
  }
  rf_shape_cell *const cells = shape->cells[shape->table];
  size_t const count = gather(cells);
  write_sizes(shape, sink);
  rf_sink_str(sink, ",\"map\":{\"cell\":");
  rf_sink_uint(sink, (uint64_t)1 << shape->shift);
  rf_sink_str(sink, ",\"parts\":[");
  write_cells(shape, sink, cells, count < RF_SHAPE_CELLS_TOLD ? count : RF_SHAPE_CELLS_TOLD);
  rf_sink_str(sink, "]}");
}
