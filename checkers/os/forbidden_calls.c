#include "forbidden_calls.h"

#include <ringfence/port.h>

uint32_t rf_forbidden_calls;

void rf_forbid(uint32_t calls) {
  __atomic_fetch_or(&rf_forbidden_calls, calls, __ATOMIC_RELAXED);
#if RF_PORT_KNOWN_ID
  if ((calls & RF_CALL_PENDING) != 0) {
    rf_port_log_spares_signals();
  }
#endif
}
