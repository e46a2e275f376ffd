/* pool: alloc and free, from pooled blocks or from the inner allocator; beginning and end. */
#include "pool_impl.h"

#include <ringfence/track.h>

/* ---- Slots ---- */

static bool slots_contain(const rf_pool_slots *s, const void *ptr) {
  return (uintptr_t)ptr - (uintptr_t)s->area < s->stats.count * s->stats.size;
}

static void *slots_take(rf_pool *pool, rf_pool_slots *s, size_t size, const rf_site *site) {
  if (!link_valid(s, s->free_head)) {
    (void)rf_fault_refuse(&pool->base, RF_ERR_CORRUPT, "free pooled block overwritten", s->area, site);
    rf_pool_relink(s);
  }
  size_t const index = s->free_head;
  if (index == s->stats.count) {
    return NULL;
  }
  s->free_head = link_read(s, index);
  s->state[index] = (unsigned char)size;
  s->stats.used++;
  if (s->stats.used > s->stats.peak) {
    s->stats.peak = s->stats.used;
  }
  rf_track_alloc(slot_at(s, index), size);
  return slot_at(s, index);
}

/* The slot of `ptr`: RF_OK with *index, or why it is none in use. */
static rf_status slots_find(const rf_pool_slots *s, const void *ptr, size_t *index) {
  size_t const offset = (size_t)((uintptr_t)ptr - (uintptr_t)s->area);
  *index = offset / s->stats.size;
  if (offset % s->stats.size != 0) {
    return RF_ERR_BAD_POINTER;
  }
  if (s->state[*index] == RF_POOL_FREE) {
    return RF_ERR_NOT_ALLOCATED;
  }
  return s->state[*index] <= s->stats.size ? RF_OK : RF_ERR_CORRUPT;
}

/* ---- Accounting ---- */

/* The class that `size` calls for, by size alone; class_count where none is large enough. */
static unsigned natural_class(const rf_pool *pool, size_t size) {
  unsigned i = 0;
  while (i < pool->class_count && pool->slots[i].stats.size < size) {
    i++;
  }
  return i;
}

static void totals_changed(rf_pool *pool) {
  rf_counters *const c = &pool->counters;
  c->used = pool->pool_used + pool->inner_used;
  c->blocks = pool->pool_blocks + pool->inner_blocks;
  c->peak = c->peak < c->used ? c->used : c->peak;
  c->peak_blocks = c->peak_blocks < c->blocks ? c->blocks : c->peak_blocks;
}

static void demand_add(rf_pool *pool, size_t size) {
  unsigned const i = natural_class(pool, size);
  if (i < pool->class_count) {
    rf_pool_class_stats *const s = &pool->slots[i].stats;
    s->demand++;
    s->peak_demand = s->peak_demand < s->demand ? s->demand : s->peak_demand;
  }
}

static void demand_remove(rf_pool *pool, size_t size) {
  unsigned const i = natural_class(pool, size);
  if (i < pool->class_count && pool->slots[i].stats.demand != 0) {
    pool->slots[i].stats.demand--;
  }
}

/* Reads what inner holds for our callers now; the change in requested bytes tells the size of the block that the last
 * call added or removed, which no other operation can tell. */
static void inner_refresh(rf_pool *pool) {
  rf_counters s;
  rf_counters_get(pool->inner, &s);
  pool->inner_failures = s.failures;
  pool->inner_used = pool->borrowed ? s.used - pool->memory_size : s.used;
  pool->inner_blocks = pool->borrowed ? s.blocks - 1 : s.blocks;
}

/* ---- Operations ---- */

static rf_pool_slots *slots_of(rf_pool *pool, const void *ptr) {
  for (unsigned i = 0; i < pool->class_count; i++) {
    if (slots_contain(&pool->slots[i], ptr)) {
      return &pool->slots[i];
    }
  }
  return NULL;
}

/* True where `ptr` lies in the pool's memory but in no slot: the state bytes or a gap for alignment. */
static bool in_own_memory(const rf_pool *pool, const void *ptr) {
  return (uintptr_t)ptr - (uintptr_t)pool->memory < pool->memory_size;
}

/* A block from the pools alone; *served is the class. */
static void *pooled_alloc(rf_pool *pool, size_t size, size_t align, unsigned *served, const rf_site *site) {
  for (unsigned i = natural_class(pool, size); i < pool->class_count; i++) {
    rf_pool_slots *const s = &pool->slots[i];
    void *const p = s->align >= align ? slots_take(pool, s, size, site) : NULL;
    if (p != NULL) {
      pool->pool_used += size;
      pool->pool_blocks++;
      *served = i;
      return p;
    }
  }
  return NULL;
}

static void request_served(rf_pool *pool, size_t size, unsigned served) {
  unsigned const natural = natural_class(pool, size);
  if (natural < pool->class_count) {
    rf_pool_class_stats *const s = &pool->slots[natural].stats;
    s->requests++;
    if (natural == served) {
      s->hits++;
    } else {
      s->spills++;
    }
  }
  demand_add(pool, size);
  pool->counters.allocations++;
  totals_changed(pool);
}

