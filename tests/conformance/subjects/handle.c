#include "tests/conformance/subjects/subjects.h"

#include <ringfence/handle_allocator.h>

typedef struct state {
  rf_handle_heap heap;
  rf_handle_allocator pinned;
} state;

static rf_allocator *make(void *memory, void *arena, size_t size) {
  state *const s = (state *)memory;
  if (rf_handle_heap_init(&s->heap, arena, size, NULL) != RF_OK ||
      rf_handle_allocator_init(&s->pinned, &s->heap) != RF_OK) {
    return NULL;
  }
  return &s->pinned.base;
}

const rf_conformance_subject *rf_handle_subject(void) {
  static const rf_conformance_subject subject = {
      .name = "handle",
      .traits = RF_SUBJECT_ARENA | RF_SUBJECT_WALKS | RF_SUBJECT_OWNS | RF_SUBJECT_COALESCES |
                RF_SUBJECT_GROWS_IN_PLACE | RF_SUBJECT_TELLS_DOUBLE_FREE,
      .state_size = sizeof(state),
      .make = make,
  };
  return &subject;
}
