/* The interrupt being served, on cores without a system and over systems that do not tell: rf_bare_exception, and
 * what handlers say (bare.h). Part of bare.c and freertos.c.
 */
#ifndef RINGFENCE_PORT_SERVED_INTERRUPT_H
#define RINGFENCE_PORT_SERVED_INTERRUPT_H

#include <ringfence/bare.h>

#if defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M'
#define RF_CORTEX_M 1
#else
#define RF_CORTEX_M 0
#endif

static volatile unsigned rf_served; /* as handlers tell */

/* A handler that comes in between leaves it as it was. */
unsigned rf_bare_enter_interrupt(unsigned number) {
  unsigned const before = rf_served;
  rf_served = number;
  return before;
}

void rf_bare_leave_interrupt(unsigned before) {
  rf_served = before;
}

__attribute__((weak)) unsigned rf_bare_exception(void) {
#if RF_CORTEX_M
  uint32_t ipsr;
  __asm__ volatile("mrs %0, ipsr" : "=r"(ipsr));
  return ipsr & 0x1FFU;
#else
  return rf_served;
#endif
}

#endif /* RINGFENCE_PORT_SERVED_INTERRUPT_H */
