/* Small helpers of all compatibility headers. Internal to lib/compat. */
#ifndef RINGFENCE_COMPAT_SHARED_H
#define RINGFENCE_COMPAT_SHARED_H

#include <ringfence/allocator.h>
#include <ringfence/port.h>
#include <ringfence/sink.h>

static inline void rf_compat_write_log(void *context, const char *text, size_t len) {
  (void)context;
  rf_port_log(text, len);
}

/* The port's log as a sink. */
static const rf_sink RF_COMPAT_LOG = {rf_compat_write_log, NULL};

/* The counters of `calls`, a heap or the checker around it: a guard counts the program's bytes, its heap counts guards
 * and headers as well. `own` are those of the heap; page and sample keep them as the program sees them. */
static inline rf_counters rf_compat_counters(rf_allocator *calls, const rf_counters *own) {
  rf_counters c = *own;
  if (calls->ops->counters != NULL) {
    calls->ops->counters(calls, &c);
  }
  return c;
}

#endif /* RINGFENCE_COMPAT_SHARED_H */
