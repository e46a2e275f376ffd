#include "tests/conformance/subjects/subjects.h"

#include <ringfence/mempool.h>

#define BLOCK 248 /* with its header four lines of 64 bytes */
#define ALIGN 64

static rf_allocator *make(void *state, void *arena, size_t size) {
  rf_mempool *const pool = (rf_mempool *)state;
  return rf_mempool_init(pool, arena, size, BLOCK, ALIGN) == RF_OK ? &pool->base : NULL;
}

const rf_conformance_subject *rf_mempool_subject(void) {
  static const rf_conformance_subject subject = {
      .name = "mempool",
      .traits = RF_SUBJECT_ARENA | RF_SUBJECT_WALKS | RF_SUBJECT_OWNS | RF_SUBJECT_COALESCES |
                RF_SUBJECT_TELLS_DOUBLE_FREE | RF_SUBJECT_THREADS,
      .state_size = sizeof(rf_mempool),
      .max_size = BLOCK,
      .max_align = ALIGN,
      .make = make,
  };
  return &subject;
}
