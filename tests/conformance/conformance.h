/* The conformance suite: what every rf_allocator promises, tested on any of them, ours or yours.
 *
 *     #include <ringfence/conformance.h>
 *
 *     static rf_allocator *make(void *state, void *arena, size_t size)
 *     {
 *       my_heap *const heap = (my_heap *)state;
 *       return my_heap_init(heap, arena, size) ? &heap->base : NULL;
 *     }
 *
 *     const rf_conformance_subject *my_heap_subject(void)
 *     {
 *       static const rf_conformance_subject subject = {
 *           .name = "my_heap",
 *           .traits = RF_SUBJECT_ARENA | RF_SUBJECT_WALKS | RF_SUBJECT_OWNS,
 *           .state_size = sizeof(my_heap),
 *           .make = make,
 *       };
 *       return &subject;
 *     }
 *
 * and in a BUILD file
 *
 *     load("@ringfence//tools/bazel:conformance.bzl", "rf_conformance_test")
 *     rf_conformance_test(name = "my_heap_conformance_test", subject = "my_heap_subject", deps = [":my_heap_subject"])
 */
#ifndef RINGFENCE_CONFORMANCE_H
#define RINGFENCE_CONFORMANCE_H

#include <ringfence/allocator.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An allocator's offers beyond the interface's promises. The suite tests what is named here and leaves out the
 * tests of what is not. */
enum {
  /* All blocks come from the arena, and `capacity` says how much of it: the suite exhausts it and looks for blocks that
   * leave it. Without: memory comes from the system. */
  RF_SUBJECT_ARENA = 1U << 0,
  /* walk visits every block. */
  RF_SUBJECT_WALKS = 1U << 1,
  /* owns knows live blocks from foreign memory. */
  RF_SUBJECT_OWNS = 1U << 2,
  /* When all is freed, the heap is as after init. */
  RF_SUBJECT_COALESCES = 1U << 3,
  /* realloc and resize grow a block into the free memory behind it. */
  RF_SUBJECT_GROWS_IN_PLACE = 1U << 4,
  /* A freed block whose neighbours are live is known to be free: RF_ERR_NOT_ALLOCATED, and no usable size. Without:
   * RF_ERR_BAD_POINTER will do. */
  RF_SUBJECT_TELLS_DOUBLE_FREE = 1U << 5,
  /* Any thread may call it at any time. */
  RF_SUBJECT_THREADS = 1U << 6,
  /* Serves blocks above 4 GiB from an arena that large, and init and alloc touch little of it. */
  RF_SUBJECT_HUGE = 1U << 7
};

/* An allocator for the suite. */
typedef struct rf_conformance_subject {
  const char *name;
  unsigned traits;
  size_t state_size; /* bytes that `make` needs for the allocator's struct and for what it wraps */

  /* The largest size and alignment that are served at all; 0: any. For pools of fixed blocks. */
  size_t max_size;
  size_t max_align;

  /* Makes an allocator in `state` (aligned to max_align_t) over `size` bytes at `arena`, which may be tiny and lies at
   * any address. NULL where it cannot. Ended by rf_deinit. Several may live at once. */
  rf_allocator *(*make)(void *state, void *arena, size_t size);

  /* NULL where misuse goes to the fault handler (fault.h). Else: how many reports of misuse this instance has made so
   * far. The suite adds both. */
  size_t (*reports)(void *state);
} rf_conformance_subject;

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_CONFORMANCE_H */
