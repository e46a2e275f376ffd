#include "chunk.h"

#include <string.h>

static bool is_sound(const rf_zephyr_chunk_heap *heap, chunk c) {
  return is_whole(heap, c) && (is_free(heap, c) || is_block(heap, c));
}

rf_status rf_zephyr_chunk_walk(rf_allocator *allocator, rf_walk_fn visit, void *context) {
  const rf_zephyr_chunk_heap *const heap = heap_of(allocator);
  for (chunk c = 0; c < heap->end; c = right_of(heap, c)) {
    if (!is_sound(heap, c)) {
      return RF_ERR_CORRUPT;
    }
    bool const used = !is_free(heap, c);
    size_t const size = used ? requested(heap, c) : room_of(heap, c);
    rf_block const block = {payload_of(heap, c), size, (size_t)size_of(heap, c) * UNIT - size, used, NULL};
    if (!visit(&block, context)) {
      break;
    }
  }
  return RF_OK;
}

static bool add_free(const rf_block *block, void *context) {
  rf_stats *const out = (rf_stats *)context;
  if (!block->used) {
    out->free_bytes += block->size;
    out->largest_free = out->largest_free < block->size ? block->size : out->largest_free;
  }
  return true;
}

void rf_zephyr_chunk_stats(rf_allocator *allocator, rf_stats *out) {
  const rf_zephyr_chunk_heap *const heap = heap_of(allocator);
  memset(out, 0, sizeof *out);
  rf_count_into(&heap->counters, out);
  out->capacity = heap->end * UNIT;
  (void)rf_zephyr_chunk_walk(allocator, add_free, out);
  out->overhead = out->capacity - out->used - out->free_bytes;
}

/* ---- Check ---- */

typedef struct census {
  size_t used; /* bytes */
  size_t blocks;
  size_t listed; /* free chunks that must be in a list */
  bool adjacent; /* two free chunks touch */
} census;

static census count_chunks(const rf_zephyr_chunk_heap *heap, chunk *bad) {
  census sum = {0};
  bool last_free = false;
  chunk c = 0;
  for (; c < heap->end && is_sound(heap, c); c = right_of(heap, c)) {
    bool const used = !is_free(heap, c);
    sum.used += used ? requested(heap, c) : 0;
    sum.blocks += used ? 1 : 0;
    sum.listed += !used && size_of(heap, c) > 1 ? 1 : 0;
    sum.adjacent = sum.adjacent || (!used && last_free);
    last_free = !used;
  }
  *bad = c;
  return sum;
}

/* Free chunks found in list `list`; more than `most` where it is damaged. */
static size_t count_list(rf_zephyr_chunk_heap *heap, size_t list, size_t most) {
  size_t count = 0;
  if ((heap->first[list] != NONE) != ((heap->lists & bit_of(head_of(list))) != 0)) {
    return most + 1;
  }
  for (chunk c = heap->first[list]; c != NONE; c = words(heap, c)[NEXT]) {
    if (c >= heap->last || !is_free(heap, c) || !is_sized(heap, c, size_of(heap, c)) || !is_linked(heap, c) ||
        list_for(size_of(heap, c)) != list || count == most) {
      return most + 1;
    }
    count++;
  }
  return count;
}

rf_status rf_zephyr_chunk_check(rf_allocator *allocator, rf_fault *where) {
  rf_zephyr_chunk_heap *const heap = heap_of(allocator);
  chunk bad;
  census const sum = count_chunks(heap, &bad);
  size_t listed = 0;
  for (size_t list = 0; bad == heap->end && list < RF_ZEPHYR_LISTS; list++) {
    listed += count_list(heap, list, sum.listed);
  }
  if (bad != heap->end) {
    *where = (rf_fault){RF_ERR_CORRUPT, "header of a chunk was overwritten", allocator, payload_of(heap, bad), NULL};
    return RF_ERR_CORRUPT;
  }
  if (listed != sum.listed || sum.adjacent || sum.used != heap->counters.used || sum.blocks != heap->counters.blocks) {
    *where = (rf_fault){RF_ERR_CORRUPT, "free lists or figures do not match the chunks", allocator, heap->start, NULL};
    return RF_ERR_CORRUPT;
  }
  return RF_OK;
}
