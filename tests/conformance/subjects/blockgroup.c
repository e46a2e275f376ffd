#include "tests/conformance/subjects/subjects.h"

#include <ringfence/blockgroup_allocator.h>

#define POOLS 3
#define SMALLEST ((size_t)64) /* bytes of a block; each pool's are twice as large as those of the pool before */
#define MAX_BLOCKS 1024       /* of each pool */

typedef struct state {
  rf_blockgroup group;
  rf_blockgroup_allocator heap;
  rf_memblocks pools[POOLS];
  rf_blockgroup_member members[POOLS];
  size_t bitmaps[POOLS][RF_MEMBLOCKS_WORDS(MAX_BLOCKS)];
  size_t sizes[POOLS * MAX_BLOCKS];
} state;

/* The adapter chooses by size. */
static rf_memblocks *choose_none(rf_blockgroup *group, void *config) {
  (void)group;
  (void)config;
  return NULL;
}

/* Adds pool `i` over `size` bytes at `memory`, which is aligned. */
static bool add_pool(state *s, size_t i, char *memory, size_t size) {
  size_t const block_size = SMALLEST << i;
  size_t const fit = size / block_size;
  size_t const count = fit < MAX_BLOCKS ? fit : MAX_BLOCKS;
  return rf_memblocks_init(&s->pools[i], memory, block_size, count, s->bitmaps[i]) == RF_OK &&
         rf_blockgroup_add(&s->group, &s->members[i], &s->pools[i]) == RF_OK;
}

static rf_allocator *make(void *memory, void *arena, size_t size) {
  state *const s = (state *)memory;
  size_t const gap = rf_align_gap(arena, SMALLEST);
  size_t const share = size < gap ? 0 : rf_round_down((size - gap) / POOLS, SMALLEST);
  if (arena == NULL || rf_blockgroup_init(&s->group, choose_none) != RF_OK) {
    return NULL;
  }
  for (size_t i = 0; i < POOLS; i++) {
    if (!add_pool(s, i, (char *)arena + gap + i * share, share)) {
      return NULL;
    }
  }
  return rf_blockgroup_allocator_init(&s->heap, &s->group, s->sizes) == RF_OK ? &s->heap.base : NULL;
}

const rf_conformance_subject *rf_blockgroup_subject(void) {
  static const rf_conformance_subject subject = {
      .name = "blockgroup",
      .traits =
          RF_SUBJECT_ARENA | RF_SUBJECT_WALKS | RF_SUBJECT_OWNS | RF_SUBJECT_COALESCES | RF_SUBJECT_TELLS_DOUBLE_FREE,
      .state_size = sizeof(state),
      .max_size = SMALLEST << (POOLS - 1),
      .max_align = SMALLEST,
      .make = make,
  };
  return &subject;
}
