#include <ringfence/blockgroup_allocator.h>

#include "memblocks_impl.h"

#include <string.h>

static rf_blockgroup_allocator *adapter_of(rf_allocator *self) {
  return (rf_blockgroup_allocator *)(void *)self;
}

/* ---- alloc ---- */

/* The member with the smallest blocks of at least `size` bytes that comes after `last`, where size, then order in the list,
 * decide; NULL where there is none. */
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

static void *take_from(rf_blockgroup_allocator *a, rf_memblocks *blocks, size_t align, const rf_site *site) {
  size_t index;
  rf_memblocks_lock(blocks);
  rf_status const status = rf_memblocks_take_run(blocks, 1, align, &index);
  rf_memblocks_unlock(blocks);
  if (status == RF_ERR_CORRUPT) {
    (void)rf_fault_refuse(&a->base, status, "bitmap and count disagree", blocks->bitmap, site);
  }
  if (status != RF_OK) {
    return NULL;
  }
  void *const ptr = rf_memblocks_at(blocks, index);
  rf_count_alloc(&a->counters, blocks->block_size);
  rf_memblocks_notify_alloc(blocks, ptr, blocks->block_size);
  return ptr;
}

static void *adapter_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_blockgroup_allocator *const a = adapter_of(self);
  rf_memblocks *blocks = NULL;
  while ((blocks = next_larger(a->group, size, blocks)) != NULL) {
    void *const ptr = take_from(a, blocks, align, site);
    if (ptr != NULL) {
      return ptr;
    }
  }
  a->counters.failures++;
  return NULL;
}

/* ---- free, resize ---- */

static rf_status adapter_free(rf_allocator *self, void *ptr, const rf_site *site) {
  rf_blockgroup_allocator *const a = adapter_of(self);
  rf_memblocks *const owner = rf_blockgroup_owner(a->group, ptr);
  rf_memblocks_refusal why = {RF_ERR_BAD_POINTER, "free of a foreign pointer", ptr};
  bool released = false;
  if (owner != NULL) {
    rf_memblocks_lock(owner);
    released = rf_memblocks_release(owner, ptr, &why);
    rf_memblocks_unlock(owner);
  }
  if (!released) {
    return rf_fault_refuse(self, why.status, why.what, ptr, site);
  }
  rf_count_free(&a->counters, owner->block_size);
  rf_memblocks_notify_free(owner, ptr, owner->block_size);
  return RF_OK;
}

/* The pool of which `ptr` is a taken block; NULL, and why, where there is none. */
static rf_memblocks *pool_of_live(const rf_blockgroup_allocator *a, const void *ptr, rf_status *why) {
  rf_memblocks *const owner = rf_blockgroup_owner(a->group, ptr);
  size_t index;
  *why = RF_ERR_BAD_POINTER;
  if (owner == NULL || !rf_memblocks_index(owner, ptr, &index)) {
    return NULL;
  }
  *why = RF_ERR_NOT_ALLOCATED;
  return rf_memblocks_is_region_free(owner, ptr, 1) ? NULL : owner;
}

static rf_status adapter_resize(rf_allocator *self, void *ptr, size_t size, const rf_site *site) {
  rf_status why;
  rf_memblocks *const owner = pool_of_live(adapter_of(self), ptr, &why);
  if (owner == NULL) {
    return rf_fault_refuse(self, why, "resize of what is no live block", ptr, site);
  }
  return size <= owner->block_size ? RF_OK : RF_ERR_NO_MEMORY;
}

/* ---- Looking ---- */

static size_t adapter_usable_size(rf_allocator *self, const void *ptr) {
  rf_status why;
  rf_memblocks *const owner = pool_of_live(adapter_of(self), ptr, &why);
  return owner != NULL ? owner->block_size : 0;
}

static bool adapter_owns(rf_allocator *self, const void *ptr) {
  return rf_blockgroup_owner(adapter_of(self)->group, ptr) != NULL;
}

/* False where the visitor has seen enough. */
static bool walk_pool(rf_memblocks *blocks, rf_walk_fn visit, void *context) {
  bool more = true;
  rf_memblocks_lock(blocks);
  for (size_t i = 0; i < blocks->num_blocks && more; i++) {
    rf_block const block = {rf_memblocks_at(blocks, i), blocks->block_size, 0, rf_memblocks_taken(blocks, i), NULL};
    more = visit(&block, context);
  }
  rf_memblocks_unlock(blocks);
  return more;
}

static rf_status adapter_walk(rf_allocator *self, rf_walk_fn visit, void *context) {
  for (const rf_blockgroup_member *m = adapter_of(self)->group->first; m != NULL; m = m->next) {
    if (!walk_pool(m->blocks, visit, context)) {
      break;
    }
  }
  return RF_OK;
}

static rf_status adapter_check(rf_allocator *self, rf_fault *where) {
  rf_status const status = rf_blockgroup_check(adapter_of(self)->group, where);
  where->allocator = status != RF_OK ? self : NULL;
  return status;
}

/* Adds one pool's part. */
static void add_pool(rf_memblocks *blocks, rf_stats *out) {
  rf_memblocks_lock(blocks);
  size_t const size = blocks->block_size;
  out->capacity += blocks->num_blocks * size;
  out->free_bytes += (blocks->num_blocks - blocks->used) * size;
  if (out->largest_free < size && rf_memblocks_longest_run(blocks, RF_ALIGN_DEFAULT) != 0) {
    out->largest_free = size;
  }
  rf_memblocks_unlock(blocks);
}

static void adapter_stats(rf_allocator *self, rf_stats *out) {
  rf_blockgroup_allocator *const a = adapter_of(self);
  memset(out, 0, sizeof *out);
  rf_count_into(&a->counters, out);
  for (const rf_blockgroup_member *m = a->group->first; m != NULL; m = m->next) {
    add_pool(m->blocks, out);
  }
  out->overhead = out->capacity - out->free_bytes - out->used;
}

static void adapter_deinit(rf_allocator *self) {
  rf_blockgroup_allocator *const a = adapter_of(self);
  rf_blockgroup_deinit(a->group);
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
};

rf_status rf_blockgroup_allocator_init(rf_blockgroup_allocator *adapter, rf_blockgroup *group) {
  if (adapter == NULL || group == NULL) {
    return RF_ERR_INVALID;
  }
  memset(adapter, 0, sizeof *adapter);
  adapter->base.ops = &adapter_ops;
  adapter->group = group;
  return RF_OK;
}
