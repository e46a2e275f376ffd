/* Status codes, one set for every allocator and checker. */
#ifndef RINGFENCE_STATUS_H
#define RINGFENCE_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rf_status {
  RF_OK = 0,
  RF_ERR_NO_MEMORY,     /* well-formed request, no room for it now */
  RF_ERR_INVALID,       /* an argument that can never be served: size, count, alignment, NULL */
  RF_ERR_BAD_POINTER,   /* not the start of a block of this allocator: foreign, interior, misaligned */
  RF_ERR_NOT_ALLOCATED, /* the start of a block that is free already: double free, stale handle */
  RF_ERR_CORRUPT,       /* the allocator's own data contradicts itself */
  RF_ERR_TIMEOUT,       /* waited as long as allowed */
  RF_ERR_BUSY,          /* cannot now: still in use, pinned, or re-entered */
  RF_ERR_DELETED,       /* the object went away while the caller waited on it */
  RF_ERR_UNSUPPORTED,   /* this allocator does not offer the operation */
} rf_status;

/* The name of `status` in lower case ("no memory", "double free", …), a static string; "unknown status"
 * for a value outside the enumeration. Safe from threads and interrupts. */
const char *rf_status_name(rf_status status);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_STATUS_H */
