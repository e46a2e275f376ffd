#include <ringfence/memblocks_allocator.h>

#include "memblocks_impl.h"

#include <string.h>

static rf_memblocks_allocator *adapter_of(rf_allocator *self) {
  return (rf_memblocks_allocator *)(void *)self;
}

static size_t seal_of(const rf_memblocks_allocator *a) {
  size_t const seal = rf_checksum_add_address(rf_checksum_begin(a), a->blocks);
  return rf_checksum_add_address(seal, a->sizes);
}

/* Whether the records of the adapter and of its pool are what they were: before anything in them is followed. */
static bool intact(const rf_memblocks_allocator *a) {
  return a->seal == seal_of(a) && rf_memblocks_intact(a->blocks);
}

static rf_status broken(rf_memblocks_allocator *a, const rf_site *site) {
  return rf_fault_refuse(&a->base, RF_ERR_CORRUPT, "record of the adapter or of its pool was overwritten", a, site);
}

/* How many blocks hold `size` bytes; a block even for none, so that every allocation has an address of its own. */
static size_t blocks_for(const rf_memblocks *blocks, size_t size) {
  return size == 0 ? 1 : (size - 1) / blocks->block_size + 1;
}

/* Blocks of the allocation that starts at block `index`; 0 where none does, or where table and bitmap contradict it:
 * blocks of it are free, or another allocation starts inside. */