static void *pool_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_pool *const pool = pool_of(self);
  unsigned served = pool->class_count;
  void *p = pooled_alloc(pool, size, align, &served, site);
  if (p == NULL) {
    p = rf_alloc_at(pool->inner, size, align, site);
    inner_refresh(pool);
    if (p == NULL) {
      pool->counters.failures++;
      return NULL;
    }
  }
  request_served(pool, size, served);
  return p;
}

static rf_status refuse(rf_pool *pool, rf_status status, const void *ptr, const rf_site *site) {
  const char *what = "free of what is no pooled block";
  if (status == RF_ERR_NOT_ALLOCATED) {
    what = "double free of a pooled block";
  } else if (status == RF_ERR_CORRUPT) {
    what = "state of a pooled block overwritten";
  }
  return rf_fault_refuse(&pool->base, status, what, ptr, site);
}

static rf_status pool_free(rf_allocator *self, void *ptr, const rf_site *site) {
  rf_pool *const pool = pool_of(self);
  rf_pool_slots *const s = slots_of(pool, ptr);
  if (s == NULL && in_own_memory(pool, ptr)) {
    return refuse(pool, RF_ERR_BAD_POINTER, ptr, site);
  }
  if (s == NULL) {
    size_t const used_before = pool->inner_used;
    rf_status const status = rf_free_at(pool->inner, ptr, site);
    if (status == RF_OK) {
      inner_refresh(pool);
      demand_remove(pool, used_before - pool->inner_used);
      totals_changed(pool);
    }
    return status;
  }
  size_t index;
  rf_status const status = slots_find(s, ptr, &index);
  if (status != RF_OK) {
    return refuse(pool, status, ptr, site);
  }
  size_t const size = s->state[index];
  s->state[index] = RF_POOL_FREE;
  rf_track_free(ptr, s->stats.size);
  link_write(s, index, s->free_head);
  s->free_head = index;
  s->stats.used--;
  pool->pool_used -= size;
  pool->pool_blocks--;
  demand_remove(pool, size);
  totals_changed(pool);
  return RF_OK;
}

static void pooled_set_size(rf_pool *pool, rf_pool_slots *s, size_t index, size_t size) {
  size_t const old = s->state[index];
  s->state[index] = (unsigned char)size;
  rf_track_resize(slot_at(s, index), s->stats.size, slot_at(s, index), size);
  pool->pool_used = pool->pool_used - old + size;
  demand_remove(pool, old);
  demand_add(pool, size);
  totals_changed(pool);
}

static rf_status pooled_resize(rf_pool *pool, rf_pool_slots *s, void *ptr, size_t size, const rf_site *site) {
  size_t index;
  rf_status const status = slots_find(s, ptr, &index);
  if (status != RF_OK) {
    return refuse(pool, status, ptr, site);
  }
  if (size > s->stats.size) {
    return RF_ERR_NO_MEMORY;
  }
  pooled_set_size(pool, s, index, size);
  return RF_OK;
}

/* After inner changed a block to `size`: the old size follows from the change in requested bytes. */
static void inner_resized(rf_pool *pool, size_t size) {
  size_t const used_before = pool->inner_used;
  inner_refresh(pool);
  demand_remove(pool, used_before + size - pool->inner_used);
  demand_add(pool, size);
  totals_changed(pool);
}

static rf_status pool_resize(rf_allocator *self, void *ptr, size_t size, const rf_site *site) {
  rf_pool *const pool = pool_of(self);
  rf_pool_slots *const s = slots_of(pool, ptr);
  if (s != NULL) {
    return pooled_resize(pool, s, ptr, size, site);
  }
  if (in_own_memory(pool, ptr)) {
    return refuse(pool, RF_ERR_BAD_POINTER, ptr, site);
  }
  rf_status const status = rf_resize_at(pool->inner, ptr, size, site);
  if (status == RF_OK) {
    inner_resized(pool, size);
  }
  return status == RF_ERR_UNSUPPORTED ? RF_ERR_NO_MEMORY : status;
}

static void *pooled_realloc(rf_pool *pool, rf_pool_slots *s, void *ptr, size_t size, size_t align,
                            const rf_site *site) {
  size_t index;
  rf_status const status = slots_find(s, ptr, &index);
  if (status != RF_OK) {
    (void)refuse(pool, status, ptr, site);
    return NULL;
  }
  if (size <= s->stats.size && rf_is_aligned(ptr, align)) {
    pooled_set_size(pool, s, index, size);
    return ptr;
  }
  rf_track_reveal(ptr, s->stats.size); /* all of it may have been used */
  return rf_realloc_move(&pool->base, ptr, s->stats.size, size, align, site);
}

