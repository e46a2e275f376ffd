/* The shape of the live heap, for a collector: a histogram of sizes, and a map of where in memory live bytes are.
 *
 * Algorithm: the map counts live bytes by cells of 64 KiB in a hash table; when that is three quarters full, cells
 * become twice as large.
 * Complexity: O(1) a block, and O(size / cell) for one that spans several. Overhead: 256 KiB, touched as needed.
 */
#ifndef RINGFENCE_DROPIN_HEAP_SHAPE_H
#define RINGFENCE_DROPIN_HEAP_SHAPE_H

#include "checkers/report/json_writer.h"

#include <stddef.h>
#include <stdint.h>

#define RF_SHAPE_CELLS 8192U
#define RF_SHAPE_CELLS_TOLD 1024U
#define RF_SHAPE_SIZES (sizeof(size_t) * 8 + 1)

/* `at`: index of the cell, its address divided by the size of a cell; `live` 0: a free slot. */
typedef struct rf_shape_cell {
  uintptr_t at;
  size_t live;
} rf_shape_cell;

typedef struct rf_heap_shape {
  struct {
    size_t blocks;
    size_t bytes;
  } sizes[RF_SHAPE_SIZES]; /* 0: of no bytes; i: of 2^(i-1) to 2^i - 1 */
  unsigned shift;          /* logarithm of a cell's size */
  size_t used;             /* of the table in use */
  unsigned table;
  rf_shape_cell cells[2][RF_SHAPE_CELLS];
} rf_heap_shape;

/* Makes it empty. */
void rf_heap_shape_begin(rf_heap_shape *shape);

void rf_heap_shape_add(rf_heap_shape *shape, uintptr_t address, size_t size);

/* Writes the members "sizes" and "map" of JSON, at most 16 KiB; the map is spoilt by it. */
void rf_heap_shape_write(rf_heap_shape *shape, rf_json_writer *json);

#endif /* RINGFENCE_DROPIN_HEAP_SHAPE_H */
