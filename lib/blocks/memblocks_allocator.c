#include <ringfence/memblocks_allocator.h>

#include "lib/core/adapter.h"
#include "memblocks_impl.h"

#include <string.h>

static rf_memblocks *memblocks_of(const rf_adapter *a) {
  return (rf_memblocks *)a->target;
}

static bool memblocks_intact(const rf_adapter *a) {
  return rf_memblocks_intact(memblocks_of(a));
}

static rf_mutex *memblocks_mutex(const rf_adapter *a) {
  return memblocks_of(a)->mutex;
}

/* How many blocks hold `size` bytes; a block even for none, so that every allocation has an address of its own. */
static size_t blocks_for(const rf_memblocks *blocks, size_t size) {
  return size == 0 ? 1 : (size - 1) / blocks->block_size + 1;
}

/* Blocks of the allocation that starts at block `index`; 0 where none does, or where table and bitmap contradict it:
 * blocks of it are free, or another allocation starts inside. */
static size_t run_at(const rf_adapter *a, size_t index) {
  size_t const size = a->sizes[index];
  if (size == 0) {
    return 0;
  }
  size_t const count = blocks_for(memblocks_of(a), size - 1);
  if (count > rf_memblocks_next(memblocks_of(a), index, false) - index) {
    return 0;
  }
  for (size_t i = 1; i < count; i++) {
    if (a->sizes[index + i] != 0) {
      return 0;
    }
  }
  return count;
}

/* ---- alloc, free, resize ---- */

static rf_status memblocks_alloc(rf_adapter *a, size_t size, size_t align, rf_adapter_block *out, const rf_site *site) {
  rf_memblocks *const blocks = memblocks_of(a);
  size_t const count = blocks_for(blocks, size);
  size_t first = 0;
  out->ptr = blocks->bitmap;
  rf_status const status = rf_memblocks_take_run(blocks, count, align, &first);
  if (status == RF_OK) {
    memset(&a->sizes[first], 0, count * sizeof *a->sizes);
    a->sizes[first] = size + 1;
    out->ptr = rf_memblocks_at(blocks, first);
    out->room = count * blocks->block_size;
    rf_track_alloc(out->ptr, size);
    RF_WATCH_TELL(alloc, rf_memblocks_view(blocks), out->ptr, count, site, NULL);
  }
  return status;
}

static rf_verdict memblocks_find(rf_adapter *a, const void *ptr, rf_adapter_block *out) {
  const rf_memblocks *const blocks = memblocks_of(a);
  if (!rf_memblocks_index(blocks, ptr, &out->index)) {
    return rf_memblocks_holds(blocks, ptr) ? RF_POINTER_INTERIOR : RF_POINTER_FOREIGN;
  }
  if (!rf_memblocks_taken(blocks, out->index)) {
    return RF_POINTER_FREE;
  }
  if (a->sizes[out->index] == 0) {
    return RF_POINTER_NO_BLOCK;
  }
  size_t const count = run_at(a, out->index);
  out->ptr = rf_memblocks_at(blocks, out->index);
  out->size = a->sizes[out->index] - 1;
  out->room = count * blocks->block_size;
  return count == 0 || count > blocks->used ? RF_POINTER_CORRUPT : RF_POINTER_OK;
}

static rf_verdict memblocks_free(rf_adapter *a, const rf_adapter_block *block) {
  rf_memblocks_drop_run(memblocks_of(a), block->index, run_at(a, block->index));
  RF_WATCH_TELL(free, rf_memblocks_view(memblocks_of(a)), block->ptr, block->room / memblocks_of(a)->block_size, NULL,
                NULL);
  a->sizes[block->index] = 0;
  return RF_POINTER_OK;
}

static rf_status memblocks_resize(rf_adapter *a, const rf_adapter_block *block, size_t size) {
  rf_memblocks *const blocks = memblocks_of(a);
  size_t const index = block->index;
  size_t const have = run_at(a, index);
  size_t const want = blocks_for(blocks, size);
  if (want > have && !rf_memblocks_take_these(blocks, index + have, want - have)) {
    return RF_ERR_NO_MEMORY;
  }
  if (RF_WATCH && want > have) {
    RF_WATCH_TELL(alloc, rf_memblocks_view(blocks), rf_memblocks_at(blocks, index + have), want - have, NULL, NULL);
  }
  if (want < have) {
    rf_memblocks_drop_run(blocks, index + want, have - want);
    RF_WATCH_TELL(free, rf_memblocks_view(blocks), rf_memblocks_at(blocks, index + want), have - want, NULL, NULL);
  }
  rf_track_resize(block->ptr, (want < have ? want : have) * blocks->block_size, block->ptr, size);
  a->sizes[index] = size + 1;
  return RF_OK;
}

