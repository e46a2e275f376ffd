#include <ringfence/blockgroup_allocator.h>

#include "blockgroup_impl.h"
#include "memblocks_impl.h"

#include <string.h>

/* One block of one member. */
typedef struct place {
  rf_memblocks *pool;
  size_t index;
  size_t *size; /* its entry in the table */
} place;

static rf_blockgroup_allocator *adapter_of(rf_allocator *self) {
  return (rf_blockgroup_allocator *)(void *)self;
}

static size_t seal_of(const rf_blockgroup_allocator *a) {
  size_t const seal = rf_checksum_add_address(rf_checksum_begin(a), a->group);
  return rf_checksum_add_address(seal, a->sizes);
}

/* Whether all records are what they were: the adapter's, the group's, its members' and their pools'. */
static bool intact(const rf_blockgroup_allocator *a) {
  return a->seal == seal_of(a) && rf_blockgroup_intact(a->group);
}

static rf_status broken(rf_blockgroup_allocator *a, const rf_site *site) {
  return rf_fault_refuse(&a->base, RF_ERR_CORRUPT, "record of adapter, group, member or pool was overwritten", a, site);
}

/* The part of the table that belongs to a member. */
static size_t *table_of(const rf_blockgroup_allocator *a, const rf_memblocks *pool) {
  size_t *table = a->sizes;
  for (const rf_blockgroup_member *m = a->group->first; m->blocks != pool; m = m->next) {
    table += m->blocks->num_blocks;
  }
  return table;
}

/* ---- alloc ---- */

/* The member with the smallest blocks of at least `size` bytes that comes after `last`, where size, then order in the
 * list, decide; NULL where there is none. */
static rf_memblocks *next_larger(const rf_blockgroup *group, size_t size, const rf_memblocks *last) {
  rf_memblocks *best = NULL;
  bool after_last = last == NULL;
  for (const rf_blockgroup_member *m = group->first; m != NULL; m = m->next) {
    rf_memblocks *const b = m->blocks;
    bool const later =
        last == NULL || b->block_size > last->block_size || (b->block_size == last->block_size && after_last);
    after_last = after_last || b == last;
    if (b != last && later && b->block_size >= size && (best == NULL || b->block_size < best->block_size)) {
      best = b;
    }
  }
  return best;
}

static void *take_from(rf_blockgroup_allocator *a, rf_memblocks *pool, size_t size, size_t align, const rf_site *site) {
  size_t index = 0;
  rf_memblocks_lock(pool);
  rf_status const status = rf_memblocks_take_run(pool, 1, align, &index);
  if (status == RF_OK) {
    rf_track_alloc(rf_memblocks_at(pool, index), size);
  }
  rf_memblocks_unlock(pool);
  if (status == RF_ERR_CORRUPT) {
    (void)rf_fault_refuse(&a->base, status, "bitmap and count disagree", pool->bitmap, site);
  }
  if (status != RF_OK) {
    return NULL;
  }
  void *const ptr = rf_memblocks_at(pool, index);
  table_of(a, pool)[index] = size + 1;
  rf_count_alloc(&a->counters, size);
  rf_memblocks_notify_alloc(pool, ptr, pool->block_size);
  return ptr;
}

static void *adapter_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_blockgroup_allocator *const a = adapter_of(self);
  rf_memblocks *pool = NULL;
  if (!intact(a)) {
    (void)broken(a, site);
    return NULL;
  }
  while ((pool = next_larger(a->group, size, pool)) != NULL) {
    void *const ptr = take_from(a, pool, size, align, site);
    if (ptr != NULL) {
      return ptr;
    }
  }
  a->counters.failures++;
  return NULL;
}

/* ---- free, resize ---- */

