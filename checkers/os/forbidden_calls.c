#include "forbidden_calls.h"

uint32_t rf_forbidden_calls;

void rf_forbid(uint32_t calls) {
  __atomic_fetch_or(&rf_forbidden_calls, calls, __ATOMIC_RELAXED);
}
