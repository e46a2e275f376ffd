#include "tests/conformance/subjects/subjects.h"

#include <ringfence/pool.h>
#include <ringfence/tlsf.h>

typedef struct pool_state {
  rf_pool pool;
  rf_tlsf heap;
} pool_state;

/* A twentieth of the arena for the pools, so that a small arena has small ones. */
static rf_allocator *make(void *state, void *arena, size_t size) {
  pool_state *const s = (pool_state *)state;
  size_t const count = size / 20 / (16 + 32 + 64);
  rf_pool_class const classes[] = {{16, count}, {32, count}, {64, count}};
  rf_pool_options const options = {classes, 3, NULL, 0};
  if (rf_tlsf_init(&s->heap, arena, size) != RF_OK || rf_pool_init(&s->pool, &s->heap.base, &options) != RF_OK) {
    return NULL;
  }
  return &s->pool.base;
}

const rf_conformance_subject *rf_pool_subject(void) {
  static const rf_conformance_subject subject = {
      .name = "pool",
      .traits =
          RF_SUBJECT_ARENA | RF_SUBJECT_WALKS | RF_SUBJECT_OWNS | RF_SUBJECT_COALESCES | RF_SUBJECT_TELLS_DOUBLE_FREE,
      .state_size = sizeof(pool_state),
      .make = make,
  };
  return &subject;
}