/* Fills *at for the live block at `ptr`; RF_OK, or why there is none and *what in words. */
static rf_status find(const rf_blockgroup_allocator *a, const void *ptr, place *at, const char **what) {
  if (!intact(a)) {
    *what = "record of adapter, group, member or pool was overwritten";
    return RF_ERR_CORRUPT;
  }
  at->pool = rf_blockgroup_find(a->group, ptr);
  if (at->pool == NULL) {
    *what = "foreign pointer";
    return RF_ERR_BAD_POINTER;
  }
  if (!rf_memblocks_index(at->pool, ptr, &at->index)) {
    *what = "pointer into a block";
    return RF_ERR_BAD_POINTER;
  }
  at->size = table_of(a, at->pool) + at->index;
  if (rf_memblocks_is_region_free(at->pool, ptr, 1)) {
    *what = "block is free already";
    return RF_ERR_NOT_ALLOCATED;
  }
  if (*at->size == 0) {
    *what = "block was not allocated here";
    return RF_ERR_BAD_POINTER;
  }
  *what = "size is larger than the block";
  return *at->size - 1 > at->pool->block_size ? RF_ERR_CORRUPT : RF_OK;
}

static bool release(const place *at, const void *ptr, rf_memblocks_refusal *why) {
  rf_memblocks_lock(at->pool);
  bool const released = rf_memblocks_release(at->pool, ptr, why);
  if (released) {
    rf_track_free(ptr, at->pool->block_size);
  }
  rf_memblocks_unlock(at->pool);
  return released;
}

static rf_status adapter_free(rf_allocator *self, void *ptr, const rf_site *site) {
  rf_blockgroup_allocator *const a = adapter_of(self);
  place at;
  rf_memblocks_refusal why;
  why.status = find(a, ptr, &at, &why.what);
  if (why.status != RF_OK || !release(&at, ptr, &why)) {
    return rf_fault_refuse(self, why.status, why.what, ptr, site);
  }
  rf_count_free(&a->counters, *at.size - 1);
  *at.size = 0;
  rf_memblocks_notify_free(at.pool, ptr, at.pool->block_size);
  return RF_OK;
}

static rf_status adapter_resize(rf_allocator *self, void *ptr, size_t size, const rf_site *site) {
  rf_blockgroup_allocator *const a = adapter_of(self);
  place at;
  const char *what;
  rf_status const status = find(a, ptr, &at, &what);
  if (status != RF_OK) {
    return rf_fault_refuse(self, status, what, ptr, site);
  }
  if (size > at.pool->block_size) {
    return RF_ERR_NO_MEMORY;
  }
  rf_count_resize(&a->counters, *at.size - 1, size);
  *at.size = size + 1;
  if (RF_TRACK) {
    rf_memblocks_lock(at.pool);
    rf_track_resize(ptr, at.pool->block_size, ptr, size);
    rf_memblocks_unlock(at.pool);
  }
  return RF_OK;
}

/* ---- Looking ---- */

static size_t adapter_usable_size(rf_allocator *self, const void *ptr) {
  place at;
  const char *what;
  if (find(adapter_of(self), ptr, &at, &what) != RF_OK) {
    return 0;
  }
  if (RF_TRACK) {
    rf_memblocks_lock(at.pool);
    rf_track_reveal(ptr, at.pool->block_size);
    rf_memblocks_unlock(at.pool);
  }
  return at.pool->block_size;
}

static bool adapter_owns(rf_allocator *self, const void *ptr) {
  const rf_blockgroup_allocator *const a = adapter_of(self);
  return intact(a) && rf_blockgroup_find(a->group, ptr) != NULL;
}

/* False where the visitor has seen enough. */
static bool walk_pool(rf_memblocks *pool, const size_t *table, rf_walk_fn visit, void *context) {
  bool more = true;
  rf_memblocks_lock(pool);
  for (size_t i = 0; i < pool->num_blocks && more; i++) {
    bool const taken = rf_memblocks_taken(pool, i);
    size_t const size = taken && table[i] != 0 ? table[i] - 1 : pool->block_size;
    rf_block const block = {rf_memblocks_at(pool, i), size, pool->block_size - size, taken, NULL};
    more = visit(&block, context);
  }
  rf_memblocks_unlock(pool);
  return more;
}

static rf_status adapter_walk(rf_allocator *self, rf_walk_fn visit, void *context) {
  const rf_blockgroup_allocator *const a = adapter_of(self);
  if (!intact(a)) {
    return RF_ERR_CORRUPT;
  }
  for (const rf_blockgroup_member *m = a->group->first; m != NULL; m = m->next) {
    if (!walk_pool(m->blocks, table_of(a, m->blocks), visit, context)) {
      break;
    }
  }
  return RF_OK;
}

