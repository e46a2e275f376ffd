/* tk_mem_speed_test, by itself: programs for AWTK often bring their own. */
#include "impl.h"

#include <ringfence/port.h>

/* At most so many are set, and copied, in whole passes; but for a first pass over more. */
#define BYTES (100U * 1024 * 1024)

/* KiB per second; 0 where the clock stood still. */
static uint32_t speed(uint64_t bytes, uint64_t ns) {
  return ns != 0 ? (uint32_t)(bytes * UINT64_C(1000000000) / 1024 / ns) : 0;
}

uint32_t tk_mem_speed_test(void *buffer, uint32_t length, uint32_t *pmemcpy_speed, uint32_t *pmemset_speed) {
  if (buffer == NULL || length < 2) {
    return 0;
  }
  unsigned char *const bytes = (unsigned char *)buffer;
  size_t const half = length / 2;
  uint32_t const passes = length < BYTES ? BYTES / length : 1;
  uint64_t const start = rf_port_now_ns();
  for (uint32_t done = 0; done < passes; done++) {
    memset(buffer, (int)(done & 0xFF), length);
    __asm__ volatile("" : : "r"(buffer) : "memory"); /* each pass counts */
  }
  uint64_t const between = rf_port_now_ns();
  for (uint32_t done = 0; done < passes; done++) {
    memcpy(bytes, bytes + half, half);
    memcpy(bytes + half, bytes, half);
    __asm__ volatile("" : : "r"(buffer) : "memory");
  }
  uint64_t const end = rf_port_now_ns();
  if (pmemset_speed != NULL) {
    *pmemset_speed = speed((uint64_t)passes * length, between - start);
  }
  if (pmemcpy_speed != NULL) {
    *pmemcpy_speed = speed((uint64_t)passes * 2 * half, end - between);
  }
  return (uint32_t)((end - start) / 1000000);
}
