/* Frees by another family or size than those of the allocation. Internal to checkers/. */
#ifndef RINGFENCE_FAMILY_H
#define RINGFENCE_FAMILY_H

#include <ringfence/block.h>
#include <ringfence/finding.h>

/* The bug of freeing a block of `size` bytes so: RF_BUG_COUNT where it is none. `freed_size` is SIZE_MAX where the call
 * names no size. */
static inline rf_bug rf_family_mismatch(rf_family family, size_t size, rf_family freed_as, size_t freed_size) {
  if (family != (freed_as == RF_FAMILY_REALLOC ? RF_FAMILY_MALLOC : freed_as)) {
    return RF_BUG_DEALLOC_MISMATCH;
  }
  return freed_size == SIZE_MAX || freed_size == size ? RF_BUG_COUNT : RF_BUG_SIZE_MISMATCH;
}

/* Adds the two calls, and for a wrong size that size. */
void rf_finding_families(rf_finding *f, rf_family family, rf_family freed_as, size_t freed_size);

#define RF_ALIGNMENTS_TEXT 128U /* bytes */

/* The detail of a block that is freed by a call with another alignment than its own: written to `text`. */
const char *rf_alignments_text(char text[RF_ALIGNMENTS_TEXT], size_t align, size_t freed_align);

#endif /* RINGFENCE_FAMILY_H */
