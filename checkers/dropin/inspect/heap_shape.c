#include "heap_shape.h"

#include "checkers/os/sort.h"
#include "lib/core/compiler.h"

#include <ringfence/bits.h>
#include <string.h>

#define SHIFT_LEAST 16U
#define SHIFT_MOST 40U
#define GAP_MOST 8U /* empty cells that are written as such; after more a new part begins */

RF_COLD void rf_heap_shape_begin(rf_heap_shape *shape) {
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

RF_COLD void rf_heap_shape_add(rf_heap_shape *shape, uintptr_t address, size_t size) {
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

static void write_sizes(const rf_heap_shape *shape, rf_json_writer *json) {
  rf_json_open(json, "sizes", "[");
  for (size_t i = 0; i < RF_SHAPE_SIZES; i++) {
    if (shape->sizes[i].blocks != 0) {
      rf_json_open(json, NULL, "[");
      rf_json_put_unsigned(json, NULL, i == 0 ? 0 : (uint64_t)1 << (i - 1));
      rf_json_put_unsigned(json, NULL, shape->sizes[i].blocks);
      rf_json_put_unsigned(json, NULL, shape->sizes[i].bytes);
      rf_json_close(json, "]");
    }
  }
  rf_json_close(json, "]");
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

static void begin_part(rf_json_writer *json, uint64_t address) {
  rf_json_open(json, NULL, "[");
  rf_json_put_address(json, NULL, address);
  rf_json_open(json, NULL, "[");
}

static void end_part(rf_json_writer *json) {
  rf_json_close(json, "]");
  rf_json_close(json, "]");
}

static void write_parts(const rf_heap_shape *shape, rf_json_writer *json, const rf_shape_cell *cells, size_t count) {
  uintptr_t next = 0;
  rf_json_open(json, "parts", "[");
  for (size_t i = 0; i < count; i++) {
    if (i == 0 || cells[i].at - next > GAP_MOST) {
      if (i != 0) {
        end_part(json);
      }
      begin_part(json, (uint64_t)cells[i].at << shape->shift);
      next = cells[i].at;
    }
    for (; next < cells[i].at; next++) {
      rf_json_put_unsigned(json, NULL, 0);
    }
    rf_json_put_unsigned(json, NULL, cells[i].live);
    next++;
  }
  if (count != 0) {
    end_part(json);
  }
  rf_json_close(json, "]");
}

RF_COLD void rf_heap_shape_write(rf_heap_shape *shape, rf_json_writer *json) {
  while (shape->used > RF_SHAPE_CELLS_TOLD && shape->shift < SHIFT_MOST) {
    coarsen(shape);
  }
  rf_shape_cell *const cells = shape->cells[shape->table];
  size_t const count = gather(cells);
  write_sizes(shape, json);
  rf_json_open(json, "map", "{");
  rf_json_put_unsigned(json, "cell", (uint64_t)1 << shape->shift);
  write_parts(shape, json, cells, count < RF_SHAPE_CELLS_TOLD ? count : RF_SHAPE_CELLS_TOLD);
  rf_json_close(json, "}");
}
