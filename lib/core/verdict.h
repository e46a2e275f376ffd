/* Why an allocator refuses a pointer: one list of reasons, statuses and phrases for every heap. Private to lib.
 *
 * A heap's lookup answers with a verdict and reports nothing; its operations hand what is not RF_POINTER_OK to
 * rf_verdict_refuse. */
#ifndef RINGFENCE_CORE_VERDICT_H
#define RINGFENCE_CORE_VERDICT_H

#include <ringfence/fault.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rf_verdict {
  RF_POINTER_OK,         /* the start of a live block */
  RF_POINTER_FOREIGN,    /* RF_ERR_BAD_POINTER: outside the allocator's memory */
  RF_POINTER_MISALIGNED, /* RF_ERR_BAD_POINTER: no block can start there */
  RF_POINTER_INTERIOR,   /* RF_ERR_BAD_POINTER: in a live block, behind its start */
  RF_POINTER_NO_BLOCK,   /* RF_ERR_BAD_POINTER: not the start of a live block, and more is not known */
  RF_POINTER_FREE,       /* RF_ERR_NOT_ALLOCATED: in free memory, whether or not it was ever a block's start */
  RF_POINTER_FREED,      /* RF_ERR_NOT_ALLOCATED: the start of a block that was freed */
  RF_POINTER_CORRUPT,    /* RF_ERR_CORRUPT: a header that had to be read is damaged */
} rf_verdict;

rf_status rf_verdict_status(rf_verdict verdict);

/* For people: a static string. */
const char *rf_verdict_text(rf_verdict verdict);

/* Raises the fault that fits the verdict, about `ptr`, unless it is RF_POINTER_OK. Returns its status. */
rf_status rf_verdict_refuse(struct rf_allocator *allocator, rf_verdict verdict, const void *ptr, const rf_site *site);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_CORE_VERDICT_H */