/* What contradicts what in one member's part of the table, or NULL. Adds up what is in it. */
static const char *table_damage(rf_memblocks *pool, const size_t *table, rf_counters *sum, const void **at) {
  for (size_t i = 0; i < pool->num_blocks; i++) {
    *at = &table[i];
    if (table[i] != 0 && (!rf_memblocks_taken(pool, i) || table[i] - 1 > pool->block_size)) {
      return "size and bitmap disagree";
    }
    sum->used += table[i] != 0 ? table[i] - 1 : 0;
    sum->blocks += table[i] != 0 ? 1U : 0U;
  }
  return NULL;
}

static const char *tables_damage(const rf_blockgroup_allocator *a, const void **at) {
  rf_counters sum = {0, 0, 0, 0, 0, 0};
  for (const rf_blockgroup_member *m = a->group->first; m != NULL; m = m->next) {
    rf_memblocks_lock(m->blocks);
    const char *const what = table_damage(m->blocks, table_of(a, m->blocks), &sum, at);
    rf_memblocks_unlock(m->blocks);
    if (what != NULL) {
      return what;
    }
  }
  *at = a;
  return sum.used != a->counters.used || sum.blocks != a->counters.blocks ? "sizes and counts disagree" : NULL;
}

static rf_status adapter_check(rf_allocator *self, rf_fault *where) {
  rf_blockgroup_allocator *const a = adapter_of(self);
  const void *at = a;
  const char *what = "record of adapter, group, member or pool was overwritten";
  if (intact(a)) {
    if (rf_blockgroup_check(a->group, where) != RF_OK) {
      where->allocator = self;
      return RF_ERR_CORRUPT;
    }
    what = tables_damage(a, &at);
  }
  if (what == NULL) {
    return RF_OK;
  }
  rf_fault const fault = {RF_ERR_CORRUPT, what, self, at, NULL};
  *where = fault;
  return RF_ERR_CORRUPT;
}

/* Adds one pool's part. */
static void add_pool(rf_memblocks *pool, rf_stats *out) {
  rf_memblocks_lock(pool);
  size_t const size = pool->block_size;
  out->capacity += pool->num_blocks * size;
  out->free_bytes += (pool->num_blocks - pool->used) * size;
  if (out->largest_free < size && rf_memblocks_longest_run(pool, RF_ALIGN_DEFAULT) != 0) {
    out->largest_free = size;
  }
  rf_memblocks_unlock(pool);
}

static void adapter_stats(rf_allocator *self, rf_stats *out) {
  rf_blockgroup_allocator *const a = adapter_of(self);
  memset(out, 0, sizeof *out);
  if (!intact(a)) {
    return;
  }
  rf_count_into(&a->counters, out);
  for (const rf_blockgroup_member *m = a->group->first; m != NULL; m = m->next) {
    add_pool(m->blocks, out);
  }
  out->overhead = out->capacity - out->free_bytes - out->used;
}

static void adapter_counters(rf_allocator *self, rf_counters *out) {
  *out = adapter_of(self)->counters;
}

static void adapter_deinit(rf_allocator *self) {
  rf_blockgroup_allocator *const a = adapter_of(self);
  for (const rf_blockgroup_member *m = RF_TRACK && intact(a) ? a->group->first : NULL; m != NULL; m = m->next) {
    rf_track_arena_end(m->blocks->buffer, m->blocks->num_blocks * m->blocks->block_size);
  }
  if (a->seal == seal_of(a)) {
    rf_blockgroup_deinit(a->group);
  }
  memset(&a->counters, 0, sizeof a->counters);
}

static const rf_allocator_ops adapter_ops = {
    .name = "blockgroup",
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

rf_status rf_blockgroup_allocator_init(rf_blockgroup_allocator *adapter, rf_blockgroup *group, size_t *sizes) {
  if (adapter == NULL || group == NULL || sizes == NULL || !rf_blockgroup_intact(group)) {
    return RF_ERR_INVALID;
  }
  memset(adapter, 0, sizeof *adapter);
  adapter->base.ops = &adapter_ops;
  adapter->group = group;
  adapter->sizes = sizes;
  adapter->seal = seal_of(adapter);
  for (const rf_blockgroup_member *m = group->first; m != NULL; m = m->next) {
    memset(table_of(adapter, m->blocks), 0, m->blocks->num_blocks * sizeof *sizes);
  }
  return RF_OK;
}