static void memblocks_reveal(const rf_adapter *a, const rf_adapter_block *block) {
  (void)a;
  rf_track_reveal(block->ptr, block->room);
}

static void memblocks_on_alloc(rf_adapter *a, const rf_adapter_block *block) {
  rf_memblocks_notify_alloc(memblocks_of(a), block->ptr, block->room);
}

static void memblocks_on_free(rf_adapter *a, const rf_adapter_block *block) {
  rf_memblocks_notify_free(memblocks_of(a), block->ptr, block->room);
}

/* ---- Queries and the walk ---- */

static bool memblocks_owns(const rf_adapter *a, const void *ptr) {
  return rf_memblocks_holds(memblocks_of(a), ptr);
}

/* Fills *out for what starts at block `index`: an allocation, a block taken directly, or a run of free ones. Returns
 * how many blocks it is. */
static size_t describe(const rf_adapter *a, size_t index, rf_block *out) {
  const rf_memblocks *const blocks = memblocks_of(a);
  size_t const run = rf_memblocks_taken(blocks, index) ? run_at(a, index) : 0;
  out->ptr = rf_memblocks_at(blocks, index);
  out->used = rf_memblocks_taken(blocks, index);
  out->site = NULL;
  if (!out->used) {
    size_t const count = rf_memblocks_next(blocks, index, true) - index;
    out->size = count * blocks->block_size;
    out->overhead = 0;
    return count;
  }
  out->size = run != 0 ? a->sizes[index] - 1 : blocks->block_size;
  out->overhead = (run != 0 ? run : 1) * blocks->block_size - out->size;
  return run != 0 ? run : 1;
}

static rf_status memblocks_walk(rf_adapter *a, rf_walk_fn visit, void *context) {
  bool more = true;
  for (size_t i = 0; i < memblocks_of(a)->num_blocks && more;) {
    rf_block block;
    i += describe(a, i, &block);
    more = visit(&block, context);
  }
  return RF_OK;
}

static const char *memblocks_damage(rf_adapter *a, const void **at) {
  size_t used = 0;
  size_t live = 0;
  size_t next = 0; /* first block after the allocation met last */
  const char *const what = rf_memblocks_damage(memblocks_of(a), at);
  if (what != NULL) {
    return what;
  }
  for (size_t i = 0; i < memblocks_of(a)->num_blocks; i++) {
    if (a->sizes[i] == 0) {
      continue;
    }
    *at = &a->sizes[i];
    if (i < next || run_at(a, i) == 0) {
      return "size and bitmap disagree";
    }
    next = i + run_at(a, i);
    used += a->sizes[i] - 1;
    live++;
  }
  *at = a;
  return used != a->counters.used || live != a->counters.blocks ? "sizes and counts disagree" : NULL;
}

static void memblocks_stats(rf_adapter *a, rf_stats *out) {
  const rf_memblocks *const blocks = memblocks_of(a);
  out->capacity = blocks->num_blocks * blocks->block_size;
  out->free_bytes = (blocks->num_blocks - blocks->used) * blocks->block_size;
  out->largest_free = rf_memblocks_longest_run(blocks, RF_ALIGN_DEFAULT) * blocks->block_size;
}

static void memblocks_deinit(rf_adapter *a) {
  rf_memblocks_deinit(memblocks_of(a));
}

static const rf_adapter_ops memblocks_allocator_ops = {
    .base = RF_ADAPTER_BASE("memblocks"),
    .intact = memblocks_intact,
    .mutex = memblocks_mutex,
    .alloc = memblocks_alloc,
    .find = memblocks_find,
    .free = memblocks_free,
    .resize = memblocks_resize,
    .reveal = memblocks_reveal,
    .owns = memblocks_owns,
    .walk = memblocks_walk,
    .damage = memblocks_damage,
    .stats = memblocks_stats,
    .deinit = memblocks_deinit,
    .on_alloc = memblocks_on_alloc,
    .on_free = memblocks_on_free,
};

rf_status rf_memblocks_allocator_init(rf_memblocks_allocator *adapter, rf_memblocks *blocks, size_t *sizes) {
  if (adapter == NULL || blocks == NULL || sizes == NULL || !rf_memblocks_intact(blocks)) {
    return RF_ERR_INVALID;
  }
  memset(sizes, 0, blocks->num_blocks * sizeof *sizes);
  rf_adapter_init(adapter, &memblocks_allocator_ops, blocks, sizes);
  return RF_OK;
}