/* Brings a block of inner that has become small into the pools. NULL where it stays. */
static void *inner_to_pool(rf_pool *pool, void *ptr, size_t size, size_t align, const rf_site *site) {
  size_t const usable = rf_usable_size(pool->inner, ptr);
  unsigned served;
  if (usable < size) {
    return NULL;
  }
  void *const p = pooled_alloc(pool, size, align, &served, site);
  if (p == NULL) {
    return NULL;
  }
  memcpy(p, ptr, size);
  if (pool_free(&pool->base, ptr, site) != RF_OK) {
    (void)pool_free(&pool->base, p, site);
    return NULL;
  }
  request_served(pool, size, served);
  return p;
}

/* NULL for a bad pointer is no failure: inner counts it as it sees it. */
static void *inner_realloc(rf_pool *pool, void *ptr, size_t size, size_t align, const rf_site *site) {
  size_t const failures = pool->inner_failures;
  void *const p = rf_realloc_at(pool->inner, ptr, size, align, site);
  if (p != NULL) {
    inner_resized(pool, size);
  } else {
    inner_refresh(pool);
    pool->counters.failures += pool->inner_failures - failures;
  }
  return p;
}

static void *pool_realloc(rf_allocator *self, void *ptr, size_t size, size_t align, const rf_site *site) {
  rf_pool *const pool = pool_of(self);
  rf_pool_slots *const s = slots_of(pool, ptr);
  if (s != NULL) {
    return pooled_realloc(pool, s, ptr, size, align, site);
  }
  if (in_own_memory(pool, ptr)) {
    (void)refuse(pool, RF_ERR_BAD_POINTER, ptr, site);
    return NULL;
  }
  void *const p = inner_to_pool(pool, ptr, size, align, site);
  return p != NULL ? p : inner_realloc(pool, ptr, size, align, site);
}

static size_t pool_usable_size(rf_allocator *self, const void *ptr) {
  rf_pool *const pool = pool_of(self);
  const rf_pool_slots *const s = slots_of(pool, ptr);
  size_t index;
  if (s == NULL) {
    return in_own_memory(pool, ptr) ? 0 : rf_usable_size(pool->inner, ptr);
  }
  if (slots_find(s, ptr, &index) != RF_OK) {
    return 0;
  }
  rf_track_reveal(ptr, s->stats.size);
  return s->stats.size;
}

static bool pool_owns(rf_allocator *self, const void *ptr) {
  const rf_pool *const pool = pool_of(self);
  return in_own_memory(pool, ptr) || rf_owns(pool->inner, ptr);
}

/* ---- The rest ---- */

static void pool_reject(rf_allocator *self, rf_reject why, size_t size, size_t detail, const rf_site *site) {
  (void)rf_reject_at(pool_of(self)->inner, why, size, detail, site);
}

static rf_allocator *pool_inner(rf_allocator *self) {
  const rf_pool *const pool = pool_of(self);
  return rf_pool_is_intact(pool) ? pool->inner : NULL;
}

static void pool_deinit(rf_allocator *self) {
  rf_pool *const pool = pool_of(self);
  if (!rf_pool_is_intact(pool)) {
    return;
  }
  rf_track_arena_end(pool->memory, pool->memory_size);
  if (pool->memory != NULL && pool->borrowed) {
    (void)rf_free_at(pool->inner, pool->memory, NULL);
  }
  pool->memory = NULL;
  pool->memory_size = 0;
  pool->class_count = 0;
  pool->checksum = rf_pool_checksum(pool);
}

static const rf_allocator_ops pool_ops = {
    .name = "pool",
    .alloc = pool_alloc,
    .free = pool_free,
    .realloc = pool_realloc,
    .resize = pool_resize,
    .usable_size = pool_usable_size,
    .owns = pool_owns,
    .walk = rf_pool_op_walk,
    .check = rf_pool_op_check,
    .stats = rf_pool_op_stats,
    .reject = pool_reject,
    .inner = pool_inner,
    .deinit = pool_deinit,
    .counters = rf_pool_op_counters,
};

/* ---- Set-up ---- */

rf_status rf_pool_init(rf_pool *pool, rf_allocator *inner, const rf_pool_options *options) {
  if (pool == NULL || inner == NULL) {
    return RF_ERR_INVALID;
  }
  memset(pool, 0, sizeof *pool);
  pool->inner = inner;
  rf_status const status = rf_pool_lay_out(pool, options);
  if (status != RF_OK) {
    return status;
  }
  pool->checksum = rf_pool_checksum(pool);
  pool->base.ops = rf_track_mute_ops(&pool_ops);
  rf_track_arena(pool->memory, pool->memory_size);
  inner_refresh(pool);
  totals_changed(pool);
  return RF_OK;
}

bool rf_pool_class_stats_get(const rf_pool *pool, unsigned index, rf_pool_class_stats *out) {
  if (!rf_pool_is_intact(pool) || index >= pool->class_count) {
    return false;
  }
  *out = pool->slots[index].stats;
  return true;
}
