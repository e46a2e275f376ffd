#include "tests/conformance/subjects/subjects.h"

#include <ringfence/memheap.h>

typedef struct state {
  rf_memheap heap;
  rf_memheap_region regions[3];
} state;

static rf_allocator *make_one(void *memory, void *arena, size_t size) {
  state *const s = (state *)memory;
  (void)rf_memheap_init(&s->heap);
  return rf_memheap_add(&s->heap, &s->regions[0], "whole", arena, size) == RF_OK ? &s->heap.base : NULL;
}

/* The arena in three parts, of which the middle one is the largest. */
static rf_allocator *make_three(void *memory, void *arena, size_t size) {
  state *const s = (state *)memory;
  unsigned char *const start = (unsigned char *)arena;
  size_t const part = size / 8;
  (void)rf_memheap_init(&s->heap);
  if (arena == NULL || rf_memheap_add(&s->heap, &s->regions[0], "first", start, part) != RF_OK ||
      rf_memheap_add(&s->heap, &s->regions[1], "second", start + part, size - 2 * part) != RF_OK ||
      rf_memheap_add(&s->heap, &s->regions[2], "third", start + size - part, part) != RF_OK) {
    return NULL;
  }
  return &s->heap.base;
}

enum {
  TRAITS = RF_SUBJECT_ARENA | RF_SUBJECT_WALKS | RF_SUBJECT_OWNS | RF_SUBJECT_COALESCES | RF_SUBJECT_GROWS_IN_PLACE |
           RF_SUBJECT_TELLS_DOUBLE_FREE
};

const rf_conformance_subject *rf_memheap_subject(void) {
  static const rf_conformance_subject subject = {
      .name = "memheap",
      .traits = TRAITS | RF_SUBJECT_HUGE,
      .state_size = sizeof(state),
      .make = make_one,
  };
  return &subject;
}

const rf_conformance_subject *rf_memheap_of_three_subject(void) {
  static const rf_conformance_subject subject = {
      .name = "memheap_of_three",
      .traits = TRAITS,
      .state_size = sizeof(state),
      .make = make_three,
  };
  return &subject;
}
