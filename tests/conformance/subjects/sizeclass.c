#include "tests/conformance/subjects/subjects.h"

#include <ringfence/sizeclass.h>
#include <ringfence/std.h>

static rf_allocator *make(void *state, void *arena, size_t size) {
  rf_sizeclass *const heap = (rf_sizeclass *)state;
  return rf_sizeclass_init(heap, arena, size, NULL) == RF_OK ? &heap->base : NULL;
}

/* The last free gives the whole arena back, so all is as after init. */
const rf_conformance_subject *rf_sizeclass_subject(void) {
  static const rf_conformance_subject subject = {
      .name = "sizeclass",
      .traits =
          RF_SUBJECT_ARENA | RF_SUBJECT_WALKS | RF_SUBJECT_OWNS | RF_SUBJECT_COALESCES | RF_SUBJECT_TELLS_DOUBLE_FREE,
      .state_size = sizeof(rf_sizeclass),
      .make = make,
  };
  return &subject;
}

typedef struct with_fallback {
  rf_sizeclass heap;
  rf_std fallback;
} with_fallback;

/* A small buffer, so that blocks come from both. */
static rf_allocator *make_with_fallback(void *state, void *arena, size_t size) {
  with_fallback *const s = (with_fallback *)state;
  (void)arena;
  (void)size;
  if (rf_std_init(&s->fallback) != RF_OK || rf_sizeclass_init(&s->heap, NULL, 2048, &s->fallback.base) != RF_OK) {
    return NULL;
  }
  return &s->heap.base;
}

const rf_conformance_subject *rf_sizeclass_fallback_subject(void) {
  static const rf_conformance_subject subject = {
      .name = "sizeclass_fallback",
      .traits = RF_SUBJECT_OWNS | RF_SUBJECT_TELLS_DOUBLE_FREE,
      .state_size = sizeof(with_fallback),
      .make = make_with_fallback,
  };
  return &subject;
}
