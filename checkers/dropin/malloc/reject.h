/* Requests that cannot be served whatever memory there is. */
#ifndef RINGFENCE_DROPIN_REJECT_H
#define RINGFENCE_DROPIN_REJECT_H

#include <ringfence/guard.h>

/* Reports it if the options say so, and sets errno to `error`. Returns NULL. Any thread, and signal handlers. */
void *rf_malloc_reject(rf_reject why, size_t size, size_t detail, int error, const rf_origin *origin);

#endif /* RINGFENCE_DROPIN_REJECT_H */
