#include "tests/conformance/subjects/subjects.h"

#include <ringfence/memblocks_allocator.h>

#define BLOCK ((size_t)64)
#define MAX_BLOCKS 2048

typedef struct state {
  rf_memblocks blocks;
  rf_memblocks_allocator heap;
  size_t bitmap[RF_MEMBLOCKS_WORDS(MAX_BLOCKS)];
  size_t sizes[MAX_BLOCKS];
} state;

static rf_allocator *make(void *memory, void *arena, size_t size) {
  state *const s = (state *)memory;
  size_t const gap = rf_align_gap(arena, BLOCK);
  size_t const fit = size < gap ? 0 : (size - gap) / BLOCK;
  size_t const count = fit < MAX_BLOCKS ? fit : MAX_BLOCKS;
  if (arena == NULL || rf_memblocks_init(&s->blocks, (char *)arena + gap, BLOCK, count, s->bitmap) != RF_OK ||
      rf_memblocks_allocator_init(&s->heap, &s->blocks, s->sizes) != RF_OK) {
    return NULL;
  }
  return &s->heap.base;
}

const rf_conformance_subject *rf_memblocks_subject(void) {
  static const rf_conformance_subject subject = {
      .name = "memblocks",
      .traits = RF_SUBJECT_ARENA | RF_SUBJECT_WALKS | RF_SUBJECT_OWNS | RF_SUBJECT_COALESCES |
                RF_SUBJECT_GROWS_IN_PLACE | RF_SUBJECT_TELLS_DOUBLE_FREE,
      .state_size = sizeof(state),
      .make = make,
  };
  return &subject;
}