static size_t run_at(const rf_memblocks_allocator *a, size_t index) {
  size_t const size = a->sizes[index];
  if (size == 0) {
    return 0;
  }
  size_t const count = blocks_for(a->blocks, size - 1);
  if (count > rf_memblocks_next(a->blocks, index, false) - index) {
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

static void *adapter_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_memblocks_allocator *const a = adapter_of(self);
  if (!intact(a)) {
    (void)broken(a, site);
    return NULL;
  }
  rf_memblocks *const blocks = a->blocks;
  size_t const count = blocks_for(blocks, size);
  size_t first = 0;
  rf_memblocks_lock(blocks);
  rf_status const status = rf_memblocks_take_run(blocks, count, align, &first);
  if (status == RF_OK) {
    memset(&a->sizes[first], 0, count * sizeof *a->sizes);
    a->sizes[first] = size + 1;
    rf_count_alloc(&a->counters, size);
    rf_track_alloc(rf_memblocks_at(blocks, first), size);
  } else {
    a->counters.failures++;
  }
  rf_memblocks_unlock(blocks);
  if (status == RF_OK) {
    void *const ptr = rf_memblocks_at(blocks, first);
    rf_memblocks_notify_alloc(blocks, ptr, count * blocks->block_size);
    return ptr;
  }
  if (status == RF_ERR_CORRUPT) {
    (void)rf_fault_refuse(self, status, "bitmap and count disagree", blocks->bitmap, site);
  }
  return NULL;
}

/* Finds the live allocation at `ptr`, or says why there is none. With the lock held. */
static const char *find(const rf_memblocks_allocator *a, const void *ptr, size_t *index, rf_status *status) {
  *status = RF_ERR_BAD_POINTER;
  if (!rf_memblocks_index(a->blocks, ptr, index)) {
    return rf_memblocks_holds(a->blocks, ptr) ? "pointer into a block" : "foreign pointer";
  }
  if (!rf_memblocks_taken(a->blocks, *index)) {
    *status = RF_ERR_NOT_ALLOCATED;
    return "block is free already";
  }
  if (a->sizes[*index] == 0) {
    return "block was not allocated here, or pointer into an allocation";
  }
  if (run_at(a, *index) == 0 || run_at(a, *index) > a->blocks->used) {
    *status = RF_ERR_CORRUPT;
    return "size and bitmap disagree";
  }
  *status = RF_OK;
  return NULL;
}

static rf_status adapter_free(rf_allocator *self, void *ptr, const rf_site *site) {
  rf_memblocks_allocator *const a = adapter_of(self);
  rf_memblocks *const blocks = a->blocks;
  size_t index;
  size_t count = 0;
  rf_status status;
  if (!intact(a)) {
    return broken(a, site);
  }
  rf_memblocks_lock(blocks);
  const char *const what = find(a, ptr, &index, &status);
  if (what == NULL) {
    count = run_at(a, index);
    rf_memblocks_drop_run(blocks, index, count);
    rf_count_free(&a->counters, a->sizes[index] - 1);
    a->sizes[index] = 0;
  }
  rf_memblocks_unlock(blocks);
  if (what != NULL) {
    return rf_fault_refuse(self, status, what, ptr, site);
  }
  rf_memblocks_notify_free(blocks, ptr, count * blocks->block_size);
  return RF_OK;
}

/* Gives the run at `index` another length where it stands. */
static bool fit(rf_memblocks_allocator *a, size_t index, size_t size) {
  rf_memblocks *const blocks = a->blocks;
  size_t const have = run_at(a, index);
  size_t const want = blocks_for(blocks, size);
  if (want > have && !rf_memblocks_take_these(blocks, index + have, want - have)) {
    return false;
  }
  if (want < have) {
    rf_memblocks_drop_run(blocks, index + want, have - want);
  }
  void *const ptr = rf_memblocks_at(blocks, index);
  rf_track_resize(ptr, (want < have ? want : have) * blocks->block_size, ptr, size);
  rf_count_resize(&a->counters, a->sizes[index] - 1, size);
  a->sizes[index] = size + 1;
  return true;
}

static rf_status adapter_resize(rf_allocator *self, void *ptr, size_t size, const rf_site *site) {
  rf_memblocks_allocator *const a = adapter_of(self);
  size_t index;
  rf_status status;
  if (!intact(a)) {
    return broken(a, site);
  }
  rf_memblocks_lock(a->blocks);
  const char *const what = find(a, ptr, &index, &status);
  bool const done = what == NULL && fit(a, index, size);
  rf_memblocks_unlock(a->blocks);
  if (what != NULL) {
    return rf_fault_refuse(self, status, what, ptr, site);
  }
  return done ? RF_OK : RF_ERR_NO_MEMORY;
}

/* ---- Looking ---- */

static size_t adapter_usable_size(rf_allocator *self, const void *ptr) {
  rf_memblocks_allocator *const a = adapter_of(self);
  size_t index;
  rf_status status;
  if (!intact(a)) {
    return 0;
  }
  rf_memblocks_lock(a->blocks);
  bool const live = find(a, ptr, &index, &status) == NULL;
  size_t const room = live ? run_at(a, index) * a->blocks->block_size : 0;
  rf_track_reveal(ptr, room);
  rf_memblocks_unlock(a->blocks);
  return room;
}

static bool adapter_owns(rf_allocator *self, const void *ptr) {
  const rf_memblocks_allocator *const a = adapter_of(self);
  return intact(a) && rf_memblocks_holds(a->blocks, ptr);
}

/* Fills *out for what starts at block `index`: an allocation, a block taken directly, or a run of free ones. Returns
 * how many blocks it is. */
static size_t describe(const rf_memblocks_allocator *a, size_t index, rf_block *out) {
  const rf_memblocks *const blocks = a->blocks;
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

static rf_status adapter_walk(rf_allocator *self, rf_walk_fn visit, void *context) {
  rf_memblocks_allocator *const a = adapter_of(self);
  bool more = true;
  if (!intact(a)) {
    return RF_ERR_CORRUPT;
  }
  rf_memblocks_lock(a->blocks);
  for (size_t i = 0; i < a->blocks->num_blocks && more;) {
    rf_block block;
    i += describe(a, i, &block);
    more = visit(&block, context);
  }
  rf_memblocks_unlock(a->blocks);
  return RF_OK;
}

/* What contradicts what in the table, or NULL. */
static const char *table_damage(const rf_memblocks_allocator *a, const void **at) {
  size_t used = 0;
  size_t live = 0;
  size_t next = 0; /* first block after the allocation met last */
  for (size_t i = 0; i < a->blocks->num_blocks; i++) {
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

/* What is wrong, or NULL. */
static const char *damage(const rf_memblocks_allocator *a, const void **at) {
  if (!intact(a)) {
    *at = a;
    return "record of the adapter or of its pool was overwritten";
  }
  rf_memblocks_lock(a->blocks);
  const char *what = rf_memblocks_damage(a->blocks, at);
  if (what == NULL) {
    what = table_damage(a, at);
  }
  rf_memblocks_unlock(a->blocks);
  return what;
}

static rf_status adapter_check(rf_allocator *self, rf_fault *where) {
  const void *at;
  const char *const what = damage(adapter_of(self), &at);
  if (what == NULL) {
    return RF_OK;
  }
  rf_fault const fault = {RF_ERR_CORRUPT, what, self, at, NULL};
  *where = fault;
  return RF_ERR_CORRUPT;
}

static void adapter_stats(rf_allocator *self, rf_stats *out) {
  rf_memblocks_allocator *const a = adapter_of(self);
  const rf_memblocks *const blocks = a->blocks;
  memset(out, 0, sizeof *out);
  if (!intact(a)) {
    return;
  }
  rf_memblocks_lock(blocks);
  rf_count_into(&a->counters, out);
  out->capacity = blocks->num_blocks * blocks->block_size;
  out->free_bytes = (blocks->num_blocks - blocks->used) * blocks->block_size;
  out->largest_free = rf_memblocks_longest_run(blocks, RF_ALIGN_DEFAULT) * blocks->block_size;
  out->overhead = out->capacity - out->free_bytes - out->used;
  rf_memblocks_unlock(blocks);
}

static void adapter_counters(rf_allocator *self, rf_counters *out) {
  *out = adapter_of(self)->counters;
}

static void adapter_deinit(rf_allocator *self) {
  rf_memblocks_allocator *const a = adapter_of(self);
  if (a->seal == seal_of(a)) {
    rf_memblocks_deinit(a->blocks);
  }
  memset(&a->counters, 0, sizeof a->counters);
}

static const rf_allocator_ops adapter_ops = {
    .name = "memblocks",
    .alloc = adapter_alloc,
    .free = adapter_free,
    .resize = adapter_resize,
    .usable_size = adapter_usable_size,
    .owns = adapter_owns,
    .walk = adapter_walk,
    .check = adapter_check,
    .stats = adapter_stats,
    .deinit = adapter_deinit,
    .counters = adapter_counters,
};

rf_status rf_memblocks_allocator_init(rf_memblocks_allocator *adapter, rf_memblocks *blocks, size_t *sizes) {
  if (adapter == NULL || blocks == NULL || sizes == NULL || !rf_memblocks_intact(blocks)) {
    return RF_ERR_INVALID;
  }
  memset(adapter, 0, sizeof *adapter);
  memset(sizes, 0, blocks->num_blocks * sizeof *sizes);
  adapter->base.ops = &adapter_ops;
  adapter->blocks = blocks;
  adapter->sizes = sizes;
  adapter->seal = seal_of(adapter);
  return RF_OK;
}
