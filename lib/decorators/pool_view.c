/* Walks, checks and statistics of the pools and of the inner allocator. */
#include "pool_impl.h"

#include "lib/core/checksum.h"

/* ---- The record ---- */

/* Of all classes, used or not: what their number is, is under it. Begins with the pool's memory: the record may be
 * elsewhere than it was made. */
size_t rf_pool_checksum(const rf_pool *pool) {
  size_t sum = rf_checksum_begin(pool->memory);
  sum = rf_checksum_add(sum, pool->memory_size);
  sum = rf_checksum_add_address(sum, pool->inner);
  sum = rf_checksum_add(sum, pool->class_count);
  sum = rf_checksum_add(sum, *(const unsigned char *)&pool->borrowed); /* a bool may hold any byte when overwritten */
  for (unsigned i = 0; i < RF_POOL_CLASSES_MAX; i++) {
    const rf_pool_slots *const s = &pool->slots[i];
    sum = rf_checksum_add(sum, s->stats.size);
    sum = rf_checksum_add(sum, s->stats.count);
    sum = rf_checksum_add_address(sum, s->area);
    sum = rf_checksum_add_address(sum, s->state);
    sum = rf_checksum_add(sum, s->align);
  }
  return sum;
}

/* ---- Walk ---- */

typedef struct walk_state {
  const rf_pool *pool;
  rf_walk_fn visit;
  void *context;
  bool done; /* the pools have had their turn */
  bool stopped;
  rf_status status; /* of the pools */
} walk_state;

/* False where the visitor ended it or a state is damaged. */
static bool walk_slots(walk_state *w) {
  for (unsigned c = 0; c < w->pool->class_count; c++) {
    const rf_pool_slots *const s = &w->pool->slots[c];
    for (size_t i = 0; i < s->stats.count; i++) {
      bool const used = s->state[i] != RF_POOL_FREE;
      size_t const size = used ? s->state[i] : s->stats.size;
      rf_block const block = {slot_at(s, i), size, s->stats.size - size + 1, used, NULL};
      w->status = size <= s->stats.size ? RF_OK : RF_ERR_CORRUPT;
      if (w->status != RF_OK || !w->visit(&block, w->context)) {
        return false;
      }
    }
  }
  return true;
}

static bool walk_inner(const rf_block *block, void *context) {
  walk_state *const w = (walk_state *)context;
  if (!w->done && (uintptr_t)block->ptr >= (uintptr_t)w->pool->memory) {
    w->done = true;
    if (!walk_slots(w)) {
      w->stopped = true;
      return false;
    }
  }
  if (block->ptr == w->pool->memory) {
    return true;
  }
  w->stopped = !w->visit(block, w->context);
  return !w->stopped;
}

rf_status rf_pool_op_walk(rf_allocator *self, rf_walk_fn visit, void *context) {
  rf_pool *const pool = pool_of(self);
  walk_state w = {pool, visit, context, false, false, RF_OK};
  if (!rf_pool_is_intact(pool)) {
    return RF_ERR_CORRUPT;
  }
  rf_status const status = rf_walk(pool->inner, walk_inner, &w);
  if (status == RF_OK && !w.done && !w.stopped) {
    (void)walk_slots(&w);
  }
  return status == RF_OK ? w.status : status;
}

/* ---- Check ---- */

/* Totals of a check. */
typedef struct sums {
  size_t bytes; /* requested */
  size_t blocks;
} sums;

/* Every link leads to a free slot, and there are as many links as free slots: a slot met twice makes one too many. Adds
 * what is in use to *total. */
static const void *slots_damage(const rf_pool_slots *s, sums *total) {
  size_t used = 0;
  for (size_t i = 0; i < s->stats.count; i++) {
    if (s->state[i] != RF_POOL_FREE) {
      used++;
      total->bytes += s->state[i];
      if (s->state[i] > s->stats.size) {
        return slot_at(s, i);
      }
    }
  }
  total->blocks += used;
  if (used != s->stats.used) {
    return s->state;
  }
  size_t left = s->stats.count - used;
  size_t at = s->free_head;
  while (at != s->stats.count) {
    if (left == 0 || !link_valid(s, at)) {
      return at < s->stats.count ? slot_at(s, at) : s->area;
    }
    left--;
    at = link_read(s, at);
  }
  return left == 0 ? NULL : s->area;
}

static rf_status damaged(rf_allocator *self, const char *what, const void *at, rf_fault *where) {
  *where = (rf_fault){RF_ERR_CORRUPT, what, self, at, NULL};
  return RF_ERR_CORRUPT;
}

rf_status rf_pool_op_check(rf_allocator *self, rf_fault *where) {
  rf_pool *const pool = pool_of(self);
  sums total = {0, 0};
  if (!rf_pool_is_intact(pool)) {
    return damaged(self, "record of the pool was overwritten", pool, where);
  }
  for (unsigned i = 0; i < pool->class_count; i++) {
    const void *const damage = slots_damage(&pool->slots[i], &total);
    if (damage != NULL) {
      return damaged(self, "pooled blocks damaged", damage, where);
    }
  }
  if (total.bytes != pool->pool_used || total.blocks != pool->pool_blocks) {
    return damaged(self, "pooled blocks damaged", pool->slots[0].state, where);
  }
  return rf_check(pool->inner, where);
}

/* ---- Figures ---- */

void rf_pool_op_stats(rf_allocator *self, rf_stats *out) {
  rf_pool *const pool = pool_of(self);
  if (!rf_pool_is_intact(pool)) {
    memset(out, 0, sizeof *out);
    return;
  }
  rf_stats_get(pool->inner, out);
  bool const is_known = out->capacity != 0; /* else that of the whole is not, either */
  if (is_known && !pool->borrowed) {
    out->capacity += pool->memory_size;
  }
  rf_count_into(&pool->counters, out);
  for (unsigned i = 0; i < pool->class_count; i++) {
    const rf_pool_class_stats *const s = &pool->slots[i].stats;
    out->free_bytes += (s->count - s->used) * s->size;
    bool const serves_any = pool->slots[i].align >= RF_ALIGN_DEFAULT; /* as a request needs that names no alignment */
    if (serves_any && s->used < s->count && s->size > out->largest_free) {
      out->largest_free = s->size;
    }
  }
  out->overhead = is_known ? out->capacity - out->used - out->free_bytes : 0;
}

void rf_pool_op_counters(rf_allocator *self, rf_counters *out) {
  *out = pool_of(self)->counters;
}
