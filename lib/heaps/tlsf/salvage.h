/* rf_tlsf: live blocks in a region of a heap that is damaged and no longer used. Reads the bitmap and the headers of
 * live blocks, and trusts neither; free blocks, lists and the heap's record are not looked at.
 *
 * Not public: for an allocator that puts a new heap in the place of the damaged one.
 */
#ifndef RINGFENCE_TLSF_SALVAGE_H
#define RINGFENCE_TLSF_SALVAGE_H

#include <ringfence/allocator.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_tlsf_salvage {
  void *memory; /* as handed to rf_tlsf_init or rf_tlsf_add_region */
  size_t size;
  bool first; /* to rf_tlsf_init */
} rf_tlsf_salvage;

/* Fills *out (size, and overhead as the rest of the block) from the live block at `ptr`. Where its header is damaged,
 * the size is the distance to the next block. False where no live block begins there. */
bool rf_tlsf_salvage_find(const rf_tlsf_salvage *region, const void *ptr, rf_block *out);

/* The same for the first live block above `ptr`. */
bool rf_tlsf_salvage_next(const rf_tlsf_salvage *region, const void *ptr, rf_block *out);

/* The block that was found is live no more. */
void rf_tlsf_salvage_free(const rf_tlsf_salvage *region, const void *ptr);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TLSF_SALVAGE_H */
