/* A sink over the port's log. Internal to lib/compat. */
#ifndef RINGFENCE_COMPAT_PORT_LOG_H
#define RINGFENCE_COMPAT_PORT_LOG_H

#include <ringfence/port.h>
#include <ringfence/sink.h>

static inline void rf_compat_write_log(void *context, const char *text, size_t len) {
  (void)context;
  rf_port_log(text, len);
}

static const rf_sink RF_COMPAT_LOG = {rf_compat_write_log, NULL};

#endif /* RINGFENCE_COMPAT_PORT_LOG_H */
