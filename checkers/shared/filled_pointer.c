#include "filled_pointer.h"

#include <ringfence/block.h>
#include <stddef.h>

#include "checkers/os/host.h"
#include "lib/core/compiler.h"

#define REACH ((uintptr_t)4096) /* from a member to the beginning of what it is a member of, as in lists of nodes */

/* On 32 bit the system may have memory there. On a board there is none of an allocator's, or `ptr` were to a block. */
static bool is_of_fill(unsigned char fill, const void *ptr) {
  return rf_filled_pointer_is_near(fill, (uintptr_t)ptr, REACH) && !(RF_HOST_STACKS && rf_host_readable(ptr, 1));
}

RF_COLD bool rf_filled_pointer_is_stale(const void *ptr) {
  return is_of_fill(RF_PATTERN_FREED, ptr);
}

RF_COLD const char *rf_filled_pointer_source(const void *ptr) {
  if (rf_filled_pointer_is_stale(ptr)) {
    return RF_READ_FROM_FREED;
  }
  if (is_of_fill(RF_PATTERN_NEW, ptr)) {
    return RF_READ_FROM_NEW;
  }
  return is_of_fill(RF_PATTERN_REDZONE, ptr) ? RF_READ_FROM_REDZONE : NULL;
}
