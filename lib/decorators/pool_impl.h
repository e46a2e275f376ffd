/* Slots, and operations that look at them, which the parts of pool share. Not a public header. */
#ifndef RINGFENCE_POOL_IMPL_H
#define RINGFENCE_POOL_IMPL_H

#include <ringfence/pool.h>
#include <string.h>

#define RF_POOL_FREE 0xFF
_Static_assert(RF_POOL_SIZE_MAX < RF_POOL_FREE, "a requested size and the free mark must differ");

static inline rf_pool *pool_of(rf_allocator *self) {
  return (rf_pool *)self;
}

/* ---- Slots: the equal blocks of one class ---- */

static inline unsigned char *slot_at(const rf_pool_slots *s, size_t index) {
  return s->area + index * s->stats.size;
}

static inline void link_write(const rf_pool_slots *s, size_t index, size_t next) {
  memcpy(slot_at(s, index), &next, sizeof next);
}

static inline size_t link_read(const rf_pool_slots *s, size_t index) {
  size_t next;
  memcpy(&next, slot_at(s, index), sizeof next);
  return next;
}

static inline bool link_valid(const rf_pool_slots *s, size_t index) {
  return index == s->stats.count || (index < s->stats.count && s->state[index] == RF_POOL_FREE);
}

/* ---- The pool's record, in pool_view.c ---- */

/* The value that pool->checksum should have. */
size_t rf_pool_checksum(const rf_pool *pool);

/* Operations that are not in a hurry ask for it before they follow anything. */
static inline bool rf_pool_is_intact(const rf_pool *pool) {
  return pool->checksum == rf_pool_checksum(pool);
}

/* ---- pool_layout.c ---- */

/* Takes the memory that the options ask for (NULL: the usual ones) from their buffer or from pool->inner, and makes all
 * slots in it, free. RF_ERR_INVALID for options that cannot be; RF_ERR_NO_MEMORY. */
rf_status rf_pool_lay_out(rf_pool *pool, const rf_pool_options *options);

/* Links every free slot anew, lowest first, from the state bytes. */
void rf_pool_relink(rf_pool_slots *s);

/* ---- Operations, in pool_view.c ---- */

rf_status rf_pool_op_walk(rf_allocator *self, rf_walk_fn visit, void *context);
rf_status rf_pool_op_check(rf_allocator *self, rf_fault *where);
void rf_pool_op_stats(rf_allocator *self, rf_stats *out);
void rf_pool_op_counters(rf_allocator *self, rf_counters *out);

#endif /* RINGFENCE_POOL_IMPL_H */
