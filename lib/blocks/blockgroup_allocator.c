#include <ringfence/blockgroup_allocator.h>

#include "blockgroup_impl.h"
#include "lib/core/adapter.h"
#include "memblocks_impl.h"

#include <string.h>

static rf_blockgroup *group_of(const rf_adapter *a) {
  return (rf_blockgroup *)a->target;
}

static rf_memblocks *pool_of(const rf_adapter_block *block) {
  return (rf_memblocks *)block->pool;
}

static bool group_intact(const rf_adapter *a) {
  return rf_blockgroup_intact(group_of(a));
}

/* The part of the table that belongs to a member. */
static size_t *table_of(const rf_adapter *a, const rf_memblocks *pool) {
  size_t *table = a->sizes;
  for (const rf_blockgroup_member *m = group_of(a)->first; m->blocks != pool; m = m->next) {
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

/* Fills *out for a block of the pool, or reports damage that is met. */
static rf_status alloc_from(rf_adapter *a, rf_memblocks *pool, size_t size, size_t align, rf_adapter_block *out,
                            const rf_site *site) {
  rf_memblocks_lock(pool);
  rf_status const status = rf_memblocks_take_run(pool, 1, align, &out->index);
  if (status == RF_OK) {
    out->ptr = rf_memblocks_at(pool, out->index);
    out->pool = pool;
    rf_track_alloc(out->ptr, size);
    RF_WATCH_TELL(alloc, rf_memblocks_view(pool), out->ptr, 1, site, NULL);
  }
  rf_memblocks_unlock(pool);
  if (status == RF_ERR_CORRUPT) {
    (void)rf_fault_refuse(&a->base, status, "bitmap and count disagree", pool->bitmap, site);
  }
  return status;
}

static rf_status group_alloc(rf_adapter *a, size_t size, size_t align, rf_adapter_block *out, const rf_site *site) {
  rf_memblocks *pool = NULL;
  while ((pool = next_larger(group_of(a), size, pool)) != NULL) {
    if (alloc_from(a, pool, size, align, out, site) == RF_OK) {
      table_of(a, pool)[out->index] = size + 1;
      return RF_OK;
    }
  }
  return RF_ERR_NO_MEMORY;
}

/* ---- free, resize ---- */

static size_t *size_of(const rf_adapter *a, const rf_adapter_block *block) {
  return table_of(a, pool_of(block)) + block->index;
}

static rf_verdict group_find(rf_adapter *a, const void *ptr, rf_adapter_block *out) {
  rf_memblocks *const pool = rf_blockgroup_find(group_of(a), ptr);
  if (pool == NULL) {
    return RF_POINTER_FOREIGN;
  }
  if (!rf_memblocks_index(pool, ptr, &out->index)) {
    return RF_POINTER_INTERIOR;
  }
  if (rf_memblocks_is_region_free(pool, ptr, 1)) {
    return RF_POINTER_FREE;
  }
  out->pool = pool;
  size_t const entry = *size_of(a, out);
  if (entry == 0) {
    return RF_POINTER_NO_BLOCK;
  }
  out->ptr = rf_memblocks_at(pool, out->index);
  out->size = entry - 1;
  out->room = pool->block_size;
  return out->size > out->room ? RF_POINTER_CORRUPT : RF_POINTER_OK;
}

/* Other threads may have freed the block directly since it was found. */
static rf_verdict group_free(rf_adapter *a, const rf_adapter_block *block) {
  rf_memblocks_refusal why;
  rf_memblocks_lock(pool_of(block));
  bool const released = rf_memblocks_release(pool_of(block), block->ptr, &why);
  if (released) {
    rf_track_free(block->ptr, block->room);
    RF_WATCH_TELL(free, rf_memblocks_view(pool_of(block)), block->ptr, 1, NULL, NULL);
  }
  rf_memblocks_unlock(pool_of(block));
  if (!released) {
    return why.status == RF_ERR_NOT_ALLOCATED ? RF_POINTER_FREED : RF_POINTER_CORRUPT;
  }
  *size_of(a, block) = 0;
  return RF_POINTER_OK;
}

static rf_status group_resize(rf_adapter *a, const rf_adapter_block *block, size_t size) {
  if (size > block->room) {
    return RF_ERR_NO_MEMORY;
  }
  *size_of(a, block) = size + 1;
  if (RF_TRACK) {
    rf_memblocks_lock(pool_of(block));
    rf_track_resize(block->ptr, block->room, block->ptr, size);
    rf_memblocks_unlock(pool_of(block));
  }
  return RF_OK;
}

static void group_reveal(const rf_adapter *a, const rf_adapter_block *block) {
  (void)a;
  if (RF_TRACK) {
    rf_memblocks_lock(pool_of(block));
    rf_track_reveal(block->ptr, block->room);
    rf_memblocks_unlock(pool_of(block));
  }
}

static void group_on_alloc(rf_adapter *a, const rf_adapter_block *block) {
  (void)a;
  rf_memblocks_notify_alloc(pool_of(block), block->ptr, pool_of(block)->block_size);
}

static void group_on_free(rf_adapter *a, const rf_adapter_block *block) {
  (void)a;
  rf_memblocks_notify_free(pool_of(block), block->ptr, pool_of(block)->block_size);
}

/* ---- Queries and the walk ---- */

static bool group_owns(const rf_adapter *a, const void *ptr) {
  return rf_blockgroup_find(group_of(a), ptr) != NULL;
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

static rf_status group_walk(rf_adapter *a, rf_walk_fn visit, void *context) {
  bool more = true;
  for (const rf_blockgroup_member *m = group_of(a)->first; m != NULL && more; m = m->next) {
    more = walk_pool(m->blocks, table_of(a, m->blocks), visit, context);
  }
  return RF_OK;
}

/* The first contradiction in one member's part of the table, or NULL. Adds the part to *sum. */
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

static const char *group_damage(rf_adapter *a, const void **at) {
  rf_counters sum = {0, 0, 0, 0, 0, 0};
  rf_fault where;
  if (rf_blockgroup_check(group_of(a), &where) != RF_OK) {
    *at = where.ptr;
    return where.what;
  }
  for (const rf_blockgroup_member *m = group_of(a)->first; m != NULL; m = m->next) {
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

static void group_stats(rf_adapter *a, rf_stats *out) {
  for (const rf_blockgroup_member *m = group_of(a)->first; m != NULL; m = m->next) {
    add_pool(m->blocks, out);
  }
}

static void group_deinit(rf_adapter *a) {
  for (const rf_blockgroup_member *m = RF_TRACK && group_intact(a) ? group_of(a)->first : NULL; m != NULL;
       m = m->next) {
    rf_track_arena_end(m->blocks->buffer, m->blocks->num_blocks * m->blocks->block_size);
  }
  rf_blockgroup_deinit(group_of(a));
}

static const rf_adapter_ops blockgroup_allocator_ops = {
    .base = RF_ADAPTER_BASE("blockgroup"),
    .intact = group_intact,
    .alloc = group_alloc,
    .find = group_find,
    .free = group_free,
    .resize = group_resize,
    .reveal = group_reveal,
    .owns = group_owns,
    .walk = group_walk,
    .damage = group_damage,
    .stats = group_stats,
    .deinit = group_deinit,
    .on_alloc = group_on_alloc,
    .on_free = group_on_free,
};

rf_status rf_blockgroup_allocator_init(rf_blockgroup_allocator *adapter, rf_blockgroup *group, size_t *sizes) {
  if (adapter == NULL || group == NULL || sizes == NULL || !rf_blockgroup_intact(group)) {
    return RF_ERR_INVALID;
  }
  rf_adapter_init(adapter, &blockgroup_allocator_ops, group, sizes);
  for (const rf_blockgroup_member *m = group->first; m != NULL; m = m->next) {
    memset(table_of(adapter, m->blocks), 0, m->blocks->num_blocks * sizeof *sizes);
  }
  return RF_OK;
}
