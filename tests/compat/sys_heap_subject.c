/* A sys_heap for the conformance suite. */
#include <ringfence/conformance.h>
#include <ringfence/zephyr/sys/sys_heap.h>

static rf_allocator *make(void *state, void *arena, size_t size) {
  struct sys_heap *const heap = (struct sys_heap *)state;
  sys_heap_init(heap, arena, size);
  return rf_zephyr_allocator(heap);
}

const rf_conformance_subject *rf_sys_heap_subject(void);

const rf_conformance_subject *rf_sys_heap_subject(void) {
  static const rf_conformance_subject subject = {
      .name = "sys_heap",
      .traits = RF_SUBJECT_ARENA | RF_SUBJECT_WALKS | RF_SUBJECT_OWNS | RF_SUBJECT_COALESCES |
                RF_SUBJECT_GROWS_IN_PLACE | RF_SUBJECT_TELLS_DOUBLE_FREE,
      .state_size = sizeof(struct sys_heap),
      .make = make,
  };
  return &subject;
}
