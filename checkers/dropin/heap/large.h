/* Large blocks: a span each. */
#ifndef RINGFENCE_DROPIN_LARGE_H
#define RINGFENCE_DROPIN_LARGE_H

#include "cache.h"

/* A block that grows beyond this gets a span of its own: it grows on in place, and is neither copied nor filled nor
 * compared at each step. Not with 32 bits, where address space is too scarce, and only so many at once of each heap:
 * a slot takes less of it, and less memory. */
#define RF_GROWING_MOST (sizeof(void *) > 4 ? (size_t)8192 : RF_SLOT_MOST)
#define RF_GROWN_MOST 16U

/* A span of heap `number` with room for the block at its alignment; its slot is to be filled in. NULL where there is no
 * memory. *fresh: the memory is all zero. */
rf_span *rf_large_take(unsigned number, const rf_block_request *request, const rf_origin *origin, bool *fresh);

/* Keeps a span whose block was freed until its memory is used again, or gives that back. False, and nothing was done,
 * where its heap's lock cannot be had. */
bool rf_large_keep(rf_span *span);

/* Another size for a live block, where it is; false where there is no room. Writes guard bytes, and new ones. */
bool rf_large_resize(rf_span *span, size_t size);

/* Copies a block's bytes; of large ones their pages may move. */
void rf_large_move(void *to, void *from, size_t size);

/* Gives back what is kept, of all heaps: bytes. */
size_t rf_large_trim(void);

#endif /* RINGFENCE_DROPIN_LARGE_H */
