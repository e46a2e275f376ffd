/* rf_tlsf: walks over all blocks. */
#ifndef RINGFENCE_TLSF_WALK_H
#define RINGFENCE_TLSF_WALK_H

#include "tlsf_layout.h"

/* One block of a walk. */
typedef struct rf_tlsf_step {
  unsigned char *b;
  unsigned char *e;
  unsigned char *user; /* NULL: free */
  size_t size;         /* requested; of a free block, what could be */
  bool prev_free;      /* as the header says, of a live block */
} rf_tlsf_step;

/* Reads the block at `b`. False where its headers make no sense. */
bool rf_tlsf_step_at(rf_tlsf_region *region, unsigned char *b, rf_tlsf_step *out);

rf_status rf_tlsf_walk(rf_allocator *self, rf_walk_fn visit, void *context);
void rf_tlsf_stats(rf_allocator *self, rf_stats *out);

#endif /* RINGFENCE_TLSF_WALK_H */
